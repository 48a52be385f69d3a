"""Forward and backward through a network, bound to its buffers.

Everything that does not change from step to step is made once: views of the weights, activation
and gradient buffers, and a list of operations without arguments. A step is then little more than
its matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.networks.batch_norm import BatchNorm, RunningStatistics
from skopt_dl.networks.dropout import Dropout
from skopt_dl.networks.input_scaling import InputScaling
from skopt_dl.networks.rows import DenseRows, SparseRows

if TYPE_CHECKING:
    from skopt_dl.networks.network import Network

Array = Any
Operation = Callable[[], Any]


class Workspace:
    """Buffers by name, each as large as the largest batch needs; smaller batches use their front.

    Parameters
    ----------
    b : Backend
    n_models : int
    max_rows : int
        Rows of the largest batch.
    like : array
        Gives dtype and device.
    """

    def __init__(self, b: Backend, n_models: int, max_rows: int, like: Array):
        self._b = b
        self._n_models = n_models
        self.max_rows = max_rows
        self._like = like
        self._buffers: dict[object, Array] = {}

    def array(self, name: object, n_rows: int, n: int, widest: int | None = None) -> Array:
        """A contiguous ``(K, n_rows, n)`` array; the same memory for every call with `name`.

        `widest` is the largest `n` that `name` is asked for, where that is not always the same.
        """
        if name not in self._buffers:
            size = self._n_models * self.max_rows * (widest or n)
            self._buffers[name] = self._b.empty((size,), like=self._like)
        flat = self._buffers[name][: self._n_models * n_rows * n]
        return self._b.xp.reshape(flat, (self._n_models, n_rows, n))


class Forward:
    """The forward pass over batches of a fixed size, through weights, biases and activations.

    Parameters
    ----------
    b : Backend
    network : Network
    params : array of shape (K, P)
        Read through views.
    n_rows : int
        Rows of a batch.
    workspace : Workspace
        Where activations live.
    """

    def __init__(
        self, b: Backend, network: Network, params: Array, n_rows: int, workspace: Workspace
    ):
        self._b = b
        self._workspace, self._n_rows = workspace, n_rows
        parts = network.parts(params)
        self._weights, self._biases = parts.weights, parts.biases
        # Pre-activation and activation of each hidden layer; `outputs` is what the next layer gets.
        self._layers: list[tuple[Array, Array]] = []
        self.outputs: list[Array] = []
        # Between the first product and the last, everything is the same for all batches.
        self._between: list[Operation] = []
        self._before: list[Operation] = []
        for i, activation in enumerate(network.activations):
            product = self._buffer("product", i)
            if i:
                self._between.append(b.product(self.outputs[-1], self._weights[i], product))
            z = self._normalise(i, product)
            a = self._buffer("a", i) if activation.keeps_input else z
            self._between.append(b.prepare(b.xp.add, z, self._biases[i], out=z))
            self._between.append(partial(activation.forward, b, z, a))
            self._layers.append((z, a))
            self.outputs.append(self._drop_out(i, a))

    def _buffer(self, name: str, layer: int) -> Array:
        n_out = self._weights[layer].shape[2]
        return self._workspace.array((name, layer), self._n_rows, n_out)

    def _normalise(self, layer: int, product: Array) -> Array:
        """Add what comes between a layer's product and its bias; return its result."""
        return product

    def _drop_out(self, layer: int, activations: Array) -> Array:
        """Add what comes after a layer's activation; return its result."""
        return activations

    def forward(self, x: DenseRows | SparseRows, raw: Array) -> list[Operation]:
        """The operations that write the raw output of `x`, ``(K, n_rows, n_outputs)``, to `raw`."""
        add_bias = self._b.prepare(self._b.xp.add, raw, self._biases[-1], out=raw)
        if not self._layers:
            return [*self._before, x.product(self._weights[0], raw), add_bias]
        return [
            *self._before,
            *self.hidden(x),
            self._b.product(self.outputs[-1], self._weights[-1], raw),
            add_bias,
        ]

    def hidden(self, x: DenseRows | SparseRows) -> list[Operation]:
        """The operations that write the hidden layers' outputs for `x` to `outputs`."""
        return [x.product(self._weights[0], self._buffer("product", 0)), *self._between]


@dataclass
class Training:
    """What only training needs of a network, and what it needs to know of the present batch.

    Attributes
    ----------
    dropout : sequence of K sequences of float
        The rate of each model and hidden layer.
    rngs : sequence of K numpy.random.Generator
        What dropout is drawn from.
    kept : list of (mean, variance)
        Statistics of batch normalisation of each hidden layer, ``(K, 1, n)``.
    running : RunningStatistics or None
        What averages them.
    shares : array of shape (K or 1, 1, n_rows)
        Each sample's share in the batch: 1 in sum, or all zero.
    n_rows : int
        How many rows the batch has.
    """

    dropout: Sequence[Sequence[float]]
    rngs: Sequence[np.random.Generator]
    kept: list[tuple[Array, Array]]
    running: RunningStatistics | None
    shares: Array = None
    n_rows: int = 0


