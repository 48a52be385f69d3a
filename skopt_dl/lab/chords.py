"""Chords that a function is above of: counterexamples to convexity that rounding cannot explain."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skopt_dl.objectives import Function

Array = Any

# A violation counts if it is so many times the rounding error of the values.
SAFETY = 32.0
# Neighbours of a point whose values tell how exact they are, their distances as shares of the
# domain, and how many chords are tried so.
N_NEIGHBOURS, N_EXAMINED = 16, 64
SCALES = 2.0 ** -np.array([12, 18, 24, 30, 36, 42])


class Counterexample(NamedTuple):
    """Three points on a line: at the middle one the function is above the chord.

    Attributes
    ----------
    start, between, end : ndarray of shape (P,)
    share : float
        Where `between` is: ``start + share * (end - start)``.
    values : ndarray of shape (3,)
        The function there.
    chord : float
        ``(1 - share) * f(start) + share * f(end)``, which a convex function is not above.
    violation : float
        By how much it is.
    rounding : float
        The rounding error of the values in float64, estimated from neighbouring points.
    """

    start: np.ndarray
    between: np.ndarray
    end: np.ndarray
    share: float
    values: np.ndarray
    chord: float
    violation: float
    rounding: float

    @property
    def ratio(self) -> float:
        """The violation over the rounding error."""
        return self.violation / self.rounding if self.rounding else np.inf


class Chords(NamedTuple):
    """Ends ``(n, P)`` and shares ``(n,)`` of the points between them."""

    starts: np.ndarray
    ends: np.ndarray
    shares: np.ndarray

    @property
    def between(self) -> np.ndarray:
        return self.starts + self.shares[:, None] * (self.ends - self.starts)


def values_at(f: Function, points: np.ndarray) -> np.ndarray:
    """Values ``(n,)``; not finite ones where the function has none."""
    with np.errstate(all="ignore"):
        return np.asarray(f.value(points), dtype=float)


def precision(values: np.ndarray) -> float:
    """The spacing of numbers in which a function computes: that of float32, or of float64.

    A function may use single precision inside. Its values then are float32 numbers, all of them.
    """
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        single = np.float32 if (finite == finite.astype(np.float32)).all() else np.float64
    return float(np.finfo(single).eps)


def best_counterexample(
    f: Function, chords: Chords, eps: float, box: tuple[np.ndarray, np.ndarray]
) -> Counterexample | None:
    """The chord that the function is most clearly above of, if there is any.

    Parameters
    ----------
    f : Function
    chords : Chords
    eps : float
        The spacing of the numbers it computes in.
    box : pair of ndarray of shape (P,)
        The domain.
    """
    starts, between, ends = (
        values_at(f, points) for points in (chords.starts, chords.between, chords.ends)
    )
    with np.errstate(all="ignore"):
        violations = between - ((1 - chords.shares) * starts + chords.shares * ends)
        spread = np.ptp(np.stack([starts, between, ends]), axis=0)
        size = np.abs(np.stack([starts, between, ends])).max(axis=0)
        # Large, and large against what else happens on the chord: that is easy to see.
        clear = np.minimum(violations / spread, 0.5) * np.abs(violations) ** 0.25
        visible = np.where(violations > SAFETY * eps * size, clear, 0.0)
    visible = np.where(np.isfinite(visible), visible, 0.0)
    for row in np.argsort(-visible)[:N_EXAMINED]:
        if not visible[row] > 0:
            break
        chord = Chords(*(each[row : row + 1] for each in chords))
        found = counterexample(f, chord, eps, box)
        if found.violation > SAFETY * found.rounding:
            return found
    return None


def counterexample(
    f: Function, chord: Chords, eps: float, box: tuple[np.ndarray, np.ndarray] | None = None
) -> Counterexample:
    """Measure one chord: the violation, and the rounding error of the values."""
    points = np.concatenate([chord.starts, chord.between, chord.ends])
    values = values_at(f, points)
    share = float(chord.shares[0])
    straight = (1 - share) * values[0] + share * values[2]
    errors = _rounding_errors(f, points, values, eps)
    if box is not None:
        errors = np.maximum(errors, _roughness(f, points, *box))
    return Counterexample(
        start=points[0],
        between=points[1],
        end=points[2],
        share=share,
        values=values,
        chord=float(straight),
        violation=float(values[1] - straight),
        rounding=float(errors[1] + max(errors[0], errors[2])),
    )


def _rounding_errors(f: Function, points: np.ndarray, values: np.ndarray, eps: float) -> np.ndarray:
    """Estimates of how wrong values are, from how they differ a few roundings further, ``(n,)``."""
    rng = np.random.default_rng(0)
    steps = rng.integers(-3, 4, (N_NEIGHBOURS, 1, points.shape[1]))
    near = points + eps * steps * np.abs(points).max(axis=0)
    around = values_at(f, near.reshape(-1, points.shape[1])).reshape(N_NEIGHBOURS, -1)
    # Below the smallest normal number the spacing stays as it is there.
    smallest = np.finfo(np.float64 if eps == np.finfo(np.float64).eps else np.float32).tiny
    return np.abs(around - values).max(axis=0) + 4 * eps * np.maximum(np.abs(values), smallest)


def _roughness(f: Function, points: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Second differences nearby, ``(n,)``: the noise of computation (Moré & Wild, 2011).

    Where large numbers cancel in a function, its graph has steps, wider than the spacing of points.
    A smooth function is nearly straight at such distances. One with fewer steps, wider than the
    distances that are looked at, is a step function for all that its values tell.
    """
    rng = np.random.default_rng(0)
    sizes = np.repeat(SCALES, N_NEIGHBOURS)[:, None, None] * (upper - lower)
    moves = sizes * rng.uniform(-1, 1, (len(sizes), 1, points.shape[1]))
    centers = np.clip(
        points, lower + SCALES[0] * (upper - lower), upper - SCALES[0] * (upper - lower)
    )
    low, middle, high = (
        values_at(f, (centers + sign * moves).reshape(-1, points.shape[1])) for sign in (-1, 0, 1)
    )
    with np.errstate(all="ignore"):
        apart = np.abs(low - 2 * middle + high).reshape(len(sizes), -1)
    return np.where(np.isfinite(apart), apart, 0.0).max(axis=0)


def along(
    points: np.ndarray, directions: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> Chords:
    """Chords through points along directions, of many lengths, within a box."""
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.minimum(points - lower, upper - points) / np.abs(directions)
    longest = np.where(np.isnan(room), np.inf, room).min(axis=1)
    lengths = longest[:, None] * 2.0 ** -np.arange(0, 20)
    moves = lengths[..., None] * directions[:, None]
    n_dims = points.shape[1]
    starts, ends = points[:, None] - moves, points[:, None] + moves
    # Rounding may have led out of the box.
    starts, ends = (np.clip(each, lower, upper).reshape(-1, n_dims) for each in (starts, ends))
    return Chords(starts, ends, np.full(len(starts), 0.5))
