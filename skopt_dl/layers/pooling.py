"""Pooling: what is largest in a window, or the mean of it."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any, ClassVar

import numpy as np

from skopt_dl._params import Constraints, InstanceOf
from skopt_dl.layers.base import Array, Layer, Pass, Shape
from skopt_dl.layers.windows import Sides, Sliding, Windows, check_images


class _Pool2d(Sliding):
    """One number for each window and channel."""

    constraints: ClassVar[Constraints] = {
        **Sliding.constraints,
        "stride": (Sides(), InstanceOf(type(None), "None, which means size")),
    }

    def __init__(
        self,
        size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: str | int = "valid",
    ):
        self.size = size
        self.stride = stride
        self.padding = padding

    def windows(self, shape: Shape) -> Windows:
        windows = super().windows(shape)
        if any(
            2 * max(around) > k for around, k in zip(windows.padding, windows.size, strict=True)
        ):
            raise ValueError(
                f"{type(self).__name__} has padding={self.padding!r}, more than half of its "
                f"windows of size {windows.size}: some would lie outside of the images. Use a "
                "smaller padding."
            )
        return windows

    def output_shape(self, shape: Shape) -> Shape:
        return (*self.windows(shape).number, shape[-1])


class MaxPool2d(_Pool2d):
    """The largest number in each window, for each channel (Ranzato et al., 2007).

    Where several are the largest, the gradient is that of the first. What is outside of the image
    is never the largest.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of a window.
    stride : int or (int, int), default=None
        How far windows lie from each other; None means `size`.
    padding : {"valid", "same"} or int, default="valid"
        How far windows reach over the edges: not at all, or so that every pixel is in one, or
        this many pixels on each side, at most half of `size`.

    Examples
    --------
    >>> from skopt_dl.layers import MaxPool2d
    >>> MaxPool2d(2).output_shape((9, 9, 16))
    (4, 4, 16)
    >>> MaxPool2d(2, padding="same").output_shape((9, 9, 16))
    (5, 5, 16)
    """

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        xp, windows = run.xp, self.windows(x.shape[2:])

        def forward(x: Array) -> Array:
            return reduce(xp.maximum, [x[place] for place in windows.corners()])

        def put(gradient: Array, place: tuple[slice, ...], found: Array) -> None:
            if windows.overlap:
                gradient[place] += found
            else:
                gradient[place] = found

        def backward(delta: Array, out: Array, x: Array) -> tuple[Array]:
            gradient = xp.empty_like(x)
            if not windows.part(x.shape[2:4]):
                gradient[...] = 0.0
            *places, last = windows.corners()
            left = delta
            for place in places:
                # Where something else is larger, what is left belongs to a place after this one.
                rest = xp.relu_gradient(left, out - x[place])
                put(gradient, place, left - rest)
                left = rest
            put(gradient, last, left)
            return (gradient,)

        return run.custom(forward, backward, windows.pad(xp, x, -math.inf))


class AveragePool2d(_Pool2d):
    """The mean of each window, for each channel; of its part that is inside of the image.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of a window.
    stride : int or (int, int), default=None
        How far windows lie from each other; None means `size`.
    padding : {"valid", "same"} or int, default="valid"
        How far windows reach over the edges: not at all, or so that every pixel is in one, or
        this many pixels on each side, at most half of `size`.

    Examples
    --------
    >>> from skopt_dl.layers import AveragePool2d
    >>> AveragePool2d(3, stride=2).output_shape((9, 9, 16))
    (4, 4, 16)
    """

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        windows = self.windows(x.shape[2:])
        padded = windows.pad(run.xp, x)
        total = reduce(lambda a, b: a + b, [padded[place] for place in windows.corners()])
        return total * self._share(windows, x)

    @staticmethod
    def _share(windows: Windows, x: Array) -> Any:
        """What each pixel counts in the mean: one number, or one for each window."""
        if not windows.is_padded:
            return 1.0 / math.prod(windows.size)
        inside = np.pad(np.ones(x.shape[2:4]), windows.padding)[None, None, ..., None]
        n_inside = sum(inside[place] for place in windows.corners())
        return np.asarray(1.0 / n_inside, dtype=x.dtype)


class _GlobalAveragePool(Layer):
    """The mean over all places."""

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        n_models, n_rows, *places, n = x.shape
        flat = run.xp.reshape(x, (n_models, n_rows, math.prod(places), n))
        return run.xp.mean(flat, axis=2)


class GlobalAveragePool2d(_GlobalAveragePool):
    """The mean of each channel over the image (Lin et al., 2014, arXiv:1312.4400).

    Examples
    --------
    >>> from skopt_dl.layers import GlobalAveragePool2d
    >>> GlobalAveragePool2d().output_shape((4, 4, 16))
    (16,)
    """

    def output_shape(self, shape: Shape) -> Shape:
        check_images(self, shape)
        return shape[-1:]


class GlobalAveragePool1d(_GlobalAveragePool):
    """The mean of each unit over a sequence, ``(length, units)``.

    Examples
    --------
    >>> from skopt_dl.layers import GlobalAveragePool1d
    >>> GlobalAveragePool1d().output_shape((20, 16))
    (16,)
    """

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise ValueError(
                f"GlobalAveragePool1d takes sequences, (length, units); here samples of shape "
                f"{tuple(shape)} come in. For images there is GlobalAveragePool2d()."
            )
        return shape[-1:]
