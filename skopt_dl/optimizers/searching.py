"""What a search takes: an optimizer, and where to look for its hyperparameters."""

from __future__ import annotations

import inspect
from typing import Any

from sklearn.base import clone

from skopt_dl.optimizers.base import Minimizer, Optimizer
from skopt_dl.optimizers.spaces import LogUniform, Space
from skopt_dl.plugins import find

# What is searched where a class declares nothing: three factors of ten, the default in the middle.
BELOW, ABOVE = 10**-1.5, 10**1.5
WEIGHT_DECAY = LogUniform(1e-4, 1.0)


def space_of(optimizer: Any) -> dict[str, Space]:
    """Where to look for the hyperparameters of an optimizer: declared, or made from its rates.

    Parameters
    ----------
    optimizer : Optimizer or Minimizer
        An object.

    Returns
    -------
    space : dict of str to Space
        Of a class that declares none: `learning_rate` within three factors of ten around its
        default, and `weight_decay`; empty where it has neither.

    Examples
    --------
    >>> from skopt_dl.optimizers import Optimizer, space_of
    >>> class SignDescent(Optimizer):
    ...     def __init__(self, learning_rate=0.01):
    ...         self.learning_rate = learning_rate
    >>> space_of(SignDescent())["learning_rate"].grid(3)
    [0.00032, 0.01, 0.32]
    """
    if optimizer.search_space:
        return dict(optimizer.search_space)
    parameters = inspect.signature(type(optimizer)).parameters
    space: dict[str, Space] = {}
    if "learning_rate" in parameters:
        default = parameters["learning_rate"].default
        if isinstance(default, int | float) and default > 0:
            low, high = (float(f"{default * factor:.2g}") for factor in (BELOW, ABOVE))
            space["learning_rate"] = LogUniform(low, high)
    if "weight_decay" in parameters:
        space["weight_decay"] = WEIGHT_DECAY
    return space


def search_space(
    optimizer: Any, n_values: int = 4, *, distributions: bool = False, prefix: str = ""
) -> dict[str, Any]:
    """Return what to pass to a search: an optimizer, and where to look for its hyperparameters.

    Parameters
    ----------
    optimizer : str, type, Optimizer or Minimizer
        A name, a class, or an object, whose other hyperparameters are kept.
    n_values : int, default=4
        Values of each hyperparameter in a grid.
    distributions : bool, default=False
        Distributions to draw from, for `RandomizedSearchCV`, in the place of values.
    prefix : str, default=""
        What comes before the names, for a model in a pipeline: ``"mlpclassifier__"``.

    Returns
    -------
    space : dict of str to list or distribution
        Of several optimizers, put the dicts into a list.

    Raises
    ------
    ValueError
        If nobody has the name; the message gives the nearest match.
    TypeError
        If it is no optimizer.

    Examples
    --------
    >>> from skopt_dl import search_space
    >>> for name, values in search_space("adamw", 3).items():
    ...     print(name, values)
    optimizer ['adamw']
    optimizer__learning_rate [0.0001, 0.0032, 0.1]
    optimizer__beta_2 [0.9, 0.99, 0.999]
    optimizer__weight_decay [0.0001, 0.01, 1.0]
    """
    chosen = optimizer
    made = find("optimizer", optimizer)() if isinstance(optimizer, str) else optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer | Minimizer):
        chosen = made = optimizer()
    if not isinstance(made, Optimizer | Minimizer):
        raise TypeError(
            "search_space takes the name of an optimizer, its class or an object; got "
            f"{optimizer!r}."
        )
    name = f"{prefix}optimizer"
    space: dict[str, Any] = {name: [chosen if isinstance(chosen, str) else clone(chosen)]}
    for parameter, values in space_of(made).items():
        space[f"{name}__{parameter}"] = (
            values.distribution() if distributions else values.grid(n_values)
        )
    return space
