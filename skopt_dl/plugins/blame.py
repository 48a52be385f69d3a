"""Whose code it is that raises or prints."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from skopt_dl._entry_points import installed_plugins
from skopt_dl.plugins.hookspecs import KINDS
from skopt_dl.plugins.lookup import origin
from skopt_dl.plugins.manager import PluginWarning, manager
from skopt_dl.plugins.switches import DISABLE_VARIABLE
from skopt_dl.plugins.watching import describe, shortened


@contextmanager
def blaming(cls: type[Any], method: str) -> Iterator[None]:
    """Raise what a method of a class raises as `blame` does."""
    try:
        yield
    except BaseException as error:
        blame(error, cls, method)


def blame(error: BaseException, cls: type[Any], method: str) -> NoReturn:
    """Raise an exception that a method of a class has raised.

    The same, with a note if a plugin brought the class. What is no `Exception` would end the
    process or a thread, some of it without a word, so it becomes a RuntimeError; except
    KeyboardInterrupt, which is the user's.
    """
    raised, whose = error, _whose(cls)
    if not isinstance(error, Exception) and type(error) is not KeyboardInterrupt:
        raised = RuntimeError(f"{method} of {cls.__name__} raised {describe(error)}.")
    note = f"{method} of {cls.__name__} was running: {whose}"
    if whose and note not in getattr(raised, "__notes__", ()):
        raised.add_note(note)
    if raised is error:
        raise error
    raise raised from error


def warn_of_printing(cls: type[Any], method: str, printed: str) -> None:
    """Warn of a method that prints, if a plugin brought the class."""
    whose = _whose(cls)
    if whose:
        message = f"{method} of {cls.__name__} prints {shortened(printed)} at every step: {whose}"
        warnings.warn(message, PluginWarning, stacklevel=2)


def _whose(cls: type[Any]) -> str:
    """Say which package and which hook brought a class; empty for what is nobody's plugin's."""
    # For other classes no plugin is loaded that was not loaded before.
    found = origin(cls) if manager.plugins or _may_be_of_a_plugin(cls) else None
    if found is None:
        return ""
    plugin, names = found
    named = [f"the {kind} {name!r} (hook {KINDS[kind].hook})" for kind, name in names]
    package = plugin.distribution
    return (
        f"{', '.join(named) or f'a class of {cls.__module__}'}, from the package {package} "
        f"{plugin.version}. `skopt-dl plugins check {package}` examines it; "
        f"{DISABLE_VARIABLE}={package} switches it off."
    )


def _may_be_of_a_plugin(cls: type[Any]) -> bool:
    """Whether an installed plugin has the package of a class: nothing is imported."""
    top = cls.__module__.partition(".")[0]
    return any(top == plugin.module.partition(".")[0] for plugin in installed_plugins())
