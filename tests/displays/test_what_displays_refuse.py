"""What cannot be shown is refused, with what came and what to pass instead."""

import re

import numpy as np
import pytest

from skopt_dl import lab
from skopt_dl.displays import (
    BasinsDisplay,
    ConvergenceDisplay,
    PerformanceProfileDisplay,
    SlotsDisplay,
    StabilityMapDisplay,
    TrajectoryDisplay,
    UnifiedViewDisplay,
)
from skopt_dl.objectives import Himmelblau, MonkeySaddle, Quadratic


@pytest.fixture(scope="module")
def found():
    return lab.compare(
        Quadratic([1.0, 4.0]), ["sgd", "momentum"], learning_rates=[0.1], n_steps=5, record=True
    )


@pytest.fixture(scope="module")
def unbounded():
    return lab.compare(MonkeySaddle(), ["sgd"], n_steps=200)


def basins(objective=None, **options):
    options = {"resolution": 2, "n_steps": 2, **options}
    return BasinsDisplay.from_objective(objective or Himmelblau(), "sgd", **options)


def stability(objective=None, **options):
    options = {"learning_rates": [0.1], "momenta": [0.5], "n_steps": 2, **options}
    return StabilityMapDisplay.from_objective(objective or Quadratic([1.0]), **options)


@pytest.mark.parametrize(
    ("draw", "what"),
    [
        (lambda f, u: basins("himmelblau"), "got 'himmelblau'. objectives.FUNCTIONS['himmelblau']"),
        (lambda f, u: basins(3), "got an object of class int. objectives.from_callable makes one"),
        (lambda f, u: basins(ax="x"), "ax must be matplotlib Axes, as plt.subplots() makes them"),
        (lambda f, u: basins(resolution=0), "resolution must be an integer of at least 2; got 0"),
        (lambda f, u: basins(resolution=1), "resolution must be an integer of at least 2; got 1"),
        (
            lambda f, u: basins(resolution=4.5),
            "resolution must be an integer of at least 2; got 4.",
        ),
        (lambda f, u: stability("q"), "objective of StabilityMapDisplay must be a Function"),
        (
            lambda f, u: stability(learning_rates=[]),
            "learning_rates must be a sequence of at least",
        ),
        (
            lambda f, u: stability(learning_rates="a"),
            "learning_rates must be a sequence of at leas",
        ),
        (lambda f, u: stability(learning_rates=[np.nan]), "at least one finite number; got [nan]"),
        (lambda f, u: stability(momenta=[]), "momenta must be a sequence of at least one finite"),
        (lambda f, u: ConvergenceDisplay.from_comparison("a"), "lab.compare returns; got 'a'"),
        (
            lambda f, u: PerformanceProfileDisplay.from_comparison("a"),
            "lab.compare returns; got 'a'",
        ),
        (lambda f, u: PerformanceProfileDisplay.from_comparison([f, 3]), "object of class int"),
        (lambda f, u: PerformanceProfileDisplay.from_comparison(u), "has no smallest value, so no"),
        (lambda f, u: TrajectoryDisplay.from_comparison("a"), "lab.compare returns; got 'a'"),
        (lambda f, u: TrajectoryDisplay.from_comparison(f, [999]), "table, from 0 to 1; got 999"),
        (lambda f, u: TrajectoryDisplay.from_comparison(f, [-1]), "table, from 0 to 1; got -1"),
        (lambda f, u: TrajectoryDisplay.from_comparison(f, [0.5]), "table, from 0 to 1; got 0.5"),
        (lambda f, u: TrajectoryDisplay.from_comparison(f, 3), "such as [0]; got 3"),
        (
            lambda f, u: TrajectoryDisplay.from_comparison(f, []),
            "at least one row of the compariso",
        ),
        (
            lambda f, u: TrajectoryDisplay.from_comparison(f, bounds=(3, 1)),
            "each lower one the sma",
        ),
        (lambda f, u: TrajectoryDisplay(Himmelblau(), []), "paths is empty"),
        (lambda f, u: UnifiedViewDisplay.from_rules("a", 3), "what lab.rules() returns; got 'a'"),
        (
            lambda f, u: UnifiedViewDisplay.from_rules(lab.rules(["sgd"]), 3),
            "what lab.reductions() returns; got 3",
        ),
        (
            lambda f, u: UnifiedViewDisplay.from_rules(lab.rules(["lbfgs"]), lab.reductions()),
            "none of 'lbfgs' is. Pass others too",
        ),
        (lambda f, u: SlotsDisplay.from_comparison(f, ax=["x", "y"]), "or None; got 'x'"),
    ],
)
def test_what_cannot_be_shown_is_refused(found, unbounded, draw, what):
    with pytest.raises((TypeError, ValueError), match=re.escape(what)):
        draw(found, unbounded)


def test_rows_may_be_an_array(found):
    assert len(TrajectoryDisplay.from_comparison(found, np.array([1, 0])).lines_) == 2


@pytest.mark.parametrize(
    ("rates", "momenta"), [([0.1], [0.5]), ([0.1, 0.2], [0.0]), ([0.001, 1.0], [0.5, 0.9])]
)
def test_few_settings_make_a_map_of_full_cells(rates, momenta):
    display = stability(learning_rates=rates, momenta=momenta, n_steps=200)
    corners = display.image_.get_coordinates()
    assert (np.diff(corners[..., 0], axis=1) > 0).all()
    assert (np.diff(corners[..., 1], axis=0) > 0).all()
    (low, high), (below, above) = display.ax_.get_xlim(), display.ax_.get_ylim()
    # The star, too, stands within.
    assert low < display.best[0] < high
    assert below < display.best[1] < above
    display.figure_.canvas.draw()
