"""What users are told of schedules, optimizers and arrays that cannot be trained with.

A table: what is done, and the words that the answer has. Silence would be a wrong model, a hang or
the end of the process.
"""

import re
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import MLPClassifier, MLPRegressor, hookimpl, make_optimizer
from skopt_dl.optimizers import LBFGS, SGD, AdaGrad, Adam, NAdam, Optimizer
from skopt_dl.plugins import available, make, register, unregister
from skopt_dl.schedules import (
    Constant,
    Cosine,
    ExponentialDecay,
    InverseScaling,
    Progress,
    Schedule,
    WarmUp,
    rate_at,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
Y = np.arange(40) % 2
HUGE = 10**30


def model(**params):
    defaults = {"max_iter": 4, "batch_size": 10, "random_state": 0}
    return MLPClassifier(4, **{**defaults, **params})


def fit(**params):
    return model(**params).fit(X, Y)


class Later(Schedule):
    """A rate that is another from the third epoch on."""

    def __init__(self, then=-1.0):
        self.then = then

    def value(self, progress):
        return self.then if progress.epoch > 1 else 0.1


class Steady(Constant):
    """The same rate."""


class Predicts(Optimizer):
    """Predicts with something else than it trains."""

    def __init__(self, learning_rate=0.01, factor=1.0, cut=0):
        self.learning_rate, self.factor, self.cut = learning_rate, factor, cut

    def update(self, grad, state, params, step):
        return -step.learning_rate * grad

    def eval_params(self, params, state):
        return (self.factor * params)[:, : params.shape[1] - self.cut]


class Rateless(Optimizer):
    """Has no rate of its own."""

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate


def in_epoch(epoch):
    progress = Progress()
    progress.epoch = epoch
    return progress


def csr(data, indices, indptr, shape=(4, 3)):
    """An array whose indices nobody has looked at."""
    array = sparse.csr_array(shape)
    array.data, array.indices, array.indptr = (
        np.array(data, dtype=float),
        np.array(indices, dtype=np.int32),
        np.array(indptr, dtype=np.int32),
    )
    return array


def coo(row, column):
    array = sparse.coo_array(([1.0], ([0], [0])), shape=(4, 3))
    array.coords = (np.array([row]), np.array([column]))
    return array


BROKEN = {
    "column beyond the last": csr([1.0, 1.0], [0, 3_000_000], [0, 1, 2, 2, 2]),
    "negative column": csr([1.0, 1.0], [0, -4_000_000], [0, 1, 2, 2, 2]),
    "indptr that decreases": csr([1.0, 1.0], [0, 1], [0, 2, 1, 2, 2]),
    "indptr beyond the end": csr([1.0, 1.0], [0, 1], [0, 1, 2, 2, 9_000_000]),
    "columns of csc": csr([1.0, 1.0], [0, 3_000_000], [0, 1, 2, 2], (3, 4)).T,
    "coordinates": coo(9_000_000, 0),
    "negative coordinates": coo(0, -9_000_000),
}

ERRORS = {
    "misspelled schedule": (
        lambda: fit(optimizer=Adam("cosin")),
        "learning_rate of Adam must be a number, a schedule, or the name of one; got 'cosin'. "
        "Unknown schedule 'cosin'. Did you mean 'cosine'?",
    ),
    "misspelled schedule by set_params": (
        lambda: model().set_params(optimizer__learning_rate="onecycle").fit(X, Y),
        "Did you mean 'one_cycle'?",
    ),
    "name for a class without a rate": (
        lambda: fit(optimizer=Rateless("cosine")),
        "Rateless has no rate of its own to put into it: pass an object, Cosine(...)",
    ),
    "parameter of a float": (
        lambda: model().set_params(optimizer__learning_rate__steps=3),
        "learning_rate of Adam is the number 0.001, which has no parameter 'steps'. Set "
        "learning_rate to a schedule as well: one of 'adaptive', 'constant', 'cosine'",
    ),
    "parameter that the schedule lacks": (
        lambda: Adam("cosine").set_params(learning_rate__steps=3),
        "Invalid parameter 'steps' for Cosine",
    ),
    **{
        f"a rate of {value!r}": (
            lambda value=value: fit(optimizer=SGD(Later(value))),
            f"The learning rate of {Later(value)!r} is {value!r} at step 8 (epoch 2); it must be a "
            "finite number, and not negative.",
        )
        for value in (-1.0, np.nan, np.inf, "0.1", None, np.array([0.1, 0.1]))
    },
    "negative rate within a warm-up": (
        lambda: fit(optimizer=SGD(WarmUp(Later(-1.0)))),
        "The learning rate of Later() is -1.0 at step 8 (epoch 2)",
    ),
    "integers that grow beyond all floats": (
        lambda: rate_at(ExponentialDecay(0.1, rate=10**200), in_epoch(2)),
        " is inf at step 0 (epoch 2)",
    ),
    "eval_params that is not a number": (
        lambda: fit(optimizer=Predicts(factor=np.nan)),
        "eval_params of Predicts returned values that are not finite, in epoch 1, for parameters "
        "that are",
    ),
    "eval_params of another shape": (
        lambda: fit(optimizer=Predicts(cut=1)),
        "eval_params of Predicts must return an array of the shape of the parameters, (1, 21); "
        "got shape (1, 20).",
    ),
    "no classes": (
        lambda: model().partial_fit(X, Y, classes=[]),
        "classes is empty: pass all the labels that y will ever have.",
    ),
    "no classes, as an array": (
        lambda: model().partial_fit(X, Y, classes=np.array([])),
        "classes is empty",
    ),
    **{
        f"fit with {what}": (
            lambda array=array: model(batch_size=2).fit(array, [0, 1, 0, 1]),
            "X is a sparse",
        )
        for what, array in BROKEN.items()
    },
    **{
        f"predict with {what}": (lambda array=array: fit().predict(array), "indices are not valid")
        for what, array in BROKEN.items()
    },
    "validation samples with broken indices": (
        lambda: model().fit(X, Y, X_val=BROKEN["negative column"], y_val=Y[:4]),
        "X_val and y_val do not fit X and y: X is a sparse CSR array of shape (4, 3) whose indices "
        "are not valid",
    ),
    "sparse labels with broken indices": (
        lambda: model().fit(X[:4], csr([1, 1], [0, 3_000_000], [0, 1, 2, 2, 2])),
        "y is a sparse CSR array",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_says(case):
    do, words = ERRORS[case]
    with pytest.raises(ValueError, match=re.escape(words)):
        do()


UNUSED = {
    "batch_size=16": {"batch_size": 16},
    "max_grad_norm=1.0": {"max_grad_norm": 1.0},
    "ema_decay=0.9": {"ema_decay": 0.9},
    "sampling='replacement'": {"sampling": "replacement"},
}


def messages(do):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        do()
    return [str(each.message) for each in caught if each.category is not ConvergenceWarning]


@pytest.mark.parametrize("written", UNUSED)
@pytest.mark.parametrize("by", ["lbfgs", LBFGS()], ids=["name", "object"])
def test_what_a_full_batch_method_has_no_use_for_is_named_in_a_warning(by, written):
    estimator = MLPClassifier(4, optimizer=by, max_iter=5, random_state=0, **UNUSED[written])
    (message,) = messages(lambda: estimator.fit(X, Y))
    assert message.startswith(f"{written} has no effect: LBFGS has no use for it.")


@pytest.mark.parametrize("params", [{}, {"batch_size": "full"}, {"shuffle": False}])
def test_what_asks_for_nothing_is_not_warned_of(params):
    lbfgs = MLPClassifier(4, optimizer="lbfgs", max_iter=5, random_state=0, **params)
    assert not messages(lambda: lbfgs.fit(X, Y))
    assert not messages(lambda: fit(ema_decay=0.9, max_grad_norm=1.0, sampling="replacement"))


@pytest.mark.parametrize(
    ("integers", "floats"),
    [
        (SGD(InverseScaling(power=HUGE)), SGD(InverseScaling(power=1e30))),
        (NAdam(momentum_decay=HUGE), NAdam(momentum_decay=1e30)),
        (AdaGrad(initial_accumulator=1), AdaGrad(initial_accumulator=1.0)),
        (Adam(beta_1=0, epsilon=1), Adam(beta_1=0.0, epsilon=1.0)),
        (SGD(ExponentialDecay(1, rate=1)), SGD(ExponentialDecay(1.0, rate=1.0))),
    ],
    ids=repr,
)
def test_integers_count_as_the_floats_they_stand_for(integers, floats):
    pair = [fit(optimizer=optimizer) for optimizer in (integers, floats)]
    np.testing.assert_array_equal(pair[0].coefs_[0], pair[1].coefs_[0])
    assert pair[0].history_["learning_rate"] == pair[1].history_["learning_rate"]


@pytest.mark.parametrize("name", available("schedule"))
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta"])
def test_name_of_a_schedule_means_it_around_the_rate_of_the_optimizer(name, optimizer):
    cls = type(make_optimizer(optimizer))
    schedule = type(make("schedule", name)).around(cls().learning_rate)
    expected = fit(optimizer=cls(learning_rate=schedule))
    ways = [
        fit(optimizer=cls(name)),
        fit(optimizer=make_optimizer(optimizer, learning_rate=name)),
        model(optimizer=optimizer).set_params(optimizer__learning_rate=name).fit(X, Y),
    ]
    for each in ways:
        assert each.optimizer_.learning_rate == name
        assert each.history_["learning_rate"] == expected.history_["learning_rate"]
        np.testing.assert_array_equal(each.coefs_[0], expected.coefs_[0])


def test_parameter_of_a_named_schedule_makes_it_an_object():
    one = model().set_params(
        optimizer__learning_rate="cosine", optimizer__learning_rate__final_learning_rate=1e-5
    )
    other = model(optimizer=Adam("cosine"))
    other.set_params(optimizer__learning_rate__final_learning_rate=1e-5)
    for each in (one, other):
        assert repr(each.optimizer.learning_rate) == repr(Cosine(0.001, 1e-5))
    assert repr(Adam("cosine")) == "Adam(learning_rate='cosine')"


def test_schedule_of_a_plugin_works_by_name():
    class Plugin:
        @staticmethod
        @hookimpl
        def skopt_dl_schedules():
            return {"steady": Steady}

    register(Plugin, "of-this-test")
    try:
        fitted = model(max_iter=2, optimizer=Adam("steady")).fit(X, Y)
        assert fitted.history_["learning_rate"] == [0.001, 0.001]
    finally:
        unregister("of-this-test")


def test_sparse_arrays_that_are_whole_pass_in_every_format():
    dense = np.where(X > 0.5, X, 0.0)
    expected = MLPRegressor(4, max_iter=2, random_state=0).fit(dense, Y).predict(dense)
    for form in ("csr", "csc", "coo", "lil", "bsr", "dok"):
        given = sparse.coo_array(dense).asformat(form)
        fitted = MLPRegressor(4, max_iter=2, random_state=0).fit(given, Y)
        np.testing.assert_allclose(fitted.predict(given), expected, rtol=1e-9)
