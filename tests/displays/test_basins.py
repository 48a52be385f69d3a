"""Each starting point has the colour of the minimum that it leads to."""

import numpy as np
import pytest

from skopt_dl.displays import BasinsDisplay
from skopt_dl.displays._style import REGIONS, rgb
from skopt_dl.displays.basins import PALEST
from skopt_dl.objectives import Function, Himmelblau, Plateau, Polynomial, Quadratic, from_callable
from skopt_dl.optimizers import SGD, Momentum

# (x² - 1)²: what starts left of 0 ends at -1 when steps are small, and right of it at 1.
WELLS = Polynomial([1.0, 0.0, -2.0, 0.0, 1.0], domain=(-1.75, 1.75), name="wells")
# The same in both variables: four minima, one in each quadrant.
FOUR_WELLS = Polynomial(
    [[2.0, 0.0, -2.0, 0.0, 1.0], [0.0] * 5, [-2.0, 0, 0, 0, 0], [0.0] * 5, [1.0, 0, 0, 0, 0]],
    domain=(-1.75, 1.75),
)


def descend(function, start, rate, n_steps):
    """Values of gradient descent, written down once more."""
    points = [np.asarray(start, dtype=float)]
    for _ in range(n_steps):
        points.append(points[-1] - rate * function.gradient(points[-1]))
    return np.array(points)


@pytest.mark.parametrize("function", [WELLS, FOUR_WELLS])
def test_small_steps_lead_to_the_minimum_on_the_same_side(function):
    display = BasinsDisplay.from_objective(function, SGD(0.02), resolution=14, n_steps=800)
    points = np.stack(np.meshgrid(*display.starts), axis=-1)
    reached = np.stack(display.minima)[display.minimum]
    np.testing.assert_allclose(reached, np.sign(points).reshape(reached.shape), atol=1e-9)
    assert (display.outcome == "reached").all()
    np.testing.assert_allclose(display.shares, 1 / len(display.minima))


def test_steps_are_those_after_which_descent_stays_near():
    display = BasinsDisplay.from_objective(FOUR_WELLS, SGD(0.05), resolution=5, n_steps=300)
    for row, second in enumerate(display.starts[1]):
        for column, first in enumerate(display.starts[0]):
            values = FOUR_WELLS.value(descend(FOUR_WELLS, [first, second], 0.05, 300))
            if display.minimum[row, column] < 0:
                continue
            apart = np.flatnonzero(values > 1e-6)
            expected = apart[-1] + 1 if apart.size else 0
            assert display.steps[row, column] == expected


def test_shallow_minimum_has_a_basin_and_steps_of_its_own():
    tilted = Polynomial([0.0, 0.3, -2.0, 0.0, 1.0], domain=(-1.75, 1.75))
    display = BasinsDisplay.from_objective(tilted, SGD(0.02), resolution=30, n_steps=800)
    assert len(display.minima) == 2
    assert (display.shares > 0.3).all()
    assert np.isfinite(display.steps).all()


def test_momentum_changes_the_basins():
    plain = BasinsDisplay.from_objective(Himmelblau(), SGD(0.005), resolution=12, n_steps=500)
    heavy = BasinsDisplay.from_objective(Himmelblau(), Momentum(0.005), resolution=12, n_steps=500)
    assert (plain.minimum != heavy.minimum).any()


def test_what_diverges_or_never_arrives_is_marked():
    display = BasinsDisplay.from_objective(Himmelblau(), SGD(0.025), resolution=12, n_steps=200)
    nowhere = display.minimum < 0
    assert set(display.outcome[nowhere]) >= {"diverged", "stalled"}
    assert np.isinf(display.steps[nowhere]).all()
    image = np.asarray(display.image_.get_array())
    np.testing.assert_allclose(image[display.outcome == "diverged"], 0x1A / 255)
    np.testing.assert_allclose(image[display.outcome == "stalled"], 0x9A / 255)
    labels = [text.get_text() for text in display.legend_.get_texts()]
    assert f"stalled: {np.mean(display.outcome == 'stalled'):.1%}" in labels
    display.figure_.canvas.draw()


def test_quicker_starts_are_darker():
    display = BasinsDisplay.from_objective(WELLS, SGD(0.02), resolution=40, n_steps=800)
    image = np.asarray(display.image_.get_array())[0]
    first = np.flatnonzero(display.minimum == display._order[0])
    order = first[np.argsort(display.steps[first], kind="stable")]
    whiteness = image[order].sum(axis=1)
    assert (np.diff(whiteness) >= -1e-12).all()
    colour = rgb(REGIONS[0])
    np.testing.assert_allclose(image[order[0]], colour, atol=0.02)
    np.testing.assert_allclose(image[order[-1]], colour + PALEST * (1 - colour), atol=0.02)


def test_minima_that_are_not_known_are_found_by_the_runs():
    own = from_callable(FOUR_WELLS.value, 2, gradient=FOUR_WELLS.gradient, domain=(-1.75, 1.75))
    assert not own.minima
    known = BasinsDisplay.from_objective(FOUR_WELLS, SGD(0.05), resolution=8, n_steps=300)
    found = BasinsDisplay.from_objective(own, SGD(0.05), resolution=8, n_steps=300)
    assert len(found.minima) == 4
    np.testing.assert_allclose(
        np.stack(found.minima)[found.minimum], np.stack(known.minima)[known.minimum], atol=1e-3
    )


def test_many_minima_are_drawn_and_the_largest_basins_named():
    n = 25
    points = np.arange(n, dtype=float)[:, None]
    minimum = np.repeat(np.arange(n), 2)
    display = BasinsDisplay(
        Quadratic([1.0], domain=(0, n)),
        (np.linspace(0, n, 2 * n),),
        list(points),
        minimum,
        np.ones(2 * n),
        np.full(2 * n, "reached"),
    ).plot()
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert len(texts) == len(REGIONS) + 1
    assert texts[-1] == f"{n - len(REGIONS)} more minima: 68.0%"


def test_optimizers_by_name_and_a_plateau_are_drawn():
    display = BasinsDisplay.from_objective(Plateau(), "adam", resolution=6, n_steps=50)
    assert display.title.endswith(": adam")
    display.figure_.canvas.draw()


def test_function_of_three_variables_is_refused():
    with pytest.raises(ValueError, match="one or two variables; Quadratic has 3"):
        BasinsDisplay.from_objective(Quadratic([1.0, 2.0, 3.0]), "sgd")


def test_wells_are_what_this_says():
    assert isinstance(WELLS, Function)
    np.testing.assert_allclose(WELLS.value(np.array([[1.0], [-1.0], [0.0]])), [0, 0, 1], atol=1e-12)
    x = np.array([[0.5, -1.5]])
    np.testing.assert_allclose(FOUR_WELLS.value(x), (0.25 - 1) ** 2 + (2.25 - 1) ** 2)
