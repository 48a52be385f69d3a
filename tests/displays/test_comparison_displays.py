"""Curves, paths and profiles show what a comparison holds."""

import subprocess
import sys

import numpy as np
import pytest

from skopt_dl import lab
from skopt_dl.displays import (
    ConvergenceDisplay,
    PerformanceProfileDisplay,
    SlotsDisplay,
    TrajectoryDisplay,
)
from skopt_dl.displays._contours import levels
from skopt_dl.displays._runs import groups, steps_to_stay
from skopt_dl.displays._style import OF_OPTIMIZERS
from skopt_dl.objectives import (
    Himmelblau,
    MonkeySaddle,
    Polynomial,
    Quadratic,
    Rosenbrock,
    from_callable,
)
from skopt_dl.optimizers import SGD, Momentum

BOWL = Quadratic([1.0, 4.0], domain=(-2, 2))


def compare(optimizers=("sgd", "momentum"), objective=BOWL, **options):
    options = {"learning_rates": [0.01, 0.1, 1.0], "n_steps": 50, "record": True, **options}
    return lab.compare(objective, list(optimizers), **options)


# Which runs belong together


def test_best_rate_is_the_one_with_which_most_runs_arrive_soonest():
    comparison = compare(starts=4, n_steps=400)
    for group in groups(comparison):
        table = comparison.table
        rows = table["optimizer"] == group.optimizer
        medians = {
            rate: np.median(table["steps_to_tolerance"][rows & (table["learning_rate"] == rate)])
            for rate in (0.01, 0.1, 1.0)
        }
        assert group.learning_rate == min(medians, key=medians.get)
        assert group.label == f"{group.optimizer}, {group.learning_rate:g}"
        assert len(group.rows) == 4


def test_all_rates_make_a_group_each_and_none_is_lost():
    comparison = compare(["sgd", "lbfgs"], starts=3)
    found = groups(comparison, "all")
    assert [group.label for group in found] == ["sgd, 0.01", "sgd, 0.1", "sgd, 1", "lbfgs"]
    assert sorted(np.concatenate([group.rows for group in found])) == list(range(len(comparison)))


def test_single_rate_is_not_named():
    assert [group.label for group in groups(compare(learning_rates=[0.1]))] == ["sgd", "momentum"]


def test_unknown_choice_of_rates_is_refused():
    with pytest.raises(ValueError, match="learning_rates must be 'best' or 'all'; got 'some'"):
        ConvergenceDisplay.from_comparison(compare(), learning_rates="some")


def test_steps_count_from_when_the_gap_stays_small():
    gaps = np.array([[3, 0, 3, 0, 0], [0, 0, 0, 0, 0], [3, 0, 0, 0, 3], [3, 3, 3, 3, 0]])
    np.testing.assert_array_equal(steps_to_stay(gaps, 1.0), [3, 0, np.inf, 4])


# Convergence


def test_curves_are_those_of_the_closed_form():
    starts = np.array([[1.0, 0.5], [2.0, -1.0], [-0.5, 2.0]])
    comparison = compare([SGD(0.1)], starts=starts, learning_rates=None)
    (curve,) = ConvergenceDisplay.from_comparison(comparison).curves
    steps = np.arange(51)[:, None]
    shrunk = starts[:, None] * (1 - 0.1 * np.array([1.0, 4.0])) ** steps
    gaps = 0.5 * (shrunk**2 * [1.0, 4.0]).sum(axis=-1)
    np.testing.assert_allclose(curve.median, np.median(gaps, axis=0), rtol=1e-9)
    np.testing.assert_allclose(curve.lowest, gaps.min(axis=0), rtol=1e-9)
    np.testing.assert_allclose(curve.highest, gaps.max(axis=0), rtol=1e-9)


def test_line_shows_the_median_and_bars_the_range():
    display = ConvergenceDisplay.from_comparison(compare(starts=4))
    for curve, line, bars in zip(display.curves, display.lines_, display.ranges_, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve.median)
        for (at, low), (_, high) in bars.get_segments():
            assert low == pytest.approx(curve.lowest[int(at)])
            assert high == pytest.approx(curve.highest[int(at)])
    assert display.ax_.get_yscale() == "log"


