"""AdaGrad's steps die out, and RMSProp's and AdaDelta's do not.

python examples/claims/c05_adagrads_steps_die_out.py
"""

from __future__ import annotations

import numpy as np
from claim import Claim, Finding, main, panels

from skopt_dl import lab
from skopt_dl.objectives import FiniteSum, Polynomial
from skopt_dl.optimizers import AdaDelta, AdaGrad, RMSProp

N_STEPS = 10_000
OPTIMIZERS = {"adagrad": AdaGrad(0.1), "rmsprop": RMSProp(0.1), "adadelta": AdaDelta()}
SLOPE = Polynomial([0.0, 1.0], (-1e6, 1e6), "slope")
# Parabolas around random points: gradients that differ, with a minimum at their mean.
CENTRES = np.random.default_rng(0).normal(size=64)
NOISY = FiniteSum([Polynomial([c * c / 2, -c, 0.5]) for c in CENTRES], name="noisy bowl")


def experiment():
    slope = lab.compare(SLOPE, OPTIMIZERS, starts=[[0.0]], n_steps=N_STEPS, record=True)
    steps = dict(zip(OPTIMIZERS, -np.diff(slope.paths[:, :, 0], axis=1), strict=True))
    law = np.abs(steps["adagrad"] * np.sqrt(np.arange(1, N_STEPS + 1)) / 0.1 - 1).max()
    change = {name: taken[-1] / taken[99] for name, taken in steps.items()}
    travelled = {name: np.cumsum(taken) for name, taken in steps.items()}
    further = travelled["adagrad"][-1] / travelled["adagrad"][999] - 1
    noisy = lab.compare(
        NOISY, OPTIMIZERS, starts=[[4.0]], seeds=range(20), batch_sizes=[1], n_steps=2000
    )
    gaps = noisy.table["final_gap"].reshape(len(OPTIMIZERS), -1)
    medians = dict(zip(OPTIMIZERS, np.median(gaps, axis=1), strict=True))
    lower = int((gaps[0] < gaps[1]).sum())

    figure, (left, right) = panels()
    for name, taken in steps.items():
        left.plot(np.arange(1, N_STEPS + 1), taken, label=name)
    left.set(xscale="log", yscale="log", xlabel="step", ylabel="its length")
    left.set(title="On a slope that never changes")
    left.legend()
    lab_values = noisy.values.reshape(len(OPTIMIZERS), -1, noisy.values.shape[1]) - NOISY.minimum
    for name, values in zip(OPTIMIZERS, lab_values, strict=True):
        right.plot(np.median(np.maximum(values, 1e-12), axis=0), label=name, linewidth=1)
    right.set(xscale="log", yscale="log", xlabel="step", ylabel="gap to the minimum")
    right.set(title="On a noisy bowl, median of 20 seeds")
    return figure, [
        Finding(
            "While the gradient stays the same, AdaGrad's step number t is rate / √t (within 1 %).",
            f"at most {law:.1e} from it in {N_STEPS:,} steps",
            bool(law <= 0.01),
        ),
        Finding(
            "RMSProp's do not shrink: step 10,000 is at least 99 % of step 100.",
            f"{change['rmsprop']:.2%} (AdaGrad's: {change['adagrad']:.0%})",
            bool(change["rmsprop"] >= 0.99),
        ),
        Finding(
            "Nor do AdaDelta's.",
            f"step 10,000 is {change['adadelta']:.1f} times step 100",
            bool(change["adadelta"] >= 0.99),
        ),
        Finding(
            "AdaGrad therefore comes to a halt: its last 9,000 steps add less than 10 % to the "
            "way of its first 1,000.",
            f"they add {further:.0%}",
            bool(further < 0.1),
        ),
        Finding(
            "That is a drawback: on the noisy bowl, RMSProp ends nearer the minimum for most "
            "seeds.",
            f"median gap after 2,000 steps: AdaGrad {medians['adagrad']:.0e}, RMSProp "
            f"{medians['rmsprop']:.0e}, AdaDelta {medians['adadelta']:.0e}; AdaGrad is nearer "
            f"than RMSProp for {lower} of 20 seeds",
            lower < 10,
        ),
    ]


CLAIM = Claim(
    "AdaGrad's steps die out, RMSProp's and AdaDelta's do not",
    "A slope whose gradient is 1 everywhere, and the mean of 64 parabolas of which each step "
    "sees one, in the order of 20 seeds. Learning rate 0.1; AdaDelta has its default, 1.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
