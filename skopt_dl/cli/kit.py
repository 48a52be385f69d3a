"""The kit of `skopt_dl.testing`, for what is installed under a name."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import SkipTest

from skopt_dl._entry_points import canonical
from skopt_dl._params import did_you_mean
from skopt_dl.plugins.hookspecs import KINDS
from skopt_dl.plugins.lookup import resolve
from skopt_dl.plugins.manager import manager
from skopt_dl.plugins.records import Entry
from skopt_dl.plugins.watching import Catcher, describe, shortened, watch
from skopt_dl.testing import Check, component_checks

# The kinds that have checks.
CHECKED = ("optimizer", "schedule", "loss", "layer", "activation", "initializer")


def entries_of(name: str) -> list[Entry]:
    """Return what a name stands for: a bare one, ``distribution/name``, or a distribution.

    Raises
    ------
    ValueError
        If it stands for nothing that has checks.
    """
    entries = [entry for kind in KINDS for entry in manager.entries(kind)]
    package, _, bare = name.rpartition("/")
    named = [
        entry
        for entry in entries
        if entry.name == bare and canonical(package) in ("", canonical(entry.distribution))
    ]
    named = named or [e for e in entries if canonical(e.distribution) == canonical(name)]
    found = [entry for entry in named if entry.kind in CHECKED]
    if found:
        return found
    if named:
        kinds = ", ".join(sorted({entry.kind for entry in named}))
        raise ValueError(
            f"{name!r} names only what has no checks ({kinds}); there are some for each "
            f"{', '.join(CHECKED[:-1])} and {CHECKED[-1]}."
        )
    names = sorted({entry.name for entry in entries if entry.kind in CHECKED})
    packages = sorted({entry.distribution for entry in entries})
    raise ValueError(
        f"Nothing is named {name!r}, and no plugin's package is."
        f"{did_you_mean(name, [*names, *packages])} Names: {', '.join(names)}. Packages: "
        f"{', '.join(packages)}. `skopt-dl plugins doctor` says why one is missing."
    )


class Result(NamedTuple):
    """What became of one check.

    Attributes
    ----------
    kind, name : str
        Of what is checked, ``distribution/name``.
    checked : str
        Its ``repr``.
    check : str
    status : {"passed", "failed", "skipped"}
    message : str
    """

    kind: str
    name: str
    checked: str
    check: str
    status: str
    message: str


def results_of(entry: Entry, begins: Callable[[str], object]) -> Iterator[Result]:
    """Make all checks of what has a name, as it is without arguments.

    Parameters
    ----------
    entry : Entry
    begins : callable
        Is told the name of each check that is about to be made.
    """
    begins("check_creation")
    about = (entry.kind, entry.qualified, entry.class_path)
    cls, error, _ = watch(lambda: resolve(entry), "looking it up", entry.distribution)
    needed = _needed(cls) if error is None and entry.kind == "layer" else []
    if needed:
        message = f"It needs {', '.join(needed)}: skopt_dl.testing.check_component takes an object."
        yield Result(*about, "check_creation", "skipped", message)
        return
    if error is None:
        checked, error, _ = watch(lambda: cls(), "making an object", entry.distribution)
    if error is not None:
        yield Result(*about, "check_creation", "failed", describe(error))
        return
    about = (entry.kind, entry.qualified, " ".join(repr(checked).split()))
    yield Result(*about, "check_creation", "passed", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for check in component_checks(checked):
            begins(check.name)
            yield Result(*about, check.name, *_made(check, checked))


def _needed(cls: Any) -> list[str]:
    """Arguments without which there is no object."""
    parameters = inspect.signature(cls).parameters.values()
    return [each.name for each in parameters if each.default is each.empty]


def _made(check: Check, checked: Any) -> tuple[str, str]:
    """Make a check: its status and message."""
    with Catcher() as out:
        try:
            status, message = "passed", check(checked)
        except SkipTest as skipped:
            status, message = "skipped", str(skipped)
        except BaseException as error:
            if type(error) is KeyboardInterrupt:
                raise
            told = isinstance(error, AssertionError)
            status, message = "failed", str(error) if told else describe(error)
    if out.printed and status == "passed" and getattr(checked, "traceable", True):
        return "failed", (
            f"It prints {shortened(out.printed)}. Remove that, or say traceable = False: what "
            "update does besides computing is else done once, not at every step."
        )
    return status, message
