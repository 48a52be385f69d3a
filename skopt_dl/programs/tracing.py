"""Array code, run once with arrays that record what is done to them.

A `Tracer` hands out `Symbol` objects and a `Namespace` of array functions. Code that asks for the
values of an array, or calls what is not known here, raises `TracingError`: it then has to be called
with real arrays, as an *opaque* instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from skopt_dl.plugins.watching import describe
from skopt_dl.programs.instructions import (
    ELEMENTWISE,
    IN_PLACE,
    Instruction,
    Operand,
    Program,
    dtypes,
)
from skopt_dl.programs.memory import place
from skopt_dl.programs.namespace import Namespace
from skopt_dl.programs.symbols import NUMBERS, HostScalar, Symbol, TracingError, kind_of, on_host
from skopt_dl.programs.values import Array, Buffer, Value, host_dtype, order_of, pattern

Backward = Callable[..., Sequence[Any]]


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """Something that was computed, for reverse mode.

    Attributes
    ----------
    op : str
        An instruction's, a view's, or ``"custom"``.
    out : Value
    inputs : tuple of Value or number
    attributes : dict
    number : int
        How many instructions there were when it was recorded.
    backward : callable or None
        Gives the gradients of a component that knows its own derivative.
    """

    op: str
    out: Value
    inputs: tuple[Operand, ...]
    attributes: Mapping[str, Any]
    number: int
    backward: Backward | None = None


class Tracer:
    """Records instructions.

    Parameters
    ----------
    dtype : dtype
        The precision of the training.

    Attributes
    ----------
    xp : Namespace
        The array functions for traced code.
    """

    def __init__(self, dtype: Any):
        self.dtype = host_dtype(dtype)
        self.xp = Namespace(self)
        self.instructions: list[Instruction] = []
        self.tape: list[Node] = []
        self.inputs: dict[str, Buffer] = {}
        self.scalars: dict[str, Callable[[int], float]] = {}
        self.opaque: list[str] = []
        # Buffers that have views; and for those that were there and were written to, the number of
        # the last instruction that did it.
        self.viewed: set[Buffer] = set()
        # Inputs that nobody reads afterwards.
        self.spent: set[Buffer] = set()
        self.writes: dict[Buffer, int] = {}
        self._captured: dict[int, Value] = {}
        self._taping = True

    # What goes in

    def given(
        self,
        name: str,
        shape: Sequence[int],
        dtype: Any = None,
        order: Sequence[int] | None = None,
    ) -> Symbol:
        """Return an input of the program, ``order`` being its axes from the outermost in memory."""
        buffer = Buffer(pattern(shape, dtype or self.dtype, order), name)
        assert name not in self.inputs, name
        self.inputs[name] = buffer
        return Symbol(self, Value(buffer))

    def number(self) -> HostScalar:
        """The number of the step, with which code may do sums."""
        return HostScalar(self, lambda number: number)

    def temporary(self, like: np.ndarray) -> Value:
        """Return memory of the program's own with the shape, dtype and layout of a pattern."""
        return Value(Buffer(pattern(like.shape, like.dtype, order_of(like))))

    def operand(self, value: Any, dtype: Any = None) -> Operand:
        """Return what an instruction can have as an input: an array in this dtype, or a number.

        Raises
        ------
        TracingError
            If it is neither.
        """
        if isinstance(value, bool | int | float):
            return value.item() if isinstance(value, np.generic) else value
        if isinstance(value, HostScalar):
            return value.as_value(dtype or self.dtype)
        if isinstance(value, Symbol):
            found = value.value
        elif getattr(value, "dtype", None) is not None:
            found = self._capture(np.asarray(value) if isinstance(value, np.generic) else value)
        else:
            raise TracingError(f"it computes with an object of type {type(value).__name__}")
        if dtype is None or found.dtype == dtype:
            return found
        return self.cast(Symbol(self, found), dtype).value

    def symbol(self, value: Any) -> Symbol:
        """Return anything that is an array or a number as a recorded array."""
        if isinstance(value, Symbol):
            return value
        found = self.operand(value)
        return Symbol(self, found) if isinstance(found, Value) else self.constant(found, ())

    def _capture(self, array: Array) -> Value:
        """Return a constant: an array that is there while tracing, read when the program runs."""
        key = id(array)
        if key not in self._captured:
            like = pattern(array.shape, host_dtype(array.dtype))
            self._captured[key] = Value(Buffer(like, array=array))
        return self._captured[key]

    # What is done

    def emit(self, op: str, *inputs: Any, out: Symbol | None = None) -> Any:
        """Record an elementwise operation, whose result has the shape of its inputs broadcast.

        Of numbers alone it is computed on the host, and is a number or a `HostScalar`.
        """
        if op not in ELEMENTWISE:
            raise TracingError(f"it calls {op}, which cannot be traced")
        if out is None and all(isinstance(each, NUMBERS) for each in inputs):
            return on_host(self, op, inputs)
        found = [each if isinstance(each, HostScalar) else self.operand(each) for each in inputs]
        try:
            *kinds, kind = dtypes(op, [kind_of(each) for each in found])
            shape = np.broadcast_shapes(*(getattr(each, "shape", ()) for each in found))
        except (TypeError, ValueError) as error:
            raise TracingError(f"it calls {op}: {error}") from error
        operands = tuple(
            self.operand(Symbol(self, each) if isinstance(each, Value) else each, each_kind)
            for each, each_kind in zip(found, kinds, strict=True)
        )
        likes = [each.like for each in operands if isinstance(each, Value)]
        like = next((like for like in likes if like.shape == shape), None)
        order = None if like is None else order_of(like)
        return self.write(op, pattern(shape, kind, order), operands, out)

    def write(
        self,
        op: str,
        like: np.ndarray,
        operands: tuple[Operand, ...],
        out: Symbol | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Symbol:
        """Record an operation with a result like a pattern, into `out` if there is one.

        Nobody can tell a new array from a temporary that was written to in place, if there are no
        views of it: `out` then gets memory of its own, and what it was before remains for reverse
        mode. Where `out` cannot be what the operation writes, it gets a copy.
        """
        attributes = attributes or {}
        if out is None:
            value = self.temporary(like)
            self._record(op, value, operands, attributes)
            return Symbol(self, value)
        self._check_target(out, like)
        if self._is_plain_temporary(out.value) and out.dtype == like.dtype:
            value = self.temporary(out.value.like)
            self._record(op, value, operands, attributes)
            out.value = value
            return out
        target = out.value
        fits = op == "copy" or target.dtype == like.dtype
        if not fits or any(_clash(op, i, target, each) for i, each in enumerate(operands)):
            result = self.write(op, like, operands, None, attributes)
            return self.write("copy", target.like, (result.value,), out)
        self.writes[target.buffer] = len(self.instructions)
        self._record(op, target, operands, attributes)
        return out

    @staticmethod
    def _check_target(out: Any, like: np.ndarray) -> None:
        if not isinstance(out, Symbol):
            raise TracingError("it writes into an array that was there before")
        out.writable()
        if out.shape != like.shape:
            raise TracingError(f"it writes shape {like.shape} into an array of shape {out.shape}")
        if not np.can_cast(like.dtype, out.dtype, "same_kind"):
            raise TracingError(f"it writes {like.dtype.name} into an array of {out.dtype.name}")
        if any(n > 1 and not stride for n, stride in zip(out.shape, out.strides, strict=True)):
            raise TracingError("it writes into an array that was broadcast")

    def _is_plain_temporary(self, value: Value) -> bool:
        """Whether nobody could tell a new array from one that was written to in place."""
        buffer = value.buffer
        return (
            value.is_whole
            and buffer.array is None
            and not buffer.name
            and (buffer not in self.viewed)
        )

    def _record(
        self, op: str, out: Value, inputs: tuple[Operand, ...], attributes: Mapping[str, Any]
    ) -> None:
        self.instructions.append(Instruction(op, out, inputs, attributes))
        self._tape(op, out, inputs, attributes)

    def _tape(
        self,
        op: str,
        out: Value,
        inputs: tuple[Operand, ...],
        attributes: Mapping[str, Any],
        backward: Backward | None = None,
    ) -> None:
        if self._taping:
            number = len(self.instructions)
            self.tape.append(Node(op, out, inputs, attributes, number, backward))

    def view(self, symbol: Symbol, name: str, argument: Any) -> Symbol:
        """Return a view of an array, or a copy with a view where there can be no view."""
        if name in ("reshape", "broadcast") and argument == symbol.shape:
            return symbol
        if isinstance(symbol.value.buffer.array, float):
            # What is written to one view is seen in all.
            symbol.writable()
        try:
            value = symbol.value.view((name, argument))
            if value is None:
                symbol = self.copy(symbol)
                value = symbol.value.view((name, argument))
        except (IndexError, TypeError) as error:
            raise TracingError(f"it takes parts of an array: {error}") from error
        if value is None:
            raise TracingError(f"an array of shape {symbol.shape} cannot {name} to {argument}")
        self.viewed.add(value.buffer)
        self._tape(name, value, (symbol.value,), {"argument": argument})
        return Symbol(self, value)

    def copy(self, symbol: Symbol, out: Symbol | None = None) -> Symbol:
        """Return a copy, whose axes lie in memory as they are."""
        like = pattern(symbol.shape, symbol.value.dtype)
        return self.write("copy", like, (symbol.value,), out)

    def cast(self, symbol: Symbol, dtype: Any) -> Symbol:
        """Return a copy in another dtype."""
        like = symbol.value.like
        return self.write("copy", pattern(like.shape, dtype, order_of(like)), (symbol.value,))

    def fill(self, like: np.ndarray, number: float) -> Symbol:
        """Return an array with one number everywhere."""
        return self.write("copy", like, (number,))

    def lay_out(self, symbol: Symbol, order: Sequence[int]) -> None:
        """Have a result, and what it was computed from element by element, in another layout."""
        wanted = {symbol.value}
        for instruction in reversed(self.instructions):
            out = instruction.out
            if out not in wanted or not self._is_plain_temporary(out):
                continue
            out.like = out.buffer.like = pattern(out.shape, out.dtype, order)
            if instruction.op in ELEMENTWISE:
                wanted |= {value for value in instruction.values if value.shape == out.shape}

    def assign(self, target: Symbol, symbol: Symbol) -> None:
        """Write a result where it is wanted: by the instruction that computes it, if possible."""
        value, place = symbol.value, target.value
        if (
            self._is_plain_temporary(value)
            and value.shape == place.shape
            and value.dtype == place.dtype
            and self._is_unused_since(place.buffer, value)
        ):
            # Whoever reads the result finds it there.
            value.buffer, value.steps, value.like = place.buffer, place.steps, place.like
        else:
            target[...] = symbol

    def _is_unused_since(self, buffer: Buffer, value: Value) -> bool:
        """Whether a buffer is never read, nor written to since a value was computed."""
        is_computed = False
        for instruction in reversed(self.instructions):
            if any(each.buffer is buffer for each in instruction.values):
                return False
            is_computed = is_computed or instruction.out is value
            if instruction.out.buffer is buffer and not is_computed:
                return False
        return is_computed

    def constant(self, number: float, shape: Sequence[int], dtype: Any = None) -> Symbol:
        """Return a number as an array of this shape, which takes no memory unless written to."""
        buffer = Buffer(pattern((), dtype or self.dtype), array=float(number))
        value = Value(buffer).view(("broadcast", tuple(shape)))
        assert value is not None
        return Symbol(self, value)

    def custom(self, forward: Callable[..., Any], backward: Backward, *inputs: Any) -> Any:
        """Call `forward` with `inputs`; its derivative is that which `backward` says.

        ``backward(delta, out, *inputs)`` returns the gradient at each input, None where there is
        none.
        """
        values = tuple(self.operand(each) for each in inputs)
        with self.untaped():
            out = self.symbol(forward(*inputs))
            if out.value in values:
                out = self.copy(out)
        self._tape("custom", out.value, values, {}, backward)
        return out

    @contextmanager
    def untaped(self) -> Iterator[None]:
        """Record what is of no concern to reverse mode."""
        before, self._taping = self._taping, False
        try:
            yield
        finally:
            self._taping = before

    def call(
        self, function: Callable[..., Any], inputs: Sequence[Any], like: np.ndarray, why: str
    ) -> Symbol:
        """Record a call of a function of real arrays, which returns an array like a pattern."""
        self.opaque.append(why)
        operands = tuple(self.operand(each) for each in inputs)
        return self.write("opaque", like, operands, None, {"function": function})

    def trace(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call array code, and tell why if it cannot be traced.

        Returns
        -------
        result : object
            What the code returns.

        Raises
        ------
        TracingError
            Whatever the code raises: called with real arrays it may work, or else raise it again.
        """
        try:
            return function(*arguments)
        except TracingError:
            raise
        except BaseException as error:
            if type(error) is KeyboardInterrupt:
                raise
            raise TracingError(f"with recorded arrays it raises {describe(error)}") from error

    def program(self) -> Program:
        """What was recorded and is of use, with a place for everything."""
        instructions = tuple(_without_dead(self.instructions))
        places, n_bytes = place(instructions)
        return Program(
            instructions,
            self.inputs,
            places,
            n_bytes,
            self.scalars,
            tuple(self.opaque),
            frozenset(self.spent),
        )


def _without_dead(instructions: Sequence[Instruction]) -> list[Instruction]:
    """What writes an array that was given, or one that is read later."""
    kept, read = [], set()
    for instruction in reversed(instructions):
        if not instruction.out.buffer.is_own or instruction.out.buffer in read:
            kept.append(instruction)
            read |= {value.buffer for value in instruction.values}
    return kept[::-1]


def _clash(op: str, number: int, out: Value, operand: Operand) -> bool:
    """Whether writing a result may change what an operation has yet to read of an operand."""
    if not isinstance(operand, Value) or operand.buffer is not out.buffer:
        return False
    if number in IN_PLACE.get(op, ()) and operand.steps == out.steps:
        return False
    return out.may_overlap(operand)
