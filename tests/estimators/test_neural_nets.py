"""Estimators of any network: as the perceptrons, of which they are the general case."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skopt_dl import (
    MLPClassifier,
    MLPRegressor,
    NeuralNetClassifier,
    NeuralNetRegressor,
    fit_many,
    learning_rate_range,
)
from skopt_dl.callbacks import EarlyStopping
from skopt_dl.layers import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    LayerNorm,
    MaxPool2d,
    Residual,
)
from skopt_dl.optimizers import SGD, Adam

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = DIGITS[:200] / 16, LABELS[:200]
IMAGES = DIGITS.reshape(-1, 8, 8, 1)
CONVOLUTIONAL = [Conv2d(4, 3), "relu", MaxPool2d(2), Flatten(), Dense(8), "relu"]

pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")


def classifier(network=CONVOLUTIONAL, **params):
    params = {"input_shape": (8, 8, 1), "max_iter": 3, "random_state": 0, **params}
    return NeuralNetClassifier(network, **params)


@parametrize_with_checks(
    [
        NeuralNetClassifier(
            (Dense(10), "silu"), optimizer=SGD(0.1), batch_size="full", dtype="float64", max_iter=30
        ),
        NeuralNetRegressor((Dense(10), "relu"), optimizer="lbfgs", loss="huber", max_iter=30),
    ]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_estimator_of_any_network_passes_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("optimizer", ["adam", "nesterov", "lbfgs"])
def test_dense_layers_make_a_perceptron_of_the_same_bits(optimizer):
    options = {"optimizer": optimizer, "max_iter": 4, "random_state": 3}
    one = NeuralNetClassifier([Dense(10), "tanh", Dense(6), "relu"], **options)
    other = MLPClassifier((10, 6), ["tanh", "relu"], **options)
    one.fit(DIGITS, LABELS)
    other.fit(DIGITS, LABELS)
    np.testing.assert_array_equal(one.tensors_["coefs_1"], other.coefs_[1])
    np.testing.assert_array_equal(one.predict_proba(DIGITS), other.predict_proba(DIGITS))
    assert one.loss_curve_ == other.loss_curve_


def test_kept_statistics_predict_as_those_that_are_folded():
    options = {"max_iter": 5, "random_state": 0, "batch_size": 50}
    layers = [Dense(10, bias=False), BatchNorm(), "relu", Dropout(0.2)]
    one = NeuralNetClassifier(layers, **options).fit(DIGITS, LABELS)
    other = MLPClassifier((10,), batch_norm=True, dropout=0.2, **options).fit(DIGITS, LABELS)
    np.testing.assert_allclose(one.predict_proba(DIGITS), other.predict_proba(DIGITS), rtol=1e-9)


def test_rows_of_a_table_and_images_are_the_same():
    one = classifier().fit(DIGITS, LABELS)
    other = classifier(input_shape=None).fit(IMAGES, LABELS)
    for samples in (DIGITS, IMAGES):
        np.testing.assert_array_equal(one.predict_proba(samples), other.predict_proba(samples))
    assert one.n_features_in_ == other.n_features_in_ == 64
    assert [each.shape for each in one.tensors_.values()] == [
        *((9, 4), (36, 8), (8, 10)),
        *((1, 4), (1, 8), (1, 10)),
    ]


@pytest.mark.parametrize("sample_weight", [None, np.linspace(0.5, 2, 200)])
def test_stack_of_convolutional_networks_has_the_bits_of_single_fits(sample_weight):
    layers = [Conv2d(3, 3), BatchNorm(), "relu", Dropout(0.1), MaxPool2d(2), Flatten()]
    models = [
        classifier(layers, random_state=k, alpha=10.0**-k, optimizer=Adam(0.01 / (1 + k)))
        for k in range(20)
    ]
    alone = [clone(model).fit(DIGITS, LABELS, sample_weight) for model in models]
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    fit_many(models, DIGITS, LABELS, **weights)
    for one, other in zip(models, alone, strict=True):
        np.testing.assert_array_equal(one.params_, other.params_)
        assert one.history_["loss"] == other.history_["loss"]


def test_layers_are_tuned_by_place_in_a_stacked_search():
    pipeline = make_pipeline(MinMaxScaler(), classifier())
    grid = {
        "neuralnetclassifier__network__0__n_channels": [2, 4],
        "neuralnetclassifier__network__1": ["relu", "tanh"],
        "neuralnetclassifier__optimizer": ["adam", "sgd"],
        "neuralnetclassifier__optimizer__learning_rate": [0.01, 0.1],
    }
    plain = GridSearchCV(pipeline, grid, cv=2).fit(DIGITS, LABELS)
    with joblib.parallel_config(backend="skopt_dl", n_jobs=16):
        stacked = GridSearchCV(pipeline, grid, cv=2).fit(DIGITS, LABELS)
    for key in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(plain.cv_results_[key], stacked.cv_results_[key])


def test_parameters_of_layers_are_got_and_set():
    model = classifier([Conv2d(4, 3), "leaky_relu", Flatten()])
    assert model.get_params()["network__0__n_channels"] == 4
    model.set_params(network__0__size=2, network__1__negative_slope=0.2, network__2=Flatten())
    assert (model.network[0].size, model.network[1].negative_slope) == (2, 0.2)
    assert clone(model).get_params()["network__0__size"] == 2
    assert classifier().get_params(deep=False)["network"] is CONVOLUTIONAL


WRONG = {
    "a place that is not there": (
        {"network__9__size": 2},
        r"network__9__size: network of NeuralNetClassifier is a list of 3 layers, .* network__2",
    ),
    "no place": ({"network__size": 2}, "which are set as network__0 to network__2"),
    "no such parameter": (
        {"network__0__sise": 2},
        "Invalid parameter 'sise' for Conv2d. Did you mean 'size'",
    ),
    "no such activation": (
        {"network__1__slope": 2},
        r"network\[1\]: .* 'rellu'\. Did",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_parameters_of_layers_change_nothing(case):
    params, message = WRONG[case]
    model = classifier([Conv2d(4, 3), "rellu" if "activation" in case else "relu", Flatten()])
    before = model.get_params()
    with pytest.raises(ValueError, match=message):
        model.set_params(alpha=9.0, **params)
    assert model.get_params() == before


BAD = {
    "rows that make no images": (
        lambda: classifier(input_shape=(9, 9, 1)).fit(DIGITS, LABELS),
        r"X has 64 features; input_shape=\(9, 9, 1\) needs 81",
    ),
    "images of another shape": (
        lambda: classifier(input_shape=(8, 4, 2)).fit(IMAGES, LABELS),
        r"X has samples of shape \(8, 8, 1\); input_shape is \(8, 4, 2\)",
    ),
    "no shape": (
        lambda: classifier(input_shape="images").fit(DIGITS, LABELS),
        r"input_shape of NeuralNetClassifier must be None or the shape of one sample",
    ),
    "a shape with a zero": (
        lambda: classifier(input_shape=(8, 0, 1)).fit(DIGITS, LABELS),
        r"input_shape of NeuralNetClassifier must be None or .*; got \(8, 0, 1\)",
    ),
    "a table for a convolution": (
        lambda: classifier(input_shape=None).fit(DIGITS, LABELS),
        r"network\[0\]: ",
    ),
    "other images to predict": (
        lambda: classifier().fit(DIGITS, LABELS).predict(IMAGES[:, :4]),
        r"X has samples of shape \(4, 8, 1\); this model was fitted on samples of shape \(8, 8, 1",
    ),
    "dropout and L-BFGS": (
        lambda: classifier([Dropout(0.5)], input_shape=None, optimizer="lbfgs").fit(DIGITS, LABELS),
        "makes the loss random",
    ),
    "a number": (lambda: classifier(5).fit(DIGITS, LABELS), "network must be a list of layers"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_networks_and_shapes_are_named(case):
    fit, message = BAD[case]
    with pytest.raises((ValueError, TypeError), match=message):
        fit()


def test_training_goes_on_where_it_was():
    whole = classifier(max_iter=4, tol=0).fit(DIGITS, LABELS)
    parts = classifier()
    for _ in range(4):
        parts.partial_fit(DIGITS, LABELS, classes=np.unique(LABELS))
    np.testing.assert_array_equal(parts.params_, whole.params_)
    warm = classifier(warm_start=True, max_iter=2).fit(DIGITS, LABELS)
    first = warm.loss_
    assert warm.fit(DIGITS, LABELS).loss_ < first
    with pytest.raises(ValueError, match="A warm start and partial_fit need the layers"):
        warm.set_params(network__0__n_channels=5).fit(DIGITS, LABELS)


def test_fitted_model_is_pickled_and_stopped_early_by_a_scorer():
    model = classifier(early_stopping=True, scoring="f1_macro", max_iter=8).fit(DIGITS, LABELS)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(IMAGES), model.predict_proba(IMAGES))
    assert len(model.validation_scores_) == model.n_iter_


def test_regressor_standardises_its_target_and_keeps_its_units():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = 1e3 + 50 * np.sin(X[:, 0]) + 20 * X[:, 1]
    layers = [Dense(24), Residual([LayerNorm(), "gelu", Dense(24)]), "relu"]
    options = {"standardize_target": True, "random_state": 0, "max_iter": 200, "tol": 0.0}
    model = NeuralNetRegressor(layers, optimizer="adam", **options).fit(X, y)
    assert model.score(X, y) > 0.95
    perceptron = MLPRegressor(24, "gelu", **options).fit(X, y)
    twin = NeuralNetRegressor([Dense(24), "gelu"], **options).fit(X, y)
    np.testing.assert_allclose(twin.predict(X), perceptron.predict(X), rtol=1e-10)
    model.partial_fit(X, y)
    assert abs(model.predict(X).mean() - y.mean()) < 10


def test_cross_validation_of_images_needs_no_table():
    model = classifier(input_shape=None, optimizer=Adam(0.02), max_iter=40, batch_size=32)
    assert cross_val_score(model, IMAGES, LABELS, cv=3).mean() > 0.8


def test_callbacks_watch_any_network_and_its_learning_rates_are_looked_for():
    model = classifier(max_iter=9).set_callbacks(EarlyStopping("loss", patience=1, tol=1e9))
    assert model.fit(DIGITS, LABELS).n_iter_ < 9
    rates = learning_rate_range(classifier(), DIGITS, LABELS, learning_rates=[1e-3, 1e-2, 1e9])
    assert rates.stable_range[1] < 1e9
