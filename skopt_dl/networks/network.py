"""A dense network, for a whole stack of models at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
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
        Weights ``(n_in, n_out)`` of all layers, then their biases ``(1, n_out)``.
    n_weights : int
        Parameters that are weights: the first of each row.
    """

    def __init__(self, layer_sizes: Sequence[int], activations: Sequence[Activation], loss: Loss):
        self.layer_sizes = tuple(layer_sizes)
        self.activations = tuple(activations)
        self.loss = loss
        n_layers = len(self.layer_sizes) - 1
        roles = ["input", *["hidden"] * (n_layers - 2), "output"][-n_layers:]
        weights, biases = [], []
        for i, (n_in, n_out) in enumerate(pairwise(self.layer_sizes)):
            weights.append((f"coefs_{i}", roles[i], (n_in, n_out)))
            biases.append((f"intercepts_{i}", "bias", (1, n_out)))
        # Weights first: what the L2 penalty applies to is then one slice of the buffer.
        self.layout = Layout.from_shapes([*weights, *biases])
        self.n_weights = sum(n_in * n_out for _, _, (n_in, n_out) in weights)

    @property
    def glorot_gains(self) -> list[float]:
        """The gain of each layer's weights: its activation's, or the last one's for the output."""
        gains = [activation.glorot_gain for activation in self.activations]
        return [*gains, gains[-1] if gains else 1.0]

    def flops(self, n_rows: int) -> float:
        """Floating-point operations of the matrix products of one step over `n_rows` rows."""
        products = sum(n * m for n, m in pairwise(self.layer_sizes))
        return 2.0 * n_rows * (3 * products - self.layer_sizes[0] * self.layer_sizes[1])

    def layers(self, array: Array) -> Iterator[tuple[Array, Array]]:
        """Pair the weights ``(K, n_in, n_out)`` and biases ``(K, 1, n_out)`` of each layer."""
        views = [tensor.array for tensor in self.layout.tensors(array)]
        n_layers = len(views) // 2
        return zip(views[:n_layers], views[n_layers:], strict=True)
