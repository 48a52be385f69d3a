"""What a worker process does: tasks of another process's search, in a search of their own."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from concurrent.futures import Future, wait
from functools import cache
from typing import Any

from skopt_dl.backends import one_blas_thread
from skopt_dl.jobs import Journal, JournalWarning
from skopt_dl.programs import using_engine
from skopt_dl.search.coordinator import Coordinator
from skopt_dl.search.elsewhere import StaysHereError
from skopt_dl.search.isolation import Shown, isolated_warnings
from skopt_dl.search.state import Search
from skopt_dl.search.tasks import Answer, Call, Lot, Report


class _CallElsewhere(Call):
    """A call in the process that sent its tasks: warnings of the one that is here travel back."""

    shown: Sequence[Shown] = ()

    def tell(self, place: int, found: Sequence[Shown]) -> None:
        self.shown = found


_problems: list[tuple[str, type[Warning]]] = []


@cache
def _journal(folder: str) -> Journal:
    """The journal of this process in a folder: many lots write to one file."""
    return Journal(folder, lambda text: _problems.append((text, JournalWarning)))


def run_lot(lot: Lot) -> Report:
    """Run tasks of another process's search.

    Parameters
    ----------
    lot : Lot

    Returns
    -------
    report : Report
    """
    lines: list[str] = []
    _problems.clear()
    journal = None if lot.journal is None else _journal(lot.journal)
    search = Search(lines.append if lot.verbose else None, journal, works_for=lot)
    coordinator = Coordinator(search, len(lot.tasks), n_cores=1)
    with isolated_warnings(), one_blas_thread(), using_engine(lot.engine):
        calls = [_CallElsewhere(filters, line) for _, filters, line in lot.tasks]
        with coordinator.submitting():
            futures = [
                coordinator.submit(function, call)
                for (function, *_), call in zip(lot.tasks, calls, strict=True)
            ]
        wait(futures)
        coordinator.close()
    answers = [_answer(*pair) for pair in zip(futures, calls, strict=True)]
    return Report(answers, lines, [*_problems, *search.problems])


def _answer(future: Future[Any], call: _CallElsewhere) -> Answer:
    error = future.exception()
    if error is None:
        return Answer(future.result(), None, call.shown)
    if not isinstance(error, StaysHereError):
        # A traceback does not travel.
        error.add_note("".join(traceback.format_exception(error)))
    return Answer(None, error, call.shown)
