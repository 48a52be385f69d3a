"""Averages of the weights over the steps of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend

Array = Any


class Averages:
    """Exponential moving averages of what models predict with, corrected for their start.

    Polyak & Juditsky (1992) average all steps equally; here a step counts `decay` times as much as
    the one after it (Morales-Brotons et al., 2024, arXiv:2411.18704). Divided by the sum of these
    factors, as Adam does, so that the initial weights have no part in it.

    Parameters
    ----------
    b : Backend
    decays : sequence of K floats
        At least 0, where the average is the last step's value, and below 1.
    arrays : sequence of array of shape (K, n)
        What is averaged; gives shape, dtype and device.
    states : sequence of K (dict or None)
        ``row_state`` of an earlier training, to go on from.
    """

    def __init__(
        self,
        b: Backend,
        decays: Sequence[float],
        arrays: Sequence[Array],
        states: Sequence[dict[str, Any] | None],
    ):
        self._b = b
        self._decays = np.array(decays, dtype=np.float64)[:, None]
        # The factors of all steps so far, in sum: (1 - decay^t) / (1 - decay).
        self._totals = np.array([[state["total"] if state else 0.0] for state in states])
        self.values = [b.xp.asarray(array, copy=True) for array in arrays]
        for row, state in enumerate(states):
            for value, kept in zip(self.values, state["values"] if state else [], strict=False):
                value[row, :] = b.asarray(kept, dtype=value.dtype)
        self._scratch = [b.xp.empty_like(array) for array in arrays]

    def update(self, arrays: Sequence[Array]) -> None:
        """Take in one step."""
        xp = self._b.xp
        self._totals = self._decays * self._totals + 1.0
        for value, array, scratch in zip(self.values, arrays, self._scratch, strict=True):
            rate = self._b.asarray(1.0 / self._totals, dtype=value.dtype)
            xp.subtract(array, value, out=scratch)
            xp.multiply(scratch, rate, out=scratch)
            xp.add(value, scratch, out=value)

    def row_state(self, row: int) -> dict[str, Any]:
        """What is needed to go on with one model, arrays as views."""
        values = [value[row, :] for value in self.values]
        return {"total": float(self._totals[row, 0]), "values": values}
