"""The range of learning rates, and the figures."""

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits, load_wine, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, MLPRegressor, learning_rate_range
from skopt_dl.displays import LearningRateRangeDisplay, LossCurveDisplay
from skopt_dl.optimizers import SGD, Adam
from skopt_dl.schedules import Cosine

mpl.use("Agg")

X, Y = load_digits(return_X_y=True)
X, Y = X[:300], Y[:300]


def quadratic():
    """Linear regression whose largest curvature is known: gradient descent needs rate < 2 / it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    design = np.column_stack([x, np.ones(200)])
    curvature = np.linalg.eigvalsh(design.T @ design / 200)[-1]
    return x, x @ [1.0, -2.0, 0.5, 3.0], 2 / curvature


def test_edge_of_the_stable_range_is_that_of_the_curvature():
    x, y, edge = quadratic()
    model = MLPRegressor((), optimizer="sgd", alpha=0.0, batch_size="full", random_state=0)
    rates = edge * np.array([0.001, 0.01, 0.1, 0.5, 0.98, 1.05, 1.5, 10.0])
    display = learning_rate_range(model, x, y, learning_rates=rates)
    assert display.stable_range[1] == rates[4]
    assert display.suggestion in rates[1:5]
    # As many steps without a GPU as in a closed form: the loss of one rate follows from `fit`.
    fitted = model.set_params(optimizer=SGD(rates[2]), max_iter=200, n_iter_no_change=200)
    with pytest.warns(ConvergenceWarning):
        fitted.fit(x, y)
    np.testing.assert_allclose(display.losses[2], fitted.loss_curve_, rtol=1e-9)


def test_suggestion_is_in_the_stable_range_and_trains_better_than_its_ends():
    model = MLPClassifier(20, optimizer=Adam(Cosine(0.1)), random_state=0)
    display = learning_rate_range(model, X, Y)
    low, high = display.stable_range
    assert low < display.suggestion < high
    losses = dict(zip(display.learning_rates, display.final_losses, strict=True))
    assert losses[display.suggestion] < 0.2 * losses[low]
    assert repr(model.optimizer) == repr(Adam(Cosine(0.1)))
    assert not hasattr(model, "coefs_")


def test_pipeline_is_searched_behind_its_transformers():
    wine, kinds = load_wine(return_X_y=True)
    model = MLPClassifier(10, optimizer="sgd", random_state=0)
    raw = learning_rate_range(model, wine, kinds)
    scaled = learning_rate_range(make_pipeline(StandardScaler(), model), wine, kinds)
    assert scaled.stable_range[1] > 100 * raw.stable_range[1]


def test_many_samples_are_drawn_from():
    big_x, big_y = make_regression(20_000, 3, random_state=0)
    model = MLPRegressor(5, batch_size=10, optimizer="sgd", random_state=0)
    display = learning_rate_range(model, big_x, big_y, learning_rates=[1e-4], n_steps=50)
    assert display.losses.shape == (1, 5)


def test_rates_whose_loss_bounces_far_above_the_best_are_not_stable():
    display = learning_rate_range(MLPClassifier(20, optimizer="sgd", random_state=0), X, Y)
    stable = display.learning_rates <= display.stable_range[1]
    best = np.nanargmin(display.final_losses)
    beyond = np.flatnonzero(stable)[best:]
    # Larger rates keep the loss below where it began, and a hundred times above the best.
    high = (display.final_losses < display.initial_loss) & ~stable
    assert (display.final_losses[high] > 30 * display.final_losses[best]).any()
    assert (display.final_losses[best : best + len(beyond)] < 10 * display.final_losses[best]).all()


@pytest.mark.parametrize("share", [0.9, 0.99, 0.999])
def test_every_rate_below_the_edge_is_stable_and_none_above(share):
    x, y, edge = quadratic()
    model = MLPRegressor((), optimizer="sgd", alpha=0.0, batch_size="full", random_state=0)
    rates = edge * np.array([0.01, 0.5, share, 1.01, 2.0])
    display = learning_rate_range(model, x, y, learning_rates=rates)
    assert display.stable_range == (rates[0], rates[2])


def test_rates_that_are_too_small_are_called_so():
    x, y, edge = quadratic()
    model = MLPRegressor((), optimizer="sgd", alpha=0.0, batch_size="full", random_state=0)
    display = learning_rate_range(model, x, y, learning_rates=[1e-9 * edge, 1e-8 * edge])
    assert display.stable_range is display.suggestion is None
    assert "are too small, the loss hardly moves; try larger ones" in repr(display)
    assert "no stable" not in repr(display)
    display.plot()
    display = learning_rate_range(model, x, y, learning_rates=[1e-9 * edge, 2 * edge, 3 * edge])
    assert "are too small, the loss hardly moves; from 3.3 on it rises" in repr(display)


def test_rates_that_all_diverge_leave_no_suggestion():
    display = learning_rate_range(
        MLPRegressor(optimizer="sgd", random_state=0), 1e6 * X, Y, learning_rates=[1.0, 10.0]
    )
    assert display.stable_range is display.suggestion is None
    assert "no stable learning rate from 1 to 10" in repr(display)
    display.plot()


@pytest.mark.parametrize(
    ("estimator", "options", "error", "message"),
    [
        (MLPClassifier(optimizer="lbfgs"), {}, ValueError, "LBFGS.* has no learning rate to look"),
        (
            LogisticRegression(),
            {},
            TypeError,
            "needs an MLPClassifier.*got sklearn's LogisticRegression",
        ),
        (TransformedTargetRegressor(), {}, TypeError, "got sklearn's TransformedTargetRegressor"),
        (MLPClassifier(), {"learning_rates": [0.1, 0.0]}, ValueError, "must be positive numbers"),
        (MLPClassifier(), {"learning_rates": "a"}, ValueError, "must be positive numbers"),
        (MLPClassifier(), {"n_steps": 0}, ValueError, "n_steps must be an int, at least 1; got 0"),
    ],
)
def test_what_cannot_be_tried_is_named(estimator, options, error, message):
    with pytest.raises(error, match=message):
        learning_rate_range(estimator, X, Y, **options)


def test_divergence_points_to_the_range():
    with pytest.warns(ConvergenceWarning, match=r"skopt_dl.learning_rate_range\(model, X, y\)"):
        MLPRegressor(optimizer=SGD(1e10), random_state=0, max_iter=5).fit(X, Y)


def test_range_is_drawn_with_its_region_and_suggestion():
    losses = np.array([[9.0, 8.9], [8.0, 5.0], [5.0, 1.0], [4.0, 0.9], [8.0, 20.0], [np.nan] * 2])
    display = LearningRateRangeDisplay(np.logspace(-4, 1, 6), losses, initial_loss=9.0)
    assert display.stable_range == (pytest.approx(1e-3), pytest.approx(0.1))
    assert display.suggestion == pytest.approx(1e-2)
    assert display.plot(color="black") is display
    np.testing.assert_array_equal(display.line_.get_ydata(), [8.9, 5.0, 1.0, 0.9, *[np.nan] * 2])
    assert display.ax_.get_xscale() == "log"
    labels = display.ax_.get_legend_handles_labels()[1]
    assert labels == ["after training", "before training", "diverged or worse", "stable",
                      "suggestion 0.01"]  # fmt: skip
    other = mpl.figure.Figure().subplots()
    assert display.plot(other).ax_ is other


@pytest.mark.filterwarnings("ignore:Maximum iterations")
def test_losses_of_a_fitted_model_are_drawn():
    model = make_pipeline(StandardScaler(), MLPClassifier(10, max_iter=6, random_state=0))
    model.fit(X, Y, mlpclassifier__X_val=X, mlpclassifier__y_val=Y)
    display = LossCurveDisplay.from_estimator(model)
    training, validation = display.lines_
    np.testing.assert_array_equal(training.get_ydata(), model[-1].loss_curve_)
    np.testing.assert_array_equal(validation.get_ydata(), model[-1].validation_loss_curve_)
    np.testing.assert_array_equal(training.get_xdata(), np.arange(1, 7))
