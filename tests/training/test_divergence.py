import itertools

import numpy as np
import pytest
from problems import OPTIMIZERS, Problem

from skopt_dl.objectives import Quadratic
from skopt_dl.optimizers import LBFGS, SGD, Adam, Momentum
from skopt_dl.schedules import StepDecay
from skopt_dl.training import Stopping, minimise

HUGE = 1e200


def assert_same_run(run, other):
    np.testing.assert_array_equal(run.params, other.params)
    for column in ("loss", "learning_rate", "grad_norm"):
        np.testing.assert_allclose(run.history[column], other.history[column], rtol=1e-14)
    assert run.stop_reason == other.stop_reason


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_models", [1, 3])
def test_too_large_a_rate_ends_with_finite_parameters(n_models, dtype):
    problem = Problem("squared_error", "ReLU", dtype=dtype)
    runs = problem.train([SGD(50.0)] * n_models, max_epochs=100)
    for run in runs:
        assert run.stop_reason == "diverged"
        assert run.n_epochs < 100
        assert np.isfinite(run.params).all()
        assert run.params.dtype == dtype


def test_parameters_go_back_to_the_last_epoch_that_began_with_a_finite_loss():
    seen = []
    problem = Problem("squared_error", "Identity")
    (run,) = problem.train(
        [SGD(5.0)],
        max_epochs=1000,
        batch_size=23,
        validate=lambda params, models: seen.append(params[0].copy()) or {},
    )
    assert run.stop_reason == "diverged"
    candidates = [problem.starts()[0], *seen]
    with np.errstate(over="ignore", invalid="ignore"):
        finite = [
            params
            for params in candidates
            if np.isfinite(params).all() and np.isfinite(problem.naive_loss(params))
        ]
    np.testing.assert_array_equal(run.params, finite[-1])


def test_divergence_in_the_first_step_gives_back_the_start():
    problem = Problem("squared_error")
    (run,) = problem.train([SGD(HUGE)])
    assert run.stop_reason == "diverged"
    assert run.n_epochs == 1
    np.testing.assert_array_equal(run.params, problem.starts()[0])


def test_epoch_that_turns_bad_midway_gives_back_its_start():
    seen = []
    problem = Problem("squared_error", "Identity")
    objective = problem.objective()
    objective.batches_per_block = lambda batch_size, n_orders: 1
    (run,) = minimise(
        objective,
        SGD(StepDecay(0.01, drop=1e80, every=1)),
        problem.starts(),
        batches=problem.batches([0]),
        validate=lambda params, models: seen.append(params[0].copy()) or {},
    )
    assert run.stop_reason == "diverged"
    assert run.n_epochs == 2
    np.testing.assert_array_equal(run.params, seen[0])


def test_finite_parameters_with_an_infinite_loss_are_not_kept():
    steep = Quadratic([1e4] * 3)
    (run,) = minimise(steep, SGD(1.0), np.ones((1, 3), dtype=np.float32), max_epochs=100)
    assert run.stop_reason == "diverged"
    with np.errstate(over="ignore"):
        loss, _ = steep.value_and_grad(run.params[None])
    assert np.isfinite(loss[0])


@pytest.mark.parametrize("batch_size", [8, 23])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_neighbours_of_a_diverging_model_do_not_notice(name, batch_size):
    problem = Problem("squared_error")
    optimizers = [OPTIMIZERS[name](learning_rate=rate) for rate in (0.01, 0.02, 0.03)]
    expected = problem.train(optimizers, alpha=0.1, weighted=True, batch_size=batch_size)
    optimizers[1] = OPTIMIZERS[name](learning_rate=HUGE)
    runs = problem.train(optimizers, alpha=0.1, weighted=True, batch_size=batch_size)
    assert runs[1].stop_reason == "diverged"
    np.testing.assert_array_equal(runs[1].params, problem.starts(2)[1])
    assert_same_run(runs[0], expected[0])
    assert_same_run(runs[2], expected[2])


def test_neighbours_with_another_optimizer_do_not_notice_either():
    problem = Problem("squared_error")
    optimizers = [Adam(0.01), Momentum(0.01), SGD(0.01)]
    expected = problem.train(optimizers)
    optimizers[1] = Momentum(HUGE)
    runs = problem.train(optimizers)
    assert_same_run(runs[0], expected[0])
    assert_same_run(runs[2], expected[2])


