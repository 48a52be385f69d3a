"""Parameters: names and objects, nested parameters, and what is said of bad ones."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skopt_dl import MLPClassifier, MLPRegressor, available_optimizers, make_optimizer
from skopt_dl.networks import FromFitted
from skopt_dl.networks.losses import Huber
from skopt_dl.optimizers import SGD, Adam
from skopt_dl.schedules import Cosine, WarmUp

# Some of these trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize("name", ["adam", "sgd", "lbfgs"])
def test_optimizer_parameter_can_be_set_on_a_name(name):
    parameter = "memory" if name == "lbfgs" else "learning_rate"
    model = MLPClassifier(optimizer=name).set_params(**{f"optimizer__{parameter}": 7})
    assert model.get_params()[f"optimizer__{parameter}"] == 7
    assert type(model.optimizer) is type(make_optimizer(name))


def test_name_and_its_parameter_can_be_set_in_one_call_in_any_order():
    for params in (
        {"optimizer": "sgd", "optimizer__learning_rate": 0.5},
        {"optimizer__learning_rate": 0.5, "optimizer": "sgd"},
    ):
        model = MLPClassifier(optimizer=Adam(beta_1=0.5)).set_params(**params)
        assert repr(model.optimizer) == "SGD(learning_rate=0.5)"


def test_parameters_of_schedules_in_optimizers_can_be_set():
    model = MLPClassifier(optimizer=SGD(WarmUp(Cosine(0.1), steps=5)))
    model.set_params(optimizer__learning_rate__schedule__initial_learning_rate=0.7)
    assert model.optimizer.learning_rate.schedule.initial_learning_rate == 0.7


def test_loss_parameter_can_be_set_on_a_name():
    model = MLPRegressor(loss="huber").set_params(loss__delta=2.5)
    assert isinstance(model.loss, Huber)
    assert model.loss.delta == 2.5


def test_setting_a_plain_parameter_leaves_a_name_a_name():
    assert MLPClassifier(optimizer="sgd").set_params(alpha=1.0).optimizer == "sgd"


def test_clone_copies_the_optimizer():
    model = MLPClassifier(optimizer=Adam(0.5))
    copy = clone(model).set_params(optimizer__learning_rate=0.1)
    assert model.optimizer.learning_rate == 0.5
    assert copy.optimizer.learning_rate == 0.1


def test_fit_does_not_change_parameters():
    model = MLPClassifier(optimizer="adam", max_iter=2, random_state=0)
    before = repr(model.get_params())
    model.fit(X, Y)
    assert repr(model.get_params()) == before
    assert isinstance(model.optimizer_, Adam)


def test_numpy_scalars_from_a_grid_keep_float32_training_float32():
    rate = np.logspace(-2, -1, 2)[0]
    model = MLPClassifier(optimizer=Adam(rate), dtype="float32", max_iter=3)
    assert model.fit(X, Y).coefs_[0].dtype == np.float32


def test_every_optimizer_is_listed_and_made_by_name():
    names = available_optimizers()
    assert set(names) >= {
        "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "amsgrad",
        "adamax", "nadam", "adamw", "lbfgs",
    }  # fmt: skip
    for name in names:
        assert make_optimizer(name).get_params() == clone(make_optimizer(name)).get_params()


BAD_PARAMETERS = [
    (
        {"optimizer": "adm"},
        "optimizer of MLPClassifier: Unknown optimizer 'adm'. Did you mean 'adam'",
    ),
    ({"optimizer": 3}, "optimizer of MLPClassifier must be a name .*; got 3"),
    ({"optimizer": Adam}, r"That is a class: pass an object, Adam\(\)"),
    ({"optimizer": Adam(-1.0)}, r"learning_rate of Adam must be a float in \(0, inf\).*got -1"),
    ({"optimizer": Adam(beta_1=1.0)}, r"beta_1 of Adam must be a float in \[0, 1\); got 1"),
    ({"optimizer": Adam(epsilon_hat="yes")}, "epsilon_hat of Adam must be True or False"),
    ({"optimizer": SGD(Cosine(-1.0))}, "initial_learning_rate of Cosine must be"),
    ({"optimizer": SGD(WarmUp(Cosine(-1.0)))}, "initial_learning_rate of Cosine must be"),
    ({"activation": "rellu"}, "activation of MLPClassifier: .*Did you mean 'relu'"),
    ({"loss": "squared_error"}, "must be one for classification"),
    ({"loss": "logloss"}, "Did you mean 'log_loss'"),
    ({"init": "glorot"}, "init of MLPClassifier: Unknown initializer 'glorot'"),
    ({"init": LogisticRegression()}, r"pass skopt_dl.networks.FromFitted\(model\)"),
    ({"hidden_layer_sizes": (5, 0)}, r"ints, all at least 1; got \(5, 0\)"),
    ({"hidden_layer_sizes": 2.5}, "hidden_layer_sizes of MLPClassifier"),
    ({"alpha": -1}, r"alpha of MLPClassifier must be a float in \[0, inf\); got -1"),
    ({"alpha": "small"}, "alpha of MLPClassifier"),
    ({"batch_size": 0}, "batch_size of MLPClassifier must be 'auto' or 'full', or an int in"),
    ({"batch_size": "ful"}, "Did you mean 'full'"),
    ({"max_iter": 0}, "max_iter of MLPClassifier must be an int in"),
    ({"max_iter": 2.5}, "max_iter of MLPClassifier must be an int in"),
    ({"shuffle": "yes"}, "shuffle of MLPClassifier must be True or False"),
    ({"tol": -1}, "tol of MLPClassifier"),
    ({"n_iter_no_change": 0}, "n_iter_no_change of MLPClassifier"),
    ({"early_stopping": 3}, "early_stopping of MLPClassifier must be True or False"),
    ({"validation_fraction": 1.0}, r"validation_fraction of MLPClassifier must be .*\(0, 1\)"),
    ({"sampling": "replace"}, "Did you mean 'replacement'"),
    ({"device": "gpu"}, "device of MLPClassifier must be .*; got 'gpu'. Did you mean 'cuda'"),
    ({"activation": "swish"}, "Did you mean 'silu'"),
    ({"dtype": "float16"}, "dtype of MLPClassifier must be"),
    ({"verbose": "yes"}, "verbose of MLPClassifier"),
]


@pytest.mark.parametrize(("params", "message"), BAD_PARAMETERS, ids=lambda p: str(p)[:40])
def test_bad_parameter_is_named_with_what_came_and_what_is_allowed(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**params).fit(X, Y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MLPClassifier().set_params(optimiser="sgd"), "Did you mean 'optimizer'"),
        (
            lambda: MLPClassifier().set_params(optimizer__learnin_rate=1),
            "Invalid parameter 'learnin_rate' for Adam. Did you mean 'learning_rate'",
        ),
        (
            lambda: MLPClassifier(optimizer=SGD()).set_params(optimizer__beta_1=1),
            "Invalid parameter 'beta_1' for SGD",
        ),
        (lambda: make_optimizer("adam", lr=1), "no parameter 'lr'. Did you mean 'learning_rate'"),
        (lambda: MLPClassifier().set_params(solver="adam"), "Did you mean 'optimizer'"),
        (lambda: make_optimizer("nadm"), "Did you mean 'nadam'"),
        (
            lambda: MLPClassifier(optimizer="nope").set_params(optimizer__learning_rate=1),
            "optimizer of MLPClassifier: Unknown optimizer 'nope'",
        ),
    ],
)
def test_misspelled_name_is_answered_with_the_nearest(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_weights_of_a_fitted_model_start_another():
    first = MLPClassifier(5, max_iter=3, random_state=0).fit(X, Y)
    second = MLPClassifier(5, init=FromFitted(first), optimizer=SGD(1e-12), max_iter=3)
    second = clone(second).fit(X, Y)
    np.testing.assert_allclose(second.coefs_[0], first.coefs_[0], atol=1e-9)
    with pytest.raises(ValueError, match=r"has weights of shapes .* this model needs"):
        MLPClassifier(6, init=FromFitted(first)).fit(X, Y)


def test_making_an_optimizer_from_a_class_says_what_to_write():
    with pytest.raises(TypeError, match=r"write Adam\(\.\.\.\)"):
        make_optimizer(Adam)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32")])
def test_precision_may_be_given_in_any_way_numpy_takes_it(dtype):
    assert MLPClassifier(dtype=dtype, max_iter=1).fit(X, Y).coefs_[0].dtype == np.float32


@pytest.mark.parametrize(
    ("change", "came"), [(None, "None"), (np.zeros(3), r"an object of shape \(3,\)")]
)
def test_update_that_returns_no_change_is_named(change, came):
    class Forgetful(SGD):
        def update(self, grad, state, params, step):
            return change

    with pytest.raises(ValueError, match=rf"Forgetful.update returned {came}; it must return"):
        MLPClassifier(optimizer=Forgetful()).fit(X, Y)


def test_constraint_on_no_parameter_is_named():
    class Misspelled(SGD):
        constraints = {"learning_rat": SGD.constraints["learning_rate"]}

    with pytest.raises(ValueError, match=r"'learning_rat', which is no parameter\. Did you mean"):
        MLPClassifier(optimizer=Misspelled()).fit(X, Y)
