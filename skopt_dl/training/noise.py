"""What optimizers draw: each model's own numbers, whatever is trained beside it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.programs.values import host_dtype

Array = Any


def seed_of(rng: np.random.Generator | None) -> int:
    """A seed that follows from a generator's state, which stays as it is; 0 without one."""
    if rng is None:
        return 0
    return int(copy.deepcopy(rng).integers(1 << 63))


class Noise:
    """Standard normal numbers, new ones for each step.

    They follow from a model's seed and the number of the step alone, since the generator counts
    (Philox; Salmon et al., 2011): in any stack, written ahead or not, and where a training goes on.

    Parameters
    ----------
    b : Backend
    seeds : sequence of K int
    like : array of shape (K, P)
    number : int
        Steps done so far.

    Attributes
    ----------
    array : array of shape (K, P)
        Where the numbers of a step are.
    number : int
        Steps whose numbers have been written.
    """

    def __init__(self, b: Backend, seeds: Sequence[int], like: Array, number: int):
        self._b, self._seeds, self.number = b, list(seeds), number
        self.array = b.xp.empty_like(like)

    def write(self, n_steps: int, table: Array) -> None:
        """Write the numbers of the next steps, ``(n_steps, K, P)``."""
        on_host = table
        if not isinstance(table, np.ndarray):
            on_host = np.empty(table.shape, host_dtype(table.dtype))
        for number, rows in enumerate(on_host, self.number + 1):
            for row, seed in zip(rows, self._seeds, strict=True):
                # A step has a part of the sequence to itself, longer than any model.
                counting = np.random.Philox(key=seed, counter=number << 64)
                np.random.Generator(counting).standard_normal(out=row, dtype=row.dtype)
        self.number += n_steps
        if on_host is not table:
            table[...] = self._b.asarray(on_host)
