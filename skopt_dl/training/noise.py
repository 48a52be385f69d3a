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
    """

    def __init__(self, b: Backend, seeds: Sequence[int], like: Array, number: int):
        self._b, self._seeds, self._number = b, list(seeds), number
        self.array = b.xp.empty_like(like)

    def write(self, array: Array) -> None:
        """Write the numbers of the next step."""
        self._number += 1
        on_host = array
        if not isinstance(array, np.ndarray):
            on_host = np.empty(array.shape, host_dtype(array.dtype))
        for row, seed in zip(on_host, self._seeds, strict=True):
            # A step has a part of the sequence to itself, longer than any model.
            counting = np.random.Philox(key=seed, counter=self._number << 64)
            np.random.Generator(counting).standard_normal(out=row, dtype=row.dtype)
        if on_host is not array:
            array[...] = self._b.asarray(on_host)
