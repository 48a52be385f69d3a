"""What scikit-learn's MLPs lack, at the level of the estimators."""

import gc
import weakref

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    get_scorer,
    log_loss,
    r2_score,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skopt_dl import MLPClassifier, MLPRegressor, fit_many
from skopt_dl.callbacks import LearningRatePrinter
from skopt_dl.networks import FromFitted
from skopt_dl.networks.losses import Focal
from skopt_dl.optimizers import SGD, Adam

# Most of these trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = DIGITS[:400] / 16, LABELS[:400]
TRAIN, HELD_OUT = slice(0, 300), slice(300, 400)
DIABETES, PROGRESSION = load_diabetes(return_X_y=True)

EVERYTHING = {
    "dropout": 0.2,
    "batch_norm": True,
    "input_scaling": True,
    "max_grad_norm": 0.1,
    "ema_decay": 0.9,
}


def weights(model):
    return np.concatenate([np.ravel(part) for part in [*model.coefs_, *model.intercepts_]])


def test_class_weights_act_as_sample_weights():
    given = {label: 1.0 + label for label in range(10)}
    model = MLPClassifier(20, max_iter=5, random_state=0)
    by_class = clone(model).set_params(class_weight=given).fit(DIGITS, LABELS)
    by_sample = clone(model).fit(DIGITS, LABELS, sample_weight=1.0 + LABELS)
    np.testing.assert_array_equal(weights(by_class), weights(by_sample))
    twice = clone(by_class).fit(DIGITS, LABELS, sample_weight=1.0 + LABELS)
    squared = clone(model).fit(DIGITS, LABELS, sample_weight=(1.0 + LABELS) ** 2)
    np.testing.assert_allclose(weights(twice), weights(squared), rtol=1e-12)


def test_balanced_class_weights_find_the_rare_class():
    X, y = make_classification(2000, weights=[0.97], class_sep=0.5, flip_y=0.02, random_state=0)
    model = MLPClassifier(20, max_iter=60, random_state=0)
    scores = [
        balanced_accuracy_score(y, model.set_params(class_weight=weight).fit(X, y).predict(X))
        for weight in (None, "balanced")
    ]
    assert scores[1] > scores[0] + 0.05


def test_multilabel_targets_take_a_class_weight_for_each_label():
    Y = np.column_stack([LABELS > 4, LABELS % 2]).astype(int)
    one_each = [{0: 1.0, 1: 2.0}, {0: 3.0, 1: 1.0}]
    model = MLPClassifier(10, max_iter=3, random_state=0)
    by_class = clone(model).set_params(class_weight=one_each).fit(DIGITS, Y)
    product = np.where(Y[:, 0], 2.0, 1.0) * np.where(Y[:, 1], 1.0, 3.0)
    by_sample = clone(model).fit(DIGITS, Y, sample_weight=product)
    np.testing.assert_array_equal(weights(by_class), weights(by_sample))


def test_partial_fit_says_how_to_pass_balanced_weights():
    with pytest.raises(ValueError, match="partial_fit does not know all of the data"):
        MLPClassifier(class_weight="balanced").partial_fit(DIGITS, LABELS, classes=range(10))


@pytest.mark.parametrize("label_smoothing", [0.1, 0.3])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_smoothed_labels_are_the_probabilities_of_separable_data(n_classes, label_smoothing):
    X = np.repeat(np.eye(n_classes), 5, axis=0)
    y = np.repeat(np.arange(n_classes), 5)
    model = MLPClassifier(
        (),
        optimizer="lbfgs",
        alpha=0.0,
        label_smoothing=label_smoothing,
        tol=1e-8,
        max_iter=500,
        random_state=0,
    ).fit(X, y)
    expected = 1 - label_smoothing + label_smoothing / n_classes
    np.testing.assert_allclose(model.predict_proba(X).max(axis=1), expected, atol=1e-5)


