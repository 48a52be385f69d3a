"""The direction and the effective learning rate of each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skopt_dl.displays._axes import stacked_axes
from skopt_dl.displays._style import FREE, OF_OPTIMIZERS, legend_beside

if TYPE_CHECKING:
    from skopt_dl.lab import Comparison, Slots
    from skopt_dl.optimizers import Minimizer, Optimizer

MOST_WEIGHTS = 6
# Weights look unlike each other; which optimizer has the style elsewhere does not matter.
LOOKS = [OF_OPTIMIZERS[name] for name in ("momentum", "adam", "sgd", "nesterov", "rmsprop")] + FREE
# Of the largest absolute value: what is smaller is drawn on a linear scale, through zero.
LINEAR = 1e-3
N_MARKERS = 10


class SlotsDisplay:
    """The two slots of each step: its direction, and the rate that each weight has.

    A step is ``-rate * direction``, weight by weight. Above, the direction, with the gradient that
    it is made of as a thin line; below, the rate. An optimizer that is no direction over a scale
    shows its change over the gradient, and the figure says so.

    Parameters
    ----------
    slots : Slots
        As `skopt_dl.lab.slots_of_steps` returns it.
    weights : sequence of int, default=None
        Which to show; None means the first six.
    title : str, default=""

    Attributes
    ----------
    ax_ : ndarray of two matplotlib Axes
    figure_, legend_ : matplotlib Figure, Legend
    direction_lines_, rate_lines_, gradient_lines_ : list of matplotlib Line2D
        One a weight; no gradient's where it is the direction.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skopt_dl import lab
    >>> from skopt_dl.displays import SlotsDisplay
    >>> from skopt_dl.objectives import Rosenbrock
    >>> found = lab.compare(Rosenbrock(), ["adagrad", "adam"], n_steps=100, record=True)
    >>> display = SlotsDisplay.from_comparison(found, run=1)
    >>> display.slots.rate.shape, display.slots.follows_rule
    ((100, 2), True)
    >>> plt.show()
    """

    def __init__(self, slots: Slots, weights: Sequence[int] | None = None, title: str = ""):
        n_weights = slots.direction.shape[1]
        shown = range(min(n_weights, MOST_WEIGHTS)) if weights is None else weights
        for weight in shown:
            if not 0 <= weight < n_weights:
                raise ValueError(
                    f"weights must be numbers from 0 to {n_weights - 1}; got {weight!r}."
                )
        self.slots = slots
        self.weights = list(shown)
        self.title = title

    @classmethod
    def from_comparison(
        cls,
        comparison: Comparison,
        run: int = 0,
        *,
        weights: Sequence[int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Show one run of `skopt_dl.lab.compare`, made with ``record=True``.

        Parameters
        ----------
        comparison : Comparison
        run : int, default=0
            A row of its table.
        weights : sequence of int, default=None
            Which to show; None means the first six.
        ax : sequence of two matplotlib Axes, default=None
        """
        from skopt_dl.lab import slots_of_run

        slots = slots_of_run(comparison, run)
        rate = comparison.table["learning_rate"][run]
        title = str(comparison.table["optimizer"][run])
        title = f"{comparison.objective.name}: {title}" + ("" if np.isnan(rate) else f", {rate:g}")
        return cls(slots, weights, title).plot(ax)

    @classmethod
    def from_run(
        cls,
        optimizer: Optimizer | Minimizer,
        path: np.ndarray,
        gradients: np.ndarray,
        *,
        weights: Sequence[int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Show any run whose points and gradients were kept.

        Parameters
        ----------
        optimizer : Optimizer or Minimizer
        path : ndarray of shape (T + 1, P)
        gradients : ndarray of shape (T, P)
        weights : sequence of int, default=None
            Which to show; None means the first six.
        ax : sequence of two matplotlib Axes, default=None
        """
        from skopt_dl.lab import slots_of_steps

        return cls(slots_of_steps(optimizer, path, gradients), weights, repr(optimizer)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw direction and rate, one line a weight.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            For the direction, and for the rate.
        """
        self.ax_ = stacked_axes(ax, 2, "SlotsDisplay")
        above, below = self.ax_
        self.figure_ = above.figure
        slots = self.slots
        steps = np.arange(1, len(slots.direction) + 1)
        every = max(1, len(steps) // N_MARKERS)
        self.direction_lines_, self.rate_lines_, self.gradient_lines_ = [], [], []
        for number, weight in enumerate(self.weights):
            look = LOOKS[number % len(LOOKS)]
            place = (number * every // len(self.weights), every)
            style = {**look._asdict(), "markevery": place, "markersize": 4, "linewidth": 1.5}
            style["label"] = f"x{_subscript(weight + 1)}"
            self.direction_lines_ += above.plot(steps, slots.direction[:, weight], **style)
            self.rate_lines_ += below.plot(steps, slots.rate[:, weight], **style)
            if not np.array_equal(slots.direction, slots.gradient):
                thin = {"color": look.color, "linewidth": 0.6, "alpha": 0.6}
                self.gradient_lines_ += above.plot(steps, slots.gradient[:, weight], **thin)
        directions = np.abs(slots.direction[:, self.weights])
        above.set_yscale("symlog", linthresh=LINEAR * directions.max() or 1.0)
        rates = slots.rate[:, self.weights]
        rates = rates[np.isfinite(rates)]
        if rates.size and (rates > 0).all():
            # One rate for all steps would fill the axis with its rounding.
            below.set_ylim(min(rates.min() / 1.5, rates.max() / 10), rates.max() * 1.5)
            below.set_yscale("log")
        elif rates.size:
            below.set_yscale("symlog", linthresh=float(np.quantile(np.abs(rates), 0.5)) or 1.0)
        fits = slots.follows_rule
        above.set(title=self.title, ylabel="Direction" if fits else "Gradient")
        below.set(xlabel="Step", ylabel="Effective learning rate" if fits else "−change / gradient")
        if not fits:
            note = "not a direction over a scale: change compared with the gradient"
            below.set_title(note, fontsize="small", style="italic")
        for each in self.ax_:
            each.axhline(0, color="0.7", linewidth=0.6, zorder=0)
            each.grid(alpha=0.25, linewidth=0.6)
        handles = [*self.direction_lines_, *self.gradient_lines_[:1]]
        names = [*(line.get_label() for line in self.direction_lines_), "gradient"]
        self.legend_ = legend_beside(above, handles=handles, labels=names[: len(handles)])
        return self


def _subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
