"""A function, and the chord that shows that it is not convex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skopt_dl.displays._axes import axes

if TYPE_CHECKING:
    from skopt_dl.lab import Convexity

N_PLACES = 401
# How far a slice goes on beyond the chord, in its lengths.
BEYOND = 0.25


class ConvexityDisplay:
    """A function along a line, with the chord that it is above of, if there is one.

    In one variable the line is the domain. In more it is the one through the chord; without a
    chord, it leads through the point of the smallest curvature, across the domain.

    Parameters
    ----------
    convexity : Convexity
        Of `skopt_dl.lab.convexity`.

    Attributes
    ----------
    points : ndarray of shape (n, P)
        On the line.
    positions : ndarray of shape (n,)
        x in one variable; else 0 at the beginning of the chord and 1 at its end.
    values : ndarray of shape (n,)
    ax_, figure_ : matplotlib Axes, Figure
    line_, chord_ : matplotlib Line2D
        `chord_` is None where there is none.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skopt_dl.displays import ConvexityDisplay
    >>> from skopt_dl.objectives import Himmelblau
    >>> display = ConvexityDisplay.from_function(Himmelblau())
    >>> display.ax_.get_title()
    'Himmelblau: convexity is refuted'
    >>> plt.show()
    """

    def __init__(self, convexity: Convexity):
        self.convexity = convexity
        self._begin, self._end = _line(convexity)
        places = np.linspace(*_reach(convexity, self._begin, self._end), N_PLACES)
        self.points = self._begin + places[:, None] * (self._end - self._begin)
        self.positions = self._positions(self.points)
        with np.errstate(all="ignore"):
            self.values = np.asarray(convexity.function.value(self.points), dtype=float)

    def _positions(self, points: np.ndarray) -> np.ndarray:
        if points.shape[1] == 1:
            return points[:, 0]
        along = self._end - self._begin
        return (points - self._begin) @ along / (along @ along)

    @classmethod
    def from_function(cls, f: Any, domain: Any = None, *, ax: Any = None, **options: Any) -> Self:
        """Ask whether a function is convex, and draw the answer.

        Parameters
        ----------
        f, domain, **options
            As for `skopt_dl.lab.convexity`.
        ax : matplotlib Axes, default=None
        """
        from skopt_dl.lab import convexity

        return cls(convexity(f, domain, **options)).plot(ax)

    def plot(self, ax: Any = None, **line_kw: Any) -> Self:
        """Draw the function, the chord, and how far the one is above the other.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **line_kw
            Passed to ``ax.plot`` for the function.
        """
        self.ax_ = ax = axes(ax)
        self.figure_ = ax.figure
        found, name = self.convexity, self.convexity.function.name
        style = {"color": "#0072B2", "label": name, **line_kw}
        (self.line_,) = ax.plot(self.positions, self.values, **style)
        self.chord_ = None
        if found.negative is not None:
            label = "negative second derivative"
            low, high = np.clip(found.negative, *self.positions[[0, -1]])
            ax.axvspan(low, high, color="0.9", zorder=0, label=label)
        if found.counterexample is not None:
            self._draw_chord(ax)
        ax.set(
            title=f"{name}: convexity is {found.verdict}",
            xlabel="x" if self.points.shape[1] == 1 else self._line_label(),
            ylabel="f",
        )
        ax.legend(fontsize="small")
        return self

    def _draw_chord(self, ax: Any) -> None:
        c = self.convexity.counterexample
        assert c is not None
        begin, middle, end = self._positions(np.array([c.start, c.between, c.end]))
        style = {"color": "black", "linestyle": (0, (5, 2)), "marker": "o", "label": "chord"}
        (self.chord_,) = ax.plot([begin, end], [c.values[0], c.values[2]], **style)
        label = f"{c.violation:.3g} above the chord"
        ax.plot([middle, middle], [c.chord, c.values[1]], color="#D55E00", lw=3, label=label)
        ax.plot(middle, c.values[1], "o", color="#D55E00")

    def _line_label(self) -> str:
        if self.points.shape[1] > 3:
            return "along a line, 0 at the beginning of the chord and 1 at its end"
        ends = (", ".join(f"{x:.3g}" for x in end) for end in (self._begin, self._end))
        return "from ({}) at 0 to ({}) at 1".format(*ends)


def _line(found: Convexity) -> tuple[np.ndarray, np.ndarray]:
    """Two points on the line that is drawn."""
    lower, upper = _finite(found)
    c = found.counterexample
    if len(lower) == 1:
        return lower, upper
    if c is not None:
        return c.start, c.end
    middle = (lower + upper) / 2 if found.at is None else found.at
    half = np.minimum(middle - lower, upper - middle)
    return middle - half, middle + half


def _reach(found: Convexity, begin: np.ndarray, end: np.ndarray) -> tuple[float, float]:
    """How far the slice goes, in lengths of the line, without leaving the domain."""
    if len(begin) == 1 or found.counterexample is None:
        return 0.0, 1.0
    lower, upper = found.lower, found.upper
    along = end - begin
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(along > 0, lower - begin, upper - begin) / along
        last = np.where(along > 0, upper - begin, lower - begin) / along
    before = np.where(np.isnan(first) | (along == 0), -np.inf, first).max()
    after = np.where(np.isnan(last) | (along == 0), np.inf, last).min()
    return max(-BEYOND, min(before, 0.0)), min(1 + BEYOND, max(after, 1.0))


def _finite(found: Convexity) -> tuple[np.ndarray, np.ndarray]:
    """The domain, or what is drawn of it where it has no end: around the chord."""
    lower, upper = found.lower, found.upper
    c = found.counterexample
    points = np.array([c.start, c.end]) if c is not None else np.zeros((1, len(lower)))
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.maximum(high - low, 1.0)
    lower = np.where(np.isfinite(lower), lower, np.minimum(low, upper) - room)
    return lower, np.where(np.isfinite(upper), upper, np.maximum(high, lower) + room)
