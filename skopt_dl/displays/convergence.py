"""How fast the gap to the minimum closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from skopt_dl.displays._axes import axes
from skopt_dl.displays._checks import check_comparison
from skopt_dl.displays._runs import BEST, groups, lasting_values, still_moves
from skopt_dl.displays._style import Style, legend_beside, styles

if TYPE_CHECKING:
    from skopt_dl.lab import Comparison

# Gaps are drawn up to this multiple of the largest one at the start.
CEILING = 10.0
# Down to this share of the tolerance: what lies below has arrived long since.
BELOW = 1e-2
N_MARKERS = 8


class Curve(NamedTuple):
    """Gaps of the runs of one optimizer at one learning rate.

    Parameters
    ----------
    label, optimizer : str
    learning_rate : float
        NaN where there is none.
    median : ndarray of shape (T + 1,)
        Of all runs; infinite where half of them have diverged.
    lowest, highest : ndarray of shape (T + 1,)
        Of the runs that do not diverge; infinite if all do.
    """

    label: str
    optimizer: str
    learning_rate: float
    median: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray


class ConvergenceDisplay:
    """Gap to the smallest value after each step, median and range over starts and seeds.

    Parameters
    ----------
    curves : list of Curve
    tol : float
        The gap at which a run has arrived.
    gap_name : str, default="f(x) − f*"
        What the gap is, for the axis.
    known_to : float, default=0.0
        Smaller gaps are not drawn: where the smallest value is that of the best run, and this run
        may go lower still, they say nothing.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The medians.
    ranges_ : list of matplotlib LineCollection
        From the lowest to the highest, for curves whose runs differ.
    ax_, figure_, legend_ : matplotlib Axes, Figure, Legend

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skopt_dl import lab
    >>> from skopt_dl.displays import ConvergenceDisplay
    >>> from skopt_dl.objectives import Quadratic
    >>> found = lab.compare(
    ...     Quadratic.of_condition(10, 2, seed=0), ["sgd", "momentum"], learning_rates=[0.01, 0.1],
    ...     starts=5, n_steps=100,
    ... )
    >>> display = ConvergenceDisplay.from_comparison(found)
    >>> [line.get_label() for line in display.lines_]
    ['sgd, 0.1', 'momentum, 0.1']
    >>> plt.show()
    """

    def __init__(
        self,
        curves: list[Curve],
        tol: float,
        gap_name: str = "f(x) − f*",
        known_to: float = 0.0,
    ):
        self.curves = curves
        self.tol = tol
        self.gap_name = gap_name
        self.known_to = known_to

    @classmethod
    def from_comparison(
        cls,
        comparison: Comparison,
        *,
        learning_rates: str = BEST,
        ax: Any = None,
        **line_kw: Any,
    ) -> Self:
        """Show the runs of `skopt_dl.lab.compare`.

        Parameters
        ----------
        comparison : Comparison
        learning_rates : {"best", "all"}, default="best"
            One curve an optimizer, at the rate with which most of its runs reach the tolerance and
            soonest; or one for each of its rates, the larger the darker.
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.

        Raises
        ------
        TypeError
            If `comparison` is not what `lab.compare` returns.
        ValueError
            If the function has no smallest value, so that there is no gap to it.
        """
        check_comparison(comparison, "ConvergenceDisplay")
        minimum, gap_name, known_to = comparison.objective.minimum, "f(x) − f*", 0.0
        if np.isneginf(minimum):
            raise ValueError(
                f"{comparison.objective.name} has no smallest value, so there is no gap to it. "
                "TrajectoryDisplay shows where the runs went."
            )
        values = lasting_values(comparison)
        if np.isnan(minimum):
            minimum, gap_name = values.min(), "f(x) − smallest value seen"
            known_to = float(still_moves(values)[values.min(axis=1).argmin()])
        # Rounding may lead below the minimum, and a logarithm has no zero.
        gaps = np.maximum(values - minimum, np.finfo(float).eps * max(1.0, abs(minimum)))
        curves = []
        for group in groups(comparison, learning_rates):
            of_runs = gaps[group.rows]
            diverged = comparison.table["outcome"][group.rows] == "diverged"
            label = group.label
            if 0 < diverged.sum() < len(diverged):
                label += f" ({diverged.sum()} of {len(diverged)} diverged)"
            others = of_runs[~diverged] if not diverged.all() else np.full_like(of_runs, np.inf)
            with np.errstate(invalid="ignore"):
                median = np.median(of_runs, axis=0)
            ends = others.min(axis=0), others.max(axis=0)
            curves.append(Curve(label, group.optimizer, group.learning_rate, median, *ends))
        return cls(curves, comparison.tol, gap_name, known_to).plot(ax, **line_kw)

    def plot(self, ax: Any = None, **line_kw: Any) -> Self:
        """Draw the curves, and bars from the lowest run to the highest that does not diverge.

        A large marker is where the median reaches the tolerance, a cross where it diverges.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        self.lines_, self.ranges_ = [], []
        ceiling = CEILING * max(curve.median[0] for curve in self.curves)
        for number, (curve, look) in enumerate(zip(self.curves, self._looks(), strict=True)):
            steps = np.arange(len(curve.median))
            every = max(1, len(steps) // N_MARKERS)
            # Markers of neighbours stand side by side.
            marked = slice(number * every // len(self.curves), None, every)
            style = {
                **look._asdict(),
                "label": curve.label,
                "markevery": (marked.start, every),
                "markersize": 5,
                "linewidth": 1.6,
            }
            seen = (curve.median <= ceiling) & (curve.median >= self.known_to)
            drawn = np.where(seen, curve.median, np.nan)
            self.lines_ += ax.plot(steps, drawn, **{**style, **line_kw})
            if not (curve.lowest == curve.highest).all():
                lowest = np.maximum(curve.lowest, self.known_to)
                bars = (each[marked] for each in (steps, lowest, np.maximum(curve.highest, lowest)))
                self.ranges_.append(ax.vlines(*bars, color=look.color, linewidth=0.9, alpha=0.7))
            self._mark_end(curve, look, ceiling)
        ax.axhline(self.tol, color="0.5", linestyle=(0, (1, 2)), linewidth=1)
        ax.annotate(
            "tolerance",
            (1, self.tol),
            (-3, 2),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            fontsize="small",
            color="0.3",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
        ax.set(xlabel="Step", ylabel=self.gap_name, yscale="log")
        ax.set_ylim(max(ax.get_ylim()[0], BELOW * self.tol), min(ax.get_ylim()[1], 2 * ceiling))
        if self.known_to > self.tol:
            ax.axhspan(ax.get_ylim()[0], self.known_to, color="0.93", zorder=0)
            ax.annotate(
                "not known: the best run still moves",
                (0, self.known_to),
                (4, -4),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="top",
                fontsize="small",
                color="0.3",
            )
        ax.margins(x=0.01)
        ax.grid(alpha=0.25, linewidth=0.6)
        self.legend_ = legend_beside(ax)
        return self

    def _mark_end(self, curve: Curve, look: Style, ceiling: float) -> None:
        """Enlarge the marker where a curve arrives at the tolerance; a cross where it diverges."""
        place = {"linestyle": "none", "zorder": 4}
        gone = curve.median > ceiling
        arrived = (curve.median <= self.tol) & (self.known_to <= self.tol)
        if gone.any():
            last = max(int(gone.argmax()) - 1, 0)
            cross = {"marker": "x", "color": look.color, "markersize": 9, "markeredgewidth": 2}
            self.ax_.plot(last, curve.median[last], **cross, **place)
        if arrived.any():
            sign = {"marker": look.marker, "color": look.color, "markeredgecolor": "white"}
            self.ax_.plot(int(arrived.argmax()), self.tol, **sign, markersize=9, **place)

    def _looks(self) -> list[Style]:
        """The style of each curve: the smaller of an optimizer's rates are lighter."""
        of_optimizer = styles(curve.optimizer for curve in self.curves)
        looks = []
        for curve in self.curves:
            rates = sorted(c.learning_rate for c in self.curves if c.optimizer == curve.optimizer)
            place = rates.index(curve.learning_rate) if curve.learning_rate in rates else 0
            lightness = 0.65 * (len(rates) - 1 - place) / max(len(rates) - 1, 1)
            looks.append(of_optimizer[curve.optimizer].lighter(lightness))
        return looks
