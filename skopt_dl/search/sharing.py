"""What is found out once about data that many tasks have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from skopt_dl.search.isolation import current

T = TypeVar("T")

# The data of the task whose code runs here, if others have them too.
_here: ContextVar[SharedData | None] = ContextVar("skopt_dl_shared_data", default=None)


class SharedData:
    """Arguments of many fits, which nothing changes while these are under way.

    Parameters
    ----------
    arguments : mapping of str to object
    """

    def __init__(self, arguments: Mapping[str, Any]):
        self.arguments = arguments
        self._found: dict[Hashable, Any] = {}

    def __reduce__(self) -> Any:
        # Every process finds out for itself.
        return SharedData, (self.arguments,)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The code inside is a fit with these arguments."""
        token = _here.set(self)
        try:
            yield
        finally:
            _here.reset(token)

    def once(self, key: Hashable, find: Callable[[], T]) -> T:
        """Return what `find` does, which is called once for each key, or each time if it warns.

        Tasks that come at the same time may call it each.
        """
        if key in self._found:
            return self._found[key]
        task = current()
        n_shown = len(task.shown) if task else None
        found = find()
        if task and len(task.shown) == n_shown:
            self._found[key] = found
        return found


def shared_data(**arguments: Any) -> SharedData | None:
    """The data of the task that asks, if these are they."""
    shared = _here.get()
    if shared is None:
        return None
    known = shared.arguments
    return shared if all(known.get(name) is each for name, each in arguments.items()) else None
