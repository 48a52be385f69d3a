"""What layers draw in a step, for each model of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.layers import Layer
from skopt_dl.programs.values import host_dtype

Array = Any


class Draws:
    """Masks, drawn by each model from its own generator.

    Parameters
    ----------
    b : Backend
    layers : sequence of Layer
        Those that draw.
    rates : ndarray of shape (K, n_layers)
    rngs : sequence of K numpy.random.Generator

    Attributes
    ----------
    are_kept : bool
        Whether `repeat` is going to be called.
    """

    def __init__(
        self,
        b: Backend,
        layers: Sequence[Layer],
        rates: np.ndarray,
        rngs: Sequence[np.random.Generator],
    ):
        self._b, self._layers, self._rates, self._rngs = b, layers, rates, rngs
        self._last: dict[int, np.ndarray] = {}
        self.are_kept = False

    def any(self) -> tuple[bool, ...]:
        """Whether any model draws, for each layer."""
        pairs = zip(self._layers, self._rates.T.tolist(), strict=True)
        return tuple(any(map(layer.draws, rates)) for layer, rates in pairs)

    def draw(self, number: int, mask: Array) -> None:
        """Write what a layer draws for each model, 1 for those that draw nothing."""
        layer, on_host = self._layers[number], mask
        if not isinstance(mask, np.ndarray):
            on_host = np.empty(mask.shape, host_dtype(mask.dtype))
        for k, rate in enumerate(self._rates[:, number].tolist()):
            if layer.draws(rate):
                layer.draw(self._rngs[k], rate, on_host[k])
            else:
                on_host[k] = 1.0
        if self.are_kept:
            self._last[number] = on_host.copy()
        if on_host is not mask:
            mask[...] = self._b.asarray(on_host)

    def repeat(self, number: int, mask: Array) -> None:
        """Write what a layer has drawn last."""
        mask[...] = self._b.asarray(self._last[number])
