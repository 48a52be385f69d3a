"""From a name to a class, whoever ships it."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import takewhile
from typing import Any

from skopt_dl._entry_points import canonical, installed_plugins
from skopt_dl._params import Configurable, did_you_mean
from skopt_dl._pickling import MissingPluginError, Reference, look_up, missing_package
from skopt_dl.plugins.hookspecs import KINDS
from skopt_dl.plugins.manager import BUILTIN, PluginWarning, is_target, manager, printing
from skopt_dl.plugins.records import Entry, Plugin
from skopt_dl.plugins.switches import switched_off_by
from skopt_dl.plugins.watching import describe, watch

# Packages whose names unpickled models use; they may not be installed here.
_packages_seen: dict[tuple[str, str], str] = {}


def available(kind: str) -> list[str]:
    """Names of a kind that can be used here, those of plugins included.

    A name that several plugins claim is listed as ``distribution/name``.
    """
    _check_kind(kind)
    return sorted(usable_names(manager.entries(kind)).values())


def _check_kind(kind: str) -> None:
    if not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
        raise ValueError(
            f"The kind of a name must be one of {', '.join(KINDS)}; got {kind!r}.{hint}"
        )


def _check_name(kinds: Sequence[str], name: str) -> None:
    if not isinstance(name, str):
        kind = " or ".join(kinds)
        hint = f" Names: {', '.join(each for kind in kinds for each in available(kind))}."
        if isinstance(name, type):
            hint = f" For an object of that class, write {name.__name__}(...)."
        elif hasattr(name, "get_params"):
            hint = " That is an object already: use it as it is, or sklearn.base.clone(...) it."
        raise TypeError(f"The {kind} must be named by a string; got {name!r}.{hint}")


def usable_names(entries: list[Entry]) -> dict[Entry, str]:
    """Give each entry of a kind its bare name where that leads to it, or its qualified one."""
    claims = Counter(entry.name for entry in entries)
    return {
        e: e.name if e.distribution == BUILTIN or claims[e.name] == 1 else e.qualified
        for e in entries
    }


def find(kind: str, name: str) -> type[Any]:
    """Return the class that a name stands for.

    Parameters
    ----------
    kind : {"optimizer", "schedule", "loss", "activation", "layer", "network", "initializer"}
    name : str
        A bare name, or ``distribution/name``.

    Returns
    -------
    found : type
        For a network, a class or a function.

    Raises
    ------
    ValueError
        If nobody has the name, or several plugins claim it.
    MissingPluginError
        If nobody has the name, and a model unpickled here got it from a plugin.
    ImportError
        If the class of that name cannot be imported.
    TypeError
        If it is not a class of that kind.
    """
    return find_among((kind,), name)


def find_among(kinds: Sequence[str], name: str) -> type[Any]:
    """Return the class that a name stands for in the first of several kinds that has it.

    Raises what `find` does.
    """
    for kind in kinds:
        _check_kind(kind)
    _check_name(kinds, name)
    return resolve(_find_entry(kinds, name))


def _find_entry(kinds: Sequence[str], name: str) -> Entry:
    for entries_of in (manager.builtin_entries, manager.entries):
        for kind in kinds:
            entry = _match(kind, name, entries_of(kind))
            if entry is not None:
                return entry
    for kind in kinds:
        package = _packages_seen.get((kind, name))
        if package is not None:
            what = f"The {kind} {name!r} comes from the package {package!r}"
            raise MissingPluginError(missing_package(what, package))
    raise ValueError(_unknown(kinds, name))


def _match(kind: str, name: str, entries: list[Entry]) -> Entry | None:
    distribution, slash, bare = name.rpartition("/")
    matches = [entry for entry in entries if entry.name == bare]
    if slash:
        package = canonical(distribution)
        return next((e for e in matches if canonical(e.distribution) == package), None)
    if len(matches) > 1 and matches[0].distribution != BUILTIN:
        claims = " or ".join(repr(entry.qualified) for entry in matches)
        raise ValueError(f"Several plugins claim the {kind} name {name!r}: write {claims}.")
    return matches[0] if matches else None


def _unknown(kinds: Sequence[str], name: str) -> str:
    kind = " or ".join(kinds)
    entries = [entry for each in kinds for entry in manager.entries(each)]
    names = [name for each in kinds for name in available(each)]
    candidates = [entry.qualified for entry in entries] if "/" in name else names
    hint = did_you_mean(name, candidates)
    parts = [
        f"Unknown {kind} {name!r}.{hint} Available: {', '.join(names)}.",
    ]
    for plugin in manager.plugins:
        if plugin.status == "disabled":
            parts.append(f"The plugin {plugin.distribution} {_off(plugin)}.")
        elif plugin.problems:
            problems = " ".join(problem.what for problem in plugin.problems)
            parts.append(f"The plugin {plugin.distribution} has problems: {problems}")
    if not hint:
        parts.append(
            "Other names come with plugin packages; one registered at run time is not known to "
            f"worker processes (n_jobs), so pass the {kind} object there."
        )
    return " ".join(parts)


def _off(plugin: Plugin) -> str:
    return f"is switched off by {plugin.switched_off_by}"


def resolve(entry: Entry) -> type[Any]:
    """Import the class of an entry and see that it is of the entry's kind."""
    label = f"The {entry.kind} {entry.name!r} of {entry.distribution} cannot be used: "
    if isinstance(entry.target, str):
        try:
            found = _import(entry.target, entry.distribution)
        except ImportError as error:
            raise ImportError(f"{label}{error}") from error.__cause__
    else:
        found = entry.target
    bases = KINDS[entry.kind].bases
    if not bases and not is_target(entry.kind, found):
        raise TypeError(f"{label}{entry.class_path!r} is neither a class nor a function.")
    if bases and not (isinstance(found, type) and issubclass(found, tuple(map(_import, bases)))):
        wanted = " or ".join(base.replace(":", ".") for base in bases)
        raise TypeError(f"{label}{entry.class_path!r} is not a subclass of {wanted}.")
    return found


