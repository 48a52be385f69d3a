"""Many calls as one: steps of a block without Python between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from itertools import accumulate, cycle, groupby, islice, pairwise
from typing import Any

import numpy as np

from skopt_dl._interrupts import uninterrupted
from skopt_dl.backends import Helpers, helpers
from skopt_dl.programs import HostReads, HostWrites
from skopt_dl_native._interpreter import dismiss
from skopt_dl_native._interpreter import team as new_team
from skopt_dl_native.binding import NativeCall, help_with, run
from skopt_dl_native.tables import Tables

Call = Callable[[], Any]

# Seconds that C may take before Python looks for signals.
PATIENCE = 0.05
# Seconds of work that are worth a thread.
WORTH_A_THREAD = 0.0005
# Memory that tables may take, with a row for each time that something is written or read.
MOST_BYTES = 1 << 24
# Multiplications of a task, for one model, that are worth each thread of a team.
WORTH_A_PLACE = 8_000_000


class Sequenced:
    """Calls, of which neighbours in C are one.

    Parameters
    ----------
    calls : sequence of callable
    n_times : int, default=1
        For how many times there is room at first.
    """

    def __init__(self, calls: Sequence[Call], n_times: int = 1):
        # Where nothing else is to be done, all times are one call; else these are done each time.
        self._whole: _Stretch | None = None
        self._parts: list[Call] = []
        n_bytes = _bytes_of_tables(calls)
        self._most = max(1, MOST_BYTES // max(1, n_bytes))
        known = NativeCall, HostWrites, HostReads
        different = dict.fromkeys(calls)
        are_known = all(isinstance(call, known) for call in different)
        has_native = any(isinstance(call, NativeCall) for call in different)
        if are_known and has_native and n_bytes <= MOST_BYTES:
            whole = _Stretch(calls, min(n_times, self._most))
            if whole.can_be_repeated:
                self._whole = whole
                return
        stretch: list[Call] = []
        for call in calls:
            if isinstance(call, NativeCall | HostWrites):
                stretch.append(call)
                continue
            self._end(stretch)
            self._parts.append(call)
            stretch = []
        self._end(stretch)

    def _end(self, stretch: list[Call]) -> None:
        if any(isinstance(each, NativeCall) for each in stretch):
            self._parts.append(_Stretch(stretch))
        else:
            self._parts += stretch

    def __call__(self, n_times: int = 1) -> None:
        if self._whole is not None:
            for first in range(0, n_times, self._most):
                self._whole(min(self._most, n_times - first))
            return
        for _ in range(n_times):
            for part in self._parts:
                part()


def _bytes_of_tables(calls: Sequence[Call]) -> int:
    """What the host writes and reads in one time."""
    return sum(
        array.nbytes
        for call in calls
        if isinstance(call, HostWrites | HostReads)
        for array in call.arrays
    )


class _Stretch:
    """Tasks in C, and what the host writes before them and reads after them.

    Whatever is written, or read, has a place of its own each time.
    """

    def __init__(self, calls: Sequence[Call], n_times: int = 1):
        in_order = [call for call in calls if isinstance(call, NativeCall)]
        tasks = dict.fromkeys(in_order)
        # Models of each task of one time, and of those before it together.
        self._n_models = [each.n_models for each in in_order]
        self._n_before = [0, *accumulate(self._n_models)]
        self._most_models = max(self._n_models)
        self._scratch = max((each.scratch for each in tasks), key=lambda scratch: scratch.nbytes)
        # Threads that may share a task for one model.
        self._n_places = max(each.code.n_multiplications for each in tasks) // WORTH_A_PLACE
        # Tasks of one model that are done between two looks at signals, and seconds that each has
        # taken; the first tells how many that can be.
        self._n_together = 1
        self._seconds = 0.0
        # Memory of other threads.
        self._others: list[np.ndarray] = []
        self._tables = Tables(calls, n_times)

    @property
    def can_be_repeated(self) -> bool:
        """Whether several times can be one call."""
        return self._tables.can_be_repeated

    def __call__(self, n_times: int = 1) -> None:
        tables, most, is_done = self._tables, self._most_models, bytearray(1)
        tables.begin(n_times)
        first = last = 0
        n_tasks = n_times * tables.n_tasks
        try:
            while first < n_tasks:
                is_done[0] = 0
                last = min(first + max(1, self._n_together // most), n_tasks)
                tables.write(first, last)
                # Models one after the other only where a task takes long.
                n_models = most if last - first > 1 else self._n_models[first % tables.n_tasks]
                model = 0
                while model < n_models:
                    is_done[0] = 0
                    end = min(model + max(1, self._n_together // (last - first)), n_models)
                    n_parts = end - model if last - first == 1 else self._n_parts(first, last)
                    begun = time.perf_counter()
                    self._run(first, last, model, end, n_parts, is_done)
                    self._seconds = (time.perf_counter() - begun) / n_parts
                    self._n_together = int(PATIENCE / max(self._seconds, 1e-9))
                    model = end
                first = last
        finally:
            # Whoever interrupts is heard as soon as C has returned, and that may be all.
            if first < last and is_done[0] and end == n_models:
                first = last
            tables.end(first // tables.n_tasks)

    def _n_parts(self, first: int, last: int) -> int:
        """How often one of some tasks is done for a model."""
        n_tasks, before = self._tables.n_tasks, self._n_before
        (first_time, start), (last_time, stop) = divmod(first, n_tasks), divmod(last, n_tasks)
        return (last_time - first_time) * before[-1] + before[stop] - before[start]

    def _run(
        self, first: int, last: int, model: int, end: int, n_parts: int, is_done: bytearray
    ) -> None:
        """Do some tasks for some models, by several threads where there are any."""
        n_models, tasks = end - model, self._tables.tasks
        is_long = n_models > 1 and self._seconds * n_parts > WORTH_A_THREAD
        threads = helpers() if is_long or self._n_places > 1 else None
        n_threads = 1 if threads is None else min(threads.number + 1, self._n_places)
        if threads is None:
            run(tasks, first, last, model, end, self._scratch, None, is_done)
            return
        # Nobody may leave while other threads write.
        with uninterrupted():
            if 2 * n_models <= n_threads:
                with self._helped(threads, n_threads - 1) as team:
                    run(tasks, first, last, model, end, self._scratch, team)
            else:
                for number, start, stop in self._alike(first, last):
                    self._share_models(threads, start, stop, model, min(end, number))
            is_done[0] = 1

    def _alike(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """Neighbours among some tasks that have as many models: how many, and which tasks."""
        start, place = first, first % self._tables.n_tasks
        for number, same in groupby(islice(cycle(self._n_models), place, place + last - first)):
            stop = start + len([*same])
            yield number, start, stop
            start = stop

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
        others: list[Future[None]] = []
        try:
            for part, own in zip(pairwise(edges[1:]), self._of_others(n_parts - 1), strict=True):
                others.append(threads.submit(run, self._tables.tasks, first, last, *part, own))
            run(self._tables.tasks, first, last, model, edges[1], self._scratch)
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
