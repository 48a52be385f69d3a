"""What the host does between the steps of programs: it writes and reads arrays of theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from skopt_dl.programs.values import Array


class DrawnOrder(NamedTuple):
    """Rows that a model draws: all of them in a new order, or as many, each by itself.

    Attributes
    ----------
    generator : numpy.random.Generator
    array : int
        Which of the arrays they are written to, of int of shape (K, n).
    model : int
    rows : ndarray of int of shape (n,) or None
        None means the first n.
    replace : bool
    """

    generator: np.random.Generator
    array: int
    model: int
    rows: np.ndarray | None = None
    replace: bool = False

    def write(self, out: np.ndarray) -> None:
        """Draw, by NumPy."""
        if self.replace:
            out[...] = self.generator.integers(len(out), size=len(out))
        else:
            out[...] = np.arange(len(out))
            self.generator.shuffle(out)
        if self.rows is not None:
            out[...] = self.rows[out]


class DrawnBits(NamedTuple):
    """Whether 16 bits each of a model's next whole words are at least a level.

    Attributes
    ----------
    generator : numpy.random.Generator or None
        None where nothing is drawn: all are True.
    array : int
        Which of the arrays they are written to, of bool of shape (K, …).
    model : int
    level : int
    """

    generator: np.random.Generator | None
    array: int
    model: int
    level: int = 0

    def write(self, out: np.ndarray) -> None:
        """Draw, by NumPy."""
        if self.generator is None:
            out[...] = True
        else:
            words = self.generator.bit_generator.random_raw(-(-out.size // 4))
            bits = words.view(np.uint16)[: out.size].reshape(out.shape)
            np.greater_equal(bits, self.level, out=out)


Draw = DrawnOrder | DrawnBits


def write_drawn(draws: Sequence[Draw], n_steps: int, *tables: np.ndarray) -> None:
    """Draw what each of the next steps is made of, in order; with tables as `HostWrites` have."""
    for step in range(n_steps):
        for each in draws:
            each.write(tables[each.array][step, each.model])


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
        ``draws()`` returns what one step is made of, in order, for an engine that draws itself;
        None where `write` does more than that.
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
