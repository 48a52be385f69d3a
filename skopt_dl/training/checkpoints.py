"""Copies of the parameters that a stack may have to go back to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.training.copying import Copying

Array = Any
Call = Callable[[], Any]


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
        self._n_models, self._n_params = params.shape
        self._like = params[:, :0]
        self._copying = Copying(b)
        self._now: Array = None
        self._before: Array = None
        self._best: Array = None
        self._rejected: set[int] = set()
        self._has_best: set[int] = set()

    def begin(self) -> None:
        """Say that epochs begin; where the last one began is now known to be good."""
        if len(self._has_best) == self._n_models:
            # The best epoch is what such models go back to.
            self._now = self._before = None
        elif self._now is None:
            self._now = self._b.empty((self._n_models, self._n_params), like=self._like)
        else:
            if self._before is None:
                self._before = self._b.xp.empty_like(self._now)
            self._before[...] = self._now

    def undo(self) -> None:
        """Say that the epochs which began have not been."""
        if self._before is not None:
            self._now[...] = self._before

    def copy(self, arrays: Sequence[Array]) -> None:
        """Copy the parameters, ``(K, n)`` each, side by side."""
        if self._now is not None:
            self._now[...] = arrays[0] if len(arrays) == 1 else self._b.xp.concat(arrays, axis=1)

    def copying(self, arrays: Sequence[Array]) -> list[Call]:
        """What is to be done before each epoch: it copies the parameters, ``(K, n)`` each.

        The same list as before where nothing has changed.
        """
        return self._copying.calls(arrays, self._now)

    def reject(self, row: int) -> None:
        """Say that the current epoch's start was not good: its first loss is not finite."""
        self._rejected.add(row)

    def last_good(self, row: int) -> np.ndarray:
        """The last parameters of a model whose loss was finite, ``(P,)``."""
        rejected = row in self._rejected and self._before is not None
        source = self._before if rejected else self._now
        return self._b.to_numpy(source[row, :])

    def keep_best(self, params: Array, row: int) -> None:
        """Copy one model's parameters as its best so far."""
        if self._best is None and self._n_models == 1:
            self._best, self._now = self._now, None
        if self._best is None:
            self._best = self._b.xp.empty_like(params)
        self._best[row, :] = params[row, :]
        self._has_best.add(row)

    def best(self, row: int) -> np.ndarray | None:
        """The parameters of a model's best epoch, ``(P,)``, if any was kept."""
        return self._b.to_numpy(self._best[row, :]) if row in self._has_best else None

    def row_state(self, row: int) -> dict[str, np.ndarray]:
        """Copies of what one model may have to go back to, at the end of an epoch."""
        best = self.best(row)
        if best is not None:
            return {"best": best.copy()}
        return {"start": self._b.to_numpy(self._now[row, :]).copy()}

    def restore(self, params: Array, states: Sequence[dict[str, np.ndarray] | None]) -> None:
        """Go on from earlier ``row_state``, before the first epoch; None begins with `params`."""
        self._now = self._b.xp.asarray(params, copy=True)
        for row, state in enumerate(states):
            if state is None:
                continue
            kept = {name: self._b.asarray(a, dtype=params.dtype) for name, a in state.items()}
            if "best" in kept:
                self._now[row, :] = kept["best"]
                self.keep_best(self._now, row)
            else:
                self._now[row, :] = kept["start"]

    def select(self, rows: Sequence[int]) -> None:
        """Keep some rows only, at the end of an epoch."""
        index = self._b.asarray(np.asarray(rows))
        self._n_models = len(rows)
        self._now, self._before, self._best = (
            None if array is None else self._b.xp.take(array, index, axis=0)
            for array in (self._now, self._before, self._best)
        )
        self._has_best = {new for new, old in enumerate(rows) if old in self._has_best}
        self._rejected.clear()
