"""Fitting: data of all kinds, attributes, warm starts, early stopping, interruptions."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.neural_network
from sklearn.base import clone
from sklearn.datasets import load_digits, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, d2_pinball_score, log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import skopt_dl
from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.estimators.data import split
from skopt_dl.networks.losses import Quantile
from skopt_dl.optimizers import LBFGS, SGD, Adam, Momentum
from skopt_dl.schedules import Cosine, CosLog4, OneCycle, WarmUp

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = StandardScaler().fit_transform(DIGITS)[:600]
LABELS = LABELS[:600]
BINARY = (LABELS > 4).astype(int)


# Most of these trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")


def classifier(epochs=10, **params):
    return MLPClassifier(20, max_iter=epochs, tol=0.0, random_state=0, **params)


def regressor(epochs=10, **params):
    return MLPRegressor(20, max_iter=epochs, tol=0.0, random_state=0, **params)


def weights(model):
    return np.concatenate([w.ravel() for w in (*model.coefs_, *model.intercepts_)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_and_probabilities_have_the_precision_of_the_data(dtype):
    model = classifier().fit(DIGITS.astype(dtype), LABELS)
    assert {w.dtype for w in (*model.coefs_, *model.intercepts_)} == {np.dtype(dtype)}
    assert model.predict_proba(DIGITS.astype(dtype)).dtype == dtype


def test_dtype_parameter_overrides_the_data():
    model = classifier(dtype="float32").fit(DIGITS, LABELS)
    assert model.coefs_[0].dtype == np.float32
    assert model.predict_proba(DIGITS).dtype == np.float32


def test_float32_and_float64_agree():
    single = classifier(dtype="float32").fit(DIGITS, LABELS)
    double = classifier(dtype="float64").fit(DIGITS, LABELS)
    np.testing.assert_allclose(single.loss_curve_, double.loss_curve_, rtol=1e-3)


@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_input_gives_the_weights_of_dense_input(make):
    dense = classifier(3).fit(DIGITS, LABELS)
    sparse = classifier(3).fit(make(DIGITS), LABELS)
    np.testing.assert_allclose(weights(sparse), weights(dense), atol=1e-12)
    np.testing.assert_allclose(sparse.predict_proba(make(DIGITS)), dense.predict_proba(DIGITS))


def test_labels_may_be_strings():
    names = np.array(list("abcdefghij"))
    model = classifier(30).fit(DIGITS, names[LABELS])
    numbers = classifier(30).fit(DIGITS, LABELS)
    np.testing.assert_array_equal(model.classes_, names)
    np.testing.assert_array_equal(model.predict(DIGITS), names[numbers.predict(DIGITS)])


def test_binary_probabilities_are_those_of_the_single_output():
    model = classifier().fit(DIGITS, BINARY)
    assert (model.n_outputs_, model.out_activation_) == (1, "logistic")
    p = model.predict_proba(DIGITS)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    np.testing.assert_array_equal(p.argmax(axis=1), model.predict(DIGITS))


def test_one_class_is_predicted_for_certain():
    model = classifier().fit(DIGITS, np.full(len(DIGITS), 7))
    assert set(model.predict(DIGITS)) == {7}
    np.testing.assert_array_equal(model.predict_proba(DIGITS), np.ones((len(DIGITS), 1)))


def test_multilabel_predicts_each_label():
    X, Y = make_multilabel_classification(300, n_classes=4, random_state=0)
    model = classifier(60, optimizer=Adam(0.01)).fit(X, Y)
    p = model.predict_proba(X)
    assert p.shape == Y.shape
    np.testing.assert_array_equal(model.predict(X), p > 0.5)
    assert model.score(X, Y) > 0.6
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-8)
    sparse = classifier(60, optimizer=Adam(0.01)).fit(X, scipy.sparse.csr_matrix(Y))
    np.testing.assert_array_equal(weights(sparse), weights(model))


def test_log_probabilities_stay_finite_where_probabilities_round_to_zero():
    model = classifier(1).fit(DIGITS, BINARY)
    model.coefs_[-1][:] *= 1e4
    p, log_p = model.predict_proba(DIGITS), model.predict_log_proba(DIGITS)
    assert (p == 0).any()
    assert np.isfinite(log_p).all()
    np.testing.assert_allclose(np.exp(log_p), p, atol=1e-12)


@pytest.mark.parametrize("labels", [BINARY, LABELS], ids=["binary", "multiclass"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_logarithms_of_probabilities_that_round_to_one_are_exact(labels, dtype):
    """scikit-learn's are zero there: it takes the logarithm of what has been rounded."""
    model = classifier(1, dtype=dtype).fit(DIGITS, labels)
    model.coefs_[-1][:] *= 200
    raw = model.transform(DIGITS) @ model.coefs_[-1] + model.intercepts_[-1]
    scores = (raw if labels is LABELS else np.hstack([0 * raw, raw])).astype(np.longdouble)
    odds_against = np.sort(np.exp(scores - scores.max(axis=1, keepdims=True)), axis=1)[:, :-1]
    expected = -np.log1p(odds_against.sum(axis=1))
    p, log_p = (f(DIGITS).max(axis=1) for f in (model.predict_proba, model.predict_log_proba))
    assert 10 < (p == 1).sum() < 590
    assert log_p.dtype == dtype
    # What the output layer's own sums round by is all that is between them.
    rounding = np.abs(scores).max() * np.finfo(dtype).eps
    normal = expected < -np.finfo(dtype).tiny
    np.testing.assert_allclose(log_p[normal], expected[normal], rtol=4 * rounding, atol=0)
    assert normal[p == 1].any()


