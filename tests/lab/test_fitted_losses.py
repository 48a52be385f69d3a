"""The loss of a fitted model as a function of its weights, against the same written plainly."""

import naive
import numpy as np
import pytest
import scipy.sparse
from problems import ACTIVATIONS, LOSSES, draw_targets
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from traced_code import value_and_slope

from skopt_dl import MLPClassifier, MLPRegressor, lab
from skopt_dl.lab import fitted
from skopt_dl.lab.fitted import FittedLoss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
LABELS = {
    "binary": (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int),
    "multiclass": np.digitize(X[:, 0] + X[:, 1] ** 2, [0.2, 1.5]),
    "multilabel": np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 0], axis=1).astype(int),
}
WEIGHTS = RNG.uniform(0.2, 2.0, 40)


def quick(cls=MLPClassifier, *args, **params):
    """A model that is trained a little."""
    params = {"max_iter": 30, "optimizer": "sgd", "tol": 0, "random_state": 0} | params
    return cls(*args, **params)


def fit(model, *args, **kwargs):
    """A model that is trained a little says so."""
    with pytest.warns(UserWarning, match="Maximum iterations"):
        return model.fit(*args, **kwargs)


def indicators(kind):
    y = LABELS[kind]
    if kind == "multiclass":
        return np.eye(3)[y]
    return y.reshape(len(X), -1).astype(float)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_a_classifier_are_those_written_plainly(kind, weighted):
    model = fit(quick(hidden_layer_sizes=(5, 3), activation="tanh", alpha=0.3), X, LABELS[kind])
    w = WEIGHTS if weighted else None
    loss = FittedLoss(model, X, LABELS[kind], w, penalty=True)
    rows = loss.params + RNG.normal(0, 0.5, (3, loss.n_params))
    sizes = loss.network.layer_sizes
    expected = [
        naive.penalised_loss(row, sizes, "Tanh", kind, X, indicators(kind), 0.3, w) for row in rows
    ]
    np.testing.assert_allclose(loss.losses(rows), expected, rtol=1e-12)


def test_losses_of_a_regressor_with_two_targets_are_those_written_plainly():
    y = X[:, :2] * 3 + 1
    model = fit(quick(MLPRegressor, hidden_layer_sizes=5, activation="logistic"), X, y)
    loss = FittedLoss(model, X, y)
    rows = loss.params + RNG.normal(0, 0.5, (2, loss.n_params))
    sizes = loss.network.layer_sizes
    expected = [naive.penalised_loss(row, sizes, "Logistic", "squared_error", X, y) for row in rows]
    np.testing.assert_allclose(loss.losses(rows), expected, rtol=1e-12)


def test_class_weights_count_as_in_training():
    y, weights = LABELS["binary"], {0: 0.5, 1: 3.0}
    model = fit(quick(class_weight=weights), X, y)
    expected = log_loss(y, model.predict_proba(X), sample_weight=np.where(y, 3.0, 0.5))
    loss = FittedLoss(model, X, y)
    np.testing.assert_allclose(loss.losses(loss.params[None]), expected, rtol=1e-12)


@pytest.mark.parametrize("extra", ["batch_norm", "input_scaling"])
def test_folded_weights_have_the_loss_of_the_predictions(extra):
    y = LABELS["multiclass"]
    model = fit(quick(hidden_layer_sizes=6, **{extra: True}), X, y)
    loss = FittedLoss(model, X, y)
    expected = log_loss(y, model.predict_proba(X))
    np.testing.assert_allclose(loss.losses(loss.params[None]), expected, rtol=1e-12)
    np.testing.assert_array_equal(lab.parameters(model)[:24], model.coefs_[0].ravel())


def test_standardised_targets_give_the_loss_of_training():
    y = 1e3 * X[:, 0] + 5e3
    model = fit(quick(MLPRegressor, standardize_target=True), X, y)
    loss = FittedLoss(model, X, y)
    expected = np.mean(((model.predict(X) - y) / y.std()) ** 2) / 2
    np.testing.assert_allclose(loss.losses(loss.params[None]), expected, rtol=1e-10)