@cache
def _import(target: str, distribution: str = BUILTIN) -> Any:
    """Import a class; where it is a plugin's, whatever the import does."""
    if distribution == BUILTIN:
        return _load(target)
    doing = f"importing {target!r}"
    found, error, printed = watch(lambda: _load(target), doing, distribution)
    if printed:
        problem = printing(f"Importing {target!r} of {distribution}", printed)
        warnings.warn(str(problem), PluginWarning, stacklevel=2)
    if error is not None:
        raise ImportError(f"{doing} failed with {describe(error)}") from error
    return found


def _load(target: str) -> Any:
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
    TypeError
        If the name is no string.
    """
    cls = find(kind, name)
    known = cls._get_param_names()
    for parameter in params:
        if parameter not in known:
            raise ValueError(
                f"The {kind} {name!r} has no parameter {parameter!r}."
                f"{cls._suggestion(parameter, known)} It has: {', '.join(known) or 'none'}."
            )
    return cls(**params)


def package_of_name(kind: str, name: str) -> str | None:
    """Return the package that a name comes from, if it is a plugin, here or in a pickle."""
    if any(entry.name == name for entry in manager.builtin_entries(kind)):
        return None
    try:
        package = _find_entry((kind,), name).distribution
    except (ValueError, MissingPluginError):
        return _packages_seen.get((kind, name))
    return None if package == BUILTIN else package


def remember_packages(packages: Mapping[tuple[str, str], str]) -> None:
    """Note which package each ``(kind, name)`` of an unpickled model came from."""
    _packages_seen.update(packages)


def origin(cls: type[Any]) -> tuple[Plugin, tuple[tuple[str, str], ...]] | None:
    """Return the installed plugin that a class comes from, and the names it gives the class.

    A class without a name belongs to the plugin that has most of its module's dotted name, or to
    the package that has its module, where that requires skopt_dl.
    """
    manager.load()
    installed = _installed()
    for plugin in installed:
        named = [entry for entry in plugin.entries if _is_target(entry, cls)]
        if named:
            return plugin, tuple((entry.kind, entry.qualified) for entry in named)
    shared = [_n_shared(plugin.modules, cls.__module__) for plugin in installed]
    most = max(shared, default=0)
    if most:
        return installed[shared.index(most)], ()
    helper = manager.helper_package(cls.__module__)
    return None if helper is None else (Plugin(*helper), ())


def find_again(reference: Reference) -> type[Any]:
    """Return the class that a saved model refers to.

    By its names; else by its path, where that leads into an installed plugin: a file must not be
    able to import whatever it likes.

    Raises
    ------
    ImportError
        If there is no such class here.
    """
    problem = f"nobody names {' or '.join(name for _, name in reference.names) or 'it'}"
    manager.load()
    for plugin in manager.plugins:
        if plugin.switched_off_by and canonical(plugin.distribution) == reference.package:
            problem = f"{plugin.distribution} {_off(plugin)}"
    for kind, name in reference.names:
        try:
            return find(kind, name)
        except (ImportError, TypeError) as error:
            problem = str(error)
        except (ValueError, MissingPluginError):
            continue
    module = reference.module
    if module not in sys.modules and _is_of_a_plugin(module):
        import_module(module)
    found = look_up(module, reference.qualname)
    if not (isinstance(found, type) and issubclass(found, Configurable)):
        raise ImportError(problem)
    return found


def _is_of_a_plugin(module: str) -> bool:
    """Whether a module belongs to a plugin, or to a package that requires skopt_dl, that is on.

    Be it one installed since plugins were loaded.
    """
    manager.load()
    modules = [
        each.module
        for each in installed_plugins()
        if not switched_off_by(each.distribution, each.entry_point.name)
    ]
    for plugin in _installed():
        modules += [] if plugin.switched_off_by else plugin.modules
    if _n_shared(modules, module) > 0:
        return True
    helper = manager.helper_package(module)
    return helper is not None and not switched_off_by(helper[0], "")


def _installed() -> list[Plugin]:
    """The plugins that another process has too: not those registered at run time."""
    return [plugin for plugin in manager.plugins if plugin.entry_point]


def _is_target(entry: Entry, cls: type[Any]) -> bool:
    if isinstance(entry.target, str):
        return look_up(*entry.target.split(":")) is cls
    return entry.target is cls


def _n_shared(modules: Iterable[str], module: str) -> int:
    """How many leading parts of its dotted name a module shares with one of `modules`."""
    parts = module.split(".")
    pairs = (zip(parts, each.split("."), strict=False) for each in modules)
    return max(
        (len(list(takewhile(lambda pair: pair[0] == pair[1], each))) for each in pairs), default=0
    )
