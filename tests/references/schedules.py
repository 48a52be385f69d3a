"""Learning rates per step, from torch, scikit-learn or a closed form at 50 digits.

A value is the learning rate *used* at a step; steps and epochs count from 0, n steps in all. One
function for each of our schedules, with our parameters and defaults. It returns the values, their
source, and the closed form (a function of the step) that must agree with them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from libraries import release
from mpmath import mp, mpf
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

mp.dps = 50

# Relative to the largest value: torch computes each learning rate from the one before, so near the
# end of a cosine only the absolute error stays small.
TOLERANCE = 1e-13


@dataclass(frozen=True)
class Run:
    """The length of a training run, and torch's and our own values along it."""

    steps_per_epoch: int
    epochs: int

    @property
    def n(self):
        return self.steps_per_epoch * self.epochs

    def closed_form(self, function):
        return [float(function(i)) for i in range(self.n)]

    def torch(self, learning_rate, *schedulers):
        """Values and source for (name, kwargs, whether it moves once per epoch) of torch.

        Several schedulers multiply, as in torch's ChainedScheduler.
        """
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=learning_rate)
        built = [
            (getattr(torch.optim.lr_scheduler, name)(optimizer, **kwargs), per_epoch)
            for name, kwargs, per_epoch in schedulers
        ]
        values = []
        for step in range(1, self.n + 1):
            values.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            for scheduler, per_epoch in built:
                if step < self.n and (not per_epoch or step % self.steps_per_epoch == 0):
                    scheduler.step()
        names = (
            f"{name}({', '.join(f'{k}={v!r}' for k, v in kwargs.items())})"
            f" per {'epoch' if per_epoch else 'step'}"
            for name, kwargs, per_epoch in schedulers
        )
        return values, f"{release('torch')} torch.optim.lr_scheduler." + " times ".join(names)


MPMATH = f"{release('mpmath')} closed form in schedules.py"


