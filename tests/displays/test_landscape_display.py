"""Drawing slices through the loss."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_iris

from skopt_dl import MLPClassifier, lab
from skopt_dl.displays import LandscapeDisplay


@pytest.fixture(autouse=True)
def no_figures_are_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return x[::3] - x.mean(axis=0), y[::3]


@pytest.fixture(scope="module")
def models(iris):
    params = {"optimizer": "lbfgs", "max_iter": 1000}
    return [MLPClassifier(4, random_state=k, **params).fit(*iris) for k in (0, 1)]


def markers(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines}


@pytest.mark.parametrize("span", [0.01, 3.0])
def test_a_plane_has_contours_and_its_model(iris, models, span):
    display = LandscapeDisplay.from_estimator(
        models[0], *iris, resolution=9, span=span, random_state=0
    )
    # Losses that differ in their order of magnitude are drawn so.
    wide = np.ptp(np.log(display.landscape.losses)) > np.log(10)
    norms = {True: mpl.colors.LogNorm, False: mpl.colors.Normalize}
    assert type(display.contours_.norm) is norms[wide]
    assert wide == (span == 3.0)
    assert markers(display.ax_)["model"].tolist() == [[0, 0]]
    labels = display.ax_.get_xlabel(), display.ax_.get_ylabel()
    assert labels == ("random direction 1", "random direction 2")
    assert display.path_ is None


def test_the_first_direction_is_drawn_to_the_right(iris, models):
    """What is contoured over (x, y) is the loss at the coordinates (x, y), not (y, x)."""
    plane = lab.landscape(models[0], *iris, resolution=9, span=2.0, random_state=0)
    plane.losses = np.broadcast_to(np.linspace(1, 2, 9)[:, None], (9, 9))
    contours = LandscapeDisplay(plane).plot(levels=[1.5, 3.0]).contours_
    (filled,) = [path.vertices for path in contours.get_paths() if len(path.vertices)]
    assert filled[:, 0].min() == pytest.approx(0.0, abs=1e-9)
    assert filled[:, 1].min() == pytest.approx(-2.0)


def test_a_path_lies_on_top(iris, models):
    end = lab.parameters(models[0])
    path = end + np.linspace(1, 0, 6)[:, None] * np.random.default_rng(0).normal(size=(6, end.size))
    for n_dims in (1, 2):
        display = LandscapeDisplay.from_estimator(
            models[0], *iris, directions="path", path=path, resolution=7, n_dims=n_dims
        )
        seen = display.landscape
        height = seen.path_losses if n_dims == 1 else seen.path[:, 1]
        drawn = np.column_stack([seen.path[:, 0], height])
        np.testing.assert_array_equal(display.path_.get_xydata(), drawn)
        assert "of variance)" in display.ax_.get_xlabel()


def test_a_line_has_its_curve_on_the_given_axes(iris, models):
    _, ax = plt.subplots()
    display = LandscapeDisplay.from_estimator(
        models[0], *iris, n_dims=1, resolution=9, random_state=0, ax=ax
    )
    assert display.ax_ is ax
    np.testing.assert_array_equal(display.line_.get_ydata(), display.landscape.losses)
    assert markers(ax)["model"].tolist() == [[0, display.landscape.loss]]
    assert display.plot(color="red").line_.get_color() == "red"


def test_a_barrier_is_marked_where_there_is_one(iris, models):
    line = lab.between(*models, *iris)
    ax = LandscapeDisplay(line).plot().ax_
    assert markers(ax)["models"].tolist() == [[0, line.end_losses[0]], [1, line.end_losses[1]]]
    assert f"barrier {line.barrier:.3g}" in markers(ax)
    flat = LandscapeDisplay(lab.between(models[0], models[0], *iris)).plot().ax_
    assert not any(label.startswith("barrier") for label in markers(flat))


def test_losses_that_overflow_leave_a_gap(iris, models):
    plane = lab.landscape(models[0], *iris, resolution=5, random_state=0)
    plane.losses[0, 0] = np.inf
    LandscapeDisplay(plane).plot().figure_.canvas.draw()
    line = lab.landscape(models[0], *iris, n_dims=1, resolution=5, random_state=0)
    line.losses[0] = np.inf
    assert np.isnan(LandscapeDisplay(line).plot().line_.get_ydata()[0])
