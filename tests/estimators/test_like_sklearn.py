"""Whoever comes from scikit-learn finds what its MLPs do: its test suite, case by case.

Each test of ``sklearn/neural_network/tests/test_mlp.py`` (scikit-learn 1.9) and where its subject
is tested here: in this file, where no other is named.

========================================== ========================================================
theirs                                     ours
========================================== ========================================================
test_alpha                                 test_larger_alpha_leads_to_smaller_weights
test_fit                                   test_first_step_is_the_one_worked_out_by_hand,
                                           test_partial_fit_goes_on_from_weights_that_were_…
test_gradient                              networks/test_gradients.py
test_lbfgs_classification                  test_lbfgs_learns_with_every_activation
test_lbfgs_regression                      test_lbfgs_learns_with_every_activation
test_lbfgs_classification_maxfun           test_max_fun_ends_lbfgs_and_is_named_in_the_warning
test_lbfgs_regression_maxfun               test_max_fun_ends_lbfgs_and_is_named_in_the_warning
test_learning_rate_warmstart               test_warm_start_goes_on_with_the_rate
test_multilabel_classification             test_multilabel_targets_are_learnt_by_all_ways_of_fitting
test_multioutput_regression                test_training_equals_scikit_learns [two targets];
                                           test_fit.py: several_targets_are_predicted_together
test_partial_fit_classes_error             test_fit.py: partial_fit_needs_all_classes_at_first_…
test_partial_fit_classification            test_partial_fits_are_the_epochs_of_a_fit
test_partial_fit_unseen_classes            test_class_may_come_after_the_first_call
test_partial_fit_regression                test_partial_fits_are_the_epochs_of_a_fit
test_partial_fit_errors                    test_first_call_refuses_labels_beyond_its_classes;
                                           test_fit.py: partial_fit_is_not_there_for_full_batch_…
test_nonfinite_params                      test_features_too_large_to_train_on_are_reported
test_predict_proba_binary                  test_probabilities_and_their_logarithms
test_predict_proba_multiclass              test_probabilities_and_their_logarithms
test_predict_proba_multilabel              test_probabilities_and_their_logarithms
test_shuffle                               test_shuffling_changes_the_training_and_has_a_seed
test_sparse_matrices                       test_fit.py: sparse_input_gives_the_weights_of_dense_…
test_tolerance                             test_patience_is_scikit_learns
test_verbose_sgd                           test_verbose_tells_each_epoch_of_fit_and_partial_fit,
                                           test_verbose_tells_why_training_stopped_or_slowed_down
test_early_stopping                        test_early_stopping_fills_its_attributes_and_no_others
test_adaptive_learning_rate                test_adaptive_rate_falls_until_it_is_too_small
test_warm_start                            test_warm_start_takes_the_same_classes_only
test_warm_start_full_iteration             test_max_iter_counts_the_epochs_of_each_fit
test_n_iter_no_change                      test_patience_is_scikit_learns
test_n_iter_no_change_inf                  test_patience_is_scikit_learns [inf]
test_early_stopping_stratified             test_validation_set_keeps_the_share_of_two_classes,
                                           test_class_of_one_sample_does_not_prevent_early_stopping
test_mlp_early_stopping_string_labels      test_early_stopping_takes_labels_of_any_kind
test_mlp_classifier_dtypes_casting         test_fit.py: float32_and_float64_agree
test_mlp_regressor_dtypes_casting          test_regressor_has_the_precision_of_its_data
test_mlp_param_dtypes                      test_regressor_has_the_precision_of_its_data;
                                           test_fit.py: weights_and_probabilities_have_the_prec…
test_mlp_loading_from_joblib_partial_fit   test_model_from_a_file_learns_something_new
test_preserve_feature_names                test_early_stopping_knows_feature_names
test_mlp_warm_start_with_early_stopping    test_warm_start_adds_to_the_validation_scores
test_mlp_warm_start_no_convergence         test_max_iter_counts_the_epochs_of_each_fit
test_mlp_partial_fit_after_fit             test_partial_fit_after_fit_refuses_early_stopping
test_mlp_diverging_loss                    test_divergence_under_early_stopping_ends_in_a_nan_score
test_mlp_sample_weight_with_early_stopping test_equal_weights_are_none_under_early_stopping
test_mlp_vs_poisson_glm_equivalent         test_poisson_loss_equals_the_generalised_linear_model
test_minimum_input_sample_size             test_fit.py: early_stopping_refuses_the_samples_th…
========================================== ========================================================

Not tested there, but done there: test_partial_fits_reduce_the_adaptive_rate_like_scikit_learns,
test_lbfgs_that_has_nothing_to_do_knows_its_loss,
test_partial_fit_goes_on_from_the_best_weights_of_early_stopping.

Of ``test_base.py``: finite losses of certain predictions (``test_binary_log_loss_1_prob_finite``,
``test_log_loss_1_prob_finite``) and the Poisson loss (``test_poisson_loss``) are in
networks/test_losses.py; here, test_certain_and_wrong_has_a_finite_loss.
"""

