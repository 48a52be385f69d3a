"""Runs of the real optimizers, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skopt_dl.lab.comparing import Comparison, compare
from skopt_dl.lab.page.offer import with_momenta
from skopt_dl.lab.slots import take_apart
from skopt_dl.objectives import Function

# The gap to the smallest value at which a run has arrived.
TOL = 1e-3
# Farther from the domain than so many of its widths, a run is no longer followed.
REACH = 6.0


@dataclass(eq=False)
class Traces:
    """R runs of one optimizer.

    Attributes
    ----------
    momenta, learning_rates : ndarray of shape (R,)
        NaN where it has none.
    n_steps : ndarray of int of shape (R,)
        How many steps each run made, on the page.
    outcomes : ndarray of str of shape (R,)
        As in `Comparison`.
    arrived : ndarray of shape (R,)
        The step after which a run was near the smallest value; infinite: never.
    follows_rule : ndarray of bool of shape (R,)
        Whether its steps are a direction over a scale; see `Slots`.
    points : ndarray of shape (R, T + 1, 2)
    values : ndarray of shape (R, T + 1)
    gradients, directions, rates : ndarray of shape (R, T, 2)
        The change is ``-rate * direction``, coordinate by coordinate; the rate is NaN where the
        direction is zero. After a run's end, its last point and value stay, and these are zero.
    """

    momenta: np.ndarray
    learning_rates: np.ndarray
    n_steps: np.ndarray
    outcomes: np.ndarray
    arrived: np.ndarray
    follows_rule: np.ndarray
    points: np.ndarray
    values: np.ndarray
    gradients: np.ndarray
    directions: np.ndarray
    rates: np.ndarray


def run(
    function: Function,
    name: str,
    learning_rates: Sequence[float],
    momenta: Sequence[float],
    starts: np.ndarray,
    n_steps: int,
) -> Traces:
    """Run one optimizer with every momentum and learning rate, from every start.

    Starts vary fastest, momenta slowest.
    """
    variants = with_momenta(name, tuple(momenta))
    labels = {f"{name} {momentum}": each for momentum, each in variants.items()}
    found = compare(
        function,
        labels,
        learning_rates=learning_rates,
        starts=starts,
        n_steps=n_steps,
        tol=TOL,
        record=True,
    )
    assert found.paths is not None
    assert found.gradients is not None
    n_variants = len(found) // len(starts)
    return Traces(
        np.repeat(list(variants), n_variants // len(variants) * len(starts)),
        found.table["learning_rate"],
        *_followed(found),
    )


def _followed(found: Comparison) -> tuple[np.ndarray, ...]:
    """Cut runs where they leave the neighbourhood of the domain, and hold where they end."""
    function, paths, gradients = found.objective, found.paths, found.gradients
    assert paths is not None
    assert gradients is not None
    reach = REACH * (function.upper - function.lower)
    near = (paths > function.lower - reach) & (paths < function.upper + reach)
    followed = np.logical_and.accumulate(near.all(axis=2), axis=1)
    n_steps = followed.sum(axis=1) - 1
    steps = np.minimum(np.arange(paths.shape[1]), n_steps[:, None])
    points = np.take_along_axis(paths, steps[:, :, None], axis=1)
    values = np.take_along_axis(found.values, steps, axis=1)
    made = followed[:, 1:, None]
    gradients = np.where(made, gradients, 0.0)
    directions, rates, follows_rule = take_apart(
        found.optimizers, points, gradients, planned=found.n_steps
    )
    cut = (np.where(made, each, 0.0) for each in (directions, rates))
    outcomes, arrived = found.table["outcome"], found.table["steps_to_tolerance"]
    return n_steps, outcomes, arrived, follows_rule, points, values, gradients, *cut
