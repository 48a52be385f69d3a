"""Which pairs of learning rate and momentum are fast, slow, or diverge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skopt_dl.displays._axes import axes
from skopt_dl.displays._checks import check_function, check_numbers
from skopt_dl.displays._runs import lasting_values, steps_to_stay, still_moves

if TYPE_CHECKING:
    from skopt_dl.objectives import Function
    from skopt_dl.optimizers import Optimizer

DIVERGED, NOT_REACHED, HATCH = "#1a1a1a", "#d0d0d0", "...."


class StabilityMapDisplay:
    """Steps to the tolerance at each learning rate and momentum.

    Parameters
    ----------
    learning_rates : ndarray of shape (n_rates,)
        In rising order.
    momenta : ndarray of shape (n_momenta,)
        In rising order.
    steps : ndarray of shape (n_momenta, n_rates)
        After which the gap stays within the tolerance; infinite where it did not.
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

    @classmethod
    def from_objective(
        cls,
        objective: Function,
        optimizer: str | Optimizer = "momentum",
        *,
        learning_rates: Sequence[float] | np.ndarray | None = None,
        momenta: Sequence[float] | np.ndarray | None = None,
        parameter: str = "momentum",
        n_steps: int = 500,
        tol: float = 1e-6,
        ax: Any = None,
    ) -> Self:
        """Run an optimizer at every pair of learning rate and momentum, from ``objective.start``.

        On a quadratic, the learning rate from which an optimizer diverges follows from the largest
        eigenvalue of the Hessian: for the heavy ball ``2 * (1 + momentum) / eigenvalue`` (Polyak,
        1964). It is drawn where the optimizer says its ``stability_limit``.

        Parameters
        ----------
        objective : Function
        optimizer : str or Optimizer, default="momentum"
        learning_rates : array-like of shape (n_rates,), default=None
            None means 60: evenly spaced up to beyond the limit where that is known, else from 1e-4
            to 10, evenly on a logarithmic scale.
        momenta : array-like of shape (n_momenta,), default=None
            None means 50 from 0 to 0.98.
        parameter : str, default="momentum"
            The optimizer's parameter that `momenta` are values of: ``"beta_1"`` for Adam.
        n_steps : int, default=500
        tol : float, default=1e-6
            The gap to the smallest value at which a run has arrived.
        ax : matplotlib Axes, default=None

        Raises
        ------
        TypeError
            If `objective` is no Function.
        ValueError
            If the optimizer has no such parameter, or a value is none that it takes.
        """
        from skopt_dl.lab import compare
        from skopt_dl.plugins import make_optimizer

        check_function(objective, "StabilityMapDisplay")
        made = make_optimizer(optimizer) if isinstance(optimizer, str) else optimizer
        momenta = _given(momenta, np.linspace(0.0, 0.98, 50), "momenta")
        variants = [_variant(made, parameter, float(momentum)) for momentum in momenta]
        curvature = largest_curvature(objective)
        limits = np.array([each.stability_limit() for each in variants]) / curvature
        known = bool(np.isfinite(limits).all())
        if learning_rates is None:
            most = 1.15 * limits.max() if known else np.nan
            rates = np.linspace(most / 60, most, 60) if known else np.geomspace(1e-4, 10.0, 60)
        else:
            rates = check_numbers(learning_rates, "learning_rates")
        found = compare(
            objective,
            {str(k): each for k, each in enumerate(variants)},
            learning_rates=rates.tolist(),
            n_steps=n_steps,
            tol=tol,
        )
        shape = len(momenta), len(rates)
        values = lasting_values(found)
        smallest = objective.minimum
        steps = steps_to_stay(values - smallest, tol)
        if np.isnan(smallest):
            # The best run has come nearest to itself; that it has arrived shows where it rests.
            steps = steps_to_stay(values - values.min(), tol)
            steps[still_moves(values) > tol] = np.inf
        return cls(
            rates,
            momenta,
            steps.reshape(shape),
            ~(found.table["final_value"] <= values[0, 0]).reshape(shape),
            limits if known else None,
            parameter,
            f"{objective.name}: {optimizer if isinstance(optimizer, str) else type(made).__name__}",
        ).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the map, with a star at the fewest steps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        from matplotlib.colors import ListedColormap, LogNorm
        from matplotlib.patches import Patch
        from matplotlib.ticker import LogLocator

        rates, momenta = self.learning_rates, self.momenta
        logarithmic = rates[-1] > 100 * rates[0] > 0
        columns, rows = _edges(rates, logarithmic), _edges(momenta, False)
        reached = np.isfinite(self.steps) & ~self.diverged
        steps = np.where(reached, np.maximum(self.steps, 1.0), np.nan)
        handles = []
        ax.pcolormesh(
            columns,
            rows,
            self.diverged,
            cmap=ListedColormap([NOT_REACHED, DIVERGED]),
            vmin=0,
            vmax=1,
        )
        self.image_ = ax.pcolormesh(columns, rows, steps, cmap="cividis_r", norm=LogNorm())
        if reached.any():
            ticks = LogLocator(subs=(1, 2, 5))
            bar = self.figure_.colorbar(self.image_, ax=ax, ticks=ticks, format="%g")
            bar.minorticks_off()
            bar.set_label("Steps to tolerance")
            style = {"color": "white", "markeredgecolor": "black", "linestyle": "none"}
            label = f"fewest steps: {self.best[0]:.3g}, {self.best[1]:.3g}"
            star = {"marker": "*", "markersize": 14, "clip_on": False, "zorder": 5}
            handles += ax.plot(*self.best, label=label, **star, **style)
        self.boundary_line_ = None
        if self.boundary is not None:
            # Of one momentum, as high as its cell.
            one = len(momenta) == 1
            limit = (np.repeat(self.boundary, 2), rows) if one else (self.boundary, momenta)
            ax.plot(*limit, color="white", linewidth=3.5)
            (self.boundary_line_,) = ax.plot(
                *limit, color="#D55E00", linewidth=1.8, label="limit of stability"
            )
            if ((limit[0] > columns[0]) & (limit[0] < columns[-1])).any():
                handles.append(self.boundary_line_)
        waiting = ~reached & ~self.diverged
        if waiting.any():
            look: dict[str, Any] = {"facecolor": NOT_REACHED, "edgecolor": "0.5", "hatch": HATCH}
            handles.append(Patch(label="not there yet", linewidth=0, **look))
            # Both ends of each cell, which contours then follow.
            x, y = (np.repeat(edges, 2)[1:-1] for edges in (columns, rows))
            cells = np.repeat(np.repeat(waiting, 2, axis=0), 2, axis=1)
            ax.contourf(x, y, cells, [0.5, 1.5], colors="none", hatches=[HATCH])
        if self.diverged.any():
            handles.append(Patch(color=DIVERGED, label="ended above its start"))
        if logarithmic:
            ax.set_xscale("log")
        # Of what diverges at every momentum, a margin is enough.
        alive = np.flatnonzero(~self.diverged.all(axis=0))
        last = alive[-1] + 1 + len(rates) // 8 if alive.size else len(rates)
        ax.set_xlim(columns[0], columns[min(last + 1, len(rates))])
        ax.set_ylim(rows[0], rows[-1])
        ax.set(xlabel="Learning rate", ylabel=self.parameter, title=self.title)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "ncols": 2}
        self.legend_ = ax.legend(handles=handles, fontsize="small", frameon=False, **below)
        return self


