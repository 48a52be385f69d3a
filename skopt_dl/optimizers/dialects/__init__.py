"""Optimizers as other libraries have them: their names, their arguments, their defaults.

The classics have a parameter for each form that the libraries' methods differ in. A dialect says
which form a library's class is. ``docs/dialects.md`` shows how closely the two agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from skopt_dl._params import did_you_mean
from skopt_dl.optimizers.base import Optimizer
from skopt_dl.optimizers.dialects.dialect import Dialect
from skopt_dl.optimizers.dialects.of_keras import KERAS
from skopt_dl.optimizers.dialects.of_optax import OPTAX
from skopt_dl.optimizers.dialects.of_sklearn import SKLEARN
from skopt_dl.optimizers.dialects.of_torch import TORCH

__all__ = ["DIALECTS", "like"]

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.library: dialect for dialect in (TORCH, KERAS, OPTAX, SKLEARN)}
)


def like(name: str, /, **arguments: Any) -> Optimizer:
    """Create an optimizer that makes the steps of another library's.

    Parameters
    ----------
    name : str
        Library and class, as in ``"torch.SGD"``, ``"keras.RMSprop"``, ``"optax.adamw"``, and
        ``"sklearn.sgd"`` for the solver of scikit-learn's MLP. Where the class is in its library
        may be said as well, ``"torch.optim.SGD"``.
    **arguments
        By the library's own names, with its own defaults. A learning rate may be a schedule of
        `skopt_dl.schedules`. What says how and not what is computed (``foreach``, ``fused``,
        ``name``) is taken and has no effect.

    Returns
    -------
    optimizer : Optimizer
        A classic, with its own parameters.

    Raises
    ------
    ValueError
        If there is no such library or class, or an argument asks for a form that there is not;
        the message says what there is, and what to do.
    TypeError
        If the class has no such argument, or needs one that is not given.

    See Also
    --------
    skopt_dl.make_optimizer : Optimizers by their names here.

    Notes
    -----
    The estimators add an L2 penalty of their own, ``alpha=1e-4``: set ``alpha=0`` where a recipe
    has none, or has it in the optimizer.

    Examples
    --------
    >>> from skopt_dl.optimizers import like
    >>> like("torch.SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    Nesterov(l2=0.0005, learning_rate=0.1)
    >>> like("keras.RMSprop")
    RMSProp(epsilon=1e-07, epsilon_inside_sqrt=True, rate_in_velocity=True)
    >>> like("optax.sgd")
    Traceback (most recent call last):
    TypeError: optax.sgd has no default for learning_rate; pass learning_rate=….
    """
    library, _, inside = name.partition(".")
    dialect = DIALECTS.get(library)
    if dialect is None or not inside:
        known = ", ".join(DIALECTS)
        raise ValueError(
            f"like needs a library and its class, as in 'torch.SGD'; got {name!r}. Libraries: "
            f"{known}.{did_you_mean(library, DIALECTS)}"
        )
    return dialect.make(inside.rpartition(".")[2], arguments)