import re
from itertools import product

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.neural_network as theirs
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_digits, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.preprocessing import scale

import skopt_dl as ours
from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.networks import FromFitted
from skopt_dl.optimizers import LBFGS, SGD, Adam, Momentum, Nesterov
from skopt_dl.schedules import InverseScaling, ReduceOnPlateau

# Most of these trainings are short on purpose, here and in scikit-learn.
pytestmark = pytest.mark.filterwarnings(
    "ignore:(Stochastic Optimizer. )?Maximum iterations",
    "ignore:lbfgs failed to converge",
    "ignore:batch_size=.* has no effect",
)

DIGITS, LABELS = load_digits(n_class=3, return_X_y=True)
DIGITS, LABELS = DIGITS[:150] / 16, LABELS[:150]
BINARY = (LABELS == 1).astype(int)
FEATURES, TARGET = make_regression(120, 6, noise=10.0, random_state=0)
TARGET = scale(TARGET)
MULTILABEL = make_multilabel_classification(80, n_features=15, n_classes=4, random_state=0)
COUNTS = np.round(np.exp(TARGET))

TASKS = {
    "binary": ("MLPClassifier", DIGITS, BINARY, {}),
    "multiclass": ("MLPClassifier", DIGITS, LABELS, {}),
    "multilabel": ("MLPClassifier", *MULTILABEL, {}),
    "regression": ("MLPRegressor", FEATURES, TARGET, {}),
    "two targets": ("MLPRegressor", FEATURES, np.column_stack([TARGET, -TARGET]), {}),
    "poisson": ("MLPRegressor", FEATURES, COUNTS, {"loss": "poisson"}),
}
PLAIN = {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0}
SOLVERS = {
    "sgd": (PLAIN, SGD(0.05)),
    "momentum": (PLAIN | {"momentum": 0.9, "nesterovs_momentum": False}, Momentum(0.05)),
    "nesterov": (PLAIN | {"momentum": 0.9}, Nesterov(0.05)),
    "invscaling": (
        PLAIN | {"learning_rate": "invscaling", "power_t": 0.3},
        SGD(InverseScaling(0.05, power=0.3)),
    ),
    "adam": ({"solver": "adam"}, Adam(epsilon_hat=True)),
    "lbfgs": ({"solver": "lbfgs"}, LBFGS()),
}
ESTIMATORS = pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])


def weights(model):
    return np.concatenate([w.ravel() for w in (*model.coefs_, *model.intercepts_)])