def test_several_targets_are_predicted_together():
    X, Y = make_regression(200, 5, n_targets=3, random_state=0)
    Y /= Y.std(axis=0)
    model = regressor(200, optimizer=Adam(0.01)).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.95


def test_quantile_regression_beats_the_mean_regression_at_its_quantile():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (500, 1))
    y = x[:, 0] + rng.exponential(1.0, 500)
    upper = regressor(150, loss=Quantile(0.9), optimizer=Adam(0.01)).fit(x, y)
    mean = regressor(150, optimizer=Adam(0.01)).fit(x, y)
    assert abs((y < upper.predict(x)).mean() - 0.9) < 0.05
    assert d2_pinball_score(y, upper.predict(x), alpha=0.9) > d2_pinball_score(
        y, mean.predict(x), alpha=0.9
    )


def test_poisson_predicts_positive_means():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    y = rng.poisson(np.exp(x[:, 0]))
    model = regressor(100, loss="poisson", optimizer=Adam(0.01)).fit(x, y)
    assert model.out_activation_ == "exp"
    assert (model.predict(x) > 0).all()
    assert np.corrcoef(np.log(model.predict(x)), x[:, 0])[0, 1] > 0.95
    with pytest.raises(ValueError, match=r"not negative; y has -3"):
        model.fit(x, y - 3)


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
@pytest.mark.parametrize("batch_size", [7, "auto", "full"])
def test_training_is_determined_by_random_state(sampling, batch_size):
    model = classifier(2, sampling=sampling, batch_size=batch_size)
    first, again = (clone(model).fit(DIGITS, LABELS) for _ in range(2))
    np.testing.assert_array_equal(weights(first), weights(again))
    other = clone(model).set_params(random_state=1).fit(DIGITS, LABELS)
    assert not np.array_equal(weights(first), weights(other))
    steps = {7: 2 * 86, "auto": 2 * 3, "full": 2}[batch_size]
    assert first.n_steps_ == steps


def test_sample_weights_act_like_repeated_samples_in_full_batches():
    rng = np.random.default_rng(0)
    repeats = rng.integers(0, 4, len(DIGITS))
    model = classifier(5, batch_size="full")
    weighted = clone(model).fit(DIGITS, LABELS, sample_weight=repeats)
    repeated = clone(model).fit(np.repeat(DIGITS, repeats, axis=0), np.repeat(LABELS, repeats))
    np.testing.assert_allclose(weights(weighted), weights(repeated), atol=1e-10)


