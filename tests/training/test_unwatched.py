"""Epochs that nobody looks between are run at once, and come to what they come to one by one."""

import itertools
import math

import numpy as np
import pytest
from problems import Problem

from skopt_dl.networks import NetworkObjective
from skopt_dl.optimizers import LBFGS, SGD, Adam, Momentum, Optimizer
from skopt_dl.programs import Engine, installed_engines, using_engine
from skopt_dl.schedules import StepDecay
from skopt_dl.training import Stopping, TrainingConfig, minimise, stack, steps


class Shaken(Optimizer):
    """Draws at each step."""

    needs = ("noise",)

    def __init__(self, learning_rate=0.01):
        self.learning_rate = learning_rate

    def update(self, grad, state, params, step):
        return step.learning_rate * (step.noise - grad)


@pytest.fixture
def at_once(monkeypatch):
    """How many epochs were run at once each time; with all the patience there is."""
    numbers, run = [], steps.Steps.run
    monkeypatch.setattr(stack, "PATIENCE", math.inf)

    def noted(self, n_epochs, *calls):
        numbers.append(n_epochs)
        run(self, n_epochs, *calls)

    monkeypatch.setattr(steps.Steps, "run", noted)
    return numbers


def assert_same(runs, others):
    for run, other in zip(runs, others, strict=True):
        assert run.stop_reason == other.stop_reason
        assert vars(run.progress) == vars(other.progress)
        assert run.history.keys() == other.history.keys()
        for column in run.history.keys() - {"seconds"}:
            np.testing.assert_array_equal(run.history[column], other.history[column])
        np.testing.assert_array_equal(run.params, other.params)
        assert run.state.keys() == other.state.keys()
        for slot, array in run.state.get("slots", {}).items():
            np.testing.assert_array_equal(array, other.state["slots"][slot])


def config(optimizer, max_epochs=40, stopping=None, **options):
    return TrainingConfig(optimizer, max_epochs, stopping, **options)


PATIENT = Stopping(tol=0.02, n_iter_no_change=3)
BEST = Stopping(tol=0.0, n_iter_no_change=6, restore_best=True)
STACKS = {
    "one": [config(Adam(0.01))],
    "two that stop at different epochs": [config(Adam(), 21), config(Adam(0.1), stopping=PATIENT)],
    "two classes": [config(Momentum(0.1)), config(Adam(0.01))],
    "one that draws": [config(Shaken(0.01)), config(Shaken(0.02))],
    "averages and clipping": [config(SGD(0.1), ema_decay=0.9, max_grad_norm=0.5)] * 2,
    "best epochs": [config(Adam(0.5), stopping=BEST), config(SGD(0.1), 33)],
    "one that diverges later": [config(SGD(0.05)), config(SGD(3.0)), config(SGD(0.01))],
}


@pytest.mark.parametrize("network", [{}, {"batch_norm": True}, {"dropout": 0.3}], ids=str)
@pytest.mark.parametrize("batch_size", [8, 30])
@pytest.mark.parametrize("name", STACKS)
def test_epochs_at_once_come_to_what_they_come_to_one_by_one(name, batch_size, network, at_once):
    configs, dropout = STACKS[name], network.get("dropout")
    forms = ("squared_error", "ReLU") if "diverges" in name else ()

    def train(**watching):
        problem = Problem(*forms, batch_norm="batch_norm" in network)
        regularised = {"dropout": dropout} if dropout else None
        return problem.train(
            configs, batch_size=batch_size, regularised=regularised, weighted=True, **watching
        )

    together = train()
    assert max(at_once) > 3
    at_once.clear()
    one_by_one = train(on_epoch_end=lambda states: None)
    assert set(at_once) == {1}
    assert_same(together, one_by_one)
    if "diverges" in name and not network:
        assert one_by_one[1].stop_reason == "diverged"
        assert one_by_one[1].n_epochs > 2


@pytest.mark.parametrize("many", [1, 16])
@pytest.mark.parametrize("batches_at_once", [1, 2, 100])
def test_epochs_of_several_blocks_are_run_at_once(batches_at_once, many, at_once, monkeypatch):
    monkeypatch.setattr(steps, "MANY", many)
    monkeypatch.setattr(NetworkObjective, "batches_per_block", lambda *_: batches_at_once)
    together = Problem().train([config(Adam(0.01))])
    assert max(at_once) > 3
    assert_same(together, Problem().train([config(Adam(0.01))], on_epoch_end=lambda states: None))


def test_each_epoch_is_validated_with_where_it_has_ended(at_once):
    def train(**watching):
        seen = []

        def validate(params, models):
            seen.append((params.copy(), list(models)))
            return {"validation_score": -np.abs(params).sum(axis=1)}

        rule = Stopping(0.0, 5, "validation_score", larger_is_better=True, restore_best=True)
        configs = [config(Adam(0.03), 30, rule), config(SGD(0.1), 12), config(Adam(0.01), 25, rule)]
        return Problem().train(configs, validate=validate, **watching), seen

    together, seen = train()
    assert max(at_once) > 3
    one_by_one, seen_one_by_one = train(on_epoch_end=lambda states: None)
    assert_same(together, one_by_one)
    for (params, models), (others, of_others) in zip(seen, seen_one_by_one, strict=True):
        assert models == of_others
        np.testing.assert_array_equal(params, others)


