"""Who may compute: one thread on each core."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class Cores:
    """Cores that tasks compute on, one each.

    Those who wait are woken one by one, when there is a core for them: if all were woken to look
    for themselves, they would mostly keep each other from working.
    """

    def __init__(self, number: int):
        self._free = number
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], object]] = deque()

    def ask(self, begin: Callable[[], object]) -> None:
        """Call a function as soon as there is a core for what it begins."""
        with self._lock:
            if not self._free:
                self._waiting.append(begin)
                return
            self._free -= 1
        begin()

    def release(self) -> None:
        """Leave a core to the next."""
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            begin = self._waiting.popleft()
        begin()

    def acquire(self) -> None:
        """Wait for a core."""
        turn = Turn()
        self.ask(turn.come)
        turn.wait()


class Turn:
    """What one thread waits for; a lock, since an event's wait is Python code."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.come, self.wait = self._lock.release, self._lock.acquire