def twins(task, solver, optimizer, **params):
    """Model of theirs and of ours that start from the same weights, and their data."""
    name, X, y, loss = TASKS[task]
    params = {"hidden_layer_sizes": (6, 4), "shuffle": False, "random_state": 0} | loss | params
    model = getattr(theirs, name)(**params, **solver)
    # A step this small leaves the weights as they were drawn.
    start = clone(model).set_params(**PLAIN | {"learning_rate_init": 1e-300}, max_iter=1)
    start.set_params(learning_rate="constant").fit(X, y)
    twin = getattr(ours, name)(**params, optimizer=optimizer, init=FromFitted(start))
    return model, twin, X, y


@pytest.mark.parametrize(
    ("task", "solver"),
    # With several targets, their line search sees another loss than their gradient belongs to.
    [pair for pair in product(TASKS, SOLVERS) if pair != ("two targets", "lbfgs")],
)
def test_training_equals_scikit_learns(task, solver):
    # Their squared error is a mean over targets, penalty included, ours a sum.
    alpha, n_targets = (0.0, 2) if task == "two targets" else (0.1, 1)
    max_iter = 6 if solver == "lbfgs" else 15
    model, twin, X, y = twins(
        task, *SOLVERS[solver], alpha=alpha, max_iter=max_iter, batch_size=32, activation="tanh"
    )
    model.fit(X, y)
    twin.fit(X, y)
    close = {"rtol": 1e-6, "atol": 1e-8}
    np.testing.assert_allclose(weights(twin), weights(model), **close)
    np.testing.assert_allclose(twin.loss_ / n_targets, model.loss_, **close)
    for attribute in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(twin, attribute) == getattr(model, attribute)
    if solver != "lbfgs":
        curve = np.array(twin.loss_curve_) / n_targets
        np.testing.assert_allclose(curve, model.loss_curve_, **close)
        assert twin.best_loss_ / n_targets == pytest.approx(model.best_loss_, rel=1e-6)
        assert twin.t_ == model.t_
        assert twin.validation_scores_ is twin.best_validation_score_ is None
    assert twin.score(X, y) == pytest.approx(model.score(X, y), rel=1e-6)
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(twin.classes_, model.classes_)
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
        np.testing.assert_allclose(twin.predict_proba(X), model.predict_proba(X), **close)
    else:
        np.testing.assert_allclose(twin.predict(X), model.predict(X), **close)


def test_larger_alpha_leads_to_smaller_weights():
    models = [
        MLPClassifier(10, alpha=alpha, random_state=0).fit(DIGITS, BINARY) for alpha in (0.0, 1.0)
    ]
    for free, penalised in zip(models[0].coefs_, models[1].coefs_, strict=True):
        assert np.abs(penalised).sum() < np.abs(free).sum()


@pytest.mark.parametrize("library", [theirs, ours], ids=["theirs", "ours"])
def test_partial_fit_goes_on_from_weights_that_were_replaced(library):
    method = {theirs: PLAIN | {"learning_rate_init": 1e-300}, ours: {"optimizer": SGD(1e-300)}}
    model = library.MLPRegressor(hidden_layer_sizes=5, random_state=0, **method[library])
    model.partial_fit(FEATURES, TARGET)
    model.coefs_ = [np.full_like(w, 0.1) for w in model.coefs_]
    expected = model.predict(FEATURES)
    found = model.partial_fit(FEATURES, TARGET).predict(FEATURES)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("library", [theirs, ours], ids=["theirs", "ours"])