def test_epochs_are_prepared_once_where_the_best_is_kept_from_the_first_on(at_once, monkeypatch):
    prepared, sequence = [], Engine.sequence

    def noted(self, calls, *numbers):
        prepared.append(len(calls))
        return sequence(self, calls, *numbers)

    monkeypatch.setattr(Engine, "sequence", noted)
    with using_engine("numpy"):
        Problem().train([config(SGD(0.01), stopping=BEST)])
    assert max(at_once) > 3
    assert len(prepared) == 1


@pytest.mark.parametrize("epoch", [1, 2, 7, 12])
def test_a_model_that_is_to_stop_stops_after_that_epoch(epoch, at_once):
    def train(**watching):
        counts = itertools.count(1)
        stopped = set()

        def validate(params, models):
            if next(counts) == epoch:
                stopped.add(1)
            return {"validation_score": np.zeros(len(models))}

        return Problem().train(
            [config(Adam(), 20)] * 3, validate=validate, stops=stopped.__contains__, **watching
        )

    together = train()
    assert max(at_once) > 3
    assert [run.n_epochs for run in together] == [20, epoch, 20]
    assert together[1].stop_reason == "requested"
    assert_same(together, train(on_epoch_end=lambda states: None))


@pytest.mark.parametrize(
    "optimizer", [SGD(StepDecay(0.1, 0.5, 5)), Momentum(0.1, momentum=StepDecay(0.9))]
)
def test_what_changes_between_epochs_is_asked_for_between_them(optimizer, at_once):
    Problem().train([config(optimizer, 12)])
    assert set(at_once) == {1}


class Interrupting(np.random.Generator):
    """Raises where it is to draw a certain order."""

    def __init__(self, number):
        super().__init__(np.random.PCG64(3))
        self._left = number

    def shuffle(self, x):
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return super().shuffle(x)


def train_until_interrupted(number, max_epochs=40, optimizer=None, **problem):
    problem = Problem(**problem)
    batches = problem.batches([0])
    batches.rngs = [Interrupting(number)]
    (run,) = minimise(
        problem.objective(),
        config(optimizer or Adam(), max_epochs),
        problem.starts(),
        batches=batches,
    )
    return run


def test_an_interrupt_leaves_the_history_of_the_epochs_that_were_over(at_once):
    with using_engine("numpy"):
        run = train_until_interrupted(9)
        assert run.stop_reason == "interrupted"
        assert run.n_epochs == len(run.history["loss"]) == 9
        assert max(at_once) > 9
        other = train_until_interrupted(100, max_epochs=9)
    assert run.history["loss"] == other.history["loss"]
    np.testing.assert_array_equal(run.params, other.params)


@pytest.mark.parametrize("number", range(1, 12))
def test_an_interrupt_after_a_divergence_leaves_what_was_before(number, at_once):
    forms = {"loss": "squared_error", "activation": "ReLU", "optimizer": SGD(2.0)}
    with using_engine("numpy"):
        run = train_until_interrupted(number, **forms)
    assert run.stop_reason == "interrupted"
    assert np.isfinite(run.params).all()
    assert np.isfinite(run.history["loss"]).all()


@pytest.mark.parametrize("restore_best", [False, True])
@pytest.mark.parametrize("engine", installed_engines())
def test_an_interrupt_while_validating_leaves_the_epochs_that_were_validated(
    engine, restore_best, at_once
):
    rule = Stopping(0.0, 100, "validation_score", True, restore_best)

    def train(n_scores, max_epochs):
        scores = iter(range(n_scores))

        def validate(params, models):
            score = next(scores, None)
            if score is None:
                raise KeyboardInterrupt
            return {"validation_score": np.array([float(score)])}

        (run,) = Problem().train([config(Adam(), max_epochs, rule)], validate=validate)
        return run

    with using_engine(engine):
        run, other = train(10, 60), train(100, 10)
    assert max(at_once) > 10
    assert (run.stop_reason, run.n_epochs) == ("interrupted", 10)
    assert run.n_steps == other.n_steps
    assert run.history["loss"] == other.history["loss"]
    np.testing.assert_array_equal(run.params, other.params)


def test_somebody_who_asks_to_interrupt_is_asked_between_runs(at_once):
    answers = iter([False, False, True])
    (run,) = Problem().train([config(Adam())], interrupted=lambda: next(answers))
    assert run.stop_reason == "interrupted"
    assert run.n_epochs == sum(at_once)


def test_minimizers_are_interrupted_and_stopped_too():
    answers = iter([False, False, True])
    (run,) = Problem().train([config(LBFGS())], interrupted=lambda: next(answers))
    assert (run.stop_reason, run.n_epochs) == ("interrupted", 2)
    (run,) = Problem().train([config(LBFGS())], stops=lambda model: model == 0)
    assert (run.stop_reason, run.n_epochs) == ("requested", 1)


def test_a_training_that_was_out_of_patience_goes_on_by_an_epoch():
    configs = [config(Adam(), stopping=Stopping(tol=100.0, n_iter_no_change=2))]
    (run,) = Problem().train(configs)
    (more,) = Problem().train(configs, resume=[run.state])
    assert run.stop_reason == more.stop_reason == "no_improvement"
    assert (run.n_epochs, more.n_epochs) == (4, 1)
