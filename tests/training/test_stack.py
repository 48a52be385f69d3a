"""A model of a stack is trained as if it were alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import ACTIVATIONS, LOSSES, OPTIMIZERS, Problem

from skopt_dl._params import FRACTION
from skopt_dl.optimizers import SGD, Adam, AdamW, Momentum, RMSProp
from skopt_dl.training import Stopping, TrainingConfig

ALPHAS = [0.0, 0.1, 0.02, 1.0]
# The first epoch sets the best loss; no later one improves on it by this much.
NEVER_ENOUGH = 1e6
COLUMNS = ("loss", "learning_rate", "grad_norm")


def variant(cls, k, **flags):
    """An optimizer whose numeric hyperparameters are all its own, as its constraints allow."""
    params = {}
    for name, default in cls().get_params().items():
        if isinstance(default, bool):
            params[name] = flags.get(name, default)
        elif default is None:
            params[name] = flags[name] * 1.5**k if name in flags else None
        elif default == 0:
            params[name] = 0.1 * k
        else:
            allowed = cls.constraints[name]
            is_fraction = FRACTION in (allowed if isinstance(allowed, tuple) else (allowed,))
            params[name] = default * (0.9**k if is_fraction else 1.5**k)
    optimizer = cls(**params)
    optimizer.check_params()
    return optimizer


def settings_of_flags():
    """Every optimizer: its defaults, each of its flags turned, what it has by None in use."""
    for name, cls in OPTIMIZERS.items():
        yield pytest.param(cls, {}, id=name)
        for flag, default in cls().get_params().items():
            if isinstance(default, bool):
                yield pytest.param(cls, {flag: not default}, id=f"{name} {flag}={not default}")
        without = [each for each, default in cls().get_params().items() if default is None]
        if without:
            yield pytest.param(cls, dict.fromkeys(without, 0.1), id=f"{name} decays")


CLASSES = list(settings_of_flags())


def rules(n_models):
    """Model k stops after 3 + k epochs."""
    return [Stopping(tol=NEVER_ENOUGH, n_iter_no_change=1 + k) for k in range(n_models)]


def train(problem, optimizers, models=None, limits=None, **options):
    models = list(range(len(optimizers))) if models is None else models
    stopping = rules(4)
    return problem.train(
        [
            TrainingConfig(optimizer, 6, stopping[k], **(limits or {}).get(k, {}))
            for optimizer, k in zip(optimizers, models, strict=True)
        ],
        models,
        alpha=[ALPHAS[k] for k in models],
        **options,
    )


def assert_close(run, other, rtol):
    """Equal histories and parameters, these relative to the largest."""
    assert run.n_epochs == other.n_epochs
    assert run.stop_reason == other.stop_reason
    for column in COLUMNS:
        np.testing.assert_allclose(run.history[column], other.history[column], rtol=rtol)
    scale = np.abs(other.params).max()
    np.testing.assert_allclose(run.params, other.params, rtol=0, atol=rtol * scale)


def assert_identical(run, other):
    """The same bits."""
    np.testing.assert_array_equal(run.params, other.params)
    for column in COLUMNS:
        np.testing.assert_array_equal(run.history[column], other.history[column])
    for slot, array in run.state["slots"].items():
        np.testing.assert_array_equal(array, other.state["slots"][slot])


# Float64: rounding, 1e-15 a step, grown by 18 steps. Float32: the same from 6e-8 a step.
@pytest.mark.parametrize(
    ("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-4)], ids=["float64", "float32"]
)
@pytest.mark.parametrize(("cls", "flags"), CLASSES)
def test_stack_equals_one_by_one(cls, flags, dtype, rtol):
    problem = Problem(activation="ReLU", hidden=(6, 4), dtype=dtype)
    optimizers = [variant(cls, k, **flags) for k in range(4)]
    together = train(problem, optimizers, weighted=True)
    assert [run.n_epochs for run in together] == [3, 4, 5, 6]
    for k, run in enumerate(together):
        (alone,) = train(problem, [optimizers[k]], [k], weighted=True)
        assert_close(run, alone, rtol)


def test_optimizers_of_all_classes_share_a_stack():
    problem = Problem()
    optimizers = [variant(cls, k % 3) for k, cls in enumerate(OPTIMIZERS.values())]
    optimizers += [RMSProp(centered=True), RMSProp(), RMSProp(momentum=0.5)]
    together = problem.train(optimizers, alpha=0.1)
    for k, run in enumerate(together):
        (alone,) = problem.train([optimizers[k]], [k], alpha=0.1)
        assert_close(run, alone, rtol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_stack_of_any_network_equals_one_by_one(loss, activation):
    problem = Problem(loss, activation)
    together = problem.train([Momentum(0.01)] * 2, alpha=[0.0, 0.1], max_epochs=2)
    for k, run in enumerate(together):
        (alone,) = problem.train([Momentum(0.01)], [k], alpha=[0.0, 0.1][k], max_epochs=2)
        assert_close(run, alone, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("cls", "flags"), CLASSES)
def test_rows_do_not_notice_what_their_neighbours_are(cls, flags, dtype):
    problem = Problem(dtype=dtype)
    optimizers = [cls(**flags)] * 3
    expected = problem.train(optimizers, alpha=0.1)
    other_hyperparameters = [variant(cls, k, **flags) for k in (0, 3, 0)]
    for runs in (
        problem.train(other_hyperparameters, alpha=0.1),
        problem.train(optimizers, models=[0, 3, 2], alpha=0.1),
        problem.train(optimizers, alpha=[0.1, 5.0, 0.1]),
    ):
        assert_identical(runs[0], expected[0])
        assert_identical(runs[2], expected[2])
        assert (runs[1].params != expected[1].params).any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_do_not_notice_when_their_neighbours_leave(name):
    problem = Problem(hidden=(6, 4))
    optimizers = [variant(OPTIMIZERS[name], k) for k in range(4)]
    expected = problem.train(optimizers, alpha=ALPHAS, weighted=True, max_epochs=6)

    def let_go(runs):
        for run in runs:
            run.stop_requested = (run.index, run.n_epochs) in {(0, 1), (2, 3)}

    runs = problem.train(optimizers, alpha=ALPHAS, weighted=True, max_epochs=6, on_epoch_end=let_go)
    assert [run.n_epochs for run in runs] == [1, 6, 3, 6]
    assert_identical(runs[1], expected[1])
    assert_identical(runs[3], expected[3])


def test_order_of_the_models_does_not_matter():
    problem = Problem()
    optimizers = [Adam(0.1), AdamW(0.05), Adam(0.02, beta_1=0.5), SGD(0.1)]
    expected = train(problem, optimizers)
    order = [2, 0, 3, 1]
    for run, k in zip(train(problem, [optimizers[k] for k in order], order), order, strict=True):
        assert_identical(run, expected[k])


def test_optimizers_that_cannot_be_stacked_are_run_one_model_at_a_time():
    widths = []

    class Alone(SGD):
        stackable = False

        def update(self, grad, state, params, step):
            assert isinstance(float(self.learning_rate), float)
            widths.append(grad.shape[0])
            return super().update(grad, state, params, step)

    problem = Problem()
    runs = problem.train([Alone(0.1), Alone(0.2), SGD(0.3)])
    assert set(widths) == {1}
    for run, rate in zip(runs, (0.1, 0.2, 0.3), strict=True):
        (alone,) = problem.train([SGD(rate)], [run.index])
        assert_close(run, alone, rtol=1e-12)


@pytest.mark.parametrize("number", [np.float64, np.int64, float, int])
@pytest.mark.parametrize("factors", [[1], [1, 1], [1, 2]])
def test_hyperparameters_of_any_kind_keep_float32(factors, number):
    class Plain(SGD):
        def __init__(self, learning_rate=0.01, factor=1):
            self.learning_rate, self.factor = learning_rate, factor

        def update(self, grad, state, params, step):
            change = -step.learning_rate * self.factor * grad
            assert change.dtype == np.float32
            return change

    problem = Problem(dtype=np.float32)
    runs = problem.train([Plain(0.01, number(factor)) for factor in factors])
    for run, factor in zip(runs, factors, strict=True):
        (alone,) = problem.train([SGD(0.01 * factor)], [run.index])
        np.testing.assert_allclose(run.params, alone.params, rtol=1e-5)


def test_equal_hyperparameters_stay_numbers_and_different_ones_become_columns():
    seen = {}

    class Watching(Momentum):
        def update(self, grad, state, params, step):
            seen["momentum"] = np.shape(self.momentum)
            seen["rate"] = np.shape(step.learning_rate)
            return super().update(grad, state, params, step)

    problem = Problem()
    problem.train([Watching(0.1, momentum=0.5), Watching(0.2, momentum=0.5)])
    assert seen == {"momentum": (), "rate": (2, 1)}
    problem.train([Watching(0.1, momentum=0.5), Watching(0.1, momentum=0.6)])
    assert seen == {"momentum": (2, 1), "rate": ()}


shapes = given(
    n_samples=st.integers(1, 30),
    batch_size=st.integers(1, 35),
    n_features=st.integers(1, 6),
    hidden=st.lists(st.integers(1, 5), max_size=3).map(tuple),
    n_models=st.integers(1, 4),
    loss=st.sampled_from(list(LOSSES)),
    weighted=st.booleans(),
    seed=st.integers(0, 5),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@shapes
def test_stack_of_any_shape_equals_one_by_one(
    n_samples, batch_size, n_features, hidden, n_models, loss, weighted, seed
):
    problem = Problem(loss, "Softplus", hidden, n_samples, n_features, seed)
    optimizers = [Adam(0.01 * (k + 1)) for k in range(n_models)]
    options = {"batch_size": batch_size, "weighted": weighted, "alpha": 0.1, "max_epochs": 2}
    for k, run in enumerate(problem.train(optimizers, **options)):
        (alone,) = problem.train([optimizers[k]], [k], **options)
        assert_close(run, alone, rtol=1e-9)
        assert run.progress.step == 2 * -(-n_samples // min(batch_size, n_samples))
        assert run.progress.n_samples_seen == 2 * n_samples


@settings(max_examples=100, deadline=None, derandomize=True)
@shapes
def test_loss_of_an_epoch_without_steps_is_that_of_all_samples(
    n_samples, batch_size, n_features, hidden, n_models, loss, weighted, seed
):
    problem = Problem(loss, "Softplus", hidden, n_samples, n_features, seed)
    runs = problem.train([SGD(1e-300)] * n_models, batch_size=batch_size, max_epochs=1)
    for run, start in zip(runs, problem.starts(n_models), strict=True):
        assert run.history["loss"] == [pytest.approx(problem.naive_loss(start), rel=1e-12)]
        np.testing.assert_array_equal(run.params, start)


DROPOUT = [[0.5, 0.0], [0.0, 0.3], [0.0, 0.0], [0.2, 0.2]]
SMOOTHING = [0.0, 0.1, 0.2, 0.0]
LIMITS = {
    0: {"ema_decay": 0.9},
    1: {"max_grad_norm": 0.1},
    2: {"max_grad_norm": 1.0, "ema_decay": 0.5},
}


@pytest.mark.parametrize("network", [{}, {"batch_norm": True, "input_scaling": True}], ids=str)
def test_regularised_models_train_in_a_stack_as_they_would_alone(network):
    problem = Problem(hidden=(4, 3), **network)
    optimizers = [Adam(0.1), Adam(0.05), Momentum(0.1), SGD(0.3)]

    def run(models):
        return train(
            problem,
            [optimizers[k] for k in models],
            models,
            weighted=True,
            regularised={
                "dropout": [DROPOUT[k] for k in models],
                "label_smoothing": [SMOOTHING[k] for k in models],
            },
            limits=LIMITS,
        )

    together = run([0, 1, 2, 3])
    assert len({run.n_epochs for run in together}) == 4
    for k, run_in_stack in enumerate(together):
        assert_close(run_in_stack, *run([k]), rtol=1e-10)