def test_partial_fit_goes_on_from_the_best_weights_of_early_stopping(library):
    method = {theirs: PLAIN | {"learning_rate_init": 1.5}, ours: {"optimizer": SGD(1.5)}}
    model = library.MLPRegressor(
        hidden_layer_sizes=5, activation="tanh", early_stopping=True, max_iter=30, random_state=0,
        **method[library],
    ).fit(FEATURES, TARGET)  # fmt: skip
    assert model.validation_scores_[-1] < model.best_validation_score_
    expected = model.predict(FEATURES)
    if library is ours:
        model.set_params(early_stopping=False, optimizer__learning_rate=1e-300)
    else:
        model.set_params(early_stopping=False)
        model.best_loss_ = np.inf  # without early stopping they compare with it
        model._optimizer.learning_rate = 1e-300
    found = model.partial_fit(FEATURES, TARGET).predict(FEATURES)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_first_step_is_the_one_worked_out_by_hand():
    class Start:
        coefs_ = [np.array([[0.4, -0.3], [0.2, 0.5]]), np.array([[0.7], [-0.6]])]
        intercepts_ = [np.array([0.1, -0.2]), np.array([0.3])]

    x, rate, alpha = np.array([0.5, -1.0]), 0.2, 0.3
    (W, V), (b, c) = Start.coefs_, Start.intercepts_
    hidden = expit(x @ W + b)
    delta = expit(hidden @ V + c)  # of the output; the label is the first of two classes
    back = (V @ delta) * hidden * (1 - hidden)

    model = MLPClassifier(
        2, activation="logistic", optimizer=SGD(rate), alpha=alpha, init=FromFitted(Start)
    )
    model.partial_fit([x], ["no"], classes=["no", "yes"])
    expected = [
        W - rate * (np.outer(x, back) + alpha * W),
        V - rate * (np.outer(hidden, delta) + alpha * V),
        b - rate * back,
        c - rate * delta,
    ]
    for found, wanted in zip([*model.coefs_, *model.intercepts_], expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_lbfgs_learns_with_every_activation(task, activation):
    name, X, y, _ = TASKS[task]
    model = getattr(ours, name)(30, activation, optimizer="lbfgs", max_iter=50, random_state=0)
    model.fit(X, y)
    assert model.score(X, y) > 0.95
    assert model.predict(X).dtype.kind == y.dtype.kind


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_max_fun_ends_lbfgs_and_is_named_in_the_warning(task):
    name, X, y, _ = TASKS[task]
    model = getattr(ours, name)(30, optimizer=LBFGS(max_fun=8), tol=0.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"max_fun|EVALUATIONS"):
        model.fit(X, y)
    assert model.n_iter_ <= 8


@pytest.mark.parametrize("library", [theirs, ours], ids=["theirs", "ours"])
def test_lbfgs_that_has_nothing_to_do_knows_its_loss(library):
    method = {theirs: {"solver": "lbfgs"}, ours: {"optimizer": "lbfgs"}}[library]
    model = library.MLPClassifier(tol=1e9, random_state=0, **method).fit(DIGITS, BINARY)
    assert model.n_iter_ == 0
    assert 0 < model.loss_ < 10


@pytest.mark.parametrize("power", [None, 0.25])
def test_warm_start_goes_on_with_the_rate(power):
    rate = 0.1 if power is None else InverseScaling(0.1, power)
    model = MLPClassifier(4, optimizer=SGD(rate), max_iter=1, warm_start=True, random_state=0)
    X, y = DIGITS[:30], BINARY[:30]
    model.fit(X, y).set_params(max_iter=2).fit(X, y)
    # The third epoch begins after 60 samples.
    expected = 0.1 if power is None else 0.1 / 61**power
    assert model.history_["learning_rate"][-1] == pytest.approx(expected)


def test_partial_fits_reduce_the_adaptive_rate_like_scikit_learns():
    options = PLAIN | {"learning_rate": "adaptive"}
    model, twin, X, y = twins(
        "regression", options, SGD(ReduceOnPlateau(0.05)), tol=1e9, n_iter_no_change=2
    )
    for _ in range(12):
        model.partial_fit(X, y)
        twin.partial_fit(X, y)
    np.testing.assert_allclose(twin.loss_curve_, model.loss_curve_, rtol=1e-9)


def test_multilabel_targets_are_learnt_by_all_ways_of_fitting():
    X, Y = MULTILABEL
    model = MLPClassifier(30, optimizer="lbfgs", alpha=1e-5, random_state=0).fit(X, Y)
    assert model.score(X, Y) > 0.97
    model = MLPClassifier(30, optimizer=Nesterov(0.05), alpha=1e-5, random_state=0)
    for _ in range(150):
        model.partial_fit(X, Y, classes=np.arange(4))
    assert model.score(X, Y) > 0.9
    stopped = MLPClassifier(30, early_stopping=True, random_state=0).fit(X, Y)
    assert stopped.predict(X).shape == Y.shape


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_partial_fits_are_the_epochs_of_a_fit(task, momentum):
    name, X, y, _ = TASKS[task]
    model = getattr(ours, name)(
        20, optimizer=Momentum(0.05, momentum), max_iter=40, tol=0.0, random_state=0
    )
    parts, classes = clone(model), {"classes": np.unique(y)} if task != "regression" else {}
    for _ in range(40):
        parts.partial_fit(X, y, **classes)
    np.testing.assert_array_equal(parts.predict(X), model.fit(X, y).predict(X))
    assert model.score(X, y) > 0.65


def test_class_may_come_after_the_first_call():
    names = np.array(["none", "one", "two"])[LABELS]
    model, late = MLPClassifier(optimizer=Adam(0.01), random_state=0), names == "two"
    model.partial_fit(DIGITS[~late], names[~late], classes=["two", "one", "none"])
    for _ in range(30):
        model.partial_fit(DIGITS[late], names[late])
    np.testing.assert_array_equal(model.classes_, ["none", "one", "two"])
    assert (model.predict(DIGITS[late]) == "two").all()


def test_first_call_refuses_labels_beyond_its_classes():
    with pytest.raises(ValueError, match=r"classes not in `self\.classes_`"):
        MLPClassifier().partial_fit(DIGITS, LABELS, classes=[0, 1])


def test_features_too_large_to_train_on_are_reported():
    # scikit-learn raises an error. Here the model keeps its last finite weights.
    X = np.finfo(float).max * np.random.default_rng(0).uniform(size=(10, 2))
    model = MLPRegressor(random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"no longer finite.* scale the features"):
        model.fit(X, np.arange(10.0))
    assert np.isfinite(weights(model)).all()


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_probabilities_and_their_logarithms(task):
    _, X, y, _ = TASKS[task]
    model = MLPClassifier(20, optimizer="lbfgs", max_iter=100, random_state=0).fit(X, y)
    p, log_p = model.predict_proba(X), model.predict_log_proba(X)
    np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-9, atol=1e-12)
    if task == "multilabel":
        np.testing.assert_array_equal(p > 0.5, y)
        assert np.abs(p.sum(axis=1) - 1).max() > 0.5
    else:
        assert p.shape == (len(y), len(np.unique(y)))
        np.testing.assert_allclose(p.sum(axis=1), 1)
        np.testing.assert_array_equal(model.classes_[p.argmax(axis=1)], model.predict(X))
        scores = p[:, 1] if task == "binary" else p
        assert roc_auc_score(y, scores, multi_class="ovr") == 1.0


