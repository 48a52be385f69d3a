"""Convolutions of images (LeCun et al., 1998, doi:10.1109/5.726791)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from skopt_dl._params import BOOLEAN, COUNT, POSITIVE, InstanceOf
from skopt_dl.layers.base import FOLLOWS, Array, Parameter, Pass, Shape
from skopt_dl.layers.windows import Sliding, Windows
from skopt_dl.programs import Geometry


class Conv2d(Sliding):
    """The same product with weights at every place of an image, over a window around it.

    Samples are images, ``(height, width, channels)``; what comes out has `n_channels` channels.
    The weights of a model are one matrix, ``(n_in, n_out)``: the rows of a window from the top, in
    them the pixels from the left, and in these the channels.

    Parameters
    ----------
    n_channels : int
        How many channels come out.
    size : int or (int, int)
        Height and width of a window.
    stride : int or (int, int), default=1
        How far windows lie from each other.
    padding : {"valid", "same"} or int, default="valid"
        Zeros around the image: none, or so many that there is a window for every (with strides,
        every `stride`-th) pixel, or this many on each side.
    groups : int, default=1
        Channels are in so many groups that do not see each other (Krizhevsky et al., 2012), and
        weights are then ``(groups, n_in, n_out)``. As many as channels is a depthwise convolution.
    bias : bool, default=True
    gain : float, default=None
        What the initializer multiplies the scale of the weights by; None leaves it to the
        activation that follows.

    Examples
    --------
    >>> from skopt_dl.layers import Conv2d
    >>> Conv2d(16, 3).output_shape((8, 8, 1))
    (6, 6, 16)
    >>> Conv2d(16, 3, stride=2, padding="same").output_shape((8, 8, 1))
    (4, 4, 16)
    >>> [(each.name, each.shape) for each in Conv2d(16, 3).tensors((8, 8, 4))]
    [('coefs', (36, 16)), ('intercepts', (1, 16))]
    """

    constraints = {
        **Sliding.constraints,
        "n_channels": COUNT,
        "groups": COUNT,
        "bias": BOOLEAN,
        "gain": (POSITIVE, InstanceOf(type(None), "None")),
    }
    elsewhere = {
        "activation": 'a layer of its own: [Conv2d(16, 3), "relu"]',
        **dict.fromkeys(("in_channels", "input_shape"), FOLLOWS),
    }

    def __init__(
        self,
        n_channels: int,
        size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int = "valid",
        groups: int = 1,
        bias: bool = True,
        gain: float | None = None,
    ):
        self.n_channels = n_channels
        self.size = size
        self.stride = stride
        self.padding = padding
        self.groups = groups
        self.bias = bias
        self.gain = gain

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        n_in = math.prod(self.windows(shape).size) * shape[-1] // self.groups
        front = (self.groups,) if self.groups > 1 else ()
        matrices = (*front, n_in, self.n_channels // self.groups)
        gain = 1.0 if self.gain is None else self.gain
        weights = Parameter("coefs", matrices, "weight", gain)
        return [weights, Parameter("intercepts", (1, self.n_channels), "bias")][: 1 + self.bias]

    def output_shape(self, shape: Shape) -> Shape:
        windows = self.windows(shape)
        for n, what in ((shape[-1], "that come in"), (self.n_channels, "that n_channels asks for")):
            if n % self.groups:
                raise ValueError(
                    f"Conv2d has groups={self.groups}, which does not divide the {n} channels "
                    f"{what}. Choose groups that divides both."
                )
        return (*windows.number, self.n_channels)

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        xp, windows = run.xp, self.windows(x.shape[2:])
        n_rows, shape = x.shape[1], (*windows.number, self.n_channels)
        if self.groups == 1:
            product = self._product(xp, x, tensors.coefs, windows)
        else:
            # The groups come before the samples, so that each has its own product.
            parts = xp.reshape(x, (*x.shape[:-1], self.groups, x.shape[-1] // self.groups))
            parts = xp.permute_dims(parts, (0, 4, 1, 2, 3, 5))
            product = self._product(xp, parts, tensors.coefs, windows)
            product = xp.permute_dims(product, (0, 2, 1, 3))
            product = xp.reshape(product, (*product.shape[:2], self.n_channels))
        if self.bias:
            product = product + tensors.intercepts
        return xp.reshape(product, (product.shape[0], n_rows, *shape))

    @staticmethod
    def _product(xp: Any, x: Array, weights: Array, windows: Windows) -> Array:
        """Rows times weights, ``(…, n_rows · n_places, n_out)``."""
        if windows.size == (1, 1) and windows.stride == (1, 1) and not windows.is_padded:
            return xp.reshape(x, (*x.shape[:-4], math.prod(x.shape[-4:-1]), x.shape[-1])) @ weights
        geometry = Geometry(windows.size, windows.stride, windows.padding)
        return xp.convolve(x, weights, geometry)

    def flops(self, shape: Shape) -> float:
        windows = self.windows(shape)
        n_in = math.prod(windows.size) * shape[-1] // self.groups
        return 2.0 * windows.n_places * n_in * self.n_channels
