"""Grids, normal equations, and what accuracy costs."""

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import brute
from sklearn.linear_model import LinearRegression, Ridge

from skopt_dl import MLPRegressor, lab
from skopt_dl.lab import brute_force
from skopt_dl.objectives import (
    Beale,
    Himmelblau,
    MonkeySaddle,
    Plateau,
    Polynomial,
    Quadratic,
    Rosenbrock,
    StyblinskiTang,
    from_callable,
)


@pytest.mark.parametrize(
    "function", [Himmelblau(), Beale(), StyblinskiTang(3), Polynomial([1, -2, 0, 1])], ids=str
)
@pytest.mark.parametrize("n_points", [2, 17])
def test_grid_search_finds_the_point_that_scipy_finds(function, n_points, monkeypatch):
    monkeypatch.setattr(brute_force, "TOGETHER", 100)  # many pieces
    found = lab.grid_search(function, n_points)
    ranges = [
        slice(low, high, n_points * 1j)
        for low, high in zip(function.lower, function.upper, strict=True)
    ]
    place, value, *_ = brute(
        lambda x: float(function.value(np.array(x))), ranges, finish=None, full_output=True
    )
    np.testing.assert_array_equal(found.point, np.atleast_1d(place))
    assert found.value == value
    assert found.gap == value - function.minimum
    assert found.evaluations == n_points**function.n_dims


def test_every_point_is_evaluated_once(monkeypatch):
    monkeypatch.setattr(brute_force, "TOGETHER", 7)
    seen = []

    def f(x):
        seen.append(x)
        return x[:, 0] * 0

    function = from_callable(f, 2, domain=(0, 2))
    seen.clear()
    lab.grid_search(function, 3)
    expected = [[i, j] for i in range(3) for j in range(3)]
    np.testing.assert_array_equal(np.concatenate(seen), expected)


def test_spacing_bounds_how_far_the_minimum_is():
    found = lab.grid_search(Himmelblau(), 40)
    nearest = min(np.linalg.norm(found.point - m.point) for m in Himmelblau().minima)
    assert nearest <= np.linalg.norm(found.spacing) / 2


def test_values_that_are_not_numbers_are_passed_over():
    function = from_callable(lambda x: np.where(x[:, 0] < 0, np.nan, x[:, 0]), 1, domain=(-1, 1))
    assert lab.grid_search(function, 5).point.tolist() == [0.0]


def test_grid_that_is_too_large_is_refused_with_its_size():
    message = (
        r"100 points along each of the 6 variables of Rosenbrock has 1e\+12 points, and their "
        r"values alone take 7.28 TiB; max_evaluations is 1e\+08. Take n_points=21, or"
    )
    with pytest.raises(ValueError, match=message):
        lab.grid_search(Rosenbrock(6), 100)
    with pytest.raises(ValueError, match="take fewer variables"):
        lab.grid_search(Plateau(40), 2)


def test_advice_on_a_grid_that_is_too_large_can_be_taken():
    assert lab.grid_search(Plateau(3), 10, max_evaluations=1000).evaluations == 1000
    with pytest.raises(ValueError, match="Take n_points=10,"):
        lab.grid_search(Plateau(3), 11, max_evaluations=1000)


def test_cost_of_a_grid_is_a_power_of_the_dimension():
    table = lab.grid_cost(10)
    np.testing.assert_array_equal(table["n_dims"], np.arange(1, 11))
    np.testing.assert_array_equal(table["evaluations"], 10.0 ** np.arange(1, 11))
    np.testing.assert_array_equal(table["bytes"], 8 * table["evaluations"])


