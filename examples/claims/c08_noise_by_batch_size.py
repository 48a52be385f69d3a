"""One sample a step is noisy, a mini-batch less so, a full batch not at all.

python examples/claims/c08_noise_by_batch_size.py
"""

from __future__ import annotations

import numpy as np
from claim import Claim, Finding, main, panels

from skopt_dl import lab
from skopt_dl.objectives import FiniteSum, Polynomial
from skopt_dl.optimizers import SGD

N_TERMS, SIZES = 64, [1, 4, 16, 64]
N_DRAWN, SEEDS = 1000, range(5)
START = [2.0, 1.0]


def sum_of_bowls():
    """A mean of quartic bowls in two variables, around random points."""
    terms = []
    for a, b in np.random.default_rng(0).normal(size=(N_TERMS, 2)):
        coefficients = np.zeros((5, 3))
        coefficients[1, 0], coefficients[0, 1] = -a, -b
        coefficients[2, 0], coefficients[4, 0], coefficients[0, 2] = 0.5, 0.05, 0.5
        terms.append(Polynomial(coefficients))
    return FiniteSum(terms, name="sum of bowls")


def measured_noise(objective, sampling):
    """Mean square distance of batches' gradients from the whole one at the start, by batch size."""
    found = lab.compare(
        objective, "sgd", starts=[START], batch_sizes=SIZES, sampling=sampling,
        seeds=range(N_DRAWN), n_steps=1, record=True,
    )  # fmt: skip
    off = found.gradients - objective.gradient(found.starts[0])
    return (off**2).sum(axis=2).reshape(len(SIZES), N_DRAWN).mean(axis=1)


def experiment():
    objective = sum_of_bowls()
    point = np.array(START)
    measured, exact = {}, {}
    for sampling in ("shuffle", "replacement"):
        measured[sampling] = measured_noise(objective, sampling)
        exact[sampling] = np.array(
            [np.trace(objective.gradient_noise(point, size, sampling)) for size in SIZES]
        )
    noisy = {name: exact[name] > 1e-12 for name in exact}
    off = max(np.abs(measured[s][noisy[s]] / exact[s][noisy[s]] - 1).max() for s in exact)
    found = lab.compare(
        objective, SGD(0.1), starts=[START], batch_sizes=SIZES, seeds=SEEDS, n_steps=600
    )
    gaps = (found.values - objective.minimum).reshape(len(SIZES), len(SEEDS), -1)
    last = gaps[:, :, 300:].mean(axis=(1, 2))
    ratios = last[:-2] / last[1:-1]
    falls = (np.diff(gaps[:, :, :20], axis=2) < 0).mean(axis=(1, 2))

    figure, (left, right) = panels()
    for sampling, marker in (("shuffle", "o"), ("replacement", "s")):
        sizes, shown = np.array(SIZES)[noisy[sampling]], noisy[sampling]
        line = left.plot(sizes, exact[sampling][shown], label=f"{sampling}: closed form")[0]
        style = {"color": line.get_color(), "linestyle": "none", "label": "measured"}
        left.plot(sizes, measured[sampling][shown], marker, **style)
    left.set(xscale="log", yscale="log", xlabel="batch size")
    left.set(ylabel="mean square of the error", title="Noise of the gradient")
    left.legend()
    for size, of_seeds in zip(SIZES, gaps, strict=True):
        right.plot(np.maximum(of_seeds[0], 1e-16), label=str(size), linewidth=0.9)
    right.set(yscale="log", ylim=(1e-9, 10), xlabel="step", ylabel="gap to the minimum")
    right.set(title="Rate 0.1, by batch size")
    right.legend(ncols=2)
    return figure, [
        Finding(
            "The noise that is measured is that of the closed form (within 10 %), with and without "
            "replacement.",
            f"at most {off:.1%} off, for {int(sum(each.sum() for each in noisy.values()))} "
            "combinations of batch size and sampling",
            bool(off <= 0.1),
        ),
        Finding(
            "The full batch has no noise, when each sample comes once.",
            f"{measured['shuffle'][-1]:.0e} without replacement, "
            f"{measured['replacement'][-1]:.1e} with it",
            bool(measured["shuffle"][-1] < 1e-20),
        ),
        Finding(
            "The noise keeps descent at a distance from the minimum that falls with the batch: 4 "
            "times the samples leave at most a third of the gap.",
            "mean gap after 300 steps: "
            + ", ".join(f"{size}: {gap:.0e}" for size, gap in zip(SIZES, last, strict=True)),
            bool((ratios >= 3).all() and last[-1] < 1e-9),
        ),
        Finding(
            "Full-batch descent goes down at every step, one-sample descent does not.",
            f"in the first 20 steps {falls[-1]:.0%} of the steps go down, against {falls[0]:.0%}",
            bool(falls[-1] == 1 and falls[0] < 0.9),
        ),
    ]


CLAIM = Claim(
    "One sample a step is noisy, a mini-batch less so, a full batch not at all",
    "The mean of 64 bowls in two variables, around random points. Gradients of 1,000 batches at "
    "one point, beside the covariance that theory gives; then 600 steps from there, for 5 seeds.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