def test_gradients_longer_than_the_limit_are_scaled_down_to_it():
    model = MLPRegressor(
        5, optimizer=SGD(1.0), max_grad_norm=0.25, max_iter=1, batch_size="full", random_state=0
    )
    model.fit(DIABETES, PROGRESSION)
    start = clone(model).set_params(optimizer=SGD(1e-300)).fit(DIABETES, PROGRESSION)
    assert model.history_["grad_norm"][0] > 100
    np.testing.assert_allclose(np.linalg.norm(weights(model) - weights(start)), 0.25, rtol=1e-9)
    small = clone(model).set_params(max_grad_norm=1e9, optimizer=SGD(1e-3))
    free = clone(small).set_params(max_grad_norm=None)
    np.testing.assert_array_equal(
        weights(small.fit(DIABETES, PROGRESSION)), weights(free.fit(DIABETES, PROGRESSION))
    )


def test_averaged_weights_are_the_weighted_mean_over_steps():
    decay, n_steps = 0.7, 6
    model = MLPClassifier(
        5, optimizer=SGD(0.5), batch_size="full", ema_decay=decay, random_state=0, tol=0.0
    )
    path = [
        weights(clone(model).set_params(ema_decay=None, max_iter=n).fit(DIGITS, LABELS))
        for n in range(1, n_steps + 1)
    ]
    averaged = weights(model.set_params(max_iter=n_steps).fit(DIGITS, LABELS))
    factors = decay ** np.arange(n_steps)[::-1]
    np.testing.assert_allclose(averaged, factors @ path / factors.sum(), rtol=1e-10)


