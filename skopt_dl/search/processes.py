"""Worker processes that run tasks of a search beside this one.

Python runs one thread at a time, and small networks need it between any two products: trained in
threads, they would keep one core busy. So some tasks go to other processes, many at once, where
they are trained in stacks just as here.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from importlib import import_module
from typing import Any

from joblib import wrap_non_picklable_objects
from threadpoolctl import threadpool_limits

# Seconds after which processes that nobody uses end; joblib's own wait as long.
IDLE = 300


class Processes:
    """Worker processes, started when made; they take a second or so.

    Parameters
    ----------
    number : int
    """

    def __init__(self, number: int):
        # Not at the top: it takes long to import, and not every platform has processes.
        from joblib.externals.loky import ProcessPoolExecutor

        self.number = number
        self._owner = os.getpid()
        self._executor = ProcessPoolExecutor(number, timeout=IDLE, initializer=_prepare)
        self._first_calls = [self._executor.submit(int) for _ in range(number)]
        self._ended = False

    @property
    def usable(self) -> bool:
        """Whether they are there, or will be; a fork has no use for those of its parent."""
        failed = any(each.done() and each.exception() for each in self._first_calls)
        return not (self._ended or failed or self._owner != os.getpid())

    @property
    def ready(self) -> bool:
        """Whether tasks would be run at once."""
        return self.usable and all(each.done() for each in self._first_calls)

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in one of them.

        Raises
        ------
        BrokenExecutor
            If a process died; none is `usable` then.
        Exception
            What the function raised, or kept the call or its result from being pickled.
        """
        payload = _pickled((function, args))
        try:
            return pickle.loads(self._executor.submit(_call, payload).result())
        except BrokenExecutor:
            self.end()
            raise

    def end(self) -> None:
        """End them, whatever they do."""
        self._ended = True
        if self._owner == os.getpid():
            self._executor.shutdown(wait=False, kill_workers=True)


_lock = threading.Lock()
_shared: Processes | None = None


def shared_processes(number: int, start: bool = False) -> Processes | None:
    """Return the processes that all searches of this one share, if there are so many.

    Parameters
    ----------
    number : int
    start : bool, default=False
        Have them start where there are none.
    """
    global _shared
    with _lock:
        there = _shared is not None and _shared.usable and _shared.number == number
        if not there and start:
            if _shared is not None:
                _shared.end()
            _shared, there = Processes(number), True
        return _shared if there else None


def _prepare() -> None:
    """Import what tasks need; one thread for each process."""
    for name in ("sklearn.model_selection", "skopt_dl.estimators", "skopt_dl.search.backend"):
        import_module(name)
    # Afterwards, since it concerns the libraries that are there.
    threadpool_limits(1, user_api="blas")


def _call(payload: bytes) -> bytes:
    function, args = pickle.loads(payload)
    return _pickled(function(*args))


def _pickled(value: Any) -> bytes:
    """Pickle a value, with what is defined in a script or a notebook."""
    return pickle.dumps(wrap_non_picklable_objects(value, keep_wrapper=False))
