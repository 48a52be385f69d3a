"""The ways that runs took over a function of one or two variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from skopt_dl.displays._axes import axes
from skopt_dl.displays._checks import check_comparison
from skopt_dl.displays._contours import draw_contours, draw_graph, draw_minima, grid
from skopt_dl.displays._runs import groups
from skopt_dl.displays._style import Style, legend_beside, styles

if TYPE_CHECKING:
    from skopt_dl.lab import Comparison

# Markers along a path are this far apart, as a share of the figure's diagonal.
BETWEEN_MARKERS = 0.07
# Below a graph, each path has a lane of this height, as a share of the graph's.
LANE = 0.05


class Path(NamedTuple):
    """The points of one run, ``(n_steps + 1, P)``, the start first."""

    label: str
    optimizer: str
    points: np.ndarray


class TrajectoryDisplay:
    """Paths of runs, on contours of a function of two variables, or on the graph of one of one.

    Contours are evenly spaced in the logarithm of the gap to the minimum.

    Parameters
    ----------
    objective : Function
        Of one or two variables.
    paths : list of Path
    bounds : pair of array-like of shape (P,), default=None
        The lower and upper ends of what is shown; None means the domain.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One for each path.
    ax_, figure_, legend_ : matplotlib Axes, Figure, Legend

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skopt_dl import lab
    >>> from skopt_dl.displays import TrajectoryDisplay
    >>> from skopt_dl.objectives import Rosenbrock
    >>> found = lab.compare(Rosenbrock(), {"adam": "adam", "momentum": "momentum"},
    ...     learning_rates={"adam": [0.1], "momentum": [0.001]}, n_steps=500, record=True)
    >>> display = TrajectoryDisplay.from_comparison(found)
    >>> [line.get_label() for line in display.lines_]
    ['adam', 'momentum']
    >>> plt.show()
    """

    def __init__(self, objective: Any, paths: list[Path], bounds: tuple[Any, Any] | None = None):
        if objective.n_dims > 2:
            raise ValueError(
                "TrajectoryDisplay shows functions of one or two variables; "
                f"{objective.name} has {objective.n_dims}. ConvergenceDisplay shows any."
            )
        self.objective = objective
        self.paths = paths
        ends = (objective.lower, objective.upper) if bounds is None else bounds
        self.lower, self.upper = (
            np.broadcast_to(end, objective.n_dims).astype(float) for end in ends
        )
        if not (self.lower < self.upper).all():
            raise ValueError(
                "bounds must be the lower and the upper ends of what is shown, and each lower one "
                f"the smaller; got {self.lower.tolist()} and {self.upper.tolist()}."
            )
        if not paths:
            raise ValueError("paths is empty; TrajectoryDisplay needs at least one run to show.")

    @classmethod
    def from_comparison(
        cls,
        comparison: Comparison,
        runs: Sequence[int] | None = None,
        *,
        bounds: tuple[Any, Any] | None = None,
        ax: Any = None,
        **line_kw: Any,
    ) -> Self:
        """Show runs of `skopt_dl.lab.compare`, made with ``record=True``.

        Parameters
        ----------
        comparison : Comparison
        runs : sequence of int, default=None
            Rows of its table; None means the first run of each optimizer, at the learning rate
            with which most of its runs reach the tolerance and soonest.
        bounds : pair of float or array-like of shape (P,), default=None
            The lower and upper ends of what is shown; None means the domain.
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.

        Raises
        ------
        TypeError
            If `comparison` is not what `lab.compare` returns.
        ValueError
            If the comparison has no paths, or no such runs, or the function more than two
            variables.
        """
        check_comparison(comparison, "TrajectoryDisplay")
        if comparison.paths is None:
            raise ValueError(
                "TrajectoryDisplay needs the points of every step, which this comparison does not "
                "have. Make it with lab.compare(..., record=True)."
            )
        best = groups(comparison)
        names = comparison.table["optimizer"]
        labels = {
            int(row): group.label for group in groups(comparison, "all") for row in group.rows
        }
        chosen = [int(group.rows[0]) for group in best] if runs is None else _rows(runs, len(names))
        paths = []
        for run in chosen:
            points = comparison.paths[run]
            points = points[np.isfinite(points).all(axis=1)]
            paths.append(Path(labels[run], str(names[run]), points))
        return cls(comparison.objective, paths, bounds).plot(ax, **line_kw)

    def plot(self, ax: Any = None, *, resolution: int = 300, **line_kw: Any) -> Self:
        """Draw the function and the paths.

        Starts are white circles, ends are the optimizer's marker, enlarged; global minima are
        black stars and other minima white ones. What leaves the bounds is cut off. On a graph of
        one variable are the starts and ends; paths have a lane each below it, where only x counts.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        resolution : int, default=300
            Points of the function for each variable.
        **line_kw
            Passed to ``ax.plot``.
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        function, lower, upper = self.objective, self.lower, self.upper
        if function.n_dims == 2:
            draw_contours(ax, *grid(function, lower, upper, resolution), function.minimum)
            ax.set(xlabel="x₁", ylabel="x₂")
        else:
            draw_graph(ax, function, lower[0], upper[0], resolution)
            ax.set(xlabel="x (below the line: the x of each step)", ylabel="f(x)")
        heights = ax.get_ylim()
        lane = LANE * (heights[1] - heights[0])
        looks = styles(path.optimizer for path in self.paths)
        self.lines_ = []
        labelled = set()
        for number, path in enumerate(self.paths):
            look = looks[path.optimizer]
            at = path.points.T
            if function.n_dims == 1:
                self._mark_on_graph(path, look)
                at = np.stack([at[0], np.full(at.shape[1], heights[0] - (number + 1) * lane)])
            style = {
                **look._asdict(),
                "label": path.label if path.label not in labelled else f"_{path.label}",
                "markevery": BETWEEN_MARKERS,
                "markersize": 4,
                "linewidth": 1.5,
                "zorder": 3,
            }
            labelled.add(path.label)
            ax.plot(*at, color="white", linewidth=3, alpha=0.7, zorder=2.9)
            self.lines_ += ax.plot(*at, **{**style, **line_kw})
            ax.plot(*at[:, :1], "o", color="white", markeredgecolor="black", markersize=7, zorder=5)
            end = {"color": look.color, "marker": look.marker, "markeredgecolor": "white"}
            ax.plot(*at[:, -1:], **end, markersize=9, linestyle="none", zorder=6)
        draw_minima(ax, function, lower, upper)
        ax.set_xlim(lower[0], upper[0])
        if function.n_dims == 2:
            ax.set_ylim(lower[1], upper[1])
        else:
            ax.axhline(heights[0], color="black", linewidth=0.8)
            # Below the graph, heights mean nothing.
            ticks = ax.get_yticks()
            ax.set_yticks(ticks[(ticks >= heights[0]) & (ticks <= heights[1])])
            ax.set_ylim(heights[0] - (len(self.paths) + 1) * lane, heights[1])
        ax.set_title(function.name)
        self.legend_ = legend_beside(ax)
        return self

    def _mark_on_graph(self, path: Path, look: Style) -> None:
        """Mark where a run begins and ends on the graph of one variable."""
        ends = path.points[[0, -1]]
        (x0, x1), (y0, y1) = ends[:, 0], self.objective.value(ends)
        place: dict[str, Any] = {"linestyle": "none", "zorder": 4}
        self.ax_.plot(x0, y0, "o", color="white", markeredgecolor="black", markersize=6, **place)
        sign = {"marker": look.marker, "color": look.color, "markeredgecolor": "white"}
        self.ax_.plot(x1, y1, **sign, markersize=8, **place)


def _rows(runs: Any, n_runs: int) -> list[int]:
    """Return rows of a table of `n_runs`, if they are such."""
    several = isinstance(runs, Sequence | np.ndarray) and not isinstance(runs, str)
    if not several or not len(runs):
        raise ValueError(
            "runs must be a sequence of at least one row of the comparison's table, such as [0]; "
            f"got {runs!r}."
        )
    for run in runs:
        if not isinstance(run, int | np.integer) or not 0 <= run < n_runs:
            raise ValueError(
                f"runs must be rows of the comparison's table, from 0 to {n_runs - 1}; got {run!r}."
            )
    return [int(run) for run in runs]
