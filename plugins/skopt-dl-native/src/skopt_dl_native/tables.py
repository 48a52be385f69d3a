"""Where tasks find what the host writes before them and reads after them, each time elsewhere."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skopt_dl.programs import HostNumbers, HostReads, HostWrites
from skopt_dl_native._interpreter import address
from skopt_dl_native.binding import NativeCall
from skopt_dl_native.drawing import Where, drawing_of

Call = Callable[[], Any]
Positions = list[int]


class Tables:
    """The tasks of some calls that are made one time or several, and tables for the host.

    Parameters
    ----------
    calls : sequence of NativeCall, HostWrites or HostReads
    n_times : int
        For how many times there is room at first.

    Attributes
    ----------
    n_tasks : int
        Of one time.
    tasks : ndarray of int64 of shape (n, 2)
        Where the code of each is, and its places; time after time.
    can_be_repeated : bool
        Whether several times can be one run.
    """

    def __init__(self, calls: Sequence[Call], n_times: int):
        self._calls = [call for call in calls if isinstance(call, NativeCall)]
        self.n_tasks = len(self._calls)
        # Which tasks of one time each comes before, in order; and where they are among all calls.
        writes: dict[HostWrites, Positions] = {}
        reads: dict[HostReads, Positions] = {}
        places: dict[HostWrites, Positions] = {}
        n_tasks = 0
        for place, call in enumerate(calls):
            if isinstance(call, NativeCall):
                n_tasks += 1
            elif isinstance(call, HostReads):
                reads.setdefault(call, []).append(n_tasks)
            elif isinstance(call, HostWrites):
                writes.setdefault(call, []).append(n_tasks)
                places.setdefault(call, []).append(place)
        self._written = {call: _Table(call.arrays, each, True) for call, each in writes.items()}
        self._read = {call: _Table(call.arrays, each, False) for call, each in reads.items()}
        drawn = [call for call in writes if not isinstance(call, HostNumbers)]
        wheres = {
            call: Where(self._written[call].rows, places[call], writes[call]) for call in drawn
        }
        self._drawing = drawing_of(wheres)
        self._drawn = drawn if self._drawing else []
        # Whether what is drawn waits for nothing but itself.
        self._draws_alone = len(drawn) < 2
        self._turns = _turns(calls, self._drawn)
        self._ends_with_writes = any(each[-1] == n_tasks for each in writes.values())
        own = {
            call: (call.code.address, address(call.places)) for call in dict.fromkeys(self._calls)
        }
        self._of_one_time = np.array([own[call] for call in self._calls], np.int64)
        self._find_moved()
        self._writes: list[tuple[_Table, HostWrites, Positions]] = []
        self._make(n_times)

    def _find_moved(self) -> None:
        """Find the places that are in an array which the host writes or reads."""
        n_tasks = self.n_tasks
        lengths = np.array([len(call.places) for call in self._calls])
        places = np.concatenate([call.places for call in self._calls])
        starts, tasks = places[:, 0], np.arange(n_tasks).repeat(lengths)
        # Of each array: its table, which it is there, and which places are in it.
        found: list[tuple[_Table, int, np.ndarray]] = []
        times_found = np.zeros(len(places), int)
        self.can_be_repeated = not self._ends_with_writes
        for table in (*self._written.values(), *self._read.values()):
            for number, array in enumerate(table.arrays):
                start = address(array)
                (rows,) = ((starts >= start) & (starts < start + array.nbytes)).nonzero()
                # What is read has to be written here.
                self.can_be_repeated &= table.is_written or len(rows) > 0
                times_found[rows] += 1
                found.append((table, number, rows))
        if times_found.max() > 1:
            found = _nearest(found, tasks, n_tasks)
        # Only tasks with such places have places of their own each time.
        has_own = np.zeros(n_tasks, bool)
        has_own[tasks[times_found > 0]] = True
        is_own = has_own[tasks]
        own_rows = is_own.cumsum() - 1
        self._places, (self._own_tasks,) = places[is_own], has_own.nonzero()
        self._first_places = lengths[has_own].cumsum() - lengths[has_own]
        # What is to be known of each array for any number of times.
        self._moved = [
            (
                table,
                number,
                own_rows[rows],
                table.rows_before(tasks[rows]),
                starts[rows] - address(table.arrays[number]),
            )
            for table, number, rows in found
        ]

    def begin(self, n_times: int) -> None:
        """Have tables for so many times, and nothing written."""
        if n_times > self._n_times:
            self._make(n_times)
        for table in self._written.values():
            table.n_rows = 0
        # The task up to which all is drawn.
        self._reached = 0

    def _make(self, n_times: int) -> None:
        self._n_times, n_tasks = n_times, self.n_tasks
        for table in (*self._written.values(), *self._read.values()):
            table.make(n_times)
        self._own_places = np.tile(self._places, (n_times, 1, 1))
        for table, number, rows, before, within in self._moved:
            self._own_places[:, rows, 0] = table.addresses(number, before, n_times) + within
        self.tasks = np.tile(self._of_one_time, (n_times, 1))
        if len(self._places):
            first = np.arange(n_times)[:, None] * len(self._places) + self._first_places
            starts = first * self._places.strides[0] + address(self._own_places)
            self.tasks.reshape(n_times, n_tasks, 2)[:, self._own_tasks, 1] = starts
        self._writes = []
        times = np.arange(0, n_times * n_tasks, n_tasks)[:, None]
        for write, positions in self._turns:
            of_times = times + positions
            if isinstance(write, HostNumbers) or self._draws_alone:
                of_times = of_times.reshape(1, -1)
            self._writes += [(self._written[write], write, each) for each in of_times.tolist()]
        self._writes.sort(key=lambda each: each[2][0])
        if self._drawing is not None:
            self._drawing.make(n_times, n_tasks)

    def write(self, first: int, last: int) -> None:
        """Have the host write what comes before these tasks."""
        if self._drawing is not None:
            self._drawing.write(first, last)
            self._reached = last
        for table, call, positions in self._writes:
            if positions[0] >= last:
                break
            if positions[-1] >= first:
                n_rows = bisect_left(positions, last) - bisect_left(positions, first)
                if n_rows:
                    call.write(n_rows, *table.next(n_rows))

    def end(self, n_times: int) -> None:
        """Have the host read what so many times have written, and leave what it wrote last."""
        if self._ends_with_writes and n_times == self._n_times:
            self.write(self.n_tasks, self.n_tasks + 1)
        for drawn in self._drawn:
            self._written[drawn].reach(self._reached, self.n_tasks)
        for table in self._written.values():
            table.leave()
        for call, table in self._read.items():
            table.n_rows = 0
            if n_times:
                n_rows = n_times * table.n_positions
                call.read(n_rows, *table.next(n_rows))


def _turns(
    calls: Sequence[Call], others: Sequence[HostWrites]
) -> list[tuple[HostWrites, Positions]]:
    """What is written, but others, one after the other, as many times at once as can be.

    With the tasks of one time that it is written before.
    """
    turns: list[tuple[HostWrites, Positions]] = []
    of_turn: dict[HostWrites, Positions] = {}
    last: HostWrites | None = None
    n_tasks = 0
    for call in calls:
        if isinstance(call, NativeCall):
            n_tasks += 1
        elif isinstance(call, HostWrites) and call not in others:
            # Numbers wait for nothing, others for their turn.
            if not isinstance(call, HostNumbers) and last is not call:
                of_turn.pop(call, None)
                last = call
            if call not in of_turn:
                of_turn[call] = []
                turns.append((call, of_turn[call]))
            of_turn[call].append(n_tasks)
    return turns


def _nearest(
    found: Sequence[tuple[_Table, int, np.ndarray]], tasks: np.ndarray, n_tasks: int
) -> list[tuple[_Table, int, np.ndarray]]:
    """Have each place in one array: several have the same memory, used for one after the other."""
    nearest = np.full(len(tasks), 2 * n_tasks)
    distances = [table.distances(tasks[rows], n_tasks) for table, _, rows in found]
    for (*_, rows), of_rows in zip(found, distances, strict=True):
        nearest[rows] = np.minimum(nearest[rows], of_rows)
    return [
        (table, number, rows[of_rows == nearest[rows]])
        for (table, number, rows), of_rows in zip(found, distances, strict=True)
    ]


class _Table:
    """Arrays, with a row for each time that they are written or read.

    Parameters
    ----------
    arrays : sequence of ndarray
    positions : list of int
        Of the tasks of one time that it is written, or read, before.
    is_written : bool
        Whether tasks use what was written last; else they write what is read next.
    """

    def __init__(self, arrays: Sequence[np.ndarray], positions: Positions, is_written: bool):
        self.arrays, self.is_written = arrays, is_written
        self._positions, self.n_positions = np.array(positions), len(positions)
        self._tables: list[np.ndarray] = []
        # Rows that are done.
        self.n_rows = 0

    def make(self, n_times: int) -> None:
        """Have rows for so many times."""
        # A row more: for who comes after the last time that is read.
        n_rows = n_times * self.n_positions + 1
        self._tables = [np.empty((n_rows, *each.shape), each.dtype) for each in self.arrays]

    def rows_before(self, tasks: np.ndarray) -> np.ndarray:
        """The rows of tasks of the first time; -1 where nothing is written yet."""
        return self._positions.searchsorted(tasks, side="right") - int(self.is_written)

    def distances(self, tasks: np.ndarray, n_tasks: int) -> np.ndarray:
        """How many tasks ago each finds it written, or how many later it is read."""
        rows = self.rows_before(tasks)
        if self.is_written:
            return tasks - self._positions[rows] + np.where(rows < 0, n_tasks, 0)
        return np.append(self._positions, self._positions[0] + n_tasks)[rows] - tasks

    def addresses(self, array: int, rows: np.ndarray, n_times: int) -> np.ndarray:
        """Where tasks find an array, ``(n_times, n_tasks)``, by their rows of the first time."""
        found = np.arange(n_times)[:, None] * self.n_positions + rows
        is_given = found < 0
        found = self.rows(array)[found]
        # Before anything is written, it is what was there.
        found[is_given] = address(self.arrays[array])
        return found

    def rows(self, array: int) -> np.ndarray:
        """Where the rows of an array are."""
        table = self._tables[array]
        return np.arange(len(table)) * table.strides[0] + address(table)

    def reach(self, last: int, n_tasks: int) -> None:
        """Have those rows done that come before these tasks, of all times."""
        n_times = len(self._tables[0]) // self.n_positions
        positions = np.arange(n_times)[:, None] * n_tasks + self._positions
        self.n_rows = int(positions.ravel().searchsorted(last))

    def next(self, n_rows: int) -> list[np.ndarray]:
        """The next rows."""
        first, self.n_rows = self.n_rows, self.n_rows + n_rows
        return [table[first : self.n_rows] for table in self._tables]

    def leave(self) -> None:
        """Leave what was written last to others who read it."""
        if self.n_rows:
            for array, table in zip(self.arrays, self._tables, strict=True):
                array[...] = table[self.n_rows - 1]
