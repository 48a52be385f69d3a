import naive
import numpy as np
import pytest
from problems import LOSSES, NUMPY, draw_targets, subclasses_in
from scipy import special
from sklearn._loss import HuberLoss
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    mean_gamma_deviance,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
)
from traced_code import traced

from skopt_dl import MLPRegressor
from skopt_dl.networks import Loss, losses

DTYPES = [np.float32, np.float64]


def values(loss, raw, y):
    return run(LOSSES[loss].value, raw, y)


def gradients(loss, raw, y):
    return run(LOSSES[loss].gradient, raw, y)


def run(function, *arrays):
    """Array code of one model, as the engine runs it."""
    with NUMPY.quiet():
        return traced(function, *(np.array(array)[None] for array in arrays))[0]


def predictions(loss, raw):
    return LOSSES[loss].predict(np, np.array(raw)[None])[0]


def draw(loss, n=200):
    rng = np.random.default_rng(0)
    y = draw_targets(loss, rng, n)
    return rng.normal(scale=2.0, size=y.shape), y


def test_every_loss_is_tried():
    tried = {type(loss) for loss in LOSSES.values()}
    assert tried == set(subclasses_in(losses, Loss).values()) - {losses.LogLoss, losses.Focal}


METRICS = {
    "binary": lambda y, raw: log_loss(y[:, 0], special.expit(raw[:, 0])),
    "multilabel": lambda y, raw: sum(
        log_loss(column, special.expit(r)) for column, r in zip(y.T, raw.T, strict=True)
    ),
    "multiclass": lambda y, raw: log_loss(y.argmax(axis=1), special.softmax(raw, axis=1)),
    "squared_error": lambda y, raw: y.shape[1] * mean_squared_error(y, raw) / 2,
    "absolute_error": lambda y, raw: y.shape[1] * mean_absolute_error(y, raw),
    "huber": lambda y, raw: (
        y.shape[1]
        * HuberLoss(delta=naive.HUBER_DELTA)(y_true=y.ravel(), raw_prediction=raw.ravel())
    ),
    "poisson": lambda y, raw: (
        y.shape[1] * mean_poisson_deviance(y.ravel(), np.exp(raw).ravel()) / 2
    ),
    "gamma": lambda y, raw: y.shape[1] * mean_gamma_deviance(y.ravel(), np.exp(raw).ravel()) / 2,
    "quantile": lambda y, raw: y.shape[1] * mean_pinball_loss(y, raw, alpha=naive.QUANTILE),
}


