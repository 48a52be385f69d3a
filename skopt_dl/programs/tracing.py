"""Array code, run once with arrays that record what is done to them.

A `Tracer` hands out `Symbol` objects and a `Namespace` of array functions. Code that asks for the
values of an array, or calls what is not known here, raises `TracingError`: it then has to be called
with real arrays, as an *opaque* instruction.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from skopt_dl.programs.convolving import Geometry
from skopt_dl.programs.instructions import (
    BINARY,
    ELEMENTWISE,
    IN_PLACE,
    UNARY,
    Instruction,
    Operand,
    Program,
    dtypes,
)
from skopt_dl.programs.memory import place
from skopt_dl.programs.values import Array, Buffer, Value, host_dtype, order_of, pattern

Backward = Callable[..., Sequence[Any]]


class TracingError(Exception):
    """Why some code cannot be traced."""


class MissingError(TracingError, AttributeError):
    """Something that is not there while tracing, so that ``hasattr`` says no."""


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
        if out is None and all(isinstance(each, _NUMBERS) for each in inputs):
            return _on_host(self, op, inputs)
        found = [each if isinstance(each, HostScalar) else self.operand(each) for each in inputs]
        try:
            *kinds, kind = dtypes(op, [_kind(each) for each in found])
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
        except Exception as error:
            name = type(error).__name__
            raise TracingError(f"with recorded arrays it raises {name}: {error}") from error

    def program(self) -> Program:
        """What was recorded and is of use, with a place for everything."""
        instructions = tuple(_without_dead(self.instructions))
        places, n_bytes = place(instructions)
        return Program(instructions, self.inputs, places, n_bytes, self.scalars, tuple(self.opaque))


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


class HostScalar:
    """A number that follows from that of the step, computed on the host before each step.

    Sums and functions of it are those of Python floats. Where it meets an array it becomes an
    input of the program, and counts as a number of Python: the array's dtype is the result's.
    """

    __array_ufunc__ = None

    def __init__(self, tracer: Tracer, function: Callable[[int], float]):
        self._tracer, self._function = tracer, function
        self._values: dict[np.dtype[Any], Value] = {}

    def __call__(self, number: int) -> float:
        """The number in a step."""
        return self._function(number)

    def as_value(self, dtype: Any) -> Value:
        """The input of the program that it becomes where it meets an array of this dtype."""
        dtype = np.dtype(dtype)
        if dtype not in self._values:
            name = f"scalar {len(self._tracer.scalars)}"
            self._tracer.scalars[name] = self._function
            self._values[dtype] = self._tracer.given(name, (), dtype).value
        return self._values[dtype]

    def _combine(self, function: Callable[..., Any], op: str, *operands: Any) -> Any:
        if not all(isinstance(each, _NUMBERS) for each in operands):
            return self._tracer.emit(op, *operands)
        # Functions alone: a program must not hold on to the tracer.
        functions = [each._function if isinstance(each, HostScalar) else each for each in operands]
        return HostScalar(
            self._tracer,
            lambda number: function(
                *(each(number) if callable(each) else each for each in functions)
            ),
        )

    def __neg__(self) -> HostScalar:
        return self._combine(operator.neg, "negative", self)

    def __abs__(self) -> HostScalar:
        return self._combine(abs, "abs", self)

    def __pos__(self) -> HostScalar:
        return self

    def _refuse(self, *_: Any) -> Any:
        raise TracingError("it asks for the number of the step, which differs between steps")

    __bool__ = __float__ = __int__ = __index__ = __complex__ = _refuse
    __round__ = __trunc__ = __floor__ = __ceil__ = __str__ = __format__ = _refuse
    __hash__ = object.__hash__


# What is known, or computed, on the host.
_NUMBERS = (bool, int, float, HostScalar)


def _on_host(tracer: Tracer, op: str, inputs: Sequence[Any]) -> Any:
    """Compute an elementwise operation of numbers."""
    function = getattr(np, op, None)
    if function is None:
        raise TracingError(f"it calls {op} of a number")

    def compute(*numbers: Any) -> Any:
        return function(*numbers).item()

    if any(isinstance(each, HostScalar) for each in inputs):
        return next(each for each in inputs if isinstance(each, HostScalar))._combine(
            compute, op, *inputs
        )
    return compute(*inputs)


def _kind(operand: Any) -> Any:
    """What the dtype of a result follows from: an array's dtype, or a number."""
    if isinstance(operand, Value):
        return operand.dtype
    return 1.0 if isinstance(operand, HostScalar) else operand


