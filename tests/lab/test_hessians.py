"""Extreme eigenvalues of the Hessian, against closed forms and a complex-step Hessian."""

from itertools import pairwise

import naive
import numpy as np
import pytest
from scipy.special import expit
from sklearn.datasets import load_iris

from skopt_dl import MLPClassifier, MLPRegressor, lab
from skopt_dl.lab import hessians

RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 5)) * [0.1, 1.0, 1.0, 3.0, 10.0]
WEIGHTS = RNG.uniform(0.2, 2.0, 60)
WITH_ONE = np.hstack([X, np.ones((60, 1))])


def weighted_squares(w):
    return WITH_ONE.T @ (WITH_ONE * w[:, None])


def agrees(found, hessian, rtol):
    """All eigenvalues, and each within its own error bound."""
    expected = np.linalg.eigvalsh(hessian)
    errors = np.abs(found.eigenvalues - expected)
    assert (errors <= rtol * expected[-1]).all()
    assert (errors <= found.bounds + 1e-14 * expected[-1]).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_linear_least_squares_have_the_hessian_of_the_normal_equations(weighted):
    y = X @ RNG.normal(size=5)
    model = MLPRegressor((), optimizer="lbfgs", alpha=0.7, max_iter=1000, random_state=0).fit(X, y)
    w = WEIGHTS if weighted else np.ones(60)
    found = lab.curvature(model, X, y, w, penalty=True)
    penalty = np.diag([0.7] * 5 + [0.0])
    agrees(found, (weighted_squares(w) + penalty) / w.sum(), 1e-9)
    assert found.method == "full"


def test_logistic_regression_has_its_closed_form():
    y = (X[:, 1] + RNG.logistic(size=60) > 0).astype(int)
    model = MLPClassifier((), optimizer="lbfgs", max_iter=1000, random_state=0).fit(X, y)
    p = expit(X @ model.coefs_[0][:, 0] + model.intercepts_[0])
    agrees(lab.curvature(model, X, y), weighted_squares(p * (1 - p) / 60), 1e-8)


def complex_step_hessian(f, x, h=1e-30, k=1e-4):
    """Imaginary steps give exact first derivatives; real ones, of fourth order, the second."""
    n = len(x)
    hessian = np.empty((n, n))
    for i in range(n):
        imaginary = 1j * h * np.eye(n)[i]
        for j in range(n):
            real = k * np.eye(n)[j]
            slopes = [f(x + imaginary + m * real).imag / h for m in (-2, -1, 1, 2)]
            hessian[i, j] = np.dot([1, -8, 8, -1], slopes) / (12 * k)
    return 0.5 * (hessian + hessian.T)


def network_loss(sizes, x, y):
    """Cross-entropy of a tanh network for complex weights."""
    indicators = np.eye(sizes[-1])[y]

    def loss(row):
        shapes = [*pairwise(sizes), *((1, n) for n in sizes[1:])]
        ends = np.cumsum([a * b for a, b in shapes])
        w1, w2, b1, b2 = (
            part.reshape(shape)
            for part, shape in zip(np.split(row, ends[:-1]), shapes, strict=True)
        )
        raw = np.tanh(x @ w1 + b1) @ w2 + b2
        raw = raw - raw.real.max(axis=1, keepdims=True)
        return np.mean(np.log(np.exp(raw).sum(axis=1)) - (raw * indicators).sum(axis=1))

    return loss


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return (x - x.mean(axis=0))[::4], y[::4]


@pytest.fixture(scope="module")
def network(iris):
    return MLPClassifier(3, activation="tanh", optimizer="lbfgs", random_state=0).fit(*iris)


def test_a_network_has_the_hessian_that_complex_steps_give(iris, network):
    x, y = iris
    point = RNG.normal(0, 0.5, 27)
    f = network_loss((4, 3, 3), x, y)
    np.testing.assert_allclose(
        f(point), naive.penalised_loss(point, (4, 3, 3), "Tanh", "multiclass", x, np.eye(3)[y])
    )
    found = lab.curvature(network, x, y, params=point)
    agrees(found, complex_step_hessian(f, point), 1e-8)
    assert found.smallest < -0.01
    assert found.has_negative


