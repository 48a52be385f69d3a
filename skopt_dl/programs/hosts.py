"""What the host does between the steps of programs: it writes and reads arrays of theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from skopt_dl.programs.values import Array


class Draw(NamedTuple):
    """What is drawn from a generator, and written to part of an array.

    Attributes
    ----------
    generator : numpy.random.Generator or None
        None where nothing is drawn: all are True.
    out : ndarray
        Of int of shape (n,): an order, as ``shuffle`` makes it of those before. Of bool of any
        shape: whether 16 bits each of the next whole words are at least a level.
    rows : ndarray of int of shape (n,) or None
        Which rows are put in order; None means all of them.
    level : int
    """

    generator: np.random.Generator | None
    out: np.ndarray
    rows: np.ndarray | None = None
    level: int = 0


class HostWrites:
    """What the host writes before a step, without waiting for results: numbers, or what is drawn.

    Parameters
    ----------
    arrays : sequence of array
        What the calls after it read.
    write : callable
        ``write(n_steps, *tables)`` writes the values of the next steps: tables are like the arrays,
        with an axis of steps before theirs.
    draws : callable, default=None
        ``draws()`` returns the `Draw` that one step is made of, in order, for an engine that makes
        them itself; None where `write` does something else.
    """

    def __init__(
        self,
        arrays: Sequence[Array],
        write: Callable[..., None],
        draws: Callable[[], Sequence[Draw] | None] | None = None,
    ):
        self.arrays, self.write, self.draws = list(arrays), write, draws
        self._tables = [array[None, ...] for array in self.arrays]

    def __call__(self) -> None:
        self.write(1, *self._tables)


class HostNumbers(HostWrites):
    """Numbers of a step, which do not depend on what others write: it may come before or after."""


class HostReads:
    """What the host reads of what the calls before it have written.

    Parameters
    ----------
    arrays : sequence of array
        Written anew each time.
    read : callable
        ``read(n_times, *tables)`` is shown what was written in the last so many times: tables are
        like the arrays, with an axis of times before theirs. Valid until it returns.
    """

    def __init__(self, arrays: Sequence[Array], read: Callable[..., None]):
        self.arrays, self.read = list(arrays), read
        self._tables = [array[None, ...] for array in self.arrays]

    def __call__(self) -> None:
        self.read(1, *self._tables)
