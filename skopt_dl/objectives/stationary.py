"""Where the gradient of a polynomial is zero: all such points, and what kind each is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property

import numpy as np

from skopt_dl.objectives import exact
from skopt_dl.objectives.function import (
    INFLECTION,
    MAXIMUM,
    MINIMUM,
    SADDLE,
    Function,
    StationaryPoint,
)

# Coefficients by their powers: (i,) or (i, j); zeros are left out.
Terms = Mapping[tuple[int, ...], Fraction]
Point = tuple[Fraction, ...]


class NotIsolatedError(ValueError):
    """Stationary points form a curve, or fill everything."""


class Algebraic(Function):
    """A polynomial of one or two variables, in whatever form it is evaluated.

    A subclass implements `terms`.
    """

    def terms(self) -> Terms:
        """Coefficients by their powers, as exact fractions."""
        raise NotImplementedError(f"{type(self).__name__} does not implement terms.")

    def stationary_points(self) -> list[StationaryPoint]:
        """All points where the gradient is zero, the lowest value first.

        The coefficients are taken as the decimal numbers that Python prints for them, and all
        that decides is computed with fractions: points are neither missed nor counted twice,
        however close or degenerate they are.

        Returns
        -------
        points : list of StationaryPoint
            In one variable the kind follows from the signs of the slope on both sides; in two, from
            the Hessian, and where that is singular, from the signs of the lowest terms on a small
            circle: "saddle" means lower and higher values in any neighbourhood.

        Raises
        ------
        ValueError
            If there are infinitely many.
        """
        return list(self._stationary)

    @cached_property
    def _stationary(self) -> list[StationaryPoint]:
        terms = dict(self.terms())
        find = _on_the_line if self.n_dims == 1 else _in_the_plane
        found = []
        for place, kind in find(terms, self.name):
            point = np.array([float(x) for x in place])
            found.append(StationaryPoint(point, _value(terms, place), kind))
        return sorted(found, key=lambda each: (each.value, *each.point.tolist()))

    @cached_property
    def minima(self) -> list[StationaryPoint]:
        """All local minima, the lowest first; empty where there are infinitely many."""
        try:
            return [each for each in self._stationary if each.kind == MINIMUM]
        except NotIsolatedError:
            return []

    @property
    def minimum(self) -> float:
        """The smallest value; -inf where there is none, NaN where it is not known."""
        return self._minimum

    @cached_property
    def _minimum(self) -> float:
        terms = dict(self.terms())
        degree = max(map(sum, terms), default=0)
        highest = {powers: c for powers, c in terms.items() if sum(powers) == degree}
        if degree and _kind_far_out(highest, Fraction(1)) != MINIMUM:
            return -np.inf
        if not self.minima:
            return np.nan
        lowest = self.minima[0].value
        # Where the highest terms leave it open, as x²y² does along the axes.
        terms[(0,) * self.n_dims] = terms.get((0,) * self.n_dims, Fraction(0)) - Fraction(lowest)
        far = 2**10 * Fraction(1 + max(float(np.abs(each.point).max()) for each in self.minima))
        return lowest if _kind_far_out(terms, far) == MINIMUM else np.nan


def _kind_far_out(terms: Terms, distance: Fraction) -> str:
    """Whether values at a distance from the origin are positive, negative, or both."""
    plane = {(*powers, 0)[:2]: c for powers, c in terms.items()}
    return _kind_on_circle(plane, distance)


def _value(terms: Terms, place: Point) -> float:
    """At a point that is known to many places, where floats might cancel."""
    parts = [
        c * math.prod((x**i for x, i in zip(place, powers, strict=True)), start=Fraction(1))
        for powers, c in terms.items()
    ]
    return 0.0 if exact.is_zero(parts) else float(sum(parts, Fraction(0)))


def _on_the_line(terms: Terms, name: str) -> list[tuple[Point, str]]:
    degree = max((i for (i,) in terms), default=0)
    slope = [i * terms.get((i,), Fraction(0)) for i in range(1, degree + 1)]
    if not slope:
        raise NotIsolatedError(
            f"{name} is constant: every point is stationary. Pass coefficients of x, x², …"
        )
    p = exact.rationals(slope)
    found: list[tuple[Point, str]] = []
    right = 1 if p[-1] > 0 else -1
    for x, multiplicity in reversed(exact.real_roots(p)):
        left = right if multiplicity % 2 == 0 else -right
        kind = INFLECTION if left == right else MINIMUM if right > 0 else MAXIMUM
        found.append(((x,), kind))
        right = left
    return found


def _in_the_plane(terms: Terms, name: str) -> list[tuple[Point, str]]:
    p = _integers(terms)
    along_y, along_x = exact.derivative2(p), _along_x(p)
    if not (along_x or along_y):
        raise NotIsolatedError(
            f"{name} is constant: every point is stationary. Pass coefficients of x, y, …"
        )
    places = _zeros(along_x, along_y, name)
    found: list[tuple[Point, str]] = []
    for place in places:
        others = [math.dist(map(float, place), map(float, each)) for each in places]
        nearest = min((d for d in others if d > 0), default=1.0)
        found.append((place, _kind(terms, place, min(nearest, 1.0))))
    return found


def _along_x(p: exact.Poly2) -> exact.Poly2:
    return exact.trimmed([exact.derivative(c) for c in p])


def _zeros(p: exact.Poly2, q: exact.Poly2, name: str) -> list[Point]:
    """Where both are zero; a common factor may be zero at single points, but not on a curve."""
    shared = exact.common_factor2(p, q)
    if len(shared) < 2 and len(shared[0]) < 2:
        return list(exact.solutions(p, q)) if p and q else []
    of_y, of_x = exact.derivative2(shared), _along_x(shared)
    several = exact.common_factor2(exact.common_factor2(shared, of_y), of_x)
    once = exact.quotient2(shared, several)
    on_curve = exact.point_on_curve(once)
    if on_curve is not None:
        x, y = on_curve
        raise NotIsolatedError(
            f"The stationary points of {name} form a curve, through ({x:.6g}, {y:.6g}) for one; "
            "they cannot be listed. Add a small term that tells them apart."
        )
    # Where a polynomial is zero at one point only, it has a minimum or a maximum.
    rest = exact.divided(once, exact.content_of(once))
    isolated = exact.solutions(rest, exact.derivative2(rest)) if len(rest) > 1 else []
    found = list(isolated)
    if p and q:
        others = exact.solutions(exact.quotient2(p, shared), exact.quotient2(q, shared))
        found += [place for place in others if not any(_same(place, each) for each in found)]
    return list(found)


def _same(a: Point, b: Point) -> bool:
    return all(exact.is_zero([x, -y]) for x, y in zip(a, b, strict=True))


def _kind(terms: Terms, place: Point, nearest: float) -> str:
    """What kind of stationary point it is; the nearest other one is so far away."""
    around = _shifted(terms, place)
    xx, xy, yy = (around.get(power, Fraction(0)) for power in ((2, 0), (1, 1), (0, 2)))
    determinant = [4 * xx * yy, -xy * xy]
    if not exact.is_zero(determinant):
        return SADDLE if sum(determinant) < 0 else MINIMUM if xx > 0 else MAXIMUM
    radius, kind = Fraction(nearest) / 2**6, ""
    for _ in range(8):
        before, kind = kind, _kind_on_circle(around, radius)
        if kind == before:
            break
        radius /= 2**4
    return kind


def _shifted(terms: Terms, place: Point) -> dict[tuple[int, ...], Fraction]:
    """Coefficients around a stationary point, without the constant."""
    x, y = place
    parts: dict[tuple[int, int], list[Fraction]] = {}
    for (i, j), c in terms.items():
        for k in range(i + 1):
            for m in range(j + 1):
                term = c * math.comb(i, k) * math.comb(j, m) * x ** (i - k) * y ** (j - m)
                parts.setdefault((k, m), []).append(term)
    return {
        power: sum(each, Fraction(0))
        for power, each in parts.items()
        if sum(power) > 1 and not exact.is_zero(each)
    }


def _kind_on_circle(around: Terms, radius: Fraction) -> str:
    """By the signs on a circle, whose points are ((1 - t²), 2t) / (1 + t²) times the radius."""
    degree = max(map(sum, around))
    total = [Fraction(0)] * (2 * degree + 1)
    for (i, j), c in around.items():
        factors = [[1, 0, -1]] * i + [[0, 2]] * j + [[1, 0, 1]] * (degree - i - j)
        for k, a in enumerate(exact.product(factors)):
            total[k] += c * radius ** (i + j) * a
    p = exact.rationals(total)
    if any(multiplicity % 2 for _, multiplicity in exact.real_roots(p)):
        return SADDLE
    return MINIMUM if p[-1] > 0 else MAXIMUM


def _integers(terms: Terms) -> exact.Poly2:
    """Times the positive number that makes the coefficients integers."""
    factor = math.lcm(*(c.denominator for c in terms.values())) if terms else 1
    n, m = (1 + max((power[axis] for power in terms), default=0) for axis in (0, 1))
    p = [[0] * n for _ in range(m)]
    for (i, j), c in terms.items():
        p[j][i] = int(c * factor)
    return exact.trimmed([exact.trimmed(c) for c in p])
