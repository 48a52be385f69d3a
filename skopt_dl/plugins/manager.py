"""Finding plugins, and keeping a broken one from being anybody else's problem."""

from __future__ import annotations

import inspect
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pluggy

from skopt_dl._entry_points import InstalledPlugin, helper_package, installed_plugins
from skopt_dl._params import did_you_mean
from skopt_dl.plugins import builtin
from skopt_dl.plugins.hookspecs import KIND_OF_HOOK, KINDS, PROJECT, HookSpecs
from skopt_dl.plugins.records import Entry, Plugin, Problem
from skopt_dl.plugins.switches import DISABLE_VARIABLE, switched_off_by
from skopt_dl.plugins.watching import describe, shortened, watch

BUILTIN = "skopt-dl"

_UPGRADE = "Upgrade the package, or tell its authors."
_TARGET = re.compile(r"[\w.]+:[\w.]+")


class PluginWarning(UserWarning):
    """Something is wrong with an installed plugin; ``skopt-dl plugins doctor`` says more."""


class PluginManager:
    """The built-ins, and, once asked for, the installed plugins.

    Hooks are called once, when a plugin is loaded; from then on names are looked up in lists.

    Attributes
    ----------
    plugins : list of Plugin
        All that were found, once `load` has been called, those with problems included.
    """

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self._helpers: dict[str, tuple[str, str] | None] = {}
        self._lock = threading.RLock()
        self._loading = self._loaded = False
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(HookSpecs)
        ours = Plugin(BUILTIN)
        self._enter(builtin, ours)
        assert not ours.problems, ours.problems
        # By kind: every name that is looked up is looked for here first.
        self._builtin = {kind: [e for e in ours.entries if e.kind == kind] for kind in KINDS}

    def builtin_entries(self, kind: str) -> list[Entry]:
        """List the names that skopt_dl itself gives."""
        return self._builtin[kind]

    def entries(self, kind: str) -> list[Entry]:
        """List all names of a kind, those of installed plugins included."""
        self.load()
        from_plugins = [e for plugin in self.plugins for e in plugin.entries if e.kind == kind]
        return self.builtin_entries(kind) + from_plugins

    def helper_package(self, module: str) -> tuple[str, str] | None:
        """Return `skopt_dl._entry_points.helper_package`, looked for once."""
        top = module.partition(".")[0]
        if top not in self._helpers:
            self._helpers[top] = helper_package(top)
        return self._helpers[top]

    def register(self, plugin: object, name: str) -> None:
        """Register a module or an object that is not installed, in this process only.

        Worker processes do not know it: give searches with ``n_jobs`` the optimizer object.

        Raises
        ------
        ValueError
            If something is wrong with it; it is not registered then.
        """
        with self._lock:
            module = getattr(plugin, "__name__", type(plugin).__name__)
            entered = self._enter(plugin, Plugin(name, module=module))
            if entered.problems:
                if self._pluggy.get_plugin(entered.key) is plugin:
                    self._pluggy.unregister(plugin)
                raise ValueError(f"Plugin {name!r}: {' '.join(map(str, entered.problems))}")
            self.plugins = [*self.plugins, entered]

    def unregister(self, name: str) -> None:
        """Forget a plugin that was registered at run time.

        Raises
        ------
        ValueError
            If none is registered by this name.
        """
        with self._lock:
            left = [plugin for plugin in self.plugins if plugin.key != Plugin(str(name)).key]
            if len(left) == len(self.plugins):
                names = [plugin.distribution for plugin in self.plugins if not plugin.entry_point]
                raise ValueError(
                    f"Plugin {name!r} is not registered. Those registered at run time, by their "
                    f"names: {', '.join(names) or 'none'}."
                )
            self._pluggy.unregister(name=Plugin(name).key)
            self.plugins = left

    def load(self) -> None:
        """Load the installed plugins, once; one warning tells of all that is wrong."""
        with self._lock:
            # A plugin that looks up a name while it is imported gets what there is so far.
            if self._loaded or self._loading:
                return
            self._loading = True
            try:
                self._load()
                self._loaded = True
            finally:
                self._loading = False
        self._warn_of_problems()

    def _load(self) -> None:
        for installed in installed_plugins():
            plugin = Plugin(
                installed.distribution,
                installed.version,
                installed.entry_point.name,
                installed.entry_point.value,
            )
            if any(known.key == plugin.key for known in self.plugins):
                continue  # loaded before an interrupt
            plugin.switched_off_by = switched_off_by(plugin.distribution, plugin.entry_point)
            if plugin.switched_off_by:
                plugin.status = "disabled"
            else:
                self._load_plugin(installed, plugin)
            self.plugins = [*self.plugins, plugin]

    def _load_plugin(self, installed: InstalledPlugin, plugin: Plugin) -> None:
        doing = f"importing {plugin.module!r}"
        module, error, printed = watch(installed.entry_point.load, doing, plugin.distribution)
        if printed:
            plugin.problems.append(printing(f"Importing {plugin.module!r}", printed))
        if error is None:
            self._enter(module, plugin)
            return
        plugin.status = "failed"
        plugin.problems.append(
            Problem(
                f"Importing {plugin.module!r} failed with {describe(error)}.",
                f"Repair or upgrade it (`pip install --upgrade {plugin.distribution}`), or "
                f"switch it off: {DISABLE_VARIABLE}={plugin.distribution}.",
            )
        )

    def _warn_of_problems(self) -> None:
        troubled = [plugin for plugin in self.plugins if plugin.problems]
        if troubled:
            lines = [f"  {p.distribution}: {' '.join(map(str, p.problems))}" for p in troubled]
            warnings.warn(
                "Some skopt_dl plugins have problems. (`skopt-dl plugins doctor` shows them "
                f"again; {DISABLE_VARIABLE}=name,… switches plugins off.)\n" + "\n".join(lines),
                PluginWarning,
                stacklevel=3,
            )

    def _enter(self, module: object, plugin: Plugin) -> Plugin:
        """Register with pluggy, and write down the names and the problems."""
        try:
            self._pluggy.register(module, name=plugin.key)
        except Exception as error:
            plugin.problems.append(
                Problem(f"It cannot be registered: {describe(error)}.", _UPGRADE)
            )
        else:
            plugin.problems += self._misnamed_hooks(module)
            for kind, function in self._implementations(module):
                for found in _call(kind, function, plugin.distribution):
                    if isinstance(found, Entry):
                        plugin.entries.append(found)
                    else:
                        plugin.problems.append(found)
        if plugin.problems and not plugin.entries:
            plugin.status = "failed"
        return plugin

    def _implementations(self, module: object) -> Iterator[tuple[str, Any]]:
        """Yield kind and function of each hook that a registered module implements."""
        for caller in self._pluggy.get_hookcallers(module) or []:
            for implementation in caller.get_hookimpls():
                if implementation.plugin is module and caller.name in KIND_OF_HOOK:
                    yield KIND_OF_HOOK[caller.name], implementation.function

    def _misnamed_hooks(self, module: object) -> Iterator[Problem]:
        hooks = [kind.hook for kind in KINDS.values()]
        implemented = [caller.name for caller in self._pluggy.get_hookcallers(module) or []]
        for name in implemented:
            if name not in hooks:
                yield Problem(
                    f"It implements {name!r}, which is no hook.{did_you_mean(name, hooks)}",
                    f"Hooks are {', '.join(hooks)}.",
                )
        unmarked = {
            name
            for name, value in getattr(module, "__dict__", {}).items()
            if name in hooks and name not in implemented and inspect.isroutine(value)
        }
        for name in sorted(unmarked):
            yield Problem(
                f"Its function {name!r} is not marked as a hook.",
                "Put @hookimpl (from skopt_dl import hookimpl) above it.",
            )
        if not implemented and not unmarked:
            yield Problem(
                "It has no hook.",
                f"The module of its entry point needs a function such as {hooks[0]!r}, marked "
                "with @hookimpl (from skopt_dl import hookimpl).",
            )


