"""What is convex is never refuted, what is refuted is not convex, and proofs are exact."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skopt_dl import lab, objectives
from skopt_dl.lab.chords import precision
from skopt_dl.lab.convex import _rank_if_semidefinite
from skopt_dl.objectives import FUNCTIONS, FiniteSum, Function, Polynomial, Quadratic

INF = np.inf


def exact_violation(coefficients, c):
    """By how much a polynomial is above a chord, in fractions of the points' floats."""
    exact = [Fraction(repr(float(a))) for a in coefficients]

    def value(x):
        return sum(a * x**i for i, a in enumerate(exact))

    start, end = Fraction(float(c.start[0])), Fraction(float(c.end[0]))
    share = Fraction(c.share)
    between = start + share * (end - start)
    return value(between) - (1 - share) * value(start) - share * value(end)


def assert_is_counterexample(found, f):
    c = found.counterexample
    for point in (c.start, c.between, c.end):
        assert (found.lower <= point).all()
        assert (point <= found.upper).all()
    np.testing.assert_allclose(c.between, c.start + c.share * (c.end - c.start), rtol=1e-12)
    values = np.asarray(f(np.array([c.start, c.between, c.end])), dtype=float)
    np.testing.assert_array_equal(values, c.values)
    chord = (1 - c.share) * values[0] + c.share * values[2]
    assert values[1] - chord == pytest.approx(c.violation, rel=1e-6)
    assert c.violation > 30 * c.rounding
    assert c.ratio == pytest.approx(c.violation / c.rounding)


# Functions that are known


CONVEX = {"quadratic", "booth", "matrix_quadratic"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_known_functions_are_decided_rightly(name):
    f = FUNCTIONS[name]()
    found = lab.convexity(f)
    assert found.verdict == ("proved" if name in CONVEX else "refuted")
    if name in CONVEX:
        assert found.strict
        assert found.strong == pytest.approx(np.linalg.eigvalsh(f.hessian(f.start))[0], rel=1e-6)
    else:
        assert_is_counterexample(found, f.value)


def test_verdict_depends_on_the_domain():
    cube = Polynomial([0, 0, 0, 1])
    assert lab.convexity(cube, (0, 5)).verdict == "proved"
    assert lab.convexity(cube, (0, INF)).verdict == "proved"
    assert lab.convexity(cube, (-1e-6, 5)).verdict == "refuted"
    everywhere = lab.convexity(cube, (-INF, INF))
    assert everywhere.negative == (-INF, 0.0)
    rosenbrock = objectives.Rosenbrock()
    near = lab.convexity(rosenbrock, ((0.95, 0.7), (1.05, 0.8)))
    assert near.verdict == "undecided"
    assert near.smallest_eigenvalue > 0
    assert near.tried["points"] > 1000


# One-variable polynomials


def test_interval_of_the_double_well_is_between_its_inflections():
    found = lab.convexity(Polynomial([0, 0, -2, 0, 1]))
    np.testing.assert_allclose(found.negative, [-((1 / 3) ** 0.5), (1 / 3) ** 0.5], rtol=1e-15)
    # f(0) is 0, f at the inflections is 1/9 - 2/3.
    assert found.counterexample.violation == pytest.approx(5 / 9)
    assert "refuted" in repr(found)
    assert "above the chord" in repr(found)


@pytest.mark.parametrize(
    ("coefficients", "domain", "strict", "strong"),
    [
        ([3], (-5, 5), False, 0),
        ([3, 1e9], (-5, 5), False, 0),
        ([0, -1, 2], (-INF, INF), True, 4),
        ([0, 0, 1, 0, 1], (-5, 5), True, 2),
        ([0, 0, 1, 0, 1], (1, 2), True, 14),
        ([0, 0, 0, 0, 1], (-5, 5), True, 0),
        ([0, 0, 0, 1], (0, 5), True, 0),
        ([0, 0, 0, 1], (1, 5), True, 6),
        ([0, 0, 6, -4, 1], (-5, 5), True, 0),  # 12 (x - 1)²
        ([0, 0, 6.5, -4, 1], (-5, 5), True, 1),
    ],
)
def test_convex_polynomials_are_proved_with_their_constants(coefficients, domain, strict, strong):
    found = lab.convexity(Polynomial(coefficients), domain)
    assert (found.verdict, found.strict) == ("proved", strict)
    assert found.strong == pytest.approx(strong, abs=0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=4), st.integers(0, 3))