def step_decay(run, initial_learning_rate, drop=0.5, every=10):
    scheduler = ("StepLR", {"step_size": every, "gamma": drop}, True)

    def closed(i):
        return initial_learning_rate * mpf(drop) ** (i // run.steps_per_epoch // every)

    return *run.torch(initial_learning_rate, scheduler), closed


def exponential_decay(run, initial_learning_rate, rate=0.95):
    scheduler = ("ExponentialLR", {"gamma": rate}, True)

    def closed(i):
        return initial_learning_rate * mpf(rate) ** (i // run.steps_per_epoch)

    return *run.torch(initial_learning_rate, scheduler), closed


def cosine(run, initial_learning_rate, final_learning_rate=0.0):
    scheduler = ("CosineAnnealingLR", {"T_max": run.n, "eta_min": final_learning_rate}, False)

    def closed(i):
        return _half_cosine(initial_learning_rate, final_learning_rate, mpf(i) / run.n)

    return *run.torch(initial_learning_rate, scheduler), closed


def _half_cosine(start, end, x):
    return end + (mpf(start) - end) * (1 + mp.cos(mp.pi * x)) / 2


def one_cycle(run, max_learning_rate, warmup_fraction=0.3, initial_divisor=25, final_divisor=1e4):
    arguments = {
        "max_lr": max_learning_rate,
        "total_steps": run.n,
        "pct_start": warmup_fraction,
        "anneal_strategy": "cos",
        "cycle_momentum": False,
        "div_factor": initial_divisor,
        "final_div_factor": final_divisor,
    }
    start = mpf(max_learning_rate) / initial_divisor
    end = start / final_divisor
    # The maximum lies at this step, which need not be whole; the end at the last step.
    top, last = mpf(warmup_fraction * run.n) - 1, run.n - 1

    def closed(i):
        if i <= top:
            return _half_cosine(start, max_learning_rate, i / top)
        return _half_cosine(max_learning_rate, end, (i - top) / (last - top))

    return *run.torch(max_learning_rate, ("OneCycleLR", arguments, False)), closed


def inverse_scaling(run, initial_learning_rate, power=0.5, n_samples=1000):
    optimizer = SGDOptimizer(
        [], learning_rate_init=initial_learning_rate, lr_schedule="invscaling", power_t=power
    )
    values = []
    for epoch in range(run.epochs):
        values += [float(optimizer.learning_rate)] * run.steps_per_epoch
        # As MLPClassifier does at the end of an epoch: all samples trained on so far.
        optimizer.iteration_ends((epoch + 1) * n_samples)

    def closed(i):
        seen = i // run.steps_per_epoch * n_samples
        return initial_learning_rate / mpf(seen + 1) ** mpf(power)

    source = f"{release('scikit-learn')} SGDOptimizer(lr_schedule='invscaling', power_t={power})"
    return values, source, closed


def cos_log_4(run, initial_learning_rate):
    def closed(i):  # arXiv 2407.04491: four cosine waves over the run, each twice as long
        turns = mp.log(1 + 15 * mpf(i) / run.n, 2)
        return initial_learning_rate * (mpf(1) / 2 - mp.cos(2 * mp.pi * turns) / 2)

    return run.closed_form(closed), MPMATH, closed


def warm_up(run, schedule, steps, start_factor=0.0):
    inner = SCHEDULES[schedule["schedule"]](run, **schedule["params"])[-1]

    def closed(i):
        factor = mpf(start_factor) + (1 - mpf(start_factor)) * (i + 1) / steps
        return inner(i) * min(factor, mpf(1))

    # torch's LinearLR stands at its start factor at step 0 and at 1 after `total_iters` steps; ours
    # would stand at `start_factor` one step before the first, so that no step is lost at zero.
    first = start_factor + (1 - start_factor) / steps
    linear = ("LinearLR", {"start_factor": first, "total_iters": steps - 1}, False)
    rate = schedule["params"]["initial_learning_rate"]
    if schedule["schedule"] == "ExponentialDecay":
        gamma = schedule["params"]["rate"]
        values, source = run.torch(rate, linear, ("ExponentialLR", {"gamma": gamma}, True))
    elif "final_learning_rate" not in schedule["params"]:
        values, source = run.torch(rate, linear, ("CosineAnnealingLR", {"T_max": run.n}, False))
    else:  # torch's recurrence with eta_min is not a factor, so it cannot be chained
        values, source = run.closed_form(closed), MPMATH
    return values, source, closed


SCHEDULES = {
    "StepDecay": step_decay,
    "ExponentialDecay": exponential_decay,
    "Cosine": cosine,
    "OneCycle": one_cycle,
    "InverseScaling": inverse_scaling,
    "CosLog4": cos_log_4,
    "WarmUp": warm_up,
}

_COSINE = {"schedule": "Cosine", "params": {"initial_learning_rate": 0.1}}
_COSINE_TO = {
    "schedule": "Cosine",
    "params": {"initial_learning_rate": 0.1, "final_learning_rate": 0.01},
}
_EXPONENTIAL = {
    "schedule": "ExponentialDecay",
    "params": {"initial_learning_rate": 0.02, "rate": 0.9},
}

CASES = [
    ("StepDecay", {"initial_learning_rate": 0.1}, Run(4, 35)),
    ("StepDecay", {"initial_learning_rate": 0.02, "drop": 0.1, "every": 7}, Run(3, 30)),
    ("ExponentialDecay", {"initial_learning_rate": 0.1}, Run(4, 30)),
    ("ExponentialDecay", {"initial_learning_rate": 0.02, "rate": 0.5}, Run(3, 20)),
    ("Cosine", {"initial_learning_rate": 0.1}, Run(5, 20)),
    ("Cosine", {"initial_learning_rate": 0.02, "final_learning_rate": 0.001}, Run(7, 11)),
    ("OneCycle", {"max_learning_rate": 0.1}, Run(5, 20)),
    ("OneCycle", {"max_learning_rate": 0.1}, Run(7, 11)),
    (
        "OneCycle",
        {
            "max_learning_rate": 0.02,
            "warmup_fraction": 0.1,
            "initial_divisor": 10,
            "final_divisor": 100,
        },
        Run(3, 41),
    ),
    ("InverseScaling", {"initial_learning_rate": 0.1, "n_samples": 1000}, Run(5, 20)),
    ("InverseScaling", {"initial_learning_rate": 0.5, "power": 0.3, "n_samples": 1000}, Run(4, 9)),
    ("CosLog4", {"initial_learning_rate": 0.1}, Run(5, 20)),
    ("CosLog4", {"initial_learning_rate": 0.04}, Run(7, 11)),
    ("WarmUp", {"schedule": _COSINE, "steps": 10}, Run(5, 20)),
    ("WarmUp", {"schedule": _COSINE, "steps": 17, "start_factor": 0.1}, Run(7, 11)),
    ("WarmUp", {"schedule": _COSINE_TO, "steps": 12, "start_factor": 0.25}, Run(5, 20)),
    ("WarmUp", {"schedule": _EXPONENTIAL, "steps": 13}, Run(5, 12)),
]


def compute():
    """The entries of schedules.json."""
    entries = []
    for name, params, run in CASES:
        values, source, closed = SCHEDULES[name](run, **params)
        error = np.abs(np.subtract(values, run.closed_form(closed))).max() / max(values)
        assert len(values) == run.n, f"{name} {params}: {len(values)} values"
        assert error <= TOLERANCE, f"{name} {params}: {error:.1e}"
        entries.append(
            {
                "schedule": name,
                "params": params,
                "steps_per_epoch": run.steps_per_epoch,
                "epochs": run.epochs,
                "values": values,
                "source": source,
            }
        )
    return entries
