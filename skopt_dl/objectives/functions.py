"""Well-known functions to try optimizers on, with all that is known of them.

Formulas and minima: Jamil and Yang, 2013, "A literature survey of benchmark functions for global
optimisation problems", arXiv:1308.4008.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.objectives.function import Function, StationaryPoint, minima_near
from skopt_dl.objectives.least_squares import SumOfSquares
from skopt_dl.objectives.matrices import MatrixFactorisation, MatrixQuadratic
from skopt_dl.objectives.polynomial import Polynomial
from skopt_dl.objectives.quadratic import Quadratic

Array = Any

# Where there are more local minima, the global ones are all that is listed.
MAX_MINIMA = 1000


class Rosenbrock(Function):
    """A curved, flat valley: ``Σ 100 (x[i+1] - x[i]²)² + (1 - x[i])²`` (Rosenbrock, 1960).

    The minimum is at (1, …, 1). From four variables on there is another one near (-1, 1, …, 1)
    (Kok and Sandrock, 2009, doi:10.1162/evco.2009.17.3.437).

    Parameters
    ----------
    n_dims : int, default=2
        At least 2.
    domain : pair of float, or pair of array-like of shape (P,), default=(-2, 2)
    name : str, default=None
    """

    def __init__(
        self, n_dims: int = 2, domain: tuple[Any, Any] = (-2.0, 2.0), name: str | None = None
    ):
        super().__init__(_n_dims(n_dims, "Rosenbrock", at_least=2), domain, name)
        self.start = np.where(np.arange(n_dims) % 2 == 0, -1.2, 1.0)

    @cached_property
    def minima(self) -> list[StationaryPoint]:
        known = np.ones((1 if self.n_dims < 4 else 2, self.n_dims))
        known[1:, 0] = -1
        return minima_near(self, known)

    def value(self, x: Array) -> Array:
        left, right = x[..., :-1], x[..., 1:]
        return self.library(x).xp.sum(100 * (right - left**2) ** 2 + (1 - left) ** 2, axis=-1)

    def gradient(self, x: Array) -> Array:
        xp, left = self.library(x).xp, x[..., :-1]
        rise = x[..., 1:] - left**2
        nothing = xp.zeros_like(x[..., :1])
        first = xp.concat([-400 * left * rise - 2 * (1 - left), nothing], axis=-1)
        return first + xp.concat([nothing, 200 * rise], axis=-1)

    def hessian(self, x: Array) -> Array:
        xp, left = self.library(x).xp, x[..., :-1]
        nothing = xp.zeros_like(x[..., :1])
        diagonal = xp.concat([1200 * left**2 - 400 * x[..., 1:] + 2, nothing], axis=-1)
        diagonal = diagonal + xp.concat([nothing, xp.zeros_like(left) + 200], axis=-1)
        # Neighbours' mixed derivatives, each in the column after its own and in the row.
        n = self.n_dims
        beside = self.library(x).asarray(np.eye(n, k=1)[:-1], dtype=x.dtype)
        above = (-400 * left)[..., None] * beside
        above = xp.concat([above, xp.zeros_like(above[..., :1, :])], axis=-2)
        return _diagonal(diagonal) + above + xp.matrix_transpose(above)


class Separable(Function):
    """A sum of one function of each variable; the base class of some with many minima.

    A subclass implements `terms`, and sets `wells`.

    Parameters
    ----------
    n_dims : int
    domain : pair of float, or pair of array-like of shape (P,)
    name : str, default=None

    Attributes
    ----------
    wells : sequence of float
        Roughly where the minima of the function of one variable are, the lowest first.
    """

    wells: Sequence[float] = ()

    def terms(self, x: Array) -> tuple[Array, Array, Array]:
        """The function of one variable at each number, its slope and its curvature."""
        raise NotImplementedError(f"{type(self).__name__} does not implement terms.")

    @cached_property
    def minima(self) -> list[StationaryPoint]:
        wells = self.wells if len(self.wells) ** self.n_dims <= MAX_MINIMA else self.wells[:1]
        return minima_near(self, np.array(list(product(wells, repeat=self.n_dims))))

    def value(self, x: Array) -> Array:
        return self.library(x).xp.sum(self.terms(x)[0], axis=-1)

    def gradient(self, x: Array) -> Array:
        self.library(x)
        return self.terms(x)[1]

    def hessian(self, x: Array) -> Array:
        self.library(x)
        return _diagonal(self.terms(x)[2])

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        terms, slopes, _ = self.terms(params)
        return self.library(params).xp.sum(terms, axis=-1), slopes


class Rastrigin(Separable):
    """A bowl with a minimum near every whole number: ``Σ x² - 10 cos(2πx) + 10``.

    The lowest is at the origin (Rastrigin, 1974). `minima` lists those in the default domain, 121
    in two variables; with more than 1,000, the global one alone.

    Parameters
    ----------
    n_dims : int, default=2
    domain : pair of float, or pair of array-like of shape (P,), default=(-5.12, 5.12)
    name : str, default=None
    """

    wells = sorted(range(-5, 6), key=abs)

    def __init__(
        self, n_dims: int = 2, domain: tuple[Any, Any] = (-5.12, 5.12), name: str | None = None
    ):
        super().__init__(_n_dims(n_dims, "Rastrigin"), domain, name)

    def terms(self, x: Array) -> tuple[Array, Array, Array]:
        xp, angle = backend_of(x).xp, 2 * math.pi * x
        # 10 (1 - cos t), exact near its zeros.
        ripple = 20 * xp.sin(angle / 2) ** 2
        slope = 2 * x + 20 * math.pi * xp.sin(angle)
        return x**2 + ripple, slope, 2 + 40 * math.pi**2 * xp.cos(angle)


class StyblinskiTang(Separable):
    """Two valleys along each variable: ``Σ (x⁴ - 16x² + 5x) / 2``.

    All of the 2 to the power of P corners of a box near (±2.8, …) are minima, the lowest where all
    are negative (Styblinski and Tang, 1990, doi:10.1016/0893-6080(90)90029-K). `minima` lists them
    up to nine variables; with more, the global one alone.

    Parameters
    ----------
    n_dims : int, default=2
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
    name : str, default=None
    """

    wells = (-2.903534, 2.746803)

    def __init__(
        self, n_dims: int = 2, domain: tuple[Any, Any] = (-5.0, 5.0), name: str | None = None
    ):
        super().__init__(_n_dims(n_dims, "StyblinskiTang"), domain, name)
        self.start = np.ones(n_dims)

    def terms(self, x: Array) -> tuple[Array, Array, Array]:
        square = x**2
        value = x * (x * (square - 16) + 5) / 2
        return value, x * (2 * square - 16) + 2.5, 6 * square - 16


class Ackley(Function):
    """A funnel with ripples: nearly flat far out, with a sharp minimum at the origin.

    ``-20 exp(-0.2 √(mean x²)) - exp(mean cos 2πx) + 20 + e`` (Ackley, 1987). At the origin there is
    a kink: zero is given there as the gradient, and infinite curvatures as the Hessian.
    `minima` lists those in the default domain in one and two variables; with more, the global one
    alone.

    Parameters
    ----------
    n_dims : int, default=2
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
    name : str, default=None
    """

    def __init__(
        self, n_dims: int = 2, domain: tuple[Any, Any] = (-5.0, 5.0), name: str | None = None
    ):
        super().__init__(_n_dims(n_dims, "Ackley"), domain, name)

    @cached_property
    def minima(self) -> list[StationaryPoint]:
        lowest = StationaryPoint(np.zeros(self.n_dims), 0.0, "minimum")
        if self.n_dims > 2:
            return [lowest]
        lattice = np.array(list(product(range(-5, 6), repeat=self.n_dims)), dtype=float)
        others = minima_near(self, lattice[lattice.any(axis=1)] * 0.99)
        return [lowest, *(each for each in others if each.point.any())]

    def value(self, x: Array) -> Array:
        xp = self.library(x).xp
        funnel = -20 * xp.expm1(-0.2 * self._radius(x))
        # e - exp(mean cos), exact near its zero.
        mean = xp.mean(2 * xp.sin(math.pi * x) ** 2, axis=-1)
        return funnel - math.e * xp.expm1(-mean)

    def gradient(self, x: Array) -> Array:
        xp, n = self.library(x).xp, self.n_dims
        radius = self._radius(x)[..., None]
        safe = xp.where(radius > 0, radius, xp.ones_like(radius))
        funnel = 4 * xp.exp(-0.2 * radius) * (x / safe) / n
        return funnel + 2 * math.pi / n * xp.sin(2 * math.pi * x) * self._ripple(x)

    def hessian(self, x: Array) -> Array:
        xp, n = self.library(x).xp, self.n_dims
        radius = self._radius(x)[..., None]
        at_origin = radius == 0
        safe = xp.where(at_origin, xp.ones_like(radius), radius)
        along = x / safe
        slope = 4 * xp.exp(-0.2 * radius) / n / safe
        outer = along[..., :, None] * along[..., None, :]
        funnel = _diagonal(xp.zeros_like(x) + slope)
        funnel = funnel - ((1 / safe + 0.2) * slope * safe / n)[..., None] * outer
        waves, ripple = xp.sin(2 * math.pi * x), self._ripple(x)
        steep = (2 * math.pi / n) ** 2 * ripple
        curved = _diagonal(n * steep * xp.cos(2 * math.pi * x))
        total = funnel + curved - steep[..., None] * waves[..., :, None] * waves[..., None, :]
        kink = _diagonal(xp.zeros_like(x) + float("inf"))
        return xp.where(at_origin[..., None], xp.where(kink > 0, kink, 0 * total), total)

    @staticmethod
    def _radius(x: Array) -> Array:
        xp = backend_of(x).xp
        return xp.sqrt(xp.mean(x**2, axis=-1))

    @staticmethod
    def _ripple(x: Array) -> Array:
        xp = backend_of(x).xp
        return xp.exp(xp.mean(xp.cos(2 * math.pi * x), axis=-1, keepdims=True))


class Plateau(Function):
    """A hole in a plain: ``r² / (1 + r²)``, where r is the distance from the origin.

    Far from the minimum the gradient dies out, as 2 / r³, and with it the steps of plain descent.

    Parameters
    ----------
    n_dims : int, default=2
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
    name : str, default=None
    """

    def __init__(
        self, n_dims: int = 2, domain: tuple[Any, Any] = (-5.0, 5.0), name: str | None = None
    ):
        super().__init__(_n_dims(n_dims, "Plateau"), domain, name)
        self.minima = [StationaryPoint(np.zeros(n_dims), 0.0, "minimum")]

    def value(self, x: Array) -> Array:
        square = self.library(x).xp.sum(x**2, axis=-1)
        return square / (1 + square)

    def gradient(self, x: Array) -> Array:
        square = self.library(x).xp.sum(x**2, axis=-1, keepdims=True)
        return 2 * x / (1 + square) ** 2

    def hessian(self, x: Array) -> Array:
        xp = self.library(x).xp
        height = 1 + xp.sum(x**2, axis=-1, keepdims=True)
        outer = x[..., :, None] * x[..., None, :]
        return _diagonal(xp.zeros_like(x) + 2 / height**2) - 8 * outer / (height**3)[..., None]


class Beale(SumOfSquares):
    """Steep corners and a flat valley.

    ``(1.5 - x + xy)² + (2.25 - x + xy²)² + (2.625 - x + xy³)²``. The only minimum is at
    (3, 0.5) (Beale, 1958).
    """

    def __init__(self, domain: tuple[Any, Any] = (-4.5, 4.5), name: str | None = None):
        parts = [_part(1.5, 1), _part(2.25, 2), _part(2.625, 3)]
        super().__init__(parts, domain, name)
        self.start = np.array([1.0, 1.0])


class Booth(SumOfSquares):
    """A bowl, three times as long as wide: ``(x + 2y - 7)² + (2x + y - 5)²``; minimum at (1, 3)."""

    def __init__(self, domain: tuple[Any, Any] = (-10.0, 10.0), name: str | None = None):
        parts = [Polynomial([[-7, 2], [1, 0]]), Polynomial([[-5, 1], [2, 0]])]
        super().__init__(parts, domain, name)


class Himmelblau(SumOfSquares):
    """Four equal minima: ``(x² + y - 11)² + (x + y² - 7)²`` (Himmelblau, 1972)."""

    def __init__(self, domain: tuple[Any, Any] = (-5.0, 5.0), name: str | None = None):
        parts = [
            Polynomial([[-11, 1], [0, 0], [1, 0]]),
            Polynomial([[-7, 0, 1], [1, 0, 0]]),
        ]
        super().__init__(parts, domain, name)
        self.start = np.array([0.0, 0.0])


class ThreeHumpCamel(Polynomial):
    """Three minima, the lowest at the origin: ``2x² - 1.05x⁴ + x⁶ / 6 + xy + y²``."""

    def __init__(self, domain: tuple[Any, Any] = (-5.0, 5.0), name: str | None = None):
        coefficients = np.zeros((7, 3))
        coefficients[[2, 4, 6], 0] = 2, -1.05, 1 / 6
        coefficients[1, 1], coefficients[0, 2] = 1, 1
        super().__init__(coefficients, domain, name or "ThreeHumpCamel")
        self.start = np.array([2.0, 1.5])


class SaddleEscape(Polynomial):
    """Two valleys with a pass between them: ``x⁴ / 4 - x² / 2 + y² / 2``.

    The saddle is at the origin, the minima at (±1, 0). `start` lies so near the y axis that plain
    descent comes to the saddle first, and stays for a while.
    """

    def __init__(self, domain: tuple[Any, Any] = (-2.0, 2.0), name: str | None = None):
        coefficients = np.zeros((5, 3))
        coefficients[[2, 4], 0] = -0.5, 0.25
        coefficients[0, 2] = 0.5
        super().__init__(coefficients, domain, name or "SaddleEscape")
        self.start = np.array([1e-4, 1.5])


class MonkeySaddle(Polynomial):
    """Three ways down and three up from the origin: ``x³ - 3xy²``.

    The Hessian is zero at the origin, which is the only stationary point; there is no minimum.
    """

    def __init__(self, domain: tuple[Any, Any] = (-2.0, 2.0), name: str | None = None):
        coefficients = np.zeros((4, 3))
        coefficients[3, 0], coefficients[1, 2] = 1, -3
        super().__init__(coefficients, domain, name or "MonkeySaddle")
        self.start = np.array([1.5, 0.1])


def _part(constant: float, power: int) -> Polynomial:
    """One of Beale's: ``constant - x + x y**power``."""
    coefficients = np.zeros((2, power + 1))
    coefficients[0, 0], coefficients[1, 0], coefficients[1, power] = constant, -1, 1
    return Polynomial(coefficients)


