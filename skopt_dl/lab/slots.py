"""The two slots of a step made visible: its direction, and the rate of each weight."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.lab.comparing import Comparison
from skopt_dl.objectives import Layout
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.optimizers.rule import Scale, TwoSlotOptimizer
from skopt_dl.schedules import Progress
from skopt_dl.training.updates import UpdateGroup

# How many units in the last place of the points a rule's changes may be from those of a run.
ULPS = 16


@dataclass(eq=False)
class Slots:
    """Each step as ``change = -rate * direction``, weight by weight.

    Attributes
    ----------
    direction : ndarray of shape (T, P)
        What the optimizer made of the gradient: the gradient itself, a velocity, a moving average.
        Where `follows_rule` is false, the gradient.
    rate : ndarray of shape (T, P)
        The effective learning rate, ``-change / direction``; NaN where the direction is zero.
    gradient : ndarray of shape (T, P)
    follows_rule : bool
        Whether the optimizer is a direction over a scale, as those of
        `skopt_dl.optimizers.rule` are. Where it is not, `rate` compares the change with the
        gradient, and may be negative.
    """

    direction: np.ndarray
    rate: np.ndarray
    gradient: np.ndarray
    follows_rule: bool


def slots_of_steps(
    optimizer: Optimizer | Minimizer, path: np.ndarray, gradients: np.ndarray
) -> Slots:
    """Take the steps of a run apart.

    The same gradients are given to the optimizer with its direction alone: without a scale and
    with a learning rate of 1, its changes are minus the direction. They are given once more to
    direction and scale together, to see whether these are all there is to the optimizer.

    Parameters
    ----------
    optimizer : Optimizer or Minimizer
        What made the run.
    path : array-like of shape (T + 1, P)
        The start, and the point after each step.
    gradients : array-like of shape (T, P)
        What the optimizer was given.

    Returns
    -------
    slots : Slots
        Of the steps before the first that is not finite.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is no step.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl import lab
    >>> from skopt_dl.optimizers import SGD
    >>> lab.slots_of_steps(SGD(0.5), path=[[4.0], [2.0], [1.0]], gradients=[[4.0], [2.0]]).rate
    array([[0.5],
           [0.5]])
    """
    path, gradients = np.asarray(path), np.asarray(gradients)
    if path.ndim != 2 or gradients.shape != (len(path) - 1, path.shape[-1]):
        raise ValueError(
            "path must be of shape (T + 1, P) and gradients of shape (T, P); got "
            f"{path.shape} and {gradients.shape}."
        )
    rounding = np.finfo(path.dtype).eps if path.dtype.kind == "f" else np.finfo(float).eps
    path, gradients = path.astype(float), gradients.astype(float)
    planned = len(gradients)
    finite = np.isfinite(gradients).all(axis=1) & np.isfinite(path[1:]).all(axis=1)
    n_steps = planned if finite.all() else int(finite.argmin())
    if n_steps == 0:
        raise ValueError("The run has no step whose gradient and end are finite.")
    path, gradients = path[: n_steps + 1], gradients[:n_steps]
    direction, rate, follows_rule = take_apart(
        [optimizer], path[None], gradients[None], planned=planned, rounding=rounding
    )
    return Slots(direction[0], rate[0], gradients, bool(follows_rule[0]))


def take_apart(
    optimizers: Sequence[Optimizer | Minimizer],
    paths: np.ndarray,
    gradients: np.ndarray,
    *,
    planned: int,
    rounding: float = float(np.finfo(float).eps),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take the steps of R runs apart at once; see `slots_of_steps`.

    Parameters
    ----------
    optimizers : sequence of R Optimizer or Minimizer
        All of one class, and alike but for their floats.
    paths : ndarray of shape (R, T + 1, P)
    gradients : ndarray of shape (R, T, P)
        Both finite. A run that is shorter than others stays where it is, with gradients of zero.
    planned : int
        Steps that learning rate schedules are laid out for.
    rounding : float
        Of the paths.

    Returns
    -------
    direction, rate : ndarray of shape (R, T, P)
    follows_rule : ndarray of bool of shape (R,)
    """
    change, direction = np.diff(paths, axis=1), gradients
    follows_rule = np.zeros(len(paths), dtype=bool)
    if isinstance(optimizers[0], TwoSlotOptimizer):
        by_rule = _changes(_with_rule(optimizers), gradients, planned)
        allowed = np.sqrt(rounding) * np.abs(change).max(axis=1, keepdims=True)
        allowed += ULPS * rounding * np.abs(paths).max(axis=1, keepdims=True)
        # Something that has ended may have a velocity left.
        ended = ((gradients == 0) & (change == 0)).all(axis=2, keepdims=True)
        follows_rule = (ended | (np.abs(by_rule - change) <= allowed)).all(axis=(1, 2))
        alone = -_changes(_with_rule(optimizers, scale=Scale()), gradients, planned)
        # The changes by the rule are the same, not rounded to the points.
        change = np.where(follows_rule[:, None, None], by_rule, change)
        direction = np.where(follows_rule[:, None, None], alone, direction)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(direction == 0, np.nan, -change / direction)
    return direction, rate, follows_rule