def test_smoothed_labels_are_part_of_the_loss():
    y = LABELS["multiclass"]
    model = fit(quick(label_smoothing=0.2), X, y)
    loss = FittedLoss(model, X, y)
    smooth = 0.8 * np.eye(3)[y] + 0.2 / 3
    expected = -(smooth * model.predict_log_proba(X)).sum(axis=1).mean()
    np.testing.assert_allclose(loss.losses(loss.params[None]), expected, rtol=1e-12)


def test_sparse_samples_have_the_same_losses_and_gradients():
    y, thin = LABELS["binary"], X * (np.abs(X) > 0.7)
    model = fit(quick(), thin, y)
    dense = FittedLoss(model, thin, y)
    sparse = FittedLoss(model, scipy.sparse.csc_array(thin), y)
    rows = dense.params + RNG.normal(0, 0.3, (3, dense.n_params))
    np.testing.assert_allclose(sparse.losses(rows), dense.losses(rows), rtol=1e-12)
    np.testing.assert_allclose(sparse.gradients(rows), dense.gradients(rows), atol=1e-13)


def test_single_precision_stays():
    y = LABELS["multiclass"]
    model = fit(quick(dtype="float32"), X, y)
    single, double = FittedLoss(model, X, y), FittedLoss(model, X, y, dtype=np.float64)
    losses = single.losses(single.params[None])
    assert losses.dtype == single.params.dtype == np.float32
    np.testing.assert_allclose(losses, double.losses(double.params[None]), rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_the_slopes_of_the_losses(weighted):
    y = LABELS["multiclass"]
    model = fit(quick(hidden_layer_sizes=5, activation="softplus", alpha=0.5), X, y)
    loss = FittedLoss(model, X, y, WEIGHTS if weighted else None, penalty=True)
    rows = loss.params + RNG.normal(0, 0.3, (2, loss.n_params))
    moves = 1e-5 * np.eye(loss.n_params)
    for row, gradient in zip(rows, loss.gradients(rows), strict=True):
        slopes = (loss.losses(row + moves) - loss.losses(row - moves)) / 2e-5
        np.testing.assert_allclose(gradient, slopes, atol=1e-9)


def test_parts_that_bound_the_memory_change_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    many = rng.normal(size=(700, 4))
    y, w = (many[:, 0] > 0).astype(int), rng.uniform(size=700)
    w[:256] = 0.0  # a whole batch without weight
    model = fit(quick(hidden_layer_sizes=5), many, y)
    whole = FittedLoss(model, many, y, w, penalty=True)
    rows = whole.params + rng.normal(0, 0.3, (5, whole.n_params))
    losses, gradients = whole.losses(rows), whole.gradients(rows)
    monkeypatch.setattr(fitted, "PASS_SIZE", 1400)
    parts = FittedLoss(model, many, y, w, penalty=True)
    assert parts._block.sizes == (256, 256, 188)
    np.testing.assert_array_equal(parts.losses(rows), losses)
    np.testing.assert_allclose(parts.gradients(rows), gradients, atol=1e-14)


def test_pipelines_and_searches_stand_for_the_model_inside():
    y = LABELS["binary"]
    pipeline = make_pipeline(StandardScaler(), quick())
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1]}, cv=2)
    fit(search, X, y)
    best = search.best_estimator_
    inside = FittedLoss(best[-1], best[:-1].transform(X), y)
    for each in (search, best):
        outside = FittedLoss(each, X, y)
        np.testing.assert_array_equal(outside.params, inside.params)
        rows = inside.params[None]
        np.testing.assert_array_equal(outside.losses(rows), inside.losses(rows))