def _diagonal(columns: Array) -> Array:
    """Matrices ``(..., P, P)`` with the numbers ``(..., P)`` on their diagonals."""
    b = backend_of(columns)
    on = b.asarray(np.eye(columns.shape[-1]), dtype=b.xp.bool)
    return b.xp.where(on, columns[..., None], b.xp.zeros_like(columns[..., None]))


def _n_dims(n_dims: Any, name: str, at_least: int = 1) -> int:
    if not isinstance(n_dims, int | np.integer) or n_dims < at_least:
        raise ValueError(f"n_dims of {name} must be an int of at least {at_least}; got {n_dims!r}.")
    return int(n_dims)


FUNCTIONS: dict[str, Callable[[], Function]] = {
    "quadratic": lambda: Quadratic.of_condition(25.0, 2),
    "rosenbrock": Rosenbrock,
    "beale": Beale,
    "booth": Booth,
    "himmelblau": Himmelblau,
    "rastrigin": Rastrigin,
    "styblinski_tang": StyblinskiTang,
    "ackley": Ackley,
    "three_hump_camel": ThreeHumpCamel,
    "plateau": Plateau,
    "saddle_escape": SaddleEscape,
    "monkey_saddle": MonkeySaddle,
    "double_well": lambda: Polynomial([0, 0.3, -2, 0, 1], (-2.0, 2.0), "DoubleWell"),
    "matrix_quadratic": MatrixQuadratic,
    "matrix_factorisation": MatrixFactorisation,
}
