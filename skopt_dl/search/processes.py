"""Worker processes that run tasks of a search beside this one.

Python runs one thread at a time, and small networks need it between any two products: trained in
threads, they would keep one core busy. So some tasks go to other processes, many at once, where
they are trained in stacks just as here.
"""

from __future__ import annotations

import os
import pickle
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from joblib import wrap_non_picklable_objects
from threadpoolctl import threadpool_limits

# Seconds after which processes that nobody uses end; joblib's own wait as long.
IDLE = 300
# Seconds that the end of processes is waited for.
PATIENCE = 5.0


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
        self._n_running = 0

    @property
    def usable(self) -> bool:
        """Whether they are there, or will be; a fork has no use for those of its parent."""
        failed = any(each.done() and each.exception() for each in self._first_calls)
        return not (self._ended or failed or self._owner != os.getpid())

    @property
    def ready(self) -> bool:
        """Whether tasks would be run at once."""
        return self.usable and all(each.done() for each in self._first_calls)

    def when_ready(self, tell: Callable[[], None]) -> None:
        """Call a function, once, as soon as tasks would be run at once."""
        once = threading.Lock()

        def look(_: Any) -> None:
            if self.ready and once.acquire(blocking=False):
                tell()

        for each in self._first_calls:
            each.add_done_callback(look)

    @property
    def idle(self) -> bool:
        """Whether nobody uses them now."""
        return not self._n_running

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in one of them.

        Raises
        ------
        Exception
            What the function raised, or kept the call or its result from being pickled; or, if
            they are not `usable` any more, what ended them.
        """
        from joblib.externals.loky.process_executor import BrokenProcessPool, ShutdownExecutorError

        payload = _pickled((function, args))
        with _lock:
            self._n_running += 1
        try:
            return pickle.loads(self._executor.submit(_call, payload).result())
        except (BrokenProcessPool, ShutdownExecutorError):
            self.end()
            raise
        finally:
            with _lock:
                self._n_running -= 1

    def end(self) -> None:
        """End them, whatever they do."""
        with _lock:
            if self._ended or self._owner != os.getpid():
                return
            self._ended = True
        executor = self._executor
        calls, manager = executor._call_queue, executor._executor_manager_thread
        with suppress(queue.Empty):
            # What nobody has begun: the executor would stumble over it, and leave the rest.
            while True:
                executor._work_ids.get_nowait()
        executor.shutdown(wait=False, kill_workers=True)
        if calls is not None:
            # A thread may be writing samples into a pipe that nobody reads now, and would do so
            # for ever.
            calls._reader.close()
        if manager is not None:
            manager.join(PATIENCE)


_lock = threading.Lock()
_starting = threading.Lock()
_shared: dict[int, Processes] = {}


def shared_processes(number: int, start: bool = False) -> Processes | None:
    """Return the processes that all searches of this one share, if there are so many.

    Parameters
    ----------
    number : int
    start : bool, default=False
        Have them start where there are none; others, if nobody uses them now, end.
    """
    with _starting:
        found = _shared.get(number)
        if found is not None and found.usable:
            return found
        if not start:
            return None
        for other in [each for each in _shared.values() if each.idle or not each.usable]:
            other.end()
            del _shared[other.number]
        _shared[number] = Processes(number)
        return _shared[number]


def _prepare() -> None:
    """Import what tasks need; one thread for each process."""
    for name in ("sklearn.model_selection", "skopt_dl.estimators", "skopt_dl.search.worker"):
        import_module(name)
    # Afterwards, since it concerns the libraries that are there.
    threadpool_limits(1, user_api="blas")


def _call(payload: bytes) -> bytes:
    function, args = pickle.loads(payload)
    return _pickled(function(*args))


def _pickled(value: Any) -> bytes:
    """Pickle a value, with what is defined in a script or a notebook."""
    return pickle.dumps(wrap_non_picklable_objects(value, keep_wrapper=False))
