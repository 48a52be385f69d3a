"""Dropout: units are left out at random while training (Srivastava et al., 2014)."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl._params import FRACTION
from skopt_dl.layers.base import Array, Layer, Pass

# Rates are multiples of this: a draw of 16 bits decides over a unit.
_LEVELS = 1 << 16


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
    def draw(rng: np.random.Generator, rate: float, mask: np.ndarray) -> None:
        """Write 0 for a model's units that are left out, and a factor for those that stay."""
        threshold = min(round(rate * _LEVELS), _LEVELS - 1)
        words = rng.integers(0, 1 << 64, size=-(-mask.size // 4), dtype=np.uint64)
        stays = words.view(np.uint16)[: mask.size].reshape(mask.shape) >= threshold
        np.multiply(stays, mask.dtype.type(_LEVELS / (_LEVELS - threshold)), out=mask)
