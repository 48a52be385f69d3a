"""The operations that differ between array libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

Array = Any

# Where the array API has another name than NumPy.
_STANDARD_NAMES = {"power": "pow"}


class Backend:
    """Operations written with the array API, plus ``out=``.

    A subclass names its namespace and overrides what its library does better or differently.

    Attributes
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``; what estimators report as ``device_``.
    patch_bytes : int
        How large the patches of images are that are made at a time: about a second-level cache.
    edition : str
        What the last bit of a result depends on, besides NumPy and the processor.
    part_bytes : int
        How many bytes of an array elementwise functions are best given at a time; 0 means all.
    xp : namespace
        The array functions: ``multiply``, ``matmul``, … all taking ``out=``.
    """

    device: str = "cpu"
    patch_bytes: int = 1 << 19
    edition: str = ""
    part_bytes: int = 0
    xp: Any

    def asarray(self, array: Array, dtype: Any = None) -> Array:
        """Return `array` on this backend's device; no copy where none is needed."""
        return self.xp.asarray(array, dtype=dtype)

    def sparse(self, matrix: Any) -> Any:
        """Return a SciPy CSR matrix as this library's own."""
        return matrix

    def empty(self, shape: tuple[int, ...], like: Array) -> Array:
        """Return an uninitialised array with the dtype and device of `like`."""
        return self.xp.empty(shape, dtype=like.dtype)

    def zeros(self, shape: tuple[int, ...], like: Array) -> Array:
        """Return zeros with the dtype and device of `like`."""
        return self.xp.zeros(shape, dtype=like.dtype)

    def ones(self, shape: tuple[int, ...], like: Array) -> Array:
        """Return ones with the dtype and device of `like`."""
        return self.xp.ones(shape, dtype=like.dtype)

    def scalar(self, value: float, like: Array) -> Array:
        """Return a 0-d array with the dtype and device of `like`.

        Calls with one are faster than with a Python number, which is converted each time; on a
        GPU it can be changed without waiting.
        """
        return self.asarray(value, dtype=like.dtype)

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return `array` as a NumPy array; waits for the device."""
        return np.asarray(array)

    def fetch(self, *arrays: Array) -> list[np.ndarray]:
        """Bring small results to the host: the loop's one synchronisation an epoch."""
        return [self.to_numpy(array) for array in arrays]

    def contiguous(self, array: Array) -> Array:
        """Return an array whose last axis is contiguous; a copy where it is not."""
        return self.xp.asarray(array, copy=True)

    def take(self, array: Array, indices: np.ndarray, out: Array, axis: int = 0) -> None:
        """Gather along an axis into `out`; `indices` are in range."""
        xp, flat = self.xp, self.xp.reshape(self.asarray(indices), (-1,))
        out[...] = xp.reshape(xp.take(array, flat, axis=axis), out.shape)

    def prepare(
        self, function: Callable[..., Any], *inputs: Array, out: Array
    ) -> Callable[[], Any]:
        """Bind a function to its inputs and output; call the result to compute it."""
        return partial(function, *inputs, out=out)

    def product(self, a: Array, b: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product of each ``a[k]`` with ``b[k]``; call the result to compute it."""
        return self.prepare(self.xp.matmul, a, b, out=out)

    def product_tn(self, a: Array, b: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product of each ``a[k].T`` with ``b[k]``."""
        return self.product(a.mT, b, out)

    def product_nt(self, a: Array, b: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product of each ``a[k]`` with ``b[k].T``."""
        return self.product(a, b.mT, out)

    def together(self, operations: Sequence[Sequence[Callable[[], Any]]]) -> Callable[[], Any]:
        """Prepare lists of calls that do not depend on each other; call the result for all."""
        return partial(run_all, [call for calls in operations for call in calls])

    def cut_patches(
        self, images: Array, out: Array, stride: tuple[int, int]
    ) -> list[Callable[[], Any]]:
        """Prepare copies of images' patches.

        Parameters
        ----------
        images : array of shape (…, height, width, channels)
        out : array of shape (…, n_vertical, n_horizontal, *size, channels)
        stride : (int, int)
        """
        return [partial(self.copy, patch, image) for image, patch in corners(images, out, stride)]

    def rectify(self, x: Array, out: Array) -> Callable[[], Any]:
        """Prepare the maximum of `x` and zero."""
        return partial(self.xp.maximum, x, 0.0, out=out)

    def rectify_gradient(
        self, delta: Array, rectified: Array, out: Array
    ) -> list[Callable[[], Any]]:
        """Prepare `delta` where `rectified`, which is not negative, is positive, and 0 elsewhere.

        `out` may be `rectified`, but not `delta`.
        """
        xp = self.xp
        return [lambda: xp.multiply(delta, xp.astype(rectified > 0, delta.dtype), out=out)]

    def row_max(self, x: Array, out: Array = None) -> Array:
        """Maximum over the last axis, which is kept with length 1."""
        return self.xp.max(x, axis=-1, keepdims=True, out=out)

    def row_sum(self, x: Array, out: Array) -> Callable[[], Any]:
        """Prepare the sum over the last axis, kept with length 1, of ``(K, n_rows, n)``."""
        return partial(self.xp.sum, x, axis=-1, keepdims=True, out=out)

    def function(self, name: str) -> Callable[..., Any]:
        """The function for an elementwise instruction of `skopt_dl.programs`, with ``out=``."""
        return self.erf if name == "erf" else getattr(self.xp, _STANDARD_NAMES.get(name, name))

    def copy(self, out: Array, array: Array) -> None:
        """Write an array, broadcast where it is smaller, to `out`, in the dtype of that."""
        if array.dtype != out.dtype:
            array = self.xp.astype(array, out.dtype)
        out[...] = array

    def where(self, condition: Array, x: Array, y: Array, out: Array) -> None:
        """Write `x` where the condition holds, and `y` elsewhere."""
        out[...] = self.xp.where(condition, x, y)

    def add_at(self, table: Array, indices: Array, rows: Array) -> None:
        """Add rows, ``(…, m)``, each to that of a table, ``(n, m)``, which its index says."""
        xp = self.xp
        indices, rows = xp.reshape(indices, (-1,)), xp.reshape(rows, (-1, rows.shape[-1]))
        for place in range(rows.shape[0]):
            table[int(indices[place]), :] += rows[place, :]

    def memory(self, n_bytes: int, like: Array) -> Any:
        """Return memory to `cut`, on the device of `like`."""
        return {}, like

    def cut(self, memory: Any, start: int, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array in `memory`, from the byte `start` on.

        Without views of memory under another dtype, the same array for the same arguments.
        """
        arrays, like = memory
        key = start, shape, str(dtype)
        if key not in arrays:
            fresh = self.empty if dtype == like.dtype else self.zeros
            arrays[key] = self.xp.astype(fresh(shape, like=like), dtype)
        return arrays[key]

    def sum_on(self, terms: Array, total: Array | None) -> Array:
        """Sum over the first axis, ``(n, K)``, added to the `total` of what came before, if any."""
        part = self.xp.sum(terms, axis=0)
        return part if total is None else total + part

    def rows_are_finite(self, array: Array) -> Array:
        """Whether all of each row is finite, ``(K,)`` for ``(K, P)``."""
        xp = self.xp
        return xp.all(xp.isfinite(array), axis=1)

    def row_dot(self, a: Array, b: Array, out: Array = None) -> Array:
        """Scalar product over the last axis, ``(K,)`` for ``(K, P)``."""
        return self.xp.vecdot(a, b, out=out)

    def erf(self, x: Array, out: Array) -> None:
        """Error function, which the array API lacks."""
        raise NotImplementedError(f"{type(self).__name__} has no error function.")

    def quiet(self) -> AbstractContextManager[Any]:
        """Silence floating-point warnings: overflow is found, and reported, once an epoch."""
        return nullcontext()


def run_all(calls: Sequence[Callable[[], Any]]) -> None:
    """Make some calls, one after the other."""
    for call in calls:
        call()


def corners(images: Array, patches: Array, stride: tuple[int, int]) -> list[tuple[Array, Array]]:
    """For each element of a patch: where it is in the images, and in the patches."""
    down, across, high, wide = patches.shape[-5:-1]
    last = stride[0] * (down - 1) + 1, stride[1] * (across - 1) + 1
    return [
        (
            images[..., i : i + last[0] : stride[0], j : j + last[1] : stride[1], :],
            patches[..., i, j, :],
        )
        for i in range(high)
        for j in range(wide)
    ]