BAD = {
    "another width": (lambda m: (m, X[:, :3], LABELS["binary"]), ValueError, "3 features"),
    "unknown labels": (lambda m: (m, X, LABELS["binary"] + 5), ValueError, "classes_"),
    "other lengths": (lambda m: (m, X, LABELS["binary"][:-1]), ValueError, "inconsistent"),
    "not fitted": (
        lambda m: (MLPClassifier(), X, LABELS["binary"]),
        ValueError,
        "not fitted",
    ),
    "a search not fitted": (
        lambda m: (GridSearchCV(MLPClassifier(), {"alpha": [0.1]}), X, LABELS["binary"]),
        ValueError,
        "best_estimator_",
    ),
    "another library's": (
        lambda m: (LogisticRegression(), X, LABELS["binary"]),
        TypeError,
        "sklearn's LogisticRegression",
    ),
    "no estimator": (lambda m: (3, X, LABELS["binary"]), TypeError, "int"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("function", [lab.curvature, lab.landscape])
def test_what_is_wrong_is_named(case, function):
    args, error, text = BAD[case]
    model = fit(quick(), X, LABELS["binary"])
    with pytest.raises(error, match=text):
        function(*args(model))


def test_a_regressor_with_other_targets_is_refused():
    model = fit(quick(MLPRegressor), X, X[:, :2])
    with pytest.raises(ValueError, match="1 targets; this model was fitted on 2"):
        FittedLoss(model, X, X[:, 0])


def test_one_model_and_arrays_of_models_are_taken_as_they_come():
    model = fit(quick(), X, LABELS["multiclass"])
    loss = FittedLoss(model, X, LABELS["multiclass"])
    own = lab.parameters(model)
    rows = own + RNG.normal(0, 0.3, (2, 3, len(own)))
    losses, gradients = loss.losses(rows), loss.gradients(rows)
    assert (losses.shape, gradients.shape) == ((2, 3), rows.shape)
    assert loss.losses(rows[1, 2].tolist()) == pytest.approx(losses[1, 2], rel=1e-12)
    np.testing.assert_allclose(loss.gradients(rows[1, 2]), gradients[1, 2], atol=1e-13)


@pytest.mark.parametrize("method", ["losses", "gradients"])
@pytest.mark.parametrize(
    ("params", "got"),
    [
        ("a", "got a str that"),
        (3.0, r"got shape \(\)"),
        (np.zeros((2, 7)), r"got shape \(2, 7\)"),
        (np.zeros((17, 1)), r"got shape \(17, 1\)"),
        ([[0.0], [0.0, 1.0]], "got a list that"),
        (np.full(17, 1j), "got a ndarray that is no"),
    ],
)
def test_weights_of_another_form_are_refused(method, params, got):
    model = fit(quick(hidden_layer_sizes=2), X, LABELS["multiclass"] > 0)
    loss = FittedLoss(model, X, LABELS["multiclass"] > 0)
    message = rf"params must be real numbers of shape \(13,\).*{got}.*lab.parameters"
    with pytest.raises(ValueError, match=message):
        getattr(loss, method)(params)


@pytest.mark.parametrize("dtype", ["int", "float16", complex, 3])
def test_precision_is_single_or_double(dtype):
    model = fit(quick(), X, LABELS["binary"])
    with pytest.raises(ValueError, match=r"dtype must be None, 'float32' or 'float64'; got"):
        FittedLoss(model, X, LABELS["binary"], dtype=dtype)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kinks_of_activations_are_declared(name):
    activation, z = ACTIVATIONS[name], np.array([[[-1e-9, 1e-9]]])
    _, slopes = value_and_slope(activation, z, np.ones_like(z))
    assert activation.has_kink == (abs(np.diff(slopes)).item() > 1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_convexity_of_losses_is_declared(name):
    """None is found above a chord where convexity is declared; one is where it is not."""
    rng = np.random.default_rng(0)
    loss, y = LOSSES[name], draw_targets(name, rng, 2000)
    first, last = rng.normal(0, 4, (2, 1, *y.shape))
    middle, *ends = (loss.value(np, raw, y[None]) for raw in (0.5 * (first + last), first, last))
    above = middle - 0.5 * (ends[0] + ends[1]) > 1e-9 * (1 + np.abs(middle))
    assert loss.is_convex == (not above.any())
