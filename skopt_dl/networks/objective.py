"""What is minimised: a value and a gradient for each model of a stack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.networks.backprop import Backprop, Workspace
from skopt_dl.networks.layout import Layout
from skopt_dl.networks.network import Network
from skopt_dl.networks.rows import Block, DensePool, SparsePool

Array = Any

# Several small batches are gathered at once, up to about the size of a second-level cache.
BLOCK_BYTES = 512 * 1024


class Objective:
    """A function of K models' parameters, minimised by `skopt_dl.training.minimise`.

    A subclass implements `value_and_grad`; one that has batches implements `load` too.

    Parameters
    ----------
    layout : Layout
        The tensors of one model.
    n_models : int
        K, the rows of ``params``.
    """

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
        """Losses of the `grad` calls since the last call of this method, ``(n_calls, K)``."""
        xp = self._losses[0].__array_namespace__()
        losses = xp.stack(self._losses)
        self._losses.clear()
        return losses

    def load(self, block: Block) -> Sequence[Any]:
        """Make a block of batches ready; an objective without batches is evaluated once."""
        return [None]

    def batches_per_block(self, batch_size: int) -> int:
        """How many batches of this size `load` should be given at a time."""
        return 1

    def select(self, models: Sequence[int]) -> Objective:
        """The same objective for some of its models, which go on when others have stopped."""
        raise NotImplementedError(f"{type(self).__name__} cannot drop models from its stack.")


class _Batch:
    """One step's samples, and the places for its raw output and L2 penalty."""

    __slots__ = ("l2", "n_rows", "raw", "weight", "weight_sum", "x", "y")


class _Block:
    """The same for the loaded batches together: first axis the batch, second the model."""

    __slots__ = ("l2", "raw", "weight", "y")