@pytest.mark.parametrize("feature", EVERYTHING)
def test_each_feature_changes_the_training(feature):
    model = MLPClassifier(20, max_iter=3, optimizer=SGD(1.0), random_state=0)
    with_feature = clone(model).set_params(**{feature: EVERYTHING[feature]})
    assert not np.allclose(
        weights(model.fit(DIGITS, LABELS)), weights(with_feature.fit(DIGITS, LABELS))
    )


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "features", [*({name: EVERYTHING[name]} for name in EVERYTHING), EVERYTHING]
)
def test_predictions_of_a_fitted_model_are_those_that_were_validated(features, early_stopping):
    model = MLPClassifier(
        20,
        max_iter=12,
        early_stopping=early_stopping,
        n_iter_no_change=3,
        random_state=0,
        **features,
    )
    model.fit(DIGITS[TRAIN], LABELS[TRAIN], X_val=DIGITS[HELD_OUT], y_val=LABELS[HELD_OUT])
    scores = model.validation_scores_
    expected = max(scores) if early_stopping else scores[-1]
    assert model.score(DIGITS[HELD_OUT], LABELS[HELD_OUT]) == expected
    losses = np.array(model.validation_loss_curve_)[np.array(scores) == expected]
    loss = log_loss(LABELS[HELD_OUT], model.predict_proba(DIGITS[HELD_OUT]))
    assert loss == pytest.approx(losses[0 if early_stopping else -1], rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_five_partial_fits_equal_a_fit_of_five_epochs_with_everything(dtype):
    model = MLPClassifier((20, 10), random_state=0, tol=0.0, dtype=dtype, **EVERYTHING)
    whole = clone(model).set_params(max_iter=5).fit(DIGITS, LABELS)
    model.set_params(max_iter=5)
    for _ in range(5):
        model.partial_fit(DIGITS, LABELS, classes=range(10))
    np.testing.assert_array_equal(weights(model), weights(whole))


def test_warm_start_goes_on_from_normalised_weights():
    model = MLPClassifier(20, max_iter=10, random_state=0, warm_start=True, **EVERYTHING)
    losses = [model.fit(DIGITS, LABELS).loss_ for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    fresh = clone(model).set_params(warm_start=False).fit(DIGITS, LABELS)
    assert model.score(DIGITS, LABELS) > fresh.score(DIGITS, LABELS)


def test_sample_weights_act_like_repeated_samples_in_normalised_batches():
    repeats = np.random.default_rng(0).integers(1, 4, size=len(DIGITS))
    model = MLPClassifier(
        10, batch_norm=True, batch_size="full", optimizer=SGD(0.1), max_iter=5, random_state=0
    )
    weighted = clone(model).fit(DIGITS, LABELS, sample_weight=repeats)
    repeated = model.fit(DIGITS.repeat(repeats, axis=0), LABELS.repeat(repeats))
    np.testing.assert_allclose(
        weighted.predict_proba(DIGITS), repeated.predict_proba(DIGITS), rtol=1e-8
    )


def test_normalised_network_predicts_with_statistics_of_the_training_data():
    model = MLPClassifier(
        10, batch_norm=True, batch_size="full", activation="identity", alpha=0.0, max_iter=1,
        optimizer=SGD(1e-300), random_state=0,
    ).fit(DIGITS, LABELS)  # fmt: skip
    hidden = model.transform(DIGITS)
    # Batch normalisation divides by sqrt(variance + 1e-5).
    np.testing.assert_allclose(hidden.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(hidden.std(axis=0), 1.0, atol=1e-3)


def test_activations_may_differ_from_layer_to_layer():
    model = MLPClassifier((8, 6), activation=["tanh", "logistic"], max_iter=3, random_state=0)
    model.fit(DIGITS, LABELS)
    first, second = model.hidden_activations(DIGITS)
    np.testing.assert_allclose(first, np.tanh(DIGITS @ model.coefs_[0] + model.intercepts_[0]))
    np.testing.assert_allclose(second, expit(first @ model.coefs_[1] + model.intercepts_[1]))
    np.testing.assert_array_equal(model.transform(DIGITS), second)
    assert list(model.get_feature_names_out()) == [f"mlpclassifier{i}" for i in range(6)]


def test_without_hidden_layers_the_output_layer_gets_the_samples():
    model = MLPClassifier((), max_iter=2).fit(DIGITS, LABELS)
    assert model.hidden_activations(DIGITS) == []
    np.testing.assert_array_equal(model.transform(DIGITS), DIGITS)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"activation": ["relu"]}, "activation of MLPClassifier has 1 values for the 2 hidden"),
        ({"dropout": [0.1] * 3}, "dropout of MLPClassifier has 3 values for the 2 hidden"),
        ({"dropout": 1.0}, r"dropout of MLPClassifier must be a float in \[0, 1\)"),
        ({"dropout": "much"}, r"dropout of MLPClassifier must be a float in \[0, 1\)"),
        ({"dropout": 0.1, "optimizer": "lbfgs"}, "dropout=0.1 makes the loss random, which LBFGS"),
        ({"label_smoothing": 1.0}, r"label_smoothing of MLPClassifier must be a float in \[0, 1\)"),
        ({"max_grad_norm": 0.0}, r"max_grad_norm of MLPClassifier must be None, or a float in"),
        ({"ema_decay": 1.0}, r"ema_decay of MLPClassifier must be None, or a float in \(0, 1\)"),
        ({"class_weight": "even"}, "class_weight of MLPClassifier must be None or 'balanced', or"),
        ({"scoring": 3}, "scoring of MLPClassifier must be None, or a scorer's name, or a scorer"),
        ({"activation": ["relu", "rely"]}, "activation of MLPClassifier: .* Did you mean 'relu'"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else None,
)
def test_bad_values_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier((5, 4), **params).fit(DIGITS, LABELS)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc_ovr", "balanced_accuracy"])
def test_early_stopping_goes_by_any_scorer(scoring):
    model = MLPClassifier(
        20, early_stopping=True, scoring=scoring, max_iter=15, n_iter_no_change=3, random_state=0
    )
    model.fit(DIGITS[TRAIN], LABELS[TRAIN], X_val=DIGITS[HELD_OUT], y_val=LABELS[HELD_OUT])
    score = get_scorer(scoring)(model, DIGITS[HELD_OUT], LABELS[HELD_OUT])
    assert score == pytest.approx(model.best_validation_score_, rel=1e-12)


def test_scorer_may_predict_for_other_samples_than_the_validation_set():
    def on_training_data(model, X, y):
        return model.score(DIGITS[TRAIN], LABELS[TRAIN])

    model = MLPClassifier(
        10, early_stopping=True, scoring=on_training_data, max_iter=8, random_state=0
    )
    model.fit(DIGITS[TRAIN], LABELS[TRAIN], X_val=DIGITS[HELD_OUT], y_val=LABELS[HELD_OUT])
    assert model.score(DIGITS[TRAIN], LABELS[TRAIN]) == model.best_validation_score_


def test_scorer_gets_labels_as_the_user_has_them():
    seen = []

    def scorer(model, X, y):
        seen.append(set(y) | set(model.predict(X)))
        return 0.0

    names = np.array(["even", "odd"])[LABELS % 2]
    MLPClassifier(10, early_stopping=True, scoring=scorer, max_iter=2).fit(DIGITS, names)
    assert seen == [{"even", "odd"}] * 2


def test_early_stopping_by_loss_ends_at_the_lowest_validation_loss():
    model = MLPClassifier(
        20, optimizer=Adam(0.01), early_stopping=True, scoring="loss", n_iter_no_change=3,
        max_iter=200, random_state=0,
    )  # fmt: skip
    model.fit(DIGITS[TRAIN], LABELS[TRAIN], X_val=DIGITS[HELD_OUT], y_val=LABELS[HELD_OUT])
    loss = log_loss(LABELS[HELD_OUT], model.predict_proba(DIGITS[HELD_OUT]))
    assert loss == pytest.approx(min(model.validation_loss_curve_), rel=1e-9)
    assert model.n_iter_ < 200


def test_own_validation_set_is_recorded_and_leaves_training_alone():
    model = MLPClassifier(10, max_iter=4, random_state=0)
    plain = clone(model).fit(DIGITS[TRAIN], LABELS[TRAIN])
    model.fit(DIGITS[TRAIN], LABELS[TRAIN], X_val=DIGITS[HELD_OUT], y_val=LABELS[HELD_OUT])
    np.testing.assert_array_equal(weights(model), weights(plain))
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 4
    assert plain.validation_loss_curve_ is None


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        ({"X_val": DIGITS[HELD_OUT]}, "X_val and y_val go together; y_val is missing"),
        (
            {"X_val": DIGITS[HELD_OUT, :5], "y_val": LABELS[HELD_OUT]},
            "X_val and y_val do not fit X and y: X has 5 features",
        ),
        (
            {"X_val": DIGITS[HELD_OUT], "y_val": LABELS[HELD_OUT] + 5},
            "X_val and y_val do not fit X and y: `y` has classes not in",
        ),
        (
            {"X_val": DIGITS[HELD_OUT], "y_val": LABELS[:7]},
            "X_val and y_val do not fit X and y: .* inconsistent numbers",
        ),
    ],
)
def test_validation_set_that_does_not_fit_is_named(held_out, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(5).fit(DIGITS[TRAIN], LABELS[TRAIN], **held_out)


def test_several_labels_with_classes_of_their_own_are_learnt_together():
    Y = np.column_stack([LABELS, LABELS % 3, LABELS > 4]).astype(str)
    model = MLPClassifier(40, optimizer="lbfgs", random_state=0).fit(DIGITS[TRAIN], Y[TRAIN])
    assert [list(classes) for classes in model.classes_][1:] == [["0", "1", "2"], ["0", "1"]]
    separate = MultiOutputClassifier(MLPClassifier(40, optimizer="lbfgs", random_state=0))
    expected = separate.fit(DIGITS[TRAIN], Y[TRAIN]).score(DIGITS[HELD_OUT], Y[HELD_OUT])
    assert model.score(DIGITS[HELD_OUT], Y[HELD_OUT]) >= expected - 0.05
    probabilities = model.predict_proba(DIGITS)
    assert [p.shape[1] for p in probabilities] == [10, 3, 2]
    for label, (p, log_p) in enumerate(
        zip(probabilities, model.predict_log_proba(DIGITS), strict=True)
    ):
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        np.testing.assert_allclose(np.log(p), log_p, atol=1e-8)
        decided = model.classes_[label][p.argmax(axis=1)]
        np.testing.assert_array_equal(model.predict(DIGITS)[:, label], decided)


def test_several_labels_can_be_learnt_in_parts_and_stop_early():
    Y = np.column_stack([LABELS, LABELS % 3])
    model = MLPClassifier(20, optimizer=Adam(0.02), random_state=0)
    for _ in range(30):
        model.partial_fit(DIGITS, Y, classes=[np.arange(10), np.arange(3)])
    assert model.score(DIGITS, Y) > 0.8
    stopped = MLPClassifier(20, random_state=0, early_stopping=True, max_iter=60).fit(DIGITS, Y)
    assert stopped.best_validation_score_ > 0.5


def test_multilabel_targets_can_be_learnt_in_parts():
    Y = np.column_stack([LABELS > 4, LABELS % 2]).astype(int)
    model = MLPClassifier(20, optimizer=Adam(0.02), random_state=0)
    for first in (0, 200) * 30:
        model.partial_fit(DIGITS[first : first + 200], Y[first : first + 200])
    assert model.score(DIGITS, Y) > 0.9


def test_focal_loss_can_be_named_and_tuned():
    model = MLPClassifier(loss="focal").set_params(loss__gamma=1.0)
    assert isinstance(model.loss, Focal)
    assert model.set_params(max_iter=30).fit(DIGITS, LABELS).score(DIGITS, LABELS) > 0.8


def test_standardised_targets_equal_a_transformed_target_regressor():
    model = MLPRegressor(20, max_iter=100, optimizer=Adam(0.01), random_state=0)
    wrapped = TransformedTargetRegressor(clone(model), transformer=StandardScaler())
    expected = wrapped.fit(DIABETES, PROGRESSION).predict(DIABETES)
    model.set_params(standardize_target=True).fit(DIABETES, PROGRESSION)
    np.testing.assert_allclose(model.predict(DIABETES), expected, rtol=1e-10)
    assert model.score(DIABETES, PROGRESSION) > 0.4


def test_standardised_targets_are_scored_and_trained_on_in_their_own_units():
    model = MLPRegressor(
        10, standardize_target=True, early_stopping=True, max_iter=20, random_state=0,
        scoring="neg_mean_absolute_error",
    )  # fmt: skip
    Y = np.column_stack([PROGRESSION, 1000 * PROGRESSION + 5, np.full(len(PROGRESSION), 7.0)])
    model.fit(DIABETES[:300], Y[:300], X_val=DIABETES[300:], y_val=Y[300:])
    expected = -np.abs(model.predict(DIABETES[300:]) - Y[300:]).mean()
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-10)
    before = model.score(DIABETES[:300], Y[:300])
    model.set_params(early_stopping=False, scoring=None, warm_start=True, max_iter=200)
    assert model.fit(DIABETES[:300], Y[:300]).score(DIABETES[:300], Y[:300]) > before


