"""The loss of a network over data, for each model of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.networks.backprop import Backprop, Operation, Training, Workspace
from skopt_dl.networks.batch_norm import RunningStatistics
from skopt_dl.networks.network import Network
from skopt_dl.networks.rows import (
    DensePool,
    DenseRows,
    SparsePool,
    SparseRows,
    TargetPool,
)
from skopt_dl.objectives import Block, Objective

Array = Any

# Several small batches are gathered at once, up to about the size of a second-level cache.
BLOCK_BYTES = 1024 * 1024
# Parameters of a model up to which the penalty takes them all, biases by a factor of zero: rows
# without gaps are one loop, where those of the weights alone would be a short one for each model.
FEW = 4096


@dataclass(slots=True, eq=False)
class _Batch:
    """One step's samples, the places for its raw output and L2 penalty, and its operations.

    Attributes
    ----------
    weight : array of shape () or (K or 1, n_rows, 1)
        Each sample's share in the batch.
    shares : array of shape (K or 1, 1, n_rows)
        The same, along the other axis.
    weight_sum : array of shape (K or 1, 1) or None
        The sum of the weights, where they are not all 1.
    """

    n_rows: int
    y: Array
    raw: Array
    l2: Array
    weight: Array
    shares: Array
    weight_sum: Array = None
    x: DenseRows | SparseRows | None = None
    backprop: Backprop | None = None
    forward: list[Operation] = field(default_factory=list)
    backward: list[Operation] = field(default_factory=list)

    def set_weight(self, b: Backend, weight: Array) -> None:
        """Give the samples weights, ``(K or 1, n_rows, 1)``."""
        xp = b.xp
        total = xp.sum(weight, axis=1, keepdims=True)
        # A batch whose weights are all zero has no loss and no gradient.
        total = xp.where(total > 0, total, xp.ones_like(total))
        self.weight, self.weight_sum = weight / total, total[:, :, 0]
        self.shares = self.weight.mT


@dataclass(slots=True, eq=False)
class _Loaded:
    """The same for all the batches of a block, one after the other."""

    sizes: tuple[int, ...]
    y: Array
    raw: Array
    l2: Array
    batches: list[_Batch]


class NetworkObjective(Objective):
    """The mean loss of a network over a batch, plus the L2 penalty, for K models.

    The loss of a batch is ``sum(w * loss) / sum(w) + alpha / 2 * ||coefs||² / sum(w)``, with the
    samples' weights ``w`` (1 when there are none): scikit-learn's.

    Parameters
    ----------
    b : Backend
    network : Network
    x : DensePool or SparsePool
        The samples.
    y : TargetPool
        Targets, ``(n_samples, n_outputs)``; class labels as indicators. Gives the dtype.
    n_models : int, default=1
    alpha : float or sequence of K floats, default=0.0
        L2 penalty of the weights, not of the biases.
    sample_weight : TargetPool, default=None
        Weights, ``(n_samples, 1)``.
    label_smoothing : float or sequence of K floats, default=0.0
        The share of each target that goes to all classes equally (Szegedy et al., 2016,
        arXiv:1512.00567).
    dropout : array-like of shape (n_hidden,) or (K, n_hidden), default=0.0
        The share of units that each hidden layer leaves out.
    rngs : sequence of K numpy.random.Generator, default=()
        What dropout is drawn from.
    statistics : array of shape (K, S), default=None
        Statistics of batch normalisation to go on from.
    window : int, default=None
        How many samples they are averaged over; None means all.
    """

    def __init__(
        self,
        b: Backend,
        network: Network,
        x: DensePool | SparsePool,
        y: TargetPool,
        *,
        n_models: int = 1,
        alpha: float | Sequence[float] | np.ndarray = 0.0,
        sample_weight: TargetPool | None = None,
        label_smoothing: float | Sequence[float] | np.ndarray = 0.0,
        dropout: float | Sequence[Any] | np.ndarray = 0.0,
        rngs: Sequence[np.random.Generator] = (),
        statistics: Array = None,
        window: int | None = None,
    ):
        super().__init__(network.layout, n_models)
        self.network = network
        self.n_samples = y.n_rows
        self.alpha = np.broadcast_to(np.asarray(alpha, dtype=np.float64), (n_models,))
        self.label_smoothing = np.broadcast_to(
            np.asarray(label_smoothing, dtype=np.float64), (n_models,)
        )
        self.dropout = np.broadcast_to(
            np.asarray(dropout, dtype=np.float64), (n_models, len(network.activations))
        )
        self.rngs = list(rngs)
        self._window = y.n_rows if window is None else window
        self._b = b
        self._x, self._y, self._weight = x, y, sample_weight
        self._grad = y.empty((n_models, self.layout.size))
        self.scratch = b.xp.empty_like(self._grad)
        self._training = self._make_training(statistics)
        self._smoothing = self._make_smoothing()
        self._params: Array = None
        self._backprop: dict[int, Backprop] = {}
        self._workspace: Workspace | None = None
        self._prepared: dict[tuple[int, ...], _Loaded] = {}
        self._loaded: _Loaded

    def select(self, models: Sequence[int]) -> NetworkObjective:
        return NetworkObjective(
            self._b,
            self.network,
            self._x.select(models),
            self._y.select(models),
            n_models=len(models),
            alpha=self.alpha[list(models)],
            sample_weight=None if self._weight is None else self._weight.select(models),
            label_smoothing=self.label_smoothing[list(models)],
            dropout=self.dropout[list(models)],
            rngs=[self.rngs[k] for k in models] if self.rngs else [],
            statistics=None
            if self.statistics is None
            else self._b.xp.take(self.statistics, self._b.asarray(np.asarray(models)), axis=0),
            window=self._window,
        )

    def _make_training(self, statistics: Array) -> Training:
        """Give batch normalisation and dropout what they work with."""
        kept, running = [], None
        if self.network.batch_norm:
            shape = self.n_models, self.network.statistics.size
            fresh = self._b.zeros(shape, like=self._grad) if statistics is None else statistics
            self.statistics = fresh
            views = [tensor.array for tensor in self.network.statistics.tensors(fresh)]
            kept = list(zip(views[:-1:2], views[1:-1:2], strict=True))
            running = RunningStatistics(views[-1], self._window)
        return Training(self.dropout.tolist(), self.rngs, kept, running)

    def _make_smoothing(self) -> tuple[Array, Array] | None:
        """What targets are multiplied with, and what is added to them."""
        if not self.label_smoothing.any():
            return None
        share = self.label_smoothing[:, None, None]
        shift = share * self.network.loss.uniform_target(self._y.n_columns)
        dtype = self._grad.dtype
        return self._b.asarray(1.0 - share, dtype=dtype), self._b.asarray(shift, dtype=dtype)

    def _targets(self, block: Block) -> Array:
        """A block's targets, smoothed; gathered ones always in the same memory."""
        y, xp = self._y.block(block), self._b.xp
        if self._smoothing is None:
            return y
        factor, shift = self._smoothing
        if isinstance(block.rows, slice) or y.shape[0] < factor.shape[0]:
            return y * factor + shift
        xp.multiply(y, factor, out=y)
        return xp.add(y, shift, out=y)

    def batches_per_block(self, batch_size: int, n_orders: int = 1) -> int:
        n_selections = min(self.n_models, n_orders * self._x.n_sources)
        row_bytes = n_selections * self._x.row_bytes + 2 * self.n_models * self._y.row_bytes
        return max(1, BLOCK_BYTES // (batch_size * row_bytes))

    def load(self, block: Block) -> list[_Batch]:
        """Gather the samples of a block of batches."""
        xs: Sequence[DenseRows | SparseRows] = self._x.batches(block)
        y = self._targets(block)
        if isinstance(block.rows, slice):
            loaded = self._prepare(block, y)
        else:
            # Blocks of the same sizes use the same buffers, and so the same views of them.
            found = self._prepared.get(block.sizes)
            loaded = found if found is not None and found.y is y else self._prepare(block, y)
            self._prepared[block.sizes] = loaded
        for batch, x in zip(loaded.batches, xs, strict=True):
            if batch.x is not x:
                batch.x, batch.backprop = x, None
        if self._weight is not None:
            weight = self._weight.block(block)
            for batch, rows in zip(loaded.batches, block.slices, strict=True):
                batch.set_weight(self._b, weight[:, rows, :])
        self._loaded = loaded
        return loaded.batches

    def _prepare(self, block: Block, y: Array) -> _Loaded:
        """Make the places for a block's results and cut them into batches."""
        b, n_models = self._b, self.n_models
        raw = b.empty((n_models, self._y.n_columns, block.n_rows), like=self._grad).mT
        l2 = b.zeros((len(block.sizes), n_models), like=self._grad)
        batches = [
            _Batch(
                n_rows=size,
                y=y[:, rows, :],
                raw=raw[:, rows, :],
                l2=l2[i, :],
                weight=b.scalar(1.0 / size, like=self._grad),
                shares=b.ones((1, 1, size), like=self._grad) / size,
            )
            for i, (size, rows) in enumerate(zip(block.sizes, block.slices, strict=True))
        ]
        return _Loaded(block.sizes, y, raw, l2, batches)

    def _prepare_operations(self, params: Array, batch: _Batch) -> Backprop:
        """Bind a batch's operations to these parameters and to the buffers of its size."""
        b, n_rows = self._b, batch.n_rows
        if self._workspace is None or self._workspace.max_rows < n_rows:
            self._workspace = Workspace(b, self.n_models, n_rows, like=self._grad)
            self._params = None
        if self._params is not params:
            self._params = params
            self._backprop.clear()
        if n_rows not in self._backprop:
            self._backprop[n_rows] = Backprop(
                b, self.network, params, self._grad, n_rows, self._workspace, self._training
            )
        backprop = self._backprop[n_rows]
        if batch.backprop is not backprop:
            assert batch.x is not None
            batch.backprop = backprop
            batch.forward = backprop.forward(batch.x, batch.raw)
            batch.backward = [*backprop.backward(batch.x), *self._penalty(params, batch)]
        return backprop

    def grad(self, params: Array, batch: Any = None) -> Array:
        batch = self._everything() if batch is None else batch
        backprop = batch.backprop
        if (
            backprop is None
            or self._params is not params
            or backprop is not self._backprop.get(batch.n_rows)
        ):
            backprop = self._prepare_operations(params, batch)
        b, delta = self._b, backprop.output_delta
        if self.network.batch_norm:
            training = self._training
            training.shares, training.n_rows = batch.shares, batch.n_rows
        for operation in batch.forward:
            operation()
        self.network.loss.gradient(b, batch.raw, batch.y, delta)
        b.xp.multiply(delta, batch.weight, out=delta)
        for operation in batch.backward:
            operation()
        return self._grad

    def _penalty(self, params: Array, batch: _Batch) -> list[Operation]:
        """The operations that add the L2 penalty to the gradient and keep (twice) its value."""
        if not self.alpha.any():
            return []
        b, xp = self._b, self._b.xp
        n_weights, n_params = self.network.n_weights, params.shape[1]
        weighted = batch.weight_sum is not None
        equal = bool((self.alpha == self.alpha[0]).all())
        alpha = self.alpha[0] if equal else self.alpha[:, None]
        factor = b.asarray(alpha if weighted else alpha / batch.n_rows, dtype=params.dtype)
        part = slice(0, n_weights)
        if n_params < FEW:
            factors = b.zeros((self.n_models, n_params), like=params)
            factors[:, part] = factor
            part, factor = slice(0, n_params), factors
        weights, grad, penalty = params[:, part], self._grad[:, part], self.scratch[:, part]
        operations: list[Operation] = [
            b.prepare(xp.multiply, weights, factor, out=penalty),
            b.prepare(b.row_dot, weights, penalty, out=batch.l2),
            b.prepare(xp.add, grad, penalty, out=grad),
        ]
        if weighted:
            operations.insert(1, lambda: xp.divide(penalty, batch.weight_sum, out=penalty))
        return operations

    def losses(self) -> Array:
        # `grad` has kept the raw outputs, so the losses of all batches are computed at once.
        xp, loaded = self._b.xp, self._loaded
        values = self.network.loss.value_after_gradient(self._b, loaded.raw, loaded.y)
        weighted = any(batch.weight_sum is not None for batch in loaded.batches)
        if weighted:
            shares = [
                xp.broadcast_to(batch.shares[:, 0, :], (self.n_models, batch.n_rows))
                for batch in loaded.batches
            ]
            values = values * xp.concat(shares, axis=1)
        n_models, n_full, size = self.n_models, len(loaded.sizes) - 1, loaded.sizes[0]
        full = xp.reshape(values[:, : n_full * size], (n_models, n_full, size))
        last = xp.sum(values[:, n_full * size :], axis=1)
        losses = xp.concat([xp.sum(full, axis=2).mT, last[None, :]])
        if not weighted:
            losses = losses / self._b.asarray(np.array(loaded.sizes), dtype=losses.dtype)[:, None]
        return losses + 0.5 * loaded.l2

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        batch = self._everything() if batch is None else batch
        grad = self.grad(params, batch)
        values, xp = self.network.loss.value_after_gradient(self._b, batch.raw, batch.y), self._b.xp
        # As `losses` does it, to the last bit.
        if batch.weight_sum is None:
            loss = xp.sum(values, axis=1) / batch.n_rows
        else:
            loss = xp.sum(values * batch.shares[:, 0, :], axis=1)
        return loss + 0.5 * batch.l2, grad

    def _everything(self) -> _Batch:
        return self.load(Block(slice(0, self.n_samples), (self.n_samples,)))[0]