def test_polynomials_whose_second_derivative_is_a_square_are_proved_or_left_alone(root, extra):
    square = np.polynomial.polynomial.polymul(root, root)
    curvature = np.polynomial.polynomial.polyadd(square, [extra])
    floats = np.polynomial.polynomial.polyint(curvature, 2)
    assert lab.convexity(Polynomial(floats)).verdict in ("proved", "undecided")
    # 1 · 2, 2 · 3, … divide this: nothing is rounded.
    assert lab.convexity(Polynomial(np.round(floats * 5040))).verdict == "proved"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8), st.integers(-3, 3))
def test_polynomials_agree_with_a_fine_grid(coefficients, low):
    f = Polynomial(coefficients)
    found = lab.convexity(f, (low, low + 4))
    x = np.linspace(low, low + 4, 4001)
    curvature = f.hessian(x[:, None])[:, 0, 0]
    if curvature.min() < 0:
        assert found.verdict == "refuted"
        middle = sum(found.negative) / 2
        assert f.hessian(np.array([[middle]])).item() < 0
        violation = exact_violation(f.coefficients, found.counterexample)
        assert violation > 0
        assert float(violation) == pytest.approx(found.counterexample.violation, rel=1e-12)
    elif found.verdict == "proved":
        assert not found.strong > curvature.min()
        if found.strong > 0:
            assert found.strong == pytest.approx(curvature.min(), rel=0.05)
    else:
        # It dips between two points of the grid.
        assert curvature.min() < 1e-3 * np.abs(curvature).max()


@pytest.mark.parametrize("center", [0.1, 1 / 3, 0.7, 2.1])
@pytest.mark.parametrize("power", [2, 4, 6])
def test_rounded_coefficients_of_a_barely_convex_polynomial_refute_nothing(center, power):
    coefficients = np.polynomial.polynomial.polyfromroots([center] * power)
    for f in (Polynomial(coefficients), Polynomial(-coefficients)):
        found = lab.convexity(f)
        assert found.verdict == ("refuted" if f.coefficients[-1] < 0 else found.verdict)
        if f.coefficients[-1] > 0:
            assert found.verdict in ("proved", "undecided")


def test_polynomial_that_rounding_may_have_made_non_convex_is_undecided():
    # 12 (x - 1)² with its constant less by one unit in the last place.
    found = lab.convexity(Polynomial([0, 0, np.nextafter(6, 0), -4, 1]))
    assert found.verdict == "undecided"
    assert "rounding" in found.reason
    assert found.negative[0] < 1 < found.negative[1]


# Functions of second degree


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 6), st.integers(0, 10**6))
def test_rank_of_a_gram_matrix_is_found_by_elimination(n, rank, seed):
    factor = np.random.default_rng(seed).integers(-3, 4, (rank, n))
    gram = factor.T @ factor
    rows = [[Fraction(int(a)) for a in row] for row in gram]
    assert _rank_if_semidefinite(rows) == np.linalg.matrix_rank(gram)
    rows[0][0] -= gram[0, 0] + 1
    assert _rank_if_semidefinite(rows) is None


def test_quadratics_are_decided_by_their_eigenvalues():
    assert lab.convexity(Quadratic.of_condition(1e6, 5, seed=0)).strong == pytest.approx(1e-6)
    flat = lab.convexity(Quadratic([1.0, 0.0]))
    assert (flat.verdict, flat.strict, flat.strong) == ("proved", False, 0.0)
    saddle = Quadratic([[0.0, 1.0], [1.0, 0.0]])
    found = lab.convexity(saddle, (-INF, INF))
    assert found.verdict == "refuted"
    assert found.smallest_eigenvalue == pytest.approx(-1)
    assert_is_counterexample(found, saddle.value)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=6))
def test_matrix_of_rank_one_is_never_refuted(vector):
    assert lab.convexity(Quadratic(np.outer(vector, vector))).verdict != "refuted"


def test_curvature_that_large_values_hide_is_refuted_all_the_same():
    found = lab.convexity(Quadratic([1.0, -1e-3], center=[1e8, 1e8]))
    assert found.verdict == "refuted"
    assert found.counterexample.violation == pytest.approx(0.0125)
    assert found.counterexample.ratio < 1


def test_polynomials_of_second_degree_in_two_variables_are_quadratics():
    bowl = lab.convexity(Polynomial([[0, 0, 1], [0, 1, 0], [1, 0, 0]]))
    assert (bowl.verdict, bowl.strong) == ("proved", pytest.approx(1))  # [[2, 1], [1, 2]]
    assert lab.convexity(Polynomial([[0, 0, 1], [0, 3, 0], [1, 0, 0]])).verdict == "refuted"
    assert lab.convexity(Polynomial([[0, 0, 1], [0, 2, 0], [1, 0, 0]])).strict is False


