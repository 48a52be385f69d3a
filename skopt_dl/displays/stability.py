"""Which pairs of learning rate and momentum are fast, slow, or diverge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skopt_dl.displays._axes import axes
from skopt_dl.displays._style import legend_beside

if TYPE_CHECKING:
    from skopt_dl.objectives import Function
    from skopt_dl.optimizers import Optimizer

DIVERGED, NOT_REACHED = "#1a1a1a", "#d0d0d0"


class StabilityMapDisplay:
    """Steps to the tolerance at each learning rate and momentum.

    Parameters
    ----------
    learning_rates : ndarray of shape (n_rates,)
        In rising order.
    momenta : ndarray of shape (n_momenta,)
        In rising order.
    steps : ndarray of shape (n_momenta, n_rates)
        Infinite where the tolerance was not reached.
    diverged : ndarray of bool of shape (n_momenta, n_rates)
        Where the run ended higher than it began.
    boundary : ndarray of shape (n_momenta,), default=None
        The learning rate from which a quadratic diverges, where that is known.
    parameter : str, default="momentum"
    title : str, default=""

    Attributes
    ----------
    best : tuple of float
        Learning rate and momentum with the fewest steps; NaN if the tolerance was never reached.
    image_ : matplotlib QuadMesh
    boundary_line_ : matplotlib Line2D or None
    ax_, figure_, legend_ : matplotlib Axes, Figure, Legend

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skopt_dl.displays import StabilityMapDisplay
    >>> from skopt_dl.objectives import Quadratic
    >>> display = StabilityMapDisplay.from_objective(
    ...     Quadratic.of_condition(10, 2, seed=0), momenta=[0.0, 0.5, 0.9], n_steps=300
    ... )
    >>> display.steps.shape
    (3, 60)
    >>> plt.show()
    """

    def __init__(
        self,
        learning_rates: np.ndarray,
        momenta: np.ndarray,
        steps: np.ndarray,
        diverged: np.ndarray,
        boundary: np.ndarray | None = None,
        parameter: str = "momentum",
        title: str = "",
    ):
        self.learning_rates = learning_rates
        self.momenta = momenta
        self.steps = steps
        self.diverged = diverged
        self.boundary = boundary
        self.parameter = parameter
        self.title = title
        row, column = np.unravel_index(np.argmin(steps), steps.shape)
        self.best = (np.nan, np.nan)
        if np.isfinite(steps[row, column]):
            self.best = (float(learning_rates[column]), float(momenta[row]))
