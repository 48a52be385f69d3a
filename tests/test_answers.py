"""What bad input is answered with: the input, and words that the answer must have."""

import copy
import inspect
import pickle
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import (
    MLPClassifier,
    MLPRegressor,
    available_optimizers,
    fit_many,
    learning_rate_range,
    make_optimizer,
    plugins,
)
from skopt_dl import _memory as memory
from skopt_dl.jobs import training
from skopt_dl.layers import activations
from skopt_dl.networks import FromFitted, initializers, losses
from skopt_dl.optimizers import SGD, Adam, AdamW, Momentum
from skopt_dl.schedules import Cosine, Schedule

# Trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)
T = X @ [1.0, 2.0, 3.0]
ARRAY = np.array([1.0, 2.0])


def classifier(**params):
    return MLPClassifier(**{"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0, **params})


def regressor(**params):
    return MLPRegressor(**{"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0, **params})


def check_answer(model, method, words, *arguments, error=ValueError, **named):
    """Call a method that must fail with these words, and leave the model as it was."""
    before, parameters = dict(vars(model)), repr(model.get_params())
    with pytest.raises(error) as caught:
        getattr(model, method)(*arguments, **named)
    for each in words.split(" … "):
        assert each in str(caught.value)
    assert vars(model) == before
    assert repr(model.get_params()) == parameters


# Names of other libraries

ELSEWHERE = [
    ("solver", "Did you mean 'optimizer'?"),
    ("learning_rate_init", "optimizer__learning_rate … optimizer=Adam(learning_rate=0.001)"),
    ("learning_rate", "optimizer__learning_rate … optimizer=Adam(learning_rate=0.001)"),
    ("lr", "optimizer__learning_rate"),
    ("momentum", "optimizer__momentum … optimizer=Momentum(0.01, momentum=0.9)"),
    ("nesterovs_momentum", 'optimizer="nesterov"'),
    ("beta_1", "optimizer__beta_1 … optimizer=Adam(beta_1=0.9)"),
    ("beta_2", "optimizer__beta_2"),
    ("epsilon", "optimizer__epsilon"),
    ("power_t", "InverseScaling(0.01, power=0.5)"),
    ("max_fun", "optimizer__max_fun … LBFGS(max_fun=15000)"),
    ("weight_decay", "alpha … optimizer__weight_decay … AdamW(weight_decay=0.01)"),
    ("epochs", "Did you mean 'max_iter'?"),
    ("n_epochs", "Did you mean 'max_iter'?"),
    ("patience", "Did you mean 'n_iter_no_change'?"),
    ("validation_split", "Did you mean 'validation_fraction'?"),
    ("hidden_units", "Did you mean 'hidden_layer_sizes'?"),
    ("dropout_rate", "Did you mean 'dropout'?"),
    ("seed", "Did you mean 'random_state'?"),
    ("optimiser", "Did you mean 'optimizer'?"),
]


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(("name", "words"), ELSEWHERE)
def test_names_of_other_libraries_are_answered_with_ours(cls, name, words):
    with pytest.raises(TypeError) as caught:
        cls(**{name: 1})
    for each in (
        f"{cls.__name__} got an unexpected keyword argument {name!r}",
        *words.split(" … "),
    ):
        assert each in str(caught.value)
    check_answer(cls(), "set_params", f"Invalid parameter {name!r} … {words}", **{name: 1})


@pytest.mark.parametrize("name", ["optimizer__learning_rate", "optimizer__rho"])
def test_parameter_of_a_parameter_is_answered_with_where_it_is_set(name):
    with pytest.raises(TypeError, match=rf"'{name}'\. Set it afterwards, by set_params\({name}="):
        MLPClassifier(optimizer="adam", **{name: 0.1})
    with pytest.raises(TypeError, match="Did you mean 'optimizer'"):
        MLPClassifier(**{"optimiser__rho": 0.1})


def test_grid_over_a_name_of_scikit_learn_says_how_to_write_it():
    model = make_pipeline(StandardScaler(), classifier())
    search = GridSearchCV(model, {"mlpclassifier__learning_rate_init": [0.1]}, cv=2)
    with pytest.raises(ValueError, match="optimizer__learning_rate in set_params and grids"):
        search.fit(X, Y)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Adam(lr=0.1), "Adam got … 'lr' … Did you mean 'learning_rate'?"),
        (lambda: Adam(betas=(0.9, 0.99)), "beta_1 and beta_2"),
        (lambda: Adam(eps=1e-8), "Did you mean 'epsilon'?"),
        (lambda: SGD(momentum=0.9), "Momentum(0.01, momentum=0.9)"),
        (lambda: SGD(0.1, nesterov=True), "Nesterov(0.01, momentum=0.9)"),
        (lambda: Cosine(learning_rate=0.1), "Cosine got … 'learning_rate'"),
        (lambda: losses.Huber(detla=1), "Did you mean 'delta'?"),
        (lambda: initializers.HeUniform(scale=1), "HeUniform got … 'scale'"),
        (lambda: initializers.HeUniform(1), "positional"),
    ],
)
def test_unknown_arguments_of_components_are_answered(call, words):
    with pytest.raises(TypeError) as caught:
        call()
    for each in words.split(" … "):
        assert each in str(caught.value)


def test_constructors_keep_their_signatures_and_copies():
    assert next(iter(inspect.signature(MLPClassifier).parameters)) == "hidden_layer_sizes"
    assert list(inspect.signature(SGD).parameters) == ["learning_rate", "weight_decay", "l2"]
    assert not inspect.signature(initializers.HeUniform).parameters
    model = classifier(optimizer=AdamW(0.1))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert repr(pickle.loads(pickle.dumps(model, protocol))) == repr(model)
    for one in (clone(model), copy.copy(model), copy.deepcopy(model)):
        assert repr(one) == repr(model)

    class TakesAll(SGD):
        def __init__(self, learning_rate=0.1, **others):
            super().__init__(learning_rate)

    assert TakesAll(anything=3).learning_rate == 0.1


# A failed set_params


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer__lr": 1},
        {"optimizer__learning_rate": 1, "optimizer__lr": 1},
        {"alpha": 3, "max_iter": 7, "nope": 1},
        {"alpha": 3, "optimizer": "sgd", "optimizer__beta_1": 0.5},
        {"loss__nope": 1, "optimizer__learning_rate": 1},
        {"optimizer__learning_rate": 1, "activation__nope": 1},
        {"activation__negative_slope": 0.5, "optimizer__beta_1": 0.5, "init__nope": 1},
    ],
    ids=lambda params: ",".join(params),
)
@pytest.mark.parametrize("optimizer", ["adam", Adam(0.01)], ids=["name", "object"])
def test_set_params_that_fails_changes_nothing(params, optimizer):
    model = classifier(optimizer=optimizer, activation=activations.LeakyReLU())
    check_answer(model, "set_params", "Invalid parameter", **params)
    assert model.optimizer is optimizer