@pytest.mark.parametrize(
    ("sample_weight", "message"),
    [(-np.ones(600), "[Nn]egative"), (np.zeros(600), "zero"), (np.ones(3), "shape")],
)
def test_bad_sample_weights_are_refused(sample_weight, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(DIGITS, LABELS, sample_weight=sample_weight)


def test_attributes_and_history_tell_of_the_training():
    model = classifier(6).fit(DIGITS, LABELS)
    assert model.n_iter_ == len(model.loss_curve_) == 6
    assert (model.n_layers_, model.n_outputs_, model.out_activation_) == (3, 10, "softmax")
    assert model.t_ == 6 * 600
    assert model.n_steps_ == 6 * 3
    assert (model.loss_, model.best_loss_) == (model.loss_curve_[-1], min(model.loss_curve_))
    assert model.device_ == "cpu"
    assert list(model.history_) == ["loss", "learning_rate", "grad_norm", "seconds"]
    assert model.history_["loss"] == model.loss_curve_
    assert pd.DataFrame(model.history_).shape == (6, 4)
    assert np.all(np.diff(model.history_["seconds"]) > 0)


def test_full_batch_loss_curve_is_log_loss_plus_penalty():
    model = classifier(3, batch_size="full", optimizer=SGD(1e-12), alpha=0.5)
    model.fit(DIGITS, LABELS)
    penalty = 0.25 * sum((w**2).sum() for w in model.coefs_) / len(DIGITS)
    expected = log_loss(LABELS, model.predict_proba(DIGITS)) + penalty
    np.testing.assert_allclose(model.loss_curve_, expected, rtol=1e-9)


def test_fit_for_five_epochs_equals_five_partial_fits_bit_for_bit():
    whole = classifier(5).fit(DIGITS, LABELS)
    parts = MLPClassifier(20, max_iter=5, random_state=0)
    for _ in range(5):
        parts.partial_fit(DIGITS, LABELS, classes=np.arange(10))
    np.testing.assert_array_equal(weights(parts), weights(whole))
    assert parts.loss_curve_ == whole.loss_curve_
    assert (parts.t_, parts.n_steps_, parts.n_iter_) == (whole.t_, whole.n_steps_, 1)


def test_partial_fit_needs_all_classes_at_first_and_no_others_later():
    model = MLPClassifier(5, random_state=0)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(DIGITS, LABELS)
    model.partial_fit(DIGITS[:50], LABELS[:50], classes=np.arange(10))
    with pytest.raises(ValueError, match=r"has classes not in `self.classes_`: \[11\]"):
        model.partial_fit(DIGITS[:1], [11])
    with pytest.raises(ValueError, match="differs from that of the first call"):
        model.partial_fit(DIGITS, LABELS, classes=np.arange(5))
    model.partial_fit(DIGITS[:3], LABELS[:3])


def test_partial_fit_takes_multilabel_targets_without_classes():
    X, Y = make_multilabel_classification(100, random_state=0)
    model = MLPClassifier(5, random_state=0).partial_fit(X, Y).partial_fit(X, Y)
    assert model.predict(X).shape == Y.shape


def test_partial_fit_is_not_there_for_full_batch_methods():
    assert not hasattr(MLPClassifier(optimizer="lbfgs"), "partial_fit")
    assert not hasattr(MLPRegressor(optimizer=LBFGS()), "partial_fit")
    assert hasattr(MLPRegressor(optimizer="adam"), "partial_fit")


def test_partial_fit_refuses_early_stopping():
    with pytest.raises(ValueError, match="does not support early_stopping=True"):
        MLPRegressor(early_stopping=True).partial_fit(DIGITS, LABELS)


def test_warm_start_goes_on_from_the_weights():
    model = classifier(4, warm_start=True).fit(DIGITS, LABELS)
    first_loss = model.loss_curve_[-1]
    model.fit(DIGITS, LABELS)
    assert len(model.loss_curve_) == 8
    assert model.loss_curve_[4] < first_loss
    assert (model.n_iter_, model.t_) == (4, 8 * 600)


def test_warm_start_refuses_other_classes_layers_and_features():
    model = classifier(2, warm_start=True).fit(DIGITS, LABELS)
    with pytest.raises(ValueError, match="same classes as in the previous call to fit"):
        model.fit(DIGITS[LABELS < 5], LABELS[LABELS < 5])
    with pytest.raises(ValueError, match="hidden_layer_sizes=30 and this data need"):
        clone(model).fit(DIGITS, LABELS).set_params(hidden_layer_sizes=30).fit(DIGITS, LABELS)
    with pytest.raises(ValueError, match="features"):
        model.fit(DIGITS[:, :5], LABELS)


def test_failed_fit_leaves_the_model_as_it_was():
    model = classifier(3).fit(DIGITS, LABELS)
    before, classes = weights(model), model.classes_
    model.set_params(optimizer="nope")
    with pytest.raises(ValueError, match="nope"):
        model.fit(DIGITS[:, :3], BINARY)
    model.set_params(optimizer="adam")
    with pytest.raises(ValueError, match=r"weights of shapes|NaN"):
        model.fit(np.full((4, 2), np.nan), [0, 1, 0, 1])
    np.testing.assert_array_equal(weights(model), before)
    np.testing.assert_array_equal(model.classes_, classes)
    model.predict(DIGITS)


@pytest.mark.parametrize("optimizer", [Adam(0.01), "lbfgs"])
def test_early_stopping_keeps_the_weights_of_the_best_epoch(optimizer):
    held_out = []

    def accuracy(model, X, y):
        held_out[:] = X, y
        return accuracy_score(y, model.predict(X))

    model = MLPClassifier(
        20, optimizer=optimizer, early_stopping=True, validation_fraction=0.2, max_iter=300,
        random_state=0, n_iter_no_change=5, scoring=accuracy,
    )  # fmt: skip
    model.fit(DIGITS, LABELS)
    X, y = held_out
    assert len(X) == 120
    scores, losses = model.validation_scores_, model.history_["validation_loss"]
    assert model.n_iter_ == len(scores) == len(losses) < 300
    assert model.best_loss_ is None
    best = scores.index(max(scores))
    assert accuracy(model, X, y) == model.best_validation_score_ == scores[best]
    # Several epochs may share a score, the last one included, but not a loss.
    assert losses[-1] != pytest.approx(losses[best], rel=1e-3)
    assert log_loss(y, model.predict_proba(X)) == pytest.approx(losses[best], rel=1e-9)


def test_early_stopping_regressor_scores_by_r2():
    X, y = make_regression(300, 5, random_state=0)
    y = y / y.std()
    model = MLPRegressor(30, early_stopping=True, max_iter=400, random_state=0).fit(X, y)
    assert 0.9 < model.best_validation_score_ <= 1.0
    assert r2_score(y, model.predict(X)) > 0.9


@pytest.mark.parametrize("library", [skopt_dl, sklearn.neural_network])
@pytest.mark.parametrize(
    ("n_samples", "fraction", "n_validation"), [(2, 0.1, 1), (3, 0.1, 1), (10, 0.1, 1), (4, 0.9, 4)]
)
def test_early_stopping_refuses_the_samples_that_scikit_learn_refuses(
    library, n_samples, fraction, n_validation
):
    model = library.MLPRegressor(early_stopping=True, validation_fraction=fraction)
    message = "validation set is too small|train set will be empty"
    if library is skopt_dl:
        message = (
            f"validation_fraction={fraction} of {n_samples} samples makes {n_validation} to "
            f"validate on and {n_samples - n_validation} to train on; .* pass X_val and y_val"
        )
    with pytest.raises(ValueError, match=message):
        model.fit(DIGITS[:n_samples], np.arange(n_samples))


@pytest.mark.parametrize("strata", [None, np.arange(50) % 3])
def test_samples_are_split_as_by_train_test_split(strata):
    found = split(strata, 50, 0.13, np.random.RandomState(3))
    expected = train_test_split(
        np.arange(50), test_size=7, stratify=strata, random_state=np.random.RandomState(3)
    )
    for rows, others in zip(found, expected, strict=True):
        np.testing.assert_array_equal(rows, others)


@pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])
def test_early_stopping_takes_eleven_samples(make):
    model = make(early_stopping=True, max_iter=2).fit(DIGITS[:11], np.arange(11) % 2)
    assert len(model.validation_scores_) == 2


