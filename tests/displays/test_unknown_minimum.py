"""Where the smallest value is not known, or there is none, nothing is called reached on its way."""

import numpy as np
import pytest

from skopt_dl import lab
from skopt_dl.displays import (
    BasinsDisplay,
    ConvergenceDisplay,
    PerformanceProfileDisplay,
    StabilityMapDisplay,
)
from skopt_dl.objectives import MonkeySaddle, from_callable
from skopt_dl.optimizers import SGD

OWN = from_callable(
    lambda x: ((x - 1) ** 2).sum(axis=-1), 2, gradient=lambda x: 2 * (x - 1), name="own"
)
# Of gradient descent at 0.01, which halves the gap in 17 steps, or at 0.03, in 6.
ON_ITS_WAY, AT_REST = 60, 700


def test_what_values_still_change_by_is_that_of_the_last_tenth():
    from skopt_dl.displays._runs import still_moves

    values = np.array([[9.0] * 18 + [5, 4], [4.0] * 18 + [np.inf, np.inf], [3.0] * 20])
    np.testing.assert_array_equal(still_moves(values), [5.0, np.inf, 0.0])


@pytest.mark.parametrize(("n_steps", "minima"), [(ON_ITS_WAY, []), (AT_REST, [[1.0, 1.0]])])
def test_basins_are_those_of_points_where_runs_rest(n_steps, minima):
    display = BasinsDisplay.from_objective(OWN, SGD(0.03), resolution=10, n_steps=n_steps)
    assert np.round(display.minima, 2).tolist() == minima
    assert set(display.outcome.ravel()) == ({"reached"} if minima else {"moving"})
    assert np.isfinite(display.steps).all() == bool(minima)
    display.figure_.canvas.draw()


def test_function_without_a_smallest_value_has_no_basins():
    display = BasinsDisplay.from_objective(MonkeySaddle(), "sgd", resolution=5, n_steps=100)
    assert display.minima == []
    display.figure_.canvas.draw()


@pytest.mark.parametrize(("n_steps", "arrives"), [(ON_ITS_WAY, False), (AT_REST, True)])
def test_map_has_steps_where_runs_rest(n_steps, arrives):
    display = StabilityMapDisplay.from_objective(
        OWN, learning_rates=[0.001, 0.01], momenta=[0.0], n_steps=n_steps
    )
    assert np.isfinite(display.steps).any() == arrives
    assert np.isfinite(display.best).all() == arrives


@pytest.mark.parametrize(("n_steps", "arrives"), [(ON_ITS_WAY, False), (AT_REST, True)])
def test_curve_ends_where_the_gap_to_the_best_run_says_nothing(n_steps, arrives):
    found = lab.compare(OWN, "sgd", learning_rates=[0.01], n_steps=n_steps)
    display = ConvergenceDisplay.from_comparison(found)
    true = found.values[0]
    drawn = display.lines_[0].get_ydata()
    seen = np.isfinite(drawn)
    # At most halved, where it is drawn: the best run still has as far to go as it says.
    assert (drawn[seen] > 0.1 * true[seen]).all()
    dots = [line for line in display.ax_.lines if line.get_markersize() == 9]
    assert bool(dots) == arrives


@pytest.mark.parametrize(("n_steps", "solved"), [(ON_ITS_WAY, 0.0), (AT_REST, 1.0)])
def test_profile_counts_runs_that_rest(n_steps, solved):
    found = lab.compare(OWN, "sgd", learning_rates=[0.01], n_steps=n_steps)
    assert PerformanceProfileDisplay.from_comparison(found).share("sgd", 1.0) == solved
