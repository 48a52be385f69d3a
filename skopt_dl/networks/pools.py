"""All samples, and what gathers blocks of batches from them, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.backends import Backend, NumPyBackend, run_all
from skopt_dl.networks.rows import DenseRows, SparseRows
from skopt_dl.objectives import Block
from skopt_dl.programs import Bound, Memory, Program, Tracer, engine_of
from skopt_dl.programs.values import host_dtype

Array = Any
Call = Callable[[], Any]

# Axes of raw outputs and targets, from the outermost in memory: losses reduce over a sample's few
# outputs, which array libraries do several times faster where each output's samples are neighbours.
OUTPUT_MAJOR = (0, 2, 1)

# Models for each product of their own rows, on average, below which they get copies of shared ones.
MODELS_OF_A_RUN = 4


class Gathered(NamedTuple):
    """A block's samples.

    Attributes
    ----------
    calls : list of callable
        What makes them anew from ``block.rows``, read when they are called.
    found : list of DenseRows, list of SparseRows, or array
        Places of theirs, the same for all blocks of the same sizes.
    """

    calls: list[Call]
    found: Any


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
        self._places: dict[Hashable, _Places] = {}

    def select(self, models: Sequence[int]) -> DensePool:
        """The samples of some of the models, with buffers for so many."""
        sources = [self._sources[k] for k in models] if self._sources else []
        return DensePool(self._b, *self._arrays, sources=sources)

    def batches(self, block: Block) -> list[DenseRows]:
        """Gather a block and return its batches, valid until the next block of the same sizes."""
        calls, batches = self.gather(block)
        run_all(calls)
        return batches

    def gather(self, block: Block) -> Gathered:
        """Prepare the gathering of a block; `DenseRows` of each batch are found."""
        if isinstance(block.rows, slice):
            rows = self._arrays[0][None, block.rows, :]
            return Gathered([], [DenseRows(self._b, rows[:, part, :]) for part in block.slices])
        key = len(block.rows), block.orders, block.sizes
        found = self._places.get(key)
        if found is None:
            found = self._places[key] = self._prepare(block)
        calls, index = found.selection.calls(block.rows)
        for part, bound in found.parts:
            calls += bound.calls(rows=index[part])
        return Gathered(calls, found.batches)

    def _prepare(self, block: Block) -> _Places:
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
        rows = b.empty((len(pairs), n_rows, self.n_columns), like=self._arrays[0])
        runs = runs if len(runs) > 1 else []
        parts = []
        for run in _runs([source for source, _ in pairs]):
            table, out = self._arrays[pairs[run.start][0]], rows[run, ...]
            parts.append((run, _bind_gathering(b, table, out)))
        batches = [DenseRows(b, rows[:, batch, :], runs) for batch in block.slices]
        return _Places(_Selection([order for _, order in pairs], block), parts, batches)


class _Selection:
    """Rows of some selections, ``(n, n_rows)``, that a block's own are; on the host."""

    def __init__(self, orders: Sequence[int], block: Block, offsets: np.ndarray | None = None):
        assert isinstance(block.rows, np.ndarray)
        n_orders = len(block.rows)
        self._bound: Bound | None = None
        if offsets is None and [*orders] == [*range(n_orders)]:
            return
        self._index = np.empty((len(orders), 1, block.n_rows), np.intp)
        arrays = {"orders": np.array(orders, np.intp)[:, None], "out": self._index}
        if offsets is not None:
            arrays["offsets"] = offsets[:, :, None].astype(np.intp)
        program = selecting_program(n_orders, self._index.shape, offsets is not None)
        host = NumPyBackend()
        memory = Memory(host, self._index)
        self._bound = engine_of(host).bind(host, program, arrays, memory)

    def calls(self, rows: np.ndarray) -> tuple[list[Call], np.ndarray]:
        """What makes them of the rows of a block, and where they are then."""
        if self._bound is None:
            return [], rows
        return [*self._bound.calls(rows=rows[None])], self._index[:, 0, :]


@dataclass
class _Places:
    """For the rows of a block: which selections they are of, what gathers parts, and batches."""

    selection: _Selection
    parts: list[tuple[slice, Bound]]
    batches: list[DenseRows]


def _bind_gathering(
    b: Backend,
    table: Array,
    out: Array,
    change: tuple[Array, Array] | None = None,
    order: tuple[int, ...] = (0, 1, 2),
) -> Bound:
    """What gathers ``rows`` of a table, ``(n_samples, n)``, once these are given."""
    arrays = {"table": table[None, ...], "out": out}
    if change is not None:
        arrays |= dict(zip(("factor", "shift"), change, strict=True))
    case = table.shape[0], tuple(out.shape), host_dtype(out.dtype).name, order, change is not None
    return engine_of(b).bind(b, gathering_program(*case), arrays, Memory(b, out))


