"""A training that goes on from a snapshot ends as if it had never been interrupted."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_jobs import X, assert_equal_bits, assert_same_outcome, made_job
from problems import OPTIMIZERS
from sklearn.base import clone
from sklearn.datasets import make_regression

from skopt_dl import MLPRegressor
from skopt_dl.jobs import plain, train
from skopt_dl.optimizers import SGD, Adam, Momentum
from skopt_dl.schedules import Cosine, OneCycle, ReduceOnPlateau, WarmUp
from skopt_dl.training import Snapshot

EARLY = {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 2}
FEATURES = {
    "nothing": {},
    "dropout": {"dropout": 0.3},
    "batch normalisation": {"batch_norm": True},
    "averaged weights": {"ema_decay": 0.9},
    "early stopping": EARLY,
    "early stopping by loss": {**EARLY, "scoring": "loss"},
    "sampling with replacement": {"sampling": "replacement"},
    "no shuffling": {"shuffle": False},
    "dropout without shuffling": {"shuffle": False, "dropout": 0.3},
    "full batches": {"batch_size": "full"},
    "float32": {"dtype": "float32"},
    "clipped gradients": {"max_grad_norm": 0.1},
    "input scaling": {"input_scaling": True},
    "label smoothing": {"label_smoothing": 0.1},
    "plateaus": {"optimizer": Momentum(ReduceOnPlateau(0.1)), "n_iter_no_change": 1, "tol": 10.0},
    "rates per step": {"optimizer": Adam(OneCycle(0.1))},
    "warm-up": {"optimizer": Adam(WarmUp(Cosine(0.1), steps=9))},
    "everything": {
        **EARLY,
        "dropout": 0.2,
        "batch_norm": True,
        "ema_decay": 0.8,
        "dtype": "float32",
        "sampling": "replacement",
        "max_grad_norm": 1.0,
        "optimizer": "nadam",
    },
    **{name: {"optimizer": cls()} for name, cls in OPTIMIZERS.items()},
}
# What the models of the stack differ in: the second has the first one's generator.
VARIANTS = [{}, {"alpha": 0.1}, {"random_state": 1}]


def job_of(feature, model):
    params = {**FEATURES[feature], **VARIANTS[model]}
    return made_job(**{name: clone(value, safe=False) for name, value in params.items()})


@cache
def uninterrupted(feature):
    """Jobs, outcomes and the snapshots after every epoch, as bytes."""
    jobs = [job_of(feature, model) for model in range(len(VARIANTS))]
    snapshots = {}

    def collect(left, staying):
        for run in staying:
            snapshots[run.index, run.n_epochs] = plain.dumps(vars(run.snapshot()))

    return jobs, train(jobs, on_leave=collect), snapshots


def continued(job, content, neighbours=()):
    job.snapshot = Snapshot(**plain.loads(content))
    return train([*neighbours, job])[-1]


@pytest.mark.parametrize("feature", FEATURES)
def test_training_goes_on_exactly_from_any_epoch_in_any_stack(feature):
    jobs, outcomes, snapshots = uninterrupted(feature)
    assert {model for model, _ in snapshots} == set(range(len(VARIANTS)))
    for (model, epoch), content in snapshots.items():
        neighbours = [
            [],
            [made_job(**{**FEATURES[feature], "alpha": 1.0, "random_state": 5})],
            [job_of(feature, model), job_of(feature, 1)],
        ][epoch % 3]
        job = job_of(feature, model)
        outcome = continued(job, content, neighbours)
        assert_same_outcome(outcomes[model], jobs[model], outcome, job)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_whole_stack_goes_on_from_snapshots_of_different_epochs(data):
    feature = data.draw(st.sampled_from(sorted(FEATURES)))
    jobs, outcomes, snapshots = uninterrupted(feature)
    models = data.draw(st.permutations(range(len(VARIANTS))))
    again = []
    for model in models:
        again.append(job_of(feature, model))
        epochs = [0, *(epoch for k, epoch in snapshots if k == model)]
        epoch = data.draw(st.sampled_from(epochs))
        if epoch:
            again[-1].snapshot = Snapshot(**plain.loads(snapshots[model, epoch]))
    for model, job, outcome in zip(models, again, train(again), strict=True):
        assert_same_outcome(outcomes[model], jobs[model], outcome, job)


@pytest.mark.parametrize("batch_size", [16, "full"])
def test_a_divergence_after_the_snapshot_takes_the_same_weights_back(batch_size):
    x, y = make_regression(60, 5, random_state=0)

    def make():
        params = {"activation": "identity", "optimizer": SGD(0.05), "random_state": 0}
        return made_job(MLPRegressor(6, batch_size=batch_size, **params), x, y)

    snapshots = {}
    job = make()
    (outcome,) = train(
        [job],
        on_leave=lambda left, staying: snapshots.update(
            (run.n_epochs, plain.dumps(vars(run.snapshot()))) for run in staying
        ),
    )
    assert outcome.result.stop_reason == "diverged"
    assert snapshots
    for content in snapshots.values():
        again = make()
        assert_same_outcome(outcome, job, continued(again, content), again)


def test_seconds_go_on_from_those_of_the_snapshot():
    _, _, snapshots = uninterrupted("nothing")
    before = plain.loads(snapshots[0, 3])
    before["history"]["seconds"] = [100.0, 200.0, 300.0]
    seconds = continued(job_of("nothing", 0), plain.dumps(before)).result.history["seconds"]
    assert seconds[:3] == [100.0, 200.0, 300.0]
    assert 300.0 < seconds[3] < seconds[6] < 400.0


def test_a_snapshot_is_not_changed_by_the_training_that_goes_on():
    job, taken = job_of("everything", 0), []

    def collect(left, staying):
        taken.extend((run.snapshot(), plain.dumps(vars(run.snapshot()))) for run in staying)

    train([job], on_leave=collect)
    assert len(taken) > 1
    for snapshot, content in taken:
        assert_equal_bits(vars(snapshot), plain.loads(content))


def test_models_are_told_of_as_soon_as_they_leave_with_their_generators():
    jobs = [made_job(max_iter=n, alpha=0.1 * n) for n in (2, 4, 3)]
    expected = {}
    for k, n in enumerate((2, 4, 3)):
        alone = made_job(max_iter=n, alpha=0.1 * n)
        train([alone])
        expected[k] = alone.rng.bit_generator.state
    seen = []

    def note(left, staying):
        for outcome in left:
            assert outcome.result.params is not None
            assert (
                jobs[outcome.result.index].rng.bit_generator.state == expected[outcome.result.index]
            )
        seen.append(([each.result.index for each in left], [run.index for run in staying]))

    train(jobs, on_leave=note)
    assert seen == [([], [0, 1, 2]), ([0], [1, 2]), ([2], [1]), ([1], [])]


def test_minimizers_are_told_of_and_have_no_snapshot():
    jobs = [made_job(optimizer="lbfgs", batch_size="auto", alpha=alpha) for alpha in (0.1, 0.2)]
    seen = []
    train(jobs, on_leave=lambda left, staying: seen.append((len(left), len(staying))))
    assert seen == [(1, 0), (1, 0)]


def test_nobody_is_told_after_an_interrupt():
    told, epochs = [], iter([False, False, True])
    outcomes = train(
        [made_job()], lambda: next(epochs), lambda left, staying: told.append(len(left))
    )
    assert outcomes[0].result.stop_reason == "interrupted"
    assert told == [0, 0]


def test_snapshots_of_a_sparse_training_go_on_exactly():
    from scipy import sparse

    def make():
        return made_job(x=sparse.csr_array(np.where(np.abs(X) > 1, X, 0.0)))

    job, snapshots = make(), []
    (outcome,) = train(
        [job],
        on_leave=lambda left, staying: snapshots.extend(
            plain.dumps(vars(run.snapshot())) for run in staying
        ),
    )
    again = make()
    assert_same_outcome(outcome, job, continued(again, snapshots[2]), again)