def test_set_params_that_fails_leaves_objects_it_was_given_alone():
    given = SGD(0.5)
    params = {"optimizer": given, "optimizer__learning_rate": 1.0, "loss__nope": 1}
    check_answer(classifier(), "set_params", "Invalid parameter 'nope'", **params)
    assert given.learning_rate == 0.5


@pytest.mark.parametrize(
    ("model", "params", "words"),
    [
        (classifier(optimizer=None), {"optimizer__learning_rate": 1}, "optimizer of … got None"),
        (classifier(optimizer=3), {"optimizer__learning_rate": 1}, "optimizer of … got 3"),
        (classifier(optimizer=Adam), {"optimizer__beta_1": 1}, "That is a class … Adam()"),
        (classifier(), {"alpha__x": 1}, "alpha__x … alpha of MLPClassifier is 0.0001"),
        (
            classifier(optimizer=Adam(0.25)),
            {"optimizer__learning_rate__steps": 3},
            "learning_rate of Adam is the number 0.25",
        ),
        (classifier(), {"loss__delta": 1}, "'delta' for LogLoss … It has none"),
        (classifier(), {"activation__slope": 1}, "'slope' for ReLU … It has none"),
        (classifier(), {"init__scale": 1}, "'scale' for GlorotUniform … It has none"),
    ],
)
def test_nested_parameter_of_what_has_none_is_named(model, params, words):
    check_answer(model, "set_params", words, **params)