def test_shuffling_changes_the_training_and_has_a_seed():
    ordered, shuffled = (
        [
            MLPRegressor(1, max_iter=1, batch_size=1, shuffle=shuffle, random_state=0)
            .fit(FEATURES, TARGET)
            .coefs_[0]
            for _ in range(2)
        ]
        for shuffle in (False, True)
    )
    np.testing.assert_array_equal(*ordered)
    np.testing.assert_array_equal(*shuffled)
    assert not np.array_equal(ordered[0], shuffled[0])


@pytest.mark.parametrize("n_iter_no_change", [1, 2, 5, 50, np.inf])
@pytest.mark.parametrize("tol", [0.01, 1e9])
def test_patience_is_scikit_learns(tol, n_iter_no_change):
    model, twin, X, y = twins(
        "binary", *SOLVERS["nesterov"], tol=tol, n_iter_no_change=n_iter_no_change, max_iter=300
    )
    assert twin.fit(X, y).n_iter_ == model.fit(X, y).n_iter_
    assert (twin.n_iter_ < 300) == np.isfinite(n_iter_no_change)
    if tol == 1e9 and np.isfinite(n_iter_no_change):
        # The first epoch always improves, and one more than that is put up with.
        assert twin.n_iter_ == n_iter_no_change + 2


