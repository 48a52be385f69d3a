"""Saved with skops, a model loads without pickle and without types that are not its own.

skops trusts the types of a list of its own: scikit-learn's and NumPy's, and no others. A package
cannot add to that list, so classes of skopt_dl are named when a model is loaded. Nothing else may
be: no function, no closure, no helper that a reader of the file would have to look up.
"""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException

from skopt_dl import MLPClassifier, MLPRegressor, make_optimizer, optimizers
from skopt_dl.networks import FromFitted
from skopt_dl.networks.losses import Quantile
from skopt_dl.optimizers import SGD, Minimizer, Optimizer, PartialOptimizer, TwoSlotOptimizer
from skopt_dl.schedules import Cosine, WarmUp

# Trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

X, SPECIES = load_iris(return_X_y=True)
LABELS = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
X_MANY, MANY = make_multilabel_classification(80, 4, n_classes=3, random_state=0)
CLASSIFIER = {"MLPClassifier", "LabelEncoding", "ReLU", "SoftmaxLogLoss"}
REGRESSOR = {"MLPRegressor", "ReLU"}


def classifier(**params):
    return MLPClassifier(**{"hidden_layer_sizes": 5, "max_iter": 4, "random_state": 0, **params})


def regressor(**params):
    return MLPRegressor(**{"hidden_layer_sizes": 5, "max_iter": 4, "random_state": 0, **params})


def through_skops(model):
    """The model, saved and loaded, and the types that had to be trusted for it."""
    saved = skops.io.dumps(model)
    reported = skops.io.get_untrusted_types(data=saved)
    return skops.io.loads(saved, trusted=reported), reported


def look_up(name):
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def weights(model):
    return np.concatenate([w.ravel() for w in (*model.coefs_, *model.intercepts_)])


CASES = {
    "multiclass": (classifier(), X, SPECIES, CLASSIFIER | {"Adam"}),
    "strings": (classifier(), X, LABELS, CLASSIFIER | {"Adam"}),
    "binary": (
        classifier(activation="silu"),
        X,
        SPECIES > 1,
        {"MLPClassifier", "LabelEncoding", "SiLU", "LogisticLogLoss", "Adam"},
    ),
    "multilabel": (
        classifier(),
        X_MANY,
        MANY,
        {"MLPClassifier", "LabelEncoding", "ReLU", "LogisticLogLoss", "Adam"},
    ),
    "regression": (regressor(), X, X[:, 0] * 2, REGRESSOR | {"SquaredError", "Adam"}),
    "quantiles of two targets": (
        regressor(loss=Quantile(0.9)),
        X,
        X[:, :2],
        REGRESSOR | {"Quantile", "Adam"},
    ),
    "full batch": (classifier(optimizer="lbfgs"), X, SPECIES, CLASSIFIER | {"LBFGS"}),
    "schedule": (
        regressor(optimizer=SGD(WarmUp(Cosine(0.1), steps=5))),
        X,
        X[:, 0],
        REGRESSOR | {"SquaredError", "SGD", "WarmUp", "Cosine"},
    ),
    "early stopping": (
        classifier(early_stopping=True, random_state=np.random.RandomState(0)),
        X,
        SPECIES,
        CLASSIFIER | {"Adam"},
    ),
    "batch norm and averages": (
        regressor(
            batch_norm=True,
            input_scaling=True,
            ema_decay=0.9,
            dropout=0.1,
            standardize_target=True,
        ),
        X,
        X[:, 0],
        REGRESSOR | {"SquaredError", "Adam"},
    ),
    "class weights": (
        classifier(class_weight={0: 2.0, 1: 1.0, 2: 0.5}, label_smoothing=0.1, max_grad_norm=1.0),
        X,
        SPECIES,
        CLASSIFIER | {"Adam"},
    ),
    "single precision": (
        regressor(dtype="float32", n_iter_no_change=np.inf),
        X,
        X[:, 0],
        REGRESSOR | {"SquaredError", "Adam"},
    ),
}


@pytest.mark.parametrize(("model", "x", "y", "own"), CASES.values(), ids=CASES)
def test_loaded_model_is_the_saved_one_and_names_own_classes_only(model, x, y, own):
    model = clone(model).fit(x, y)
    loaded, reported = through_skops(model)
    assert all(isinstance(look_up(name), type) for name in reported)
    assert {name.partition(".")[0] for name in reported} == {"skopt_dl"}
    assert {name.rpartition(".")[2] for name in reported} <= own
    assert repr(loaded.optimizer_) == repr(model.optimizer_)
    assert vars(loaded).keys() == vars(model).keys()
    np.testing.assert_array_equal(weights(loaded), weights(model))
    assert weights(loaded).dtype == weights(model).dtype
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert loaded.history_ == model.history_
    assert loaded.loss_curve_ == model.loss_curve_


