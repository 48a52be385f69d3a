"""A batch of samples as the left operand of a layer's products, dense or sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend

Array = Any
Block = np.ndarray | range


class DenseRows:
    """Rows in one array, ``(K, n_rows, n)``, or ``(1, n_rows, n)`` shared by all models."""

    __slots__ = ("_matmul", "_matmul_tn", "array")

    def __init__(self, b: Backend, array: Array):
        self.array = array
        self._matmul, self._matmul_tn = b.xp.matmul, b.matmul_tn

    @property
    def n_rows(self) -> int:
        return self.array.shape[1]

    def times(self, weights: Array, out: Array) -> None:
        """Write the product with ``weights``, ``(K, n, n_out)``."""
        self._matmul(self.array, weights, out=out)

    def transposed_times(self, delta: Array, out: Array) -> None:
        """Write the product of the transposed rows with ``delta``, ``(K, n_rows, n_out)``."""
        self._matmul_tn(self.array, delta, out)


class SparseRows:
    """Rows in a CSR matrix for each model, or one shared by all: products skip the zeros."""

    __slots__ = ("matrices",)

    def __init__(self, matrices: Sequence[Any]):
        self.matrices = matrices

    @property
    def n_rows(self) -> int:
        return self.matrices[0].shape[0]

    def times(self, weights: Array, out: Array) -> None:
        """Write the product with ``weights``, ``(K, n, n_out)``."""
        for k in range(out.shape[0]):
            out[k] = self.matrices[k % len(self.matrices)] @ weights[k]

    def transposed_times(self, delta: Array, out: Array) -> None:
        """Write the product of the transposed rows with ``delta``, ``(K, n_rows, n_out)``."""
        for k in range(out.shape[0]):
            out[k] = self.matrices[k % len(self.matrices)].T @ delta[k]


class DensePool:
    """All samples, ``(n_samples, n)``, and the buffer that blocks of batches are gathered into."""

    def __init__(self, b: Backend, array: Array):
        self.array = array
        self.n_rows, self.n_columns = array.shape
        self.row_bytes = array.shape[1] * array.dtype.itemsize
        self._b = b
        self._buffer: Array = None

    def block(self, block: Block) -> Array:
        """Gather the rows of a block of batches.

        Parameters
        ----------
        block : range or ndarray of shape (n_batches, K, n_rows)
            Consecutive rows, shared by all models and not copied; or the rows of each model.

        Returns
        -------
        rows : array of shape (n_batches, K or 1, n_rows, n)
            Valid until the next call.
        """
        b, n = self._b, self.n_columns
        if isinstance(block, range):
            rows = self.array[block.start : block.start + len(block) * block.step]
            return b.xp.reshape(rows, (len(block), 1, block.step, n))
        if self._buffer is None or self._buffer.shape[0] < block.size:
            self._buffer = b.empty((block.size, n), like=self.array)
        rows = self._buffer[: block.size]
        b.take(self.array, block.ravel(), rows)
        return b.xp.reshape(rows, (*block.shape, n))

    def batches(self, block: Block) -> list[DenseRows]:
        """Gather a block and return its batches one by one."""
        rows = self.block(block)
        return [DenseRows(self._b, rows[i]) for i in range(rows.shape[0])]


class SparsePool:
    """All samples as a CSR matrix of the backend's library."""

    def __init__(self, matrix: Any):
        self._matrix = matrix
        self.n_rows, self.n_columns = matrix.shape
        mean_nonzeros = matrix.nnz / max(1, matrix.shape[0])
        self.row_bytes = int(mean_nonzeros * (matrix.dtype.itemsize + matrix.indices.itemsize))

    def batches(self, block: Block) -> list[SparseRows]:
        """Take the batches of a block, as `DensePool.block` defines it, one by one."""
        if isinstance(block, range):
            return [SparseRows([self._matrix[i : i + block.step]]) for i in block]
        return [SparseRows([self._matrix[rows] for rows in batch]) for batch in block]
