"""Where to look for hyperparameters: what an optimizer declares of them."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np


class Space:
    """The values to try for one hyperparameter."""

    def grid(self, n: int) -> list[Any]:
        """Return `n` values for a grid."""
        raise NotImplementedError(f"{type(self).__name__} does not implement grid.")

    def distribution(self) -> Any:
        """Return what `RandomizedSearchCV` draws from: something with `rvs`, or a list."""
        raise NotImplementedError(f"{type(self).__name__} does not implement distribution.")


@dataclass(frozen=True)
class _Between(Space):
    """A number between two bounds."""

    low: float
    high: float

    limits: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        least, most = self.limits
        given = (self.low, self.high)
        numeric = all(isinstance(each, numbers.Real) for each in given)
        if not numeric or not least < self.low < self.high < most:
            low, high = (f"{limit:g} < " if math.isfinite(limit) else "" for limit in self.limits)
            raise ValueError(
                f"{type(self).__name__} needs {low}low < high{high and f' < {most:g}'}, both "
                f"finite; got {self.low!r} and {self.high!r}."
            )


class Uniform(_Between):
    """A number between two bounds, all equally likely.

    Parameters
    ----------
    low, high : float

    Raises
    ------
    ValueError
        If not ``low < high``, or one is not finite.

    Examples
    --------
    >>> from skopt_dl.optimizers import Uniform
    >>> Uniform(0.0, 1.0).grid(3)
    [0.0, 0.5, 1.0]
    """

    def grid(self, n: int) -> list[float]:
        """Return `n` values from `low` to `high`, of few digits; the middle for one."""
        return _of_few_digits(self.low + (self.high - self.low) * _shares(n))

    def distribution(self) -> Any:
        """Return a SciPy distribution."""
        from scipy.stats import uniform

        return uniform(self.low, self.high - self.low)


class LogUniform(_Between):
    """A positive number whose logarithm is uniform: for rates.

    Parameters
    ----------
    low, high : float

    Raises
    ------
    ValueError
        If not ``0 < low < high``.

    Examples
    --------
    >>> from skopt_dl.optimizers import LogUniform
    >>> LogUniform(1e-4, 1e-1).grid(4)
    [0.0001, 0.001, 0.01, 0.1]
    """

    limits = (0, math.inf)

    def grid(self, n: int) -> list[float]:
        """Return `n` values from `low` to `high`, of few digits; the middle for one."""
        return _of_few_digits(self.low * (self.high / self.low) ** _shares(n))

    def distribution(self) -> Any:
        """Return a SciPy distribution."""
        from scipy.stats import loguniform

        return loguniform(self.low, self.high)


class LogUniformBelowOne(_Between):
    """A number below 1 whose distance from 1 is log-uniform: for the decays of averages.

    Parameters
    ----------
    low, high : float

    Raises
    ------
    ValueError
        If not ``low < high < 1``.

    Examples
    --------
    >>> from skopt_dl.optimizers import LogUniformBelowOne
    >>> LogUniformBelowOne(0.9, 0.999).grid(3)
    [0.9, 0.99, 0.999]
    """

    limits = (-math.inf, 1)

    @property
    def distance(self) -> LogUniform:
        """Where 1 minus the number lies."""
        # In fifteen digits, since 1 - 0.9 is 0.09999999999999998.
        return LogUniform(round(1 - self.high, 15), round(1 - self.low, 15))

    def grid(self, n: int) -> list[float]:
        """Return `n` values from `low` to `high`, of few digits; the middle for one."""
        return [round(1 - distance, 15) for distance in reversed(self.distance.grid(n))]

    def distribution(self) -> _OneMinus:
        """Return what draws by `rvs`, as a SciPy distribution does."""
        return _OneMinus(self.distance)


@dataclass(frozen=True)
class _OneMinus:
    """The distribution of 1 minus a number of another space."""

    distance: LogUniform

    def rvs(self, size: Any = None, random_state: Any = None) -> Any:
        return 1 - self.distance.distribution().rvs(size=size, random_state=random_state)


@dataclass(frozen=True, init=False)
class Choice(Space):
    """One of some values, all equally likely.

    Parameters
    ----------
    *values

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> from skopt_dl.optimizers import Choice
    >>> Choice("hidden", "all").grid(5)
    ['hidden', 'all']
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any):
        if not values:
            raise ValueError("Choice needs at least one value, as in Choice(True, False).")
        object.__setattr__(self, "values", values)

    def __repr__(self) -> str:
        return f"Choice({', '.join(map(repr, self.values))})"

    def grid(self, n: int) -> list[Any]:
        """Return all values; where there are more than `n`, as many, from first to last."""
        last = len(self.values) - 1
        if n > last:
            return list(self.values)
        return [self.values[round(last * share)] for share in _shares(n)]

    def distribution(self) -> list[Any]:
        """Return a list, which scikit-learn's searches draw from."""
        return list(self.values)


def _shares(n: int) -> np.ndarray:
    """`n` numbers from 0 to 1; a half for one."""
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1:
        raise ValueError(f"A grid has a number of values that is an int, at least 1; got {n!r}.")
    return np.linspace(0, 1, int(n)) if n > 1 else np.array([0.5])


def _of_few_digits(values: np.ndarray) -> list[float]:
    """Rising values in as few digits as tell them apart, the first and last of several as given."""
    for digits in range(2, 17):
        rounded = [float(f"{value:.{digits}g}") for value in values]
        if len(values) > 1:
            rounded[0], rounded[-1] = float(values[0]), float(values[-1])
        if all(a < b for a, b in pairwise(rounded)):
            break
    return rounded