class _Bound:
    """What is prepared for one batch size: the pass and the L2 coefficients."""

    __slots__ = ("backprop", "decay")


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
    y : array of shape (n_samples, n_outputs)
        Targets; class labels as indicators.
    n_models : int, default=1
    alpha : float or sequence of K floats, default=0.0
        L2 penalty of the weights, not of the biases.
    sample_weight : array of shape (n_samples, 1), default=None
    """

    def __init__(
        self,
        b: Backend,
        network: Network,
        x: DensePool | SparsePool,
        y: Array,
        *,
        n_models: int = 1,
        alpha: float | Sequence[float] = 0.0,
        sample_weight: Array | None = None,
    ):
        super().__init__(network.layout, n_models)
        self.network = network
        self.alpha = np.broadcast_to(np.asarray(alpha, dtype=np.float64), (n_models,))
        self._b = b
        self._x, self._y = x, DensePool(b, y)
        self._weight = None if sample_weight is None else DensePool(b, sample_weight)
        self._grad = b.empty((n_models, self.layout.size), like=y)
        self._decay = self._decay_row()
        self._penalty = None if self._decay is None else b.xp.empty_like(self._grad)
        self._params: Array = None
        self._bound: dict[int, _Bound] = {}
        self._workspace: Workspace | None = None
        self._raw: Array = None
        self._block = _Block()

    def _decay_row(self) -> Array | None:
        """Alpha where a weight is penalised, 0 at biases: ``(1, P)``, ``(K, P)`` or None."""
        if not self.alpha.any():
            return None
        alpha = self.alpha[:1] if (self.alpha == self.alpha[0]).all() else self.alpha
        row = np.zeros((len(alpha), self.layout.size))
        for tensor in self.layout.tensors(row):
            if tensor.role not in ("bias", "norm"):
                tensor.array[...] = alpha[:, None, None]
        return self._b.asarray(row, dtype=self._grad.dtype)

    def select(self, models: Sequence[int]) -> NetworkObjective:
        return NetworkObjective(
            self._b,
            self.network,
            self._x,
            self._y.array,
            n_models=len(models),
            alpha=self.alpha[list(models)],
            sample_weight=None if self._weight is None else self._weight.array,
        )

    def batches_per_block(self, batch_size: int) -> int:
        row_bytes = self._x.row_bytes + 2 * self._y.row_bytes
        return max(1, BLOCK_BYTES // (self.n_models * batch_size * row_bytes))

    def load(self, block: Block) -> list[_Batch]:
        """Gather a block of batches of equal size.

        Parameters
        ----------
        block : range or ndarray of shape (n_batches, K, n_rows)
            A range names consecutive rows, its step the batch size: they are used where they
            lie, by all models. An array names each model's rows.
        """
        b, n_models = self._b, self.n_models
        n_rows = block.step if isinstance(block, range) else block.shape[2]
        shape = (len(block), n_models, n_rows, self._y.n_columns)
        if self._raw is None or self._raw.shape[0] < math.prod(shape):
            self._raw = b.empty((math.prod(shape),), like=self._y.array)
        loaded = self._block
        loaded.raw = b.xp.reshape(self._raw[: math.prod(shape)], shape)
        loaded.y = self._y.block(block)
        loaded.weight, weight_sum = 1.0 / n_rows, None
        if self._weight is not None:
            loaded.weight, weight_sum = self._normalised(self._weight.block(block))
        loaded.l2 = None
        if self._decay is not None:
            loaded.l2 = b.empty((len(block), n_models), like=self._y.array)
        batches = []
        for i, x in enumerate(self._x.batches(block)):
            batch = _Batch()
            batch.n_rows, batch.x, batch.y, batch.raw = n_rows, x, loaded.y[i], loaded.raw[i]
            batch.weight = loaded.weight if weight_sum is None else loaded.weight[i]
            batch.weight_sum = None if weight_sum is None else weight_sum[i]
            batch.l2 = None if loaded.l2 is None else loaded.l2[i]
            batches.append(batch)
        return batches

    def _normalised(self, weight: Array) -> tuple[Array, Array]:
        """Divide weights ``(n_batches, K or 1, n_rows, 1)`` by their sums, returned as a column."""
        xp = self._b.xp
        total = xp.sum(weight, axis=2, keepdims=True)
        # A batch whose weights are all zero has no loss and no gradient.
        total = xp.where(total > 0, total, xp.ones_like(total))
        return weight / total, total[:, :, :, 0]

    def _bind(self, params: Array, n_rows: int) -> _Bound:
        """Prepare for batches of `n_rows` rows, and for these parameters."""
        b = self._b
        if self._workspace is None or self._workspace.max_rows < n_rows:
            self._workspace = Workspace(b, self.n_models, n_rows, like=self._grad)
            self._params = None
        if self._params is not params:
            self._params = params
            self._bound.clear()
        bound = self._bound[n_rows] = _Bound()
        bound.backprop = Backprop(b, self.network, params, self._grad, n_rows, self._workspace)
        bound.decay = self._decay
        if self._decay is not None and self._weight is None:
            bound.decay = self._decay / n_rows
        return bound

    def grad(self, params: Array, batch: Any = None) -> Array:
        if batch is None:
            (batch,) = self.load(range(0, self._y.n_rows, self._y.n_rows))
        bound = self._bound.get(batch.n_rows)
        if bound is None or self._params is not params:
            bound = self._bind(params, batch.n_rows)
        b, xp, grad, backprop = self._b, self._b.xp, self._grad, bound.backprop
        delta = backprop.output_delta
        backprop.forward(batch.x, batch.raw)
        self.network.loss.gradient(b, batch.raw, batch.y, delta)
        xp.multiply(delta, batch.weight, out=delta)
        backprop.backward()
        if bound.decay is not None:
            penalty = self._penalty
            xp.multiply(params, bound.decay, out=penalty)
            if batch.weight_sum is not None:
                xp.divide(penalty, batch.weight_sum, out=penalty)
            xp.vecdot(params, penalty, out=batch.l2)
            xp.add(grad, penalty, out=grad)
        return grad

    def losses(self) -> Array:
        """Losses of the loaded batches, whose raw outputs `grad` has kept, ``(n_batches, K)``."""
        return self._loss(self._block)

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        if batch is None:
            (batch,) = self.load(range(0, self._y.n_rows, self._y.n_rows))
        grad = self.grad(params, batch)
        return self._loss(batch), grad

    def _loss(self, done: _Batch | _Block) -> Array:
        value = self.network.loss.value(self._b, done.raw, done.y)
        weight = done.weight if self._weight is None else done.weight[..., 0]
        loss = self._b.xp.sum(value * weight, axis=-1)
        return loss if done.l2 is None else loss + 0.5 * done.l2
