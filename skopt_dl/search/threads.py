"""Threads that tasks run in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


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

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str):
        self._name = name
        self._lock = threading.Lock()
        self._idle: list[_Thread] = []
        self._all: set[_Thread] = set()
        self._closed = False

    def call(self, function: Callable[..., None], *args: Any) -> None:
        """Have a function called; it raises nothing."""
        with self._lock:
            thread = self._idle.pop() if self._idle else None
            if thread is None:
                thread = _Thread(self._done, f"{self._name}-{len(self._all)}")
                self._all.add(thread)
                thread.start()
        thread.next = function, args
        thread.turn.come()

    def _done(self, thread: _Thread) -> bool:
        """Whether a thread that is done is to wait for more."""
        with self._lock:
            if self._closed:
                return False
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


class _Thread(threading.Thread):
    def __init__(self, done: Callable[[_Thread], bool], name: str):
        super().__init__(name=name, daemon=True)
        self.turn = Turn()
        self.next: tuple[Callable[..., None], tuple[Any, ...]] | None = None
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