@pytest.mark.parametrize(
    "name",
    [
        "multiclass",
        "multilabel",
        "schedule",
        "batch norm and averages",
        "class weights",
        "single precision",
    ],
)
def test_loaded_model_trains_on_as_if_it_had_not_been_away(name):
    model, x, y, _ = CASES[name]
    model = clone(model).fit(x, y)
    loaded, _ = through_skops(model)
    for one in (model, loaded):
        one.partial_fit(x, y).partial_fit(x, y)
        # From the weights on, with the generator where it was left.
        one.set_params(warm_start=True).fit(x, y)
    np.testing.assert_array_equal(weights(loaded), weights(model))
    assert loaded.loss_curve_ == model.loss_curve_
    assert len(loaded.loss_curve_) == 4 + 2 + 4
    assert (loaded.n_steps_, loaded.t_) == (model.n_steps_, model.t_)


BASES = (Optimizer, Minimizer, PartialOptimizer, TwoSlotOptimizer)
OPTIMIZERS = [
    found
    for found in (getattr(optimizers, name) for name in optimizers.__all__)
    if isinstance(found, type) and issubclass(found, BASES) and found not in BASES
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_state_of_every_optimizer_is_arrays_and_numbers(optimizer):
    model = regressor(optimizer=optimizer()).fit(X, X[:, 0])
    loaded, reported = through_skops(model)
    own = REGRESSOR | {"SquaredError", optimizer.__name__}
    assert {name.rpartition(".")[2] for name in reported} <= own
    if issubclass(optimizer, Optimizer):
        for one in (model, loaded):
            one.partial_fit(X, X[:, 0])
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize("by", ["name", "object"])
def test_model_of_a_plugin_names_no_class_of_the_plugin(by):
    optimizer = "lion" if by == "name" else make_optimizer("lion", beta_1=0.5)
    model = classifier(optimizer=optimizer).fit(X, SPECIES)
    loaded, reported = through_skops(model)
    assert {name.partition(".")[0] for name in reported} == {"skopt_dl"}
    assert type(loaded.optimizer_) is type(model.optimizer_)
    assert repr(loaded) == repr(model)
    for one in (model, loaded):
        one.partial_fit(X, SPECIES)
    np.testing.assert_array_equal(weights(loaded), weights(model))


def test_model_that_began_with_the_weights_of_another_takes_that_one_along():
    first = classifier(optimizer="lbfgs").fit(X, SPECIES)
    model = classifier(init=FromFitted(first)).fit(X, SPECIES)
    loaded, reported = through_skops(model)
    own = CLASSIFIER | {"FromFitted", "LBFGS", "Adam"}
    assert {name.rpartition(".")[2] for name in reported} <= own
    np.testing.assert_array_equal(weights(loaded.init.estimator), weights(first))
    np.testing.assert_array_equal(loaded.fit(X, SPECIES).coefs_[0], model.coefs_[0])


def test_unfitted_model_loads_when_the_estimator_is_trusted():
    model = classifier(optimizer="rmsprop", hidden_layer_sizes=(3, 2))
    saved = skops.io.dumps(model)
    loaded = skops.io.loads(saved, trusted=[MLPClassifier])
    assert repr(loaded) == repr(model)


def test_nothing_is_loaded_without_trust(tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump(regressor().fit(X, X[:, 0]), path)
    with pytest.raises(UntrustedTypesFoundException, match=r"skopt_dl\..*MLPRegressor"):
        skops.io.load(path)
    with pytest.raises(UntrustedTypesFoundException, match="Adam"):
        skops.io.load(path, trusted=[MLPRegressor])


def test_pipeline_fitted_to_a_frame_keeps_its_names(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), classifier()).set_output(transform="pandas")
    pipeline.fit(frame, pd.Series(LABELS))
    path = tmp_path / "model.skops"
    skops.io.dump(pipeline, path)
    reported = skops.io.get_untrusted_types(file=path)
    loaded = skops.io.load(path, trusted=[look_up(name) for name in reported])
    assert {name.rpartition(".")[2] for name in reported} <= CLASSIFIER | {"Adam"}
    assert list(loaded[-1].feature_names_in_) == list("abcd")
    np.testing.assert_array_equal(loaded.predict_proba(frame), pipeline.predict_proba(frame))
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame.rename(columns={"a": "z"}))


@pytest.mark.parametrize(
    ("wrap", "probe"),
    [
        (lambda model: BaggingClassifier(model, 3, random_state=0), "predict_proba"),
        (lambda model: GridSearchCV(model, {"random_state": [0, 1]}, cv=2), "predict"),
    ],
    ids=["bagging", "grid search"],
)
def test_meta_estimators_name_no_more_than_with_a_model_of_scikit_learn(wrap, probe):
    model = wrap(classifier()).fit(X, SPECIES)
    loaded, reported = through_skops(model)
    baseline = wrap(LogisticRegression(max_iter=1000)).fit(X, SPECIES)
    others = set(reported) - set(skops.io.get_untrusted_types(data=skops.io.dumps(baseline)))
    assert {name.rpartition(".")[2] for name in others} <= CLASSIFIER | {"Adam"}
    np.testing.assert_array_equal(getattr(loaded, probe)(X), getattr(model, probe)(X))
