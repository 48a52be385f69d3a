"""Copies of the parameters that a stack may have to go back to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend

Array = Any


class Checkpoints:
    """The parameters at the start of the last two epochs, and of each model's best epoch.

    The start of the current epoch is not known to be good before its first loss is; the start of
    the epoch before it is, since all losses there were finite.

    Parameters
    ----------
    b : Backend
    params : array of shape (K, P)
        Gives shape, dtype and device.
    """

    def __init__(self, b: Backend, params: Array):
        self._b = b
        self._now, self._before = b.xp.empty_like(params), b.xp.empty_like(params)
        self._started = False
        self._rejected: set[int] = set()
        self._best: Array = None
        self._has_best: set[int] = set()

    def begin_epoch(self, params: Array) -> None:
        """Copy the parameters; what was copied before is now known to be good."""
        if self._started:
            self._now, self._before = self._before, self._now
        self._now[...] = params
        if not self._started:
            self._before[...] = params
            self._started = True

    def reject(self, row: int) -> None:
        """Say that the current epoch's start was not good: its first loss is not finite."""
        self._rejected.add(row)

    def last_good(self, row: int) -> np.ndarray:
        """The last parameters of a model whose loss was finite, ``(P,)``."""
        source = self._before if row in self._rejected else self._now
        return self._b.to_numpy(source[row, :])

    def keep_best(self, params: Array, row: int) -> None:
        """Copy one model's parameters as its best so far."""
        if self._best is None:
            self._best = self._b.xp.empty_like(params)
        self._best[row, :] = params[row, :]
        self._has_best.add(row)

    def best(self, row: int) -> np.ndarray | None:
        """The parameters of a model's best epoch, ``(P,)``, if any was kept."""
        return self._b.to_numpy(self._best[row, :]) if row in self._has_best else None

    def select(self, rows: Sequence[int]) -> None:
        """Keep some rows only, at the end of an epoch."""
        index = self._b.asarray(np.asarray(rows))
        take = self._b.xp.take
        self._now, self._before = (take(a, index, axis=0) for a in (self._now, self._before))
        if self._best is not None:
            self._best = take(self._best, index, axis=0)
        self._has_best = {new for new, old in enumerate(rows) if old in self._has_best}
        self._rejected.clear()