# By another engine, a line before the others says so.
@pytest.mark.usefixtures("numpy_engine")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_verbose_tells_each_epoch_of_fit_and_partial_fit(early_stopping, capsys):
    model = MLPClassifier(
        2, max_iter=2, verbose=10, early_stopping=early_stopping, random_state=0, device="cpu"
    )
    model.fit(DIGITS, BINARY)
    model.set_params(early_stopping=False).partial_fit(DIGITS, BINARY)
    lines = capsys.readouterr().out.splitlines()
    losses = [f"loss = {loss:.8f}" for loss in model.loss_curve_]
    assert all(loss in line for loss, line in zip(losses, lines, strict=True))
    assert sum("alidation score" in line for line in lines) == (2 if early_stopping else 0)


@pytest.mark.parametrize(
    ("params", "lines"),
    [
        ({}, [r"[Ll]oss did not improve more than tol=1000\.0+ for 2 consecutive epochs.*[Ss]top"]),
        (
            {"early_stopping": True},
            [r"score did not improve more than tol=1000\.0+ for 2 consecutive epochs.*[Ss]top"],
        ),
        (
            {"optimizer": SGD(ReduceOnPlateau(2e-6))},
            [r"rate to 4(\.0*)?e-0?7|rate to 0\.0000004", "rate too small.*[Ss]top"],
        ),
    ],
    ids=["loss", "score", "adaptive"],
)
def test_verbose_tells_why_training_stopped_or_slowed_down(params, lines, capsys):
    model = MLPClassifier(
        2, verbose=True, tol=1e3, n_iter_no_change=2, random_state=0, device="cpu", **params
    )
    model.fit(DIGITS, BINARY)
    said = [line for line in capsys.readouterr().out.splitlines() if "tol=" in line]
    assert len(said) == len(lines)
    assert all(re.search(line, text) for line, text in zip(lines, said, strict=True))


@ESTIMATORS
def test_early_stopping_fills_its_attributes_and_no_others(estimator):
    tol = 0.2
    model = estimator(10, optimizer=Nesterov(0.01), tol=tol, max_iter=1000, random_state=0)
    model.fit(DIGITS, BINARY)
    assert model.n_iter_ < 1000
    assert model.validation_scores_ is model.best_validation_score_ is None
    assert isinstance(model.best_loss_, float)

    model.set_params(early_stopping=True).fit(DIGITS, BINARY)
    assert model.n_iter_ < 1000
    assert model.best_loss_ is None
    assert isinstance(model.validation_scores_, list)
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    # None of the last epochs was better by tol than the best before it.
    gains = model.validation_scores_[1:] - np.maximum.accumulate(model.validation_scores_)[:-1]
    assert (gains[-model.n_iter_no_change :] < tol).all()


def test_adaptive_rate_falls_until_it_is_too_small():
    model = MLPClassifier(
        5, optimizer=Nesterov(ReduceOnPlateau(0.002)), tol=0.5, max_iter=100, random_state=0
    )
    model.fit(DIGITS, BINARY)
    assert model.n_iter_ < 100
    assert model.history_["learning_rate"][-1] < 1e-6


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("n_classes", [2, 4, 5])
def test_warm_start_takes_the_same_classes_only(n_classes, optimizer):
    model = MLPClassifier(2, optimizer=optimizer, max_iter=5, warm_start=True, random_state=0)
    model.fit(DIGITS, LABELS).fit(DIGITS, LABELS).fit(DIGITS[::-1], np.sort(LABELS))
    other = np.arange(len(DIGITS)) % n_classes
    message = rf"Previously got \[0 1 2\], `y` has \[{' '.join(map(str, range(n_classes)))}\]"
    for y in (other, np.where(LABELS == 2, 3, LABELS)):
        with pytest.raises(ValueError, match=message if y is other else r"`y` has \[0 1 3\]"):
            model.fit(DIGITS, y)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lbfgs"])
