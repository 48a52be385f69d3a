"""Stationary points of polynomials: all of them, and of the right kind."""

import json
import math
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skopt_dl.objectives import Polynomial, SumOfSquares
from skopt_dl.objectives.stationary import NotIsolatedError

CASES = json.loads((Path(__file__).parents[1] / "references/stationary_points.json").read_text())

# Roots on a grid of eighths, each with a multiplicity.
EIGHTHS = st.integers(-24, 24).map(lambda n: n / 8)
ROOTS = st.dictionaries(EIGHTHS, st.integers(1, 3), max_size=3)
FEW_ROOTS = st.dictionaries(EIGHTHS, st.integers(1, 2), max_size=2)


def found(function):
    """Points, values and kinds, by their coordinates."""
    points = sorted(function.stationary_points(), key=lambda each: each.point.tolist())
    return (
        np.array([each.point for each in points]).reshape(-1, function.n_dims),
        np.array([each.value for each in points]),
        [each.kind for each in points],
    )


def assert_points(function, expected):
    """Compare with ``[point, value, kind]``, in whatever order."""
    points, values, kinds = found(function)
    expected = sorted(expected, key=lambda each: list(each[0]))
    assert len(points) == len(expected)
    if expected:
        np.testing.assert_allclose(points, [each[0] for each in expected], 1e-14, atol=1e-15)
        np.testing.assert_allclose(values, [each[1] for each in expected], 1e-14, atol=1e-30)
    assert kinds == [each[2] for each in expected]


def integral(p):
    """Integer coefficients of a multiple of the integral of p, from 0."""
    factor = math.lcm(*range(1, len(p) + 1))
    scale = math.lcm(*(Fraction(c).denominator for c in p))
    return [0, *(int(Fraction(c) * scale) * factor // (i + 1) for i, c in enumerate(p))]


def with_slope(roots, sign):
    """A polynomial whose derivative has these roots, and what it must say of them."""
    slope = [Fraction(sign)]
    for root, multiplicity in roots.items():
        for _ in range(multiplicity):
            above, below = [Fraction(0), *slope], [*slope, Fraction(0)]
            slope = [a - Fraction(root) * b for a, b in zip(above, below, strict=True)]
    coefficients = integral(slope)
    kinds, right = {}, sign
    for root in sorted(roots, reverse=True):
        left = right * (-1) ** roots[root]
        kinds[root] = {(-1, 1): "minimum", (1, -1): "maximum"}.get((left, right), "inflection")
        right = left
    return coefficients, kinds


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['name']}")
def test_points_are_those_of_an_independent_library(case):
    function = Polynomial(case["coefficients"])
    assert_points(function, case["points"])


@given(ROOTS, st.sampled_from([-1, 1]))
@settings(max_examples=60, deadline=None)
def test_roots_of_the_slope_are_found_with_their_kinds(roots, sign):
    coefficients, kinds = with_slope(roots, sign)
    points, _, named = found(Polynomial(coefficients))
    assert points[:, 0].tolist() == sorted(kinds)
    assert named == [kinds[root] for root in sorted(kinds)]


@given(FEW_ROOTS, FEW_ROOTS, *[st.sampled_from([-1, 1])] * 2, st.integers(-2, 2))
@settings(max_examples=25, deadline=None)
def test_points_of_a_sheared_sum_are_pairs_of_points(along_x, along_y, sign_x, sign_y, shear):
    """``a(x + s y) + b(y)`` is stationary where a and b are."""
    a, kinds_a = with_slope(along_x, sign_x)
    b, kinds_b = with_slope(along_y, sign_y)
    coefficients = np.zeros((len(a), max(len(a), len(b))))
    coefficients[0, : len(b)] = b
    for i, c in enumerate(a):
        for j in range(i + 1):
            coefficients[i - j, j] += c * math.comb(i, j) * shear**j
    expected = {
        (u - shear * v, v): first if first == second != "inflection" else "saddle"
        for (u, first), (v, second) in product(kinds_a.items(), kinds_b.items())
    }
    points, _, kinds = found(Polynomial(coefficients))
    assert dict(zip(map(tuple, points.tolist()), kinds, strict=True)) == expected


@given(st.lists(st.integers(-4, 4), min_size=10, max_size=10).filter(lambda c: any(c[6:])))
@settings(max_examples=15, deadline=None)
def test_newtons_method_finds_no_point_that_is_missing(numbers):
    """Cubics of two variables, from many starting points."""
    coefficients = np.zeros((4, 4))
    powers = sorted(((i, j) for i in range(4) for j in range(4 - i)), key=sum)
    for power, c in zip(powers, numbers, strict=True):
        coefficients[power] = c
    function = Polynomial(coefficients)
    try:
        points = np.array([each.point for each in function.stationary_points()]).reshape(-1, 2)
    except NotIsolatedError:
        return
    assert len(points) <= 4  # Bézout
    x = np.random.default_rng(0).uniform(-5, 5, (200, 2))
    for _ in range(60):
        step = np.linalg.pinv(function.hessian(x)) @ function.gradient(x)[..., None]
        x = np.clip(x - step[..., 0], -1e6, 1e6)
    size = 1 + np.abs(x).max(axis=1)
    there = np.linalg.norm(function.gradient(x), axis=1) <= 1e-13 * size**2
    for place in x[there]:
        assert np.abs(points - place).max(axis=1).min() < 1e-5 * (1 + np.abs(place).max())


def polynomial(terms):
    """Of two variables, from coefficients by powers."""
    coefficients = np.zeros((7, 7))
    for power, c in terms.items():
        coefficients[power] = c
    return Polynomial(coefficients)


SQUARE = {(4, 0): 1, (2, 2): 2, (0, 4): 1}


@pytest.mark.parametrize(
    ("terms", "value"),
    [
        pytest.param(SQUARE, 0.0, id="(x² + y²)²"),
        pytest.param({**SQUARE, (2, 0): 2, (0, 2): 2, (0, 0): 1}, 1.0, id="(x² + y² + 1)²"),
    ],
)
def test_slopes_may_have_a_common_factor_that_is_no_curve(terms, value):
    assert_points(polynomial(terms), [[[0.0, 0.0], value, "minimum"]])


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param({(2, 0): 1}, id="x²"),
        pytest.param({(0, 3): 1}, id="y³"),
        pytest.param({(2, 2): 1}, id="x²y²"),
        pytest.param({**SQUARE, (2, 0): -2, (0, 2): -2}, id="ring"),
        pytest.param({(2, 0): 1, (1, 2): -2, (0, 4): 1}, id="(x - y²)²"),
        pytest.param({(6, 0): 1, (3, 3): -2, (0, 6): 1}, id="(x³ - y³)²"),
        pytest.param({(4, 0): 1, (2, 0): -4, (0, 0): 1}, id="three lines"),
    ],
)
def test_curve_of_stationary_points_is_an_error_that_names_a_point_on_it(terms):
    function = polynomial(terms)
    with pytest.raises(ValueError, match="form a curve, through") as raised:
        function.stationary_points()
    place = str(raised.value).partition("(")[2].partition(")")[0]
    np.testing.assert_allclose(function.gradient(np.array(eval(place), float)), 0, atol=1e-4)
    assert function.minima == []
    assert not np.isfinite(function.minimum)