# Arrays where one value belongs

SCALARS = [
    (make, target, name)
    for make, target in ((classifier, Y), (regressor, T))
    for name in make().get_params(deep=False)
]


@pytest.mark.parametrize(("make", "target", "name"), SCALARS, ids=lambda v: str(v)[:20])
def test_array_for_a_parameter_is_named(make, target, name):
    model = make(**{name: ARRAY})
    check_answer(model, "fit", f"{name} of {type(model).__name__}", X, target)


def components():
    kinds = (
        (losses, losses.Loss),
        (activations, activations.Activation),
        (initializers, initializers.Initializer),
    )
    found = [
        cls
        for module, base in kinds
        for name, cls in vars(module).items()
        if isinstance(cls, type)
        and issubclass(cls, base)
        and name not in ("PerOutput", "FromFitted")
    ]
    found += Schedule.__subclasses__()
    return [
        (cls, name)
        for cls in [*found, *(type(make_optimizer(each)) for each in available_optimizers())]
        if cls.__module__.startswith("skopt_dl")
        for name in cls._get_param_names()
    ]


@pytest.mark.parametrize(("cls", "name"), components(), ids=lambda v: getattr(v, "__name__", v))
def test_array_for_a_parameter_of_a_component_is_named(cls, name):
    with pytest.raises(ValueError, match=rf"{name} of {cls.__name__} must be .*array"):
        cls(**{name: ARRAY}).check_params()


# Parameters and data

NAN = float("nan")
MISSING = "y contains None or NaN: 1 missing values, the first in row 39"
SPARSE = "y is sparse, of shape … y.toarray()"
WEIGHTS = "sample_weight must be 40 numbers, one for each sample, finite and not negative"
LAYERS = "hidden_layer_sizes of MLPClassifier must be an int or a sequence of ints"
WITH_SCORER = {"early_stopping": True}


def with_last(values, last):
    return [*values[:-1], last]