def test_diverging_curve_ends_in_a_cross_and_below_the_ceiling():
    display = ConvergenceDisplay.from_comparison(compare(["sgd"]), learning_rates="all")
    diverged = display.lines_[2]
    heights = diverged.get_ydata()
    assert np.isnan(heights[-1])
    crosses = [line for line in display.ax_.lines if line.get_marker() == "x"]
    assert len(crosses) == 1
    assert crosses[0].get_ydata()[0] == heights[np.isfinite(heights)][-1]


def test_label_counts_the_runs_that_diverge():
    quartic = Polynomial([0.0, 0.0, 1.0, 0.0, 1.0], domain=(-6, 6))
    comparison = lab.compare(quartic, [SGD(0.1)], starts=[[0.5], [1.0], [5.0]], n_steps=200)
    assert list(comparison.table["outcome"]) == ["reached", "reached", "diverged"]
    (curve,) = ConvergenceDisplay.from_comparison(comparison).curves
    assert curve.label.endswith("(1 of 3 diverged)")
    assert np.isfinite(curve.highest).all()


def test_method_that_ends_by_itself_stays_where_it_is():
    (curve,) = ConvergenceDisplay.from_comparison(compare(["lbfgs"])).curves
    assert curve.median[-1] < 1e-10
    assert np.isfinite(curve.median).all()


def test_without_a_known_minimum_the_gap_is_to_the_best_seen():
    own = from_callable(lambda x: (x**2).sum(axis=-1) + 5.0, n_dims=2)
    display = ConvergenceDisplay.from_comparison(compare(objective=own))
    assert display.ax_.get_ylabel() == "f(x) − smallest value seen"
    assert min(curve.median[-1] for curve in display.curves) < 1e-3


def test_function_without_a_smallest_value_has_no_gap():
    with pytest.raises(ValueError, match="MonkeySaddle has no smallest value"):
        ConvergenceDisplay.from_comparison(compare(objective=MonkeySaddle()))


# Trajectories


def test_paths_are_those_of_the_runs():
    comparison = compare(starts=2)
    display = TrajectoryDisplay.from_comparison(comparison, runs=[0, 3, 7])
    for run, line in zip([0, 3, 7], display.lines_, strict=True):
        points = comparison.paths[run]
        np.testing.assert_array_equal(np.transpose(line.get_data()), points)
        assert line.get_color() == OF_OPTIMIZERS[comparison.table["optimizer"][run]].color
    assert display.ax_.get_xlim() == (-2, 2)


def test_each_optimizer_shows_its_best_run_unless_told_otherwise():
    display = TrajectoryDisplay.from_comparison(compare(starts=3))
    assert [path.optimizer for path in display.paths] == ["sgd", "momentum"]
    assert [path.label for path in display.paths] == [
        group.label for group in groups(compare(starts=3))
    ]


def test_diverged_path_ends_where_it_is_no_longer_finite():
    comparison = lab.compare(Rosenbrock(), [SGD(0.05)], n_steps=100, record=True)
    display = TrajectoryDisplay.from_comparison(comparison)
    assert np.isfinite(display.paths[0].points).all()
    assert 1 < len(display.paths[0].points) < 101
    display.figure_.canvas.draw()


@pytest.mark.parametrize("function", [Rosenbrock(), Himmelblau(), BOWL])
def test_contours_are_evenly_spaced_in_the_logarithm_of_the_gap(function):
    x, y = np.meshgrid(*np.linspace(function.lower, function.upper, 80).T)
    gaps = levels(function.value(np.stack([x, y], axis=-1)), function.minimum) - function.minimum
    ratios = gaps[1:] / gaps[:-1]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-6)
    assert gaps[0] > 0
    assert ratios[0] > 1.3


def test_contours_of_a_function_without_a_smallest_value_have_equal_shares_between():
    saddle = MonkeySaddle()
    display = TrajectoryDisplay.from_comparison(compare(["sgd"], saddle, learning_rates=None))
    display.figure_.canvas.draw()
    x, y = np.meshgrid(*np.linspace(saddle.lower, saddle.upper, 80).T)
    values = saddle.value(np.stack([x, y], axis=-1))
    between, _ = np.histogram(values, levels(values, saddle.minimum))
    assert between.min() > 0.9 * between.max()


