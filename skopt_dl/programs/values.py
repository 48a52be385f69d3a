"""What instructions read and write: buffers, and views of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = Any
Step = tuple[str, Any]


def pattern(shape: Sequence[int], dtype: Any, order: Sequence[int] | None = None) -> np.ndarray:
    """Return an array without memory, of which only shape, dtype and strides mean anything.

    Parameters
    ----------
    shape : sequence of int
    dtype : dtype
    order : sequence of int, default=None
        Its axes from the outermost in memory to the innermost; None means as they are.
    """
    axes = range(len(shape)) if order is None else order
    return _pattern(tuple(shape), np.dtype(dtype), tuple(axes))


# Few of them are different, and NumPy takes some ten microseconds to make one.
@lru_cache(maxsize=4096)
def _pattern(shape: tuple[int, ...], dtype: np.dtype[Any], order: tuple[int, ...]) -> np.ndarray:
    strides = [0] * len(shape)
    size = dtype.itemsize
    for axis in reversed(order):
        strides[axis] = size
        size *= max(1, shape[axis])
    return as_strided(np.empty((), dtype), shape, strides, writeable=False)


def host_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the dtype of any library as NumPy's."""
    if isinstance(dtype, np.dtype):
        return dtype
    return np.dtype(str(dtype).rpartition(".")[2] if not isinstance(dtype, type) else dtype)


def order_of(like: np.ndarray) -> tuple[int, ...]:
    """Axes from the outermost in memory to the innermost; those of length 1 stay where they are."""
    return tuple(sorted(range(like.ndim), key=lambda axis: -like.strides[axis]))


class Buffer:
    """Memory of a program.

    Attributes
    ----------
    name : str
        Of what is handed in; empty for the program's own.
    like : ndarray
        A `pattern`: shape, dtype and layout.
    array : array or None
        What there is already: an array that was met while tracing, as a constant.
    """

    __slots__ = ("array", "like", "name")

    def __init__(self, like: np.ndarray, name: str = "", array: Array = None):
        self.like, self.name, self.array = like, name, array

    @property
    def is_own(self) -> bool:
        """Whether the program has to find memory for it."""
        return not self.name and self.array is None


class Value:
    """A buffer, or a view of one.

    Attributes
    ----------
    buffer : Buffer
    steps : tuple of (str, object)
        How the view comes from the buffer: ``("slice", key)``, ``("reshape", shape)``,
        ``("permute", axes)`` or ``("broadcast", shape)``, one after the other.
    like : ndarray
        A `pattern`: shape, dtype and strides.
    """

    __slots__ = ("buffer", "like", "steps")

    def __init__(
        self, buffer: Buffer, steps: tuple[Step, ...] = (), like: np.ndarray | None = None
    ):
        self.buffer, self.steps = buffer, steps
        self.like = buffer.like if like is None else like

    @property
    def shape(self) -> tuple[int, ...]:
        return self.like.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.like.dtype

    def may_overlap(self, other: Value) -> bool:
        """Whether another may have memory in common with it; exact where that is soon known."""
        same = self.buffer is other.buffer
        return same and bool(np.may_share_memory(self.like, other.like, 1000))  # type: ignore[arg-type]

    @property
    def is_whole(self) -> bool:
        """Whether it is the buffer itself."""
        return not self.steps

    def view(self, step: Step) -> Value | None:
        """The view after one more step; None where it takes a copy."""
        if step[0] == "reshape" and [name for name, _ in self.steps] == ["reshape"]:
            # As if the first had not been: back to the buffer itself, perhaps.
            whole = Value(self.buffer)
            return whole if step[1] == whole.shape else whole.view(step)
        try:
            like = VIEWS[step[0]](self.like, step[1])
        except ValueError:
            return None
        return Value(self.buffer, (*self.steps, step), like)


def _reshape(array: Any, shape: tuple[int, ...]) -> Any:
    return array.reshape(shape, copy=False) if type(array) is np.ndarray else array.reshape(shape)


VIEWS = {
    # An array even where each axis has an index: NumPy would make a number of it, which is a copy.
    "slice": lambda array, key: array[(*key, ...)],
    "reshape": _reshape,
    "permute": lambda array, axes: array.transpose(axes),
    "broadcast": lambda array, shape: np.broadcast_to(array, shape),
}


def resolve(xp: Any, steps: Sequence[Step], array: Array) -> Array:
    """Follow the steps of a view on an array of any library.

    Raises
    ------
    ValueError
        If the layout of a NumPy array is such that a view cannot be had.
    """
    for name, argument in steps:
        if name == "broadcast":
            array = xp.broadcast_to(array, argument)
        elif name == "permute":
            array = xp.permute_dims(array, argument)
        elif name == "reshape" and type(array) is not np.ndarray:
            array = xp.reshape(array, argument)
        else:
            array = VIEWS[name](array, argument)
    return array