def test_sum_can_be_convex_though_its_terms_are_not():
    terms = [Polynomial([0, 0, 1, 1]), Polynomial([0, 0, 1, -1])]
    assert [lab.convexity(term).verdict for term in terms] == ["refuted", "refuted"]
    assert lab.convexity(FiniteSum(terms)).verdict == "proved"


# Any function

numbers = st.floats(-1e6, 1e6)
small = st.floats(-3, 3)


# Functions of two variables that are convex, some by little or not strictly.
KINDS = {
    "constant": lambda x, y, n, s: n[0] + 0 * x,
    "linear": lambda x, y, n, s: n[0] * x + n[1] * y + n[2],
    "linear, cancelling": lambda x, y, n, s: ((1 + abs(n[0])) * x + 1e12) - 1e12 + n[1] * (y - x),
    "cancelling": lambda x, y, n, s: (x + 1e12) - 1e12 - x + 1e-3 * y**2,
    "nearly constant": lambda x, y, n, s: np.sin(x) ** 2 + np.cos(x) ** 2 + n[0],
    "kink": lambda x, y, n, s: np.abs(n[0] * x + n[1] * y + n[2]),
    "largest": lambda x, y, n, s: np.maximum(np.maximum(n[0] * x, n[1] * y), n[2] + x),
    "square": lambda x, y, n, s: (s[0] * x + s[1] * y + s[2]) ** 2,
    "expanded square": lambda x, y, n, s: x * x - 2 * s[0] * x + s[0] ** 2 + n[0],
    "expanded fourth power": lambda x, y, n, s: (
        x**4 - 4 * s[0] * x**3 + 6 * s[0] ** 2 * x**2 - 4 * s[0] ** 3 * x + s[0] ** 4
    ),
    "exponential": lambda x, y, n, s: np.exp(s[0] * x + s[1] * y),
    "log of a sum": lambda x, y, n, s: np.logaddexp(s[0] * x, s[1] * y),
    "norm": lambda x, y, n, s: np.hypot(x - s[0], y - s[1]),
    "almost linear": lambda x, y, n, s: n[0] * x + 1e-12 * y**2,
    "single precision": lambda x, y, n, s: (
        x.astype(np.float32) ** 2 + np.float32(s[0]) * y.astype(np.float32)
    ).astype(np.float32),
    "-log": lambda x, y, n, s: -np.log(x) + n[0],
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@example(large=(0.0, 5e-324, 0.0), little=(0.0, 0.0, 0.0), seed=0)
@given(large=st.tuples(*[numbers] * 3), little=st.tuples(*[small] * 3), seed=st.integers(0, 100))
def test_convex_functions_are_never_refuted(kind, large, little, seed):
    def f(x):
        return KINDS[kind](x[:, 0], x[:, 1], large, little)

    with np.errstate(all="ignore"):
        found = lab.convexity(f, ([-2, -2], [2, 2]), n_points=200, seed=seed)
    assert found.verdict == "undecided", found


@pytest.mark.parametrize("size", [1e-8, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1.0, -1e3])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: -(x[:, 0] ** 2) + 3 * x[:, 1],
        lambda x: np.minimum(x[:, 0], x[:, 1]),
        lambda x: np.sqrt(np.abs(x[:, 0])),
        lambda x: np.sin(3 * x[:, 0]) + x[:, 1] ** 2,
        lambda x: (x[:, 0] > 0.3).astype(float),
        lambda x: x[:, 0] * x[:, 1],
    ],
)
def test_functions_that_are_not_convex_are_refuted_at_any_scale(f, size, offset):
    def scaled(x):
        return size * f(x) + size * offset

    found = lab.convexity(scaled, ([-2, -2], [2, 2]), n_points=300)
    assert found.verdict == "refuted"
    assert_is_counterexample(found, scaled)


def test_single_precision_is_noticed_and_refutes_what_is_clear():
    assert precision(np.array([0.1, np.nan])) == np.finfo(np.float64).eps
    assert precision(np.array([0.1], np.float32).astype(float)) == np.finfo(np.float32).eps
    found = lab.convexity(lambda x: np.cos(x.astype(np.float32)).sum(axis=1), n_dims=2)
    assert found.verdict == "refuted"