@pytest.mark.parametrize("coefficients", [[3.0], [[3.0]], [0.0]])
def test_constant_is_stationary_everywhere(coefficients):
    with pytest.raises(ValueError, match="is constant: every point is stationary"):
        Polynomial(coefficients).stationary_points()


@pytest.mark.parametrize(
    ("coefficients", "minimum"),
    [
        ([0, -3, 0, 1], -np.inf),
        ([0, 0, -1], -np.inf),
        ([2, -2, 1], 1.0),
        ([[0, -3], [1, 0]], -np.inf),
        ([[0, 0, 1], [0, 0, 0], [1, 0, 0]], 0.0),
        # Zero is approached along the hyperbola xy = 1, and never reached.
        ([[1, 0, 0], [0, -2, 0], [1, 0, 1]], np.nan),
        # The highest terms, x²y², are zero along the axes.
        ([[0, 0, 1], [0, 0, 0], [1, 0, 1]], 0.0),
    ],
)
def test_smallest_value_is_that_of_a_minimum_only_where_nothing_lies_below(coefficients, minimum):
    np.testing.assert_equal(Polynomial(coefficients).minimum, minimum)


def test_sum_of_squares_has_the_points_of_the_expanded_polynomial():
    parts = [Polynomial([[0.5, -1], [1, 0]]), Polynomial([[-2, 0, 1], [0, 0, 0], [1, 0, 0]])]
    expanded = np.zeros((5, 5))
    for part in parts:
        for (i, a), (j, b) in product(np.ndenumerate(part.coefficients), repeat=2):
            expanded[i[0] + j[0], i[1] + j[1]] += a * b
    expected = [[p.point, p.value, p.kind] for p in Polynomial(expanded).stationary_points()]
    assert len(expected) == 5
    assert_points(SumOfSquares(parts), expected)


def test_decimal_coefficients_mean_what_is_written():
    """As binary fractions, 0.1, 0.4 and 0.6 would split this minimum of order four in three."""
    function = Polynomial([0.1, -0.4, 0.6, -0.4, 0.1])
    assert_points(function, [[[1.0], 0.0, "minimum"]])