def test_cost_of_a_grid_beyond_all_numbers_is_infinite():
    table = lab.grid_cost(10**6, [2, 1000])
    assert table["evaluations"].tolist() == [1e12, np.inf]
    assert table["bytes"].tolist() == [8e12, np.inf]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lab.grid_search(Plateau(), 1), ValueError, "n_points must be an int of at least"),
        (lambda: lab.grid_search(Plateau(), 2.5), ValueError, "n_points must be .* got 2.5"),
        (lambda: lab.grid_search(np.sin, 5), TypeError, "function must be a Function.*got ufunc"),
        (lambda: lab.grid_cost(0), ValueError, "n_points must be an int of at least 2; got 0"),
        (
            lambda: lab.grid_search(from_callable(lambda x: x[:, 0] * np.nan, 2, name="f"), 5),
            ValueError,
            r"No value of f is finite at the 25 points .* from \[-5.0, -5.0\] to .* domain=",
        ),
        (
            lambda: lab.grid_search(Plateau(), 5, max_evaluations=-1),
            ValueError,
            "max_evaluations must be an int of at least 1; got -1",
        ),
        (lambda: lab.grid_search(Plateau(400), 10), ValueError, r"has 1e\+400 points"),
        (lambda: lab.grid_cost(10, [-1]), ValueError, r"n_dims must be .* such as .*got \[-1\]"),
        (lambda: lab.grid_cost(10, [1.5]), ValueError, r"n_dims must be .*got \[1.5\]"),
        (lambda: lab.grid_cost(10, []), ValueError, r"n_dims must be .*got \[\]"),
        (lambda: lab.grid_cost(10, 3), ValueError, "n_dims must be .* a list .*got 3"),
        (lambda: lab.cost_of_accuracy([]), ValueError, r"functions must be .*got \[\]"),
        (lambda: lab.cost_of_accuracy(np.sin), ValueError, "functions must be .*got <ufunc 'sin'>"),
        *(
            (
                lambda gaps=gaps: lab.cost_of_accuracy(Plateau(), gaps=gaps),
                ValueError,
                "gaps must be .*got ",
            )
            for gaps in ([-0.1], [0], [], 0.1, [np.nan], [np.inf], "a")
        ),
        (
            lambda: lab.cost_of_accuracy(Plateau(), max_evaluations=0),
            ValueError,
            "max_evaluations must be an int of at least 1; got 0",
        ),
        (
            lambda: lab.normal_equations(scipy.sparse.eye_array(2), [1, 2]),
            ValueError,
            r"X must be .*dense.* Pass X\.toarray\(\)",
        ),
        (lambda: lab.normal_equations("a", [1, 2]), ValueError, "X must be real numbers.*a str"),
        (
            lambda: lab.normal_equations([[1.0], [2.0]], ["1", "2"]),
            ValueError,
            r"y must be real numbers, of shape \(n_samples,\) or",
        ),
        (lambda: lab.normal_equations([[1j], [2.0]], [1, 2]), ValueError, "dtype is complex"),
        (lambda: lab.normal_equations([[1], [2, 3]], [1, 2]), ValueError, "X must be real numbers"),
        (lambda: lab.cost_of_accuracy(MonkeySaddle()), ValueError, "of MonkeySaddle is -inf"),
        (lambda: lab.cost_of_accuracy([len]), TypeError, "got builtin_function_or_method"),
        (lambda: lab.normal_equations([[1.0], [2.0]], [1.0]), ValueError, r"got \(2, 1\) and"),
        (lambda: lab.normal_equations([[1.0], [np.nan]], [1, 2]), ValueError, "X must be finite"),
        (lambda: lab.normal_equations([[1.0], [2.0]], [1, 2], -1), ValueError, "alpha must be"),
        (lambda: lab.normal_equations([[1.0], [1.0]], [1, 2]), ValueError, "singular .*constant"),
        (
            lambda: lab.normal_equations([[1, 2], [2, 4], [3, 6.0]], [1, 2, 4]),
            ValueError,
            "or follows from others. Leave features out, or pass alpha > 0",
        ),
    ],
)
def test_bad_input_is_answered_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def regression(n_outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 5)) + 3
    noise = rng.normal(size=40 if n_outputs is None else (40, n_outputs))
    return X, X @ rng.normal(size=(5,) if n_outputs is None else (5, n_outputs)) + noise


@pytest.mark.parametrize("n_outputs", [None, 3])
@pytest.mark.parametrize("alpha", [0.0, 10.0])
def test_normal_equations_are_scikit_learns_linear_models(alpha, n_outputs):
    X, y = regression(n_outputs)
    model = lab.normal_equations(X, y, alpha)
    reference = (Ridge(alpha) if alpha else LinearRegression()).fit(X, y)
    np.testing.assert_allclose(model.coef, reference.coef_.T, rtol=1e-9)
    np.testing.assert_allclose(model.intercept, reference.intercept_, rtol=1e-9)
    centred = X - X.mean(axis=0)
    expected = np.linalg.cond(centred.T @ centred + alpha * np.eye(5))
    assert model.condition_number == pytest.approx(expected)


def test_normal_equations_are_what_a_network_without_hidden_layers_comes_to():
    X, y = regression()
    X -= 3  # where L-BFGS comes nearer
    model = lab.normal_equations(X, y, alpha=2.0)
    network = MLPRegressor((), optimizer="lbfgs", alpha=2.0, tol=1e-10, random_state=0).fit(X, y)
    np.testing.assert_allclose(network.coefs_[0][:, 0], model.coef, atol=1e-5)
    np.testing.assert_allclose(network.intercepts_[0][0], model.intercept, atol=1e-5)


def test_cost_of_accuracy_counts_the_evaluations_of_the_fastest_run():
    bowl = Quadratic([1.0, 1.0])
    table = lab.cost_of_accuracy(
        bowl, {"descent": "sgd"}, gaps=[0.01, 1.0], learning_rates=[0.1, 0.5], n_steps=50
    )
    of_descent = table["method"] == "descent"
    # From (-3, -3) the gap is 9, and a quarter of what it was after each step.
    assert table["gap"][of_descent].tolist() == [1.0, 0.01]
    assert table["evaluations"][of_descent].tolist() == [3.0, 6.0]
    assert table["learning_rate"][of_descent].tolist() == [0.5, 0.5]
    of_grid = table["evaluations"][table["method"] == "grid search"]
    for gap, evaluations in zip([1.0, 0.01], of_grid, strict=True):
        n_points = round(evaluations**0.5)
        assert lab.grid_search(bowl, n_points).gap <= gap < lab.grid_search(bowl, n_points // 2).gap


def test_what_is_not_reached_costs_infinitely_much():
    table = lab.cost_of_accuracy(
        Rosenbrock(3), "sgd", gaps=[1e-6], learning_rates=[1e-4], n_steps=10, max_evaluations=1000
    )
    assert np.isinf(table["evaluations"]).all()


def test_cost_of_a_grid_grows_with_the_dimension_and_that_of_descent_does_not():
    bowls = [Quadratic([1.0] * n) for n in (1, 2, 3)]
    table = lab.cost_of_accuracy(bowls, "sgd", gaps=[0.1], learning_rates=[0.5], n_steps=50)
    by_grid = table["evaluations"][table["method"] == "grid search"]
    by_descent = table["evaluations"][table["method"] == "sgd"]
    assert (by_grid[1:] >= 10 * by_grid[:-1]).all()
    assert by_descent.max() <= by_descent.min() + 2
