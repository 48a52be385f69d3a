"""NumPy on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skopt_dl.backends._base import Array, Backend, run_all
from skopt_dl.backends._tiles import Tiled, tiles

# For floats of so many bytes: integers of their size, and the place of the sign.
_BITS: dict[int, tuple[Any, np.ndarray]] = {
    4: (np.int32, np.array(31, np.int32)),
    8: (np.int64, np.array(63, np.int64)),
}
# Numbers in a row of a patch from which on a row is copied at once.
MIN_RUN = 8
# Bytes of an array from which on it begins where a line of the cache does.
WORTH_A_PLACE = 1024


class NumPyBackend(Backend):
    """NumPy arrays; products run on NumPy's BLAS."""

    device = "cpu"
    # The few arrays of an update then stay in a cache near the processor, and a call still takes
    # far longer than it takes to begin.
    part_bytes = 256 * 1024
    xp = np

    def contiguous(self, array: Array) -> Array:
        return np.ascontiguousarray(array)

    def take(self, array: Array, indices: np.ndarray, out: Array, axis: int = 0) -> None:
        # mode="clip" writes straight into `out`; the default checks bounds through a buffer.
        array.take(indices, axis, out, "clip")

    def prepare(
        self, function: Callable[..., Any], *inputs: Array, out: Array
    ) -> Callable[[], Any]:
        # By position: a keyword would have partial make a dictionary at every call. These two warn.
        if function is np.maximum or function is np.minimum:
            return partial(function, *inputs, out=out)
        return partial(function, *inputs, out)

    def product(self, a: Array, b: Array, out: Array) -> Callable[[], Any]:
        cut = tiles(out.shape[1], a.shape[2], out.shape[2])
        if len(cut) > 1:
            parts = [(a[:, i, :], b[:, :, j], out[:, i, j]) for i, j in cut]
            return Tiled([self.prepare(np.matmul, *factors, out=tile) for *factors, tile in parts])
        one = a.shape[0] == b.shape[0] == 1
        # A third of a microsecond less than matmul, which matters to small networks. The bits are
        # the same, but for factors with gaps, which it would copy.
        if one and out[0].flags.c_contiguous and a[0].flags.forc and b[0].flags.forc:
            return self.prepare(np.dot, a[0], b[0], out=out[0])
        return self.prepare(np.matmul, a, b, out=out)

    def together(self, operations: Sequence[Sequence[Callable[[], Any]]]) -> Callable[[], Any]:
        return Tiled([partial(run_all, calls) for calls in operations])

    def cut_patches(
        self, images: Array, out: Array, stride: tuple[int, int]
    ) -> list[Callable[[], Any]]:
        size = out.shape[-3:-1]
        # The pixels beside each other in a patch are so in the image too: runs that long are
        # copied in a third of the time that those of one pixel take.
        if size[1] * out.shape[-1] < MIN_RUN:
            return super().cut_patches(images, out, stride)
        seen = sliding_window_view(images, size, axis=(-3, -2))[
            ..., :: stride[0], :: stride[1], :, :, :
        ]
        return [partial(np.copyto, out, np.moveaxis(seen, -3, -1))]

    def rectify(self, x: Array, out: Array) -> Callable[[], Any]:
        # NumPy's clip loop is three times as fast as its maximum, but takes longer to start. They
        # differ for minus zero, which a sum with a bias is not.
        if x.size < 2048:
            return partial(np.maximum, x, 0.0, out=out)
        return partial(x.clip, 0.0, np.inf, out)

    def rectify_gradient(
        self, delta: Array, rectified: Array, out: Array
    ) -> list[Callable[[], Any]]:
        # By bits, in two thirds of the time of a product with booleans: negated and shifted down,
        # the bits of a positive number are all ones, and those of zero all zeros.
        integer, sign_bit = _BITS[delta.dtype.itemsize]
        bits = out.view(integer)
        return [
            partial(np.negative, rectified.view(integer), bits),
            partial(np.right_shift, bits, sign_bit, bits),
            partial(np.bitwise_and, bits, delta.view(integer), bits),
        ]

    def row_max(self, x: Array, out: Array = None) -> Array:
        # The ufunc itself, without the microsecond that the function around it takes.
        return np.maximum.reduce(x, axis=-1, keepdims=True, out=out)

    def row_sum(self, x: Array, out: Array) -> Callable[[], Any]:
        # One after the other, which is what reduce does where the rows are neighbours in memory,
        # but for a single one.
        if x.shape[-2] > 1:
            return partial(np.add.reduce, x, -1, None, out, True)
        sums = np.empty_like(x)

        def add_up() -> None:
            np.add.accumulate(x, -1, None, sums)
            np.copyto(out, sums[..., -1:])

        return add_up

    def copy(self, out: Array, array: Array) -> None:
        np.copyto(out, array, casting="unsafe")

    def where(self, condition: Array, x: Array, y: Array, out: Array) -> None:
        np.copyto(out, y)
        np.copyto(out, x, where=condition)

    def add_at(self, table: Array, indices: Array, rows: Array) -> None:
        # Column by column, which is many times as fast as whole rows, and takes no memory.
        for column in range(table.shape[1]):
            np.add.at(table[:, column], indices, rows[..., column])

    def empty(self, shape: tuple[int, ...], like: Array) -> Array:
        n_bytes = math.prod(shape) * like.itemsize
        if n_bytes < WORTH_A_PLACE:
            return np.empty(shape, like.dtype)
        return np.ndarray(shape, like.dtype, self.memory(n_bytes, like))

    def zeros(self, shape: tuple[int, ...], like: Array) -> Array:
        array = self.empty(shape, like)
        array.fill(0)
        return array

    def memory(self, n_bytes: int, like: Array) -> Any:
        # Whole cache lines: vector instructions are slower across two of them.
        block = np.empty(n_bytes + 64, np.uint8)
        start = -block.__array_interface__["data"][0] % 64
        return block[start : start + n_bytes]

    def cut(self, memory: Any, start: int, shape: tuple[int, ...], dtype: Any) -> Array:
        return np.ndarray(shape, dtype, memory, start)

    def fetch(self, *arrays: Array) -> list[np.ndarray]:
        return list(arrays)

    def sum_on(self, terms: Array, total: Array | None) -> Array:
        # One after the other: reduce would add up one model's in pairs.
        if total is not None:
            terms = np.concatenate([total[None], terms])
        return np.add.accumulate(terms, axis=0)[-1]

    def rows_are_finite(self, array: Array) -> Array:
        # The ufuncs themselves, in half the time of the functions around them.
        return np.logical_and.reduce(np.isfinite(array), axis=1)

    # The ufunc itself, since a method around it would take as long again.
    row_dot: Any = staticmethod(np.vecdot)

    def erf(self, x: Array, out: Array) -> None:
        from scipy.special import erf

        erf(x, out=out)

    def quiet(self) -> AbstractContextManager[Any]:
        return np.errstate(all="ignore")