def test_small_dent_is_found_by_looking_around():
    def dented(x):
        return (x**2).sum(axis=1) - 0.05 * np.exp(-200 * ((x - 0.61) ** 2).sum(axis=1))

    assert lab.convexity(dented, ([-2, -2], [2, 2])).verdict == "refuted"


def test_points_without_a_value_are_counted_and_prove_nothing():
    with np.errstate(all="ignore"):
        found = lab.convexity(lambda x: -np.log(x[:, 0]), (-1, 1))
    assert found.verdict == "undecided"
    assert "no finite value" in found.reason
    assert 400 < found.tried["points"] < 600


def test_function_without_derivatives_is_looked_at_by_secants():
    class Bump(Function):
        def value(self, x):
            return np.cos(x[..., 0])

    assert lab.convexity(Bump(1)).verdict == "refuted"

    class Bowl(Function):
        def value(self, x):
            return x[..., 0] ** 2

    found = lab.convexity(Bowl(1))
    assert (found.verdict, found.tried["hessians"]) == ("undecided", 0)
    assert found.tried["tangents"] == 0


class Counted(Function):
    """A sum of cosines or squares that counts the numbers its derivatives would cost."""

    def __init__(self, n_dims, of_one):
        super().__init__(n_dims)
        self.of_one, self.hessians, self.gradients = of_one, 0, 0

    def value(self, x):
        return self.of_one(x).sum(axis=-1)

    def gradient(self, x):
        self.gradients += len(x)
        return (self.of_one(x + 1e-6) - self.of_one(x - 1e-6)) / 2e-6

    def hessian(self, x):
        self.hessians += len(x)
        around = self.of_one(x + 1e-3) - 2 * self.of_one(x) + self.of_one(x - 1e-3)
        return around[..., None] * 1e6 * np.eye(self.n_dims)


@pytest.mark.parametrize(
    ("n_dims", "hessians", "gradients"),
    [(2, 2000, 1006), (30, 1200, 1002), (60, 139, 1002), (100, 31, 1002), (400, 0, 625)],
)
def test_work_is_bounded_in_many_dimensions_and_what_was_tried_is_said(n_dims, hessians, gradients):
    f = Counted(n_dims, np.square)
    found = lab.convexity(f)
    assert found.verdict == "undecided"
    assert found.tried["hessians"] == f.hessians <= hessians
    assert found.tried["tangents"] == f.gradients <= gradients
    assert f"{f.gradients} tangents" in found.reason
    assert ("more than 100 variables no Hessians" in found.reason) == (n_dims > 100)
    assert lab.convexity(Counted(n_dims, np.cos)).verdict == "refuted"


def test_equal_seeds_give_equal_answers():
    one, other = (lab.convexity(objectives.Beale(), seed=3) for _ in range(2))
    assert repr(one) == repr(other)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((3,), {}, TypeError, "callable in array code; got 3"),
        ((abs,), {}, ValueError, "pass n_dims="),
        ((Polynomial([1]), (2, 1)), {}, ValueError, "lower < upper"),
        ((Polynomial([1]), 7), {}, ValueError, "got 7"),
        ((objectives.Beale(), ([0, 0, 0], [1, 1, 1])), {}, ValueError, "2 each"),
        ((objectives.Beale(), (-INF, INF)), {}, ValueError, "must be finite"),
        ((objectives.Beale(),), {"n_points": 0}, ValueError, "n_points must be"),
        ((lambda x: x, (0, 1)), {}, ValueError, "must return shape"),
        (
            (lambda x: np.nan * x[:, 0],),
            {"n_dims": 1},
            ValueError,
            "no finite value at any of 1003 points from -5 to 5: .* pass domain=",
        ),
        ((objectives.Rosenbrock(),), {"n_dims": 5}, ValueError, "Rosenbrock is 2; got 5"),
        ((objectives.Booth(),), {"n_dims": 1}, ValueError, "Booth is 2; got 1"),
        ((objectives.Beale(),), {"seed": -1}, ValueError, "seed must be .* at least 0; got -1"),
        ((Polynomial([1]),), {"seed": 0.5}, ValueError, "seed must be .* got 0.5"),
        ((len,), {"n_dims": 10**6}, ValueError, "len has 1,000,000 variables.*of up to 1,000"),
        ((objectives.Rosenbrock(1001),), {}, ValueError, "Rosenbrock has 1,001 variables"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, options, error, message):
    with pytest.raises(error, match=message):
        lab.convexity(*arguments, **options)
