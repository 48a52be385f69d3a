"""The plugins that are installed, read from package metadata: nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import cast

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
            # Some finders of distributions raise for what is missing, others return None.
            get = cast(Message, distribution.metadata).get
            name, version = get("Name") or entry_point.name, get("Version") or ""
            yield InstalledPlugin(name, version, entry_point, get("Summary") or "")


def helper_package(module: str) -> tuple[str, str] | None:
    """Return name and version of the distribution that has a module, if it requires skopt_dl.

    It may bring a schedule, say, that another package's optimizer has, and no plugin.
    """
    top = module.partition(".")[0]
    for distribution in distributions():
        try:
            if _requires_us(distribution) and top in _modules_of(distribution):
                return distribution.name, distribution.version
        except Exception:
            continue
    return None


def _requires_us(distribution: Distribution) -> bool:
    text = distribution.read_text("METADATA")
    if text is not None and "skopt" not in text.lower():
        # Most are others': they are not worth parsing.
        return False
    names = [re.match(r"[\w.-]+", need) for need in distribution.requires or ()]
    return any(name is not None and canonical(name.group()) == "skopt-dl" for name in names)


def _modules_of(distribution: Distribution) -> set[str]:
    return {file.parts[0].removesuffix(".py") for file in distribution.files or ()}


def canonical(distribution: str) -> str:
    """Return a distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
