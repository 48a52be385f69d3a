"""Forward and backward through a network, bound to its buffers.

Everything that does not change from step to step is made once: views of the weights, activation
and gradient buffers, and a list of operations without arguments. A step is then little more than
its matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from skopt_dl.backends import Backend
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
    """The forward pass over batches of a fixed size.

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
        self._layers = list(network.layers(params))
        self._hidden: list[tuple[Array, Array]] = []
        # Between the first product and the last, everything is the same for all batches.
        self._between: list[Operation] = []
        for i, activation in enumerate(network.activations):
            n_out = network.layer_sizes[i + 1]
            z = workspace.array(("z", i), n_rows, n_out)
            a = workspace.array(("a", i), n_rows, n_out) if activation.keeps_input else z
            weights, bias = self._layers[i]
            if i:
                self._between.append(b.product(self._hidden[-1][1], weights, z))
            self._between.append(b.prepare(b.xp.add, z, bias, out=z))
            self._between.append(partial(activation.forward, b, z, a))
            self._hidden.append((z, a))

    def forward(self, x: DenseRows | SparseRows, raw: Array) -> list[Operation]:
        """The operations that write the raw output of `x`, ``(K, n_rows, n_outputs)``, to `raw`."""
        weights, bias = self._layers[-1]
        add_bias = self._b.prepare(self._b.xp.add, raw, bias, out=raw)
        if not self._hidden:
            return [x.product(weights, raw), add_bias]
        (first_z, _), (_, last_a) = self._hidden[0], self._hidden[-1]
        return [
            x.product(self._layers[0][0], first_z),
            *self._between,
            self._b.product(last_a, weights, raw),
            add_bias,
        ]


class Backprop(Forward):
    """The forward and the backward pass; `grad`, ``(K, P)``, is written through views.

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
    ):
        super().__init__(b, network, params, n_rows, workspace)
        ones = b.ones((params.shape[0], 1, n_rows), like=params)
        # Output-major memory, as the raw outputs have; see `TargetPool`.
        n_models, n_outputs = params.shape[0], network.layer_sizes[-1]
        output = workspace.array("output delta", n_rows, n_outputs)
        self.output_delta = delta = b.xp.reshape(output, (n_models, n_outputs, n_rows)).mT
        # Only two neighbouring layers' gradients are alive at a time, so they take turns.
        widest = max(network.layer_sizes[1:-1], default=1)
        grads = list(network.layers(grad))
        self._down: list[Operation] = []
        for i in range(len(grads) - 1, -1, -1):
            grad_weights, grad_bias = grads[i]
            self._down.append(b.product(ones, delta, grad_bias))
            if i:
                (z, a), activation = self._hidden[i - 1], network.activations[i - 1]
                self._down.append(b.product_tn(a, delta, grad_weights))
                above, n_out = delta, network.layer_sizes[i]
                delta = workspace.array(("delta", i % 2), n_rows, n_out, widest)
                self._down.append(b.product_nt(above, self._layers[i][0], delta))
                self._down.append(partial(activation.backward, b, delta, z, a))
        self._first_delta, self._first_grad = delta, grads[0][0]

    def backward(self, x: DenseRows | SparseRows) -> list[Operation]:
        """The operations that write the gradient from `output_delta`, after ``forward(x, …)``."""
        return [*self._down, x.transposed_product(self._first_delta, self._first_grad)]