def _call(kind: str, function: Any, distribution: str) -> Iterator[Entry | Problem]:
    """Call a hook; yield the names it gives, and what is wrong with it."""
    hook = KINDS[kind].hook
    names, error, printed = watch(function, f"calling the hook {hook!r}", distribution)
    if printed:
        yield printing(f"Its hook {hook!r}", printed)
    if error is not None:
        yield Problem(f"Its hook {hook!r} failed with {describe(error)}.", _UPGRADE)
        return
    if not isinstance(names, dict):
        yield Problem(
            f"Its hook {hook!r} returned {names!r}.",
            f"It must return a dictionary such as {{'name': 'package.module:Class'}}. {_UPGRADE}",
        )
        return
    for name, target in names.items():
        if not isinstance(name, str) or not re.fullmatch(r"[^\s/]+", name):
            yield Problem(
                f"Its hook {hook!r} gives the name {name!r}.",
                f"A name is a str without spaces and slashes. {_UPGRADE}",
            )
        elif not is_target(kind, target) and not (
            isinstance(target, str) and _TARGET.fullmatch(target)
        ):
            what = "a class" if KINDS[kind].bases else "a class or a function"
            yield Problem(
                f"Its hook {hook!r} names {name!r} for {target!r}.",
                f"It must be {what}, or a str 'package.module:Class'. {_UPGRADE}",
            )
        else:
            yield Entry(kind, name, distribution, target)


def is_target(kind: str, target: Any) -> bool:
    """Whether a name of a kind may stand for this, whatever it is a subclass of."""
    return isinstance(target, type) or (not KINDS[kind].bases and inspect.isfunction(target))


def printing(what: str, printed: str) -> Problem:
    """Say that a plugin's code prints."""
    return Problem(
        f"{what} printed {shortened(printed)}.",
        "That was kept out of your program's output. Tell its authors to print nothing there.",
    )


manager = PluginManager()
