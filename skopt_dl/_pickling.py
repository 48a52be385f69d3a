"""Pickles that load where the plugin that wrote them is not installed."""

from __future__ import annotations

import copyreg
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from sklearn.base import BaseEstimator

ENTRY_POINT_GROUP = "skopt_dl"


class MissingPluginError(ImportError):
    """Raised when something from a plugin that is not installed is asked to work."""


@cache
def plugin_distribution(module: str) -> str | None:
    """Name the installed distribution whose skopt_dl entry point lies in the same package."""
    package = module.partition(".")[0]
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        if entry_point.module.partition(".")[0] == package and entry_point.dist is not None:
            return entry_point.dist.name
    return None


def reduce_plugin_object(self: Any) -> tuple[Any, ...]:
    """Pickle an object of a plugin's class by name, so that a stand-in can take its place.

    Classes of skopt_dl itself, and those written in a notebook or a script, pickle as usual.
    """
    cls = type(self)
    package = cls.__module__.partition(".")[0]
    if package != __name__.partition(".")[0]:
        distribution = plugin_distribution(cls.__module__)
        if distribution is not None and _find(cls.__module__, cls.__qualname__) is cls:
            reference = (cls.__module__, cls.__qualname__, distribution)
            return rebuild, (reference, dict(self.__dict__))
    return copyreg.__newobj__, (cls,), self.__getstate__()  # type: ignore[attr-defined]


def _find(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def rebuild(reference: tuple[str, str, str], attributes: dict[str, Any]) -> Any:
    """Rebuild an object pickled by `reduce_plugin_object`, or a stand-in for it."""
    module, qualname, _ = reference
    try:
        import_module(module)
        cls = _find(module, qualname)
    except ImportError:
        cls = None
    if cls is None:
        return MissingPluginObject(reference, attributes)
    rebuilt = cls.__new__(cls)
    rebuilt.__dict__.update(attributes)
    return rebuilt


class MissingPluginObject(BaseEstimator):
    """Stands in for an object whose class is not installed: clones, prints, pickles.

    Parameters
    ----------
    reference : tuple of str
        Module, qualified name and distribution of the class.
    attributes : dict
        The object's parameters.
    """

    def __init__(self, reference: tuple[str, str, str], attributes: dict[str, Any]):
        self.reference = reference
        self.attributes = attributes

    @property
    def problem(self) -> str:
        """What is missing, and how to get it."""
        module, qualname, distribution = self.reference
        return (
            f"{qualname} (module {module}) comes from the package {distribution!r}, which is not "
            f"installed here. Run `pip install {distribution}`."
        )

    def check_params(self) -> None:
        raise MissingPluginError(self.problem)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return dict(self.attributes)

    def set_params(self, **params: Any) -> MissingPluginObject:
        self.attributes = {**self.attributes, **params}
        return self

    def __sklearn_clone__(self) -> MissingPluginObject:
        return MissingPluginObject(self.reference, dict(self.attributes))

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (self.reference, self.attributes)

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.attributes.items())
        name = self.reference[1].rpartition(".")[2]
        return f"<{name}({arguments}), from {self.reference[2]}, which is not installed>"
