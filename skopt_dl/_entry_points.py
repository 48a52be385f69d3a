"""The plugins that are installed, read from package metadata: nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions

GROUP = "skopt_dl"


@dataclass(frozen=True)
class InstalledPlugin:
    """An entry point in the group ``skopt_dl``, and the distribution that has it."""

    distribution: str
    version: str
    entry_point: EntryPoint
    summary: str = ""

    @property
    def module(self) -> str:
        """The module that the entry point names."""
        return self.entry_point.value.partition(":")[0].partition("[")[0].strip()


def installed_plugins() -> list[InstalledPlugin]:
    """List the installed plugins, sorted by distribution.

    A distribution whose metadata cannot be read is passed over, whereas
    `importlib.metadata.entry_points` would fail for all.
    """
    found: dict[tuple[str, str], InstalledPlugin] = {}
    for distribution in distributions():
        try:
            plugins = list(_plugins_of(distribution))
        except Exception:
            continue
        for plugin in plugins:
            # The first on the path hides others of its name, as it does for imports.
            found.setdefault((canonical(plugin.distribution), plugin.entry_point.name), plugin)
    return [found[key] for key in sorted(found)]


def _plugins_of(distribution: Distribution) -> Iterator[InstalledPlugin]:
    for entry_point in distribution.entry_points:
        if entry_point.group == GROUP:
            metadata = distribution.metadata
            name, version = metadata["Name"] or entry_point.name, metadata["Version"] or ""
            yield InstalledPlugin(name, version, entry_point, metadata["Summary"] or "")


def canonical(distribution: str) -> str:
    """Return a distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
