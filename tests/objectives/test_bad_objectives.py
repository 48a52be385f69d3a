"""What cannot be an objective is refused, by name and with a way on."""

import numpy as np
import pytest

from skopt_dl import objectives
from skopt_dl.objectives import (
    FUNCTIONS,
    Beale,
    Booth,
    FiniteSum,
    GivenGradients,
    MatrixFactorisation,
    MatrixQuadratic,
    Polynomial,
    Quadratic,
    Rosenbrock,
    SumOfSquares,
    from_callable,
)

LINE, PLANE = Polynomial([0, 1, 1]), Polynomial([[0, 1], [1, 1]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Polynomial([]), "at least one; got none"),
        (lambda: Polynomial([[], []]), "at least one; got none"),
        (lambda: Polynomial(3.0), "an array with 0 axes"),
        (lambda: Polynomial(np.zeros((2, 2, 2))), "an array with 3 axes"),
        (lambda: Polynomial([1, np.nan, 2]), r"all finite; got c\[1\] = nan"),
        (lambda: Polynomial([[1, 2], [np.inf, 2]]), r"all finite; got c\[1, 0\] = inf"),
        (lambda: Polynomial(["a"]), "must be numbers"),
        (lambda: Polynomial([[1, 2], [3]]), "in rows of equal length"),
        (lambda: Polynomial([1, 2], domain=(1, -1)), "domain of Polynomial must be a pair"),
        (lambda: Polynomial([1, 2], domain=3), "domain of Polynomial must be a pair"),
        (lambda: Polynomial([1, 2], domain=(0, np.nan)), "domain of Polynomial must be a pair"),
        (lambda: Polynomial([1, 2], domain=([0, 0], 1)), "domain of Polynomial must be a pair"),
        (lambda: SumOfSquares([]), "at least one"),
        (lambda: SumOfSquares([LINE, PLANE]), r"got \[1, 2\] variables"),
        (lambda: SumOfSquares([np.sin]), "must be Polynomials"),
        (lambda: Quadratic([[1, 2], [3, 4]]), r"Pass \(A \+ A.T\) / 2"),
        (lambda: Quadratic([[1, 2, 3]]), r"got shape \(1, 3\)"),
        (lambda: Quadratic([np.inf]), "not finite"),
        (lambda: Quadratic([1, 2], center=[1]), r"center of Quadratic must be of shape \(2,\)"),
        (lambda: Quadratic([1, 2], offset=np.nan), "offset of Quadratic must be a finite number"),
        (lambda: Quadratic([1, 2], offset="a"), "offset of Quadratic must be a finite number"),
        (lambda: Quadratic.of_condition(0.5), r"must be a float in \[1, inf\); got 0.5"),
        (lambda: Quadratic.of_condition(10.0, 1), "must be at least 2; got 1"),
        (lambda: Rosenbrock(1), "n_dims of Rosenbrock must be an int of at least 2; got 1"),
        (lambda: objectives.Ackley(2.5), "n_dims of Ackley must be an int"),
        (
            lambda: MatrixQuadratic((3, 0)),
            r"two ints of at least 1, rows and columns; got \(3, 0\)",
        ),
        (lambda: MatrixQuadratic(3), "shape of a MatrixQuadratic must be two ints"),
        (lambda: MatrixQuadratic(condition_number=0.1), "condition_number of MatrixQuadratic"),
        (lambda: MatrixFactorisation((3, 2), 3), "must be an int from 1 to 2; got 3"),
        (lambda: FiniteSum([]), "at least one; got none"),
        (lambda: FiniteSum([LINE, PLANE]), "got 1 in term 0 and 2 in term 1"),
        (lambda: FiniteSum([LINE, np.sin]), "as term 1. from_callable makes one"),
        (lambda: FiniteSum([LINE]).gradient_noise(np.zeros(1), 2), "at most 1 without replac"),
        (lambda: FiniteSum([LINE]).gradient_noise(np.zeros(1), 1, "all"), "got 'all'"),
        (lambda: GivenGradients([1.0, 2.0]), r"gradients must be of shape .* got shape \(2,\)"),
        (lambda: GivenGradients(np.ones((0, 2))).value_and_grad(np.ones((1, 2))), "All 0 grad"),
        (lambda: from_callable(lambda x: x[:, 0], 0), "n_dims of a function must be an int"),
        (lambda: LINE.check_points([[1, 2]], "starts"), r"starts of Polynomial .* \(n, 1\)"),
        (lambda: LINE.check_points([[1], [9]]), r"in its domain, .* got \[9.0\]. Pass domain="),
        (lambda: LINE.check_points([[np.nan]]), r"got \[nan\]"),
        (lambda: LINE.check_points([["a"]], "starts"), "starts of Polynomial must be numbers"),
    ],
)
def test_bad_values_are_answered_with_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("f", "options", "message"),
    [
        (lambda x: x, {}, r"f of own must return shape \(3,\) for points of shape \(3, 2\)"),
        (lambda x: x.sum(), {}, r"got shape \(\). Write x\[:, 0\]"),
        (lambda x: 1.0, {}, r"got shape \(\)"),
        (lambda x: x[0] ** 2 + x[1] ** 2, {}, r"got shape \(2,\)"),
        (lambda x: x[:, 7], {}, r"f of own failed on points of shape \(3, 2\).*index 7"),
        (lambda x, y: x, {}, "f of own failed on points"),
        (lambda x: x[:, 0] + 1j, {}, "f of own must return real numbers; got .*complex128"),
        (lambda x: x[:, 0].astype(object), {}, "f of own must return real numbers; got .*object"),
        (
            lambda x: x[:, 0],
            {"gradient": lambda x: x.astype(complex)},
            "gradient of own must return real numbers",
        ),
        (lambda x: x[:, 0], {"gradient": lambda x: x[:, 0]}, r"gradient of own.*\(3, 2\)"),
        (lambda x: x[:, 0], {"hessian": lambda x: x}, r"hessian of own must return.*\(3, 2, 2\)"),
    ],
)
def test_callable_of_the_wrong_shape_is_refused_when_it_is_passed(f, options, message):
    with pytest.raises(ValueError, match=message):
        from_callable(f, 2, name="own", **options)


