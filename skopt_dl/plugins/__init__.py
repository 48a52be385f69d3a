"""Names: hooks for plugins, their discovery, and the look-up of classes by name."""

from __future__ import annotations

from typing import Any

from skopt_dl._pickling import MissingPluginError
from skopt_dl.plugins.hookspecs import hookimpl
from skopt_dl.plugins.lookup import (
    available,
    find,
    find_among,
    make,
    package_of_name,
    remember_packages,
)
from skopt_dl.plugins.manager import PluginWarning
from skopt_dl.plugins.manager import manager as _manager
from skopt_dl.plugins.records import Problem

__all__ = [
    "MissingPluginError",
    "PluginWarning",
    "Problem",
    "available",
    "available_optimizers",
    "find",
    "find_among",
    "hookimpl",
    "make",
    "make_optimizer",
    "package_of_name",
    "register",
    "remember_packages",
    "unregister",
]

register, unregister = _manager.register, _manager.unregister


def available_optimizers() -> list[str]:
    """Names of all optimizers that can be used here, those of installed plugins included.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> from skopt_dl import available_optimizers
    >>> "adam" in available_optimizers()
    True
    """
    return available("optimizer")


def make_optimizer(name: str, **params: Any) -> Any:
    """Create an optimizer by name.

    Parameters
    ----------
    name : str
        One of `available_optimizers`, or ``distribution/name``.
    **params
        Its hyperparameters.

    Returns
    -------
    optimizer : Optimizer or Minimizer

    Raises
    ------
    ValueError
        If the name or a hyperparameter is unknown; the message gives the nearest match.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("adam", learning_rate=0.01)
    Adam(learning_rate=0.01)
    """
    return make("optimizer", name, **params)
