"""What is installed, and what is wrong with it, as data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from skopt_dl._entry_points import canonical
from skopt_dl._params import did_you_mean
from skopt_dl.plugins.hookspecs import KINDS
from skopt_dl.plugins.lookup import resolve, usable_names
from skopt_dl.plugins.manager import BUILTIN, PluginWarning, manager
from skopt_dl.plugins.papers import method_of, paper_of
from skopt_dl.plugins.records import Entry, Plugin, Problem
from skopt_dl.plugins.switches import (
    ALLOW_VARIABLE,
    DISABLE_VARIABLE,
    names_to_allow,
    names_to_disable,
    written_names,
)


class NamedClass(NamedTuple):
    """A name that can be used here, and where it comes from.

    Attributes
    ----------
    kind, name, distribution, version, class_path : str
    method, paper : str
        What the docstring says it is, and where it was published.
    problem : str
        Why the class cannot be used; empty where it can.
    """

    kind: str
    name: str
    distribution: str
    version: str
    class_path: str
    method: str = ""
    paper: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """One plugin, or a setting, and all that is wrong with it.

    Attributes
    ----------
    subject : str
        The distribution, or the environment variable.
    version : str
    status : str
        ``"loaded"``, ``"disabled"``, ``"failed"``, or ``"set"`` for a variable.
    names : tuple of str
        What it gives, as ``kind name``.
    problems : tuple of Problem
    """

    subject: str
    version: str
    status: str
    names: tuple[str, ...]
    problems: tuple[Problem, ...]


def list_names(
    kind: str | None = None, distribution: str | None = None, text: str | None = None
) -> list[NamedClass]:
    """List what has a name, kind by kind; loads the plugins, and imports what they name.

    Parameters
    ----------
    kind, distribution : str, default=None
        Whose names to list.
    text : str, default=None
        What a name, its class, method or paper has in it, in capitals or not.
    """
    from skopt_dl import __version__

    rows = []
    for each in KINDS if kind is None else (kind,):
        entries = manager.entries(each)
        versions = {BUILTIN: __version__} | {p.distribution: p.version for p in manager.plugins}
        for entry, name in usable_names(entries).items():
            if distribution is None or canonical(entry.distribution) == canonical(distribution):
                rows.append(_named(entry, name, versions[entry.distribution]))
    return [row for row in rows if text is None or text.lower() in " ".join(row).lower()]


def _named(entry: Entry, name: str, version: str) -> NamedClass:
    row = NamedClass(entry.kind, name, entry.distribution, version, entry.class_path)
    try:
        cls = resolve(entry)
    except (ImportError, TypeError) as error:
        return row._replace(problem=" ".join(str(error).split()))
    return row._replace(method=method_of(cls), paper=str(paper_of(cls)))


def diagnose() -> list[Diagnosis]:
    """Examine all installed plugins: loads them and imports every class they name."""
    manager.load()
    diagnoses = [
        Diagnosis(
            plugin.distribution,
            plugin.version,
            plugin.status,
            tuple(f"{entry.kind} {entry.name}" for entry in plugin.entries),
            (*plugin.problems, *_unusable(plugin), *_clashes(plugin)),
        )
        for plugin in manager.plugins
    ]
    plugins = manager.plugins
    known = {
        DISABLE_VARIABLE: [
            names_to_disable(each.distribution, each.entry_point) for each in plugins
        ],
        ALLOW_VARIABLE: [names_to_allow(each.distribution) for each in plugins],
    }
    for variable, names in known.items():
        misspelled = tuple(_misspelled(variable, {"all"}.union(*names)))
        if misspelled:
            diagnoses.append(Diagnosis(variable, "", "set", (), misspelled))
    return diagnoses


def _unusable(plugin: Plugin) -> Iterator[Problem]:
    for entry in plugin.entries:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PluginWarning)
            try:
                resolve(entry)
            except (ImportError, TypeError) as error:
                yield Problem(
                    " ".join(str(error).split()), "Upgrade the package, or tell its authors."
                )
        for each in caught:
            if isinstance(each.message, PluginWarning):
                yield Problem(str(each.message), "")


def _clashes(plugin: Plugin) -> Iterator[Problem]:
    for entry in plugin.entries:
        what, qualified = f"Its {entry.kind} {entry.name!r}", repr(entry.qualified)
        others = [e for e in manager.entries(entry.kind) if e.name == entry.name and e is not entry]
        if any(other.distribution == BUILTIN for other in others):
            yield Problem(
                f"{what} has the name of a built-in, which keeps it.", f"Write {qualified}."
            )
        elif others:
            rivals = ", ".join(repr(other.qualified) for other in others)
            yield Problem(
                f"{what} is also the name of {rivals}, so the bare name is an error.",
                f"Write {qualified}, or uninstall or switch off the others.",
            )


def _misspelled(variable: str, known: set[str]) -> Iterator[Problem]:
    for name, written in written_names(variable).items():
        if name not in known:
            packages = [p.distribution for p in manager.plugins if canonical(p.entry_point) == name]
            hint = f" Did you mean {packages[0]!r}?" if packages else did_you_mean(name, known)
            yield Problem(
                f"It names {written!r}, a package that is not installed.{hint}",
                "Correct or remove the name.",
            )