def test_flat_function_has_no_contours():
    assert levels(np.ones((5, 5)), np.nan).size == 0
    own = from_callable(lambda x: 0.0 * x[..., 0], n_dims=2, gradient=lambda x: 0.0 * x)
    TrajectoryDisplay.from_comparison(compare(["sgd"], own)).figure_.canvas.draw()


def test_function_of_one_variable_shows_its_graph():
    quartic = Polynomial([0.0, 0.5, -3.0, 0.0, 1.0], domain=(-2, 2))
    comparison = lab.compare(
        quartic, [SGD(0.01), Momentum(0.01)], starts=[[1.9]], n_steps=50, record=True
    )
    display = TrajectoryDisplay.from_comparison(comparison)
    first, second = display.lines_
    graph = display.ax_.lines[0].get_ydata()
    # Each path has a lane below the graph, where no number says what is not so.
    lanes = []
    for line, path in zip((first, second), comparison.paths, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), path[:, 0])
        assert len(set(line.get_ydata())) == 1
        lanes.append(line.get_ydata()[0])
    assert display.ax_.get_ylim()[0] < lanes[1] < lanes[0] < graph.min()
    assert display.ax_.get_yticks().min() >= graph.min() - 0.1 * np.ptp(graph)
    assert display.ax_.get_ylabel() == "f(x)"
    assert "below the line: the x of each step" in display.ax_.get_xlabel()
    # On the graph are the starts and ends of runs, where they are.
    ends = [line for line in display.ax_.lines if line.get_markersize() == 8]
    for line, path in zip(ends, comparison.paths, strict=True):
        np.testing.assert_allclose(line.get_xdata(), path[-1])
        np.testing.assert_allclose(line.get_ydata(), quartic.value(path[-1]))


def test_bounds_choose_what_is_seen():
    display = TrajectoryDisplay.from_comparison(compare(), bounds=([0.0, -1.0], 1.0))
    assert display.ax_.get_xlim() == (0, 1)
    assert display.ax_.get_ylim() == (-1, 1)


