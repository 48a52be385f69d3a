"""Slices through the loss of a fitted model, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skopt_dl.displays._axes import axes

if TYPE_CHECKING:
    from skopt_dl.lab import Landscape

# Losses on a plane that span more than so many times the smallest are drawn on a logarithmic scale.
WIDE = 10.0
N_LEVELS = 24


class LandscapeDisplay:
    """The loss on a line or a plane through the weights of a model.

    Parameters
    ----------
    landscape : Landscape or Line
        Of `skopt_dl.lab.landscape` or `skopt_dl.lab.between`.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
    contours_ : matplotlib QuadContourSet
        In two dimensions.
    line_ : matplotlib Line2D
        In one dimension.
    path_ : matplotlib Line2D or None
        The path of training, where there is one.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl.displays import LandscapeDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(5, optimizer="lbfgs", random_state=0).fit(X, y)
    >>> display = LandscapeDisplay.from_estimator(model, X, y, resolution=11, random_state=0)
    >>> display.ax_.get_xlabel()
    'random direction 1'
    >>> plt.show()
    """

    def __init__(self, landscape: Landscape):
        self.landscape = landscape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Look around a fitted model, and draw what is seen.

        Parameters
        ----------
        estimator, X, y, sample_weight, **options
            As for `skopt_dl.lab.landscape`.
        ax : matplotlib Axes, default=None
        """
        from skopt_dl.lab import landscape

        return cls(landscape(estimator, X, y, sample_weight, **options)).plot(ax)

    def plot(self, ax: Any = None, *, levels: Any = None, **kwargs: Any) -> Self:
        """Draw a curve, or contours, with the model, and the path of training on top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        levels : int or array-like, default=None
            Contours; None means 24, on a logarithmic scale where losses are positive and the
            largest is more than ten times the smallest.
        **kwargs
            Passed to ``ax.contourf`` or ``ax.plot``.
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        self.path_ = None
        if len(self.landscape.coordinates) == 1:
            self._curve(ax, kwargs)
        else:
            self._contours(ax, levels, kwargs)
        return self

    def _curve(self, ax: Any, kwargs: dict[str, Any]) -> None:
        seen = self.landscape
        (along,) = seen.coordinates
        finite = np.where(np.isfinite(seen.losses), seen.losses, np.nan)
        style = {"color": "#0072b2", "label": "on the line", **kwargs}
        (self.line_,) = ax.plot(along, finite, **style)
        if hasattr(seen, "barrier"):
            self._barrier(ax, seen)
        else:
            if seen.path is not None:
                (self.path_,) = ax.plot(
                    seen.path[:, 0],
                    seen.path_losses,
                    ".-",
                    color="#d55e00",
                    linewidth=1,
                    markersize=4,
                    label="training",
                )
            ax.plot(0, seen.loss, "o", color="black", label="model", zorder=3)
        if _is_wide(seen.losses):
            ax.set_yscale("log")
            _use_round_numbers(ax.yaxis)
        ax.set(xlabel=seen.labels[0], ylabel="Loss")
        ax.legend()

    @staticmethod
    def _barrier(ax: Any, line: Any) -> None:
        """Mark the two models of a line, and how high the loss is between them."""
        ends, share = line.end_losses, line.barrier_at
        ax.plot([0, 1], ends, "o", color="black", label="models", zorder=3)
        if not line.barrier:
            return
        foot = (1 - share) * ends[0] + share * ends[1]
        # On a logarithmic scale the straight line between the models bends.
        t = np.linspace(0, 1, 101)
        ax.plot(t, (1 - t) * ends[0] + t * ends[1], ":", color="black")
        ax.annotate(
            "",
            (share, foot + line.barrier),
            (share, foot),
            arrowprops={"arrowstyle": "<->", "shrinkA": 0, "shrinkB": 0},
        )
        ax.plot([], [], " ", label=f"barrier {line.barrier:.3g}")

    def _contours(self, ax: Any, levels: Any, kwargs: dict[str, Any]) -> None:
        seen = self.landscape
        # Contours have rows along the second axis of the figure.
        losses = np.ma.masked_invalid(seen.losses.T.astype(np.float64))
        norm = None
        if levels is None:
            levels = N_LEVELS
            if _is_wide(seen.losses):
                from matplotlib.colors import LogNorm

                low, high = float(losses.min()), float(losses.max())
                levels, norm = np.geomspace(low, high, N_LEVELS), LogNorm(low, high)
        first, second = seen.coordinates
        self.contours_ = ax.contourf(
            first, second, losses, **{"levels": levels, "norm": norm, "cmap": "viridis", **kwargs}
        )
        ax.contour(
            first,
            second,
            losses,
            levels=self.contours_.levels,
            colors="white",
            linewidths=0.4,
            alpha=0.6,
        )
        bar = self.figure_.colorbar(self.contours_, ax=ax, label="Loss")
        if norm is not None:
            _use_round_numbers(bar.ax.yaxis)
        if seen.path is not None:
            (self.path_,) = ax.plot(
                *seen.path.T,
                ".-",
                color="white",
                linewidth=1.2,
                markersize=5,
                markeredgecolor="black",
                markeredgewidth=0.4,
                label="training",
            )
        ax.plot(
            0,
            0,
            "*",
            color="#d55e00",
            markeredgecolor="white",
            markersize=13,
            label="model",
            linestyle="none",
            zorder=3,
        )
        ax.set(xlabel=seen.labels[0], ylabel=seen.labels[1])
        ax.legend(facecolor="0.55", labelcolor="white", framealpha=0.9)


def _is_wide(losses: np.ndarray) -> bool:
    """Whether a logarithmic scale shows more."""
    finite = losses[np.isfinite(losses)]
    return bool(finite.size and finite.min() > 0 and finite.max() > WIDE * finite.min())


def _use_round_numbers(axis: Any) -> None:
    """Label a logarithmic axis 0.1, 0.2, 0.5, 1 and so on."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