@pytest.mark.parametrize("loss", METRICS)
def test_mean_equals_scikit_learns_metric(loss):
    raw, y = draw(loss)
    assert values(loss, raw, y).mean() == pytest.approx(METRICS[loss](y, raw), rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_sample_has_its_own_value(loss):
    raw, y = draw(loss)
    np.testing.assert_allclose(values(loss, raw, y), naive.LOSSES[loss](raw, y), rtol=1e-12)


EXTREMES = {
    "binary": ([[1000.0], [1000.0], [-1000.0], [-1000.0]], [[1.0], [0.0], [1.0], [0.0]]),
    "multilabel": ([[1000.0, -1000.0, 1000.0]] * 2, [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]),
    "multiclass": (
        [[1000.0, -1000.0, 0.0], [1000.0, -1000.0, 0.0], [-1000.0, -1000.0, -1000.0]],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    ),
    "focal_binary": ([[1000.0], [1000.0], [-1000.0], [-1000.0]], [[1.0], [0.0], [1.0], [0.0]]),
    "focal_multiclass": (
        [[1000.0, -1000.0, 0.0], [1000.0, -1000.0, 0.0], [-1000.0, -1000.0, -1000.0]],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    ),
    "two_labels": ([[1000.0, 1000.0, -1000.0, 0.0]], [[0.0, 0.0, 1.0, 0.0]]),
    "log_cosh": ([[1000.0, -1000.0]], [[1.0, 2.0]]),
    "gamma": ([[1000.0, -80.0]], [[1.0, 2.0]]),
    "squared_error": ([[1000.0, -1000.0]], [[1.0, 2.0]]),
    "absolute_error": ([[1000.0, -1000.0]], [[1.0, 2.0]]),
    "huber": ([[1000.0, -1000.0]], [[1.0, 2.0]]),
    "poisson": ([[-1000.0, -1000.0], [80.0, -1000.0]], [[0.0, 3.0], [1.0, 0.0]]),
    "quantile": ([[1000.0, -1000.0]], [[1.0, 2.0]]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
def test_extreme_raw_outputs_have_finite_values_and_gradients(loss, dtype):
    raw, y = (np.array(part, dtype=dtype) for part in EXTREMES[loss])
    value, gradient = values(loss, raw, y), gradients(loss, raw, y)
    assert value.dtype == gradient.dtype == dtype
    expected = naive.LOSSES[loss](raw.astype(np.float64), y)
    rtol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(value, expected, rtol=rtol)
    assert np.isfinite(gradient).all()
    if loss in ("binary", "multilabel", "multiclass"):
        probabilities = (
            special.softmax if loss == "multiclass" else lambda r, axis: special.expit(r)
        )
        np.testing.assert_allclose(gradient, probabilities(raw, axis=1) - y, atol=rtol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("raw", [16.0, 40.0])
def test_confident_and_right_costs_next_to_nothing(raw, dtype):
    raw = np.array([[raw]], dtype=dtype)
    value = values("binary", raw, np.ones((1, 1), dtype=dtype))
    np.testing.assert_allclose(value, -special.log_expit(raw[0]), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
def test_output_activations_equal_scipys(dtype):
    raw = np.array([[-1000.0, 0.0, 1000.0], [-1.0, 2.0, 3.0]], dtype=dtype)
    rtol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(predictions("multilabel", raw), special.expit(raw), rtol=rtol)
    softmax = special.softmax(raw, axis=1)
    np.testing.assert_allclose(predictions("multiclass", raw), softmax, rtol=rtol)
    np.testing.assert_array_equal(predictions("squared_error", raw), raw)
    np.testing.assert_allclose(predictions("poisson", raw[1:]), np.exp(raw[1:]), rtol=rtol)


@pytest.mark.parametrize(
    ("target_type", "kind"),
    [
        ("binary", losses.LogisticLogLoss),
        ("multilabel-indicator", losses.LogisticLogLoss),
        ("multiclass", losses.SoftmaxLogLoss),
    ],
)
def test_log_loss_takes_its_form_from_the_targets(target_type, kind):
    assert type(losses.LogLoss().for_targets(target_type)) is kind


def test_focal_loss_without_gamma_is_log_loss():
    rng = np.random.default_rng(0)
    raw, y = rng.normal(size=(20, 3)), np.eye(3)[rng.integers(3, size=20)]
    for target_type in ("multiclass", "multilabel-indicator"):
        focal = losses.Focal(gamma=0.0).for_targets(target_type)
        plain = losses.LogLoss().for_targets(target_type)
        for name in ("value", "gradient"):
            of_focal, of_plain = (run(getattr(loss, name), raw, y) for loss in (focal, plain))
            np.testing.assert_allclose(of_focal, of_plain, atol=1e-15)


def test_gamma_names_the_target_that_is_not_positive():
    with pytest.raises(ValueError, match=r"loss='gamma' needs positive targets; y has 0"):
        losses.Gamma().check_targets(np.array([[1.0], [0.0]]))


def test_poisson_names_the_negative_target():
    with pytest.raises(ValueError, match=r"loss='poisson' needs .* y has -2"):
        losses.Poisson().check_targets(np.array([[1.0], [-2.0]]))
    losses.Poisson().check_targets(np.array([[0.0], [3.5]]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_value_is_the_same_before_and_after_the_gradient(loss, dtype):
    raw, y = (array.astype(dtype) for array in draw(loss))
    form = LOSSES[loss]
    rest = run(lambda xp, raw, y: form.gradient_and_rest(xp, raw, y)[1], raw, y)
    delta = run(lambda xp, raw, y: form.gradient_and_rest(xp, raw, y)[0], raw, y)
    after = run(form.value_of_rest, rest, y)
    rtol = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(after, values(loss, raw, y), rtol, rtol)
    np.testing.assert_allclose(delta, gradients(loss, raw, y), rtol, rtol)


class OneNumber(Loss):
    def value(self, xp, raw, y):
        return xp.mean((raw - y) ** 2)

    def gradient(self, xp, raw, y):
        return 2 * (raw - y)


class OneDerivative(OneNumber):
    def gradient(self, xp, raw, y):
        return xp.sum(2 * (raw - y), axis=-1)


class Untold(OneNumber):
    gradient = Loss.gradient


@pytest.mark.parametrize(
    ("loss", "culprit", "shape", "needed"),
    [
        (OneNumber(), "value of OneNumber", (), (1, 9)),
        (OneDerivative(), "gradient of OneDerivative", (1, 9), (1, 9, 2)),
        (Untold(), "value of Untold", (), (1, 9)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_loss_of_a_wrong_shape_is_named(loss, culprit, shape, needed):
    X, y = np.ones((9, 3)), np.ones((9, 2))
    with pytest.raises(ValueError, match="check_component") as caught:
        MLPRegressor(4, loss=loss, max_iter=2).fit(X, y)
    message = str(caught.value)
    assert message.startswith(f"{culprit} returned an array of shape {shape} ")
    assert f": {needed}. " in message
