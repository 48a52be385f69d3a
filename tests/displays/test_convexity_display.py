import matplotlib
import numpy as np
import pytest

from skopt_dl import lab
from skopt_dl.displays import ConvexityDisplay
from skopt_dl.objectives import Booth, Himmelblau, Polynomial, Quadratic, Rosenbrock

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def close():
    yield
    matplotlib.pyplot.close("all")


def test_graph_of_one_variable_has_the_chord_and_the_interval():
    f = Polynomial([0, 0, -2, 0, 1], (-2, 2), name="double well")
    display = ConvexityDisplay.from_function(f)
    x, y = display.line_.get_data()
    assert (x[0], x[-1]) == (-2, 2)
    np.testing.assert_array_equal(y, f.value(x[:, None]))
    c = display.convexity.counterexample
    np.testing.assert_array_equal(display.chord_.get_xdata(), [c.start[0], c.end[0]])
    np.testing.assert_array_equal(display.chord_.get_ydata(), c.values[[0, 2]])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["double well", "negative second derivative", "chord", "0.556 above the chord"]
    assert display.ax_.get_title() == "double well: convexity is refuted"


def test_slice_goes_through_the_chord_and_stays_in_the_domain():
    f = Himmelblau()
    display = ConvexityDisplay.from_function(f)
    c = display.convexity.counterexample
    np.testing.assert_allclose(display.values, f.value(display.points))
    np.testing.assert_allclose(display.chord_.get_xdata(), [0, 1], atol=1e-12)
    at = np.argmin(np.abs(display.positions - c.share))
    np.testing.assert_allclose(display.points[at], c.between, atol=0.05)
    assert (display.points >= f.lower - 1e-9).all()
    assert (display.points <= f.upper + 1e-9).all()
    assert display.ax_.get_xlabel().startswith("from (")


@pytest.mark.parametrize("f", [Booth(), Quadratic([1.0, 0.0, 2.0, 1.0]), Polynomial([1, 2])])
def test_without_a_chord_there_is_the_function_alone(f):
    display = ConvexityDisplay.from_function(f)
    assert display.chord_ is None
    assert len(display.ax_.lines) == 1
    assert "proved" in display.ax_.get_title()


def test_domain_without_an_end_is_drawn_around_the_chord():
    display = ConvexityDisplay.from_function(Polynomial([0, 0, 0, 1]), (-np.inf, np.inf))
    assert np.isfinite(display.points).all()
    assert display.points[0, 0] < display.convexity.counterexample.start[0]


def test_given_axes_and_styles_are_used():
    figure, ax = matplotlib.pyplot.subplots()
    display = ConvexityDisplay(lab.convexity(Rosenbrock())).plot(ax, color="red")
    assert display.figure_ is figure
    assert display.line_.get_color() == "red"