def slots_of_run(comparison: Comparison, run: int = 0) -> Slots:
    """Take the steps of one run of a comparison apart; see `slots_of_steps`.

    Raises
    ------
    TypeError
        If `comparison` is none.
    ValueError
        If the comparison has no paths, or no such run.
    """
    if not isinstance(comparison, Comparison):
        raise TypeError(
            "comparison must be what lab.compare(..., record=True) returns; got "
            f"{comparison!r}. For a path of your own call slots_of_steps."
        )
    if comparison.paths is None or comparison.gradients is None:
        raise ValueError(
            "Steps can be taken apart only where they were kept. Make the comparison with "
            "lab.compare(..., record=True)."
        )
    numbered = isinstance(run, numbers.Integral) and not isinstance(run, bool)
    if not numbered or not 0 <= run < len(comparison):
        raise ValueError(
            f"run must be an int from 0 to {len(comparison) - 1}, a row of the comparison's table; "
            f"got {run!r}."
        )
    return slots_of_steps(
        comparison.optimizers[run], comparison.paths[run], comparison.gradients[run]
    )


def _with_rule(
    optimizers: Sequence[Optimizer | Minimizer], scale: Scale | None = None
) -> list[Optimizer]:
    """The optimizers as direction over scale and nothing else; or, with a scale given, over that.

    Then their learning rate is 1.
    """
    cls: Any = type(optimizers[0])
    inherited = ("update", "change", "slots")
    members: dict[str, Any] = {name: getattr(TwoSlotOptimizer, name) for name in inherited}
    if scale is not None:
        members["scale"] = scale
    bare = type(cls.__name__, (cls,), members)
    made = [bare(**optimizer.get_params(deep=False)) for optimizer in optimizers]
    if scale is not None:
        for each in made:
            each.learning_rate = 1.0
    return made


def _changes(optimizers: Sequence[Optimizer], gradients: np.ndarray, planned: int) -> np.ndarray:
    """What optimizers that do not look at the parameters add to them, ``(R, T, P)``.

    Their schedules are laid out for the steps that were planned.
    """
    n_runs, n_steps, n_params = gradients.shape
    params = np.zeros((n_runs, n_params))
    layout = Layout.from_shapes([("x", "hidden", (1, n_params))])
    progress = [Progress(n_steps=planned) for _ in range(n_runs)]
    group = UpdateGroup(backend_of(params), optimizers, params, layout, progress, [None] * n_runs)
    changes = np.empty_like(gradients)
    for step in range(n_steps):
        params[:] = 0.0
        group.apply(gradients[:, step].copy(), None)
        changes[:, step] = params
    return changes
