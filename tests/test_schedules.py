import json
from pathlib import Path

import numpy as np
import pytest
from problems import Problem, subclasses_in
from simple_objectives import BOWL, FLAT, Bowls, Recorder
from sklearn.base import clone

from skopt_dl import schedules
from skopt_dl.optimizers import SGD
from skopt_dl.schedules import (
    Constant,
    Cosine,
    CosLog4,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    Progress,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    WarmUp,
)
from skopt_dl.training import Stopping, minimise

REFERENCES = json.loads((Path(__file__).parent / "references" / "schedules.json").read_text())
SCHEDULES = subclasses_in(schedules, Schedule)


def build(name, params):
    params = dict(params)
    if name == "WarmUp":
        inner = params["schedule"]
        params["schedule"] = build(inner["schedule"], inner["params"])
    if name == "CosLog4":
        params["max_learning_rate"] = params.pop("initial_learning_rate")
    return SCHEDULES[name](**params)


def case_id(entry):
    return f"{entry['schedule']} over {entry['epochs']} epochs"


@pytest.mark.parametrize("entry", REFERENCES, ids=case_id)
def test_values_equal_the_reference(entry):
    params = dict(entry["params"])
    n_samples = params.pop("n_samples", 1)
    schedule = build(entry["schedule"], params)
    progress = Progress(entry["epochs"], entry["epochs"] * entry["steps_per_epoch"])
    values = []
    for epoch in range(entry["epochs"]):
        progress.epoch, progress.n_samples_seen = epoch, epoch * n_samples
        for _ in range(entry["steps_per_epoch"]):
            values.append(schedule.value(progress))
            progress.step += 1
    scale = max(entry["values"])
    np.testing.assert_allclose(values, entry["values"], rtol=0, atol=1e-12 * scale)


def test_every_schedule_that_runs_by_itself_has_a_reference():
    with_reference = {entry["schedule"] for entry in REFERENCES}
    assert set(SCHEDULES) - with_reference == {"Constant", "ReduceOnPlateau"}


def test_plain_number_is_a_constant_rate():
    schedule = schedules.as_schedule(np.float32(0.5))
    assert isinstance(schedule, Constant)
    assert schedule.value(Progress()) == 0.5


@pytest.mark.parametrize("name", SCHEDULES)
def test_steps_beyond_the_run_have_its_last_rate(name):
    schedule = WarmUp(Cosine(), steps=5) if name == "WarmUp" else SCHEDULES[name]()
    progress = Progress(n_epochs=2, n_steps=10)
    progress.step = 10
    last = schedule.value(progress)
    progress.step = 1000
    assert schedule.value(progress) == last


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_short_runs_have_finite_positive_rates(name, n_steps):
    progress = Progress(n_epochs=1, n_steps=n_steps)
    for progress.step in range(n_steps):
        assert 0 <= SCHEDULES[name]().value(progress) < 10


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_survives_clone(name):
    schedule = SCHEDULES[name]()
    copy = clone(schedule)
    assert copy is not schedule
    assert copy.get_params() == schedule.get_params()


RATE_OF = {
    "Constant": "learning_rate",
    "CosLog4": "max_learning_rate",
    "OneCycle": "max_learning_rate",
    "WarmUp": "schedule",
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_rate_must_be_positive(name):
    rate = RATE_OF.get(name, "initial_learning_rate")
    schedule = SCHEDULES[name](**{rate: -0.1})
    with pytest.raises(ValueError, match=rf"{rate} of {name} must be a float in \(0, inf\).*-0.1"):
        schedule.check_params()


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (StepDecay(every=2.5), r"every of StepDecay must be an int in \[1, inf\); got 2.5"),
        (StepDecay(every=0), "every of StepDecay"),
        (StepDecay(drop=0.0), "drop of StepDecay"),
        (ExponentialDecay(rate=-1.0), "rate of ExponentialDecay"),
        (InverseScaling(power=-0.5), "power of InverseScaling"),
        (Cosine(final_learning_rate=-1e-9), "final_learning_rate of Cosine"),
        (OneCycle(warmup_fraction=1.0), r"warmup_fraction of OneCycle must be a float in \[0, 1\)"),
        (OneCycle(final_divisor=0.0), "final_divisor of OneCycle"),
        (ReduceOnPlateau(factor=1.0), r"factor of ReduceOnPlateau must be a float in \(0, 1\)"),
        (ReduceOnPlateau(min_learning_rate=-1.0), "min_learning_rate of ReduceOnPlateau"),
        (WarmUp(start_factor=1.5), r"start_factor of WarmUp must be a float in \[0, 1\]"),
        (WarmUp(steps=0), "steps of WarmUp"),
        (WarmUp("cosine"), "schedule of WarmUp must be .* or a Schedule; got 'cosine'"),
        (WarmUp(Cosine(-1.0)), "initial_learning_rate of Cosine"),
    ],
    ids=repr,
)
def test_bad_parameter_is_named_with_what_is_allowed(schedule, message):
    with pytest.raises(ValueError, match=message):
        schedule.check_params()
    with pytest.raises(ValueError, match=message):
        SGD(learning_rate=schedule).check_params()


