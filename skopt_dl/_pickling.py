"""Saved models that load where the plugin that they were trained with is not installed.

An object of a plugin's class is saved as a reference to the class, by the names that the plugin
gave it, and its state. That is what a pickle calls `restore` with; inside another object it stands
in the state as a dictionary (`to_plain`), so that what saves a model part by part, as skops does,
meets no class that would have to be imported.
"""

from __future__ import annotations

import copyreg
import sys
from importlib import import_module
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator, clone

from skopt_dl._entry_points import canonical, installed_plugins

# Marks a dictionary that stands for an object of a plugin's class.
_MARK = "object of a plugin"


class MissingPluginError(RuntimeError):
    """Raised when something from a plugin that is not installed is asked to work."""


class MissingPluginAttributeError(MissingPluginError, AttributeError):
    """The same where an attribute is asked for; ``hasattr`` then answers no."""


class Reference(NamedTuple):
    """A plugin's class, as a saved model names it.

    Attributes
    ----------
    names : tuple of (str, str)
        Kind, and ``distribution/name``, of each name the plugin gives it; a helper has none.
    module, qualname, distribution, version : str
    parameters : tuple of str
    """

    names: tuple[tuple[str, str], ...]
    module: str
    qualname: str
    distribution: str
    version: str
    parameters: tuple[str, ...]

    @property
    def package(self) -> str:
        """The distribution, in canonical form."""
        return canonical(self.distribution)


def _lookup() -> Any:
    # By name, as pickles themselves do it: look-ups lie above what is looked up.
    return import_module("skopt_dl.plugins.lookup")


def look_up(module: str, qualname: str) -> Any:
    """Return what has a name in a module that is imported already, or None."""
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _reference(component: Any) -> Reference | None:
    """Refer to the class of an object, if a plugin brought it.

    Classes of skopt_dl itself, and those written in a notebook or a script, need no reference.
    """
    if isinstance(component, MissingPluginObject):
        return component._reference
    cls = type(component)
    own = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
    if own or look_up(cls.__module__, cls.__qualname__) is not cls:
        return None
    origin = _lookup().origin(cls)
    if origin is None:
        return None
    plugin, names = origin
    return Reference(
        names,
        cls.__module__,
        cls.__qualname__,
        plugin.distribution,
        plugin.version,
        tuple(component._get_param_names()),
    )


def reduce_component(component: Any) -> tuple[Any, ...]:
    """Pickle an object of a plugin's class by name, so that a stand-in can take its place."""
    reference, state = _reference(component), component.__getstate__()
    if reference is None:
        return copyreg.__newobj__, (type(component),), state  # type: ignore[attr-defined]
    return restore, (reference,), state


def restore(reference: Reference) -> Any:
    """Return an empty object of the class, or a stand-in for one; its state is then set."""
    try:
        cls = _lookup().find_again(reference)
    # A plugin that is installed but broken must not keep a model from predicting either.
    except Exception as error:
        return _stand_in(reference, f"{type(error).__name__}: {error}")
    return cls.__new__(cls)


def to_plain(state: dict[str, Any]) -> dict[str, Any]:
    """Return an object's state, with dictionaries for the objects of plugins in it."""
    return {name: _plain(value) for name, value in state.items()}


def from_plain(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state that `to_plain` was given, with stand-ins for what is not installed."""
    return {name: _from_plain(value) for name, value in state.items()}


def _plain(value: Any) -> Any:
    if type(value) in (list, tuple):
        if any(isinstance(part, BaseEstimator) for part in value):
            return type(value)(_plain(part) for part in value)
    elif isinstance(value, BaseEstimator) and hasattr(value, "check_params"):
        reference = None if hasattr(value, "fit") else _reference(value)
        if reference is not None:
            return {_MARK: reference._asdict(), "state": value.__getstate__()}
    return value


def _from_plain(value: Any) -> Any:
    if type(value) in (list, tuple):
        if any(type(part) is dict and _MARK in part for part in value):
            return type(value)(_from_plain(part) for part in value)
    elif type(value) is dict and _MARK in value:
        component = restore(Reference(**value[_MARK]))
        component.__setstate__(value["state"])
        return component
    return value


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
            if canonical(plugin.distribution) == reference.package:
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
        return reduce_component(self)

    def __getstate__(self) -> dict[str, Any]:
        own = ("_reference", "_reason")
        return to_plain({name: value for name, value in vars(self).items() if name not in own})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(from_plain(state))

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_params(deep=False).items())
        package = self._reference.distribution
        return f"<{type(self).__name__}({arguments}), from {package}, not available>"


def missing_package(what: str, package: str) -> str:
    """Complete the sentence that begins with `what`, and say how to get the package."""
    return f"{what}, which is not installed here. Run `pip install {package}`."