def test_standardised_targets_do_not_go_with_exponential_outputs():
    with pytest.raises(ValueError, match="standardize_target=True does not go with loss='poisson'"):
        MLPRegressor(loss="poisson", standardize_target=True).fit(DIABETES, PROGRESSION)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_training_does_not_depend_on_the_number_of_threads(optimizer):
    X, y = make_classification(600, 40, n_informative=10, random_state=0)
    model = MLPClassifier((100, 50), optimizer=optimizer, max_iter=5, random_state=0)
    probabilities = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            probabilities.append(clone(model).fit(X, y).predict_proba(X))
    np.testing.assert_allclose(*probabilities, rtol=1e-6)


def test_loss_falls_with_everything_at_once():
    model = MLPClassifier(
        (30, 20),
        optimizer=Adam(0.01),
        max_iter=60,
        random_state=0,
        label_smoothing=0.1,
        **EVERYTHING,
    )
    model.fit(DIGITS[TRAIN], LABELS[TRAIN])
    assert model.score(DIGITS[HELD_OUT], LABELS[HELD_OUT]) > 0.85
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]


def test_warm_starts_hold_out_the_samples_that_the_first_fit_held_out():
    seen = []

    def scorer(model, X, y):
        seen.append(X.copy())
        return 0.0

    model = MLPClassifier(
        5, early_stopping=True, scoring=scorer, warm_start=True, max_iter=1, random_state=0
    )
    model.fit(DIGITS, LABELS).fit(DIGITS, LABELS)
    np.testing.assert_array_equal(*seen)