BAD_FITS = [
    # targets
    (classifier(), (X, with_last(Y.tolist(), None)), MISSING),
    (regressor(), (X, with_last(T.tolist(), None)), MISSING),
    (classifier(), (X, np.array(with_last(["a", "b"] * 20, None), dtype=object)), MISSING),
    (classifier(), (X, np.array(with_last(["a", "b"] * 20, NAN), dtype=object)), MISSING),
    (classifier(), (X, sparse.csr_array(Y[:, None])), SPARSE),
    (classifier(), (X, sparse.coo_array(Y)), SPARSE),
    (regressor(), (X, sparse.csr_matrix(T[:, None])), SPARSE),
    (regressor(), (X, sparse.csr_matrix(np.c_[T, T])), SPARSE),
    (
        regressor(standardize_target=True),
        (X, np.where(T > 0, 1e306, -1e306)),
        "y has values up to 1e+306 … standardize_target … up to 1.8e+304",
    ),
    (
        regressor(standardize_target=True, dtype="float32"),
        (X, 1e37 * np.sign(T)),
        "y has values up to 1e+37 … float32 … up to 3.4e+34 … dtype='float64'",
    ),
    # weights
    (classifier(), (X, Y, "abc"), f"{WEIGHTS}; got 'abc'"),
    (classifier(), (X, Y, ["abc"] * 40), f"{WEIGHTS}; got a list"),
    (classifier(), (X, Y, {"a": 1}), WEIGHTS),
    (classifier(), (X, Y, np.ones(39)), f"{WEIGHTS}; got a ndarray of shape (39,)"),
    (classifier(), (X, Y, np.ones((40, 2))), f"{WEIGHTS} … (40, 2)"),
    (classifier(), (X, Y, with_last(np.ones(40), NAN)), f"{WEIGHTS} … NaN"),
    (classifier(), (X, Y, with_last(np.ones(40), -1.0)), f"{WEIGHTS} … Negative"),
    (classifier(), (X, Y, with_last(np.ones(40), np.inf)), f"{WEIGHTS} … infinity"),
    (classifier(), (X, Y, np.full(40, 1e308)), "sum of sample_weight is beyond … float64"),
    (classifier(), (X, Y, np.zeros(40)), "sample_weight … at least one non-zero number"),
    # weights of classes
    (classifier(class_weight={0: 0, 1: 0}), (X, Y), "class_weight={0: 0, 1: 0} … all samples zero"),
    (classifier(class_weight={0: np.inf}), (X, Y), "class_weight of 0 must be … got inf"),
    (classifier(class_weight={0: NAN}), (X, Y), "class_weight of 0 must be … got nan"),
    (classifier(class_weight={0: -1}), (X, Y), "class_weight of 0 must be … got -1"),
    (classifier(class_weight={0: "a"}), (X, Y), "class_weight of 0 must be … got 'a'"),
    (classifier(class_weight={0: None}), (X, Y), "class_weight of 0 must be … got None"),
    (classifier(class_weight={0: 1e308, 1: 1e308}), (X, Y), "class_weight … larger than float64"),
    (classifier(class_weight={0: 1e39}, dtype="float32"), (X, Y), "class_weight … than float32"),
    (
        classifier(class_weight=[1, 2, 3]),
        (X, Y),
        "class_weight must be a dict from class to weight, such as {0: 1.0, 1: 1.0} … [1, 2, 3]",
    ),
    (classifier(class_weight=ARRAY), (X, Y), "class_weight of MLPClassifier must be None or"),
    # layers
    (classifier(hidden_layer_sizes={3}), (X, Y), LAYERS),
    (classifier(hidden_layer_sizes={3: 1}), (X, Y), LAYERS),
    (classifier(hidden_layer_sizes=b"ab"), (X, Y), LAYERS),
    (classifier(hidden_layer_sizes=iter([3])), (X, Y), LAYERS),
    (classifier(dropout={0.5}), (X, Y), "dropout of MLPClassifier must be"),
    # components
    (
        classifier(init=FromFitted(classifier())),
        (X, Y),
        "init=FromFitted(...) … Call its fit first",
    ),
    (classifier(init=FromFitted(None)), (X, Y), "init=FromFitted(...) … None has none"),
    (classifier(init=FromFitted(MLPClassifier)), (X, Y), "init=FromFitted(...) needs a fitted"),
    (classifier(optimizer="ADAM"), (X, Y), "Did you mean 'adam'?"),
    (classifier(loss="MSE"), (X, Y), "Did you mean 'squared_error'?"),
    (classifier(activation="ReLU"), (X, Y), "Did you mean 'relu'?"),
    # scorers
    (
        classifier(scoring="roc", **WITH_SCORER),
        (X, Y),
        "scoring of MLPClassifier: there is no scorer 'roc'. Did you mean 'roc_auc'? … get_scorer",
    ),
    (classifier(scoring="accurracy", **WITH_SCORER), (X, Y), "Did you mean 'accuracy'?"),
    (classifier(scoring="zzzz", **WITH_SCORER), (X, Y), "no scorer 'zzzz' … get_scorer_names()"),
    (
        classifier(scoring=lambda model, X, y: "a", **WITH_SCORER),
        (X, Y),
        "scoring must return a number … returned 'a'",
    ),
    (
        classifier(scoring=lambda model, X, y: None, **WITH_SCORER),
        (X, Y),
        "scoring must return a number … returned None",
    ),
    (classifier(random_state="seed"), (X, Y), "random_state of MLPClassifier must be"),
    (classifier(random_state=-1), (X, Y), "random_state of MLPClassifier must be"),
]


SAID_BY_SCIKIT_LEARN = [
    (pd.Series(with_last(Y.tolist(), pd.NA), dtype="Int64"), "Input y contains NaN"),
    (with_last(Y.astype(float), NAN), "Input y contains NaN"),
    (None, "the target y is None"),
]


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(("y", "words"), SAID_BY_SCIKIT_LEARN)
def test_bad_targets_are_named_by_scikit_learn(make, y, words):
    check_answer(make(), "fit", words, X, y)


@pytest.mark.parametrize(("model", "data", "words"), BAD_FITS, ids=range(len(BAD_FITS)))
def test_bad_input_of_a_fit_is_named(model, data, words):
    check_answer(model, "fit", words, *data)


def test_answer_to_an_unknown_scorer_is_short_and_in_order():
    with pytest.raises(ValueError, match="roc_auc") as caught:
        classifier(scoring="roc", early_stopping=True).fit(X, Y)
    assert len(str(caught.value)) < 300


