"""Quadratic functions of any number of variables."""

from __future__ import annotations

import math
import numbers
from typing import Any, Self

import numpy as np

from skopt_dl.objectives.function import MINIMUM, Function, StationaryPoint
from skopt_dl.objectives.layout import Layout

Array = Any


class Quadratic(Function):
    """``(x - c)ᵀ A (x - c) / 2 + v``: curvature A, the same everywhere.

    Parameters
    ----------
    matrix : array-like of shape (P, P) or (P,)
        A, symmetric; P numbers are its diagonal.
    center : array-like of shape (P,), default=None
        c, where the gradient is zero; None means the origin.
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
    name : str, default=None
    layout : Layout, default=None
        Names and shapes of the P numbers; None means one row of them.
    offset : float, default=0.0
        v, the value at the center.

    Attributes
    ----------
    matrix : ndarray of shape (P, P)
    center : ndarray of shape (P,)
    offset : float
    eigenvalues : ndarray of shape (P,)
        Curvatures along the axes of the ellipses, rising. Gradient descent converges for learning
        rates below 2 over the largest.
    condition_number : float
        The largest eigenvalue over the smallest; infinite where that is not positive.

    Examples
    --------
    >>> from skopt_dl.objectives import Quadratic
    >>> valley = Quadratic.of_condition(100.0, 2)
    >>> round(valley.condition_number, 6)
    100.0
    >>> valley.minimum
    0.0
    """

    def __init__(
        self,
        matrix: Any,
        center: Any = None,
        domain: tuple[Any, Any] = (-5.0, 5.0),
        name: str | None = None,
        layout: Layout | None = None,
        offset: float = 0.0,
    ):
        self.matrix = _symmetric(matrix)
        n_dims = len(self.matrix)
        super().__init__(n_dims, domain, name, layout)
        self.center = np.zeros(n_dims) if center is None else np.array(center, dtype=float)
        if self.center.shape != (n_dims,):
            raise ValueError(
                f"center of {self.name} must be of shape ({n_dims},), as its matrix has {n_dims} "
                f"rows; got shape {self.center.shape}."
            )
        self.offset = _finite(offset, self.name)
        self.eigenvalues = np.linalg.eigvalsh(self.matrix)
        if self.eigenvalues[0] > 0:
            self.minima = [StationaryPoint(self.center, self.offset, MINIMUM)]

    @classmethod
    def of_condition(
        cls,
        condition_number: float,
        n_dims: int = 2,
        *,
        seed: int | None = None,
        **options: Any,
    ) -> Self:
        """Make one with eigenvalues from 1 / `condition_number` to 1, evenly spaced in logarithm.

        Parameters
        ----------
        condition_number : float
            At least 1.
        n_dims : int, default=2
        seed : int, default=None
            Turns the axes of the ellipses in a random direction, uniformly; None leaves them along
            the coordinates.
        **options
            `center`, `domain`, `name`, `layout` and `offset`.
        """
        if not 1 <= condition_number < np.inf:
            raise ValueError(
                f"condition_number of a Quadratic must be a float in [1, inf); got "
                f"{condition_number!r}."
            )
        if n_dims < 1 or (n_dims == 1 and condition_number > 1):
            raise ValueError(
                f"n_dims of a Quadratic with condition_number={condition_number:g} must be at "
                f"least {1 + (condition_number > 1)}; got {n_dims!r}."
            )
        curvatures = np.geomspace(1 / condition_number, 1, n_dims)
        if seed is None:
            return cls(np.diag(curvatures), **options)
        axes = random_rotation(n_dims, np.random.default_rng(seed))
        return cls(axes * curvatures @ axes.T, **options)

    @property
    def condition_number(self) -> float:
        """The largest eigenvalue over the smallest; infinite where that is not positive."""
        smallest, largest = self.eigenvalues[[0, -1]].tolist()
        return largest / smallest if smallest > 0 else np.inf

    @property
    def minimum(self) -> float:
        """`offset`; -inf where a curvature is negative, for then there is none."""
        # Of a curvature that is zero, rounding may leave as much.
        rounding = self.n_dims * np.finfo(float).eps * np.abs(self.eigenvalues).max()
        return -np.inf if self.eigenvalues[0] < -rounding else self.offset

    def value(self, x: Array) -> Array:
        return self.value_and_grad(x)[0]

    def gradient(self, x: Array) -> Array:
        return self.value_and_grad(x)[1]

    def hessian(self, x: Array) -> Array:
        b = self.library(x)
        matrix = b.asarray(self.matrix, dtype=x.dtype)
        return b.xp.zeros_like(x[..., None]) + matrix

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        b = self.library(params)
        offset = params - b.asarray(self.center, dtype=params.dtype)
        # One scalar product for each number: its rounding does not depend on how many models
        # there are, as that of a product of matrices would.
        matrix = b.asarray(self.matrix, dtype=params.dtype)
        grad = b.xp.vecdot(offset[..., None, :], matrix)
        return 0.5 * b.xp.vecdot(offset, grad) + self.offset, grad


def random_rotation(n_dims: int, rng: np.random.Generator) -> np.ndarray:
    """An orthogonal matrix, uniformly drawn (Mezzadri, 2007, arXiv:math-ph/0609050)."""
    q, r = np.linalg.qr(rng.normal(size=(n_dims, n_dims)))
    return q * np.sign(np.diag(r))


def _finite(offset: Any, name: str) -> float:
    if not isinstance(offset, numbers.Real) or not math.isfinite(offset):
        raise ValueError(f"offset of {name} must be a finite number; got {offset!r}.")
    return float(offset)


def _symmetric(matrix: Any) -> np.ndarray:
    array = np.array(matrix, dtype=float)
    if array.ndim == 1 and array.size:
        array = np.diag(array)
    allowed = "matrix of a Quadratic must be symmetric and finite, of shape (P, P) or a diagonal"
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise ValueError(f"{allowed} (P,); got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{allowed}; got numbers that are not finite: {array.tolist()}.")
    if not np.allclose(array, array.T, rtol=1e-10, atol=1e-12 * np.abs(array).max()):
        raise ValueError(f"{allowed}; got {array.tolist()}. Pass (A + A.T) / 2.")
    return (array + array.T) / 2
