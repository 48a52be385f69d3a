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
from typing import Any

import numpy as np

from skopt_dl.programs.convolving import Geometry
from skopt_dl.programs.instructions import (
    BINARY,
    BOOLEAN,
    ELEMENTWISE,
    UNARY,
    Instruction,
    Operand,
    Program,
)
from skopt_dl.programs.memory import place
from skopt_dl.programs.values import Array, Buffer, Value, host_dtype, order_of, pattern

Backward = Callable[..., Sequence[Any]]


class TracingError(Exception):
    """Why some code cannot be traced."""


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
    backward : callable or None
        Gives the gradients of a component that knows its own derivative.
    """

    op: str
    out: Value
    inputs: tuple[Operand, ...]
    attributes: Mapping[str, Any]
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
        # Buffers that have views, and those that were written to more than once.
        self.viewed: set[Buffer] = set()
        self.mutated: set[Buffer] = set()
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

    def operand(self, value: Any) -> Operand:
        """Return what an instruction can have as an input."""
        if isinstance(value, Symbol):
            return value.value
        if isinstance(value, HostScalar):
            return value.value
        if isinstance(value, bool | int | float):
            return value
        if getattr(value, "shape", None) is not None and not isinstance(value, np.generic):
            return self._capture(value)
        if isinstance(value, np.generic):
            return self._capture(np.asarray(value))
        raise TracingError(f"it computes with an object of {type(value).__name__}")

    def _capture(self, array: Array) -> Value:
        """Return a constant: an array that is there while tracing, read when the program runs."""
        key = id(array)
        if key not in self._captured:
            like = pattern(array.shape, host_dtype(array.dtype))
            self._captured[key] = Value(Buffer(like, array=array))
        return self._captured[key]

    # What is done

    def emit(self, op: str, *inputs: Any, out: Symbol | None = None, **attributes: Any) -> Symbol:
        """Record an operation whose result has the shape that broadcasting its inputs gives."""
        operands = tuple(self.operand(each) for each in inputs)
        likes = [each.like for each in operands if isinstance(each, Value)]
        try:
            shape = np.broadcast_shapes(*(like.shape for like in likes))
        except ValueError as error:
            raise TracingError(str(error)) from error
        kinds = [each.dtype if isinstance(each, Value) else each for each in operands]
        kinds = kinds[1:] if op == "where" else kinds
        dtype = np.dtype(bool) if op in BOOLEAN else np.result_type(*kinds)
        if dtype.kind in "iub" and op in ("divide", "sqrt", "exp", "log", "tanh", "power"):
            dtype = self.dtype
        like = next((like for like in likes if like.shape == shape), None)
        order = None if like is None else order_of(like)
        return self.write(op, pattern(shape, dtype, order), operands, out, attributes)

    def write(
        self,
        op: str,
        like: np.ndarray,
        operands: tuple[Operand, ...],
        out: Symbol | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Symbol:
        """Record an operation with a result like a pattern, into `out` if there is one."""
        attributes = attributes or {}
        if out is None:
            value = self.temporary(like)
            self._record(op, value, operands, attributes)
            return Symbol(self, value)
        if out.shape != like.shape:
            raise TracingError(f"it writes shape {like.shape} into an array of shape {out.shape}")
        known = out.value
        rebinds = self._is_plain_temporary(known) and known.dtype == like.dtype
        if rebinds:
            value = self.temporary(known.like)
        else:
            value = out.writable().value
            if value.buffer.is_own:
                self.mutated.add(value.buffer)
        self._record(op, value, operands, attributes)
        if rebinds:
            out.value = value
        return out

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
        if self._taping:
            self.tape.append(Node(op, out, inputs, attributes))

    def view(self, symbol: Symbol, name: str, argument: Any) -> Symbol:
        """Return a view of an array, or a copy with a view where there can be no view."""
        if name in ("reshape", "broadcast") and argument == symbol.shape:
            return symbol
        try:
            value = symbol.value.view((name, argument))
        except (IndexError, TypeError) as error:
            raise TracingError(f"it takes parts of an array: {error}") from error
        if value is None:
            return self.view(self.copy(symbol), name, argument)
        self.viewed.add(value.buffer)
        if self._taping:
            self.tape.append(Node(name, value, (symbol.value,), {"argument": argument}))
        return Symbol(self, value)

    def copy(self, symbol: Symbol, out: Symbol | None = None) -> Symbol:
        """Return a copy, whose axes lie in memory as they are."""
        like = pattern(symbol.shape, symbol.value.dtype)
        return self.write("copy", like, (symbol.value,), out)

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
        value = symbol.value
        if not self._is_plain_temporary(value) or value.dtype != target.dtype:
            self.copy(symbol, target)
            return
        # Whoever reads the result finds it there.
        value.buffer, value.steps, value.like = (
            target.value.buffer,
            target.value.steps,
            target.value.like,
        )

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
        with self.untaped():
            out = forward(*inputs)
        if self._taping:
            values = tuple(self.operand(each) for each in inputs)
            self.tape.append(Node("custom", out.value, values, {}, backward))
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

    def program(self) -> Program:
        """What was recorded, with a place for everything."""
        instructions = tuple(self.instructions)
        places, n_bytes = place(instructions)
        return Program(instructions, self.inputs, places, n_bytes, self.scalars, tuple(self.opaque))


class HostScalar:
    """A number that follows from that of the step, computed on the host before each step."""

    __array_ufunc__ = None

    def __init__(self, tracer: Tracer, function: Callable[[int], float]):
        self._tracer, self._function = tracer, function
        self._value: Value | None = None

    @property
    def value(self) -> Value:
        """The input of the program that it becomes where it meets an array."""
        if self._value is None:
            name = f"scalar {len(self._tracer.scalars)}"
            self._tracer.scalars[name] = self._function
            self._value = self._tracer.given(name, ()).value
        return self._value

    def _combine(self, function: Callable[[Any, Any], Any], op: str, a: Any, b: Any) -> Any:
        if any(isinstance(each, bool | int | float | HostScalar) is False for each in (a, b)):
            return self._tracer.emit(op, a, b)
        first, second = _function_of(a), _function_of(b)
        return HostScalar(self._tracer, lambda number: function(first(number), second(number)))

    def __neg__(self) -> HostScalar:
        return HostScalar(self._tracer, lambda number: -self._function(number))

    def _refuse(self, *_: Any) -> Any:
        raise TracingError("it asks for the number of the step")

    __bool__ = __float__ = __int__ = __index__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __mod__ = __floordiv__ = _refuse
    __hash__ = object.__hash__


def _function_of(value: Any) -> Callable[[int], float]:
    return value._function if isinstance(value, HostScalar) else lambda number: value


class Symbol:
    """What array code gets in place of an array ``(K, …)``."""

    __slots__ = ("_tracer", "value")
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

    def __array_namespace__(self, api_version: Any = None) -> Namespace:
        return self._tracer.xp

    @property
    def mT(self) -> Symbol:  # noqa: N802
        axes = (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2)
        return self._tracer.view(self, "permute", axes)

    T = mT

    def reshape(self, *shape: Any) -> Symbol:
        return self._tracer.xp.reshape(self, shape[0] if len(shape) == 1 else shape)

    def copy(self) -> Symbol:
        return self._tracer.copy(self)

    def astype(self, dtype: Any) -> Symbol:
        return self._tracer.xp.astype(self, dtype)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return self._tracer.xp.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return self._tracer.xp.mean(self, axis=axis, keepdims=keepdims)

    def writable(self) -> Symbol:
        """This array itself, with memory that can be written to."""
        value = self.value
        if value.buffer.array is not None:
            self.value = self._tracer.fill(value.like, value.buffer.array).value
        return self

    def __getitem__(self, key: Any) -> Symbol:
        keys = key if isinstance(key, tuple) else (key,)
        if not all(each is None or each is ... or isinstance(each, int | slice) for each in keys):
            raise TracingError("it takes elements by an array of indices or a mask")
        return self._tracer.view(self, "slice", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        whole = key is ... or key == slice(None)
        target = self if whole else self.writable()[key]
        if isinstance(value, Symbol) and value.value.is_same(target.value):
            return
        operand = self._tracer.operand(value)
        shape = operand.shape if isinstance(operand, Value) else ()
        if np.broadcast_shapes(shape, target.shape) != target.shape:
            raise TracingError(f"it writes shape {shape} into an array of shape {target.shape}")
        self._tracer.write("copy", target.value.like, (operand,), target)

    def __neg__(self) -> Symbol:
        return self._tracer.emit("negative", self)

    def __pos__(self) -> Symbol:
        return self

    def __abs__(self) -> Symbol:
        return self._tracer.emit("abs", self)

    def __invert__(self) -> Symbol:
        return self._tracer.emit("logical_not", self)

    def __matmul__(self, other: Any) -> Symbol:
        return self._tracer.xp.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Symbol:
        return self._tracer.xp.matmul(other, self)

    def __len__(self) -> int:
        return self.shape[0]

    def _refuse(self, *_: Any) -> Any:
        raise TracingError("it asks for the values of an array")

    __bool__ = __float__ = __int__ = __index__ = __iter__ = __array__ = _refuse
    __hash__ = object.__hash__


_OPERATORS = {
    "add": ("add", operator.add),
    "sub": ("subtract", operator.sub),
    "mul": ("multiply", operator.mul),
    "truediv": ("divide", operator.truediv),
    "pow": ("power", operator.pow),
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
    "and": "logical_and",
    "or": "logical_or",
}


def _add_operators(name: str, op: str, function: Callable[[Any, Any], Any]) -> None:
    def forward(self: Symbol, other: Any) -> Symbol:
        return getattr(self._tracer.xp, op)(self, other)

    def reflected(self: Symbol, other: Any) -> Symbol:
        return getattr(self._tracer.xp, op)(other, self)

    def in_place(self: Symbol, other: Any) -> Symbol:
        return getattr(self._tracer.xp, op)(self, other, out=self)

    def forward_scalar(self: HostScalar, other: Any) -> Any:
        return self._combine(function, op, self, other)

    def reflected_scalar(self: HostScalar, other: Any) -> Any:
        return self._combine(function, op, other, self)

    setattr(Symbol, f"__{name}__", forward)
    setattr(Symbol, f"__r{name}__", reflected)
    setattr(Symbol, f"__i{name}__", in_place)
    setattr(HostScalar, f"__{name}__", forward_scalar)
    setattr(HostScalar, f"__r{name}__", reflected_scalar)


def _add_comparison(name: str, op: str) -> None:
    def compare(self: Symbol, other: Any) -> Symbol:
        return self._tracer.emit(op, self, other)

    setattr(Symbol, f"__{name}__", compare)


for _name, (_op, _function) in _OPERATORS.items():
    _add_operators(_name, _op, _function)
for _name, _op in _COMPARISONS.items():
    _add_comparison(_name, _op)


class Namespace:
    """Array functions that record, under the names of the array API and of NumPy.

    Functions that are not known here are called with real arrays if none of their arguments is
    recorded.
    """

    pi, e, inf, nan, newaxis = np.pi, np.e, np.inf, np.nan, None
    float32, float64, int64, bool = np.float32, np.float64, np.int64, np.bool_

    def __init__(self, tracer: Tracer):
        self._tracer = tracer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = _ALIASES.get(name, name)
        if op not in UNARY and op not in BINARY:
            raise TracingError(f"it calls xp.{name}, which cannot be traced")
        n_inputs = 1 if op in UNARY else 2

        def record(*arguments: Any, out: Any = None) -> Symbol:
            if len(arguments) > n_inputs:
                *arguments, out = arguments  # type: ignore[assignment]
            return self._tracer.emit(op, *arguments, out=out)

        self.__dict__[name] = record
        return record

    def power(self, x: Any, exponent: Any, out: Any = None) -> Any:
        # As NumPy does it with numbers of Python.
        short = _POWERS.get(exponent) if isinstance(exponent, int | float) else None
        if short == "copy":
            return self._tracer.copy(x) if out is None else self._tracer.copy(x, out)
        if short is not None:
            return self._tracer.emit(short, x, out=out)
        return self._tracer.emit("power", x, exponent, out=out)

    pow = power

    def where(self, condition: Any, x: Any, y: Any, out: Any = None) -> Symbol:
        if isinstance(condition, Symbol) and condition.dtype != np.dtype(np.bool_):
            condition = condition != 0
        return self._tracer.emit("where", condition, x, y, out=out)

    def clip(self, x: Any, min: Any = None, max: Any = None, out: Any = None) -> Symbol:
        low = -np.inf if min is None else min
        return self._tracer.emit("clip", x, low, np.inf if max is None else max, out=out)

    # Reductions

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        return self._reduce("sum", x, axis, keepdims, out)

    def max(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        return self._reduce("max", x, axis, keepdims, out)

    def min(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        return self._reduce("min", x, axis, keepdims, out)

    any, all = max, min

    def mean(self, x: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Symbol:
        total = self.sum(x, axis, keepdims)
        return self.divide(total, float(x.size // total.size), out=out)

    def var(self, x: Any, axis: Any = None, keepdims: bool = False) -> Symbol:
        return self.mean(self.square(x - self.mean(x, axis, True)), axis, keepdims)

    def std(self, x: Any, axis: Any = None, keepdims: bool = False) -> Symbol:
        return self.sqrt(self.var(x, axis, keepdims))

    def _reduce(self, op: str, x: Symbol, axis: Any, keepdims: bool, out: Any) -> Symbol:
        given = range(x.ndim) if axis is None else axis
        axes = (given,) if isinstance(given, int) else given
        axes = tuple(sorted(each % x.ndim for each in axes))
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        like = pattern(kept, x.dtype, order_of(x.value.like))
        if keepdims:
            return self._tracer.write(op, like, (x.value,), out, {"axes": axes})
        result = self._tracer.write(op, like, (x.value,), None, {"axes": axes})
        result = self.reshape(result, tuple(n for i, n in enumerate(x.shape) if i not in axes))
        return result if out is None else self._tracer.copy(result, out)

    def vecdot(self, a: Any, b: Any, out: Any = None) -> Symbol:
        first, second = self._tracer.operand(a), self._tracer.operand(b)
        assert isinstance(first, Value) and isinstance(second, Value)
        shape = np.broadcast_shapes(first.shape, second.shape)[:-1]
        return self._tracer.write("vecdot", pattern(shape, first.dtype), (first, second), out)

    # Products

    def matmul(self, a: Any, b: Any, out: Any = None) -> Symbol:
        first, second = self._tracer.operand(a), self._tracer.operand(b)
        if not (isinstance(first, Value) and isinstance(second, Value)):
            raise TracingError("it multiplies a matrix with a number")
        if first.like.ndim < 2 or second.like.ndim < 2 or first.shape[-1] != second.shape[-2]:
            raise TracingError(f"it multiplies shapes {first.shape} and {second.shape}")
        batch = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
        shape = (*batch, first.shape[-2], second.shape[-1])
        dtype = np.result_type(first.dtype, second.dtype)
        return self._tracer.write("matmul", pattern(shape, dtype), (first, second), out)

    # Shapes

    def reshape(self, x: Any, shape: Any) -> Symbol:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if -1 in shape:
            rest = -int(np.prod(shape))
            shape = tuple(x.size // max(1, rest) if n == -1 else n for n in shape)
        if math.prod(shape) != x.size:
            raise TracingError(f"it reshapes {x.shape} to {shape}")
        return self._tracer.view(x, "reshape", shape)

    def permute_dims(self, x: Any, axes: Sequence[int]) -> Symbol:
        return self._tracer.view(x, "permute", tuple(axis % x.ndim for axis in axes))

    def matrix_transpose(self, x: Any) -> Symbol:
        return x.mT

    def moveaxis(self, x: Any, source: int, destination: int) -> Symbol:
        axes = [axis for axis in range(x.ndim) if axis != source % x.ndim]
        axes.insert(destination % x.ndim, source % x.ndim)
        return self.permute_dims(x, axes)

    def broadcast_to(self, x: Any, shape: Sequence[int]) -> Symbol:
        return self._tracer.view(x, "broadcast", tuple(shape))

    def expand_dims(self, x: Any, axis: int = 0) -> Symbol:
        shape = list(x.shape)
        shape.insert(axis % (x.ndim + 1), 1)
        return self.reshape(x, shape)

    def squeeze(self, x: Any, axis: Any) -> Symbol:
        axes = {each % x.ndim for each in ((axis,) if isinstance(axis, int) else axis)}
        return self.reshape(x, [n for i, n in enumerate(x.shape) if i not in axes])

    def concat(self, arrays: Sequence[Any], axis: int = 0) -> Symbol:
        values = [self._tracer.operand(each) for each in arrays]
        likes = [value.like for value in values if isinstance(value, Value)]
        axis = axis % likes[0].ndim
        others = [(*like.shape[:axis], 1, *like.shape[axis + 1 :]) for like in likes]
        shape = list(np.broadcast_shapes(*others))
        shape[axis] = sum_of(like.shape[axis] for like in likes)
        dtype = np.result_type(*(like.dtype for like in likes))
        return self._tracer.write("concat", pattern(shape, dtype), (*values,), None, {"axis": axis})

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
        if axis != 1 or x.ndim != 3 or not isinstance(indices, Symbol):
            raise TracingError("it takes elements by indices along another axis than the first")
        n_models = np.broadcast_shapes(x.shape[:1], indices.shape[:1])[0]
        like = pattern((n_models, *indices.shape[1:], x.shape[2]), x.dtype)
        return self._tracer.write("take", like, (x.value, indices.value))

    def add_at(self, like: Any, indices: Any, rows: Any) -> Symbol:
        """Add rows to zeros like a table, each to the row that its index says."""
        if not rows.value.like.flags.c_contiguous:
            rows = self._tracer.copy(rows)
        pattern_ = pattern(like.shape, rows.dtype)
        return self._tracer.write("add_at", pattern_, (indices.value, rows.value))

    def patches(self, x: Any, size: tuple[int, int], stride: tuple[int, int]) -> Symbol:
        """Cut images, ``(…, height, width, channels)``, into patches that may overlap.

        Returns
        -------
        patches : array of shape (…, n_vertical, n_horizontal, *size, channels)
        """
        *front, height, width, channels = x.shape
        down, across = (
            (n - k) // s + 1 for n, k, s in zip((height, width), size, stride, strict=True)
        )
        like = pattern((*front, down, across, *size, channels), x.dtype)
        return self._tracer.write("patches", like, (x.value,), None, {"stride": stride})

    def unpatches(self, patches: Any, shape: Sequence[int], stride: tuple[int, int]) -> Symbol:
        """Add up patches where they were cut from images of this shape."""
        like = pattern(shape, patches.dtype)
        return self._tracer.write("unpatches", like, (patches.value,), None, {"stride": stride})

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

    def full(self, shape: Any, fill_value: float, dtype: Any = None) -> Symbol:
        shape = (shape,) if isinstance(shape, int) else shape
        return self._tracer.constant(fill_value, shape, dtype)

    def empty(self, shape: Any, dtype: Any = None) -> Symbol:
        shape = (shape,) if isinstance(shape, int) else shape
        return self.empty_like(self.zeros(shape, dtype))

    def zeros_like(self, x: Any) -> Symbol:
        return self.full(x.shape, 0.0, x.dtype)

    def ones_like(self, x: Any) -> Symbol:
        return self.full(x.shape, 1.0, x.dtype)

    def full_like(self, x: Any, fill_value: float) -> Symbol:
        return self.full(x.shape, fill_value, x.dtype)

    def empty_like(self, x: Any) -> Symbol:
        return Symbol(self._tracer, self._tracer.temporary(x.value.like))

    def asarray(self, x: Any, dtype: Any = None, copy: Any = None) -> Any:
        if isinstance(x, int | float):
            return self.full((), x, dtype)
        result = x if dtype is None else self.astype(x, dtype)
        return self._tracer.copy(result) if copy and result is x else result

    def astype(self, x: Any, dtype: Any, copy: bool = True) -> Symbol:
        like = pattern(x.shape, np.dtype(dtype), order_of(x.value.like))
        return self._tracer.write("copy", like, (x.value,))


sum_of = sum

# What the array API has no function for.
OWN_FUNCTIONS = frozenset(
    {
        "add_at",
        "convolve",
        "convolve_weights",
        "erf",
        "patches",
        "relu",
        "relu_gradient",
        "unpatches",
    }
)

_ALIASES = {
    "absolute": "abs",
    "true_divide": "divide",
    "rectify": "relu",
    "rectify_gradient": "relu_gradient",
}
# Exponents for which NumPy has a shorter way.
_POWERS = {1: "copy", 2: "square", 0.5: "sqrt", -1: "reciprocal"}
