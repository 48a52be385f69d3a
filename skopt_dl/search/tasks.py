"""Tasks of a search, and the calls of ``joblib.Parallel`` that they belong to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from skopt_dl._warnings import Line, origin
from skopt_dl.jobs import FitJob, Outcome
from skopt_dl.search.isolation import Shown, TaskWarnings, current, show
from skopt_dl.search.threads import Turn


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

    Attributes
    ----------
    n_tasks : int
        How many there are so far.
    """

    def __init__(self, filters: Sequence[Any], line: Line | None):
        self.filters = filters
        self.line = line
        self.context = copy_context()
        self.context.run(origin.set, line)
        self._owner = current()
        self._lock = threading.Lock()
        self.n_tasks = self._n_told = 0
        self._early: dict[int, Sequence[Shown]] = {}

    def number(self) -> int:
        """Count a task of this call; return its place among them."""
        with self._lock:
            self.n_tasks += 1
            return self.n_tasks - 1

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
    future: Future[Any] = field(default_factory=Future)
    turn: Turn = field(default_factory=Turn)
    job: FitJob | None = None
    outcome: Outcome | BaseException | None = None

    def run(self) -> None:
        """Call the function, and tell what comes of it."""
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


class Progress(NamedTuple):
    """How far a search is: models trained, models known so far, seconds since it began."""

    n_trained: int
    n_known: int
    seconds: float


class Lot(NamedTuple):
    """Tasks that travel together: each function, and the filters and line of its call.

    Attributes
    ----------
    tasks : sequence of (callable, sequence of tuple, Line or None)
    verbose : bool
        Whether lines about what is trained are wanted.
    cancelled : str
        A file that is there as soon as the search is to end.
    journal : str or None
        The folder that trained models are kept in.
    progress : Progress
        Of the search, when the lot was sent.
    engine : str
        What models are to be trained by.
    """

    tasks: Sequence[tuple[Callable[[], Any], Sequence[Any], Line | None]]
    verbose: bool
    cancelled: str
    journal: str | None
    progress: Progress
    engine: str


class Answer(NamedTuple):
    """What a task has returned or raised, and the warnings it has shown."""

    result: Any
    error: BaseException | None
    shown: Sequence[Shown]


class Report(NamedTuple):
    """What became of a lot.

    Attributes
    ----------
    answers : list of Answer
        One for each task.
    lines : list of str
        What there is to tell about stacks, if the lot is verbose.
    problems : list of (str, type)
        What the user is to be warned of.
    """

    answers: list[Answer]
    lines: list[str]
    problems: list[tuple[str, type[Warning]]]


def job_of(task: Task) -> FitJob:
    """What a task waits to have trained."""
    assert task.job is not None
    return task.job


def numbers_of(tasks: Sequence[Task]) -> tuple[int, ...]:
    """The numbers of tasks, by which the scheduler knows them."""
    return tuple(task.number for task in tasks)
