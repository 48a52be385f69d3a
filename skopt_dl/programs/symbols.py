"""What array code is called with in place of arrays, and of the number of a step."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from skopt_dl.programs.values import Value


class TracingError(Exception):
    """Why some code cannot be traced."""


class MissingError(TracingError, AttributeError):
    """Something that is not there while tracing, so that ``hasattr`` says no."""


class HostScalar:
    """A number that follows from that of the step, computed on the host before each step.

    Sums and functions of it are those of Python floats. Where it meets an array it becomes an
    input of the program, and counts as a number of Python: the array's dtype is the result's.
    """

    __array_ufunc__ = None

    def __init__(self, tracer: Any, function: Callable[[int], float]):
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
        if not all(isinstance(each, NUMBERS) for each in operands):
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
NUMBERS = (bool, int, float, HostScalar)


def on_host(tracer: Any, op: str, inputs: Sequence[Any]) -> Any:
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


def kind_of(operand: Any) -> Any:
    """What the dtype of a result follows from: an array's dtype, or a number."""
    if isinstance(operand, Value):
        return operand.dtype
    return 1.0 if isinstance(operand, HostScalar) else operand


class Symbol:
    """What array code gets in place of an array ``(K, …)``."""

    __slots__ = ("_tracer", "value")
    # Arrays of all libraries then leave operators to this class.
    __array_ufunc__ = None

    def __init__(self, tracer: Any, value: Value):
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

    def __array_namespace__(self, api_version: Any = None) -> Any:
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
            check_broadcast(operand.shape, target.shape)
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


def check_broadcast(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
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
