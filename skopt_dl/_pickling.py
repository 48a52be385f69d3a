"""Pickles that load where the plugin that wrote them is not installed."""

from __future__ import annotations

import copyreg
import sys
from importlib import import_module
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator, clone

from skopt_dl._entry_points import canonical, installed_plugins, plugin_of_module


class MissingPluginError(RuntimeError):
    """Raised when something from a plugin that is not installed is asked to work."""


class MissingPluginAttributeError(MissingPluginError, AttributeError):
    """The same where an attribute is asked for; ``hasattr`` then answers no."""


class Reference(NamedTuple):
    """A plugin's class, as a pickle names it."""

    module: str
    qualname: str
    distribution: str
    version: str
    parameters: tuple[str, ...]


def reduce_component(component: Any) -> tuple[Any, ...]:
    """Pickle an object of a plugin's class by name, so that a stand-in can take its place.

    Classes of skopt_dl itself, and those written in a notebook or a script, pickle as usual.
    """
    cls, state = type(component), component.__getstate__()
    own = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
    plugin = None if own else plugin_of_module(cls.__module__)
    if plugin is None or _look_up(cls.__module__, cls.__qualname__) is not cls:
        return copyreg.__newobj__, (cls,), state  # type: ignore[attr-defined]
    reference = Reference(
        cls.__module__,
        cls.__qualname__,
        plugin.distribution,
        plugin.version,
        tuple(component._get_param_names()),
    )
    return restore, (reference,), state


def _look_up(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def restore(reference: Reference) -> Any:
    """Return an empty object of the class, or a stand-in for one; pickle then sets its state."""
    try:
        import_module(reference.module)
    # A plugin that is installed but broken must not keep a model from predicting either.
    except Exception as error:
        return _stand_in(reference, f"{type(error).__name__}: {error}")
    cls = _look_up(reference.module, reference.qualname)
    if cls is None:
        return _stand_in(reference, f"module {reference.module} has no {reference.qualname}")
    return cls.__new__(cls)


def _stand_in(reference: Reference, reason: str) -> MissingPluginObject:
    # A class with the name of the missing one, since that is what scikit-learn prints.
    cls = type(reference.qualname.rpartition(".")[2], (MissingPluginObject,), {})
    return cls(reference, reason)


class MissingPluginObject(BaseEstimator):
    """Stands in for an object whose class is not installed: clones, prints, pickles.

    It has the object's parameters as attributes; whatever else it is asked for raises
    `MissingPluginError`. Pickled again and loaded where the plugin is installed, it is the object
    once more.

    Parameters
    ----------
    reference : Reference
        The class.
    reason : str
        Why there is no such class here.
    """

    def __init__(self, reference: Reference, reason: str):
        self._reference = reference
        self._reason = reason

    def _get_param_names(self) -> list[str]:
        return list(self._reference.parameters)

    @property
    def _problem(self) -> str:
        """What is missing, and how to get it."""
        reference, package = self._reference, self._reference.distribution
        what = (
            f"{type(self).__name__} (module {reference.module}) comes from the package {package!r}"
        )
        for plugin in installed_plugins():
            if canonical(plugin.distribution) == canonical(package):
                return (
                    f"{what}, whose installed version {plugin.version} does not provide it "
                    f"({self._reason}). The model was saved with version {reference.version}: run "
                    f"`pip install '{package}=={reference.version}'`, or see `skopt-dl plugins "
                    "doctor`."
                )
        return missing_package(what, package)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise MissingPluginAttributeError(self._problem)

    def check_params(self) -> None:
        raise MissingPluginError(self._problem)

    def __sklearn_clone__(self) -> MissingPluginObject:
        copy = _stand_in(self._reference, self._reason)
        for name, value in self.get_params(deep=False).items():
            setattr(copy, name, clone(value, safe=False))
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        state = {k: v for k, v in vars(self).items() if k not in ("_reference", "_reason")}
        return restore, (self._reference,), state

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_params(deep=False).items())
        package = self._reference.distribution
        return f"<{type(self).__name__}({arguments}), from {package}, not available>"


def missing_package(what: str, package: str) -> str:
    """Complete the sentence that begins with `what`, and say how to get the package."""
    return f"{what}, which is not installed here. Run `pip install {package}`."