@lru_cache(maxsize=64)
def gathering_program(
    n_samples: int, shape: tuple[int, int, int], dtype: str, order: tuple[int, ...], changes: bool
) -> Program:
    """Rows of a table.

    Inputs
    ------
    table : array of shape (1, n_samples, n)
    rows : array of int of shape (K, n_rows)
    factor, shift : array of shape (K, 1, 1)
        Where what is taken changes: what it is multiplied with, and what is then added.
    out : array of shape (K, n_rows, n)
        Written.
    """
    tracer, (n_models, n_rows, n) = Tracer(dtype), shape
    table = tracer.given("table", (1, n_samples, n), order=order)
    rows = tracer.given("rows", (n_models, n_rows), np.intp)
    out = tracer.given("out", shape, order=order)
    tracer.xp.take(table, rows, axis=1, out=out)
    if changes:
        factor, shift = (tracer.given(name, (n_models, 1, 1)) for name in ("factor", "shift"))
        tracer.xp.multiply(out, factor, out=out)
        tracer.xp.add(out, shift, out=out)
    return tracer.program()


@lru_cache(maxsize=64)
def selecting_program(n_orders: int, shape: tuple[int, int, int], shifts: bool) -> Program:
    """Orders of some models, out of those that there are.

    Inputs
    ------
    rows : array of int of shape (1, n_orders, n_rows)
    orders : array of int of shape (K, 1)
        Which is each model's.
    offsets : array of int of shape (K, 1, 1)
        Where there are any: what is added.
    out : array of int of shape (K, 1, n_rows)
        Written.
    """
    tracer, n_models = Tracer("float64"), shape[0]
    rows = tracer.given("rows", (1, n_orders, shape[2]), np.intp)
    orders, out = (
        tracer.given(name, of_it, np.intp)
        for name, of_it in (("orders", (n_models, 1)), ("out", shape))
    )
    tracer.xp.take(rows, orders, axis=1, out=out)
    if shifts:
        tracer.xp.add(out, tracer.given("offsets", (n_models, 1, 1), np.intp), out=out)
    return tracer.program()


def _runs(values: Sequence[Any]) -> list[slice]:
    """Where equal neighbours are."""
    edges = [k for k in range(1, len(values)) if values[k] != values[k - 1]]
    return [slice(*pair) for pair in pairwise([0, *edges, len(values)])]


class TargetPool:
    """Targets, ``(n_samples, n_outputs)``, laid out for losses, like the raw outputs.

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
        self._places: dict[Hashable, tuple[_Selection, Bound, Array]] = {}

    def empty(self, shape: tuple[int, ...]) -> Array:
        """An uninitialised array of the targets' dtype and device."""
        return self._b.empty(shape, like=self._columns)

    def select(self, models: Sequence[int]) -> TargetPool:
        """The targets of some of the models, with buffers for so many."""
        kept = object.__new__(TargetPool)
        kept.__dict__.update(self.__dict__)
        kept._offsets = None if self._offsets is None else self._offsets[list(models)]
        kept._places = {}
        return kept

    def block(self, block: Block) -> Array:
        """Return a block's targets, ``(K or 1, n_rows, n_outputs)``, valid as long as `batches`."""
        calls, targets = self.gather(block)
        run_all(calls)
        return targets

    def gather(self, block: Block, change: tuple[Array, Array] | None = None) -> Gathered:
        """Prepare the gathering of a block; the array of its targets is found.

        `change` is what they are multiplied with, and what is then added, ``(K, 1, 1)`` each.
        """
        b, n = self._b, self.n_columns
        if isinstance(block.rows, slice):
            targets = self._columns[None, :, block.rows].mT
            return Gathered([], targets if change is None else targets * change[0] + change[1])
        key = len(block.rows), block.orders, block.sizes, change is None
        if key not in self._places:
            orders: Sequence[int] = block.orders or range(len(block.rows))
            n_models = max(len(orders), 0 if self._offsets is None else len(self._offsets))
            if change is not None:
                n_models = max(n_models, change[0].shape[0])
            if len(orders) < n_models:
                orders = [*orders] * n_models
            targets = b.xp.moveaxis(self.empty((n, n_models, block.n_rows)), 0, -1)
            bound = _bind_gathering(b, self._columns.mT, targets, change, OUTPUT_MAJOR)
            self._places[key] = _Selection(orders, block, self._offsets), bound, targets
        selection, bound, targets = self._places[key]
        calls, index = selection.calls(block.rows)
        return Gathered([*calls, *bound.calls(rows=index)], targets)


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

    def gather(self, block: Block) -> Gathered:
        """Prepare the gathering of a block; `SparseRows` of each batch are found."""
        batches = self.batches(block)
        return Gathered(
            [] if isinstance(block.rows, slice) else [partial(self.batches, block)], batches
        )

    def batches(self, block: Block) -> list[SparseRows]:
        """Gather a block and return its batches, valid until the next block of the same sizes."""
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
