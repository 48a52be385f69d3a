"""Functions that are completely known: value, gradient, Hessian, domain and minima."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from typing import Any, NamedTuple, Self

import numpy as np

from skopt_dl.backends import Backend, backend_of
from skopt_dl.objectives.base import Objective
from skopt_dl.objectives.layout import Layout

Array = Any
Points = Sequence[Sequence[float]] | np.ndarray

# Kinds of stationary points.
MINIMUM, MAXIMUM, SADDLE, INFLECTION = "minimum", "maximum", "saddle", "inflection"


class StationaryPoint(NamedTuple):
    """Where the gradient is zero: ``(P,)``, the value there, and what kind of point it is."""

    point: np.ndarray
    value: float
    kind: str


class Function(Objective):
    """A function of P numbers, the same for all models of a stack.

    A subclass implements `value`, `gradient` and `hessian` in array code, for any number of points
    at once, and sets the attributes that it knows. Callers may pass lists too, and arrays of
    integers: the three are given arrays of floats.

    Parameters
    ----------
    n_dims : int
        P.
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
        The lower and upper ends of where the function is looked at; it is defined beyond.
    name : str, default=None
        None means the name of the class.
    layout : Layout, default=None
        Names and shapes of the P numbers; None means one row of them.

    Attributes
    ----------
    lower, upper : ndarray of shape (P,)
    minima : list of StationaryPoint
        Local minima, the global ones first; empty where they are not known. All of them, unless
        the class says otherwise: with many variables, some list the global one alone.
    start : ndarray of shape (P,)
        Where it is customary, or instructive, to start from.
    """

    def __init__(
        self,
        n_dims: int,
        domain: tuple[Any, Any] = (-5.0, 5.0),
        name: str | None = None,
        layout: Layout | None = None,
    ):
        super().__init__(layout or Layout.from_shapes([("x", "hidden", (1, n_dims))]), 1)
        self.name = type(self).__name__ if name is None else name
        self.lower, self.upper = _ends(domain, n_dims, self.name)
        self.start = self.lower + 0.2 * (self.upper - self.lower)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("value", "gradient", "hessian"):
            if name in vars(cls):
                setattr(cls, name, _taking_lists(vars(cls)[name]))

    @property
    def n_dims(self) -> int:
        """P, how many numbers the function depends on."""
        return self.layout.size

    @cached_property
    def minima(self) -> list[StationaryPoint]:
        """Local minima, the global ones first; empty where they are not known.

        All of them, unless the class says otherwise: where there are very many, as `Rastrigin` has
        in five variables, the global one alone.
        """
        return []

    @property
    def minimum(self) -> float:
        """The smallest value; NaN where it is not known."""
        return self.minima[0].value if self.minima else np.nan

    def value(self, x: Array) -> Array:
        """Values at points: ``(..., P)`` to ``(...)``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement value.")

    def gradient(self, x: Array) -> Array:
        """Gradients at points: ``(..., P)`` to ``(..., P)``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement gradient.")

    def hessian(self, x: Array) -> Array:
        """Matrices of second derivatives at points: ``(..., P)`` to ``(..., P, P)``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement hessian.")

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        return self.value(params), self.gradient(params)

    def select(self, models: Sequence[int]) -> Self:
        return self

    def library(self, x: Array) -> Backend:
        """The array library of points ``(..., P)``.

        Raises
        ------
        TypeError
            If `x` is no array.
        ValueError
            If the points have another number of coordinates.
        """
        backend = backend_of(x)
        if x.shape[-1:] != (self.n_dims,):
            example = "a row for each point"
            if self.n_dims == 1:
                example = "x[:, None]" if x.shape else "[x]"
            raise ValueError(
                f"Points of {self.name} must be of shape (..., {self.n_dims}), one number for each "
                f"variable in the last axis; got shape {tuple(x.shape)}. Pass {example}."
            )
        return backend

    def check_points(self, points: Points, what: str = "points") -> np.ndarray:
        """Return points as an array ``(n, P)``.

        Raises
        ------
        ValueError
            If they have another number of coordinates, are not finite, or lie outside the domain;
            the message names the first that does.
        """
        try:
            array = np.atleast_2d(np.asarray(points, dtype=float))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{what} of {self.name} must be numbers, {self.n_dims} for each; got {points!r}."
            ) from error
        if array.ndim != 2 or array.shape[1] != self.n_dims:
            raise ValueError(
                f"{what} of {self.name} must be of shape (n, {self.n_dims}), {self.n_dims} "
                f"coordinates each; got shape {np.shape(points)}."
            )
        inside = ((array >= self.lower) & (array <= self.upper)).all(axis=1)
        if not inside.all():
            raise ValueError(
                f"{what} of {self.name} must lie in its domain, from {self.lower.tolist()} to "
                f"{self.upper.tolist()}; got {array[~inside][0].tolist()}. Pass domain= for "
                "another."
            )
        return array

    def _as_floats(self, x: Any) -> Array:
        """Points that are no NumPy array of floats as an array of some."""
        if isinstance(x, list | tuple | numbers.Number | np.ndarray):
            try:
                array = np.asarray(x)
            except ValueError:
                array = np.empty(0, dtype=object)
            if array.dtype.kind not in "biuf":
                raise TypeError(
                    f"Points of {self.name} must be real numbers, in an array or lists of shape "
                    f"(..., {self.n_dims}); got {x!r}."
                )
            x = array if array.dtype.kind == "f" else array.astype(float)
        self.library(x)
        return x

    def __repr__(self) -> str:
        return f"<{self.name}: {self.n_dims} variables>"


def _taking_lists(method: Callable[[Any, Array], Array]) -> Callable[[Any, Any], Array]:
    """A method of points ``(..., P)`` that takes lists of numbers as well."""

    @wraps(method)
    def at(self: Any, x: Any) -> Array:
        if type(x) is not np.ndarray or x.dtype.kind != "f" or not x.ndim:
            x = self._as_floats(x)
        return method(self, x)

    return at


def _ends(domain: Any, n_dims: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper ends of a domain, each ``(P,)``."""
    try:
        lower, upper = (np.broadcast_to(end, n_dims).astype(float) for end in domain)
        if not ((lower < upper) & np.isfinite(upper - lower)).all():
            raise ValueError("The ends are not in order, or not finite.")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"domain of {name} must be a pair (lower, upper) with lower < upper, finite, for all "
            f"variables or {n_dims} of each; got {domain!r}."
        ) from error
    return lower, upper


def minima_near(function: Function, points: Points, n_steps: int = 50) -> list[StationaryPoint]:
    """The minima that Newton's method finds from points ``(n, P)``, the lowest first.

    Where it ends at no minimum, or at one that was found before, there is none.
    """
    x = np.array(points, dtype=float)
    for _ in range(n_steps):
        step = np.linalg.solve(function.hessian(x), function.gradient(x)[..., None])[..., 0]
        x = x - step
    curved = np.linalg.eigvalsh(function.hessian(x)).min(axis=-1) > 0
    near = np.abs(step).max(axis=-1) <= 1e-8 * (1 + np.abs(x).max(axis=-1))
    x = x[curved & near]
    # The first of those that ended at the same place.
    distances = np.abs(x[:, None] - x).max(axis=-1)
    x = x[np.argmax(distances <= 1e-6, axis=1) == np.arange(len(x))]
    found = [
        StationaryPoint(*each, MINIMUM) for each in zip(x, function.value(x).tolist(), strict=True)
    ]
    return sorted(found, key=lambda each: each.value)
