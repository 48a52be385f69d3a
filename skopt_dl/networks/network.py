"""A dense network, for a whole stack of models at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from skopt_dl.networks.activations import Activation
from skopt_dl.networks.losses import Loss
from skopt_dl.objectives import Layout

Array = Any


class Parts(NamedTuple):
    """Views of a buffer ``(K, P)``, by what they are; a list has one for each layer.

    Attributes
    ----------
    weights : list of array of shape (K, n_in, n_out)
    biases : list of array of shape (K, 1, n_out)
    norms : list of array of shape (K, 1, n_out)
        Scales of batch normalisation, as their difference from 1; one for each hidden layer, or
        none.
    input_scale : array of shape (K, n_features, 1) or None
        See `skopt_dl.networks.input_scaling`.
    """

    weights: list[Array]
    biases: list[Array]
    norms: list[Array]
    input_scale: Array | None


class Network:
    """Dense layers, an activation after each hidden one, and a loss of the raw output.

    Parameters
    ----------
    layer_sizes : sequence of int
        Features, hidden units of each layer, outputs.
    activations : sequence of Activation
        One for each hidden layer.
    loss : Loss
    batch_norm : bool, default=False
        Whether each hidden layer normalises its pre-activations.
    input_scaling : bool, default=False
        Whether each feature has a factor that is learnt.

    Attributes
    ----------
    layout : Layout
        Weights ``(n_in, n_out)`` of all layers, then their biases ``(1, n_out)``, then what
        belongs to normalisation. All zeros are neutral.
    statistics : Layout
        What training learns besides parameters: means and variances of batch normalisation, and
        how many samples they come from.
    n_weights : int
        Parameters that are weights: the first of each row.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activations: Sequence[Activation],
        loss: Loss,
        *,
        batch_norm: bool = False,
        input_scaling: bool = False,
    ):
        self.layer_sizes = tuple(layer_sizes)
        self.activations = tuple(activations)
        self.loss = loss
        self.batch_norm = batch_norm and bool(self.activations)
        self.input_scaling = input_scaling
        n_layers = len(self.layer_sizes) - 1
        roles = ["input", *["hidden"] * (n_layers - 2), "output"][-n_layers:]
        weights, biases, norms, statistics = [], [], [], []
        for i, (n_in, n_out) in enumerate(pairwise(self.layer_sizes)):
            weights.append((f"coefs_{i}", roles[i], (n_in, n_out)))
            biases.append((f"intercepts_{i}", "bias", (1, n_out)))
            if self.batch_norm and i < n_layers - 1:
                norms.append((f"batch_norm_{i}", "norm", (1, n_out)))
                statistics.append((f"mean_{i}", "norm", (1, n_out)))
                statistics.append((f"variance_{i}", "norm", (1, n_out)))
        if input_scaling:
            norms.append(("input_scale", "norm", (self.layer_sizes[0], 1)))
        if self.batch_norm:
            statistics.append(("n_samples", "norm", (1, 1)))
        # Weights first: what the L2 penalty applies to is then one slice of the buffer.
        self.layout = Layout.from_shapes([*weights, *biases, *norms])
        self.statistics = Layout.from_shapes(statistics)
        self.n_weights = sum(n_in * n_out for _, _, (n_in, n_out) in weights)

    @property
    def glorot_gains(self) -> list[float]:
        """The gain of each layer's weights: its activation's, or the last one's for the output."""
        gains = [activation.glorot_gain for activation in self.activations]
        return [*gains, gains[-1] if gains else 1.0]

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but weights, biases and activations."""
        return not (self.batch_norm or self.input_scaling)

    @property
    def plain(self) -> Network:
        """The same layers without anything else."""
        return Network(self.layer_sizes, self.activations, self.loss)

    def flops(self, n_rows: int) -> float:
        """Floating-point operations of the matrix products of one step over `n_rows` rows."""
        products = sum(n * m for n, m in pairwise(self.layer_sizes))
        return 2.0 * n_rows * (3 * products - self.layer_sizes[0] * self.layer_sizes[1])

    def parts(self, array: Array) -> Parts:
        """Cut parameters, a gradient or the like, ``(K, P)``, into views."""
        views = [tensor.array for tensor in self.layout.tensors(array)]
        n_layers = len(self.layer_sizes) - 1
        norms = views[2 * n_layers :]
        input_scale = norms.pop() if self.input_scaling else None
        return Parts(views[:n_layers], views[n_layers : 2 * n_layers], norms, input_scale)
