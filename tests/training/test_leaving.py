"""Models that are done are computed with the others until enough are, and nobody notices."""

import numpy as np
import pytest
from made_jobs import assert_equal_bits, assert_same_outcome, made_job
from problems import Problem
from simple_objectives import Bowls

from skopt_dl.jobs import train
from skopt_dl.optimizers import SGD, Adam
from skopt_dl.schedules import Schedule
from skopt_dl.training import Recorder, Stopping, TrainingConfig, minimise

N_MODELS = 20
# Bowls so steep that the first step leads beyond what a number can be.
STEEP = 1e200


class Watched(Bowls):
    """Notes how many models are computed at each step."""

    def __init__(self, scales, n_parameters=3, widths=None):
        super().__init__(scales, n_parameters)
        self.widths = [] if widths is None else widths

    def value_and_grad(self, params, batch=None):
        self.widths.append(params.shape[0])
        return super().value_and_grad(params, batch)

    def select(self, models):
        return Watched(self.scales[list(models)], self.layout.size, self.widths)


class Ends(Schedule):
    """A schedule that is not to be asked once its steps are done."""

    def __init__(self, learning_rate=0.1):
        self.learning_rate = learning_rate

    def value(self, progress):
        assert progress.step < progress.n_steps
        return self.learning_rate * (1.0 + progress.step)


def one_after_the_other(objective, optimizer, **options):
    """Model k trains for k + 1 epochs."""
    n_models = objective.n_models
    configs = [TrainingConfig(optimizer, max_epochs=k + 1) for k in range(n_models)]
    return minimise(objective, configs, np.ones((n_models, 3)), **options)


def test_a_stack_is_compacted_when_an_eighth_of_it_is_done():
    objective, seen, validated = Watched(np.ones(16)), [], []

    def validate(params, models):
        validated.append((params.shape[0], list(models)))
        return {"validation_loss": np.array(models, dtype=float)}

    results = one_after_the_other(
        objective,
        SGD(0.1),
        validate=validate,
        on_epoch_end=lambda states: seen.append([state.index for state in states]),
    )
    assert objective.widths == [16, 16, 14, 14, 12, 12, 10, 10, *range(8, 0, -1)]
    living = [list(range(k, 16)) for k in range(16)]
    assert seen == living
    assert validated == [(len(models), models) for models in living]
    for k, result in enumerate(results):
        assert result.history["validation_loss"] == [k] * (k + 1)
        np.testing.assert_allclose(result.params, 0.9 ** (k + 1), rtol=1e-14)


@pytest.mark.parametrize("optimizer", [SGD(Ends()), Adam(Ends())], ids=["sgd", "adam"])
def test_schedules_of_models_that_are_done_are_asked_no_more(optimizer):
    together = one_after_the_other(Bowls(np.ones(16)), optimizer)
    for k in (0, 7, 15):
        (alone,) = minimise(Bowls([1.0]), optimizer, np.ones((1, 3)), max_epochs=k + 1)
        assert together[k].history["learning_rate"] == alone.history["learning_rate"]
        np.testing.assert_array_equal(together[k].params, alone.params)
        assert vars(together[k].progress) == vars(alone.progress)


def test_what_is_not_finite_leaves_at_once():
    objective = Watched([STEEP if k == 3 else 1.0 for k in range(16)])
    rates = [STEEP if k == 3 else 0.1 for k in range(16)]
    results = minimise(objective, [SGD(r) for r in rates], np.ones((16, 3)), max_epochs=4)
    assert [result.index for result in results if result.stop_reason == "diverged"] == [3]
    assert objective.widths == [16, 15, 15, 15]


def test_a_recorder_sees_nothing_of_models_that_are_done():
    class Sees(Recorder):
        models = ()

        def see(self, models, params, loss, grad):
            assert len(params) == len(loss) == len(grad) == len(models)
            self.models = [*self.models, models.tolist()]

    recorder = Sees()
    one_after_the_other(Bowls(np.ones(16)), SGD(0.1), recorder=recorder)
    assert recorder.models == [list(range(k, 16)) for k in range(16)]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"dropout": 0.3, "batch_norm": True},
        {"early_stopping": True, "ema_decay": 0.9},
        {"sampling": "replacement", "optimizer": "amsgrad"},
    ],
    ids=str,
)
def test_what_models_leave_is_what_they_leave_alone_generators_included(params):
    def jobs():
        # Neighbours with equal seeds draw equal batches, where nothing else is drawn.
        return [
            made_job(**params, max_iter=1 + 3 * k % 11, alpha=0.01 + k, random_state=k // 4)
            for k in range(N_MODELS)
        ]

    told = {}

    def note(left, staying):
        for k in (outcome.result.index for outcome in left):
            told[k] = together[k].rng.bit_generator.state

    together, alone = jobs(), jobs()
    outcomes = train(together, on_leave=note)
    for k, outcome in enumerate(outcomes):
        (other,) = train([alone[k]])
        assert_same_outcome(outcome, together[k], other, alone[k])
        assert_equal_bits(told[k], alone[k].rng.bit_generator.state)


def test_snapshots_do_not_notice_neighbours_that_are_done():
    def job(k):
        return made_job(max_iter=1 + k, alpha=0.01 + k, random_state=0)

    taken = {}

    def note(left, staying):
        taken.update({(state.index, state.n_epochs): state.snapshot() for state in staying})

    train([job(k) for k in range(N_MODELS)], on_leave=note)
    for k, epoch in ((12, 1), (12, 2), (19, 5), (19, 18)):
        continued = job(k)
        continued.snapshot = taken[k, epoch]
        (whole,), (rest,) = train([job(k)]), train([continued])
        np.testing.assert_array_equal(whole.result.params, rest.result.params)
        assert whole.result.history["loss"] == rest.result.history["loss"]


@pytest.mark.parametrize("shuffled", [False, True])
def test_an_objectives_own_generators_are_left_where_a_model_alone_leaves_them(shuffled):
    problem, n_models = Problem(), 9

    def ends(models):
        rngs = [np.random.default_rng(k) for k in models]
        batches = problem.batches([100 + k for k in models] if shuffled else (), shuffle=shuffled)
        minimise(
            problem.objective(len(models), rngs=rngs, dropout=0.3),
            # One of nine leaves: too few to go on without at once.
            [TrainingConfig(SGD(0.1), 3 if k == 0 else 6) for k in models],
            problem.starts(n_models)[models],
            batches=batches,
        )
        return [rng.bit_generator.state for rng in rngs]

    together = ends([*range(n_models)])
    assert [together[k] for k in (0, 5)] == [*ends([0]), *ends([5])]


def test_a_model_without_averages_goes_on_as_if_it_had_no_neighbours_with_some():
    problem = Problem()
    best = Stopping(0.0, 3, "loss", restore_best=True)
    plain = TrainingConfig(Adam(2.0), 12, best)

    def first(*configs, start=None, resume=None):
        models = [*range(len(configs))]
        params = problem.starts(len(models)) if start is None else start[None]
        batches = problem.batches(models)
        objective = problem.objective(len(models))
        run, *_ = minimise(objective, configs, params, batches=batches, resume=resume)
        return run

    alone, together = first(plain), first(plain, TrainingConfig(Adam(2.0), 12, best, ema_decay=0.9))
    assert alone.state.keys() == together.state.keys()
    goes_on = [first(plain, start=run.params, resume=[run.state]) for run in (alone, together)]
    assert goes_on[0].history["loss"] == goes_on[1].history["loss"]
