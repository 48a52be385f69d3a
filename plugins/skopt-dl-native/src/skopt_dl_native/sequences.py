"""Many calls as one: steps of a block without Python between them."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import numpy as np

from skopt_dl.backends import Helpers, helpers
from skopt_dl.programs import HostNumbers, HostWrites
from skopt_dl_native._interpreter import address, dismiss
from skopt_dl_native._interpreter import team as new_team
from skopt_dl_native.binding import NativeCall, help_with, run

Call = Callable[[], Any]
# For an address: from which tasks on what was there is somewhere else, and where.
_Moved = dict[int, tuple[list[int], list[int]]]

# Seconds that C may take before Python looks for signals.
PATIENCE = 0.05
# Seconds of work that are worth a thread.
WORTH_A_THREAD = 0.0005
# Multiplications of a task, for one model, that are worth each thread of a team.
WORTH_A_PLACE = 8_000_000


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
        # Threads that may share a task for one model.
        self._n_places = max(each.code.n_multiplications for each in tasks) // WORTH_A_PLACE
        # Tasks of one model that are done between two looks at signals, and seconds that each has
        # taken; the first tells how many that can be.
        self._n_together = 1
        self._seconds = 0.0
        # Memory of other threads.
        self._others: list[np.ndarray] = []
        counts = Counter(id(call) for call in calls)
        written: dict[int, _Written] = {}
        # What is written, and which tasks it comes before; in the order of the first of them.
        self._writes: list[tuple[_Written, list[int]]] = []
        places: dict[int, list[int]] = {}
        drawn: HostWrites | None = None
        moved: _Moved = {}
        # Which tasks, in their order, a call is.
        numbers: dict[NativeCall, list[int]] = {}
        n_tasks = 0
        for call in calls:
            if isinstance(call, NativeCall):
                numbers.setdefault(call, []).append(n_tasks)
                n_tasks += 1
            elif isinstance(call, HostWrites):
                each = id(call)
                if each not in written:
                    written[each] = _Written(call, counts[each])
                # As many times at once as can be: numbers wait for nothing, others for their turn.
                if not isinstance(call, HostNumbers) and drawn is not call:
                    places.pop(each, None)
                    drawn = call
                if each not in places:
                    places[each] = []
                    self._writes.append((written[each], places[each]))
                places[each].append(n_tasks)
                for before, now in written[each].add():
                    since, moved_to = moved.setdefault(before, ([], []))
                    since.append(n_tasks)
                    moved_to.append(now)
        self._written = list(written.values())
        rows: list[Any] = [None] * n_tasks
        # What addresses lead to.
        self._kept: list[Any] = []
        for task, its_numbers in numbers.items():
            tables = _tables(task, its_numbers, moved)
            self._kept += [task, tables]
            start, apart = address(tables), tables.strides[0] if len(tables) > 1 else 0
            for place, number in enumerate(its_numbers):
                rows[number] = task.code.address, start + apart * place
        self._tasks = np.array(rows, dtype=np.int64)

    def __call__(self) -> None:
        first, n_tasks = 0, len(self._tasks)
        while first < n_tasks:
            last = min(first + max(1, self._n_together // self._n_models), n_tasks)
            self._write(first, last)
            model = 0
            while model < self._n_models:
                end = min(model + max(1, self._n_together // (last - first)), self._n_models)
                begun = time.perf_counter()
                self._run(first, last, model, end)
                self._seconds = (time.perf_counter() - begun) / ((last - first) * (end - model))
                self._n_together = int(PATIENCE / max(self._seconds, 1e-9))
                model = end
            first = last
        self._write(n_tasks, n_tasks + 1)
        for each in self._written:
            each.end()

    def _run(self, first: int, last: int, model: int, end: int) -> None:
        """Do some tasks for some models, by several threads where there are any."""
        n_models = end - model
        is_long = n_models > 1 and self._seconds * (last - first) * n_models > WORTH_A_THREAD
        threads = helpers() if is_long or self._n_places > 1 else None
        n_threads = 1 if threads is None else min(threads.number + 1, self._n_places)
        if threads is None:
            run(self._tasks, first, last, model, end, self._scratch)
        elif 2 * n_models <= n_threads:
            with self._helped(threads, n_threads - 1) as team:
                run(self._tasks, first, last, model, end, self._scratch, team)
        else:
            self._share_models(threads, first, last, model, end)

    @contextmanager
    def _helped(self, threads: Helpers, n_helpers: int) -> Iterator[Any]:
        """Have other threads take parts of what is large: all of them work on one model."""
        team = new_team(n_helpers + 1)
        others: list[Future[None]] = []
        try:
            # As the interpreter ends, threads take no more work: who leads does it alone.
            with suppress(RuntimeError):
                for scratch in self._of_others(n_helpers):
                    others.append(threads.submit(help_with, team, scratch))
            yield team
        finally:
            dismiss(team)
            for each in others:
                each.cancel()
            wait(others)

    def _share_models(self, threads: Helpers, first: int, last: int, model: int, end: int) -> None:
        """Have each thread do the tasks for models of its own."""
        n_models = end - model
        n_parts = min(n_models, threads.number + 1)
        edges = [model + n_models * i // n_parts for i in range(n_parts + 1)]
        others = [
            threads.submit(run, self._tasks, first, last, *part, scratch)
            for part, scratch in zip(pairwise(edges[1:]), self._of_others(n_parts - 1), strict=True)
        ]
        try:
            run(self._tasks, first, last, model, edges[1], self._scratch)
        finally:
            # Nothing is written any more when this returns, whatever it returns with.
            wait(others)
        for each in others:
            each.result()

    def _of_others(self, n_threads: int) -> list[np.ndarray]:
        """Memory of other threads."""
        while len(self._others) < n_threads:
            self._others.append(np.empty_like(self._scratch))
        return self._others[:n_threads]

    def _write(self, first: int, last: int) -> None:
        """Write what comes before these tasks."""
        for written, places in self._writes:
            if places[0] >= last:
                break
            if places[-1] >= first:
                n_times = bisect_left(places, last) - bisect_left(places, first)
                if n_times:
                    written.write(n_times)


def _tables(call: NativeCall, tasks: Sequence[int], moved: _Moved) -> np.ndarray:
    """Where tasks that are one call find what they need, ``(n_tasks or 1, n_buffers, 2)``."""
    found = call.places[:, 0].tolist()
    if moved.keys().isdisjoint(found):
        return call.places[None]
    tables = np.repeat(call.places[None], len(tasks), axis=0)
    for row, before in enumerate(found):
        if before in moved:
            since, moved_to = moved[before]
            n_times = [bisect_right(since, task) for task in tasks]
            tables[:, row, 0] = [moved_to[n - 1] if n else before for n in n_times]
    return tables


class _Written:
    """What the host writes again and again, in a table with a row for each time."""

    def __init__(self, call: HostWrites, n_times: int):
        self.call = call
        self._tables = [np.empty((n_times, *each.shape), each.dtype) for each in call.arrays]
        # Where an array is; and the table that stands for it, and how far its rows are apart.
        self._addresses = [
            (address(array), address(table), table.strides[0])
            for array, table in zip(call.arrays, self._tables, strict=True)
        ]
        self._n_added = self._row = 0

    def add(self) -> list[tuple[int, int]]:
        """One more time; returns where what was at an address is then."""
        row = self._n_added
        self._n_added += 1
        return [(before, now + row * apart) for before, now, apart in self._addresses]

    def write(self, n_times: int) -> None:
        """Write the next rows."""
        first, self._row = self._row, self._row + n_times
        self.call.write(n_times, *(table[first : self._row] for table in self._tables))

    def end(self) -> None:
        """Leave what was written last to others who read it, and begin anew."""
        for array, table in zip(self.call.arrays, self._tables, strict=True):
            array[...] = table[-1]
        self._row = 0