def test_score_that_is_never_a_number_is_reported():
    model = MLPClassifier(
        5, early_stopping=True, scoring=lambda *_: np.nan, n_iter_no_change=2, random_state=0
    )
    with pytest.warns(UserWarning, match="validation score was never a number"):
        model.fit(DIGITS, LABELS)


OFF = {
    "batch_norm": False,
    "input_scaling": False,
    "dropout": 0.0,
    "max_grad_norm": None,
    "ema_decay": None,
}


def normalised(model, X):
    """What a network with one hidden layer predicts once that is normalised over `X`."""
    z = X @ model.coefs_[0]
    z = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)
    hidden = np.maximum(z + model.intercepts_[0], 0.0)
    return (hidden @ model.coefs_[1] + model.intercepts_[1])[:, 0]


@pytest.mark.parametrize("change", [*({name: EVERYTHING[name]} for name in EVERYTHING), EVERYTHING])
@pytest.mark.parametrize("standardize_target", [False, True])
def test_warm_start_that_switches_features_begins_with_the_same_weights(change, standardize_target):
    """At a rate of nearly zero all that is left of a warm start is where it begins."""
    model = MLPRegressor(
        20, optimizer=Adam(0.01), standardize_target=standardize_target, warm_start=True,
        max_iter=30, random_state=0,
    )  # fmt: skip
    still = {"optimizer": SGD(1e-300), "max_iter": 1, "batch_size": "full", "alpha": 0.0}
    X, y = StandardScaler().fit_transform(DIABETES), 0.01 * PROGRESSION
    y = 1000 + 500 * y if standardize_target else y
    before = model.fit(X, y).predict(X)
    if change.get("batch_norm"):
        before = normalised(model, X)
    model.set_params(**still, **change).fit(X, y)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-9)
    # What was learnt with the features is in the plain weights when these go.
    model.set_params(optimizer=Adam(0.01), max_iter=5).fit(X, y)
    learnt = model.predict(X)
    assert not np.allclose(learnt, before, rtol=1e-3)
    model.set_params(**still, **OFF).fit(X, y)
    np.testing.assert_allclose(model.predict(X), learnt, rtol=1e-9)
    model.partial_fit(X, y)
    np.testing.assert_allclose(model.predict(X), learnt, rtol=1e-9)


