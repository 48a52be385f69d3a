"""Warnings of tasks in threads: filters of their own, and nothing lost or left behind.

Filters of warnings belong to the process, and ``catch_warnings`` puts back what it found: done by
several threads in turn, that loses warnings, and leaves a filter of some task in force for ever.
(From Python 3.14 on, an interpreter option makes them belong to a context.) While tasks run, the
``warnings`` module therefore asks whose code runs: a task sees filters of its own, and what it
shows is recorded, to be shown to the user by the call that the task belongs to.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any, NamedTuple

# The warnings of the task whose code runs here; None outside tasks.
_current: ContextVar[TaskWarnings | None] = ContextVar("skopt_dl_warnings", default=None)

# Actions that show a warning once for each place, module or process.
_ONCE = ("default", "module", "once")


class Shown(NamedTuple):
    """A warning that a task has shown."""

    message: Warning
    category: type[Warning]
    filename: str
    lineno: int


class _Always(str):
    """An action that looks like "always" to the interpreter, and like itself to everybody else.

    The interpreter notes in the module that warns what it has shown once, for all threads. A
    task's warnings are not to be kept from being shown by another's, so a task counts for itself.
    """

    action: str

    def __new__(cls, action: str) -> _Always:
        self = super().__new__(cls, "always")
        self.action = action
        return self

    def __eq__(self, other: object) -> bool:
        return self.action == str(getattr(other, "action", other))

    def __hash__(self) -> int:
        return hash(self.action)

    def __reduce__(self) -> Any:
        return _Always, (self.action,)


def _counted_here(item: tuple[Any, ...]) -> tuple[Any, ...]:
    """A filter whose repetitions a task counts itself."""
    action = item[0]
    # Asked for every filter whenever code in a task begins or ends to catch warnings.
    if type(action) is _Always or action not in _ONCE:
        return item
    return (_Always(action), *item[1:])


class TaskWarnings:
    """A task's filters, and what it has shown.

    Parameters
    ----------
    filters : iterable of tuple
        What it begins with, as in ``warnings.filters``.

    Attributes
    ----------
    shown : list of Shown
        What has reached the task's end: was not ignored, raised, or caught in the task.
    """

    def __init__(self, filters: Iterable[tuple[Any, ...]]):
        self.filters = list(map(_counted_here, filters))
        self.showwarning: Any = warnings.showwarning
        self._showwarnmsg_impl: Any = self._record
        # With these, what `_showwarnmsg_impl` is decides.
        self._not_replaced = self.showwarning, warnings._showwarning_orig  # type: ignore[attr-defined]
        self.shown: list[Shown] = []
        self._seen: set[tuple[Any, ...]] = set()

    def forget(self) -> None:
        """Show again what was shown once: Python begins anew whenever filters change."""
        self._seen.clear()

    def show(self, message: warnings.WarningMessage) -> None:
        """Do with a warning what ``warnings.warn`` does once filters have let it through."""
        if self.showwarning in self._not_replaced:
            self._showwarnmsg_impl(message)
        else:
            self.showwarning(
                message.message, message.category, message.filename, message.lineno, message.file
            )

    def _record(self, message: warnings.WarningMessage) -> None:
        warning = Shown(
            message.message,  # type: ignore[arg-type]
            message.category,
            message.filename,
            message.lineno,
        )
        action = self._action(warning)
        if action in _ONCE:
            place = warning.filename, warning.lineno
            where = {"default": place, "module": place[:1], "once": ()}[action]
            key = action, str(warning.message), warning.category, where
            if key in self._seen:
                return
            self._seen.add(key)
        self.shown.append(warning)

    def _action(self, warning: Shown) -> str:
        """What the first filter that fits says; a module is known by its file alone here."""
        text, module = str(warning.message), re.sub(r"\.py$", "", warning.filename)
        for action, message, category, of_module, lineno in self.filters:
            if (
                (message is None or message.match(text))
                and issubclass(warning.category, category)
                and (of_module is None or of_module.match(module))
                and lineno in (0, warning.lineno)
            ):
                return getattr(action, "action", action)
        return "default"

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let the code inside be this task's."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def current() -> TaskWarnings | None:
    """The warnings of the task that runs here."""
    return _current.get()


def show(owner: TaskWarnings | None, found: Iterable[Shown]) -> None:
    """Show warnings to a task, or to the user where there is none."""
    for warning in found:
        message = warnings.WarningMessage(*warning)
        if owner is None:
            _to_the_user(message)
        else:
            owner.show(message)


def _to_the_user(message: warnings.WarningMessage) -> None:
    token = _current.set(None)
    try:
        warnings._showwarnmsg(message)  # type: ignore[attr-defined]
    finally:
        _current.reset(token)


def _ours(name: str) -> property:
    """An attribute that each task has its own of."""

    def get(module: ModuleType) -> Any:
        task = _current.get()
        return vars(module)[name] if task is None else getattr(task, name)

    def put(module: ModuleType, value: Any) -> None:
        task = _current.get()
        if task is None:
            vars(module)[name] = value
        elif name == "filters":
            task.filters = list(map(_counted_here, value))
            task.forget()
        else:
            setattr(task, name, value)

    return property(get, put)


class _WarningsOfTasks(ModuleType):
    """The class of the ``warnings`` module while there are tasks."""

    filters = _ours("filters")
    showwarning = _ours("showwarning")
    _showwarnmsg_impl = _ours("_showwarnmsg_impl")


def _dispatching(original: dict[str, Any]) -> dict[str, Any]:
    """Functions of the module that use its variables, and so have to ask whose they are."""

    def _showwarnmsg(msg: warnings.WarningMessage) -> None:
        task = _current.get()
        if task is None:
            original["_showwarnmsg"](msg)
        else:
            task.show(msg)

    def _add_filter(*item: Any, append: bool) -> None:
        task = _current.get()
        if task is None:
            original["_add_filter"](*item, append=append)
            return
        task.forget()
        new = _counted_here(item)
        if append and new in task.filters:
            return
        if not append and new in task.filters:
            task.filters.remove(new)
        task.filters.insert(len(task.filters) if append else 0, new)

    def resetwarnings() -> None:
        task = _current.get()
        if task is None:
            original["resetwarnings"]()
        else:
            task.filters.clear()
            task.forget()

    return {
        "_showwarnmsg": _showwarnmsg,
        "_add_filter": _add_filter,
        "resetwarnings": resetwarnings,
    }


_lock = threading.Lock()
_n_calls = 0
_before: tuple[type, dict[str, Any]]


@contextmanager
def isolated_warnings() -> Iterator[None]:
    """Let tasks have warnings of their own; the last of several that ends puts all back."""
    global _n_calls, _before
    names = vars(warnings)
    with _lock:
        _n_calls += 1
        if _n_calls == 1:
            functions = {name: names[name] for name in _dispatching({})}
            _before = type(warnings), functions
            names.update(_dispatching(functions))
            warnings.__class__ = _WarningsOfTasks
    try:
        yield
    finally:
        with _lock:
            _n_calls -= 1
            if not _n_calls:
                warnings.__class__, functions = _before
                names.update(functions)