@ESTIMATORS
def test_max_iter_counts_the_epochs_of_each_fit(estimator, optimizer):
    model = estimator(
        10, optimizer=optimizer, warm_start=True, max_iter=5, n_iter_no_change=np.inf, tol=0.0,
        random_state=0,
    )  # fmt: skip
    for max_iter in (5, 5, 10):
        model.set_params(max_iter=max_iter)
        with pytest.warns(ConvergenceWarning, match=rf"Maximum iterations \({max_iter}\)"):
            model.fit(DIGITS, LABELS)
        assert model.n_iter_ == max_iter
    assert len(model.loss_curve_) == 20


@pytest.mark.parametrize("seed", range(5))
def test_validation_set_keeps_the_share_of_two_classes(seed):
    # A model of zeros predicts the first class: its score is the share of that class.
    model = MLPClassifier(
        2, init="zeros", optimizer=SGD(1e-300), early_stopping=True, max_iter=1, random_state=seed
    )
    model.fit(DIGITS[:100], np.arange(100) >= 80)
    assert model.validation_scores_ == [0.8]


def test_class_of_one_sample_does_not_prevent_early_stopping():
    # scikit-learn raises an error for two classes, and does not stratify for more.
    y = np.arange(len(DIGITS)) == 0
    model = MLPClassifier(5, early_stopping=True, random_state=0).fit(DIGITS, y)
    assert len(model.validation_scores_) == model.n_iter_


@pytest.mark.parametrize("names", [list("abc"), [False, True], [-1.0, 1.0]], ids=str)
def test_early_stopping_takes_labels_of_any_kind(names):
    y = np.array(names, dtype=object if isinstance(names[0], str) else None)
    model = MLPClassifier(10, early_stopping=True, max_iter=10, random_state=0)
    model.fit(DIGITS, y[LABELS % len(names)])
    assert len(model.validation_scores_) == model.n_iter_
    assert np.isfinite(model.validation_scores_).all()
    assert set(model.predict(DIGITS)) <= set(names)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_regressor_has_the_precision_of_its_data(dtype):
    model, reference = (
        estimator(hidden_layer_sizes=(5, 3), max_iter=5, random_state=0)
        for estimator in (MLPRegressor, theirs.MLPRegressor)
    )
    X = FEATURES.astype(dtype)
    expected = reference.fit(X, TARGET).predict(X).dtype
    assert model.fit(X, TARGET).predict(X).dtype == expected
    assert {w.dtype for w in (*model.coefs_, *model.intercepts_)} == {expected}
    double = clone(model).fit(X.astype(float), TARGET).predict(X.astype(float))
    np.testing.assert_allclose(model.predict(X), double, rtol=1e-3, atol=1e-4)


def test_model_from_a_file_learns_something_new(tmp_path):
    model = MLPRegressor(10, optimizer=Adam(0.01), random_state=0).fit(FEATURES, TARGET)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    assert loaded.score(FEATURES, TARGET) > 0.9 > 0 > loaded.score(FEATURES, -TARGET)
    for _ in range(300):
        loaded.partial_fit(FEATURES, -TARGET)
    assert loaded.score(FEATURES, -TARGET) > 0.9


@ESTIMATORS
def test_early_stopping_knows_feature_names(estimator):
    X = pd.DataFrame(DIGITS[:10, 2:4], columns=["left", "right"])
    model = estimator(early_stopping=True, validation_fraction=0.2, random_state=0)
    model.fit(X, pd.Series(1, index=X.index, name="constant"))
    np.testing.assert_array_equal(model.feature_names_in_, ["left", "right"])


