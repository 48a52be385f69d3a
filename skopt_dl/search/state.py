"""What all that work for one search know of it."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from skopt_dl.jobs import Journal
from skopt_dl.search.tasks import Lot, Progress


class AbortedError(RuntimeError):
    """The search that a task belongs to has ended, because of an error or an interrupt."""

    def __init__(self, message: str = "The search was ended."):
        super().__init__(message)


class Search:
    """One search: whether it goes on, how far it is, and what the user is to hear of it.

    Parameters
    ----------
    tell : callable, default=None
        Gets lines about what is trained.
    journal : Journal, default=None
        Keeps what is trained.
    works_for : Lot, default=None
        The tasks, where they are those of another process's search.

    Attributes
    ----------
    is_worker : bool
        Whether it does a part of another process's search.
    cancelled : str
        A file by which other processes are told of the end: the one thing that all see, on every
        platform.
    """

    def __init__(
        self,
        tell: Callable[[str], None] | None = None,
        journal: Journal | None = None,
        works_for: Lot | None = None,
    ):
        self.tell, self.journal = tell, journal
        self.is_worker = works_for is not None
        here = Path(tempfile.gettempdir(), f"skopt_dl-{uuid4()}")
        self.cancelled = str(here) if works_for is None else works_for.cancelled
        self._before = Progress(0, 0, 0.0) if works_for is None else works_for.progress
        self._aborted = threading.Event()
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._n_tasks = self._n_trained = 0
        # What the user is to be warned of when the search is over.
        self.problems: list[tuple[str, type[Warning]]] = []

    @property
    def aborted(self) -> bool:
        """Whether the search was ended."""
        if self.is_worker and os.path.exists(self.cancelled):
            self._aborted.set()
        return self._aborted.is_set()

    def abort(self) -> None:
        """End the search."""
        self._aborted.set()

    def cancel_elsewhere(self) -> None:
        """Ask other processes to end what they do for the search."""
        Path(self.cancelled).touch()

    def forget(self) -> None:
        """Leave nothing behind."""
        if not self.is_worker:
            Path(self.cancelled).unlink(missing_ok=True)

    def warn(self, text: str, category: type[Warning] = RuntimeWarning) -> None:
        """Have the user warned, once, at the end."""
        with self._lock:
            if (text, category) not in self.problems:
                self.problems.append((text, category))

    def count(self, *, tasks: int = 0, trained: int = 0) -> int:
        """Count tasks that were submitted and models that were trained; returns all tasks."""
        with self._lock:
            self._n_tasks += tasks
            self._n_trained += trained
            return self._n_tasks

    @property
    def progress(self) -> Progress:
        """How far the search is, as far as is known here; a task counts as a model."""
        before = self._before
        n_trained = before.n_trained + self._n_trained
        n_known = max(before.n_known, self._n_tasks, n_trained)
        return Progress(n_trained, n_known, before.seconds + time.monotonic() - self._began)
