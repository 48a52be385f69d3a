"""Where windows lie on images: what convolutions and pooling have in common."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from skopt_dl._params import Constraints, Interval, Options
from skopt_dl.layers.base import Array, Layer, Shape


@dataclass(frozen=True)
class Sides:
    """One whole number for both sides of an image, or one for its height and one for its width."""

    def accepts(self, value: Any) -> bool:
        sides = value if isinstance(value, tuple | list) and len(value) == 2 else (value,)
        return all(
            isinstance(side, numbers.Integral) and not isinstance(side, bool) and int(side) >= 1
            for side in sides
        )

    def __str__(self) -> str:
        return "an int of at least 1, or two of them (height, width)"


class Windows(NamedTuple):
    """Windows of one size on the images of a layer.

    Attributes
    ----------
    size, stride : (int, int)
        Vertical and horizontal.
    number : (int, int)
        How many there are, below and beside each other.
    padding : ((int, int), (int, int))
        What is put above and below, and on the left and on the right.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    number: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]

    @property
    def n_places(self) -> int:
        """How many there are in all."""
        return math.prod(self.number)

    @property
    def is_padded(self) -> bool:
        """Whether some windows reach over the edges."""
        return self.padding != ((0, 0), (0, 0))

    @property
    def overlap(self) -> bool:
        """Whether a pixel may be in several."""
        return any(k > s for k, s in zip(self.size, self.stride, strict=True))

    def part(self, shape: Sequence[int]) -> bool:
        """Whether each pixel of padded images, ``(height, width)``, is in exactly one."""
        covered = tuple(n * s for n, s in zip(self.number, self.stride, strict=True))
        return self.size == self.stride and covered == tuple(shape)

    def pad(self, xp: Any, x: Array, value: float = 0.0) -> Array:
        """Put a number around images, ``(K, n_rows, height, width, channels)``."""
        if not self.is_padded:
            return x
        return xp.pad(x, [(0, 0), (0, 0), *self.padding, (0, 0)], value)

    def corners(self) -> Iterator[tuple[slice, ...]]:
        """For each place in a window: what selects it, for all windows, from padded images."""
        (down, across), (high, wide) = self.number, self.stride
        for i in range(self.size[0]):
            for j in range(self.size[1]):
                vertical = slice(i, i + (down - 1) * high + 1, high)
                horizontal = slice(j, j + (across - 1) * wide + 1, wide)
                yield slice(None), slice(None), vertical, horizontal, slice(None)


class Sliding(Layer):
    """Base class of layers that see images, ``(height, width, channels)``, through windows."""

    size: Any
    stride: Any
    padding: Any
    constraints: ClassVar[Constraints] = {
        "size": Sides(),
        "stride": Sides(),
        "padding": (Options(("valid", "same")), Interval(0, math.inf, "[)", integer=True)),
    }

    def windows(self, shape: Shape) -> Windows:
        """Where the windows lie on images of this shape.

        Raises
        ------
        ValueError
            If samples of this shape are no images, or smaller than a window.
        """
        check_images(self, shape)
        size = _pair(self.size)
        stride = size if self.stride is None else _pair(self.stride)
        if self.padding == "same":
            number = tuple(-(-n // s) for n, s in zip(shape, stride, strict=False))
            missing = [
                max(0, (m - 1) * s + k - n)
                for n, k, s, m in zip(shape, size, stride, number, strict=False)
            ]
            padding = tuple((each // 2, each - each // 2) for each in missing)
        else:
            width = 0 if self.padding == "valid" else int(self.padding)
            padding = ((width, width), (width, width))
            padded = tuple(n + 2 * width for n in shape[:2])
            if any(n < k for n, k in zip(padded, size, strict=True)):
                around = f" with padding={width}" if width else ""
                raise ValueError(
                    f"{type(self).__name__} has windows of size {size}, which do not fit into "
                    f"images of height and width {shape[:2]}{around}. Use a smaller size, or "
                    "padding='same'; channels come last, (height, width, channels)."
                )
            number = tuple((n - k) // s + 1 for n, k, s in zip(padded, size, stride, strict=True))
        return Windows(size, stride, number, padding)  # type: ignore[arg-type]


def _pair(sides: Any) -> tuple[int, int]:
    high, wide = sides if isinstance(sides, tuple | list) else (sides, sides)
    return int(high), int(wide)


def check_images(layer: Layer, shape: Shape) -> None:
    """Raise ``ValueError`` for samples of a shape that images do not have."""
    if len(shape) == 2:
        one = (*shape, 1)
        raise ValueError(
            f"{type(layer).__name__} takes images, (height, width, channels); here samples of "
            f"shape {tuple(shape)} come in. Images of one channel are X[..., None], or X with "
            f"input_shape={one}; sequences are images of height 1."
        )
    if len(shape) != 3:
        raise ValueError(
            f"{type(layer).__name__} takes images, (height, width, channels); here samples of "
            f"shape {tuple(shape)} come in. Give the estimator input_shape=(height, width, "
            "channels), and put Flatten() and Dense(...) behind all layers that take images."
        )