def test_best_epoch_is_restored_after_a_divergence():
    seen = []

    def validate(params, models):
        seen.append(params[0].copy())
        return {"validation_score": np.array([-float(len(seen))])}

    rule = Stopping(
        monitor="validation_score", larger_is_better=True, restore_best=True, n_iter_no_change=1000
    )
    (run,) = Problem("squared_error", "Identity").train(
        [SGD(5.0)], max_epochs=1000, validate=validate, stopping=rule
    )
    assert run.stop_reason == "diverged"
    np.testing.assert_array_equal(run.params, seen[0])


def test_nothing_but_the_parameters_is_left_to_go_on_from():
    problem = Problem("squared_error")
    (run,) = problem.train([Momentum(HUGE)])
    assert run.state == {}
    (resumed,) = minimise(
        problem.objective(),
        Momentum(0.01),
        run.params[None],
        batches=problem.batches([0]),
        max_epochs=3,
        resume=[run.state],
    )
    assert resumed.stop_reason == "max_iter"
    assert resumed.history["loss"][-1] < resumed.history["loss"][0]


def interrupt_at(n_epochs):
    def on_epoch_end(runs):
        if runs[0].n_epochs == n_epochs:
            raise KeyboardInterrupt

    return on_epoch_end


@pytest.mark.parametrize("optimizer", [Adam(0.05), LBFGS()], ids=repr)
def test_interrupt_between_epochs_keeps_what_was_reached(optimizer):
    problem, seen = Problem(), []
    (run,) = problem.train(
        [optimizer],
        max_epochs=10,
        on_epoch_end=interrupt_at(3),
        validate=lambda params, models: seen.append(params[0].copy()) or {},
    )
    assert run.stop_reason == "interrupted"
    assert run.n_epochs == 3
    np.testing.assert_array_equal(run.params, seen[-1])


def test_interrupted_stack_can_be_resumed():
    problem = Problem()
    expected = problem.train([Adam(0.05)] * 2, max_epochs=6)
    objective, batches = problem.objective(2), problem.batches(range(2))
    first = minimise(
        objective,
        Adam(0.05),
        problem.starts(2),
        max_epochs=6,
        batches=batches,
        on_epoch_end=interrupt_at(4),
    )
    second = minimise(
        objective,
        Adam(0.05),
        np.stack([run.params for run in first]),
        max_epochs=2,
        batches=batches,
        resume=[run.state for run in first],
    )
    for k in range(2):
        np.testing.assert_array_equal(second[k].params, expected[k].params)


def interrupt_step(objective, number):
    """Have a Ctrl-C come when a gradient is about to be computed, for the nth time."""
    prepare, count = objective.prepare, itertools.count(1)

    def interrupt():
        if next(count) == number:
            raise KeyboardInterrupt

    def prepared(params, batches):
        found = prepare(params, batches)
        return found._replace(gradients=[[interrupt, *each] for each in found.gradients])

    objective.prepare = prepared


@pytest.mark.parametrize("optimizers", [[Adam()] * 2, [Adam(), SGD()]], ids=["one", "two"])
def test_interrupt_within_an_epoch_keeps_finite_parameters_and_the_count_of_steps(optimizers):
    problem = Problem()
    objective = problem.objective(2)
    interrupt_step(objective, 5)
    runs = minimise(
        objective,
        optimizers,
        problem.starts(2),
        max_epochs=10,
        batches=problem.batches(range(2)),
    )
    for run in runs:
        assert run.stop_reason == "interrupted"
        assert run.n_epochs == 1
        assert run.progress.step == run.state["progress"]["step"] == 4
        assert np.isfinite(run.params).all()


def test_interrupt_hides_no_divergence():
    runs = Problem("squared_error").train(
        [SGD(0.01), SGD(HUGE)], max_epochs=10, on_epoch_end=interrupt_at(1)
    )
    assert [run.stop_reason for run in runs] == ["interrupted", "diverged"]
    assert all(np.isfinite(run.params).all() for run in runs)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_interrupt_amid_a_divergence_keeps_finite_parameters(alpha):
    problem = Problem("squared_error")
    objective = problem.objective(1, alpha)
    interrupt_step(objective, 3)
    (run,) = minimise(objective, SGD(HUGE), problem.starts(), batches=problem.batches([0]))
    assert run.stop_reason == "interrupted"
    np.testing.assert_array_equal(run.params, problem.starts()[0])
