"""A batch of samples as the left operand of a layer's products, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.objectives import Block

Array = Any

# Models for each product of their own rows, on average, below which they get copies of shared ones.
MODELS_OF_A_RUN = 4


class DenseRows:
    """Rows in one array, ``(R, n_rows, n)``: of each model, of all models, or of runs of models.

    Parameters
    ----------
    b : Backend
    array : array of shape (R, n_rows, n)
    runs : sequence of R slice, default=()
        The models that share each of the rows, where it is neither one nor all.
    """

    def __init__(self, b: Backend, array: Array, runs: Sequence[slice] = ()):
        self._b = b
        self.array = array
        self._runs = runs

    def n_models(self, n_models: int) -> int:
        """How many models the rows are different for, out of so many."""
        return n_models if self._runs else self.array.shape[0]

    @property
    def values(self) -> Array | None:
        """The rows, ``(K or 1, n_rows, n)``; None where `write` has to make them."""
        return None if self._runs else self.array

    def write(self, out: Array) -> None:
        """Write each model's rows, ``(K, n_rows, n)``."""
        for i, run in enumerate(self._runs):
            self._b.copy(out[run, :, :], self.array[i : i + 1, :, :])

    def product(self, weights: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product with ``weights``, ``(K, n, n_out)``."""
        return self._for_runs(self._b.product, weights, out)

    def transposed_product(self, delta: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product of the transposed rows with ``delta``, ``(K, n_rows, n_out)``."""
        return self._for_runs(self._b.product_tn, delta, out)

    def _for_runs(
        self, product: Callable[..., Callable[[], Any]], right: Array, out: Array
    ) -> Callable[[], Any]:
        if not self._runs:
            return product(self.array, right, out)
        products = [
            product(self.array[i : i + 1, :, :], right[run, :, :], out[run, :, :])
            for i, run in enumerate(self._runs)
        ]

        def call() -> None:
            for each in products:
                each()

        return call


class SparseRows:
    """Rows in a CSR matrix for each model, or one shared by all: products skip the zeros.

    Parameters
    ----------
    rows : slice
        Which of the rows of `blocks` they are.
    blocks : sequence of matrix
        May be others from one time to the next, which what was prepared takes as they are.
    """

    values = None

    def __init__(self, rows: slice, blocks: Sequence[Any]):
        self.rows = rows
        self.hold(blocks)

    def hold(self, blocks: Sequence[Any]) -> None:
        """Be the rows of other matrices, as many as before."""
        self.blocks = blocks
        self._cut: list[Any] = []

    @property
    def _matrices(self) -> list[Any]:
        if not self._cut:
            distinct = {id(block): block for block in self.blocks}
            cut = {
                key: block
                if block.shape[0] == self.rows.stop - self.rows.start
                else block[self.rows]
                for key, block in distinct.items()
            }
            self._cut = [cut[id(block)] for block in self.blocks]
        return self._cut

    def n_models(self, n_models: int) -> int:
        """How many models the rows are different for, out of so many."""
        return len(self.blocks)

    def write(self, out: Array) -> None:
        """Write the rows with their zeros, ``(K or 1, n_rows, n)``."""
        for k, matrix in enumerate(self._matrices):
            out[k, ...] = matrix.toarray()

    def product(self, weights: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product with ``weights``, ``(K, n, n_out)``."""
        return partial(self._multiply, weights, out)

    def transposed_product(self, delta: Array, out: Array) -> Callable[[], Any]:
        """Prepare the product of the transposed rows with ``delta``, ``(K, n_rows, n_out)``."""
        return partial(self._multiply, delta, out, is_transposed=True)

    def _multiply(self, right: Array, out: Array, is_transposed: bool = False) -> None:
        matrices = self._matrices
        if is_transposed:
            matrices = [matrix.T for matrix in matrices]
        for k in range(out.shape[0]):
            out[k] = matrices[k % len(matrices)] @ right[k]


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
        self.n_sources = len(arrays)
        self.row_bytes = first.shape[1] * b.xp.finfo(first.dtype).bits // 8
        self._b = b
        self._arrays = arrays
        self._sources = list(sources)
        self._gathered: dict[Hashable, _Gathered] = {}

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
        key = len(block.rows), block.orders, block.sizes
        found = self._gathered.get(key)
        if found is None:
            found = self._gathered[key] = self._prepare(block)
        index = block.rows[found.orders]
        for source, part, buffer in found.parts:
            b.take(self._arrays[source], index[part].ravel(), buffer)
        return found.batches

    def _prepare(self, block: Block) -> _Gathered:
        """Make buffers for a block like this one."""
        assert isinstance(block.rows, np.ndarray)
        b, n_rows, n_orders = self._b, block.n_rows, len(block.rows)
        n_models = len(block.orders or self._sources or block.rows)
        own = range(n_models) if n_orders == n_models else [0] * n_models
        orders, sources = block.orders or own, self._sources or [0] * n_models
        pairs = list(zip(sources, orders, strict=True))
        runs = _runs(pairs)
        # Where many neighbours see the same rows, a run of them shares these.
        if len(runs) * MODELS_OF_A_RUN <= n_models:
            pairs = [pairs[run.start] for run in runs]
        else:
            runs = []
        buffer = b.empty((len(pairs) * n_rows, self.n_columns), like=self._arrays[0])
        rows = b.xp.reshape(buffer, (len(pairs), n_rows, self.n_columns))
        runs = runs if len(runs) > 1 else []
        parts = [
            (pairs[run.start][0], run, buffer[run.start * n_rows : run.stop * n_rows, :])
            for run in _runs([source for source, _ in pairs])
        ]
        batches = [DenseRows(b, rows[:, batch, :], runs) for batch in block.slices]
        orders = [order for _, order in pairs]
        return _Gathered(slice(None) if orders == [*range(n_orders)] else orders, parts, batches)


@dataclass
class _Gathered:
    """Places for the rows of a block: which orders they follow, their parts by source, and batches.

    A part is a source, some of the selections, and the memory they go to.
    """

    orders: list[int] | slice
    parts: list[tuple[int, slice, Array]]
    batches: list[DenseRows]


def _runs(values: Sequence[Any]) -> list[slice]:
    """Where equal neighbours are."""
    edges = [k for k in range(1, len(values)) if values[k] != values[k - 1]]
    return [slice(*pair) for pair in pairwise([0, *edges, len(values)])]


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
        b, n, rows = self._b, self.n_columns, block.rows_of_models
        if isinstance(rows, slice):
            return self._columns[None, :, rows].mT
        rows = rows if self._offsets is None else rows + self._offsets
        n_models, n_rows = rows.shape
        key = n_models, block.sizes
        found = self._gathered.get(key)
        if found is None:
            buffer = b.empty((n, n_models * n_rows), like=self._columns)
            targets = b.xp.moveaxis(b.xp.reshape(buffer, (n, n_models, n_rows)), 0, -1)
            found = self._gathered[key] = buffer, targets
        buffer, targets = found
        b.take(self._columns, rows.ravel(), buffer, axis=1)
        return targets


class SparsePool:
    """All samples as CSR matrices of the backend's library; see `DensePool`."""

    def __init__(self, *matrices: Any, sources: Sequence[int] = ()):
        self._matrices, self._sources = matrices, list(sources)
        self._gathered: dict[Hashable, list[SparseRows]] = {}
        matrix = matrices[0]
        self.n_rows, self.n_columns = matrix.shape
        self.n_sources = len(matrices)
        mean_nonzeros = matrix.nnz / max(1, matrix.shape[0])
        self.row_bytes = int(mean_nonzeros * (matrix.dtype.itemsize + matrix.indices.itemsize))

    def select(self, models: Sequence[int]) -> SparsePool:
        """The samples of some of the models."""
        sources = [self._sources[k] for k in models] if self._sources else []
        return SparsePool(*self._matrices, sources=sources)

    def batches(self, block: Block) -> list[SparseRows]:
        """Return a block's batches, valid until the next block of the same sizes."""
        if isinstance(block.rows, slice):
            matrix = self._matrices[0][block.rows]
            return [SparseRows(batch, [matrix]) for batch in block.slices]
        orders = block.orders or range(len(block.rows))
        pairs = list(zip(self._sources or [0] * len(orders), orders, strict=True))
        taken = {
            (source, order): self._matrices[source][block.rows[order]]
            for source, order in set(pairs)
        }
        blocks, key = [taken[pair] for pair in pairs], (len(pairs), block.sizes)
        if key not in self._gathered:
            self._gathered[key] = [SparseRows(batch, blocks) for batch in block.slices]
        for rows in self._gathered[key]:
            rows.hold(blocks)
        return self._gathered[key]
