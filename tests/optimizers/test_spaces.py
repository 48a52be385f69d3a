"""Where optimizers say their hyperparameters lie, and what searches make of it."""

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    ParameterSampler,
    RandomizedSearchCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, available_optimizers, make_optimizer, search_space
from skopt_dl.optimizers import (
    SGD,
    Adam,
    Choice,
    LogUniform,
    LogUniformBelowOne,
    Optimizer,
    Uniform,
    space_of,
)


@pytest.mark.parametrize(
    ("space", "n", "values"),
    [
        (LogUniform(1e-5, 1e-1), 5, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
        (LogUniform(1e-4, 1e-1), 3, [1e-4, 0.0032, 1e-1]),
        (LogUniform(1e-4, 1e-2), 1, [1e-3]),
        (LogUniform(0.123456, 1.0), 2, [0.123456, 1.0]),
        (LogUniform(1.0, 1.01), 3, [1.0, 1.005, 1.01]),
        (LogUniformBelowOne(0.9, 0.9999), 4, [0.9, 0.99, 0.999, 0.9999]),
        (LogUniformBelowOne(0.0, 0.99), 3, [0.0, 0.9, 0.99]),
        (Uniform(-1, 2), 4, [-1.0, 0.0, 1.0, 2.0]),
        (Choice(True, False), 1, [True]),
        (Choice(5, 10, 20), 2, [5, 20]),
        (Choice("a", "b", "c"), 9, ["a", "b", "c"]),
    ],
    ids=str,
)
def test_grid_has_its_ends_and_few_digits(space, n, values):
    assert space.grid(n) == values


@pytest.mark.parametrize(
    ("space", "to_uniform"),
    [
        (LogUniform(1e-4, 1e-1), lambda x: (np.log10(x) + 4) / 3),
        (LogUniformBelowOne(0.9, 0.999), lambda x: (-np.log10(1 - x) - 1) / 2),
        (Uniform(2.0, 6.0), lambda x: (x - 2) / 4),
    ],
    ids=["of rates", "below one", "uniform"],
)
def test_draws_are_uniform_on_the_scale_of_the_space(space, to_uniform):
    shares = to_uniform(space.distribution().rvs(size=2000, random_state=0))
    assert shares.min() > 0
    assert shares.max() < 1
    # The largest distance of an empirical from its own distribution function: 1.63 / √n at 1 %.
    steps = np.arange(1, 2001) / 2000
    assert np.abs(np.sort(shares) - steps).max() < 1.63 / np.sqrt(2000)
    assert np.ndim(space.distribution().rvs(random_state=0)) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogUniform(0, 1), "LogUniform needs 0 < low < high, both finite; got 0 and 1"),
        (lambda: LogUniform(2, 1), "got 2 and 1"),
        (lambda: LogUniform(1, np.inf), "got 1 and inf"),
        (lambda: LogUniformBelowOne(0.5, 1), "needs low < high < 1, both finite; got 0.5 and 1"),
        (lambda: Uniform("a", 1), "Uniform needs low < high, both finite; got 'a' and 1"),
        (lambda: Uniform(np.nan, 1), "got nan and 1"),
        (lambda: Choice(), "Choice needs at least one value"),
        (lambda: Uniform(0, 1).grid(0), "at least 1; got 0"),
        (lambda: Choice(1, 2).grid(True), "at least 1; got True"),
    ],
)
def test_what_is_no_space_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Plain(Optimizer):
    def __init__(self, learning_rate=0.02, weight_decay=0.0):
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay


class WithoutRate(Optimizer):
    def __init__(self, learning_rate=None):
        self.learning_rate = learning_rate


def test_class_without_a_space_gets_one_around_its_default_rate():
    space = space_of(Plain(learning_rate=5.0))
    assert space["learning_rate"] == LogUniform(0.00063, 0.63)
    assert "weight_decay" in space
    assert space_of(WithoutRate()) == {}


@pytest.mark.parametrize("name", available_optimizers())
def test_every_optimizer_has_a_space_that_it_accepts(name):
    for params in ParameterGrid(search_space(name, 3)):
        made = make_optimizer(params.pop("optimizer"))
        made.set_params(**{key.removeprefix("optimizer__"): v for key, v in params.items()})
        made.check_params()
    distributions = search_space(name, distributions=True)
    assert len(list(ParameterSampler(distributions, 3, random_state=0))) == 3


def test_class_stands_for_its_defaults_and_object_for_itself():
    space = search_space(SGD, 2)
    assert repr(space.pop("optimizer")) == "[SGD()]"
    assert space == {"optimizer__learning_rate": [0.001, 1.0]}
    adam = Adam(epsilon=1e-4)
    [kept] = search_space(adam)["optimizer"]
    assert kept is not adam
    assert kept.epsilon == 1e-4


@pytest.mark.filterwarnings("ignore:Maximum iterations")
@pytest.mark.parametrize("stacked", [False, True])
def test_grids_of_several_optimizers_pass_straight_into_a_search(stacked):
    X, y = load_iris(return_X_y=True)
    grids = [search_space(each, 2) for each in ("sgd", Adam(beta_1=0.8))]
    search = GridSearchCV(MLPClassifier(4, max_iter=3, random_state=0), grids, cv=2)
    with joblib.parallel_config(backend="skopt_dl" if stacked else "sequential"):
        search.fit(X, y)
    assert len(search.cv_results_["params"]) == 2 + 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.filterwarnings("ignore:Maximum iterations")
def test_distributions_pass_into_a_randomized_search_of_a_pipeline():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), MLPClassifier(4, max_iter=3, random_state=0))
    spaces = [
        search_space(name, distributions=True, prefix="mlpclassifier__")
        for name in ("adamw", "momentum")
    ]
    search = RandomizedSearchCV(model, spaces, n_iter=4, cv=2, random_state=0)
    with joblib.parallel_config(backend="skopt_dl"):
        search.fit(X, y)
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.parametrize(
    ("optimizer", "error", "message"),
    [
        ("adan", ValueError, "Did you mean 'adam'"),
        (MLPClassifier, TypeError, "the name of an optimizer, its class or an object"),
        (None, TypeError, "got None"),
        (0.1, TypeError, "got 0.1"),
    ],
)
def test_what_is_no_optimizer_is_refused(optimizer, error, message):
    with pytest.raises(error, match=message):
        search_space(optimizer)
