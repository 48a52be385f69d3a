"""A factor for each feature that is learnt with the weights.

The network then finds out which features matter, and how steeply (Holzmüller et al., 2024,
arXiv:2407.04491). Multiplying the samples by the factors is the same as multiplying the rows of
the first weights, which costs nothing that grows with the number of samples, and leaves sparse
samples sparse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skopt_dl.layers.base import Array, Layer, Parameter, Pass, Shape

SPEED = 6.0


def factors(parameter: Array) -> Array:
    """The factor of each feature: neutral for zero, and faster than weights are."""
    return 1.0 + SPEED * parameter


class InputScaling(Layer):
    """Multiplies each feature, ``factor = 1 + 6 * parameter``."""

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        return [Parameter("input_scale", (shape[-1], 1), "norm")]

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        return ScaledRows(x, factors(tensors.input_scale))


class ScaledRows:
    """Rows times a factor for each column, multiplied only where they meet no weights."""

    def __init__(self, rows: Array, factor: Array):
        self._rows, self._factor = rows, factor
        self.shape, self.ndim = rows.shape, rows.ndim

    def __matmul__(self, weights: Array) -> Array:
        return self._rows @ (weights * self._factor)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows * self._factor.mT, name)
