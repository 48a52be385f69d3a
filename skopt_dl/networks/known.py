"""Networks that have a name: what makes their layers for the data at hand."""

from __future__ import annotations

from typing import Any

from skopt_dl._params import COUNT, Configurable
from skopt_dl.layers import (
    BatchNorm,
    Conv2d,
    Dense,
    Flatten,
    GlobalAveragePool2d,
    MaxPool2d,
    Residual,
)
from skopt_dl.layers.base import Shape


class LeNet(Configurable):
    """Two convolutions with pooling, and a hidden layer (LeCun et al., 1998), with today's ReLU.

    Parameters
    ----------
    n_channels : int, default=16
        Of the first convolution; the second has twice as many.
    n_units : int, default=64
        Of the hidden layer.

    Examples
    --------
    >>> from skopt_dl.networks.known import LeNet
    >>> len(LeNet(n_channels=8)((8, 8, 1), 10))
    10
    """

    constraints = {"n_channels": COUNT, "n_units": COUNT}

    def __init__(self, n_channels: int = 16, n_units: int = 64):
        self.n_channels = n_channels
        self.n_units = n_units

    def __call__(self, input_shape: Shape, n_outputs: int) -> list[Any]:
        """Return the layers for samples of this shape."""
        layers: list[Any] = []
        for n_channels in (self.n_channels, 2 * self.n_channels):
            layers += [Conv2d(n_channels, 3, padding="same"), "relu", MaxPool2d(2, padding="same")]
        return [*layers, Flatten(), Dense(self.n_units), "relu", Dense(n_outputs)]


class ResNet(Configurable):
    """A small residual network (He et al., 2016, arXiv:1512.03385).

    Parameters
    ----------
    n_channels : int, default=16
    n_blocks : int, default=3
        Each has two convolutions.

    Examples
    --------
    >>> from skopt_dl.networks.known import ResNet
    >>> len(ResNet(n_blocks=2)((8, 8, 1), 10))
    9
    """

    constraints = {"n_channels": COUNT, "n_blocks": COUNT}

    def __init__(self, n_channels: int = 16, n_blocks: int = 3):
        self.n_channels = n_channels
        self.n_blocks = n_blocks

    def __call__(self, input_shape: Shape, n_outputs: int) -> list[Any]:
        """Return the layers for samples of this shape."""

        def convolution() -> list[Any]:
            return [Conv2d(self.n_channels, 3, padding="same", bias=False), BatchNorm()]

        layers = [*convolution(), "relu"]
        for _ in range(self.n_blocks):
            layers += [Residual([*convolution(), "relu", *convolution()]), "relu"]
        return [*layers, GlobalAveragePool2d(), Dense(n_outputs)]