def test_what_has_no_paths_or_too_many_variables_is_refused():
    with pytest.raises(ValueError, match="record=True"):
        TrajectoryDisplay.from_comparison(compare(record=False))
    large = Quadratic([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="one or two variables; Quadratic has 3"):
        TrajectoryDisplay.from_comparison(compare(objective=large))


# Performance profiles


def test_profile_is_that_of_dolan_and_more():
    steps = {
        "one": np.array([10.0, 20.0, np.inf, 8.0, 0.0]),
        "other": np.array([20.0, 5.0, np.inf, np.inf, 1.0]),
    }
    display = PerformanceProfileDisplay(steps).plot()
    np.testing.assert_array_equal(display.ratios["one"], [1, 4, np.inf, 1, 1])
    np.testing.assert_array_equal(display.ratios["other"], [2, 1, np.inf, np.inf, 1])
    factors = (1, 2, 3.9, 4, 100)
    assert [display.share("one", f) for f in factors] == [0.6, 0.6, 0.6, 0.8, 0.8]
    assert [display.share("other", f) for f in factors] == [0.4, 0.6, 0.6, 0.6, 0.6]
    # The curve at a factor is the last of its points that is not beyond it.
    for line, solver in zip(display.lines_, ("one", "other"), strict=True):
        x, y = line.get_data()
        for factor in (1, 2, 3.9, 4):
            assert y[x <= factor][-1] == pytest.approx(display.share(solver, factor))


def test_profile_gathers_the_problems_of_several_functions():
    comparisons = [compare(starts=3), compare(objective=Himmelblau(), starts=2)]
    display = PerformanceProfileDisplay.from_comparison(comparisons)
    assert {solver: len(steps) for solver, steps in display.steps.items()} == {
        "sgd": 5,
        "momentum": 5,
    }
    best = groups(comparisons[0])[0]
    np.testing.assert_array_equal(
        display.steps["sgd"][:3], comparisons[0].table["steps_to_tolerance"][best.rows]
    )


def test_profile_of_all_rates_has_a_solver_for_each():
    display = PerformanceProfileDisplay.from_comparison(compare(["sgd"]), learning_rates="all")
    assert list(display.steps) == ["sgd, 0.01", "sgd, 0.1", "sgd, 1"]


def test_profile_where_nothing_is_solved_is_drawn():
    steps = {"one": np.array([np.inf]), "other": np.array([np.inf])}
    PerformanceProfileDisplay(steps).plot().figure_.canvas.draw()


def test_profile_needs_the_same_solvers_everywhere():
    with pytest.raises(ValueError, match="'momentum' is not in all comparisons"):
        PerformanceProfileDisplay.from_comparison([compare(["sgd"]), compare()])
    with pytest.raises(ValueError, match="comparison is empty"):
        PerformanceProfileDisplay.from_comparison([])


# Slots


def test_slots_are_drawn_one_line_a_weight():
    comparison = compare(["adagrad"], learning_rates=[0.1])
    display = SlotsDisplay.from_comparison(comparison)
    found = lab.slots_of_run(comparison)
    for weight in range(2):
        np.testing.assert_array_equal(
            display.rate_lines_[weight].get_ydata(), found.rate[:, weight]
        )
        np.testing.assert_array_equal(
            display.direction_lines_[weight].get_ydata(), found.direction[:, weight]
        )
    # The direction is the gradient, which is not drawn twice.
    assert display.gradient_lines_ == []
    assert display.ax_[1].get_ylabel() == "Effective learning rate"


def test_slots_of_a_run_made_elsewhere_are_drawn():
    gradients = np.array([[1.0], [1.0], [-2.0]])
    path = np.array([[3.0], [2.9], [2.71], [2.739]])
    display = SlotsDisplay.from_run(Momentum(0.1), path, gradients)
    np.testing.assert_allclose(display.direction_lines_[0].get_ydata(), [1.0, 1.9, -0.29])
    np.testing.assert_allclose(display.rate_lines_[0].get_ydata(), 0.1)
    assert len(display.gradient_lines_) == 1


def test_figure_of_what_has_no_two_slots_says_so():
    display = SlotsDisplay.from_comparison(compare(["lbfgs"]))
    assert display.ax_[1].get_ylabel() == "−change / gradient"
    assert "not a direction over a scale" in display.ax_[1].get_title()


def test_many_weights_show_the_first_few_or_those_asked_for():
    large = Quadratic(np.arange(1.0, 10.0))
    comparison = compare(["adam"], large, learning_rates=[0.1])
    assert len(SlotsDisplay.from_comparison(comparison).rate_lines_) == 6
    display = SlotsDisplay.from_comparison(comparison, weights=[8, 0])
    assert [line.get_label() for line in display.rate_lines_] == ["x₉", "x₁"]
    with pytest.raises(ValueError, match="weights must be numbers from 0 to 8; got 9"):
        SlotsDisplay.from_comparison(comparison, weights=[9])


def test_slots_need_two_axes():
    from matplotlib import pyplot as plt

    figure, both = plt.subplots(1, 2)
    display = SlotsDisplay.from_comparison(compare(["sgd"]), ax=both)
    assert display.figure_ is figure
    with pytest.raises(ValueError, match="SlotsDisplay needs 2 axes; got 1"):
        SlotsDisplay.from_comparison(compare(["sgd"]), ax=both[0])


# All of them


@pytest.mark.parametrize(
    "display", [ConvergenceDisplay, TrajectoryDisplay, PerformanceProfileDisplay]
)
def test_twelve_optimizers_are_drawn_in_given_axes_with_the_legend_beside(display):
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(layout="constrained")
    comparison = compare(OF_OPTIMIZERS, n_steps=10, learning_rates=None)
    shown = display.from_comparison(comparison, ax=ax)
    assert shown.ax_ is ax
    assert shown.figure_ is figure
    assert len(shown.lines_) == 12
    figure.canvas.draw()
    assert shown.legend_.get_window_extent().x0 >= ax.get_window_extent().x1
    again = display.from_comparison(comparison, linewidth=3.0)
    assert {line.get_linewidth() for line in again.lines_} == {3.0}


def test_matplotlib_is_imported_when_something_is_drawn():
    code = "import skopt_dl.displays, skopt_dl.lab, sys; print('matplotlib' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True).strip() == "False"


def test_missing_matplotlib_is_answered_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for display in (ConvergenceDisplay, TrajectoryDisplay, SlotsDisplay):
        with pytest.raises(ImportError, match=r"pip install 'skopt-dl\[plot\]'"):
            display.from_comparison(compare())