def test_warm_start_from_a_fitted_model_keeps_its_predictions_in_their_units():
    first = MLPRegressor(10, standardize_target=True, max_iter=100, random_state=0)
    first.fit(DIABETES, PROGRESSION)
    second = clone(first).set_params(init=FromFitted(first), optimizer=SGD(1e-12), max_iter=1)
    np.testing.assert_allclose(
        second.fit(DIABETES, PROGRESSION).predict(DIABETES), first.predict(DIABETES), rtol=1e-8
    )


def test_units_of_targets_cannot_change_between_warm_starts():
    model = MLPRegressor(5, max_iter=2, warm_start=True).fit(DIABETES, PROGRESSION)
    with pytest.raises(ValueError, match="standardize_target=True differs from the first fit"):
        model.set_params(standardize_target=True).fit(DIABETES, PROGRESSION)


def test_samples_of_no_weight_have_no_part_in_standardisation():
    X = np.vstack([DIABETES, DIABETES[:3]])
    y, weight = np.append(PROGRESSION, [1e9] * 3), np.append(np.ones(len(PROGRESSION)), [0.0] * 3)
    model = MLPRegressor(5, standardize_target=True, batch_size="full", max_iter=20, random_state=0)
    expected = clone(model).fit(DIABETES, PROGRESSION).predict(DIABETES)
    np.testing.assert_allclose(
        model.fit(X, y, sample_weight=weight).predict(DIABETES), expected, rtol=1e-9
    )


def test_partial_fit_predicts_with_statistics_of_several_chunks():
    rng = np.random.default_rng(0)
    model = MLPRegressor(
        10, batch_norm=True, activation="identity", optimizer=SGD(1e-300), random_state=0
    )
    chunks = [rng.normal(size=(50, 3)) for _ in range(8)]
    for chunk in chunks:
        model.partial_fit(chunk, chunk[:, 0])
    hidden = model.transform(np.vstack(chunks))
    np.testing.assert_allclose(hidden.mean(axis=0), 0.0, atol=1e-10)