def test_fitted_model_keeps_what_it_has_when_the_next_fit_is_refused():
    model = classifier().fit(X, Y)
    check_answer(model, "fit", WEIGHTS, X, Y, "abc")
    check_answer(model.set_params(class_weight={0: np.inf}), "fit", "class_weight of 0", X, Y)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (None, "must be named by a string; got None … adam, "),
        (3, "got 3 … Names: "),
        (b"adam", "got b'adam' … Names: "),
        (Adam(), "That is an object already"),
    ],
)
def test_optimizer_is_made_from_a_string(name, words):
    with pytest.raises(TypeError) as caught:
        make_optimizer(name)
    for each in words.split(" … "):
        assert each in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: plugins.find("optimizer", None), TypeError, "optimizer must be named by a string"),
        (lambda: plugins.make("loss", 3), TypeError, "loss must be named by a string; got 3"),
        (lambda: plugins.make("optimizers", "adam"), ValueError, "Did you mean 'optimizer'?"),
        (lambda: plugins.available(None), ValueError, "must be one of optimizer, "),
        (lambda: plugins.find(ARRAY, "adam"), ValueError, "must be one of optimizer, "),
        (lambda: learning_rate_range(None, X, Y), TypeError, "of skopt_dl; got None."),
        (lambda: learning_rate_range(MLPClassifier, X, Y), TypeError, "MLPClassifier'>."),
    ],
)
def test_wrong_type_of_a_name_or_an_object_is_named(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_sparse_indicators_of_several_classes_are_labels():
    several = np.c_[Y, 2 * Y, Y + 1]
    model = classifier().fit(X, sparse.csr_array(several))
    alike = classifier().fit(X, several)
    np.testing.assert_array_equal(model.predict(X), alike.predict(X))
    assert model.score(X, sparse.csr_array(several)) == alike.score(X, several)


def test_list_of_one_dict_is_that_of_the_only_column():
    one, other = ({0: 1.0, 1: 3.0}, [{0: 1.0, 1: 3.0}])
    fitted = [classifier(class_weight=given).fit(X, Y) for given in (one, other)]
    np.testing.assert_array_equal(fitted[0].coefs_[0], fitted[1].coefs_[0])


@pytest.mark.parametrize("scale", [1e154, 1e300, 1e-200])
def test_targets_of_any_size_are_standardised(scale):
    plain = regressor(standardize_target=True).fit(X, T).predict(X)
    # A power of two scales without rounding.
    scale = 2.0 ** np.round(np.log2(scale))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = regressor(standardize_target=True).fit(X, T * scale)
    np.testing.assert_allclose(model.predict(X) / scale, plain, rtol=1e-12)


# Warnings


def nan_at(epochs):
    count = iter(range(1000))
    return lambda model, X, y: NAN if next(count) in epochs else model.score(X, y)


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        (
            classifier(scoring=lambda model, X, y: NAN, early_stopping=True),
            (X, Y),
            "validation score was never a number in 3 epochs.*`scoring`",
        ),
        (
            classifier(scoring=nan_at({1}), early_stopping=True),
            (X, Y),
            "validation score was not a number in 1 of 3 epochs.*`scoring`",
        ),
        (classifier(scoring="f1"), (X, Y), "scoring='f1' has no effect.*early_stopping=True"),
        (
            regressor(max_iter=100),
            (X, 1000 * T + 5000),
            "above that of predicting the mean.*Set standardize_target=True",
        ),
        (
            regressor(max_iter=100, loss="huber", tol=0.0),
            (X, 1000 * T + 5000),
            "Set standardize_target=True",
        ),
        (regressor(max_iter=200), (X, 0.03 * T), "got nowhere.*Set standardize_target=True"),
    ],
    ids=["always nan", "nan once", "no validation", "far", "huber", "tiny"],
)
def test_warning_names_the_cause(model, data, words):
    with pytest.warns(UserWarning, match=words) as caught:
        model.fit(*data)
    given = [str(each.message) for each in caught]
    assert not any("standardize_target" in each and "Increase max_iter" in each for each in given)


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (classifier(scoring="f1", early_stopping=True), {}),
        (classifier(scoring="f1"), {"X_val": X, "y_val": Y}),
        (classifier(early_stopping=True, max_iter=5), {}),
        (regressor(max_iter=5), {}),
    ],
    ids=range(4),
)
def test_nothing_is_said_where_nothing_is_wrong(model, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="Maximum iterations .* Increase max_iter")
        model.fit(X, Y, **data)


