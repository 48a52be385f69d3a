"""How many problems each optimizer solves, and how much more slowly than the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skopt_dl.displays._axes import axes
from skopt_dl.displays._checks import check_comparison
from skopt_dl.displays._runs import BEST, groups
from skopt_dl.displays._style import legend_beside, styles

if TYPE_CHECKING:
    from skopt_dl.lab import Comparison


class PerformanceProfileDisplay:
    """Performance profile: the share of problems solved within a factor of the best.

    At a factor of 1, the height of a curve is the share of problems on which its solver is the
    fastest; far to the right, the share that it solves at all (Dolan & Moré, 2002,
    arXiv:cs/0102001).

    Parameters
    ----------
    steps : dict of str to ndarray of shape (n_problems,)
        Of each solver, to solve each problem; infinite where it does not.

    Attributes
    ----------
    ratios : dict of str to ndarray of shape (n_problems,)
        Steps over the fewest that any solver needs; infinite where it does not solve the problem.
    lines_ : list of matplotlib Line2D
    ax_, figure_, legend_ : matplotlib Axes, Figure, Legend

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skopt_dl import lab
    >>> from skopt_dl.displays import PerformanceProfileDisplay
    >>> from skopt_dl.objectives import Booth, Himmelblau
    >>> found = [
    ...     lab.compare(function, ["sgd", "momentum"], learning_rates=[0.001, 0.01], starts=5,
    ...                 n_steps=300)
    ...     for function in (Booth(), Himmelblau())
    ... ]
    >>> display = PerformanceProfileDisplay.from_comparison(found)
    >>> display.share("momentum", 2.0) > display.share("momentum", 1.0)
    True
    >>> plt.show()
    """

    def __init__(self, steps: dict[str, np.ndarray]):
        self.steps = steps
        # What starts at the minimum is solved in no step; the ratio of none to none is 1.
        times = np.maximum(np.stack(list(steps.values())), 1.0)
        fewest = times.min(axis=0)
        with np.errstate(invalid="ignore"):
            ratios = np.where(np.isfinite(times), times / fewest, np.inf)
        self.ratios = dict(zip(steps, ratios, strict=True))

    @classmethod
    def from_comparison(
        cls,
        comparison: Comparison | Sequence[Comparison],
        *,
        learning_rates: str = BEST,
        ax: Any = None,
        **line_kw: Any,
    ) -> Self:
        """Show runs of `skopt_dl.lab.compare`.

        Parameters
        ----------
        comparison : Comparison, or sequence of them
            Of the same optimizers on several functions. Every start and seed of each is a problem.
        learning_rates : {"best", "all"}, default="best"
            On each function, every optimizer has the learning rate that suits it there; or each
            optimizer with each of its rates is a solver of its own.
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.

        Raises
        ------
        TypeError
            If `comparison` is not what `lab.compare` returns.
        ValueError
            If comparisons do not have the same solvers, or solvers not the same problems, or a
            function has no smallest value.
        """
        found: list[Any] = [comparison]
        if isinstance(comparison, Sequence) and not isinstance(comparison, str):
            found = list(comparison)
        for each in found:
            check_comparison(each, "PerformanceProfileDisplay")
            if np.isneginf(each.objective.minimum):
                raise ValueError(
                    f"{each.objective.name} has no smallest value, so no run solves it. Leave it "
                    "out; TrajectoryDisplay shows where the runs went."
                )
        if not found:
            raise ValueError("comparison is empty; pass at least one result of lab.compare.")
        steps: dict[str, list[np.ndarray]] = {}
        for each in found:
            solvers: dict[str, np.ndarray] = {}
            for group in groups(each, learning_rates):
                label = group.optimizer if learning_rates == BEST else group.label
                if label in solvers:
                    raise ValueError(
                        f"{label} on {each.objective.name} has runs with several batch sizes; a "
                        "profile needs one. Compare each batch size by itself."
                    )
                steps_needed = each.table["steps_to_tolerance"][group.rows]
                if np.isnan(each.objective.minimum):
                    # The gap is to the best run, which has always arrived where it ends.
                    reached = each.table["outcome"][group.rows] == "reached"
                    steps_needed = np.where(reached, steps_needed, np.inf)
                solvers[label] = steps_needed
            if steps and set(solvers) != set(steps):
                odd = sorted(set(solvers) ^ set(steps))[0]
                raise ValueError(
                    f"{odd!r} is not in all comparisons; every solver has to try every problem."
                )
            for label, of_problems in solvers.items():
                steps.setdefault(label, []).append(of_problems)
        return cls({label: np.concatenate(parts) for label, parts in steps.items()}).plot(
            ax, **line_kw
        )

    def share(self, solver: str, factor: float) -> float:
        """The share of problems that a solver solves within a factor of the fewest steps."""
        return float(np.mean(self.ratios[solver] <= factor))

    def plot(self, ax: Any = None, **line_kw: Any) -> Self:
        """Draw a step curve for each solver, those that solve most first in the legend.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        looks = styles(self.ratios)
        finite = np.concatenate([each[np.isfinite(each)] for each in self.ratios.values()])
        largest = max(finite.max(initial=1.0) * 1.1, 2.0)
        solved = {solver: self.share(solver, largest) for solver in self.ratios}
        order = sorted(self.ratios, key=lambda solver: (-solved[solver], -self.share(solver, 1.0)))
        self.lines_ = []
        for number, solver in enumerate(order):
            ratios = np.sort(self.ratios[solver][np.isfinite(self.ratios[solver])])
            n_problems = len(self.ratios[solver])
            factors = np.concatenate([[1.0], ratios, [largest]])
            shares = np.concatenate([[0.0], np.arange(1, len(ratios) + 1), [len(ratios)]])
            # Markers stand at places of their own, so that curves that meet can be told apart.
            every = max(1, len(factors) // 6)
            style = {
                **looks[solver]._asdict(),
                "label": f"{solver}: {solved[solver]:.0%}",
                "drawstyle": "steps-post",
                "markevery": (number % every, every),
                "markersize": 5,
                "linewidth": 1.6,
            }
            self.lines_ += ax.plot(factors, shares / n_problems, **{**style, **line_kw})
        ax.set(
            xscale="log",
            xlabel="Factor of the fewest steps",
            ylabel="Share of problems solved",
            xlim=(1.0, largest),
            ylim=(-0.02, 1.02),
        )
        ax.grid(alpha=0.25, linewidth=0.6)
        self.legend_ = legend_beside(ax, title="solved at all", title_fontsize="small")
        return self
