"""Forward and backward through a network, bound to its buffers.

Everything that does not change from step to step is made once: views of the weights, activation
and gradient buffers. A step is then little more than its matrix products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skopt_dl.backends import Backend
from skopt_dl.networks.rows import DenseRows, SparseRows

if TYPE_CHECKING:
    from skopt_dl.networks.network import Network

Array = Any


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


class _BoundLayer:
    """One layer's views: weights, their gradient, and the batch's arrays."""

    __slots__ = ("a", "activation", "bias", "delta", "grad_bias", "grad_weights", "output",
                 "weights", "x", "z")  # fmt: skip


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
        self._layers: list[_BoundLayer] = []
        for i, (weights, bias) in enumerate(network.layers(params)):
            layer = _BoundLayer()
            layer.weights, layer.bias = weights, bias
            n_out = network.layer_sizes[i + 1]
            if i < len(network.activations):
                layer.activation = network.activations[i]
                layer.z = workspace.array(("z", i), n_rows, n_out)
                keeps_input = layer.activation.keeps_input
                layer.a = workspace.array(("a", i), n_rows, n_out) if keeps_input else layer.z
                layer.output = DenseRows(b, layer.a)
            self._layers.append(layer)

    def forward(self, x: DenseRows | SparseRows, raw: Array) -> None:
        """Write the raw output of `x`, ``(K, n_rows, n_outputs)``, to `raw`."""
        b, add = self._b, self._b.xp.add
        *hidden, last = self._layers
        for layer in hidden:
            layer.x, z = x, layer.z
            x.times(layer.weights, z)
            add(z, layer.bias, out=z)
            layer.activation.forward(b, z, layer.a)
            x = layer.output
        last.x = x
        x.times(last.weights, raw)
        add(raw, last.bias, out=raw)


class Backprop(Forward):
    """The forward and the backward pass; `grad`, ``(K, P)``, is written through views."""

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
        self._ones = b.ones((1, 1, n_rows), like=params)
        # Only two neighbouring layers' gradients are alive at a time, so they take turns.
        widest = max(network.layer_sizes[1:])
        for i, (layer, views) in enumerate(zip(self._layers, network.layers(grad), strict=True)):
            layer.grad_weights, layer.grad_bias = views
            n_out = network.layer_sizes[i + 1]
            layer.delta = workspace.array(("delta", i % 2), n_rows, n_out, widest)

    @property
    def output_delta(self) -> Array:
        """Where the loss's gradient at the raw output is to be written before `backward`."""
        return self._layers[-1].delta

    def backward(self) -> None:
        """Write the gradient of the parameters from `output_delta`."""
        b, matmul, ones = self._b, self._b.xp.matmul, self._ones
        above = None
        for layer in reversed(self._layers):
            delta = layer.delta
            if above is not None:
                b.matmul_nt(above.delta, above.weights, delta)
                layer.activation.backward(b, delta, layer.z, layer.a)
            layer.x.transposed_times(delta, layer.grad_weights)
            matmul(ones, delta, out=layer.grad_bias)
            above = layer
