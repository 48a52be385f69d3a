"""The array functions of traced code."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from skopt_dl.programs.convolving import Geometry
from skopt_dl.programs.instructions import BINARY, UNARY
from skopt_dl.programs.symbols import (
    HostScalar,
    MissingError,
    Symbol,
    TracingError,
    check_broadcast,
)
from skopt_dl.programs.values import order_of, pattern


class Namespace:
    """Array functions that record, under the names of the array API and of NumPy.

    Besides these there are ``relu``, ``relu_gradient``, ``erf``, and the movements ``pad``,
    ``patches``, ``unpatches`` and ``add_at``. What is not known here is NumPy's, and computed while
    tracing, if none of its arguments is recorded.
    """

    pi, e, inf, nan, newaxis = np.pi, np.e, np.inf, np.nan, None

    def __init__(self, tracer: Any):
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
        return self.divide(total, float(self._tracer.symbol(x).size // max(1, total.size)), out=out)

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
            rest = -math.prod(shape)
            shape[shape.index(-1)] = x.size // rest if rest else 0
        if math.prod(shape) != x.size or min(shape, default=0) < 0:
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
        check_broadcast(x.shape, shape)
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

    def take(
        self, x: Any, indices: Any, axis: int | None = None, *, out: Symbol | None = None
    ) -> Symbol:
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
        return self._tracer.write("take", like, (x.value, indices.value), out)

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