def test_what_cannot_be_called_is_named():
    with pytest.raises(TypeError, match="f of own must be a function of points"):
        from_callable(3.0, 2, name="own")
    with pytest.raises(TypeError, match="gradient of own must be a function of points"):
        from_callable(lambda x: x[:, 0], 2, gradient=[1.0, 0.0], name="own")


class Foreign:
    """An array of a library that is not known."""

    shape = (2,)


def test_arrays_of_no_known_library_are_refused():
    for make in FUNCTIONS.values():
        with pytest.raises(TypeError, match="Convert it with numpy"):
            make().gradient(Foreign())


@pytest.mark.parametrize("method", ["value", "gradient", "hessian"])
@pytest.mark.parametrize("make", [*FUNCTIONS.values(), lambda: FiniteSum([Beale(), Booth()])])
def test_points_may_be_lists_and_arrays_of_integers(make, method):
    function = make()
    call = getattr(function, method)
    points = np.arange(2 * function.n_dims).reshape(2, -1) % 3 + 1
    expected = call(points.astype(float))
    for given in (points.tolist(), tuple(points.tolist()), points, points.astype(np.uint8)):
        found = call(given)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, expected)
    assert call(points.astype(np.float32)).dtype == np.float32


def test_noise_of_gradients_takes_lists():
    total = FiniteSum([Beale(), Booth(), Booth()])
    expected = total.gradient_noise(np.array([[1.0, 2.0]]), 2)
    np.testing.assert_array_equal(total.gradient_noise([[1, 2]], 2), expected)


@pytest.mark.parametrize("make", [lambda: LINE, Rosenbrock, lambda: FiniteSum([LINE])])
@pytest.mark.parametrize("point", [0.0, 3, np.float64(1.0), np.zeros(()), [], [[]]])
def test_point_without_coordinates_is_answered_with_the_shape(make, point):
    for method in ("value", "gradient", "hessian"):
        with pytest.raises(ValueError, match=r"must be of shape \(..., [12]\).*got shape"):
            getattr(make(), method)(point)


@pytest.mark.parametrize("point", [["a", "b"], [1j, 0], [[1.0], [2.0, 3.0]], [None, 1.0], [{}, 0]])
def test_point_that_is_no_numbers_is_refused_by_name(point):
    with pytest.raises(TypeError, match="Points of Rosenbrock must be real numbers"):
        Rosenbrock().value(point)


def test_points_of_another_number_of_variables_are_refused():
    for make in FUNCTIONS.values():
        function = make()
        for method in ("value", "gradient", "hessian"):
            with pytest.raises(ValueError, match=f"of shape .*{function.n_dims}.*; got shape"):
                getattr(function, method)(np.zeros((3, function.n_dims + 1)))


# Functions of one's own


def f(x):
    return x[:, 0] ** 3 * x[:, 1] + np.sin(x[:, 2])


def gradient(x):
    return np.stack([3 * x[:, 0] ** 2 * x[:, 1], x[:, 0] ** 3, np.cos(x[:, 2])], axis=1)


def hessian(x):
    nothing = np.zeros(len(x))
    rows = [
        [6 * x[:, 0] * x[:, 1], 3 * x[:, 0] ** 2, nothing],
        [3 * x[:, 0] ** 2, nothing, nothing],
        [nothing, nothing, -np.sin(x[:, 2])],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_missing_derivatives_are_central_differences(dtype):
    x = np.random.default_rng(0).uniform(-3, 3, (4, 3)).astype(dtype)
    exact = x.astype(float)
    rounding = 0 if dtype is np.float64 else 2e-6
    by_values, by_gradients = from_callable(f, 3), from_callable(f, 3, gradient)
    for own in (by_values, by_gradients):
        assert own.gradient(x).dtype == own.hessian(x).dtype == dtype
        np.testing.assert_allclose(own.gradient(x), gradient(exact), rounding, 1e-8 + 10 * rounding)
    np.testing.assert_allclose(by_values.hessian(x), hessian(exact), rounding, 1e-5 + 10 * rounding)
    tolerance = 1e-8 + 10 * rounding
    np.testing.assert_allclose(by_gradients.hessian(x), hessian(exact), rounding, tolerance)
    own = from_callable(f, 3, gradient, hessian)
    np.testing.assert_allclose(own.hessian(x), hessian(exact), 10 * rounding, 10 * rounding)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, bool])
def test_values_that_are_integers_become_floats(kind):
    """Those of unsigned ones would wrap around in a difference."""
    step = from_callable(lambda x: (x[:, 0] < 0).astype(kind), 1)
    assert step.value(np.array([[-1.0]])).dtype == np.float64
    at_the_edge = step.gradient(np.array([[0.0]]))
    np.testing.assert_allclose(at_the_edge, -1 / (2 * np.finfo(float).eps ** (1 / 3)), rtol=1e-6)


def test_own_function_has_its_name_and_domain_and_any_number_of_points():
    own = from_callable(f, 3, domain=([-1, -2, -3], 4))
    assert own.name == "f"
    assert own.lower.tolist() == [-1, -2, -3]
    assert own.upper.tolist() == [4, 4, 4]
    assert own.value(np.ones((2, 5, 3))).shape == (2, 5)
    assert own.hessian(np.ones(3)).shape == (3, 3)
    assert own.minima == []
