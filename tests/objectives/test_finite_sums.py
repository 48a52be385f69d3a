"""Finite sums: batches that differ from model to model, and the noise of their gradients."""

import itertools

import numpy as np
import pytest
from strict_backend import StrictBackend

from skopt_dl.objectives import Block, FiniteSum, Plateau, Polynomial, Quadratic, from_callable
from skopt_dl.optimizers import SGD, Momentum
from skopt_dl.training import Batches, minimise


def polynomials(n, n_dims=1, seed=0):
    """Of different degrees, curved upward."""
    rng = np.random.default_rng(seed)
    terms = []
    for i in range(n):
        coefficients = np.zeros((3 + i % 2,) * n_dims)
        coefficients[...] = 0.1 * rng.normal(size=coefficients.shape)
        for axis in range(n_dims):
            coefficients[tuple(2 * (a == axis) for a in range(n_dims))] = 1 + rng.uniform()
            coefficients[tuple(1 * (a == axis) for a in range(n_dims))] = rng.normal()
        terms.append(Polynomial(coefficients))
    return terms


def quadratics(n, n_dims, seed=0):
    """Each with curvatures, axes and a center of its own."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n, n_dims, n_dims))
    return [
        Quadratic(factor @ factor.T, rng.normal(size=n_dims), offset=rng.normal())
        for factor in factors
    ]


def opaque(terms):
    """The same functions, of which it is not known that they are polynomials."""
    return [from_callable(term.value, term.n_dims, term.gradient, term.hessian) for term in terms]


SUMS = {
    "one variable": lambda: FiniteSum(polynomials(7)),
    "two variables": lambda: FiniteSum(polynomials(7, 2)),
    "quadratics": lambda: FiniteSum(quadratics(7, 3)),
    "no polynomials": lambda: FiniteSum(opaque(polynomials(7, 2))),
    "mixed": lambda: FiniteSum([*polynomials(6, 2), Plateau()]),
}


@pytest.fixture(params=SUMS)
def function(request):
    return SUMS[request.param]()


def starts(function, n_models, dtype=float):
    return np.random.default_rng(1).normal(size=(n_models, function.n_dims)).astype(dtype)


def mean_over(function, terms, x):
    """Value and gradient of a batch, term by term."""
    parts = [function.terms[i].value_and_grad(x[None]) for i in terms]
    return [np.mean([part[which][0] for part in parts], axis=0) for which in (0, 1)]


@pytest.mark.parametrize("method", ["value", "gradient", "hessian"])
def test_whole_function_is_the_mean_of_its_terms(function, method):
    x = starts(function, 3)
    mean = np.mean([getattr(term, method)(x) for term in function.terms], axis=0)
    np.testing.assert_allclose(getattr(function, method)(x), mean, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("orders", [None, (1, 0, 1, 2)])
def test_each_model_has_the_mean_of_its_own_batch(function, orders, dtype):
    x = starts(function, 4, dtype)
    rows = np.random.default_rng(2).integers(7, size=(4 if orders is None else 3, 5))
    batches = function.load(Block(rows, (3, 2), orders))
    for batch, part in zip(batches, (slice(0, 3), slice(3, 5)), strict=True):
        value, grad = function.value_and_grad(x, batch)
        assert value.dtype == grad.dtype == dtype
        for k in range(4):
            terms = rows[k if orders is None else orders[k], part]
            expected = mean_over(function, terms, x[k].astype(float))
            tolerance = 1e-12 if dtype is np.float64 else 3e-5
            np.testing.assert_allclose(value[k], expected[0], tolerance, tolerance)
            np.testing.assert_allclose(grad[k], expected[1], tolerance, tolerance)


def test_all_terms_as_one_batch_are_the_function(function):
    x = starts(function, 3)
    (batch,) = function.load(Block(slice(0, 7), (7,)))
    for of_batch, of_all in zip(
        function.value_and_grad(x, batch), function.value_and_grad(x), strict=True
    ):
        np.testing.assert_allclose(of_batch, of_all, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_training_is_descent_along_the_means_of_the_drawn_batches(function, sampling, batch_size):
    def batches():
        rngs = [np.random.default_rng(k) for k in range(3)]
        return Batches(7, batch_size, sampling=sampling, rngs=rngs)

    start = starts(function, 3)
    runs = minimise(function, SGD(0.05), start.copy(), max_epochs=4, batches=batches())
    drawn = batches()
    x = start.copy()
    for _ in range(4):
        for block in drawn.epoch(1):
            rows = np.arange(7)[None, block.rows] if isinstance(block.rows, slice) else block.rows
            for k in range(3):
                terms = rows[min(k, len(rows) - 1)]
                x[k] -= 0.05 * mean_over(function, terms, x[k])[1]
    np.testing.assert_allclose([run.params for run in runs], x, rtol=1e-11, atol=1e-13)


def test_model_follows_the_same_path_alone_and_in_a_stack(function):
    def run(models):
        rngs = [np.random.default_rng(k) for k in models]
        optimizers = [Momentum(0.01 * (k + 1)) for k in models]
        batches = Batches(7, 2, rngs=rngs)
        x = starts(function, 5)[list(models)].copy()
        return minimise(function, optimizers, x, max_epochs=6, batches=batches)

    together = run(range(5))
    for k in range(5):
        (alone,) = run([k])
        np.testing.assert_array_equal(alone.params, together[k].params)
        assert alone.history["loss"] == together[k].history["loss"]


def test_batches_run_on_arrays_of_another_library(function, monkeypatch):
    backend = StrictBackend("CPU_DEVICE")
    backend.register(monkeypatch)
    x = starts(function, 3)
    rows = np.random.default_rng(2).integers(7, size=(3, 2))
    (batch,) = function.load(Block(rows, (2,)))
    expected = function.value_and_grad(x, batch)
    for strict, numpy in zip(
        function.value_and_grad(backend.asarray(x), batch), expected, strict=True
    ):
        np.testing.assert_allclose(backend.to_numpy(strict), numpy, rtol=1e-13)


# Noise


def covariance(gradients):
    """Of equally likely gradients, ``(n, P)``."""
    offsets = gradients - gradients.mean(axis=0)
    return offsets.T @ offsets / len(gradients)


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
@pytest.mark.parametrize("n_dims", [1, 2])
def test_gradient_noise_is_the_covariance_over_all_possible_batches(n_dims, batch_size, sampling):
    function = FiniteSum(polynomials(4, n_dims))
    x = starts(function, 1)[0]
    draws = {
        "shuffle": itertools.combinations(range(4), batch_size),
        "replacement": itertools.product(range(4), repeat=batch_size),
    }[sampling]
    gradients = np.array([mean_over(function, terms, x)[1] for terms in draws])
    np.testing.assert_allclose(gradients.mean(axis=0), function.gradient(x))
    np.testing.assert_allclose(
        function.gradient_noise(x, batch_size, sampling),
        covariance(gradients),
        rtol=1e-12,
        atol=1e-15,
    )


def test_gradient_noise_is_that_of_the_batches_which_training_draws():
    function = FiniteSum(polynomials(20, 2))
    x = starts(function, 1)
    for sampling in ("shuffle", "replacement"):
        batches = Batches(20, 5, sampling=sampling, rngs=[np.random.default_rng(0)])
        seen = [
            function.value_and_grad(x, batch)[1][0]
            for _ in range(500)
            for block in batches.epoch(4)
            for batch in function.load(block)
        ]
        expected = function.gradient_noise(x[0], 5, sampling)
        np.testing.assert_allclose(np.cov(np.transpose(seen)), expected, rtol=0.15, atol=0.01)


def test_noise_of_all_terms_is_nothing_without_replacement_only():
    function = FiniteSum(polynomials(5))
    x = np.ones((3, 1))
    assert not function.gradient_noise(x, 5).any()
    assert function.gradient_noise(x, 5, "replacement").all()
    assert function.gradient_noise(x.astype(np.float32)).dtype == np.float32
    assert not FiniteSum(polynomials(1)).gradient_noise(x).any()


def test_minima_are_those_of_the_mean():
    function = FiniteSum([Polynomial([[0, 0, 1], [-2 * c, 0, 0], [1, 0, 0]]) for c in (1, 2, 6)])
    (minimum,) = function.minima
    assert minimum.point.tolist() == [3.0, 0.0]
    assert function.minimum == -9.0
    assert [p.kind for p in function.whole.stationary_points()] == ["minimum"]
    unknown = FiniteSum(opaque(polynomials(3)))
    assert unknown.minima == []
    assert np.isnan(unknown.minimum)


def test_mean_of_quadratics_is_one_whose_minimum_is_known():
    """By hand: the gradient (2x - 1/2, (3y - 1) / 2) is zero at (1/4, 1/3)."""
    total = FiniteSum(
        [
            Quadratic([1.0, 2.0], center=[1.0, 0.0]),
            Quadratic([3.0, 1.0], center=[0.0, 1.0], offset=2.0),
        ]
    )
    (minimum,) = total.minima
    np.testing.assert_allclose(minimum.point, [1 / 4, 1 / 3], rtol=1e-15)
    # ((9/16 + 2/9) / 2 + (3/16 + 4/9) / 2 + 2) / 2
    np.testing.assert_allclose(total.minimum, 17 / 48 + 1, rtol=1e-15)
    assert minimum.value == total.minimum == total.value(minimum.point)
    assert not total.gradient(minimum.point).any()


@pytest.mark.parametrize(
    ("terms", "minimum"),
    [
        # A valley: every point of x + y = 1 is a minimum.
        ([Quadratic([[1, 1], [1, 1]], [1, 0]), Quadratic([[2, 2], [2, 2]], [0, 1])], 0.0),
        ([Quadratic([1.0, -1.0]), Quadratic([1.0, -2.0])], -np.inf),
        # Flat along y on the whole, and yet tilted.
        ([Quadratic([1.0, -1.0], [0, 1]), Quadratic([1.0, 1.0])], np.nan),
    ],
)
def test_mean_of_quadratics_without_a_single_minimum_has_none(terms, minimum):
    total = FiniteSum(terms)
    assert total.minima == []
    np.testing.assert_allclose(total.minimum, minimum, atol=1e-15)


def test_curvature_that_is_zero_but_for_rounding_is_no_way_down():
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    flat = Quadratic(axes * [0, 0, 0, 1, 2, 3] @ axes.T)
    assert flat.eigenvalues[0] < 0
    assert flat.minimum == 0.0