class Symbol:
    """What array code gets in place of an array ``(K, …)``."""

    __slots__ = ("_tracer", "value")
    # Arrays of all libraries then leave operators to this class.
    __array_ufunc__ = None

    def __init__(self, tracer: Tracer, value: Value):
        self._tracer, self.value = tracer, value

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.like.ndim

    @property
    def size(self) -> int:
        return self.value.like.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    @property
    def strides(self) -> tuple[int, ...]:
        return self.value.like.strides

    def __array_namespace__(self, api_version: Any = None) -> Namespace:
        return self._tracer.xp

    @property
    def mT(self) -> Symbol:  # noqa: N802
        axes = (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2)
        return self._tracer.view(self, "permute", axes)

    @property
    def T(self) -> Symbol:  # noqa: N802
        return self._tracer.view(self, "permute", tuple(reversed(range(self.ndim))))

    def reshape(self, *shape: Any) -> Symbol:
        return self._tracer.xp.reshape(self, shape[0] if len(shape) == 1 else shape)

    def copy(self) -> Symbol:
        return self._tracer.copy(self)

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS:
            return partial(getattr(self._tracer.xp, name), self)
        raise MissingError(f"it uses .{name} of an array")

    def writable(self) -> Symbol:
        """The array itself, with memory that can be written to."""
        array = self.value.buffer.array
        if isinstance(array, float):
            self.value = self._tracer.fill(self.value.like, array).value
        elif array is not None:
            raise TracingError("it writes into an array that was there before")
        return self

    def __getitem__(self, key: Any) -> Symbol:
        keys = key if isinstance(key, tuple) else (key,)
        if any(isinstance(each, HostScalar) for each in keys):
            raise TracingError("it takes elements by the number of the step")
        if not all(each is None or each is ... or _is_basic(each) for each in keys):
            raise TracingError("it takes elements by an array of indices or a mask")
        # A view of everything is as good as the array itself.
        if _is_everything(key):
            return self
        return self._tracer.view(self, "slice", _explicit(keys, self.shape))

    def __setitem__(self, key: Any, value: Any) -> None:
        target = self if _is_everything(key) else self.writable()[key]
        operand = self._tracer.operand(value)
        if isinstance(operand, Value):
            if operand.buffer is target.value.buffer and operand.steps == target.value.steps:
                return
            front = len(operand.shape) - target.ndim
            if front > 0 and set(operand.shape[:front]) == {1}:
                operand = self._tracer.xp.reshape(value, operand.shape[front:]).value
            _check_broadcast(operand.shape, target.shape)
        self._tracer.write("copy", target.value.like, (operand,), target)

    def __neg__(self) -> Symbol:
        return self._tracer.emit("negative", self)

    def __pos__(self) -> Symbol:
        return self

    def __abs__(self) -> Symbol:
        return self._tracer.emit("abs", self)

    def __invert__(self) -> Symbol:
        return self._tracer.xp.bitwise_invert(self)

    def _refuse_operator(self, *_: Any) -> Any:
        raise TracingError("it uses //, %, divmod, ^, << or >>")

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = _refuse_operator
    __xor__ = __rxor__ = __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _refuse_operator

    def __matmul__(self, other: Any) -> Symbol:
        return self._tracer.xp.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Symbol:
        return self._tracer.xp.matmul(other, self)

    def __len__(self) -> int:
        return self.shape[0]

    def _refuse(self, *_: Any) -> Any:
        raise TracingError("it asks for the values of an array")

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __iter__ = __array__ = _refuse
    __round__ = __trunc__ = __floor__ = __ceil__ = __contains__ = _refuse
    __str__ = __format__ = _refuse
    __hash__ = object.__hash__


def _is_basic(key: Any) -> bool:
    if isinstance(key, slice):
        parts = (key.start, key.stop, key.step)
        return all(each is None or isinstance(each, int | np.integer) for each in parts)
    return isinstance(key, int | np.integer) and not isinstance(key, bool)


