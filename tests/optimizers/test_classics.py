import numpy as np
import pytest
from problems import OPTIMIZERS, Problem
from sklearn.base import clone

from skopt_dl.objectives import GivenGradients, Quadratic
from skopt_dl.optimizers import (
    SGD,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    Momentum,
    NAdam,
    Optimizer,
    RMSProp,
    TwoSlotOptimizer,
)
from skopt_dl.training import minimise


def slopes(scales):
    """A gradient that is always the same, ``scale`` in each coordinate of a model."""
    return GivenGradients(np.broadcast_to(np.array(scales)[:, None], (500, len(scales), 2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_constant_gradient_is_followed_downhill(name, dtype):
    starts = np.zeros((3, 2), dtype=dtype)
    runs = minimise(slopes([0.1, 1e-6, 1e6]), OPTIMIZERS[name](), starts, max_epochs=500)
    for run in runs:
        assert run.stop_reason == "max_iter"
        assert (run.params < 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("flag", [False, True])
def test_gradient_without_variance_leaves_the_centered_form_finite(flag, dtype):
    optimizer = RMSProp(centered=True, epsilon_inside_sqrt=flag)
    starts = np.zeros((8, 2), dtype=dtype)
    runs = minimise(slopes(np.geomspace(0.1, 10, 8)), optimizer, starts, max_epochs=500)
    assert {run.stop_reason for run in runs} == {"max_iter"}


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"AdamW"}))
def test_without_a_gradient_nothing_moves(name):
    start = np.array([[1.0, -2.0]])
    (run,) = minimise(Quadratic([0.0, 0.0]), OPTIMIZERS[name](), start.copy(), max_epochs=5)
    np.testing.assert_array_equal(run.params, start[0])


def test_decoupled_decay_shrinks_weights_without_a_gradient():
    optimizer = AdamW(0.1, weight_decay=0.5)
    (run,) = minimise(Quadratic([0.0] * 3), optimizer, np.ones((1, 3)), max_epochs=4)
    np.testing.assert_allclose(run.params, 0.95**4, rtol=1e-14)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_reduce_the_loss_of_a_network(name):
    problem = Problem(n_samples=60)
    (run,) = problem.train([OPTIMIZERS[name]()], max_epochs=60)
    assert run.history["loss"][-1] < run.history["loss"][0]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_is_configuration_that_clones_and_prints(name):
    optimizer = OPTIMIZERS[name](learning_rate=0.5)
    copy = clone(optimizer)
    assert copy is not optimizer
    assert copy.get_params() == optimizer.get_params()
    assert repr(optimizer) == f"{name}(learning_rate=0.5)"
    problem = Problem()
    before = dict(vars(optimizer))
    problem.train([optimizer])
    assert vars(optimizer) == before


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_satisfy_the_constraints_and_all_parameters_have_one(name):
    optimizer = OPTIMIZERS[name]()
    optimizer.check_params()
    assert set(optimizer.constraints) == set(optimizer.get_params())


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (SGD(0.0), r"learning_rate of SGD must be a float in \(0, inf\), or a schedule.*got 0.0"),
        (SGD("fast"), "learning_rate of SGD must be .*; got 'fast'"),
        (SGD(True), "learning_rate of SGD must be"),
        (
            Momentum(momentum=1.0),
            r"momentum of Momentum must be a float in \[0, 1\), or a .*; got 1.0",
        ),
        (Adam(beta_2=-0.1), "beta_2 of Adam"),
        (Adam(epsilon=-1e-8), r"epsilon of Adam must be a float in \[0, inf\)"),
        (Adam(epsilon_hat=1), "epsilon_hat of Adam must be True or False; got 1"),
        (NAdam(momentum_decay=-1), "momentum_decay of NAdam"),
        (AdaMax(beta_1=np.nan), "beta_1 of AdaMax must be .*; got nan"),
        (RMSProp(rho=1.5), "rho of RMSProp"),
        (AdaGrad(initial_accumulator=None), "initial_accumulator of AdaGrad .*; got None"),
    ],
    ids=repr,
)
def test_bad_hyperparameter_is_named_with_what_is_allowed(optimizer, message):
    with pytest.raises(ValueError, match=message):
        optimizer.check_params()


def test_misspelled_hyperparameter_gets_a_suggestion():
    with pytest.raises(
        ValueError, match=r"Invalid parameter 'beta1' for Adam\. Did you mean 'beta_1'"
    ):
        Adam().set_params(beta1=0.5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_classics_name_their_direction_and_their_scale(name):
    optimizer = OPTIMIZERS[name]()
    assert isinstance(optimizer, TwoSlotOptimizer)
    parts = optimizer.direction.slots + optimizer.scale.slots
    assert set(parts) <= set(optimizer.slots)
    assert len(set(optimizer.slots)) == len(optimizer.slots)


def test_optimizer_without_an_update_says_so():
    class Idle(Optimizer):
        def __init__(self, learning_rate=0.1):
            self.learning_rate = learning_rate

    with pytest.raises(NotImplementedError, match="Idle does not implement update"):
        minimise(Quadratic([0.0] * 3), Idle(), np.ones((1, 3)))
