"""Which minimum each starting point leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skopt_dl.displays._axes import axes
from skopt_dl.displays._checks import check_function, check_number
from skopt_dl.displays._contours import draw_graph, draw_minima
from skopt_dl.displays._runs import lasting_values, steps_to_stay, still_moves
from skopt_dl.displays._style import REGIONS, legend_beside, rgb

if TYPE_CHECKING:
    from skopt_dl.lab import Comparison
    from skopt_dl.objectives import Function
    from skopt_dl.optimizers import Minimizer, Optimizer

# What did not end at a minimum: a grey and, for print, a hatching each.
NOWHERE = {
    "diverged": ("#1a1a1a", None),
    "stalled": ("#9a9a9a", "...."),
    "moving": ("#e6e6e6", "///"),
}
# The share of white in the colour of the starting point that took longest.
PALEST = 0.65
# How near each other runs end for having ended at one minimum, as a share of the domain's diagonal.
TOGETHER = 0.01


class BasinsDisplay:
    """Basins of attraction: each starting point in the colour of the minimum it leads to.

    Parameters
    ----------
    objective : Function
        Of one or two variables.
    starts : tuple of P ndarray
        Coordinates along each variable, n_1 and n_2 of them.
    minima : list of ndarray of shape (P,)
        Those that starting points can lead to.
    minimum : ndarray of int of shape (n_2, n_1) or (n_1,)
        The number of the minimum; -1 where none was reached.
    steps : ndarray of float, same shape
        After which the gap to that minimum's value stays within the tolerance; infinite where it
        did not.
    outcome : ndarray of str, same shape
        ``"reached"``, where there is a minimum; ``"diverged"``; ``"stalled"``, somewhere else; or
        ``"moving"``, when the steps were over.
    title : str, default=""

    Attributes
    ----------
    shares : ndarray of shape (n_minima,)
        Of the starting points, that lead to each minimum.
    image_ : matplotlib AxesImage
    ax_, figure_, legend_ : matplotlib Axes, Figure, Legend

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skopt_dl.displays import BasinsDisplay
    >>> from skopt_dl.objectives import Himmelblau
    >>> from skopt_dl.optimizers import SGD
    >>> display = BasinsDisplay.from_objective(Himmelblau(), SGD(0.01), resolution=20, n_steps=200)
    >>> display.minimum.shape, len(display.minima)
    ((20, 20), 4)
    >>> plt.show()
    """

    def __init__(
        self,
        objective: Any,
        starts: tuple[np.ndarray, ...],
        minima: list[np.ndarray],
        minimum: np.ndarray,
        steps: np.ndarray,
        outcome: np.ndarray,
        title: str = "",
    ):
        self.objective = objective
        self.starts = starts
        self.minima = minima
        self.minimum = minimum
        self.steps = steps
        self.outcome = outcome
        self.title = title
        self.shares = np.array([np.mean(minimum == k) for k in range(len(minima))])
        self._order = np.argsort(-self.shares, kind="stable")

    @classmethod
    def from_objective(
        cls,
        objective: Function,
        optimizer: str | Optimizer | Minimizer,
        *,
        resolution: int = 60,
        n_steps: int = 1000,
        tol: float = 1e-6,
        ax: Any = None,
    ) -> Self:
        """Run an optimizer from a grid over the domain.

        Where the minima of a function are not known, they are the points that runs come to rest at.

        Parameters
        ----------
        objective : Function
            Of one or two variables.
        optimizer : str or Optimizer
        resolution : int, default=60
            Starting points along each variable.
        n_steps : int, default=1000
        tol : float, default=1e-6
            The gap to the value of a minimum at which a run has arrived there.
        ax : matplotlib Axes, default=None

        Raises
        ------
        TypeError
            If `objective` is no Function.
        ValueError
            If the function has more than two variables, or `resolution` is no integer from 2.
        """
        from skopt_dl.lab import compare

        check_function(objective, "BasinsDisplay")
        check_number(resolution, "resolution", 2)
        if objective.n_dims > 2:
            raise ValueError(
                f"BasinsDisplay shows functions of one or two variables; {objective.name} has "
                f"{objective.n_dims}."
            )
        sides = [
            np.linspace(*ends, resolution)
            for ends in zip(objective.lower, objective.upper, strict=True)
        ]
        points = np.stack(np.meshgrid(*sides), axis=-1)
        found = compare(
            objective,
            optimizer,
            starts=points.reshape(-1, objective.n_dims),
            n_steps=n_steps,
            tol=tol,
        )
        values = lasting_values(found)
        minima, minimum, outcome = _minima(found, still_moves(values) <= tol)
        heights = objective.value(np.stack(minima)) if minima else np.zeros(1)
        steps = steps_to_stay(values - heights[minimum][:, None], tol)
        steps[minimum < 0] = np.inf
        shape = points.shape[:-1]
        title = f"{objective.name}: {found.table['optimizer'][0]}"
        minimum, steps, outcome = (each.reshape(shape) for each in (minimum, steps, outcome))
        return cls(objective, tuple(sides), minima, minimum, steps, outcome, title).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the basins, paler where it took longer.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        function, (lower, upper) = self.objective, (self.objective.lower, self.objective.upper)
        if function.n_dims == 1:
            draw_graph(ax, function, lower[0], upper[0], 300)
            ax.set(xlabel="x", ylabel="f(x)")
            heights = ax.get_ylim()
        else:
            ax.set(xlabel="x₁", ylabel="x₂")
            heights = (lower[1], upper[1])
        image = np.atleast_3d(self._colours()).reshape(-1, len(self.starts[0]), 3)
        # The middle of a pixel is its starting point.
        half = [0.5 * (side[1] - side[0]) if len(side) > 1 else 0.5 for side in self.starts]
        extent = [self.starts[0][0] - half[0], self.starts[0][-1] + half[0], *heights]
        if function.n_dims == 2:
            extent[2:] = [self.starts[1][0] - half[1], self.starts[1][-1] + half[1]]
        self.image_ = ax.imshow(image, extent=extent, origin="lower", aspect="auto", zorder=0)
        handles = self._handles()
        if function.n_dims == 2:
            for k in range(len(self.minima)):
                here = self.minimum == k
                if here.any() and not here.all():
                    ax.contour(*self.starts, here, [0.5], colors="0.2", linewidths=0.4)
        draw_minima(ax, function, lower, upper)
        ax.set_xlim(lower[0], upper[0])
        ax.set_ylim(*heights)
        ax.set_title(self.title)
        self.legend_ = legend_beside(ax, handles=handles, handlelength=1.6)
        return self

    def _colours(self) -> np.ndarray:
        """Red, green and blue of each starting point, ``(..., 3)``."""
        colours = np.zeros((*self.minimum.shape, 3))
        for place, k in enumerate(self._order):
            colours[self.minimum == k] = rgb(REGIONS[place % len(REGIONS)])
        for outcome, (colour, _) in NOWHERE.items():
            colours[self.outcome == outcome] = rgb(colour)
        reached = self.minimum >= 0
        if reached.any():
            steps = np.log1p(self.steps)
            finite = steps[reached & np.isfinite(steps)]
            # A few that start at a minimum, or barely arrive, do not set the scale.
            low, high = np.quantile(finite, [0.02, 0.98]) if finite.size else (0.0, 1.0)
            share = np.clip((steps - low) / max(high - low, 1e-9), 0.0, 1.0)
            white = (PALEST * share)[reached][:, None]
            colours[reached] = (1 - white) * colours[reached] + white
        return colours

    def _handles(self) -> list[Any]:
        """What the legend shows; draws the hatchings."""
        from matplotlib.patches import Patch

        handles = []
        for colour, k in zip(REGIONS, self._order, strict=False):
            if self.shares[k] > 0:
                point = ", ".join(f"{x:.3g}" for x in self.minima[k] + 0.0)
                handles.append(Patch(color=colour, label=f"({point}): {self.shares[k]:.1%}"))
        rest = self.shares[self._order[len(REGIONS) :]]
        if (rest > 0).any():
            label = f"{np.sum(rest > 0)} more minima: {rest.sum():.1%}"
            handles.append(Patch(facecolor="none", edgecolor="0.5", label=label))
        for outcome, (colour, hatch) in NOWHERE.items():
            here = self.outcome == outcome
            if not here.any():
                continue
            look: dict[str, Any] = {"facecolor": colour, "edgecolor": "0.45", "hatch": hatch}
            handles.append(Patch(label=f"{outcome}: {here.mean():.1%}", linewidth=0, **look))
            if hatch is not None and here.ndim == 2:
                self.ax_.contourf(
                    *self.starts, here, [0.5, 1.5], colors="none", hatches=[hatch], zorder=1
                )
        return handles


def _minima(
    found: Comparison, rests: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return the minima, the number of that which each run ended at, or -1, and the outcomes."""
    objective, table = found.objective, found.table
    if objective.minima:
        minimum = table["minimum"]
        outcome = np.where(minimum >= 0, "reached", table["outcome"])
        return [each.point for each in objective.minima], minimum, outcome
    diverged = table["outcome"] == "diverged"
    outcome = np.select([diverged, rests], ["diverged", "stalled"], "moving")
    together = TOGETHER * np.linalg.norm(objective.upper - objective.lower)
    minima: list[np.ndarray] = []
    numbers = np.full(len(found), -1)
    # The lowest first, so that a minimum is where a run has come nearest to it.
    for run in np.argsort(table["final_value"]):
        if outcome[run] != "stalled" or np.isneginf(objective.minimum):
            continue
        near = [np.linalg.norm(found.ends[run] - point) <= together for point in minima]
        if not any(near):
            minima.append(found.ends[run])
            near.append(True)
        numbers[run] = near.index(True)
    return minima, numbers, np.where(numbers >= 0, "reached", outcome)
