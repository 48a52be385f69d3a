"""Dropout: hidden units are left out at random while training (Srivastava et al., 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend

Array = Any

# Rates are multiples of this: a draw of 16 bits decides over a unit.
_LEVELS = 1 << 16


class Dropout:
    """Dropout after one hidden layer, bound to its buffers.

    The units that stay are scaled up, so that nothing needs to be done when predicting.

    Parameters
    ----------
    b : Backend
    rates : sequence of K floats
        The share of units that is left out, of each model.
    rngs : sequence of K numpy.random.Generator
        A model draws from its own, and only if its rate is not zero: what it draws does not
        depend on its neighbours in the stack.
    activations : array of shape (K, n_rows, n)

    Attributes
    ----------
    output : array of shape (K, n_rows, n)
        What the next layer gets, once `forward` has run.
    """

    def __init__(
        self,
        b: Backend,
        rates: Sequence[float],
        rngs: Sequence[np.random.Generator],
        activations: Array,
    ):
        self._b = b
        self._activations = activations
        self.output = b.xp.empty_like(activations)
        self._mask = b.ones(activations.shape, like=activations)
        self._drawing = [
            (k, rng, min(round(rate * _LEVELS), _LEVELS - 1))
            for k, (rate, rng) in enumerate(zip(rates, rngs, strict=True))
            if rate > 0
        ]

    def forward(self) -> None:
        """Draw which units stay, and scale them."""
        for k, rng, threshold in self._drawing:
            self._draw(rng, threshold, self._mask[k, :, :])
        self._b.xp.multiply(self._activations, self._mask, out=self.output)

    def _draw(self, rng: np.random.Generator, threshold: int, mask: Array) -> None:
        n_rows, n = mask.shape
        words = rng.integers(0, 1 << 64, size=-(-n_rows * n // 4), dtype=np.uint64)
        stay = words.view(np.uint16)[: n_rows * n].reshape(n_rows, n) >= threshold
        scale = self._b.scalar(_LEVELS / (_LEVELS - threshold), like=mask)
        mask[...] = self._b.asarray(stay, dtype=mask.dtype)
        self._b.xp.multiply(mask, scale, out=mask)

    def backward(self, delta: Array) -> None:
        """Turn the gradient at `output` into that at the activations, in place."""
        self._b.xp.multiply(delta, self._mask, out=delta)
