"""The map of learning rates and momenta agrees with the theory of quadratics."""

import numpy as np
import pytest

from skopt_dl.displays import StabilityMapDisplay
from skopt_dl.displays.stability import largest_curvature
from skopt_dl.objectives import Booth, Polynomial, Quadratic, Rosenbrock, from_callable
from skopt_dl.optimizers import LBFGS, SGD, AdaGrad, Adam, Momentum, NAdam, Nesterov, RMSProp
from skopt_dl.optimizers.rule import MovingAverage, TwoSlotOptimizer

MOMENTA = np.array([0.0, 0.2, 0.5, 0.8, 0.9])


class Averaged(TwoSlotOptimizer):
    """The moving average of the gradient, not scaled."""

    direction = MovingAverage()

    def __init__(self, learning_rate=0.1, beta_1=0.9):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1


def heavy_ball(momentum, largest):
    return 2 * (1 + momentum) / largest


def nesterov(momentum, largest):
    return 2 * (1 + momentum) / (1 + 2 * momentum) / largest


@pytest.mark.parametrize(("name", "limit"), [("momentum", heavy_ball), ("nesterov", nesterov)])
@pytest.mark.parametrize("largest", [1.0, 20.0])
def test_runs_diverge_beyond_the_closed_form_and_nowhere_else(name, limit, largest):
    bowl = Quadratic([largest / 10, largest])
    edges = limit(MOMENTA, largest)
    rates = np.unique(np.outer([0.3, 0.9, 0.97, 1.03, 1.1, 1.5], edges))
    display = StabilityMapDisplay.from_objective(
        bowl, name, learning_rates=rates, momenta=MOMENTA, n_steps=1500
    )
    np.testing.assert_allclose(display.boundary, edges)
    share = rates / edges[:, None]
    certain = np.abs(share - 1) > 0.025
    np.testing.assert_array_equal(display.diverged[certain], (share > 1)[certain])
    assert np.isfinite(display.steps[share < 0.975]).all()
    assert certain.mean() > 0.8


def test_fewest_steps_are_near_the_optimum_of_polyak():
    smallest, largest = 1.0, 20.0
    display = StabilityMapDisplay.from_objective(Quadratic([smallest, largest]), n_steps=300)
    root = np.sqrt(largest / smallest)
    assert display.best[0] == pytest.approx(
        (2 / (np.sqrt(largest) + np.sqrt(smallest))) ** 2, rel=0.15
    )
    assert display.best[1] == pytest.approx(((root - 1) / (root + 1)) ** 2, abs=0.05)


def spectral_radius(optimizer, product):
    """Of the step of each method on one curvature, written as a matrix of point and velocity."""
    if isinstance(optimizer, SGD):
        return abs(1 - product)
    if isinstance(optimizer, Averaged):
        b = optimizer.beta_1
        matrix = [[1 - (1 - b) * product, -b], [(1 - b) * product, b]]
    else:
        m = optimizer.momentum
        if isinstance(optimizer, Nesterov):
            matrix = [[1 - (1 + m) * product, -m * m], [product, m]]
        else:
            matrix = [[1 - product, -m], [product, m]]
    return np.abs(np.linalg.eigvals(matrix)).max()


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(),
        *(Momentum(momentum=m) for m in MOMENTA),
        *(Nesterov(momentum=m) for m in MOMENTA),
        *(Averaged(beta_1=m) for m in MOMENTA),
    ],
    ids=repr,
)
def test_limit_is_where_the_spectral_radius_is_one(optimizer):
    limit = optimizer.stability_limit()
    assert spectral_radius(optimizer, limit) == pytest.approx(1.0)
    for below in np.linspace(0.05, 0.999, 50):
        assert spectral_radius(optimizer, below * limit) < 1
    assert spectral_radius(optimizer, 1.001 * limit) > 1


@pytest.mark.parametrize("optimizer", [AdaGrad(), RMSProp(), Adam(), NAdam()], ids=repr)
def test_limit_that_depends_on_the_gradients_is_not_known(optimizer):
    assert np.isnan(optimizer.stability_limit())


def test_curvature_is_known_of_convex_quadratics_only():
    assert largest_curvature(Quadratic([1.0, 7.0])) == 7.0
    # (x + 2y - 7)² + (2x + y - 5)²
    assert largest_curvature(Booth()) == pytest.approx(18.0)
    assert largest_curvature(Polynomial([0.0, 1.0, 3.0])) == pytest.approx(6.0)
    for other in (Rosenbrock(), Quadratic([1.0, -1.0]), Polynomial([0.0, 1.0, 0.0, 1.0])):
        assert np.isnan(largest_curvature(other))


def test_other_functions_have_a_map_without_a_line():
    display = StabilityMapDisplay.from_objective(Rosenbrock(), momenta=[0.0, 0.9], n_steps=50)
    assert display.boundary is display.boundary_line_ is None
    assert display.ax_.get_xscale() == "log"
    assert display.diverged.any()
    display.figure_.canvas.draw()


def test_another_parameter_can_be_mapped():
    display = StabilityMapDisplay.from_objective(
        Quadratic([1.0, 10.0]),
        Adam(),
        parameter="beta_1",
        momenta=[0.9, 0.0],
        learning_rates=[0.1, 0.01],
        n_steps=300,
    )
    assert display.ax_.get_ylabel() == "beta_1"
    np.testing.assert_array_equal(display.momenta, [0.0, 0.9])
    np.testing.assert_array_equal(display.learning_rates, [0.01, 0.1])
    assert display.steps.shape == (2, 2)


def test_map_where_nothing_arrives_is_drawn():
    display = StabilityMapDisplay.from_objective(
        Quadratic([1.0]), momenta=[0.0, 0.5], learning_rates=[1e-6, 1e-5], n_steps=5
    )
    assert np.isnan(display.best).all()
    display.figure_.canvas.draw()


def test_own_function_without_derivatives_is_mapped():
    own = from_callable(lambda x: (x**2).sum(axis=-1), n_dims=2)
    display = StabilityMapDisplay.from_objective(own, momenta=[0.0, 0.5], n_steps=50)
    assert display.steps.shape == (2, 60)


def test_what_cannot_be_mapped_is_refused():
    bowl = Quadratic([1.0])
    with pytest.raises(ValueError, match="SGD has no parameter 'momentum' to map; it has"):
        StabilityMapDisplay.from_objective(bowl, "sgd")
    with pytest.raises(ValueError, match="momentum"):
        StabilityMapDisplay.from_objective(bowl, momenta=[1.5])
    with pytest.raises(ValueError, match="LBFGS has no parameter 'momentum' to map"):
        StabilityMapDisplay.from_objective(bowl, LBFGS())
