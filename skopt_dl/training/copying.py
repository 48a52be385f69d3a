"""Copies of parameters, made by calls that are prepared once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import is_
from typing import Any

from skopt_dl.backends import Backend
from skopt_dl.programs import Memory, Program, Tracer, engine_of
from skopt_dl.programs.values import host_dtype

Array = Any
Call = Callable[[], Any]


class Copying:
    """What copies some arrays, side by side, to one."""

    def __init__(self, b: Backend):
        self._b = b
        self._known: list[Array] = []
        self._calls: list[Call] = []

    def calls(self, arrays: Sequence[Array], out: Array) -> list[Call]:
        """Prepare a copy of arrays, ``(K, n)`` each, to `out`; without one, there is none.

        The same list as before where nothing has changed.
        """
        now = [out, *arrays]
        if not are_same(now, self._known):
            self._known, self._calls = now, []
            if out is not None:
                shapes = tuple(tuple(each.shape) for each in arrays)
                program = copy_program(shapes, host_dtype(out.dtype).name)
                given = {f"part {number}": each for number, each in enumerate(arrays)}
                memory, engine = Memory(self._b, out), engine_of(self._b)
                bound = engine.bind(self._b, program, {**given, "copy": out}, memory)
                self._calls = list(bound.calls())
        return self._calls


def are_same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether two sequences have the same objects."""
    return len(some) == len(others) and all(map(is_, some, others))


@lru_cache(maxsize=64)
def copy_program(shapes: tuple[tuple[int, int], ...], dtype: str) -> Program:
    """Write ``part 0`` (K, n), ``part 1`` and so on, side by side, to ``copy``."""
    tracer, start = Tracer(dtype), 0
    copy = tracer.given("copy", (shapes[0][0], sum(n for _, n in shapes)))
    for number, shape in enumerate(shapes):
        copy[:, start : start + shape[1]] = tracer.given(f"part {number}", shape)
        start += shape[1]
    return tracer.program()
