"""Many calls as one: steps of a block without Python between them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from itertools import pairwise
from typing import Any

import numpy as np

from skopt_dl.backends import helpers
from skopt_dl.programs import HostNumbers, HostWrites
from skopt_dl_native._interpreter import address
from skopt_dl_native.binding import NativeCall, run

Call = Callable[[], Any]

# Seconds that C may take before Python looks for signals.
PATIENCE = 0.05
# Seconds of work that are worth a thread.
WORTH_A_THREAD = 0.0005


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
        self._n_models = tasks[0].n_models
        self._scratch = max((each.scratch for each in tasks), key=lambda scratch: scratch.nbytes)
        # How many tasks are done between two looks at signals, and seconds that one has taken.
        self._n_together = len(tasks)
        self._seconds = 0.0
        # Memory of other threads.
        self._others: list[np.ndarray] = []
        # What addresses lead to.
        self._kept: list[Any] = [*tasks]
        counts = Counter(id(call) for call in calls)
        written: dict[int, _Written] = {}
        # What is written, and which task it comes before.
        self._writes: list[tuple[_Written, int]] = []
        moved: dict[int, int] = {}
        rows: list[tuple[int, int]] = []
        for call in calls:
            if isinstance(call, HostWrites):
                if id(call) not in written:
                    written[id(call)] = _Written(call, counts[id(call)])
                each = written[id(call)]
                self._writes.append((each, len(rows)))
                moved |= each.add()
            elif isinstance(call, NativeCall):
                places = call.places
                found = places[:, 0].tolist()
                if not moved.keys().isdisjoint(found):
                    places = places.copy()
                    places[:, 0] = [moved.get(each, each) for each in found]
                    self._kept.append(places)
                rows.append((call.code.address, address(places)))
        self._tasks = np.array(rows, dtype=np.int64)
        self._written = list(written.values())

    def __call__(self) -> None:
        begun, n_tasks = time.perf_counter(), len(self._tasks)
        first = n_written = 0
        while first < n_tasks:
            last = min(first + self._n_together, n_tasks)
            n_written = self._write(n_written, last)
            self._run(first, last)
            now = time.perf_counter()
            self._seconds = (now - begun) / (last - first)
            if now - begun > PATIENCE:
                self._n_together = max(1, int(PATIENCE / self._seconds))
            first, begun = last, now
        self._write(n_written, n_tasks + 1)
        for each in self._written:
            each.end()

    def _run(self, first: int, last: int) -> None:
        """Do some tasks; models are shared out over threads where there are any."""
        n_models = self._n_models
        threads = None
        if n_models > 1 and self._seconds * (last - first) > WORTH_A_THREAD:
            threads = helpers()
        if threads is None:
            run(self._tasks, first, last, 0, n_models, self._scratch)
            return
        n_parts = min(n_models, threads.number + 1)
        edges = [n_models * i // n_parts for i in range(n_parts + 1)]
        while len(self._others) < n_parts - 1:
            self._others.append(np.empty_like(self._scratch))
        others = [
            threads.submit(run, self._tasks, first, last, *part, scratch)
            for part, scratch in zip(pairwise(edges[1:]), self._others, strict=False)
        ]
        try:
            run(self._tasks, first, last, 0, edges[1], self._scratch)
        finally:
            # Nothing is written any more when this returns, whatever it returns with.
            wait(others)
        for each in others:
            each.result()

    def _write(self, first: int, n_tasks: int) -> int:
        """Write what comes before so many tasks; returns how much that is."""
        while first < len(self._writes) and self._writes[first][1] < n_tasks:
            self._writes[first][0].write()
            first += 1
        for each in self._written:
            each.hand_over()
        return first


class _Written:
    """What the host writes again and again, in a table with a row for each time."""

    def __init__(self, call: HostWrites, n_times: int):
        self._call = call
        self._tables = [np.empty((n_times, *each.shape), each.dtype) for each in call.arrays]
        # Where an array is; and the table that stands for it, and how far its rows are apart.
        self._addresses = [
            (address(array), address(table), table.strides[0])
            for array, table in zip(call.arrays, self._tables, strict=True)
        ]
        self._n_added = 0
        self._is_of_numbers = isinstance(call, HostNumbers)
        # The next row, and how many are asked for that are not in the tables yet.
        self._row = self._n_missing = 0

    def add(self) -> dict[int, int]:
        """One more time; returns where what was at an address is then."""
        row = self._n_added
        self._n_added += 1
        return {before: now + row * apart for before, now, apart in self._addresses}

    def write(self) -> None:
        if self._is_of_numbers:
            self._n_missing += 1
        else:
            self._call.write(*(table[self._row] for table in self._tables))
            self._row += 1

    def hand_over(self) -> None:
        """Put numbers into the tables, all at once."""
        if self._n_missing:
            stop = self._row + self._n_missing
            steps = self._call.numbers(self._n_missing)  # type: ignore[attr-defined]
            for table, values in zip(self._tables, zip(*steps, strict=True), strict=True):
                table[self._row : stop] = values
            self._row, self._n_missing = stop, 0

    def end(self) -> None:
        """Leave what was written last to others who read it, and begin anew."""
        for array, table in zip(self._call.arrays, self._tables, strict=True):
            array[...] = table[self._row - 1]
        self._row = 0
