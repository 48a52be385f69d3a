"""Many calls as one: steps of a block without Python between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skopt_dl.programs import HostWrites
from skopt_dl_native import _interpreter
from skopt_dl_native.binding import NativeCall

Call = Callable[[], Any]

# Seconds that C may take before Python looks for signals.
PATIENCE = 0.05


class Sequenced:
    """Calls, of which neighbours in C are one.

    Parameters
    ----------
    calls : sequence of callable
    """

    def __init__(self, calls: Sequence[Call]):
        self._parts: list[Call] = []
        stretch: list[Call] = []
        n_models = None
        for call in calls:
            if isinstance(call, NativeCall) and n_models not in (None, call.n_models):
                self._end(stretch)
                stretch = []
            if isinstance(call, NativeCall | HostWrites):
                n_models = getattr(call, "n_models", n_models)
                stretch.append(call)
                continue
            self._end(stretch)
            self._parts.append(call)
            stretch, n_models = [], None
        self._end(stretch)

    def _end(self, stretch: list[Call]) -> None:
        if any(isinstance(each, NativeCall) for each in stretch):
            self._parts.append(_Stretch(stretch))
        else:
            self._parts += stretch

    def __call__(self) -> None:
        for part in self._parts:
            part()


class _Stretch:
    """Tasks in C, and what the host writes before them, each time to a place of its own."""

    def __init__(self, calls: Sequence[Call]):
        tasks = [call for call in calls if isinstance(call, NativeCall)]
        first = tasks[0]
        self._n_models = first.n_models
        self._scratch = max((each.scratch for each in tasks), key=lambda each: each.nbytes)
        # What addresses lead to, and what lies there.
        self._kept: list[Any] = [*tasks]
        self._tasks = np.zeros((len(tasks), 2), dtype=np.int64)
        self._writes: list[Callable[[], None]] = []
        # The task that each of them comes before.
        self._before: list[int] = []
        moved: dict[int, int] = {}
        # Who else reads what was written last.
        last: dict[int, tuple[Any, Any]] = {}
        number = 0
        for call in calls:
            if isinstance(call, HostWrites):
                own = [np.empty_like(array) for array in call.arrays]
                self._kept.append(own)
                self._writes.append(HostWrites(own, call.write))
                self._before.append(number)
                for array, place in zip(call.arrays, own, strict=True):
                    moved[array.ctypes.data] = place.ctypes.data
                    last[array.ctypes.data] = array, place
            elif isinstance(call, NativeCall):
                places = call.places
                if moved and not moved.keys().isdisjoint(places[:, 0].tolist()):
                    places = places.copy()
                    places[:, 0] = [moved.get(each, each) for each in places[:, 0].tolist()]
                    self._kept.append(places)
                self._tasks[number] = call.code.words.ctypes.data, places.ctypes.data
                number += 1
        self._last = list(last.values())
        # How many tasks are done between two looks at signals.
        self._n_together = len(tasks)

    def __call__(self) -> None:
        begun, n_tasks = time.perf_counter(), len(self._tasks)
        first = written = 0
        while first < n_tasks:
            last = min(first + self._n_together, n_tasks)
            while written < len(self._writes) and self._before[written] < last:
                self._writes[written]()
                written += 1
            _interpreter.run(self._tasks, first, last, 0, self._n_models, self._scratch)
            now = time.perf_counter()
            if now - begun > PATIENCE:
                self._n_together = max(1, int((last - first) * PATIENCE / (now - begun)))
            first, begun = last, now
        for write in self._writes[written:]:
            write()
        for array, place in self._last:
            array[...] = place