@ESTIMATORS
def test_warm_start_adds_to_the_validation_scores(estimator):
    model = estimator(max_iter=5, warm_start=True, early_stopping=True, random_state=0)
    model.fit(DIGITS, LABELS).set_params(max_iter=10).fit(DIGITS, LABELS)
    assert len(model.validation_scores_) == len(model.loss_curve_) == 15


@ESTIMATORS
def test_partial_fit_after_fit_refuses_early_stopping(estimator):
    model = estimator(5, early_stopping=True, max_iter=2, random_state=0).fit(DIGITS, LABELS)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        model.partial_fit(DIGITS, LABELS)


def test_divergence_under_early_stopping_ends_in_a_nan_score():
    model = MLPRegressor(
        100, "identity", optimizer=Nesterov(1.0), early_stopping=True, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(100 * DIGITS, LABELS)
    assert np.isnan(model.validation_scores_[-1])
    assert isinstance(model.validation_scores_[-1], float)
    assert np.isfinite(model.predict(DIGITS)).all()


def test_equal_weights_are_none_under_early_stopping():
    model = MLPRegressor(
        10, optimizer=Adam(0.01), early_stopping=True, tol=1e-2, batch_size=10, random_state=0
    )
    weighted = clone(model).fit(FEATURES, TARGET, sample_weight=np.ones(len(TARGET)))
    model.fit(FEATURES, TARGET)
    np.testing.assert_allclose(weighted.predict(FEATURES), model.predict(FEATURES))


def test_poisson_loss_equals_the_generalised_linear_model():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (150, 2))
    y = rng.poisson(np.exp(x @ [1.0, -0.5] + 0.5))
    reference = PoissonRegressor(alpha=0, tol=1e-8).fit(x, y).predict(x)
    poisson, squared = (
        MLPRegressor((), optimizer="lbfgs", loss=loss, alpha=0, tol=1e-7, random_state=0)
        .fit(x, y)
        .predict(x)
        for loss in ("poisson", "squared_error")
    )
    np.testing.assert_allclose(poisson, reference, rtol=1e-4)
    assert np.abs(squared / reference - 1).max() > 1e-3


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_certain_and_wrong_has_a_finite_loss(task):
    _, X, y, _ = TASKS[task]
    model = MLPClassifier(5, optimizer=SGD(1e-300), max_iter=1, warm_start=True, random_state=0)
    model.fit(X, y)
    model.coefs_[-1][:] *= 1e6
    assert np.isin(model.predict_proba(X), [0.0, 1.0]).any()
    assert np.isfinite(model.fit(X, y).loss_)


OF_KINDS = {
    "integers": np.array([0, 3, 7]),
    "booleans": np.array([False, True]),
    "strings": np.array(["a", "b", "c"]),
    "objects": np.array(["a", "b", "c"], dtype=object),
    "floats": np.array([0.0, 1.0]),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", OF_KINDS)
def test_score_is_the_accuracy(kind, weighted):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), rng.choice(OF_KINDS[kind], 60)
    weight = rng.uniform(size=60) if weighted else None
    model = ours.MLPClassifier(4, max_iter=2, random_state=0).fit(X, y)
    expected = accuracy_score(y, model.predict(X), sample_weight=weight)
    for given in (y, list(y), pd.Series(y)):
        score = model.score(X, given, weight)
        assert type(score) is float
        assert score == expected


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.arange(59) % 3, "inconsistent numbers of samples"),
        (np.full((60, 2), 1), "mix of multilabel-indicator and multiclass"),
        (np.linspace(0, 1, 60), "mix of continuous and multiclass"),
    ],
)
def test_score_refuses_what_are_no_labels_of_the_samples(y, said):
    X, labels = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
    model = ours.MLPClassifier(4, max_iter=2, random_state=0).fit(X, labels)
    with pytest.raises(ValueError, match=said):
        model.score(X, y)
