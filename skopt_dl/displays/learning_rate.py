"""What each learning rate does to the loss."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from skopt_dl.displays._axes import axes

# Shares of the largest fall of the loss, on a logarithmic scale: of the smallest rate that is
# called stable, of the largest one, and of the one that is suggested. Too small a rate can be made
# up for by more steps, a loss that bounces at too large a one cannot.
NOTICEABLE, MOST, NEARLY_ALL = 0.1, 2 / 3, 0.9
# A fall of the loss, in its logarithm, below which nothing has moved.
STILL = 1e-3
# Losses below this share of the initial one count as this: what is zero has not fallen endlessly.
SMALLEST = 1e-3
# The loss may rise above where it started by this share, for an epoch, in a stable training.
TOLERANCE = 0.1


class LearningRateRangeDisplay:
    """Loss after a short training at each of many learning rates.

    Made by `skopt_dl.learning_rate_range`.

    Parameters
    ----------
    learning_rates : ndarray of shape (n_rates,)
        In rising order.
    losses : ndarray of shape (n_rates, n_epochs)
        Training loss of each epoch; NaN from the epoch on in which a training diverged.
    initial_loss : float
        Loss without training.

    Attributes
    ----------
    final_losses : ndarray of shape (n_rates,)
    stable_range : tuple of float or None
        The smallest rate with which training gets somewhere, and the largest with which it stays
        stable: the loss neither rises nor bounces far above the best rate's. None where no rate
        trains; ``repr`` then says which are too small and which too large.
    suggestion : float or None
        The smallest rate with which the logarithm of the loss falls by nearly (90 %) as much as
        with the best: a longer training gains less from larger ones than it risks.
    ax_, figure_, line_ : matplotlib Axes, Figure, Line2D
    """

    def __init__(self, learning_rates: np.ndarray, losses: np.ndarray, initial_loss: float):
        self.learning_rates = learning_rates
        self.losses = losses
        self.initial_loss = initial_loss
        self.final_losses = losses[:, -1]
        self.stable_range: tuple[float, float] | None = None
        self.suggestion: float | None = None
        with np.errstate(invalid="ignore"):
            highest = initial_loss + TOLERANCE * abs(initial_loss)
            stable = np.isfinite(losses).all(axis=1) & (losses <= highest).all(axis=1)
        floor = SMALLEST * abs(initial_loss) or SMALLEST
        ends = np.maximum(np.where(stable, self.final_losses, np.inf), floor)
        falls = np.log(max(initial_loss, floor)) - np.log(ends)
        self._stable = stable
        best = int(falls.argmax())
        if not falls[best] > STILL:
            return
        share = falls / falls[best]
        # The rates from the best one on that train about as well.
        beyond = np.flatnonzero(~(share[best:] >= MOST))
        last = best + beyond[0] - 1 if beyond.size else len(learning_rates) - 1
        self.stable_range = (
            float(learning_rates[np.argmax(share >= NOTICEABLE)]),
            float(learning_rates[last]),
        )
        self.suggestion = float(learning_rates[np.argmax(share >= NEARLY_ALL)])

    def _why_none(self) -> str:
        """What is wrong with the rates, where none trains."""
        rates, stable = self.learning_rates, self._stable
        if not stable.any():
            return f"no stable learning rate from {rates[0]:.2g} to {rates[-1]:.2g}"
        still = rates[stable]
        what = f"rates from {still[0]:.2g} to {still[-1]:.2g} are too small, the loss hardly moves"
        if stable[-1]:
            return f"{what}; try larger ones"
        return f"{what}; from {rates[~stable][0]:.2g} on it rises; try rates between"

    def __repr__(self) -> str:
        if self.stable_range is None:
            return f"LearningRateRangeDisplay({self._why_none()})"
        low, high = self.stable_range
        most = "at least " if high == self.learning_rates[-1] else ""
        return (
            f"LearningRateRangeDisplay(stable from {low:.2g} to {most}{high:.2g}, "
            f"suggestion {self.suggestion:.2g})"
        )

    def plot(self, ax: Any = None, **line_kw: Any) -> Self:
        """Draw the loss against the learning rate.

        The stable region is shaded, diverged trainings are crosses at the top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot``.
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        rates, final = self.learning_rates, self.final_losses
        ceiling = self.initial_loss + 0.5 * abs(self.initial_loss)
        with np.errstate(invalid="ignore"):
            shown = final <= ceiling
        # Gaps where trainings diverged.
        visible = np.where(shown, final, np.nan)
        (self.line_,) = ax.plot(
            rates, visible, **{"marker": ".", "label": "after training", **line_kw}
        )
        ax.axhline(self.initial_loss, color="gray", linestyle=":", label="before training")
        if not shown.all():
            n = int((~shown).sum())
            ax.plot(
                rates[~shown], np.full(n, ceiling), "x", color="tab:red", label="diverged or worse"
            )
        if self.stable_range is not None:
            ax.axvspan(*self.stable_range, color="tab:green", alpha=0.12, label="stable")
            ax.axvline(
                self.suggestion, color="tab:green", label=f"suggestion {self.suggestion:.2g}"
            )
        if (final[shown] > 0).all():
            ax.set_yscale("log")
        ax.set(xscale="log", xlabel="Learning rate", ylabel="Training loss")
        ax.legend()
        return self
