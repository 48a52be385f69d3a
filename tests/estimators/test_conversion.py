"""scikit-learn's fitted models as ours, ours as theirs, and from there to ONNX."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import skopt_dl as ours
from skopt_dl.estimators.conversion import from_sklearn
from skopt_dl.estimators.export import to_sklearn
from skopt_dl.optimizers import LBFGS, SGD, Adam, AMSGrad, Momentum, Nesterov
from skopt_dl.schedules import Constant, Cosine, InverseScaling, ReduceOnPlateau

# Most of these trainings are short on purpose, here and in scikit-learn.
pytestmark = pytest.mark.filterwarnings(
    "ignore:(Stochastic Optimizer. )?Maximum iterations", "ignore:lbfgs failed to converge"
)

IRIS, KINDS = load_iris(return_X_y=True)
IRIS = scale(IRIS)
FEATURES, TARGET = make_regression(120, 6, noise=10.0, random_state=0)
TARGET = scale(TARGET)
NAMES = np.array(["setosa", "versicolor", "virginica"])

TASKS = {
    "binary": ("MLPClassifier", IRIS, KINDS > 0, {}),
    "multiclass": ("MLPClassifier", IRIS, NAMES[KINDS], {}),
    "multilabel": ("MLPClassifier", *make_multilabel_classification(80, random_state=0), {}),
    "several labels": ("MLPClassifier", IRIS, np.column_stack([KINDS, KINDS[::-1]]), {}),
    "one class": ("MLPClassifier", IRIS, np.full(len(IRIS), 7), {}),
    "regression": ("MLPRegressor", FEATURES, TARGET, {}),
    "two targets": ("MLPRegressor", FEATURES, np.column_stack([TARGET, -TARGET]), {}),
    "poisson": ("MLPRegressor", FEATURES, np.round(np.exp(TARGET)), {"loss": "poisson"}),
}
CLASSIFICATION = ["binary", "multiclass", "multilabel"]
SGD_SOLVER = {"solver": "sgd", "learning_rate_init": 0.02}
INVSCALING = SGD_SOLVER | {"learning_rate": "invscaling", "power_t": 0.3}
OPTIMIZERS = [
    (SGD_SOLVER | {"momentum": 0.0}, SGD(0.02)),
    (SGD_SOLVER | {"momentum": 0.8, "nesterovs_momentum": False}, Momentum(0.02, 0.8)),
    (SGD_SOLVER, Nesterov(0.02)),
    (INVSCALING, Nesterov(InverseScaling(0.02, 0.3))),
    (INVSCALING | {"momentum": 0.0}, SGD(InverseScaling(0.02, 0.3))),
    (SGD_SOLVER | {"learning_rate": "adaptive"}, Nesterov(ReduceOnPlateau(0.02))),
    (
        {"solver": "adam", "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-6},
        Adam(beta_1=0.8, beta_2=0.9, epsilon=1e-6, epsilon_hat=True),
    ),
    ({"solver": "lbfgs", "max_fun": 77}, LBFGS(max_fun=77)),
]
EACH_TASK = pytest.mark.parametrize("task", [task for task in TASKS if task != "several labels"])
EACH_OPTIMIZER = pytest.mark.parametrize(
    ("solver", "optimizer"), OPTIMIZERS, ids=[repr(optimizer) for _, optimizer in OPTIMIZERS]
)
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
ATTRIBUTES = [
    "n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_",
    "best_validation_score_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_",
]  # fmt: skip


def fitted(library, task, dtype=np.float64, **params):
    name, X, y, loss = TASKS[task]
    params = {"hidden_layer_sizes": (7, 5), "max_iter": 6, "random_state": 0} | loss | params
    model = getattr(library, name)(**params)
    X = X.astype(dtype)
    # Seen once: a product of theirs warned of invalid values where both matrices were finite, as
    # OpenBLAS has been known to make NumPy do (numpy/numpy#24067).
    with np.errstate(invalid="ignore" if library is theirs else "warn"):
        return model.fit(X, y), X, y


def weights(model):
    return np.concatenate([w.ravel() for w in (*model.coefs_, *model.intercepts_)])


def assert_predicts_alike(model, twin, X, y, rtol=1e-10):
    assert {w.dtype for w in twin.coefs_} == {w.dtype for w in model.coefs_}
    np.testing.assert_array_equal(weights(twin), weights(model))
    assert twin.score(X, y) == pytest.approx(model.score(X, y), rel=rtol)
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(twin.classes_, model.classes_)
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
        assert twin.predict(X).dtype.kind == model.predict(X).dtype.kind
        if len(model.classes_) > 1:
            found, expected = twin.predict_proba(X), model.predict_proba(X)
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-30)
    else:
        np.testing.assert_allclose(twin.predict(X), model.predict(X), rtol=rtol, atol=rtol)


def precision(dtype):
    return 1e-4 if dtype == np.float32 else 1e-10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@EACH_TASK
def test_their_model_predicts_alike_as_ours(task, activation, dtype):
    model, X, y = fitted(theirs, task, dtype, activation=activation)
    twin = from_sklearn(model)
    assert type(twin) is getattr(ours, type(model).__name__)
    assert_predicts_alike(model, twin, X, y, precision(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@EACH_TASK
def test_our_model_predicts_alike_as_theirs(task, activation, dtype):
    model, X, y = fitted(ours, task, dtype, activation=activation)
    twin = to_sklearn(model)
    assert type(twin) is getattr(theirs, type(model).__name__)
    assert_predicts_alike(model, twin, X, y, precision(dtype))


@EACH_OPTIMIZER
def test_solver_becomes_an_optimizer_and_back(solver, optimizer):
    model, _, _ = fitted(theirs, "binary", **solver, alpha=0.01, tol=1e-3, n_iter_no_change=np.inf)
    twin = from_sklearn(model)
    assert repr(twin.optimizer) == repr(twin.optimizer_) == repr(optimizer)
    shared = twin.get_params(deep=False).keys() & model.get_params().keys()
    assert {name: getattr(twin, name) for name in shared} == {
        name: getattr(model, name) for name in shared
    }
    assert {"alpha", "tol", "n_iter_no_change", "hidden_layer_sizes", "random_state"} <= shared
    assert to_sklearn(twin).get_params() == model.get_params()


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@EACH_TASK
def test_figures_of_the_training_survive_both_ways(task, solver, early_stopping):
    model, _, _ = fitted(
        theirs, task, solver=solver, early_stopping=early_stopping, validation_fraction=0.2
    )
    twin = from_sklearn(model)
    again = to_sklearn(twin)
    for attribute in ATTRIBUTES:
        assert getattr(twin, attribute) == getattr(model, attribute)
        assert getattr(again, attribute) == getattr(model, attribute)
    assert twin.loss_curve_ is twin.history_["loss"]
    assert pd.DataFrame(twin.history_).shape == (6, 6 if early_stopping else 4)
    assert twin.n_steps_ == 6
    assert (twin.device_, twin.early_stopping) == ("cpu", early_stopping)


def test_steps_are_counted_by_batches():
    model, _, _ = fitted(theirs, "multiclass", batch_size=40)
    assert from_sklearn(model).n_steps_ == 6 * 4


def test_lbfgs_leaves_its_last_loss_only_and_no_early_stopping():
    model, X, y = fitted(theirs, "multiclass", solver="lbfgs", early_stopping=True)
    twin = from_sklearn(model)
    assert (twin.loss_, twin.best_loss_, twin.n_iter_) == (model.loss_, model.loss_, model.n_iter_)
    assert (twin.loss_curve_, twin.history_, twin.early_stopping) == ([], {}, False)
    twin.set_params(warm_start=True).fit(X, y)
    assert twin.loss_ < model.loss_
    assert len(twin.loss_curve_) == 6


def test_feature_names_survive_both_ways():
    frame = pd.DataFrame(IRIS, columns=list("abcd"))
    model = theirs.MLPClassifier(3, max_iter=2).fit(frame, KINDS)
    for twin in (from_sklearn(model), to_sklearn(from_sklearn(model))):
        np.testing.assert_array_equal(twin.feature_names_in_, list("abcd"))
        np.testing.assert_array_equal(twin.predict(frame), model.predict(frame))
        with pytest.raises(ValueError, match="feature names"):
            twin.predict(frame.rename(columns={"a": "z"}))


def assert_trains_on_alike(models, X, y):
    for model in models:
        model.set_params(n_iter_no_change=100).partial_fit(X, y)
    first, *others = models
    for other in others:
        np.testing.assert_allclose(weights(other), weights(first), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(other.loss_curve_, first.loss_curve_, rtol=1e-9)
        assert other.t_ == first.t_


IN_ORDER = {"shuffle": False, "batch_size": 50, "tol": 1e9, "n_iter_no_change": 2}
EACH_STOCHASTIC_OPTIMIZER = pytest.mark.parametrize(
    ("solver", "optimizer"), OPTIMIZERS[:-1], ids=[repr(each) for _, each in OPTIMIZERS[:-1]]
)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@EACH_STOCHASTIC_OPTIMIZER
def test_partial_fit_goes_on_with_the_state_of_their_solver(solver, optimizer, task):
    model, X, y = fitted(theirs, task, **solver, **IN_ORDER)
    # The adaptive rate has fallen by now.
    assert model.n_iter_ == (6 if solver.get("learning_rate") == "adaptive" else 4)
    twin = from_sklearn(model)
    assert_trains_on_alike([model, twin, to_sklearn(twin)], X, y)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@EACH_STOCHASTIC_OPTIMIZER
def test_partial_fit_goes_on_with_the_state_of_our_optimizer(solver, optimizer, task):
    model, X, y = fitted(ours, task, optimizer=optimizer, **IN_ORDER)
    twin = to_sklearn(model)
    assert_trains_on_alike([model, twin, from_sklearn(twin)], X, y)


@pytest.mark.parametrize("task", CLASSIFICATION)
@pytest.mark.parametrize("optimizer", ["adam", "nesterov", "lbfgs", "rmsprop"])
def test_converted_model_trains_on_with_warm_start(optimizer, task):
    model, X, y = fitted(ours, task, optimizer=optimizer, warm_start=True, tol=0.0, max_iter=3)
    twin = to_sklearn(model).fit(X, y)
    assert twin.loss_ < model.loss_
    back = from_sklearn(twin).fit(X, y)
    assert back.loss_ < twin.loss_


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_converted_model_trains_on_with_early_stopping(task):
    model, X, y = fitted(ours, task, warm_start=True, early_stopping=True)
    twin = to_sklearn(model).fit(X, y)
    assert len(from_sklearn(twin).fit(X, y).validation_scores_) == 18


@pytest.mark.parametrize("convert", [from_sklearn, lambda model: to_sklearn(from_sklearn(model))])
def test_conversion_leaves_the_model_alone(convert):
    model, X, y = fitted(theirs, "binary", random_state=np.random.RandomState(0))
    before = pickle.dumps(model)
    twin = convert(model)
    twin.partial_fit(X, y)
    twin.set_params(warm_start=True).fit(X, y)
    assert pickle.dumps(model) == before


def test_converted_models_pickle_and_clone():
    model, X, _ = fitted(ours, "multiclass")
    for twin in (to_sklearn(model), from_sklearn(to_sklearn(model))):
        loaded = pickle.loads(pickle.dumps(twin))
        np.testing.assert_array_equal(loaded.predict_proba(X), twin.predict_proba(X))
        assert repr(clone(twin)) == repr(twin)
        with pytest.raises(NotFittedError):
            clone(twin).predict(X)


@pytest.mark.parametrize(
    "optimizer",
    [
        AMSGrad(), Adam(Cosine(0.01)), SGD(ReduceOnPlateau(factor=0.5)), "rmsprop",
        Adam(InverseScaling(0.1)), Nesterov(Cosine(0.1)),
    ],
    ids=repr,
)  # fmt: skip
def test_optimizer_unknown_to_scikit_learn_leaves_the_defaults(optimizer):
    model, X, y = fitted(ours, "multiclass", optimizer=optimizer)
    twin = to_sklearn(model)
    assert_predicts_alike(model, twin, X, y)
    names = ("solver", "learning_rate", "learning_rate_init", "momentum", "beta_1")
    defaults = theirs.MLPClassifier()
    assert [getattr(twin, n) for n in names] == [getattr(defaults, n) for n in names]
    twin.partial_fit(X, y)


def test_constant_schedule_is_a_constant_rate():
    model, _, _ = fitted(ours, "binary", optimizer=Momentum(Constant(0.3)))
    assert to_sklearn(model).learning_rate_init == 0.3


@pytest.mark.parametrize(
    ("task", "params"),
    [
        ("multiclass", {"batch_norm": True, "input_scaling": True}),
        ("binary", {"ema_decay": 0.9, "dropout": 0.1}),
        ("multilabel", {"label_smoothing": 0.1, "max_grad_norm": 1.0, "class_weight": "balanced"}),
        ("regression", {"batch_norm": True, "input_scaling": True, "standardize_target": True}),
        ("two targets", {"standardize_target": True}),
    ],
    ids=str,
)
def test_what_only_training_has_leaves_nothing_but_the_weights(task, params):
    model, X, y = fitted(ours, task, **params)
    twin = to_sklearn(model)
    assert_predicts_alike(model, twin, X, y)
    loss = twin.set_params(warm_start=True, max_iter=20).fit(X, y).loss_curve_[6:]
    assert loss[-1] < loss[0]
    twin.partial_fit(X, y)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_full_batches_become_batches_of_all_samples(optimizer):
    model, X, y = fitted(ours, "binary", optimizer=optimizer, batch_size="full")
    twin = to_sklearn(model)
    assert twin.batch_size == len(X)
    assert twin.fit(X, y).n_iter_ == 6


def test_network_without_hidden_layers_survives_both_ways():
    model, X, y = fitted(ours, "multiclass", hidden_layer_sizes=(), activation="gelu")
    twin = to_sklearn(model)
    assert_predicts_alike(model, twin, X, y)
    assert_predicts_alike(model, from_sklearn(twin), X, y)


@pytest.mark.parametrize(
    ("task", "params", "message"),
    [
        (
            "binary",
            {"activation": "gelu"},
            r"activation of this MLPClassifier is GELU\(\), .* lacks; it has 'identity' or "
            r"'logistic' or 'tanh' or 'relu'\. Train with that",
        ),
        (
            "multiclass",
            {"activation": ["relu", "tanh"]},
            r"activation of .* is \[ReLU\(\), Tanh\(\)\], .*it has one for all hidden layers",
        ),
        ("binary", {"loss": "focal"}, r"loss of .* is LogisticFocal\(\), .*it has 'log_loss'\."),
        (
            "regression",
            {"loss": "huber"},
            r"loss of this MLPRegressor is Huber\(\), .*it has 'squared_error' or 'poisson'",
        ),
        ("several labels", {}, r"y of this MLPClassifier is 'multiclass-multioutput', .*one label"),
    ],
)
def test_what_scikit_learn_lacks_is_named(task, params, message):
    model, _, _ = fitted(ours, task, **params)
    with pytest.raises(ValueError, match=message):
        to_sklearn(model)


@pytest.mark.parametrize("library", [ours, theirs])
def test_model_that_is_not_fitted_is_refused(library):
    convert = to_sklearn if library is ours else from_sklearn
    with pytest.raises(NotFittedError):
        convert(library.MLPRegressor())


@pytest.mark.parametrize(
    "wrong",
    [
        ours.MLPClassifier(),
        make_pipeline(StandardScaler(), theirs.MLPClassifier()),
        theirs.MLPClassifier,
        None,
    ],
    ids=["ours", "pipeline", "class", "None"],
)
def test_what_is_no_mlp_of_scikit_learns_is_refused(wrong):
    with pytest.raises(TypeError, match=r"(?s)takes a fitted MLPClassifier .*convert the last"):
        from_sklearn(wrong)


# ONNX computes in float32: values agree to 1e-5 of the largest.


def run_onnx(model, X):
    """Outputs of a scikit-learn model in onnxruntime."""
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    X = X.astype(np.float32)
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    graph = skl2onnx.to_onnx(model, X[:1], options=options)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: X})


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("task", CLASSIFICATION)
def test_onnx_gives_the_labels_and_probabilities_of_the_classifier(task, activation):
    model, X, _ = fitted(ours, task, np.float32, activation=activation)
    labels, p = run_onnx(to_sklearn(model), X)
    np.testing.assert_array_equal(labels, model.predict(X))
    np.testing.assert_allclose(p, model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("task", ["regression", "two targets"])
def test_onnx_gives_the_predictions_of_the_regressor(task):
    model, X, _ = fitted(ours, task, np.float32, activation="tanh")
    (y,) = run_onnx(to_sklearn(model), X)
    np.testing.assert_allclose(y.reshape(model.predict(X).shape), model.predict(X), atol=1e-5)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_onnx_takes_a_pipeline(task):
    name, X, y, _ = TASKS[task]
    pipeline = make_pipeline(StandardScaler(), getattr(ours, name)(9, max_iter=9, random_state=0))
    pipeline.fit(10 * X + 3, y)
    exported = copy.deepcopy(pipeline)
    exported.steps[-1] = (exported.steps[-1][0], to_sklearn(pipeline[-1]))
    found = run_onnx(exported, 10 * X + 3)
    np.testing.assert_allclose(
        found[-1].squeeze(),
        getattr(pipeline, "predict_proba" if task == "multiclass" else "predict")(10 * X + 3),
        atol=1e-5,
    )
