"""Sends tasks to other processes, many at once, and takes back what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from skopt_dl.programs import chosen_engine
from skopt_dl.search.processes import Processes, shared_processes
from skopt_dl.search.scheduler import (
    Answered,
    Event,
    ProcessesLost,
    ProcessesReady,
    Settled,
)
from skopt_dl.search.state import Search
from skopt_dl.search.tasks import Lot, Report, Task, numbers_of
from skopt_dl.search.threads import Threads


class StaysHereError(BaseException):
    """A task that another process has begun belongs to this one; no `except Exception` is meant."""


class Elsewhere:
    """Other processes, as far as one search uses them.

    Parameters
    ----------
    search : Search
    happens : callable
        Is told of what happens.
    done : callable
        Is given each task that is over.
    number : int
        How many processes there may be.
    run_lot : callable or None
        What they call with a `Lot`, to return a `Report`.
    """

    def __init__(
        self,
        search: Search,
        happens: Callable[[Event], None],
        done: Callable[[Task], None],
        number: int,
        run_lot: Callable[[Lot], Report] | None,
    ):
        self._search, self._happens, self._done = search, happens, done
        self._number, self._run_lot = number, run_lot
        self._threads = Threads("skopt_dl-lot")
        self._processes: Processes | None = None

    def look(self) -> None:
        """Use processes that are there already, from an earlier search."""
        self._processes = shared_processes(self._number)
        if self._processes is not None and self._processes.ready:
            self._happens(ProcessesReady())

    def start(self) -> None:
        """Have them start."""
        try:
            self._threads.begin()
            self._processes = shared_processes(self._number, start=True)
            assert self._processes is not None
            self._processes.when_ready(lambda: self._happens(ProcessesReady()))
        except Exception as error:
            self._happens(ProcessesLost())
            if self._search.tell is not None:
                self._search.tell(f"[skopt_dl] no other processes: {type(error).__name__}: {error}")

    def send(self, lot: int, tasks: Sequence[Task]) -> None:
        """Have tasks run by one of them; where it cannot, they stay here, and all others."""
        self._threads.call(self._send, lot, tasks)

    def end(self) -> None:
        """End the processes, whatever they do, for whomever."""
        if self._processes is not None:
            self._processes.end()

    def close(self, wait: bool) -> None:
        """End the threads."""
        self._threads.close(wait)

    def _send(self, lot: int, tasks: Sequence[Task]) -> None:
        assert self._processes is not None
        assert self._run_lot is not None
        search = self._search
        functions = [(task.function, task.call.filters, task.call.line) for task in tasks]
        folder = None if search.journal is None else str(search.journal.folder)
        verbose, engine = search.tell is not None, chosen_engine().name
        sent = Lot(functions, verbose, search.cancelled, folder, search.progress, engine)
        try:
            report = self._processes.run(self._run_lot, sent)
        except BaseException as error:
            if not (search.aborted or self._processes.usable):
                search.warn(_died(len(tasks), error))
            self._happens(Settled(lot, numbers_of(tasks)))
            return
        self._happens(Answered(lot))
        staying = []
        for task, answer in zip(tasks, report.answers, strict=True):
            if isinstance(answer.error, StaysHereError):
                staying.append(task)
            else:
                self._done(task)
                task.finish(*answer)
        search.count(trained=len(tasks) - len(staying))
        for problem in report.problems:
            search.warn(*problem)
        self._happens(Settled(lot, numbers_of(staying)))
        for line in report.lines:
            search.tell(line)  # type: ignore[misc]


def _died(n_tasks: int, error: BaseException) -> str:
    reason = str(error).partition("\n")[0]
    return (
        f"A process that ran {n_tasks} tasks of this search died, and they were run again by this "
        "one. It may have needed more memory than there is: a smaller n_jobs needs less, and "
        "n_processes=1 starts no processes. Or an interrupt of another search ended it. "
        f"{type(error).__name__}: {reason}"
    )