def test_normalisation_needs_two_samples_a_batch():
    with pytest.raises(
        ValueError, match="Batch normalisation needs batches of at least two samples"
    ):
        MLPClassifier(batch_norm=True, batch_size=1).fit(DIGITS, LABELS)


def test_diverged_normalised_network_keeps_finite_predictions():
    model = MLPClassifier((10, 10), batch_norm=True, optimizer=SGD(1e30), random_state=0)
    with pytest.warns(ConvergenceWarning, match="Training diverged"):
        model.fit(DIGITS, LABELS)
    assert np.isfinite(model.predict_proba(DIGITS)).all()


def test_classes_without_a_weight_of_their_own_have_weight_one():
    model = MLPClassifier(5, max_iter=2, random_state=0)
    some = clone(model).set_params(class_weight={3: 5.0}).fit(DIGITS, LABELS)
    every = clone(model).set_params(class_weight={k: 5.0 if k == 3 else 1.0 for k in range(10)})
    np.testing.assert_array_equal(weights(some), weights(every.fit(DIGITS, LABELS)))
    some.partial_fit(DIGITS[LABELS != 3], LABELS[LABELS != 3])


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({11: 2.0}, r"class_weight names the class 11; y has \[0, 1"),
        ({1: -2.0}, "class_weight of 1 must be .* not negative; got -2.0"),
        ([{1: 2.0}] * 2, "class_weight has 2 dicts for the 1 labels of y"),
    ],
)
def test_bad_class_weights_are_named(class_weight, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(class_weight=class_weight).fit(DIGITS, LABELS)


def test_two_labels_of_two_classes_that_are_no_indicators_are_learnt_as_they_are():
    Y = 1 + np.column_stack([LABELS > 4, LABELS % 2]).astype(int)
    model = MLPClassifier(20, optimizer="lbfgs", random_state=0).fit(DIGITS, Y)
    assert model.score(DIGITS, Y) > 0.95
    assert [list(classes) for classes in model.classes_] == [[1, 2], [1, 2]]
    model = MLPClassifier(20, random_state=0)
    model.partial_fit(DIGITS, Y - 1, classes=[range(3), range(2)])
    assert [len(classes) for classes in model.classes_] == [3, 2]
    indicators = MLPClassifier(20, max_iter=2).fit(DIGITS, Y - 1)
    with pytest.raises(ValueError, match=r"y has .*2.*; this model was fitted on indicators"):
        indicators.partial_fit(DIGITS, Y)


@pytest.mark.parametrize("standardize_target", [False, True])
def test_validation_targets_have_to_be_as_many(standardize_target):
    two = np.column_stack([PROGRESSION, PROGRESSION])
    model = MLPRegressor(5, standardize_target=standardize_target, max_iter=2)
    with pytest.raises(ValueError, match="X_val and y_val do not fit X and y: y"):
        model.fit(DIABETES, two, X_val=DIABETES, y_val=PROGRESSION)


def test_history_keeps_its_columns_in_line_over_warm_starts():
    model = MLPClassifier(5, max_iter=2, warm_start=True, random_state=0)
    model.fit(DIGITS, LABELS)
    model.fit(DIGITS, LABELS, X_val=DIGITS, y_val=LABELS)
    model.fit(DIGITS, LABELS)
    assert np.isnan(model.validation_loss_curve_).tolist() == [True, True, False, False, True, True]
    assert {len(column) for column in model.history_.values()} == {6}


def test_nothing_keeps_a_model_alive():
    model = MLPClassifier(20, max_iter=2, random_state=0, **EVERYTHING)
    gc.collect()
    gc.disable()
    try:
        model.set_callbacks(LearningRatePrinter()).fit(DIGITS, LABELS)
        dead = weakref.ref(model.coefs_[0].base if model.coefs_[0].base is not None else model)
        del model
        assert dead() is None
    finally:
        gc.enable()


def held_out_by(model, X, y):
    """The samples that early stopping holds out: their rows in `X`, which are all different."""
    seen = []

    def scorer(model, X, y):
        seen.append(X.copy())
        return 0.0

    clone(model).set_params(scoring=scorer, max_iter=1).fit(X, y)
    return np.flatnonzero((X[:, None] == seen[0]).all(axis=2).any(axis=1))


@pytest.mark.parametrize("scoring", [None, "scorer"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_held_out_samples_count_by_their_weights(task, scoring):
    make, X, y, score = {
        "classification": (MLPClassifier, DIGITS, LABELS, accuracy_score),
        "regression": (MLPRegressor, DIABETES, PROGRESSION / 100, r2_score),
    }[task]
    weight = np.random.default_rng(0).integers(0, 9, len(y)).astype(float)
    model = make(
        10, early_stopping=True, n_iter_no_change=3, max_iter=15, optimizer=Adam(0.02),
        validation_fraction=0.3, random_state=0,
    )  # fmt: skip
    rows = held_out_by(model, X, y)
    if scoring is not None:
        model.set_params(scoring={"classification": "accuracy", "regression": "r2"}[task])
    model.fit(X, y, sample_weight=weight)
    predictions = model.predict(X[rows])
    expected = score(y[rows], predictions, sample_weight=weight[rows])
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-9)
    assert model.best_validation_score_ != pytest.approx(score(y[rows], predictions), rel=1e-4)
    best = model.validation_scores_.index(model.best_validation_score_)
    loss = model.validation_loss_curve_[best]
    if task == "classification":
        p = model.predict_proba(X[rows])
        expected = log_loss(y[rows], p, sample_weight=weight[rows])
    else:
        expected = np.average((y[rows] - predictions) ** 2, weights=weight[rows]) / 2
    assert loss == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("own_set", [False, True])
def test_class_weights_count_in_the_validation_loss_and_not_in_the_score(own_set):
    class_weight = {label: 1.0 + label for label in range(10)}
    model = MLPClassifier(
        10, early_stopping=True, class_weight=class_weight, max_iter=8, random_state=0
    )
    rows = np.arange(300, 400) if own_set else held_out_by(model, DIGITS, LABELS)
    X, y = DIGITS[rows], LABELS[rows]
    if own_set:
        model.fit(DIGITS[TRAIN], LABELS[TRAIN], X_val=X, y_val=y)
    else:
        model.fit(DIGITS, LABELS)
    best = model.validation_scores_.index(model.best_validation_score_)
    assert model.score(X, y) == model.best_validation_score_
    expected = log_loss(y, model.predict_proba(X), sample_weight=1.0 + y)
    assert model.validation_loss_curve_[best] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])