def test_reaching_max_iter_warns():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
        MLPClassifier(5, max_iter=3).fit(DIGITS, LABELS)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
        MLPClassifier(5, max_iter=3, optimizer="lbfgs").fit(DIGITS, LABELS)


def test_batch_size_larger_than_the_data_warns():
    with pytest.warns(UserWarning, match="batch_size=1000 is larger than the 600 training samples"):
        classifier(2, batch_size=1000).fit(DIGITS, LABELS)


def test_column_vector_target_warns():
    with pytest.warns(DataConversionWarning):
        model = regressor(2).fit(DIGITS, LABELS[:, None])
    assert model.predict(DIGITS).shape == (600,)


@pytest.mark.parametrize("rate", [1e2, 1e6, 1e30])
def test_diverging_run_warns_with_epoch_and_rate_and_keeps_finite_weights(rate):
    model = MLPRegressor(20, optimizer=Momentum(rate), activation="identity", random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch \d+ at learning rate 1"):
        model.fit(100 * DIGITS, LABELS)
    assert np.isfinite(weights(model)).all()
    assert np.isfinite(model.predict(100 * DIGITS)).all()


def test_interrupted_run_warns_and_keeps_what_it_has(monkeypatch):
    calls = 0

    def interrupt(self, *arguments):
        nonlocal calls
        calls += 1
        if calls > 10:
            raise KeyboardInterrupt
        return original(self, *arguments)

    original = SGD.update
    monkeypatch.setattr(SGD, "update", interrupt)
    monkeypatch.setattr(SGD, "traceable", False)
    model = MLPClassifier(20, optimizer="sgd", random_state=0)
    with pytest.warns(UserWarning, match="interrupted by user in epoch 4"):
        model.fit(DIGITS, LABELS)
    assert model.n_iter_ == 3
    model.predict(DIGITS)


@pytest.mark.usefixtures("numpy_engine")
def test_verbose_prints_each_epoch(capsys):
    classifier(3, verbose=True, device="cpu").fit(DIGITS, LABELS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("Epoch 1, loss = ")


def test_data_frames_bring_feature_names():
    frame = pd.DataFrame(DIGITS).add_prefix("pixel ")
    model = classifier(2).fit(frame, LABELS)
    np.testing.assert_array_equal(model.feature_names_in_, frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"pixel 0": "p"}))


