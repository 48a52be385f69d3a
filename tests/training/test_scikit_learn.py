"""The same weights, batches and optimizer as scikit-learn's MLP lead to the same training."""

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import LabelBinarizer, scale

from skopt_dl.backends import get_backend
from skopt_dl.layers import activations
from skopt_dl.networks import (
    DenseNetwork,
    DensePool,
    NetworkObjective,
    TargetPool,
    losses,
)
from skopt_dl.optimizers import SGD, Adam, Momentum, Nesterov
from skopt_dl.schedules import InverseScaling, ReduceOnPlateau
from skopt_dl.training import Batches, Stopping, minimise

ACTIVATIONS = {
    "identity": activations.Identity(),
    "logistic": activations.Logistic(),
    "tanh": activations.Tanh(),
    "relu": activations.ReLU(),
}
RATE = 0.05
SGD_SOLVER = {"solver": "sgd", "learning_rate_init": RATE}
SOLVERS = {
    "sgd": (SGD(RATE), SGD_SOLVER | {"momentum": 0.0}),
    "momentum": (
        Momentum(RATE, momentum=0.8),
        SGD_SOLVER | {"momentum": 0.8, "nesterovs_momentum": False},
    ),
    "nesterov": (Nesterov(RATE), SGD_SOLVER | {"momentum": 0.9}),
    "adam": (
        Adam(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-6, epsilon_hat=True),
        {
            "solver": "adam",
            "learning_rate_init": 0.01,
            "beta_1": 0.8,
            "beta_2": 0.99,
            "epsilon": 1e-6,
        },
    ),
}


def remembering(estimator):
    """A subclass that keeps the weights it started from."""

    class Remembering(estimator):
        def _init_coef(self, *arguments):
            weights, bias = super()._init_coef(*arguments)
            vars(self).setdefault("initial_", []).append((weights.copy(), bias.copy()))
            return weights, bias

    return Remembering


def flatten(weights, biases):
    return np.concatenate([np.ravel(array) for array in (*weights, *biases)])


def fitted_row(model):
    return flatten(model.coefs_, model.intercepts_)


def classification(n_classes):
    X, y = make_classification(
        103, n_features=6, n_informative=5, n_redundant=0, n_classes=n_classes, random_state=0
    )
    Y = LabelBinarizer().fit_transform(y)
    return X, y, Y, losses.LogLoss().for_targets("binary" if n_classes == 2 else "multiclass")


def regression(n_targets):
    X, y = make_regression(103, n_features=6, n_targets=n_targets, noise=5.0, random_state=0)
    y = scale(y)
    return X, y, y.reshape(len(X), -1), losses.SquaredError()


def counts():
    X, y, _, _ = regression(1)
    y = np.round(np.exp(y))
    return X, y, y[:, None], losses.Poisson()


TASKS = {
    "binary": (MLPClassifier, lambda: classification(2)),
    "multiclass": (MLPClassifier, lambda: classification(3)),
    "regression": (MLPRegressor, lambda: regression(1)),
    "two targets": (MLPRegressor, lambda: regression(2)),
    "poisson": (MLPRegressor, counts),
}


def train_both(
    task,
    optimizer,
    options,
    *,
    activation="tanh",
    weighted=False,
    max_iter=12,
    tol=1e-4,
    n_iter_no_change=100,
    alpha=0.1,
):
    """Train scikit-learn's model and ours; returns both."""
    estimator, make = TASKS[task]
    X, y, Y, loss = make()
    hidden, batch_size = (7, 4), 20
    weight = np.random.default_rng(0).uniform(0.1, 3.0, len(X)) if weighted else None
    if isinstance(loss, losses.Poisson):
        options = options | {"loss": "poisson"}
    model = remembering(estimator)(
        hidden_layer_sizes=hidden,
        activation=activation,
        alpha=alpha,
        batch_size=batch_size,
        max_iter=max_iter,
        tol=tol,
        n_iter_no_change=n_iter_no_change,
        shuffle=False,
        random_state=0,
        **options,
    )
    model.fit(X, y, sample_weight=weight)
    b = get_backend("cpu")
    network = DenseNetwork(
        [X.shape[1], *hidden, Y.shape[1]], [ACTIVATIONS[activation]] * len(hidden), loss
    )
    objective = NetworkObjective(
        b,
        network,
        DensePool(b, X),
        TargetPool(b, Y.astype(float)),
        alpha=alpha,
        sample_weight=TargetPool(b, weight[:, None]) if weighted else None,
    )
    (run,) = minimise(
        objective,
        optimizer,
        flatten(*zip(*model.initial_, strict=True))[None],
        max_epochs=max_iter,
        batches=Batches(len(X), batch_size, shuffle=False),
        stopping=Stopping(tol=tol, n_iter_no_change=n_iter_no_change),
    )
    return model, run


def assert_same(model, run, tolerance=1e-10):
    assert run.n_epochs == model.n_iter_
    np.testing.assert_allclose(run.history["loss"], model.loss_curve_, rtol=tolerance)
    np.testing.assert_allclose(run.params, fitted_row(model), rtol=tolerance, atol=tolerance)
    assert run.best == pytest.approx(model.best_loss_, rel=tolerance)


pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "poisson"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_loss_curve_and_weights_equal_scikit_learns(solver, task, weighted):
    assert_same(*train_both(task, *SOLVERS[solver], weighted=weighted))


@pytest.mark.parametrize("solver", SOLVERS)
def test_several_targets_train_alike_though_scikit_learn_reports_their_mean_loss(solver):
    model, run = train_both("two targets", *SOLVERS[solver], alpha=0.0)
    loss = np.array(run.history["loss"]) / 2
    np.testing.assert_allclose(loss, model.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(run.params, fitted_row(model), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_of_scikit_learn_trains_alike(activation):
    assert_same(*train_both("multiclass", *SOLVERS["adam"], activation=activation))


@pytest.mark.parametrize(
    ("solver", "tol", "n_iter_no_change"),
    [("momentum", 1e-2, 3), ("adam", 5e-3, 1), ("adam", 1e-2, 10), ("nesterov", 1e-3, 5)],
)
def test_training_stops_in_the_same_epoch(solver, tol, n_iter_no_change):
    model, run = train_both(
        "multiclass",
        *SOLVERS[solver],
        max_iter=500,
        tol=tol,
        n_iter_no_change=n_iter_no_change,
    )
    assert n_iter_no_change < model.n_iter_ < 500
    assert run.stop_reason == "no_improvement"
    assert_same(model, run, tolerance=1e-8)


def test_adaptive_rate_is_reduced_in_the_same_epochs():
    options = SGD_SOLVER | {"momentum": 0.0, "learning_rate": "adaptive"}
    optimizer = SGD(ReduceOnPlateau(RATE))
    model, run = train_both(
        "regression", optimizer, options, max_iter=500, tol=1e-2, n_iter_no_change=2
    )
    assert model.n_iter_ < 500
    assert run.stop_reason == "no_improvement"
    assert run.history["learning_rate"][-1] == pytest.approx(RATE * 0.2**7)
    assert_same(model, run)


def test_inverse_scaling_trains_alike():
    options = SGD_SOLVER | {"momentum": 0.0, "learning_rate": "invscaling", "power_t": 0.3}
    assert_same(*train_both("binary", SGD(InverseScaling(RATE, power=0.3)), options))