def test_misspelled_parameter_gets_a_suggestion():
    with pytest.raises(ValueError, match="Did you mean 'final_learning_rate'"):
        Cosine().set_params(final_learning_rat=0.1)


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(0.3),
        StepDecay(0.3, every=2),
        ExponentialDecay(0.3),
        InverseScaling(0.3),
        Cosine(0.3),
        OneCycle(0.3),
        CosLog4(0.3),
        WarmUp(0.3, steps=7),
        WarmUp(StepDecay(0.3, every=3), steps=4, start_factor=0.5),
    ],
    ids=repr,
)
def test_optimizer_sees_the_value_of_the_schedule_at_every_step(schedule):
    problem, log = Problem(n_samples=20), []
    (run,) = problem.train([Recorder(schedule, log)], batch_size=6, max_epochs=5)
    progress = Progress(n_epochs=5, n_steps=20)
    expected, last_of_epoch = [], []
    for epoch in range(5):
        progress.epoch, progress.n_samples_seen = epoch, 20 * epoch
        for _ in range(4):
            expected.append(schedule.value(progress))
            progress.step += 1
        last_of_epoch.append(expected[-1])
    assert [number for number, _ in log] == list(range(1, 21))
    np.testing.assert_array_equal([rate for _, rate in log], expected)
    assert run.history["learning_rate"] == last_of_epoch


def test_horizon_lays_out_the_schedule_for_a_longer_run():
    problem, log = Problem(n_samples=20), []
    problem.train([Recorder(Cosine(0.3), log)], batch_size=20, max_epochs=5, horizon=10)
    expected = 0.15 * (1 + np.cos(np.pi * np.arange(5) / 10))
    np.testing.assert_allclose([rate for _, rate in log], expected, rtol=1e-14)


def test_models_of_a_stack_have_their_own_schedules():
    rates = [Constant(0.3), Cosine(0.3), WarmUp(ExponentialDecay(0.1), steps=9), StepDecay(0.2)]
    problem, log = Problem(n_samples=20), []
    optimizers = [Recorder(rate, log) for rate in rates]
    runs = problem.train(optimizers, batch_size=6, max_epochs=5)
    together = np.stack([np.broadcast_to(rate, (4, 1))[:, 0] for _, rate in log])
    for k, run in enumerate(runs):
        log.clear()
        (alone,) = problem.train([optimizers[k]], [k], batch_size=6, max_epochs=5)
        np.testing.assert_array_equal(together[:, k], [rate for _, rate in log])
        np.testing.assert_allclose(run.params, alone.params, rtol=1e-12)


def test_rate_is_reduced_on_a_plateau_until_it_reaches_the_minimum():
    schedule = ReduceOnPlateau(1.0, factor=0.1, min_learning_rate=0.05)
    (run,) = minimise(
        FLAT,
        SGD(schedule),
        np.ones((1, 3)),
        max_epochs=1000,
        stopping=Stopping(n_iter_no_change=2),
    )
    # One epoch sets the best loss, then three without improvement pass at each rate.
    expected = [1.0] * 4 + [0.1] * 3 + [0.01] * 3
    np.testing.assert_allclose(run.history["learning_rate"], expected, rtol=1e-14)
    assert run.stop_reason == "no_improvement"
    assert run.progress.n_plateaus == 2


def test_warm_up_passes_on_the_reduction_on_plateaus():
    schedule = WarmUp(ReduceOnPlateau(1.0, factor=0.1, min_learning_rate=0.05), steps=2)
    (run,) = minimise(FLAT, SGD(schedule), np.ones((1, 3)), stopping=Stopping(n_iter_no_change=2))
    expected = [0.5] + [1.0] * 3 + [0.1] * 3 + [0.01] * 3
    np.testing.assert_allclose(run.history["learning_rate"], expected, rtol=1e-14)


def test_rate_is_not_reduced_while_the_loss_improves():
    (run,) = minimise(
        BOWL,
        SGD(ReduceOnPlateau(0.1)),
        np.ones((1, 3)),
        max_epochs=20,
        stopping=Stopping(n_iter_no_change=1),
    )
    assert run.history["learning_rate"] == [0.1] * 20


def test_rates_of_a_stack_part_when_one_model_reaches_a_plateau():
    optimizer = SGD(ReduceOnPlateau(0.1, min_learning_rate=0.001))
    objective = Bowls([1.0, 1e-12])
    runs = minimise(
        objective, optimizer, np.ones((2, 3)), max_epochs=12, stopping=Stopping(n_iter_no_change=2)
    )
    assert runs[0].history["learning_rate"] == [0.1] * 12
    np.testing.assert_allclose(
        runs[1].history["learning_rate"], [0.1] * 4 + [0.02] * 3 + [0.004] * 3 + [0.0008] * 2
    )