@pytest.mark.parametrize("n_eigenvalues", [1, 3])
def test_lanczos_finds_the_ends_of_the_full_matrix(iris, network, n_eigenvalues):
    full = lab.curvature(network, *iris)
    ends = lab.curvature(network, *iris, method="lanczos", n_eigenvalues=n_eigenvalues)
    assert (full.method, ends.method) == ("full", "lanczos")
    expected = np.concatenate([full.eigenvalues[:n_eigenvalues], full.eigenvalues[-n_eigenvalues:]])
    np.testing.assert_allclose(ends.eigenvalues, expected, atol=1e-6 * full.largest)
    # Of a symmetric matrix, an eigenvalue is off by less than the residual.
    assert (np.abs(ends.eigenvalues - expected) <= ends.bounds + full.bounds.max()).all()
    overlaps = np.abs(np.sum(ends.eigenvectors[-1] * full.eigenvectors[-1]))
    assert overlaps == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ends.eigenvectors, axis=1), 1.0)


def test_eigenvalues_are_curvatures_of_the_loss_along_their_directions(iris, network):
    found = lab.curvature(network, *iris)
    f = network_loss((4, 3, 3), *iris)
    for value, vector in zip(found.eigenvalues[[0, -1]], found.eigenvectors[[0, -1]], strict=True):
        t = 3e-4
        second = (f(found.params + t * vector) - 2 * found.loss + f(found.params - t * vector)).real
        assert second / t**2 == pytest.approx(value, abs=1e-4 * found.largest)


def test_products_are_counted(iris, network, monkeypatch):
    seen = []
    times = hessians._Hessian.times
    monkeypatch.setattr(
        hessians._Hessian,
        "times",
        lambda self, vectors, step=None: seen.append(len(vectors)) or times(self, vectors, step),
    )
    assert lab.curvature(network, *iris, method="lanczos").n_products == sum(seen)


def test_weights_and_single_precision_models_are_taken_in_double(iris):
    x, y = iris
    single = MLPClassifier(
        3, activation="tanh", optimizer="lbfgs", random_state=0, dtype="float32"
    ).fit(x, y)
    found = lab.curvature(single, x, y)
    assert found.eigenvalues.dtype == np.float64
    f = network_loss((4, 3, 3), x.astype(np.float32).astype(float), y)
    point = lab.parameters(single).astype(float)
    # Samples are rounded to single precision in the training, not here.
    along = found.eigenvectors[-1]
    slopes = [f(point + m * 1e-4 * along + 1e-30j * along).imag / 1e-30 for m in (-1, 1)]
    assert found.largest == pytest.approx(np.diff(slopes).item() / 2e-4, rel=1e-5)


def test_samples_that_switch_a_unit_within_the_step_are_counted(iris):
    x, y = iris
    model = MLPClassifier(3, optimizer="lbfgs", random_state=0, max_iter=1000).fit(x, y)
    assert lab.curvature(model, x, y).n_kinks == 0
    # All the samples exactly on the kink of a unit.
    model.coefs_[0][:, 0] = 0.0
    model.intercepts_[0][0] = 0.0
    with pytest.warns(UserWarning, match=r"times a sample switches .* 'softplus'"):
        found = lab.curvature(model, x, y)
    assert found.n_kinks >= len(x)


def test_steps_across_kinks_are_short(iris):
    x, y = iris
    smooth = MLPClassifier(4, activation="tanh", optimizer="lbfgs", random_state=0).fit(x, y)
    kinked = MLPClassifier(4, activation="relu", optimizer="lbfgs", random_state=0).fit(x, y)
    found = lab.curvature(kinked, x, y)
    assert found.step < 0.1 * lab.curvature(smooth, x, y).step
    assert found.bounds[-1] < 1e-5 * found.largest


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"n_eigenvalues": 0}, "n_eigenvalues must be an int, at least 1; got 0"),
        ({"max_products": 1.5}, "max_products must be an int"),
        ({"method": "power"}, "method must be one of"),
        ({"tol": -1}, "tol must be a positive number; got -1"),
        ({"params": np.zeros(3)}, r"shape \(27,\).*got shape \(3,\)"),
    ],
)
def test_parameters_that_cannot_be_are_named(iris, network, params, text):
    with pytest.raises(ValueError, match=text):
        lab.curvature(network, *iris, **params)


def test_too_few_products_are_no_answer(iris, network):
    with pytest.raises(RuntimeError, match="max_products=30"):
        lab.curvature(network, *iris, method="lanczos", max_products=30)


def test_a_full_matrix_beyond_memory_is_refused_with_its_bytes(iris, network, monkeypatch):
    monkeypatch.setattr(hessians, "n_bytes_of_memory", lambda: 10_000)
    with pytest.raises(MemoryError, match=r"27 parameters .* bytes.*method='lanczos'"):
        lab.curvature(network, *iris, method="full")


def test_a_gradient_that_is_not_finite_is_named(iris, network):
    with pytest.raises(FloatingPointError, match="gradient"):
        lab.curvature(network, *iris, params=np.full(27, np.nan))
