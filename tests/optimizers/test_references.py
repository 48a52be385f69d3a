"""Every optimizer against the values of independent libraries: see tests/references/README.md."""

import json
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from problems import OPTIMIZERS

from skopt_dl.objectives import GivenGradients
from skopt_dl.schedules import ExponentialDecay
from skopt_dl.training import minimise, updates

REFERENCES = Path(__file__).parents[1] / "references"
ARRAYS = dict(np.load(REFERENCES / "optimizers.npz"))
N_STEPS = len(ARRAYS["gradients"])
TOLERANCE = 1e-12

BY_REGISTERED_NAME = {name.lower(): cls for name, cls in OPTIMIZERS.items()}


def read(name):
    entries = json.loads((REFERENCES / name).read_text())
    return [e for e in entries if e["optimizer"] in BY_REGISTERED_NAME]


CASES, SCHEDULED = read("optimizers.json"), read("optimizers_scheduled.json")
STACKS = {
    f"{kind}{name}": list(cases)
    for kind, entries in (("", CASES), ("scheduled ", SCHEDULED))
    for name, cases in groupby(entries, key=lambda entry: entry["optimizer"])
}


def make(case):
    optimizer = BY_REGISTERED_NAME[case["optimizer"]](**case["params"])
    if "factors_key" in case:
        factors = ARRAYS[case["factors_key"]]
        schedule = ExponentialDecay(optimizer.learning_rate, rate=float(factors[1]))
        optimizer.set_params(learning_rate=schedule)
    return optimizer


def paths(cases):
    """Parameters after each step, ``(n_cases, n_steps, n_params)``, from one stack."""
    path = []
    minimise(
        GivenGradients(ARRAYS["gradients"]),
        [make(case) for case in cases],
        np.tile(ARRAYS["initial_params"], (len(cases), 1)),
        max_epochs=N_STEPS,
        validate=lambda params, models: path.append(params.copy()) or {},
    )
    return np.stack(path, axis=1)


def deviation(path, reference):
    """Largest difference, relative to the largest value of the same coordinate."""
    scale = np.abs(reference).max(axis=0)
    return (np.abs(path - reference).max(axis=0) / np.where(scale > 0, scale, 1)).max()


def assert_all_agree(cases):
    deviations = {
        case["name"]: deviation(path, ARRAYS[case["key"]])
        for case, path in zip(cases, paths(cases), strict=True)
    }
    too_large = {name: d for name, d in deviations.items() if not d <= TOLERANCE}
    assert not too_large


def test_every_optimizer_has_a_reference_for_its_defaults():
    with_defaults = {case["optimizer"] for case in CASES if not case["params"]}
    assert with_defaults == set(BY_REGISTERED_NAME)


@pytest.mark.parametrize("case", CASES + SCHEDULED, ids=lambda case: case["name"])
def test_single_model_follows_the_reference(case):
    assert_all_agree([case])


@pytest.mark.parametrize("name", STACKS)
def test_all_cases_of_one_optimizer_follow_their_references_in_one_stack(name):
    assert_all_agree(STACKS[name])


def test_cases_of_different_optimizers_follow_their_references_in_one_stack():
    mixed = np.random.default_rng(0).permutation(len(CASES) + len(SCHEDULED))
    assert_all_agree([(CASES + SCHEDULED)[i] for i in mixed])


@pytest.mark.parametrize("name", STACKS)
def test_program_of_an_update_has_the_bits_of_its_code(name, monkeypatch):
    stacks = [[case] for case in STACKS[name]] + [STACKS[name]]
    traced = [paths(stack) for stack in stacks]
    monkeypatch.setattr(updates, "update_program", lambda case: "of a test")
    for stack, path in zip(stacks, traced, strict=True):
        np.testing.assert_array_equal(path, paths(stack))


@pytest.mark.parametrize("name", sorted({case["optimizer"] for case in SCHEDULED}))
def test_reference_with_a_schedule_differs_from_the_one_without(name):
    scheduled = next(case for case in SCHEDULED if case["optimizer"] == name)
    without = {key: value for key, value in scheduled.items() if key != "factors_key"}
    assert deviation(paths([without])[0], ARRAYS[scheduled["key"]]) > 1e-6
