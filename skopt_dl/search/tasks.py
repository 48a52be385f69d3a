"""Tasks of a search, and the calls of ``joblib.Parallel`` that they belong to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skopt_dl._warnings import Line, origin
from skopt_dl.jobs import FitJob, Outcome
from skopt_dl.search.isolation import Shown, TaskWarnings, current, show

if TYPE_CHECKING:
    from skopt_dl.search.coordinator import Coordinator

# The task that runs here.
active: ContextVar[Task | None] = ContextVar("skopt_dl_task", default=None)


class Call:
    """One call of ``joblib.Parallel``, made where this object is.

    Its tasks see the variables of that context, and their warnings are shown there, in the order
    of the tasks: those of a task as soon as those of all before it are known.

    Parameters
    ----------
    filters : sequence of tuple
        Filters of warnings that tasks begin with.
    line : Line or None
        The user's line that the call was made from, if it is known.
    """

    def __init__(self, filters: Sequence[Any], line: Line | None):
        self.filters = filters
        self.line = line
        self.context = copy_context()
        self.context.run(origin.set, line)
        self._owner = current()
        self._lock = threading.Lock()
        self._n_tasks = self._n_told = 0
        self._early: dict[int, Sequence[Shown]] = {}

    def number(self) -> int:
        """Count a task of this call; return its place among them."""
        with self._lock:
            self._n_tasks += 1
            return self._n_tasks - 1

    def tell(self, place: int, found: Sequence[Shown]) -> None:
        """Take in what a task has shown."""
        with self._lock:
            self._early[place] = found
            while self._n_told in self._early:
                self._n_told += 1
                show(self._owner, self._early.pop(self._n_told - 1))

    def end(self) -> None:
        """Tell what is left, where a task has never come to its end."""
        with self._lock:
            for place in sorted(self._early):
                show(self._owner, self._early.pop(place))


class Turn:
    """What one thread waits for; a lock, since an event's wait is Python code."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.come, self.wait = self._lock.release, self._lock.acquire


@dataclass(eq=False)
class Task:
    """A function to be called, and where it stands.

    Attributes
    ----------
    number : int
        Its own in the search.
    place : int
        Its place among the tasks of its call.
    job : FitJob or None
        What it waits to have trained.
    outcome : Outcome, BaseException or None
        What became of that.
    """

    number: int
    place: int
    function: Callable[[], Any]
    call: Call
    coordinator: Coordinator
    future: Future[Any] = field(default_factory=Future)
    turn: Turn = field(default_factory=Turn)
    job: FitJob | None = None
    outcome: Outcome | BaseException | None = None

    def run(self) -> None:
        """Call the function, in the context of its call, and tell what comes of it."""
        self.call.context.copy().run(self._run)

    def _run(self) -> None:
        active.set(self)
        warnings = TaskWarnings(self.call.filters)
        with warnings.in_force():
            try:
                result, error = self.function(), None
            except BaseException as raised:
                result, error = None, raised
        self.finish(result, error, warnings.shown)

    def finish(self, result: Any, error: BaseException | None, shown: Iterable[Shown]) -> None:
        """Give whoever waits for the task what it has returned, or raised."""
        try:
            self.call.tell(self.place, list(shown))
        except BaseException as raised:
            # A `showwarning` of the user's may; in a plain search it would do so in the task.
            error = error or raised
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)