def test_pickled_model_predicts_and_trains_on():
    model = classifier(2).fit(DIGITS, LABELS)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(DIGITS), model.predict_proba(DIGITS))
    copy.partial_fit(DIGITS, LABELS)
    model.partial_fit(DIGITS, LABELS)
    np.testing.assert_array_equal(weights(copy), weights(model))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_predicting_before_fitting_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(MLPClassifier(), method)(DIGITS)


def test_prediction_uses_replaced_weights():
    model = regressor(2).fit(DIGITS, LABELS)
    model.coefs_ = [np.zeros_like(w) for w in model.coefs_]
    model.intercepts_[-1] = np.array([3.0])
    np.testing.assert_array_equal(model.predict(DIGITS), np.full(600, 3.0))


def test_network_without_hidden_layers_is_logistic_regression():
    model = MLPClassifier(
        (), optimizer="lbfgs", alpha=1.0, tol=1e-8, max_iter=1000, random_state=0
    ).fit(DIGITS, BINARY)
    reference = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(DIGITS, BINARY)
    # SciPy's L-BFGS ends at a relative change of the loss of 2e-9, a flat neighbourhood.
    np.testing.assert_allclose(model.coefs_[0][:, 0], reference.coef_[0], atol=5e-3)


def test_large_prediction_passes_through_in_parts(monkeypatch):
    model = classifier(2).fit(DIGITS, LABELS)
    whole = model.predict_proba(DIGITS)
    monkeypatch.setattr("skopt_dl.networks.prediction.PASS_SIZE", 1)
    monkeypatch.setattr("skopt_dl.networks.prediction.MIN_ROWS", 97)
    np.testing.assert_allclose(model.predict_proba(DIGITS), whole, rtol=1e-12)


def test_model_that_diverged_can_be_trained_on():
    model = MLPRegressor(20, optimizer=SGD(1e150), activation="identity", random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.partial_fit(100 * DIGITS, LABELS)
    model.set_params(optimizer__learning_rate=1e-9).partial_fit(100 * DIGITS, LABELS)
    assert np.isfinite(model.loss_curve_[-1])


def test_targets_beyond_the_precision_are_refused():
    with pytest.raises(ValueError, match="y has values beyond the range of float32, up to 9e"):
        MLPRegressor(dtype="float32").fit(DIGITS, LABELS * 1e300)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_warnings_point_at_the_line_that_called(method):
    model = MLPRegressor(optimizer=SGD(1e150), activation="identity", random_state=0)
    with pytest.warns(ConvergenceWarning) as warned:
        getattr(model, method)(100 * DIGITS, LABELS)
    assert {warning.filename for warning in warned} == {__file__}


@pytest.mark.parametrize("schedule", [Cosine(), OneCycle(), CosLog4(), WarmUp(Cosine())])
def test_reaching_max_iter_with_a_schedule_made_for_it_is_no_reason_to_warn(schedule):
    model = MLPClassifier(5, optimizer=Adam(schedule), max_iter=3, random_state=0)
    assert model.fit(DIGITS, LABELS).n_iter_ == 3


def test_loss_that_explodes_without_becoming_infinite_is_reported():
    X, y = make_regression(100, 5, random_state=0)
    model = MLPRegressor(5, activation="identity", optimizer=SGD(0.01), random_state=0, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="the loss has risen from .* to .*e"):
        model.fit(30 * X, y)
    assert np.isfinite(model.loss_)
