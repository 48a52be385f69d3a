"""Threads that tasks run in."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

# Seconds after which a thread that has not begun never will.
BEGIN = 20.0


class Turn:
    """What one thread waits for; a lock, since an event's wait is Python code."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.come, self.wait = self._lock.release, self._lock.acquire


class Threads:
    """As many threads as functions are called at once; those that are done wait for the next.

    Not of ``concurrent.futures``, whose threads keep the interpreter from ending when one of them
    is stuck, and take no more work as soon as the main thread ends, though others search on.
    Where the system gives no more threads, the next of these that is done makes the call.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str):
        self._name = name
        self._lock = threading.Lock()
        self._idle: list[_Thread] = []
        self._all: set[_Thread] = set()
        self._later: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._closed = False
        self._full = False

    def begin(self) -> None:
        """Have the first thread: where no more can be had later, it makes all calls."""
        self.call(_nothing)

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Have a function called; it raises nothing.

        Raises
        ------
        RuntimeError
            If the system gives not even the first thread.
        """
        with self._lock:
            thread = self._idle.pop() if self._idle else None
            if thread is None:
                try:
                    thread = self._start()
                except (RuntimeError, MemoryError):
                    if not self._all:
                        raise
                    self._later.append((function, args))
                    return
                self._all.add(thread)
        thread.next = function, args
        thread.turn.come()

    def _start(self) -> _Thread:
        if self._full:
            raise MemoryError
        thread = _Thread(self._done, f"{self._name}-{len(self._all)}")
        try:
            thread.start()
        except MemoryError:
            # If it begins after all, it ends.
            thread.turn.come()
            self._full = True
            raise
        return thread

    def _done(self, thread: _Thread) -> bool:
        """Whether a thread that is done is to wait for more."""
        with self._lock:
            if self._closed:
                return False
            if self._later:
                thread.next = self._later.popleft()
                thread.turn.come()
            else:
                self._idle.append(thread)
            return True

    def close(self, wait: bool) -> None:
        """End the threads, each when it is done, and perhaps wait for that."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.next = None
            thread.turn.come()
        if wait:
            for thread in self._all:
                thread.join()


def _nothing() -> None:
    """Do nothing."""


class _Begun(threading.Event):
    """Set by a thread that begins, which one that the system gives no memory for never does."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(BEGIN if timeout is None else timeout)


class Thread(threading.Thread):
    """A daemon that may fail to begin: Python's own threads are waited for for ever."""

    def __init__(self, name: str, target: Callable[[], None] | None = None):
        super().__init__(name=name, target=target, daemon=True)
        self._started = _Begun()

    def start(self) -> None:
        """Start the thread.

        Raises
        ------
        RuntimeError
            If the system gives none.
        MemoryError
            If it gives one, and no memory for it to begin.
        """
        super().start()
        if not self._started.is_set():
            raise MemoryError(f"There is no memory for the thread {self.name} to begin.")


class _Thread(Thread):
    def __init__(self, done: Callable[[_Thread], bool], name: str):
        super().__init__(name)
        self.turn = Turn()
        self.next: tuple[Callable[..., Any], tuple[Any, ...]] | None = None
        self._done = done

    def run(self) -> None:
        while True:
            self.turn.wait()
            if self.next is None:
                return
            function, args = self.next
            self.next = None
            function(*args)
            del function, args
            if not self._done(self):
                return
