"""What is known of a plugin: the names it gives, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """Something wrong with a plugin, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}".rstrip()


@dataclass(frozen=True)
class Entry:
    """A name that a distribution gives to a class.

    Attributes
    ----------
    kind, name, distribution : str
    target : str or type
        The class, or ``"package.module:Class"``.
    """

    kind: str
    name: str
    distribution: str
    target: Any

    @property
    def qualified(self) -> str:
        """The name that nobody else can claim."""
        return f"{self.distribution}/{self.name}"

    @property
    def class_path(self) -> str:
        """The class as ``package.module:Class``."""
        if isinstance(self.target, str):
            return self.target
        return f"{self.target.__module__}:{self.target.__qualname__}"


@dataclass
class Plugin:
    """What became of one plugin.

    Attributes
    ----------
    distribution : str
        The pip package, or the name given to `PluginManager.register`.
    version : str
    entry_point : str
        Name of the entry point; empty for a plugin registered at run time.
    module : str
        What the entry point names.
    status : str
        ``"loaded"``, ``"disabled"``, or ``"failed"``: a plugin with problems and no names.
    problems : list of Problem
    entries : list of Entry
        The names it gives.
    switched_off_by : str
        The variable of the environment that disabled it, else empty.
    """

    distribution: str
    version: str = ""
    entry_point: str = ""
    module: str = ""
    status: str = "loaded"
    problems: list[Problem] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    switched_off_by: str = ""

    @property
    def key(self) -> str:
        """What tells plugins apart: a distribution may have several entry points."""
        return f"{self.distribution}:{self.entry_point}"

    @property
    def modules(self) -> list[str]:
        """The modules that it names: that of its entry point, and those of its classes."""
        targets = [self.module, *(entry.class_path for entry in self.entries)]
        return [target.partition(":")[0].partition("[")[0].strip() for target in targets]
