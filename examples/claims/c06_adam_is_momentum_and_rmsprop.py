"""Adam is momentum and RMSProp together, and its correction matters early.

python examples/claims/c06_adam_is_momentum_and_rmsprop.py
"""

from __future__ import annotations

import math

import numpy as np
from claim import Claim, Finding, main, panels, train
from sklearn.datasets import load_digits

from skopt_dl import MLPClassifier, lab
from skopt_dl.objectives import FiniteSum, Polynomial
from skopt_dl.optimizers import Adam, Momentum, RMSProp

SEEDS, N_STEPS = range(5), 5000
RATES = [0.001, 0.003, 0.01, 0.03, 0.1]
# Slopes a·x + b·y: whatever the point, all optimizers are given the same gradients.
SLOPES = FiniteSum(
    [Polynomial([[0, b], [a, 0]]) for a, b in np.random.default_rng(0).normal(1, 1, (200, 2))],
    (-1e6, 1e6),
    "slopes",
)


class Uncorrected(Adam):
    """Adam whose averages are not corrected for their start at zero."""

    bias_correction = False


def first_losses(optimizer):
    """Losses of networks on the digits in their second epoch, ``(n_rates, n_seeds)``."""
    X, y = load_digits(return_X_y=True)
    models = [
        MLPClassifier(
            32, optimizer=optimizer(rate), max_iter=2, n_iter_no_change=math.inf, random_state=seed
        )
        for rate in RATES
        for seed in SEEDS
    ]
    losses = [model.loss_ for model in train(models, X / 16, y)]
    return np.reshape(losses, (len(RATES), len(SEEDS)))


def experiment():
    made = {
        "with": Adam(0.01), "without": Uncorrected(0.01), "momentum": Momentum(0.01, 0.9),
        "rmsprop": RMSProp(0.01, rho=0.999),
    }  # fmt: skip
    found = lab.compare(
        SLOPES, made, starts=[[0.0, 0.0]], batch_sizes=[1], n_steps=N_STEPS, record=True
    )
    _, adam, momentum, rmsprop = (lab.slots_of_run(found, run) for run in range(len(made)))
    direction = relative(adam.direction, 0.1 * momentum.direction)
    rate = relative(adam.rate, rmsprop.rate)
    number = np.arange(1, N_STEPS + 1)
    factor = np.sqrt(1 - 0.999**number) / (1 - 0.9**number)
    first = [abs(each[1, 0] - each[0, 0]) for each in found.paths]
    until = int(np.flatnonzero(np.abs(factor - 1) > 0.01)[-1]) + 1
    losses = {"with": first_losses(Adam), "without": first_losses(Uncorrected)}
    n_worse = (losses["without"] > losses["with"]).sum(axis=1)

    figure, (left, right) = panels()
    left.plot(number, 1 / factor, label="without / with correction")
    left.axhline(1, color="0.5", linewidth=0.8)
    left.set(
        xscale="log",
        xlabel="step",
        ylabel="length of a step, without / with",
        title="What the correction does",
    )
    for (name, loss), marker in zip(losses.items(), "os", strict=True):
        line = right.plot(
            RATES, np.median(loss, axis=1), marker=marker, label=f"{name} correction"
        )[0]
        right.fill_between(RATES, loss.min(1), loss.max(1), color=line.get_color(), alpha=0.15)
    right.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="training loss")
    right.set(title="Digits, second epoch, 5 seeds")
    right.legend()
    return figure, [
        Finding(
            "Without the correction, its direction is the velocity of momentum with the same β, "
            "times 1 - β (to rounding, 1e-12).",
            f"relative difference at most {direction:.0e} in {N_STEPS:,} steps",
            bool(direction <= 1e-12),
        ),
        Finding(
            "and its rate for each weight is RMSProp's with ρ = β₂.",
            f"relative difference at most {rate:.0e}",
            bool(rate <= 1e-12),
        ),
        Finding(
            "The first step is rate · 0.1 / √0.001 = 3.2 rates long without the correction, and "
            "one with it (within 1 %).",
            f"{first[1] / 0.01:.3f} and {first[0] / 0.01:.3f} rates",
            bool(abs(first[0] / 0.01 - 1) < 0.01 and abs(first[1] / 0.01 / 10**0.5 - 1) < 0.01),
        ),
        Finding(
            "It matters early only: after 1,000 steps it changes a step by less than 1 %.",
            f"then it still changes it by {1 / factor[999] - 1:.0%}, and by more than 1 % until "
            f"step {until:,}",
            until <= 1000,
        ),
        Finding(
            "A network on the digits starts worse without it: in the second epoch its loss is "
            "higher for most seeds, whatever the rate.",
            "higher for "
            + ", ".join(f"{n} ({rate:g})" for rate, n in zip(RATES, n_worse, strict=True))
            + f" of {len(SEEDS)} seeds (rate)",
            bool((n_worse > len(SEEDS) / 2).all()),
        ),
    ]


def relative(values, others):
    """The largest relative difference."""
    both = np.isfinite(values) & np.isfinite(others)
    return np.max(np.abs(values[both] / others[both] - 1))


CLAIM = Claim(
    "Adam is momentum and RMSProp together, and its correction matters early",
    "A sum of 200 slopes, one a step: whatever the point, Adam, momentum and RMSProp are given "
    "the same gradients. And a network with 32 hidden units on the digits, with and without the "
    "correction.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
