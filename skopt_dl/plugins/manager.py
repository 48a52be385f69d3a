"""Finding plugins, and keeping a broken one from being anybody else's problem."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from skopt_dl._params import did_you_mean
from skopt_dl._pickling import ENTRY_POINT_GROUP
from skopt_dl.plugins import builtin
from skopt_dl.plugins.hookspecs import HOOKS, PROJECT, HookSpecs

DISABLE_VARIABLE = "SKOPT_DL_DISABLE_PLUGINS"
BUILTIN = "skopt-dl"


class PluginWarning(UserWarning):
    """Something is wrong with an installed plugin; ``skopt-dl plugins doctor`` says more."""


@dataclass
class PluginReport:
    """What became of one plugin.

    Attributes
    ----------
    distribution : str
        The pip package, or the name given to `PluginManager.register`.
    version : str
    module : str
        What its entry point names.
    status : str
        ``"loaded"``, ``"disabled"`` or ``"failed"``.
    problems : list of str
        Why it failed, or what is wrong with it although it works.
    """

    distribution: str
    version: str
    module: str
    status: str = "loaded"
    problems: list[str] = field(default_factory=list)


class PluginManager:
    """The built-ins, and, once asked for, the installed plugins.

    Attributes
    ----------
    reports : list of PluginReport
        One for each installed plugin, once they are loaded.
    """

    def __init__(self) -> None:
        self.reports: list[PluginReport] = []
        self._lock = threading.RLock()
        self._loaded = False
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(HookSpecs)
        self._pluggy.register(builtin, name=BUILTIN)

    def implementations(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Yield ``(distribution, function)`` for each implementation of a kind's hook."""
        hook = getattr(self._pluggy.hook, HOOKS[kind])
        for implementation in hook.get_hookimpls():
            yield implementation.plugin_name, implementation.function

    def register(self, plugin: object, name: str) -> None:
        """Register a module or object that is not installed, in this process only.

        Worker processes do not know it: give searches with ``n_jobs`` the optimizer object.
        """
        report = PluginReport(name, "", getattr(plugin, "__name__", type(plugin).__name__))
        self._register(plugin, report)
        self.reports.append(report)
        if report.problems:
            raise ValueError(f"Plugin {name!r}: {' '.join(report.problems)}")

    def unregister(self, name: str) -> None:
        """Forget a plugin."""
        self._pluggy.unregister(name=name)
        self.reports = [report for report in self.reports if report.distribution != name]

    def load(self) -> None:
        """Load the installed plugins, once; one warning tells of all that is wrong."""
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            disabled = {
                name.strip().lower() for name in os.environ.get(DISABLE_VARIABLE, "").split(",")
            }
            seen: set[str] = set()
            for entry_point in entry_points(group=ENTRY_POINT_GROUP):
                report = self._report(entry_point)
                if report.distribution not in seen:
                    seen.add(report.distribution)
                    self.reports.append(report)
                    names = {"all", report.distribution.lower(), entry_point.name.lower()}
                    if names & disabled:
                        report.status = "disabled"
                    else:
                        self._load_entry_point(entry_point, report)
        self.warn_of_problems()

    def warn_of_problems(self) -> None:
        """Give one warning that names the plugins in trouble."""
        troubled = [report for report in self.reports if report.problems]
        if troubled:
            lines = [f"  {r.distribution}: {' '.join(r.problems)}" for r in troubled]
            warnings.warn(
                "Some skopt_dl plugins have problems (`skopt-dl plugins doctor` shows them "
                f"again; {DISABLE_VARIABLE}=name switches one off):\n" + "\n".join(lines),
                PluginWarning,
                stacklevel=2,
            )

    @staticmethod
    def _report(entry_point: EntryPoint) -> PluginReport:
        dist = entry_point.dist
        name, version = (dist.name, dist.version) if dist is not None else (entry_point.name, "")
        return PluginReport(name, version, entry_point.value)

    def _load_entry_point(self, entry_point: EntryPoint, report: PluginReport) -> None:
        try:
            plugin = entry_point.load()
        except Exception as error:
            report.status = "failed"
            report.problems.append(
                f"importing {entry_point.value} failed with {type(error).__name__}: {error}."
            )
            return
        self._register(plugin, report)

    def _register(self, plugin: object, report: PluginReport) -> None:
        name = report.distribution
        try:
            self._pluggy.register(plugin, name=name)
        except Exception as error:
            report.status = "failed"
            report.problems.append(f"it cannot be registered: {error}")
            return
        callers = self._pluggy.get_hookcallers(plugin) or []
        for caller in callers:
            if not caller.has_spec():
                hint = did_you_mean(caller.name, HOOKS.values())
                report.problems.append(f"it implements the unknown hook {caller.name!r}.{hint}")
        if not callers:
            report.problems.append(
                f"{report.module} has no hook: mark its functions with skopt_dl.hookimpl."
            )


manager = PluginManager()
