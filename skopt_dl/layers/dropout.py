"""Dropout: units are left out at random while training (Srivastava et al., 2014)."""

from __future__ import annotations

from typing import Any

from skopt_dl._params import FRACTION
from skopt_dl.layers.base import Array, Layer, Pass

# Rates are parts of this: a draw of 16 bits decides over a unit.
LEVELS = 1 << 16


class Dropout(Layer):
    """Leaves out units; those that stay are scaled up, so that predictions need nothing.

    Parameters
    ----------
    rate : float, default=0.5
        The share of units that is left out; below 1.
    """

    constraints = {"rate": FRACTION}
    per_model = ("rate",)

    def __init__(self, rate: float = 0.5):
        self.rate = rate

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        mask = run.mask(self, x) if run.training else None
        return x if mask is None else x * mask

    @staticmethod
    def draws(rate: float) -> bool:
        """Whether anything is drawn at this rate."""
        return rate > 0

    @staticmethod
    def level(rate: float) -> int:
        """What is drawn, of 16 bits, for units that stay: at least this."""
        return min(round(rate * LEVELS), LEVELS - 1)
