"""Averages of the weights over the steps of a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.programs import HostNumbers, Program, Tracer, engine_of
from skopt_dl.programs.values import host_dtype

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
    find : callable, default=None
        Returns what the arrays hold after a step, where they do not change by themselves.

    Attributes
    ----------
    values : list of array of shape (K, n)
    totals : list of float
        The factors of all steps so far, in sum: (1 - decay^t) / (1 - decay).
    calls : list of callable
        What takes in one step, to be made one after the other.
    """

    def __init__(
        self,
        b: Backend,
        decays: Sequence[float],
        arrays: Sequence[Array],
        states: Sequence[dict[str, Any] | None],
        find: Callable[[], Sequence[Array]] | None = None,
    ):
        self._b = b
        self._decays = list(map(float, decays))
        self.totals = [state["total"] if state else 0.0 for state in states]
        self.values = [b.xp.asarray(array, copy=True) for array in arrays]
        for row, state in enumerate(states):
            for value, kept in zip(self.values, state["values"] if state else [], strict=False):
                value[row, :] = b.asarray(kept, dtype=value.dtype)
        self.calls: list[Callable[[], Any]] = []
        if find is not None:
            arrays = [b.xp.asarray(array, copy=True) for array in arrays]
            self.calls.append(partial(self._take_in, find, arrays))
        rate = b.asarray(np.ones((len(decays), 1)), dtype=arrays[0].dtype)
        self.calls.append(HostNumbers([rate], self._advance))
        for array, value in zip(arrays, self.values, strict=True):
            given = {"array": array, "value": value, "rate": rate}
            program = average_program(tuple(array.shape), host_dtype(array.dtype).name)
            self.calls += engine_of(b).calls(b, program, given, array)

    def _take_in(self, find: Callable[[], Sequence[Array]], arrays: Sequence[Array]) -> None:
        for array, found in zip(arrays, find(), strict=True):
            self._b.copy(array, found)

    def _advance(self, n_steps: int, rates: Array) -> None:
        """Write what each of the next steps counts, ``(n_steps, K, 1)``."""
        columns = []
        for row, (decay, total) in enumerate(zip(self._decays, self.totals, strict=True)):
            totals = []
            for _ in range(n_steps):
                total = decay * total + 1.0
                totals.append(total)
            self.totals[row] = total
            columns.append(totals)
        rates[...] = self._b.asarray(1.0 / np.array(columns).T[:, :, None], dtype=rates.dtype)

    def row_state(self, row: int) -> dict[str, Any]:
        """What is needed to go on with one model, arrays as views."""
        values = [value[row, :] for value in self.values]
        return {"total": self.totals[row], "values": values}


@lru_cache(maxsize=64)
def average_program(shape: tuple[int, int], dtype: str) -> Program:
    """Move ``value`` (K, n) towards ``array`` by a share, ``rate`` (K, 1)."""
    tracer = Tracer(dtype)
    array: Any = tracer.given("array", shape)
    value: Any = tracer.given("value", shape)
    tracer.xp.add(value, (array - value) * tracer.given("rate", (shape[0], 1)), out=value)
    return tracer.program()
