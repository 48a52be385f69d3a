"""What is minimised: a value and a gradient for each model of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skopt_dl.backends import Backend, backend_of
from skopt_dl.networks.backprop import Backprop, Operation, Workspace
from skopt_dl.networks.layout import Layout
from skopt_dl.networks.network import Network
from skopt_dl.networks.rows import (
    Block,
    DensePool,
    DenseRows,
    SparsePool,
    SparseRows,
    TargetPool,
)

Array = Any

# Several small batches are gathered at once, up to about the size of a second-level cache.
BLOCK_BYTES = 1024 * 1024


class Objective:
    """A function of K models' parameters, minimised by `skopt_dl.training.minimise`.

    A subclass implements `value_and_grad`; one that has batches implements `load` too.

    Parameters
    ----------
    layout : Layout
        The tensors of one model.
    n_models : int
        K, the rows of ``params``.

    Attributes
    ----------
    scratch : array of shape (K, P) or None
        A work array that others may use between two calls.
    """

    scratch: Array = None

    def __init__(self, layout: Layout, n_models: int):
        self.layout = layout
        self.n_models = n_models
        self._losses: list[Array] = []

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        """Loss and gradient of each model.

        Parameters
        ----------
        params : array of shape (K, P)
        batch : object, default=None
            One of those `load` returned; None means all the data.

        Returns
        -------
        loss : array of shape (K,)
        grad : array of shape (K, P)
            Valid until the next call.
        """
        raise NotImplementedError

    def grad(self, params: Array, batch: Any = None) -> Array:
        """Gradient of each model, ``(K, P)``; `losses` tells the loss it belongs to, later."""
        loss, grad = self.value_and_grad(params, batch)
        self._losses.append(loss)
        return grad

    def losses(self) -> Array:
        """Losses of the `grad` calls since the last `load`, one for each, ``(n_calls, K)``."""
        losses = backend_of(self._losses[0]).xp.stack(self._losses)
        self._losses.clear()
        return losses

    def load(self, block: Block) -> Sequence[Any]:
        """Make a block of batches ready; an objective without batches is evaluated once."""
        self._losses.clear()
        return [None]

    def batches_per_block(self, batch_size: int) -> int:
        """How many batches of this size `load` should be given at a time."""
        return 1

    def select(self, models: Sequence[int]) -> Objective:
        """The same objective for some of its models, which go on when others have stopped."""
        raise NotImplementedError(f"{type(self).__name__} cannot drop models from its stack.")


@dataclass(slots=True, eq=False)
class _Batch:
    """One step's samples, the places for its raw output and L2 penalty, and its operations."""

    n_rows: int
    y: Array
    raw: Array
    l2: Array
    weight: Array
    weight_sum: Array = None
    x: DenseRows | SparseRows | None = None
    backprop: Backprop | None = None
    forward: list[Operation] = field(default_factory=list)
    backward: list[Operation] = field(default_factory=list)


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
    ):
        super().__init__(network.layout, n_models)
        self.network = network
        self.alpha = np.broadcast_to(np.asarray(alpha, dtype=np.float64), (n_models,))
        self._b = b
        self._x, self._y, self._weight = x, y, sample_weight
        self._grad = y.empty((n_models, self.layout.size))
        self.scratch = b.xp.empty_like(self._grad)
        self._params: Array = None
        self._backprop: dict[int, Backprop] = {}
        self._workspace: Workspace | None = None
        self._prepared: dict[tuple[int, ...], _Loaded] = {}
        self._loaded: _Loaded

    def select(self, models: Sequence[int]) -> NetworkObjective:
        for pool in (self._x, self._y, self._weight):
            if pool is not None:
                pool.release()
        return NetworkObjective(
            self._b,
            self.network,
            self._x,
            self._y,
            n_models=len(models),
            alpha=self.alpha[list(models)],
            sample_weight=self._weight,
        )

    def batches_per_block(self, batch_size: int) -> int:
        row_bytes = self._x.row_bytes + 2 * self._y.row_bytes
        return max(1, BLOCK_BYTES // (self.n_models * batch_size * row_bytes))

    def load(self, block: Block) -> list[_Batch]:
        """Gather the samples of a block of batches."""
        xs: Sequence[DenseRows | SparseRows] = self._x.batches(block)
        y = self._y.block(block)
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
                batch.weight, batch.weight_sum = self._normalised(weight[:, rows, :])
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
            )
            for i, (size, rows) in enumerate(zip(block.sizes, block.slices, strict=True))
        ]
        return _Loaded(block.sizes, y, raw, l2, batches)

    def _normalised(self, weight: Array) -> tuple[Array, Array]:
        """Divide weights ``(K or 1, n_rows, 1)`` by their sums, returned as ``(K or 1, 1)``."""
        xp = self._b.xp
        total = xp.sum(weight, axis=1, keepdims=True)
        # A batch whose weights are all zero has no loss and no gradient.
        total = xp.where(total > 0, total, xp.ones_like(total))
        return weight / total, total[:, :, 0]

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
                b, self.network, params, self._grad, n_rows, self._workspace
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
        part = slice(0, self.network.n_weights)
        weights, grad = params[:, part], self._grad[:, part]
        penalty = self.scratch[:, part]
        weighted = self._weight is not None
        equal = bool((self.alpha == self.alpha[0]).all())
        alpha = self.alpha[0] if equal else self.alpha[:, None]
        factor = b.asarray(alpha if weighted else alpha / batch.n_rows, dtype=grad.dtype)
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
        values = self.network.loss.value(self._b, loaded.raw, loaded.y)
        if self._weight is not None:
            weights = [batch.weight[:, :, 0] for batch in loaded.batches]
            values = values * xp.concat(weights, axis=1)
        n_models, n_full, size = self.n_models, len(loaded.sizes) - 1, loaded.sizes[0]
        full = xp.reshape(values[:, : n_full * size], (n_models, n_full, size))
        last = xp.sum(values[:, n_full * size :], axis=1)
        losses = xp.concat([xp.sum(full, axis=2).mT, last[None, :]])
        if self._weight is None:
            losses = losses / self._b.asarray(np.array(loaded.sizes), dtype=losses.dtype)[:, None]
        return losses + 0.5 * loaded.l2

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        batch = self._everything() if batch is None else batch
        grad = self.grad(params, batch)
        values = self.network.loss.value(self._b, batch.raw, batch.y)
        weight = batch.weight if batch.weight_sum is None else batch.weight[:, :, 0]
        return self._b.xp.sum(values * weight, axis=1) + 0.5 * batch.l2, grad

    def _everything(self) -> _Batch:
        return self.load(Block(slice(0, self._y.n_rows), (self._y.n_rows,)))[0]
