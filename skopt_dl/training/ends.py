"""What models would predict with after each of several epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from skopt_dl.backends import Backend
from skopt_dl.programs import HostReads
from skopt_dl.training.copying import Copying

Array = Any
Call = Callable[[], Any]


class Ends:
    """Copies of the parameters that each of some epochs has ended with.

    Parameters
    ----------
    b : Backend
    """

    def __init__(self, b: Backend):
        self._b, self._copying = b, Copying(b)
        # Always the same array, so that what reads it is prepared once.
        self._one: Array = None
        self._kept: list[Array] = []

    @property
    def are_kept(self) -> bool:
        """Whether `calls` were asked for."""
        return self._one is not None

    def begin(self) -> None:
        """Say that epochs begin."""
        self._kept.clear()

    def calls(self, arrays: Sequence[Array]) -> list[Call]:
        """What is to be done after each epoch: it copies the parameters, ``(K, n)`` each."""
        if self._one is None:
            self._one = self._b.xp.concat(arrays, axis=1)
            self._read = HostReads([self._one], self._take)
        return [*self._copying.calls(arrays, self._one), self._read]

    def _take(self, n_epochs: int, ends: Array) -> None:
        self._kept.append(self._b.xp.asarray(ends, copy=True))

    @property
    def of_epochs(self) -> Array:
        """Those of all epochs since they began, ``(n_epochs, K, n)``; None where none are kept."""
        if len(self._kept) > 1:
            self._kept = [self._b.xp.concat(self._kept)]
        return self._kept[0] if self._kept else None

    def of_epoch(self, number: int) -> Array:
        """Those of one epoch, ``(K, n)``, in an array that is the same for all of them."""
        self._one[...] = self.of_epochs[number, ...]
        return self._one
