"""A batch of samples as the left operand of a layer's products, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.backends import Backend

Array = Any


class DenseRows:
    """Rows in one array, ``(K, n_rows, n)``, or ``(1, n_rows, n)`` shared by all models."""

    def __init__(self, b: Backend, array: Array):
        self._b = b
        self._array = array

    def product(self, weights: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product with ``weights``, ``(K, n, n_out)``."""
        return self._b.product(self._array, weights, out)

    def transposed_product(self, delta: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product of the transposed rows with ``delta``, ``(K, n_rows, n_out)``."""
        return self._b.product_tn(self._array, delta, out)


class SparseRows:
    """Rows in a CSR matrix for each model, or one shared by all: products skip the zeros."""

    def __init__(self, matrices: Sequence[Any]):
        self._matrices = matrices

    def product(self, weights: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product with ``weights``, ``(K, n, n_out)``."""
        return partial(self._multiply, self._matrices, weights, out)

    def transposed_product(self, delta: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product of the transposed rows with ``delta``, ``(K, n_rows, n_out)``."""
        return partial(self._multiply, [matrix.T for matrix in self._matrices], delta, out)

    @staticmethod
    def _multiply(matrices: Sequence[Any], right: Array, out: Array) -> None:
        for k in range(out.shape[0]):
            out[k] = matrices[k % len(matrices)] @ right[k]


class Block(NamedTuple):
    """Consecutive batches that are made ready together.

    Parameters
    ----------
    rows : slice or ndarray of int of shape (K, n_rows)
        Rows used where they lie, by all models; or the rows of each model.
    sizes : tuple of int
        Rows of each batch; all but the last are equal.
    """

    rows: slice | np.ndarray
    sizes: tuple[int, ...]

    @property
    def n_rows(self) -> int:
        return sum(self.sizes)

    @property
    def slices(self) -> list[slice]:
        """Where each batch lies in the block."""
        stops = list(accumulate(self.sizes))
        return [slice(stop - size, stop) for stop, size in zip(stops, self.sizes, strict=True)]


class DensePool:
    """All samples, ``(n_samples, n)``, and buffers that blocks of batches are gathered into."""

    def __init__(self, b: Backend, array: Array):
        self.n_rows, self.n_columns = array.shape
        self.row_bytes = array.shape[1] * b.xp.finfo(array.dtype).bits // 8
        self._b = b
        self._array = array
        self._gathered: dict[tuple[int, tuple[int, ...]], tuple[Array, list[DenseRows]]] = {}

    def release(self) -> None:
        """Free the buffers, before blocks for another number of models."""
        self._gathered.clear()

    def batches(self, block: Block) -> list[DenseRows]:
        """Return a block's batches, valid until the next block of the same sizes."""
        b = self._b
        if isinstance(block.rows, slice):
            rows = self._array[None, block.rows, :]
            return [DenseRows(b, rows[:, batch, :]) for batch in block.slices]
        n_models, n_rows = block.rows.shape
        key = n_models, block.sizes
        if key not in self._gathered:
            buffer = b.empty((n_models * n_rows, self.n_columns), like=self._array)
            rows = b.xp.reshape(buffer, (n_models, n_rows, self.n_columns))
            batches = [DenseRows(b, rows[:, batch, :]) for batch in block.slices]
            self._gathered[key] = buffer, batches
        buffer, batches = self._gathered[key]
        b.take(self._array, block.rows.ravel(), buffer)
        return batches


class TargetPool:
    """Targets, ``(n_samples, n_outputs)``, laid out for losses.

    Losses reduce over a sample's few outputs. Array libraries do that several times faster when
    each output's samples are neighbours in memory, so blocks have that layout, like the raw
    outputs they are compared with.
    """

    def __init__(self, b: Backend, array: Array):
        self.n_rows, self.n_columns = array.shape
        self.row_bytes = array.shape[1] * b.xp.finfo(array.dtype).bits // 8
        self._b = b
        self._columns = b.contiguous(array.mT)
        self._gathered: dict[tuple[int, tuple[int, ...]], tuple[Array, Array]] = {}

    def empty(self, shape: tuple[int, ...]) -> Array:
        """An uninitialised array of the targets' dtype and device."""
        return self._b.empty(shape, like=self._columns)

    def release(self) -> None:
        """Free the buffers, before blocks for another number of models."""
        self._gathered.clear()

    def block(self, block: Block) -> Array:
        """Return a block's targets, ``(K or 1, n_rows, n_outputs)``, valid as long as `batches`."""
        b, n = self._b, self.n_columns
        if isinstance(block.rows, slice):
            return self._columns[None, :, block.rows].mT
        n_models, n_rows = block.rows.shape
        key = n_models, block.sizes
        if key not in self._gathered:
            buffer = b.empty((n, n_models * n_rows), like=self._columns)
            targets = b.xp.moveaxis(b.xp.reshape(buffer, (n, n_models, n_rows)), 0, -1)
            self._gathered[key] = buffer, targets
        buffer, targets = self._gathered[key]
        b.take(self._columns, block.rows.ravel(), buffer, axis=1)
        return targets


class SparsePool:
    """All samples as a CSR matrix of the backend's library."""

    def __init__(self, matrix: Any):
        self._matrix = matrix
        self.n_rows, self.n_columns = matrix.shape
        mean_nonzeros = matrix.nnz / max(1, matrix.shape[0])
        self.row_bytes = int(mean_nonzeros * (matrix.dtype.itemsize + matrix.indices.itemsize))

    def release(self) -> None:
        """Nothing to free: sparse blocks are made anew each time."""

    def batches(self, block: Block) -> list[SparseRows]:
        """Take a block's batches one by one."""
        if isinstance(block.rows, slice):
            matrix = self._matrix[block.rows]
            return [SparseRows([matrix[batch]]) for batch in block.slices]
        rows = block.rows
        return [SparseRows([self._matrix[r[batch]] for r in rows]) for batch in block.slices]
