"""What layers draw in a step, for each model of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.layers import Layer
from skopt_dl.layers.dropout import LEVELS
from skopt_dl.programs import DrawnBits, write_drawn

Array = Any


class Draws:
    """Which units stay, drawn by each model from its own generator.

    A layer's are called ``mask 0``, ``mask 1`` and so on, in order.

    Parameters
    ----------
    b : Backend
    layers : sequence of Layer
        Those that draw.
    rates : ndarray of shape (K, n_layers)
    rngs : sequence of K numpy.random.Generator
        Of words of 64 bits, as all of NumPy's but MT19937.

    Attributes
    ----------
    are_kept : bool
        Whether `repeat` is going to be called.

    Raises
    ------
    ValueError
        If a generator's words are shorter.
    """

    def __init__(
        self,
        b: Backend,
        layers: Sequence[Layer],
        rates: np.ndarray,
        rngs: Sequence[np.random.Generator],
    ):
        self._b, self._rngs = b, rngs
        # What each layer of each model draws is at least this where a unit stays; None draws not.
        self._levels: list[list[int | None]] = [
            [layer.level(rate) if layer.draws(rate) else None for layer, rate in pairs]
            for pairs in (zip(layers, row, strict=True) for row in rates.tolist())
        ]
        if layers and any(isinstance(r.bit_generator, np.random.MT19937) for r in rngs):
            raise ValueError(
                "rngs of an objective that draws must give words of 64 bits; got MT19937, whose "
                "words have 32. Pass np.random.default_rng(seed) for each model."
            )
        self._numbers = {f"mask {number}": number for number in range(len(layers))}
        self._last: dict[str, np.ndarray] = {}
        self.are_kept = False

    def any(self) -> tuple[bool, ...]:
        """Whether any model draws, for each layer."""
        columns = zip(*self._levels, strict=True)
        return tuple(any(level is not None for level in levels) for levels in columns)

    def scales(self, like: Array) -> dict[str, Array]:
        """What units that stay are multiplied with, ``scale 0`` and so on: ``(K, 1)`` each."""
        if not self._numbers:
            return {}
        levels = np.array([[level or 0 for level in row] for row in self._levels])
        scales = LEVELS / (LEVELS - levels)
        return {
            f"scale {number}": self._b.asarray(scales[:, number, None], dtype=like.dtype)
            for number in self._numbers.values()
        }

    def __call__(self, names: Sequence[str], n_steps: int, *tables: Array) -> None:
        """Write which units stay in the next steps; all do in layers that draw nothing.

        Parameters
        ----------
        names : sequence of str
        n_steps : int
        *tables : array of bool of shape (n_steps, K, n_rows, …)
            For each name.
        """
        on_host = [
            table if isinstance(table, np.ndarray) else np.empty(table.shape, np.bool_)
            for table in tables
        ]
        write_drawn(self._drawn(names), n_steps, *on_host)
        if self.are_kept:
            self._last |= {name: host[-1].copy() for name, host in zip(names, on_host, strict=True)}
        for table, host in zip(tables, on_host, strict=True):
            if host is not table:
                table[...] = self._b.asarray(host)

    def draws(self, names: Sequence[str]) -> list[DrawnBits] | None:
        """What one step is made of; None where it is to be kept."""
        return None if self.are_kept else self._drawn(names)

    def _drawn(self, names: Sequence[str]) -> list[DrawnBits]:
        """What one step is made of: layer by layer, of one model after the other."""
        numbers = [self._numbers[name] for name in names]
        return [
            DrawnBits(None if levels[number] is None else rng, array, k, levels[number] or 0)
            for k, (levels, rng) in enumerate(zip(self._levels, self._rngs, strict=True))
            for array, number in enumerate(numbers)
        ]

    def repeat(self, names: Sequence[str], n_steps: int, *tables: Array) -> None:
        """Write what was drawn last, for one step."""
        for name, table in zip(names, tables, strict=True):
            table[...] = self._b.asarray(self._last[name])[None, ...]
