"""What a worker process does: tasks of another process's search, in a search of their own."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any, NamedTuple

from skopt_dl._warnings import Line
from skopt_dl.backends import one_blas_thread
from skopt_dl.search.coordinator import Coordinator, StaysHereError
from skopt_dl.search.isolation import Shown, isolated_warnings
from skopt_dl.search.tasks import Call


class Lot(NamedTuple):
    """Tasks that travel together: each function, and the filters and line of its call.

    Attributes
    ----------
    tasks : sequence of (callable, sequence of tuple, Line or None)
    verbose : bool
        Whether lines about what is trained are wanted.
    cancelled : str
        A file that is there as soon as the search is to end.
    """

    tasks: Sequence[tuple[Callable[[], Any], Sequence[Any], Line | None]]
    verbose: bool
    cancelled: str


class Answer(NamedTuple):
    """What a task has returned or raised, and the warnings it has shown."""

    result: Any
    error: BaseException | None
    shown: Sequence[Shown]


class _CallElsewhere(Call):
    """A call in the process that sent its tasks: warnings of the one that is here travel back."""

    shown: Sequence[Shown] = ()

    def tell(self, place: int, found: Sequence[Shown]) -> None:
        self.shown = found


def run_lot(lot: Lot) -> tuple[list[Answer], list[str]]:
    """Run tasks of another process's search.

    Parameters
    ----------
    lot : Lot

    Returns
    -------
    answers : list of Answer
        One for each task.
    lines : list of str
        What there is to tell, if the lot is verbose.
    """
    lines: list[str] = []
    tell = lines.append if lot.verbose else None
    coordinator = Coordinator(len(lot.tasks), 1, tell, works_for=lot.cancelled)
    with isolated_warnings(), one_blas_thread():
        calls = [_CallElsewhere(filters, line) for _, filters, line in lot.tasks]
        with coordinator.submitting():
            futures = [
                coordinator.submit(function, call)
                for (function, *_), call in zip(lot.tasks, calls, strict=True)
            ]
        wait(futures)
        coordinator.close()
    return [_answer(*pair) for pair in zip(futures, calls, strict=True)], lines


def _answer(future: Future[Any], call: _CallElsewhere) -> Answer:
    error = future.exception()
    if error is None:
        return Answer(future.result(), None, call.shown)
    if not isinstance(error, StaysHereError):
        # A traceback does not travel.
        error.add_note("".join(traceback.format_exception(error)))
    return Answer(None, error, call.shown)
