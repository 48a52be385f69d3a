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
from skopt_dl.programs import Symbol
from skopt_dl.programs.values import Value

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


class ScaledRows(Symbol):
    """Rows times a factor for each column, multiplied only where they meet no weights."""

    __slots__ = ("_factor", "_product", "_rows")

    def __init__(self, rows: Symbol, factor: Symbol):
        self._tracer, self._rows, self._factor = rows._tracer, rows, factor
        self._product: Symbol | None = None

    @property
    def value(self) -> Value:  # type: ignore[override]
        """The product, which is recorded when it is asked for."""
        if self._product is None:
            axes = (self._factor.shape[0], *[1] * (self.ndim - 2), self.shape[-1])
            self._product = self._rows * self._tracer.xp.reshape(self._factor, axes)
        return self._product.value

    @property
    def shape(self) -> tuple[int, ...]:
        # Samples that all models share come as one; each model has its own factors.
        return (max(self._rows.shape[0], self._factor.shape[0]), *self._rows.shape[1:])

    @property
    def ndim(self) -> int:
        return self._rows.ndim

    @property
    def dtype(self) -> Any:
        return self._rows.dtype

    def __matmul__(self, weights: Array) -> Array:
        if self.ndim > 3:
            return super().__matmul__(weights)
        return self._rows @ (weights * self._factor)