def test_held_out_samples_have_no_part_in_the_training(make):
    y = LABELS if make is MLPClassifier else LABELS / 10
    model = make(10, early_stopping=True, max_iter=4, random_state=0)
    rows = held_out_by(model, DIGITS, y)
    elsewhere = DIGITS.copy()
    elsewhere[rows] += 10.0
    # Scored by nothing that was held out, both end with the first epoch.
    model.set_params(scoring=lambda model, X, y: 0.0)
    expected = weights(clone(model).fit(DIGITS, y))
    np.testing.assert_array_equal(weights(model.fit(elsewhere, y)), expected)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_models_share_no_memory_with_each_other_or_the_data(optimizer, early_stopping):
    params = {"max_iter": 4, "n_iter_no_change": 1, "early_stopping": early_stopping}
    first = MLPClassifier(10, optimizer=optimizer, random_state=0, **params)
    X = DIGITS.copy()
    models = fit_many([first, clone(first).set_params(alpha=0.1, max_iter=2)], X, LABELS)
    models.append(clone(first).set_params(init=FromFitted(models[0])).fit(X, LABELS))
    for place, model in enumerate(models):
        arrays = [*model.coefs_, *model.intercepts_]
        others = [X, *(part for other in models[:place] for part in other.coefs_)]
        assert not any(np.shares_memory(a, b) for a in arrays for b in others)
    # Nor does a copy that goes on write into the model that it was made from.
    before = weights(models[0])
    clone(first).set_params(init=FromFitted(models[0]), max_iter=3).fit(X, LABELS)
    np.testing.assert_array_equal(weights(models[0]), before)
    np.testing.assert_array_equal(X, DIGITS)
