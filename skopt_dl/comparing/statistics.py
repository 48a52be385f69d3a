"""What can be said of a few scores: intervals, significance, ranks, the way to a target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean, and between which bounds it lies; NaN for bounds of a single value."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float], ratio: float) -> Interval:
    """Return the mean of scores of repeated random splits, and its interval of 95 %.

    Training parts of such splits overlap, so their scores vary less than those of new data would.
    The variance of the mean is therefore taken as ``(1 / n + ratio) * variance`` (C. Nadeau,
    Y. Bengio: "Inference for the Generalization Error", Machine Learning 52, 2003).

    Parameters
    ----------
    values : sequence of n float
    ratio : float
        Samples tested on, for each that was trained on; 0 for independent values.

    Examples
    --------
    >>> from skopt_dl.comparing.statistics import interval
    >>> [round(each, 3) for each in interval([0.8, 0.9, 1.0], ratio=0.0)]
    [0.9, 0.652, 1.148]
    """
    mean, error = _mean_and_error(values, ratio)
    if math.isnan(error):
        return Interval(mean, math.nan, math.nan)
    from scipy.stats import t

    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return Interval(mean, mean - half, mean + half)


def p_value(differences: Sequence[float], ratio: float) -> float:
    """Return how often a mean as far from 0 comes by chance: the corrected resampled t-test.

    Parameters
    ----------
    differences : sequence of n float
        Of two methods on the same splits.
    ratio : float
        As for `interval`.

    Returns
    -------
    p : float
        NaN for a single difference.

    Examples
    --------
    >>> from skopt_dl.comparing.statistics import p_value
    >>> round(p_value([0.1, 0.2, 0.3], ratio=0.0), 4)
    0.0742
    """
    mean, error = _mean_and_error(differences, ratio)
    if math.isnan(error):
        return math.nan
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    from scipy.stats import t

    return float(2 * t.sf(abs(mean) / error, len(differences) - 1))


def _mean_and_error(values: Sequence[float], ratio: float) -> tuple[float, float]:
    """The mean, and its standard error, NaN for a single value."""
    numbers = np.asarray(values, dtype=float)
    n, mean = len(numbers), float(numbers.mean())
    if n < 2:
        return mean, math.nan
    # Equal values have no variance; their mean may be off by a rounding.
    spread = 0.0 if np.ptp(numbers) == 0 else float(numbers.var(ddof=1))
    return mean, math.sqrt((1 / n + ratio) * spread)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values that allow for their number (S. Holm, Scand. J. Statist. 6, 1979).

    Examples
    --------
    >>> from skopt_dl.comparing.statistics import holm
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    adjusted, highest = [math.nan] * len(p_values), 0.0
    for place, i in enumerate(sorted(known, key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(known) - place) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def mean_ranks(scores: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean rank of each method, 1 for the best; equal scores share their ranks.

    Parameters
    ----------
    scores : sequence of n_methods sequences of n float
        Higher is better; the n columns are of the same splits.

    Examples
    --------
    >>> from skopt_dl.comparing.statistics import mean_ranks
    >>> mean_ranks([[0.9, 0.8], [0.7, 0.8], [0.5, 0.6]])
    [1.25, 1.75, 3.0]
    """
    from scipy.stats import rankdata

    return [float(rank) for rank in rankdata(-np.asarray(scores), axis=0).mean(axis=1)]


def first_reaching(curve: Sequence[float], target: float) -> float:
    """Return the first epoch, from 1, whose score is at least `target`; infinite without one.

    Examples
    --------
    >>> from skopt_dl.comparing.statistics import first_reaching
    >>> first_reaching([0.2, 0.7, 0.6, 0.9], 0.65), first_reaching([0.2], 0.65)
    (2, inf)
    """
    near = target - 1e-9 * max(1.0, abs(target))
    return next((i + 1 for i, score in enumerate(curve) if score >= near), math.inf)


def median(values: Sequence[float]) -> float:
    """Return the middle value, infinite where half of the values or more are.

    Examples
    --------
    >>> from skopt_dl.comparing.statistics import median
    >>> median([3.0, 1.0, float("inf")]), median([1.0, float("inf")])
    (3.0, inf)
    """
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
