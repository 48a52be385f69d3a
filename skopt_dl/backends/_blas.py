"""BLAS on one thread, for as long as results must not depend on how many there are.

With several threads a library cuts products and sums in other places, and rounds otherwise.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController


class _Limit:
    """One thread for some libraries, from the first to enter to the last to leave."""

    def __init__(self) -> None:
        self._n_inside = 0
        self._found: list[tuple[Any, int]] = []

    def enter(self, libraries: Sequence[Any]) -> None:
        if not self._n_inside:
            self._found = [(library, library.get_num_threads()) for library in libraries]
            for library in libraries:
                _set(library, 1)
        self._n_inside += 1

    def leave(self) -> None:
        self._n_inside -= 1
        if not self._n_inside:
            for library, n_threads in self._found:
                _set(library, n_threads)


class _OneThread:
    """The context; some libraries have one number of threads, others one for each caller."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_modules = 0
        self._shared: list[Any] = []
        self._by_caller: list[Any] = []
        self._limit = _Limit()
        self._of_caller = threading.local()

    def __enter__(self) -> None:
        with self._lock:
            self._look_for_libraries()
            self._limit.enter(self._shared)
            vars(self._of_caller).setdefault("limit", _Limit()).enter(self._by_caller)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._of_caller.limit.leave()
            self._limit.leave()

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


def one_blas_thread() -> AbstractContextManager[None]:
    """Limit the BLAS libraries of this process to one thread.

    Any number of threads may be inside at once: the first to enter limits, the last to leave puts
    back what the first found. Entering takes microseconds.

    Returns
    -------
    context : context manager
    """
    return _one_thread
