"""From a name to a class, whoever ships it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from skopt_dl._params import did_you_mean
from skopt_dl.plugins.hookspecs import HOOKS
from skopt_dl.plugins.manager import BUILTIN, manager


@dataclass(frozen=True)
class Entry:
    """A name that a distribution gives to a class."""

    name: str
    distribution: str
    target: Any

    @property
    def qualified(self) -> str:
        return f"{self.distribution}/{self.name}"


def _entries(kind: str) -> list[Entry]:
    entries = []
    for distribution, function in manager.implementations(kind):
        report = next((r for r in manager.reports if r.distribution == distribution), None)
        if report is not None and report.status == "failed":
            continue
        try:
            names = dict(function())
        except Exception as error:
            if report is None:
                raise
            report.status = "failed"
            report.problems.append(
                f"its hook {HOOKS[kind]} failed with {type(error).__name__}: {error}."
            )
            manager.warn_of_problems()
            continue
        entries += [Entry(name, distribution, target) for name, target in names.items()]
    return entries


def available(kind: str) -> list[str]:
    """Names of a kind that can be used here, those of plugins included.

    A name that several plugins claim is listed as ``distribution/name``.
    """
    manager.load()
    entries = _entries(kind)
    claims = Counter(entry.name for entry in entries)
    return sorted(
        entry.name if entry.distribution == BUILTIN or claims[entry.name] == 1 else entry.qualified
        for entry in entries
    )


def find(kind: str, name: str) -> type[Any]:
    """Return the class that a name stands for.

    Parameters
    ----------
    kind : {"optimizer", "schedule", "loss", "activation", "initializer"}
    name : str
        A bare name, or ``distribution/name``.

    Raises
    ------
    ValueError
        If nobody has the name, or several plugins claim it.
    """
    entry = _match(kind, name, [e for e in _entries(kind) if e.distribution == BUILTIN])
    if entry is None:
        manager.load()
        entry = _match(kind, name, _entries(kind))
    if entry is None:
        raise ValueError(_unknown(kind, name))
    return _import(kind, entry)


def _match(kind: str, name: str, entries: list[Entry]) -> Entry | None:
    if "/" in name:
        return next((e for e in entries if e.qualified == name), None)
    matches = [entry for entry in entries if entry.name == name]
    builtin = [entry for entry in matches if entry.distribution == BUILTIN]
    if builtin:
        return builtin[0]
    if len(matches) > 1:
        claims = " or ".join(repr(entry.qualified) for entry in matches)
        raise ValueError(f"Several plugins have a {kind} named {name!r}: use {claims}.")
    return matches[0] if matches else None


def _unknown(kind: str, name: str) -> str:
    names = available(kind)
    parts = [
        f"Unknown {kind} {name!r}.{did_you_mean(name, names)} Available: {', '.join(names)}.",
        "Other names come with plugin packages; one registered at run time is not known to worker "
        f"processes (n_jobs), so pass the {kind} object there.",
    ]
    for report in manager.reports:
        if report.status != "loaded":
            parts.append(f"The plugin {report.distribution} is {report.status}.")
    return " ".join(parts)


def _import(kind: str, entry: Entry) -> type[Any]:
    if not isinstance(entry.target, str):
        return entry.target
    try:
        return _import_string(entry.target)
    except Exception as error:
        raise ImportError(
            f"The {kind} {entry.name!r} of {entry.distribution} cannot be used: importing "
            f"{entry.target!r} failed with {type(error).__name__}: {error}"
        ) from error


@cache
def _import_string(target: str) -> type[Any]:
    module, _, qualname = target.partition(":")
    found: Any = import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


def make(kind: str, name: str, **params: Any) -> Any:
    """Create an object of a kind by name.

    Raises
    ------
    ValueError
        If the name or a parameter is unknown; the message gives the nearest match.
    """
    cls = find(kind, name)
    known = cls._get_param_names() if hasattr(cls, "_get_param_names") else list(params)
    for parameter in params:
        if parameter not in known:
            raise ValueError(
                f"The {kind} {name!r} has no parameter {parameter!r}."
                f"{did_you_mean(parameter, known)} It has: {', '.join(known) or 'none'}."
            )
    return cls(**params)