# Two fits at once


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_second_fit_of_an_estimator_is_refused_and_the_first_goes_on(method):
    training_now, go_on = threading.Event(), threading.Event()

    def scorer(model, X, y):
        training_now.set()
        assert go_on.wait(60)
        return 0.0

    model = classifier(scoring=scorer)
    thread = threading.Thread(target=lambda: model.fit(X, Y, X_val=X, y_val=Y))
    thread.start()
    assert training_now.wait(60)
    with pytest.raises(RuntimeError, match=r"being fitted already.*clone"):
        getattr(model, method)(X, Y, **({} if method == "fit" else {"classes": [0, 1]}))
    go_on.set()
    thread.join()
    alone = classifier(scoring=scorer).fit(X, Y, X_val=X, y_val=Y)
    np.testing.assert_array_equal(model.coefs_[0], alone.coefs_[0])
    model.fit(X, Y, X_val=X, y_val=Y)


# Memory


@pytest.mark.parametrize("sizes", [10**12, (10**7, 10**7)])
def test_layers_that_memory_cannot_hold_are_refused_before_anything_is_made(sizes):
    model = classifier(hidden_layer_sizes=sizes)
    words = f"hidden_layer_sizes={sizes!r} … parameters … slots take … bytes … there are"
    check_answer(model, "fit", words, X, Y, error=MemoryError)


def test_limit_of_the_process_counts(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda what: (10_000, 10_000))
    assert memory.n_bytes_of_memory() == 10_000
    network_bytes = 8 * 5 * (3 * 100 + 100 + 100 + 1)  # Adam has two slots
    words = f"hidden_layer_sizes=100 … ({network_bytes:,} bytes) … 10 kB"
    check_answer(classifier(hidden_layer_sizes=100), "fit", words, X, Y, error=MemoryError)


def test_memory_that_runs_out_in_training_is_told_with_sizes(monkeypatch):
    def minimise(*args, **kwargs):
        raise MemoryError("Unable to allocate 3 GiB")

    monkeypatch.setattr(training, "minimise", minimise)
    words = (
        "trained … hidden_layer_sizes=4 … batch_size='auto' … Unable to allocate 3 GiB … "
        f"({8 * 5 * 21} bytes) … a batch of 40 samples"
    )
    check_answer(classifier(), "fit", words, X, Y, error=MemoryError)


def test_memory_that_runs_out_in_preparation_is_told_with_sizes(monkeypatch):
    def fill(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(initializers.GlorotUniform, "fill", fill)
    words = "prepared … hidden_layer_sizes=4 … batch_size='auto'"
    check_answer(classifier(), "fit", words, X, Y, error=MemoryError)


@pytest.mark.parametrize("n", [1, 999, 1000, 3.2e9, 5e15])
def test_bytes_have_a_unit(n):
    number, unit = memory.in_words(n).replace(",", "").split()
    factor = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert float(number) * factor == pytest.approx(n, rel=0.01)


def test_orthogonal_weights_of_huge_layers_are_refused():
    with pytest.raises(ValueError, match=r"init='orthogonal'.*20000 × 20000.*hidden_layer_sizes"):
        initializers.Orthogonal().draw(np.random.default_rng(0), 20_000, 20_000)


# fit_many

MODELS = [classifier(random_state=0), classifier(random_state=1)]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([MODELS[0]] * 2, X, Y), ValueError, "estimators[1] is the same object as estimators[0]"),
        ((MODELS[0], X, Y), TypeError, "must be a list of estimators; got a single one"),
        ((None, X, Y), TypeError, "must be a list of estimators; got None"),
        (([MODELS[0], 3], X, Y), TypeError, "estimators[1] must be an object with a fit; got 3"),
        (([MLPClassifier], X, Y), TypeError, "estimators[0] must be an object with a fit"),
        ((MODELS, [X, X], Y), ValueError, "so y must be a list of arrays too; got ndarray"),
        ((MODELS, [X, X], [0, 1]), ValueError, "so y must be a list of arrays too; got list"),
        ((MODELS, [X, X], [Y, Y], np.ones(40)), ValueError, "so sample_weight must be a list"),
        ((MODELS, [X], [Y]), ValueError, "X is a list of 1 arrays for 2 estimators"),
        ((MODELS, [X, X], [Y] * 3), ValueError, "y is a list of 3 arrays for 2 estimators"),
        ((MODELS, X, [Y, Y]), ValueError, "y is a list of 2 arrays, and X is one table"),
    ],
)
def test_bad_arguments_of_fit_many_are_named(arguments, error, words):
    with pytest.raises(error) as caught:
        fit_many(*arguments)
    assert words in str(caught.value)
    assert not any(hasattr(model, "coefs_") for model in MODELS)