def largest_curvature(objective: Function) -> float:
    """The largest eigenvalue of a quadratic's Hessian; NaN for what is no convex quadratic."""
    try:
        hessian = objective.hessian(objective.start)
        points = np.random.default_rng(0).uniform(
            objective.lower, objective.upper, (4, len(hessian))
        )
        others = objective.hessian(points)
    except NotImplementedError:
        return np.nan
    eigenvalues = np.linalg.eigvalsh(hessian)
    size = np.abs(eigenvalues).max()
    if eigenvalues[0] < 0 or size == 0 or not np.allclose(others, hessian, atol=1e-9 * size):
        return np.nan
    return float(eigenvalues[-1])


def _edges(centers: np.ndarray, logarithmic: bool) -> np.ndarray:
    """Where the cells around n values begin and end, ``(n + 1,)``."""
    if len(centers) == 1:
        half = 0.5 * abs(centers[0]) or 0.5
        return np.array([centers[0] - half, centers[0] + half])
    if logarithmic:
        return np.exp(_edges(np.log(centers), False))
    between = (centers[1:] + centers[:-1]) / 2
    first, last = 2 * centers[0] - between[0], 2 * centers[-1] - between[-1]
    return np.concatenate([[first], between, [last]])


def _given(values: Any, otherwise: np.ndarray, name: str) -> np.ndarray:
    return otherwise if values is None else check_numbers(values, name)


def _variant(optimizer: Optimizer, parameter: str, value: float) -> Optimizer:
    import copy

    if parameter not in optimizer.get_params(deep=False):
        raise ValueError(
            f"{type(optimizer).__name__} has no parameter {parameter!r} to map; it has "
            f"{', '.join(map(repr, optimizer.get_params(deep=False)))}. Pass parameter=."
        )
    variant = copy.copy(optimizer).set_params(**{parameter: value})
    variant.check_params()
    return variant