class Backprop(Forward):
    """The forward and the backward pass; `grad`, ``(K, P)``, is written through views.

    Parameters
    ----------
    b, network, params, n_rows, workspace
        As for `Forward`.
    grad : array of shape (K, P)
    training : Training

    Attributes
    ----------
    output_delta : array of shape (K, n_rows, n_outputs)
        Where the loss's gradient at the raw output is to be written before the backward pass.
    """

    def __init__(
        self,
        b: Backend,
        network: Network,
        params: Array,
        grad: Array,
        n_rows: int,
        workspace: Workspace,
        training: Training,
    ):
        self._training = training
        self._parts, self._grads = network.parts(params), network.parts(grad)
        self._norms: list[BatchNorm] = []
        self._dropouts: dict[int, Dropout] = {}
        n_models, n_outputs = params.shape[0], network.layer_sizes[-1]
        ones = b.ones((n_models, 1, n_rows), like=params)
        super().__init__(b, network, params, n_rows, workspace)
        grads = self._grads
        after: list[Operation] = []
        if grads.input_scale is not None:
            scaling = InputScaling(
                b, self._weights[0], self._parts.input_scale, grads.weights[0], grads.input_scale
            )
            self._before.append(scaling.forward)
            self._weights = [scaling.weights, *self._weights[1:]]
            after.append(scaling.backward)
        if self._norms:
            running = self._running
            self._before.append(lambda: running.begin(b.xp, training.n_rows, training.shares))
        # Output-major memory, as the raw outputs have; see `TargetPool`.
        output = workspace.array("output delta", n_rows, n_outputs)
        self.output_delta = delta = b.xp.reshape(output, (n_models, n_outputs, n_rows)).mT
        # Only two neighbouring layers' gradients are alive at a time, so they take turns.
        widest = max(network.layer_sizes[1:-1], default=1)
        self._down: list[Operation] = []
        for i in range(len(grads.weights) - 1, -1, -1):
            self._down.append(b.product(ones, delta, grads.biases[i]))
            if self._norms and i < len(self._norms):
                self._down.append(self._normalise_gradient(i, delta))
            if i:
                (z, a), activation = self._layers[i - 1], network.activations[i - 1]
                self._down.append(b.product_tn(self.outputs[i - 1], delta, grads.weights[i]))
                above, n_out = delta, network.layer_sizes[i]
                delta = workspace.array(("delta", i % 2), n_rows, n_out, widest)
                self._down.append(b.product_nt(above, self._weights[i], delta))
                if i - 1 in self._dropouts:
                    self._down.append(partial(self._dropouts[i - 1].backward, delta))
                self._down.append(partial(activation.backward, b, delta, z, a))
        self._first_delta, self._first_grad, self._after = delta, grads.weights[0], after

    def _normalise(self, layer: int, product: Array) -> Array:
        if not self._grads.norms:
            return product
        norm = BatchNorm(
            self._b,
            product,
            self._buffer("normalised", layer),
            self._parts.norms[layer],
            self._grads.norms[layer],
            *self._training.kept[layer],
        )
        self._norms.append(norm)
        # Operations refer to what they need but not to this object, which holds them: the buffers
        # go when the last reference to it does.
        training, running = self._training, self._running
        self._between.append(lambda: norm.forward(training.shares, running))
        return norm.output

    @property
    def _running(self) -> RunningStatistics:
        assert self._training.running is not None
        return self._training.running

    def _normalise_gradient(self, layer: int, delta: Array) -> Operation:
        """What turns the gradient at a normalised layer into that at its product."""
        training, backward = self._training, self._norms[layer].backward
        grad_bias = self._grads.biases[layer]
        return lambda: backward(delta, grad_bias, training.shares)

    def _drop_out(self, layer: int, activations: Array) -> Array:
        rates = [row[layer] for row in self._training.dropout]
        if not any(rates):
            return activations
        dropout = Dropout(self._b, rates, self._training.rngs, activations)
        self._dropouts[layer] = dropout
        self._between.append(dropout.forward)
        return dropout.output

    def backward(self, x: DenseRows | SparseRows) -> list[Operation]:
        """The operations that write the gradient from `output_delta`, after ``forward(x, …)``."""
        product = x.transposed_product(self._first_delta, self._first_grad)
        return [*self._down, product, *self._after]
