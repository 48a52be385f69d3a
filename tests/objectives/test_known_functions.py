"""What is said of each function: value, gradient, Hessian and minima agree with each other."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der, rosen_hess
from strict_backend import StrictBackend

from skopt_dl import objectives
from skopt_dl.objectives import (
    FUNCTIONS,
    FiniteSum,
    Function,
    MatrixFactorisation,
    MatrixQuadratic,
    Polynomial,
    Quadratic,
    Rosenbrock,
    from_callable,
)
from skopt_dl.optimizers import SGD, Adam
from skopt_dl.training import minimise

MAKERS = {
    **FUNCTIONS,
    "rosenbrock in five variables": lambda: Rosenbrock(5),
    "rastrigin in three variables": lambda: objectives.Rastrigin(3),
    "styblinski_tang in three variables": lambda: objectives.StyblinskiTang(3),
    "ackley in three variables": lambda: objectives.Ackley(3),
    "plateau in one variable": lambda: objectives.Plateau(1),
    "turned quadratic": lambda: Quadratic.of_condition(1e3, 4, seed=1, center=[1, 2, 3, 4]),
    "constant": lambda: Polynomial([[2.5]]),
    "polynomial of three by four": lambda: Polynomial(np.arange(12.0).reshape(3, 4) - 5, (-1, 1)),
    "finite sum of polynomials": lambda: FiniteSum([Polynomial([0, a, 1]) for a in (1.0, -3.0)]),
    "finite sum of others": lambda: FiniteSum([Rosenbrock(), objectives.Plateau()]),
    "own function with derivatives": lambda: from_callable(
        lambda x: x[:, 0] ** 3 * x[:, 1],
        2,
        lambda x: np.stack([3 * x[:, 0] ** 2 * x[:, 1], x[:, 0] ** 3], axis=1),
    ),
}
# From the literature: Jamil and Yang, 2013; Kok and Sandrock, 2009.
PUBLISHED = {
    "rosenbrock": [[1, 1]],
    "beale": [[3, 0.5]],
    "booth": [[1, 3]],
    "himmelblau": [[3, 2], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]],
    "styblinski_tang": [[-2.903534, -2.903534]],
    "rastrigin": [[0, 0]],
    "ackley": [[0, 0]],
    "three_hump_camel": [[0, 0]],
    "rosenbrock in five variables": [[1, 1, 1, 1, 1]],
}
PUBLISHED_VALUES = {"styblinski_tang": -39.16616570377142 * 2}


@pytest.fixture(params=MAKERS)
def name(request):
    return request.param


@pytest.fixture
def function(name):
    return MAKERS[name]()


def points(function, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(function.lower, function.upper, (n, function.n_dims))


def central_differences(f, x, step=1e-5):
    """Derivatives by one more axis, at the end."""
    shifts = step * np.eye(x.shape[-1])
    return np.stack([(f(x + e) - f(x - e)) / (2 * step) for e in shifts], axis=-1)


@pytest.mark.parametrize("n_points", [1, 3])
def test_gradient_is_the_slope_of_the_value(function, n_points):
    x = points(function, n_points)
    slope = central_differences(function.value, x)
    scale = 1 + np.abs(function.value(x)).max() + np.abs(slope).max()
    np.testing.assert_allclose(function.gradient(x), slope, rtol=1e-7, atol=1e-9 * scale)


@pytest.mark.parametrize("n_points", [1, 3])
def test_hessian_is_the_slope_of_the_gradient(function, n_points):
    x = points(function, n_points)
    slope = central_differences(function.gradient, x)
    scale = 1 + np.abs(function.gradient(x)).max() + np.abs(slope).max()
    np.testing.assert_allclose(function.hessian(x), slope, rtol=1e-7, atol=1e-8 * scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_points", [1, 3])
def test_shapes_and_precision_are_those_of_the_points(function, n_points, dtype):
    x = points(function, n_points).astype(dtype)
    n = function.n_dims
    for method, shape in (("value", ()), ("gradient", (n,)), ("hessian", (n, n))):
        of_many = getattr(function, method)(x)
        of_one = getattr(function, method)(x[0])
        of_grid = getattr(function, method)(np.stack([x, x]))
        assert of_many.shape == (n_points, *shape)
        assert of_one.shape == shape
        assert of_grid.shape == (2, n_points, *shape)
        assert of_many.dtype == of_one.dtype == of_grid.dtype == dtype
        tolerance = 100 * np.finfo(dtype).eps * (1 + np.abs(of_many).max())
        np.testing.assert_allclose(of_one, of_many[0], rtol=0, atol=tolerance)
        np.testing.assert_allclose(of_grid[1], of_many, rtol=0, atol=tolerance)
    loss, grad = function.value_and_grad(x)
    assert loss.dtype == grad.dtype == dtype
    scale = 1 + np.abs(grad).max() + np.abs(loss).max()
    np.testing.assert_allclose(loss, function.value(x), rtol=0, atol=1e-5 * scale)
    np.testing.assert_allclose(grad, function.gradient(x), rtol=0, atol=1e-5 * scale)


def test_float32_is_near_float64(function):
    x = points(function, 5).astype(np.float32)
    for method in ("value", "gradient"):
        exact = getattr(function, method)(x.astype(float))
        scale = np.abs(function.gradient(x.astype(float))).max() + np.abs(exact).max() + 1
        np.testing.assert_allclose(getattr(function, method)(x), exact, 1e-4, atol=2e-5 * scale)


def test_a_points_bits_do_not_depend_on_the_others(function):
    x = points(function, 70)
    for together, alone in zip(
        function.value_and_grad(x), function.value_and_grad(x[33:34]), strict=True
    ):
        np.testing.assert_array_equal(together[33:34], alone)


def test_minima_are_stationary_and_curved_upward(function, name):
    for minimum in function.minima:
        assert minimum.kind == "minimum"
        assert function.value(minimum.point) == pytest.approx(minimum.value, rel=1e-13, abs=1e-25)
        scale = 1 + np.abs(function.hessian(minimum.point + 1e-3)).max()
        np.testing.assert_allclose(function.gradient(minimum.point), 0, atol=1e-12 * scale)
        curvatures = np.linalg.eigvalsh(function.hessian(minimum.point + 1e-7))
        assert curvatures.min() > (-1e-5 if "factorisation" in name else 0)
    values = [minimum.value for minimum in function.minima]
    assert values == sorted(values)
    if values and np.isfinite(function.minimum):
        assert function.minimum == values[0]
        assert function.value(points(function, 1000)).min() >= function.minimum - 1e-12


@pytest.mark.parametrize("name", PUBLISHED)
def test_global_minima_are_the_published_ones(name):
    function = MAKERS[name]()
    lowest = [p.point for p in function.minima if p.value <= function.minimum + 1e-9]
    published = [sorted(points) for points in (np.round(lowest, 4).tolist(), PUBLISHED[name])]
    np.testing.assert_allclose(*published, atol=1e-4)
    assert function.minimum == pytest.approx(PUBLISHED_VALUES.get(name, 0.0), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "n_minima"),
    [
        ("rastrigin", 121),
        ("rastrigin in three variables", 1),
        ("ackley in three variables", 1),
        ("styblinski_tang", 4),
        ("styblinski_tang in three variables", 8),
        ("three_hump_camel", 3),
        ("himmelblau", 4),
        ("rosenbrock in five variables", 2),
        ("double_well", 2),
        ("saddle_escape", 2),
        ("monkey_saddle", 0),
    ],
)
def test_as_many_minima_as_there_are(name, n_minima):
    assert len(MAKERS[name]().minima) == n_minima


@pytest.mark.parametrize("name", ["rastrigin", "ackley", "styblinski_tang"])
def test_descent_from_anywhere_ends_in_a_minimum_of_the_list(name):
    """Ripples have minima wherever a small step downhill, again and again, ends."""
    function = MAKERS[name]()
    x = points(function, 300)
    for _ in range(3000):
        x = x - 1e-3 * function.gradient(x)
    ends = x[np.linalg.norm(function.gradient(x), axis=1) < 1e-6]
    assert len(ends) > 200
    known = np.array([minimum.point for minimum in function.minima])
    assert np.abs(ends[:, None] - known).max(axis=2).min(axis=1).max() < 1e-6


@pytest.mark.parametrize("n_dims", [2, 3, 7])
def test_rosenbrock_is_scipys(n_dims):
    function = Rosenbrock(n_dims)
    x = points(function, 4)
    np.testing.assert_allclose(function.value(x), [rosen(row) for row in x], rtol=1e-13)
    np.testing.assert_allclose(
        function.gradient(x), [rosen_der(row) for row in x], rtol=1e-12, atol=1e-11
    )
    np.testing.assert_allclose(function.hessian(x), [rosen_hess(row) for row in x], rtol=1e-12)


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("n_dims", [2, 6])
def test_quadratic_has_the_condition_asked_for(n_dims, seed):
    function = Quadratic.of_condition(1e4, n_dims, seed=seed)
    assert function.condition_number == pytest.approx(1e4, rel=1e-8)
    np.testing.assert_allclose(np.linalg.eigvalsh(function.matrix)[-1], 1)
    diagonal = np.array_equal(function.matrix, np.diag(np.diag(function.matrix)))
    assert diagonal == (seed is None)


def test_indefinite_quadratic_has_no_minimum():
    function = Quadratic([1.0, -1.0])
    assert function.minima == []
    assert function.minimum == -np.inf
    assert function.condition_number == np.inf


def test_matrix_quadratic_is_ill_conditioned_on_both_sides():
    function = MatrixQuadratic((5, 3), condition_number=50.0)
    x = points(function, 2)
    np.testing.assert_allclose(np.linalg.cond(function.hessian(x)[0]), 2500)
    for matrix in function.factors:
        np.testing.assert_allclose(np.linalg.cond(matrix), 50)
    (spec,) = function.layout.specs
    assert (spec.role, spec.shape) == ("hidden", (5, 3))


def test_matrix_factorisation_has_a_saddle_at_the_origin_and_a_family_of_minima():
    function = MatrixFactorisation((4, 3), rank=2)
    origin = np.zeros(function.n_dims)
    assert not function.gradient(origin).any()
    curvatures = np.linalg.eigvalsh(function.hessian(origin))
    assert curvatures[0] < -0.5
    # U T and T⁻¹ V are as good.
    u, v = function.minima[0].point[:8].reshape(4, 2), function.minima[0].point[8:].reshape(2, 3)
    turn = np.array([[2.0, 1.0], [0.0, 0.5]])
    other = np.concatenate([(u @ turn).ravel(), (np.linalg.inv(turn) @ v).ravel()])
    assert function.value(other) == pytest.approx(0, abs=1e-28)
    assert [spec.role for spec in function.layout.specs] == ["hidden", "hidden"]


def test_functions_run_on_arrays_of_another_library(name, function, monkeypatch):
    if name == "own function with derivatives":
        pytest.skip("its derivatives are NumPy's")
    backend = StrictBackend("CPU_DEVICE")
    backend.register(monkeypatch)
    x = points(function, 3)
    strict = backend.asarray(x)
    for method in ("value", "gradient", "hessian"):
        result = getattr(function, method)(strict)
        np.testing.assert_allclose(
            backend.to_numpy(result), getattr(function, method)(x), rtol=1e-12, atol=1e-12
        )


def test_optimizers_reach_the_minimum_of_a_quadratic_through_the_training_loop():
    function = Quadratic.of_condition(10.0, 3, center=[1.0, -2.0, 3.0])
    starts = np.tile(function.start, (2, 1))
    runs = minimise(function, [SGD(1.0), Adam(0.1)], starts, max_epochs=1000)
    for run in runs:
        np.testing.assert_allclose(run.params, [1.0, -2.0, 3.0], atol=1e-6)


def test_names_lead_to_functions_that_can_be_started_from():
    assert {"rosenbrock", "beale", "himmelblau", "monkey_saddle"} <= set(FUNCTIONS)
    for make in FUNCTIONS.values():
        function = make()
        assert isinstance(function, Function)
        function.check_points(function.start)


def test_everything_public_is_exported():
    for name in objectives.__all__:
        assert hasattr(objectives, name)
