"""A step is taken apart into the direction and the rates that its closed form has."""

import numpy as np
import pytest

from skopt_dl import lab
from skopt_dl.objectives import Rosenbrock
from skopt_dl.optimizers import (
    LBFGS,
    SGD,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    AMSGrad,
    Momentum,
    NAdam,
    Nesterov,
    Optimizer,
    RMSProp,
)
from skopt_dl.schedules import Cosine


class SignDescent(Optimizer):
    def __init__(self, learning_rate=0.01):
        self.learning_rate = learning_rate

    def update(self, grad, state, params, step):
        return -step.learning_rate * step.xp.sign(grad)


def recorded(optimizer, **options):
    options = {"n_steps": 60, "record": True, **options}
    return lab.compare(Rosenbrock(), {"it": optimizer}, **options)


def averages(values, beta):
    """Moving averages from zero, corrected."""
    mean, found = np.zeros_like(values[0]), []
    for number, value in enumerate(values, 1):
        mean = beta * mean + (1 - beta) * value
        found.append(mean / (1 - beta**number))
    return np.array(found)


def velocities(gradients, momentum):
    velocity, found = np.zeros_like(gradients[0]), []
    for gradient in gradients:
        velocity = momentum * velocity + gradient
        found.append(velocity.copy())
    return np.array(found)


def ones(gradients):
    return np.ones_like(gradients)


CASES = {
    "sgd": (SGD(1e-4), lambda g: g, lambda g: 1e-4 * ones(g)),
    "momentum": (
        Momentum(1e-4, momentum=0.8),
        lambda g: velocities(g, 0.8),
        lambda g: 1e-4 * ones(g),
    ),
    "nesterov": (
        Nesterov(1e-4, momentum=0.8),
        lambda g: g + 0.8 * velocities(g, 0.8),
        lambda g: 1e-4 * ones(g),
    ),
    "adagrad": (
        AdaGrad(0.1, epsilon=0.0),
        lambda g: g,
        lambda g: 0.1 / np.sqrt(np.cumsum(g**2, axis=0)),
    ),
    "rmsprop": (
        RMSProp(0.01, rho=0.9),
        lambda g: g,
        lambda g: 0.01 / (np.sqrt(averages(g**2, 0.9).T * (1 - 0.9 ** counts(g))).T + 1e-8),
    ),
    "adam": (
        Adam(0.1),
        lambda g: averages(g, 0.9),
        lambda g: 0.1 / (np.sqrt(averages(g**2, 0.999)) + 1e-8),
    ),
    "amsgrad": (
        AMSGrad(0.1, bias_correction=False),
        lambda g: (averages(g, 0.9).T * (1 - 0.9 ** counts(g))).T,
        lambda g: (
            0.1
            / (
                np.sqrt(
                    np.maximum.accumulate((averages(g**2, 0.999).T * (1 - 0.999 ** counts(g))).T)
                )
                + 1e-8
            )
        ),
    ),
}


def counts(gradients):
    return np.arange(1, len(gradients) + 1)


@pytest.mark.parametrize("name", CASES)
def test_direction_and_rate_are_those_of_the_closed_form(name):
    optimizer, direction, rate = CASES[name]
    comparison = recorded(optimizer)
    found = lab.slots_of_run(comparison)
    gradients = comparison.gradients[0]
    assert found.follows_rule
    np.testing.assert_allclose(found.direction, direction(gradients), rtol=1e-9)
    np.testing.assert_allclose(found.rate, rate(gradients), rtol=1e-9)
    np.testing.assert_array_equal(found.gradient, gradients)


@pytest.mark.parametrize(
    "optimizer", [*(case[0] for case in CASES.values()), AdaMax(0.1), NAdam(0.1), Adam("cosine")]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_minus_rate_times_direction_is_the_change(optimizer, dtype):
    comparison = recorded(optimizer, dtype=dtype)
    found = lab.slots_of_run(comparison)
    assert found.follows_rule
    change = np.diff(comparison.paths[0].astype(float), axis=0)
    atol = 1e-14 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(-found.rate * found.direction, change, rtol=1e-4, atol=atol)


def test_rate_follows_its_schedule():
    schedule = Cosine(1e-4)
    found = lab.slots_of_run(recorded(SGD(schedule)))
    expected = 0.5e-4 * (1 + np.cos(np.pi * np.arange(60) / 60))
    assert found.rate[0, 0] == pytest.approx(1e-4)
    if schedule.per_step:
        np.testing.assert_allclose(found.rate[:, 0], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("optimizer", "follows"),
    [
        (RMSProp(0.01, momentum=0.0), True),
        (RMSProp(0.01, momentum=0.5), False),
        (AdamW(0.01, weight_decay=0.0), True),
        (AdamW(0.01, weight_decay=0.1), False),
        (SignDescent(), False),
        (LBFGS(), False),
    ],
)
def test_what_is_no_direction_over_a_scale_says_so(optimizer, follows):
    comparison = recorded(optimizer)
    found = lab.slots_of_run(comparison)
    assert found.follows_rule == follows
    if not follows:
        n_steps = len(found.direction)
        change = np.diff(comparison.paths[0][: n_steps + 1], axis=0)
        np.testing.assert_array_equal(found.direction, comparison.gradients[0][:n_steps])
        with np.errstate(invalid="ignore", divide="ignore"):
            np.testing.assert_allclose(found.rate, -change / found.direction)


def test_steps_end_where_a_run_diverges():
    found = lab.slots_of_run(recorded(SGD(0.05)))
    assert 0 < len(found.rate) < 60
    np.testing.assert_allclose(found.rate, 0.05)


def test_weight_whose_direction_is_zero_has_no_rate():
    found = lab.slots_of_steps(SGD(0.5), [[1.0, 2.0], [0.5, 2.0]], [[1.0, 0.0]])
    assert found.rate[0, 0] == 0.5
    assert np.isnan(found.rate[0, 1])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"path must be of shape \(T \+ 1, P\).*got \(2, 1\) and"):
        lab.slots_of_steps(SGD(), [[1.0], [2.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="no step whose gradient and end are finite"):
        lab.slots_of_steps(SGD(), [[1.0], [np.nan]], [[1.0]])
    with pytest.raises(ValueError, match="record=True"):
        lab.slots_of_run(recorded(SGD(1e-4), record=False))
    with pytest.raises(ValueError, match=r"run must be an int from 0 to 0.*got 1"):
        lab.slots_of_run(recorded(SGD(1e-4)), 1)
