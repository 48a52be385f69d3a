"""A batch of samples as the left operand of a layer's products, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, pairwise
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
    counts : ndarray of int of shape (n_batches, K) or None
        How many of a batch's rows count, from the first, where models have different numbers; the
        others fill up.
    """

    rows: slice | np.ndarray
    sizes: tuple[int, ...]
    counts: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        return sum(self.sizes)

    @property
    def slices(self) -> list[slice]:
        """Where each batch lies in the block."""
        stops = list(accumulate(self.sizes))
        return [slice(stop - size, stop) for stop, size in zip(stops, self.sizes, strict=True)]


class DensePool:
    """All samples, ``(n_samples, n)``, and buffers that blocks of batches are gathered into.

    Parameters
    ----------
    b : Backend
    arrays : array of shape (n_samples, n), or several
        Of one dtype and width.
    sources : sequence of K int, default=()
        Which of several arrays each model's rows are in; empty where there is one.
    """

    def __init__(self, b: Backend, *arrays: Array, sources: Sequence[int] = ()):
        first = arrays[0]
        self.n_rows, self.n_columns = first.shape
        self.row_bytes = first.shape[1] * b.xp.finfo(first.dtype).bits // 8
        self._b = b
        self._arrays = arrays
        self._sources = list(sources)
        # Neighbouring models with one source are gathered together.
        ends = [k + 1 for k in range(len(sources)) if sources[k + 1 : k + 2] != [sources[k]]]
        self._runs = [slice(*pair) for pair in pairwise([0, *ends])] if ends else [slice(None)]
        self._gathered: dict[tuple[int, tuple[int, ...]], tuple[Array, list[DenseRows]]] = {}

    def select(self, models: Sequence[int]) -> DensePool:
        """The samples of some of the models, with buffers for so many."""
        sources = [self._sources[k] for k in models] if self._sources else []
        return DensePool(self._b, *self._arrays, sources=sources)

    def batches(self, block: Block) -> list[DenseRows]:
        """Return a block's batches, valid until the next block of the same sizes."""
        b = self._b
        if isinstance(block.rows, slice):
            rows = self._arrays[0][None, block.rows, :]
            return [DenseRows(b, rows[:, batch, :]) for batch in block.slices]
        n_models, n_rows = block.rows.shape
        key = n_models, block.sizes
        if key not in self._gathered:
            buffer = b.empty((n_models * n_rows, self.n_columns), like=self._arrays[0])
            rows = b.xp.reshape(buffer, (n_models, n_rows, self.n_columns))
            batches = [DenseRows(b, rows[:, batch, :]) for batch in block.slices]
            self._gathered[key] = buffer, batches
        buffer, batches = self._gathered[key]
        for run in self._runs:
            source = self._sources[run.start] if self._sources else 0
            part = buffer if run.start is None else buffer[run.start * n_rows : run.stop * n_rows]
            b.take(self._arrays[source], block.rows[run].ravel(), part)
        return batches


class TargetPool:
    """Targets, ``(n_samples, n_outputs)``, laid out for losses.

    Losses reduce over a sample's few outputs. Array libraries do that several times faster when
    each output's samples are neighbours in memory, so blocks have that layout, like the raw
    outputs they are compared with.

    Parameters
    ----------
    b : Backend
    array : array of shape (n_samples, n_outputs)
    offsets : ndarray of int of shape (K, 1), default=None
        Where each model's rows begin; None means that all have all.
    """

    def __init__(self, b: Backend, array: Array, offsets: np.ndarray | None = None):
        self.n_rows, self.n_columns = array.shape
        self.row_bytes = array.shape[1] * b.xp.finfo(array.dtype).bits // 8
        self._b = b
        self._offsets = offsets
        self._columns = b.contiguous(array.mT)
        self._gathered: dict[tuple[int, tuple[int, ...]], tuple[Array, Array]] = {}

    def empty(self, shape: tuple[int, ...]) -> Array:
        """An uninitialised array of the targets' dtype and device."""
        return self._b.empty(shape, like=self._columns)

    def select(self, models: Sequence[int]) -> TargetPool:
        """The targets of some of the models, with buffers for so many."""
        kept = object.__new__(TargetPool)
        kept.__dict__.update(self.__dict__)
        kept._offsets = None if self._offsets is None else self._offsets[list(models)]
        kept._gathered = {}
        return kept

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
        rows = block.rows if self._offsets is None else block.rows + self._offsets
        b.take(self._columns, rows.ravel(), buffer, axis=1)
        return targets


class SparsePool:
    """All samples as CSR matrices of the backend's library; see `DensePool`."""

    def __init__(self, *matrices: Any, sources: Sequence[int] = ()):
        self._matrices, self._sources = matrices, list(sources)
        matrix = matrices[0]
        self.n_rows, self.n_columns = matrix.shape
        mean_nonzeros = matrix.nnz / max(1, matrix.shape[0])
        self.row_bytes = int(mean_nonzeros * (matrix.dtype.itemsize + matrix.indices.itemsize))

    def select(self, models: Sequence[int]) -> SparsePool:
        """The samples of some of the models."""
        sources = [self._sources[k] for k in models] if self._sources else []
        return SparsePool(*self._matrices, sources=sources)

    def batches(self, block: Block) -> list[SparseRows]:
        """Take a block's batches one by one."""
        if isinstance(block.rows, slice):
            matrix = self._matrices[0][block.rows]
            return [SparseRows([matrix[batch]]) for batch in block.slices]
        sources = self._sources or [0] * len(block.rows)
        pairs = [
            (self._matrices[source], rows) for source, rows in zip(sources, block.rows, strict=True)
        ]
        return [SparseRows([m[rows[batch]] for m, rows in pairs]) for batch in block.slices]