def test_no_estimators_are_fitted_at_once():
    assert fit_many([], X, Y) == []


# Raw tables


def test_tabular_is_silent_about_a_batch_size_that_nobody_set():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier.tabular(max_iter=2, random_state=0).fit(X, Y)
        clone(MLPRegressor.tabular(max_iter=2, random_state=0)).fit(X, T)
    with pytest.warns(UserWarning, match="batch_size=64 is larger than the 40"):
        MLPClassifier.tabular(max_iter=2, batch_size=64).fit(X, Y)


@pytest.mark.parametrize("loss", ["poisson", losses.Poisson(), "gamma"])
def test_tabular_takes_losses_with_exponential_outputs(loss):
    model = MLPRegressor.tabular(loss=loss, max_iter=2, random_state=0).fit(X, np.exp(T / 4))
    assert (model.predict(X) > 0).all()
    assert MLPRegressor.tabular(loss="huber")[-1].standardize_target
    with pytest.raises(ValueError, match="standardize_target=True does not go with"):
        MLPRegressor.tabular(loss=loss, standardize_target=True).fit(X, np.exp(T))


def test_tabular_of_a_model_says_that_its_parameters_would_be_lost():
    with pytest.raises(
        AttributeError, match=r"drop the parameters.*MLPRegressor.tabular\(\.\.\.\)"
    ):
        MLPRegressor(alpha=5).tabular()


def test_tabular_takes_weights_and_validation_data():
    weight = RNG.exponential(size=40)
    model = MLPClassifier.tabular(max_iter=3, random_state=0)
    plain = clone(model)
    model.fit(X, Y, sample_weight=weight, X_val=X[:20], y_val=Y[:20])
    prepared = plain[:-1].fit_transform(X)
    held_out = {"X_val": plain[:-1].transform(X[:20]), "y_val": Y[:20]}
    by_hand = clone(plain[-1]).fit(prepared, Y, weight, **held_out)
    np.testing.assert_array_equal(model[-1].coefs_[0], by_hand.coefs_[0])
    assert model[-1].history_["validation_loss"] == by_hand.history_["validation_loss"]
    np.testing.assert_array_equal(model.predict(X), by_hand.predict(prepared))


def test_tabular_takes_them_through_a_search_too():
    weight = np.where(Y == 1, 1.0, 1e-6)
    grid = {"mlpclassifier__alpha": [0.0, 0.1]}
    search = GridSearchCV(MLPClassifier.tabular(max_iter=3, random_state=0), grid, cv=2)
    search.fit(X, Y, sample_weight=weight, X_val=X[:10], y_val=Y[:10])
    model = search.best_estimator_
    assert type(model) is type(MLPClassifier.tabular())
    assert len(model[-1].history_["validation_loss"]) == 3
    alone = clone(model).fit(X, Y, weight, X_val=X[:10], y_val=Y[:10])
    np.testing.assert_array_equal(alone[-1].coefs_[0], model[-1].coefs_[0])
    assert not np.allclose(clone(model).fit(X, Y)[-1].coefs_[0], model[-1].coefs_[0])


def test_divergence_is_still_told_as_such():
    with pytest.warns(ConvergenceWarning, match="diverged"):
        regressor(optimizer=Momentum(1e10)).fit(X, T)