def _explicit(keys: Sequence[Any], shape: Sequence[int]) -> tuple[Any, ...]:
    """Keys with a number or a slice, within bounds, for each axis, and None for each new one."""
    n_given = sum(each is not None and each is not ... for each in keys)
    if keys.count(...) > 1 or n_given > len(shape):
        raise TracingError(f"it takes parts {keys} of an array of shape {tuple(shape)}")
    place = keys.index(...) if ... in keys else len(keys)
    rest = (slice(None),) * (len(shape) - n_given)
    sizes, explicit = iter(shape), []
    for key in (*keys[:place], *rest, *keys[place + 1 :]):
        if isinstance(key, slice):
            start, stop, step = key.indices(next(sizes))
            key = slice(start, None if stop < 0 else stop, step)
        elif key is not None:
            size, key = next(sizes), int(key)
            if not -size <= key < size:
                raise TracingError(f"it takes element {key} of an axis of length {size}")
            key %= size
        explicit.append(key)
    return tuple(explicit)


def _is_everything(key: Any) -> bool:
    return key is ... or (isinstance(key, slice) and key == slice(None))


def _check_broadcast(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    try:
        fits = np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        fits = False
    if not fits:
        raise TracingError(f"it takes an array of shape {shape} for one of shape {wanted}")


# Methods of NumPy's arrays that are functions of the array API.
_METHODS = frozenset(
    ["sum", "mean", "max", "min", "any", "all", "var", "std", "clip", "squeeze", "astype", "take"]
)


_OPERATORS = {
    "add": ("add", operator.add),
    "sub": ("subtract", operator.sub),
    "mul": ("multiply", operator.mul),
    "truediv": ("divide", operator.truediv),
    "pow": ("power", operator.pow),
}
_COMPARISONS = {
    "lt": ("less", operator.lt),
    "le": ("less_equal", operator.le),
    "gt": ("greater", operator.gt),
    "ge": ("greater_equal", operator.ge),
    "eq": ("equal", operator.eq),
    "ne": ("not_equal", operator.ne),
}
_BITWISE = {"and": "bitwise_and", "or": "bitwise_or"}
# Comparisons, which Python swaps itself.
_SWAPPED = {op for op, _ in _COMPARISONS.values()}


def _add_operators(name: str, op: str) -> None:
    def forward(self: Symbol, other: Any) -> Symbol:
        return getattr(self._tracer.xp, op)(self, other)

    def reflected(self: Symbol, other: Any) -> Symbol:
        return getattr(self._tracer.xp, op)(other, self)

    def in_place(self: Symbol, other: Any) -> Symbol:
        return getattr(self._tracer.xp, op)(self, other, out=self)

    setattr(Symbol, f"__{name}__", forward)
    setattr(Symbol, f"__r{name}__", reflected)
    setattr(Symbol, f"__i{name}__", in_place)


def _add_comparison(name: str, op: str) -> None:
    def compare(self: Symbol, other: Any) -> Symbol:
        return self._tracer.emit(op, self, other)

    setattr(Symbol, f"__{name}__", compare)


def _add_to_scalars(name: str, op: str, function: Callable[[Any, Any], Any]) -> None:
    def forward(self: HostScalar, other: Any) -> Any:
        return self._combine(function, op, self, other)

    def reflected(self: HostScalar, other: Any) -> Any:
        return self._combine(function, op, other, self)

    setattr(HostScalar, f"__{name}__", forward)
    if op not in _SWAPPED:
        setattr(HostScalar, f"__r{name}__", reflected)


for _name, (_op, _function) in _OPERATORS.items():
    _add_operators(_name, _op)
    _add_to_scalars(_name, _op, _function)
for _name, (_op, _function) in _COMPARISONS.items():
    _add_comparison(_name, _op)
    _add_to_scalars(_name, _op, _function)
for _name, _op in _BITWISE.items():
    _add_operators(_name, _op)
for _name, _function in (("floordiv", operator.floordiv), ("mod", operator.mod)):
    _add_to_scalars(_name, _name, _function)


class Namespace:
    """Array functions that record, under the names of the array API and of NumPy.

    Besides these there are ``relu``, ``relu_gradient``, ``erf``, and the movements ``pad``,
    ``patches``, ``unpatches`` and ``add_at``. What is not known here is NumPy's, and computed while
    tracing, if none of its arguments is recorded.
    """

    pi, e, inf, nan, newaxis = np.pi, np.e, np.inf, np.nan, None

    def __init__(self, tracer: Tracer):
        self._tracer = tracer

    def __getattr__(self, name: str) -> Any:
        op = _ALIASES.get(name, name)
        if op in UNARY | BINARY:
            found: Any = self._elementwise(op, 1 if op in UNARY else 2)
        else:
            found = getattr(np, name, None)
            if callable(found):
                found = found if isinstance(found, type) else _not_recorded(name, found)
            elif not isinstance(found, float):
                raise MissingError(f"it uses xp.{name}, which cannot be traced")
        self.__dict__[name] = found
        return found

    def _elementwise(self, op: str, n_inputs: int) -> Callable[..., Any]:
        def record(*arguments: Any, out: Any = None) -> Any:
            inputs, places = arguments[:n_inputs], arguments[n_inputs:]
            if len(inputs) < n_inputs or len(places) > 1:
                raise TracingError(f"it calls xp.{op} with {len(arguments)} arguments")
            return self._tracer.emit(op, *inputs, out=places[0] if places else out)

        return record

    def power(self, x: Any, exponent: Any, out: Any = None) -> Any:
        # As NumPy does it with numbers of Python.
        short = _POWERS.get(exponent) if isinstance(exponent, int | float) else None
        if short is None or not isinstance(x, Symbol) or x.dtype.kind != "f":
            return self._tracer.emit("power", x, exponent, out=out)
        return (
            self._tracer.copy(x, out) if short == "copy" else self._tracer.emit(short, x, out=out)
        )

    pow = power

    def bitwise_and(self, x: Any, y: Any, out: Any = None) -> Any:
        return self._tracer.emit("logical_and", *self._of_conditions(x, y), out=out)

    def bitwise_or(self, x: Any, y: Any, out: Any = None) -> Any:
        return self._tracer.emit("logical_or", *self._of_conditions(x, y), out=out)

    def bitwise_invert(self, x: Any, out: Any = None) -> Any:
        return self._tracer.emit("logical_not", *self._of_conditions(x), out=out)

    def _of_conditions(self, *operands: Any) -> list[Symbol]:
        found = [self._tracer.symbol(each) for each in operands]
        if any(each.dtype.kind != "b" for each in found):
            raise TracingError("it works on the bits of numbers")
        return found

    def where(self, condition: Any, x: Any, y: Any, out: Any = None) -> Symbol:
        return self._tracer.emit("where", self._is_true(condition), x, y, out=out)

    def _is_true(self, x: Any) -> Symbol:
        x = self._tracer.symbol(x)
        return x if x.dtype.kind == "b" else self._tracer.emit("not_equal", x, 0)

    def clip(self, x: Any, min: Any = None, max: Any = None, out: Any = None) -> Symbol:
        low = -np.inf if min is None else min
        return self._tracer.emit("clip", x, low, np.inf if max is None else max, out=out)

    # Reductions

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        x = self._tracer.symbol(x)
        if x.dtype.kind in "bi" and x.dtype != np.int64:
            # As NumPy does it, whose sums do not overflow so soon.
            x = self._tracer.cast(x, np.int64)
        return self._reduce("sum", x, axis, keepdims, out)

    def max(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        return self._reduce("max", self._tracer.symbol(x), axis, keepdims, out)

    def min(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        return self._reduce("min", self._tracer.symbol(x), axis, keepdims, out)

    def any(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        return self._reduce("max", self._is_true(x), axis, keepdims, out)

    def all(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        return self._reduce("min", self._is_true(x), axis, keepdims, out)

    def mean(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        total = self.sum(x, axis, keepdims)
        return self.divide(total, float(self._tracer.symbol(x).size // total.size), out=out)

    def var(self, x: Any, axis: Any = None, keepdims: bool = False) -> Symbol:
        return self.mean(self.square(x - self.mean(x, axis, True)), axis, keepdims)

    def std(self, x: Any, axis: Any = None, keepdims: bool = False) -> Symbol:
        return self.sqrt(self.var(x, axis, keepdims))

    def _reduce(self, op: str, x: Symbol, axis: Any, keepdims: bool, out: Any) -> Symbol:
        every = range(x.ndim)
        axes = tuple(sorted(normalize_axis_tuple(every if axis is None else axis, x.ndim)))
        kept = [i for i in every if keepdims or i not in axes]
        shape = [1 if i in axes else x.shape[i] for i in kept]
        order = [kept.index(i) for i in order_of(x.value.like) if i in kept]
        like = pattern(shape, x.dtype, order)
        return self._tracer.write(op, like, (x.value,), out, {"axes": axes})

    # Products

    def vecdot(self, x1: Any, x2: Any, axis: int = -1, out: Any = None) -> Symbol:
        first, second = self._same_dtype(x1, x2)
        if axis != -1 and first.ndim != axis + 1:
            first, second = self.moveaxis(first, axis, -1), self.moveaxis(second, axis, -1)
        shape = self._broadcast(first.shape, second.shape)[:-1]
        operands = first.value, second.value
        return self._tracer.write("vecdot", pattern(shape, first.dtype), operands, out)

    def matmul(self, x1: Any, x2: Any, out: Any = None) -> Symbol:
        first, second = self._same_dtype(x1, x2)
        if first.ndim < 2 or second.ndim < 2 or first.shape[-1] != second.shape[-2]:
            raise TracingError(f"it multiplies shapes {first.shape} and {second.shape}")
        batch = self._broadcast(first.shape[:-2], second.shape[:-2])
        shape = (*batch, first.shape[-2], second.shape[-1])
        operands = self._matrix(first).value, self._matrix(second).value
        return self._tracer.write("matmul", pattern(shape, first.dtype), operands, out)

    def _same_dtype(self, *arrays: Any) -> list[Symbol]:
        found = [self._tracer.symbol(each) for each in arrays]
        dtype = np.result_type(*(each.dtype for each in found))
        return [each if each.dtype == dtype else self._tracer.cast(each, dtype) for each in found]

    def _matrix(self, x: Symbol) -> Symbol:
        """An array whose rows, or columns, have no gaps: what BLAS takes."""
        pairs = zip(x.shape[-2:], x.strides[-2:], strict=True)
        is_close = any(stride == x.dtype.itemsize or n == 1 for n, stride in pairs)
        return x if is_close and 0 not in x.strides[-2:] else self._tracer.copy(x)

    def _broadcast(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError as error:
            raise TracingError(str(error)) from error

    # Shapes

    def reshape(self, x: Any, shape: Any, copy: Any = None) -> Symbol:
        x = self._tracer.symbol(x)
        shape = [shape] if isinstance(shape, int) else [int(n) for n in shape]
        if shape.count(-1) == 1:
            rest = -int(np.prod(shape))
            shape[shape.index(-1)] = x.size // rest if rest else 0
        if int(np.prod(shape)) != x.size or min(shape, default=0) < 0:
            raise TracingError(f"it reshapes {x.shape} to {tuple(shape)}")
        return self._tracer.view(self._tracer.copy(x) if copy else x, "reshape", tuple(shape))

    def permute_dims(self, x: Any, axes: Sequence[int] | None = None) -> Symbol:
        x = self._tracer.symbol(x)
        order = range(x.ndim)[::-1] if axes is None else normalize_axis_tuple(axes, x.ndim)
        return self._tracer.view(x, "permute", tuple(order))

    def matrix_transpose(self, x: Any) -> Symbol:
        return self._tracer.symbol(x).mT

    def swapaxes(self, x: Any, axis1: int, axis2: int) -> Symbol:
        axes = list(range(x.ndim))
        axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
        return self.permute_dims(x, axes)

    def moveaxis(self, x: Any, source: int, destination: int) -> Symbol:
        source = normalize_axis_index(source, x.ndim)
        axes = [axis for axis in range(x.ndim) if axis != source]
        axes.insert(normalize_axis_index(destination, x.ndim), source)
        return self.permute_dims(x, axes)

    def broadcast_to(self, x: Any, shape: Any) -> Symbol:
        x = self._tracer.symbol(x)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        _check_broadcast(x.shape, shape)
        return self._tracer.view(x, "broadcast", shape)

    def expand_dims(self, x: Any, axis: int = 0) -> Symbol:
        x = self._tracer.symbol(x)
        shape = list(x.shape)
        for each in sorted(normalize_axis_tuple(axis, x.ndim + np.size(axis))):
            shape.insert(each, 1)
        return self.reshape(x, shape)

    def squeeze(self, x: Any, axis: Any = None) -> Symbol:
        if axis is None:
            axis = [i for i, n in enumerate(x.shape) if n == 1]
        axes = normalize_axis_tuple(axis, x.ndim)
        return self.reshape(x, [n for i, n in enumerate(x.shape) if i not in axes])

    def concat(self, arrays: Sequence[Any], axis: int = 0) -> Symbol:
        found = self._same_dtype(*arrays)
        axis = normalize_axis_index(axis, found[0].ndim)
        others = [(*each.shape[:axis], 1, *each.shape[axis + 1 :]) for each in found]
        try:
            shape = list(np.broadcast_shapes(*others))
        except ValueError as error:
            shapes = [each.shape for each in found]
            raise TracingError(f"it concatenates shapes {shapes}") from error
        shape[axis] = sum_of(each.shape[axis] for each in found)
        values = tuple(each.value for each in found)
        like = pattern(shape, found[0].dtype)
        return self._tracer.write("concat", like, values, None, {"axis": axis})

    concatenate = concat

    def stack(self, arrays: Sequence[Any], axis: int = 0) -> Symbol:
        return self.concat([self.expand_dims(each, axis) for each in arrays], axis)

    def pad(self, x: Any, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Symbol:
        """Put a number around an array: so many times before and after each axis."""
        pairs = tuple((int(before), int(after)) for before, after in widths)
        shape = [n + before + after for n, (before, after) in zip(x.shape, pairs, strict=True)]
        like = pattern(shape, x.dtype)
        return self._tracer.write("pad", like, (x.value,), None, {"widths": pairs, "value": value})

    def take(self, x: Any, indices: Any, axis: int | None = None) -> Symbol:
        """Take rows of each model's table, ``(K or 1, n, m)``, by indices ``(K or 1, …)``."""
        x, indices = self._tracer.symbol(x), self._tracer.symbol(indices)
        if axis != 1 or x.ndim != 3 or not indices.ndim or indices.dtype.kind not in "iu":
            raise TracingError(
                "it takes elements by indices, other than rows of a table of each model: "
                "xp.take(x, indices, axis=1) of shapes (K, n, m) and (K, ...)"
            )
        n_models = self._broadcast(x.shape[:1], indices.shape[:1])[0]
        like = pattern((n_models, *indices.shape[1:], x.shape[2]), x.dtype)
        indices = indices if indices.dtype == np.intp else self._tracer.cast(indices, np.intp)
        return self._tracer.write("take", like, (x.value, indices.value))

    def add_at(self, like: Any, indices: Any, rows: Any) -> Symbol:
        """Add rows to zeros like a table, each to the row that its index says."""
        indices = indices if indices.dtype == np.intp else self._tracer.cast(indices, np.intp)
        zeros = pattern((rows.shape[0], *like.shape[1:]), rows.dtype)
        return self._tracer.write("add_at", zeros, (indices.value, rows.value))

    def patches(self, x: Any, size: tuple[int, int], stride: tuple[int, int]) -> Symbol:
        """Cut images, ``(…, height, width, channels)``, into patches that may overlap.

        Returns
        -------
        patches : array of shape (…, n_vertical, n_horizontal, *size, channels)
        """
        *front, height, width, channels = x.shape
        sizes = zip((height, width), size, stride, strict=True)
        down, across = ((n - k) // step + 1 for n, k, step in sizes)
        if min(down, across) < 1:
            raise TracingError(f"it cuts patches {size} from images of {height} by {width}")
        like = pattern((*front, down, across, *size, channels), x.dtype)
        return self._tracer.write("patches", like, (x.value,), None, {"stride": tuple(stride)})

    def unpatches(self, patches: Any, shape: Sequence[int], stride: tuple[int, int]) -> Symbol:
        """Add up patches where they were cut from images of this shape."""
        like = pattern(shape, patches.dtype)
        down, across, high, wide = patches.shape[-5:-1]
        fits = zip(shape[-3:-1], (high, wide), stride, (down, across), strict=True)
        if any((n - k) // step + 1 != count for n, k, step, count in fits):
            raise TracingError(f"it adds patches {patches.shape} up to images {tuple(shape)}")
        attributes = {"stride": tuple(stride)}
        return self._tracer.write("unpatches", like, (patches.value,), None, attributes)

    def convolve(self, images: Any, weights: Any, geometry: Geometry) -> Symbol:
        """Multiply all patches of images with weights.

        Parameters
        ----------
        images : array of shape (K or 1, …, n_rows, height, width, channels)
        weights : array of shape (K, …, n_in, n_out)
            The rows are those of a patch: height, width, channels.
        geometry : Geometry

        Returns
        -------
        rows : array of shape (K, …, n_rows · n_vertical · n_horizontal, n_out)
        """
        front = np.broadcast_shapes(images.shape[:-4], weights.shape[:-2])
        n_rows = images.shape[-4] * math.prod(geometry.number(*images.shape[-3:-1]))
        like = pattern((*front, n_rows, weights.shape[-1]), images.dtype)
        operands = images.value, weights.value
        return self._tracer.write("convolve", like, operands, None, {"geometry": geometry})

    def convolve_weights(self, images: Any, rows: Any, geometry: Geometry) -> Symbol:
        """Multiply the transposed patches of images with rows, as `convolve` returns them."""
        n_in = math.prod(geometry.size) * images.shape[-1]
        like = pattern((*rows.shape[:-2], n_in, rows.shape[-1]), rows.dtype)
        operands = images.value, rows.value
        return self._tracer.write("convolve_weights", like, operands, None, {"geometry": geometry})

    # New arrays

    def zeros(self, shape: Any, dtype: Any = None) -> Symbol:
        return self.full(shape, 0.0, dtype)

    def ones(self, shape: Any, dtype: Any = None) -> Symbol:
        return self.full(shape, 1.0, dtype)

    def full(self, shape: Any, fill_value: Any, dtype: Any = None) -> Symbol:
        shape = (shape,) if isinstance(shape, int) else shape
        if isinstance(fill_value, int | float):
            return self._tracer.constant(fill_value, shape, dtype)
        value = self._tracer.operand(fill_value)
        return self._tracer.write("copy", pattern(shape, dtype or self._tracer.dtype), (value,))

    def empty(self, shape: Any, dtype: Any = None) -> Symbol:
        return self.empty_like(self.zeros(shape, dtype))

    def zeros_like(self, x: Any, dtype: Any = None) -> Symbol:
        return self.full(x.shape, 0.0, dtype or x.dtype)

    def ones_like(self, x: Any, dtype: Any = None) -> Symbol:
        return self.full(x.shape, 1.0, dtype or x.dtype)

    def full_like(self, x: Any, fill_value: float, dtype: Any = None) -> Symbol:
        return self.full(x.shape, fill_value, dtype or x.dtype)

    def empty_like(self, x: Any) -> Symbol:
        return Symbol(self._tracer, self._tracer.temporary(self._tracer.symbol(x).value.like))

    def asarray(self, x: Any, dtype: Any = None, copy: Any = None) -> Symbol:
        if isinstance(x, int | float):
            return self.full((), x, dtype)
        found = self._tracer.symbol(x)
        result = found if dtype in (None, found.dtype) else self.astype(found, dtype)
        return self._tracer.copy(result) if copy and result is found else result

    array = asarray

    def astype(self, x: Any, dtype: Any, copy: bool = True) -> Symbol:
        x = self._tracer.symbol(x)
        return self._tracer.cast(x, dtype) if copy or x.dtype != dtype else x

    def result_type(self, *kinds: Any) -> np.dtype[Any]:
        return np.result_type(*(getattr(each, "dtype", each) for each in kinds))


sum_of = sum

# What the array API has no function for.
OWN_FUNCTIONS = frozenset(
    {
        "add_at",
        "convolve",
        "convolve_weights",
        "erf",
        "pad",
        "patches",
        "relu",
        "relu_gradient",
        "unpatches",
    }
)

_ALIASES = {
    "absolute": "abs",
    "true_divide": "divide",
}


def _not_recorded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy that refuses what is recorded."""

    def call(*arguments: Any, **options: Any) -> Any:
        given = [*arguments, *options.values()]
        parts = [part for each in given if isinstance(each, list | tuple) for part in each]
        if any(isinstance(each, Symbol | HostScalar) for each in (*given, *parts)):
            raise TracingError(f"it calls xp.{name}, which cannot be traced")
        return function(*arguments, **options)

    return call


# Exponents for which NumPy has a shorter way.
_POWERS = {1: "copy", 2: "square", 0.5: "sqrt", -1: "reciprocal"}
