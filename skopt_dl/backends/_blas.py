"""BLAS on one thread, for as long as results must not depend on how many there are.

With several threads a library cuts products and sums in other places, and rounds otherwise. Who is
alone may have helpers instead, as many as BLAS had threads.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController


class _Limit:
    """One thread for some libraries, from the first to enter to the last to leave."""

    def __init__(self) -> None:
        self.inside: set[int] = set()
        self._found: list[tuple[Any, int]] = []

    @property
    def n_threads_found(self) -> int:
        """How many threads the first to enter has found, at most."""
        return max((n_threads for _, n_threads in self._found), default=1)

    # In both, an interrupt at any line leaves something that `leave` puts right.

    def enter(self, who: int, libraries: Sequence[Any]) -> None:
        if not self.inside:
            self._found = [(library, library.get_num_threads()) for library in libraries]
        self.inside.add(who)
        if len(self.inside) == 1:
            for library in libraries:
                _set(library, 1)

    def leave(self, who: int) -> None:
        if self.inside == {who}:
            for library, n_threads in self._found:
                _set(library, n_threads)
        self.inside.discard(who)


class Helpers(ThreadPoolExecutor):
    """Threads that compute with the one who is inside alone."""

    def __init__(self, number: int):
        super().__init__(number, thread_name_prefix="skopt_dl_helper")
        self.number = number


class _OneThread:
    """The limit; some libraries have one number of threads, others one for each caller."""

    def __init__(self) -> None:
        # A context that is collected may leave while its thread is here.
        self._lock = threading.RLock()
        self._n_modules = 0
        self._shared: list[Any] = []
        self._by_caller: list[Any] = []
        self._limit = _Limit()
        self._of_caller = threading.local()
        self._helpers: Helpers | None = None

    def enter(self, who: int) -> None:
        with self._lock:
            self._look_for_libraries()
            self._limit.enter(who, self._shared)
            if self._by_caller:
                vars(self._of_caller).setdefault("limit", _Limit()).enter(who, self._by_caller)

    def leave(self, who: int) -> None:
        leaving = None
        with self._lock:
            if self._by_caller:
                vars(self._of_caller).get("limit", self._limit).leave(who)
            self._limit.leave(who)
            if not self._limit.inside:
                leaving, self._helpers = self._helpers, None
        if leaving is not None:
            leaving.shutdown()

    def before_fork(self) -> None:
        """Wait until nobody is about to enter or leave, whose thread a child would not have."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on in the child, which has none of the threads but one."""
        self._lock = threading.RLock()
        self._helpers = None

    @property
    def inside(self) -> set[int]:
        """Who is inside."""
        return self._limit.inside

    def helpers(self) -> Helpers | None:
        """What `helpers` returns."""
        if len(self._limit.inside) != 1:
            return None
        with self._lock:
            if self._helpers is None:
                of_caller = vars(self._of_caller).get("limit", self._limit)
                number = max(self._limit.n_threads_found, of_caller.n_threads_found)
                self._helpers = Helpers(number - 1) if number > 1 else None
            return self._helpers

    def _look_for_libraries(self) -> None:
        """Renew the lists where a module, and so perhaps a library, has come: it takes long."""
        if self._n_modules == len(sys.modules):
            return
        self._n_modules = len(sys.modules)
        every = [each for each in ThreadpoolController().lib_controllers if each.user_api == "blas"]
        self._by_caller = [each for each in every if _counts_by_caller(each)]
        self._shared = [each for each in every if not _counts_by_caller(each)]


def _counts_by_caller(library: Any) -> bool:
    if library.internal_api == "openblas":
        return bool(library.threading_layer == "openmp")
    return bool(library.internal_api == "mkl")


def _set(library: Any, n_threads: int) -> None:
    # From threadpoolctl 3.8 on, the public method does nothing for OpenBLAS where another thread
    # that still lives has called it before.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


_one_thread = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_one_thread.before_fork,
        after_in_parent=_one_thread.after_fork,
        after_in_child=_one_thread.after_fork_in_child,
    )


class _Inside:
    """One who is inside, as a context.

    A Ctrl-C may keep ``with`` from entering or leaving whole; what was left half done is undone
    when the context is collected.
    """

    def __init__(self, limit: _OneThread):
        self._limit = limit

    def __enter__(self) -> None:
        self._limit.enter(id(self))

    def __exit__(self, *exception: object) -> None:
        self._limit.leave(id(self))

    def __del__(self) -> None:
        limit = vars(self).get("_limit")
        if limit is not None and id(self) in limit.inside:
            limit.leave(id(self))


def one_blas_thread() -> AbstractContextManager[None]:
    """Limit the BLAS libraries of this process to one thread.

    Any number of threads may be inside at once: the first to enter limits, the last to leave puts
    back what the first found. Entering takes microseconds.

    Returns
    -------
    context : context manager
    """
    return _Inside(_one_thread)


def helpers() -> Helpers | None:
    """Return threads that may compute for the only one inside; None where there are several.

    They live until the last has left.
    """
    return _one_thread.helpers()
