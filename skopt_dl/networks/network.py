"""A dense network, for a whole stack of models at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from skopt_dl.networks.activations import Activation
from skopt_dl.networks.layout import Layout
from skopt_dl.networks.losses import Loss

Array = Any


class Network:
    """Dense layers, an activation after each hidden one, and a loss of the raw output.

    Parameters
    ----------
    layer_sizes : sequence of int
        Features, hidden units of each layer, outputs.
    activations : sequence of Activation
        One for each hidden layer.
    loss : Loss

    Attributes
    ----------
    layout : Layout
        Weights ``(n_in, n_out)`` and biases ``(1, n_out)`` in the order of the layers.
    """

    def __init__(self, layer_sizes: Sequence[int], activations: Sequence[Activation], loss: Loss):
        self.layer_sizes = tuple(layer_sizes)
        self.activations = tuple(activations)
        self.loss = loss
        n_layers = len(self.layer_sizes) - 1
        tensors = []
        for i in range(n_layers):
            n_in, n_out = self.layer_sizes[i : i + 2]
            role = "output" if i == n_layers - 1 else "input" if i == 0 else "hidden"
            tensors.append((f"coefs_{i}", role, (n_in, n_out)))
            tensors.append((f"intercepts_{i}", "bias", (1, n_out)))
        self.layout = Layout.from_shapes(tensors)

    @property
    def glorot_gains(self) -> list[float]:
        """The gain of each layer's weights: its activation's, the last hidden one's for the output."""
        gains = [activation.glorot_gain for activation in self.activations]
        return [*gains, gains[-1] if gains else 1.0]

    def flops(self, n_rows: int) -> float:
        """Floating-point operations of the matrix products of one step over `n_rows` rows."""
        products = sum(n * m for n, m in zip(self.layer_sizes, self.layer_sizes[1:], strict=False))
        return 2.0 * n_rows * (3 * products - self.layer_sizes[0] * self.layer_sizes[1])

    def layers(self, array: Array) -> Iterator[tuple[Array, Array]]:
        """Pair the weights ``(K, n_in, n_out)`` and biases ``(K, 1, n_out)`` of each layer."""
        views = [tensor.array for tensor in self.layout.tensors(array)]
        return zip(views[::2], views[1::2], strict=True)
