"""Batches without replacement are better than with it.

python examples/claims/c12_with_and_without_replacement.py
"""

from __future__ import annotations

import math

import numpy as np
from claim import Claim, Finding, main, panels, train
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skopt_dl import MLPClassifier, lab
from skopt_dl.objectives import FiniteSum, Polynomial
from skopt_dl.optimizers import SGD
from skopt_dl.training import Batches

N_TERMS, N_EPOCHS, SEEDS = 16, 200, range(20)
RATES = np.array([0.01, 0.02, 0.05, 0.1])
SAMPLINGS = ("shuffle", "replacement")


def bowls():
    """A mean of bowls in one variable with different centres and curvatures."""
    rng = np.random.default_rng(0)
    parameters = zip(rng.normal(size=N_TERMS), rng.uniform(0.5, 1.5, N_TERMS), strict=True)
    return FiniteSum([Polynomial([a * c * c / 2, -a * c, a / 2]) for c, a in parameters])


def gaps(objective, sampling):
    """Gaps after so many epochs of one term a step, ``(n_rates, n_seeds)``."""
    found = lab.compare(
        objective, SGD(), learning_rates=RATES, starts=[[2.0]], seeds=SEEDS, batch_sizes=[1],
        sampling=sampling, n_steps=N_EPOCHS * N_TERMS,
    )  # fmt: skip
    return found.table["final_gap"].reshape(len(RATES), -1)


def left_out(sampling):
    """The share of samples that an epoch does not see, over 50 epochs."""
    batches = Batches(1000, 50, sampling=sampling, rngs=[np.random.default_rng(0)])
    seen = [
        len(np.unique(np.concatenate([block.rows.ravel() for block in batches.epoch(1)])))
        for _ in range(50)
    ]
    return 1 - np.mean(seen) / 1000


def accuracies(sampling, epochs):
    """Test accuracy of networks on the digits, one a seed."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, test_size=0.5, random_state=0)
    network = {
        "sampling": sampling,
        "batch_size": 32,
        "max_iter": epochs,
        "n_iter_no_change": math.inf,
    }
    models = [MLPClassifier(32, random_state=seed, **network) for seed in SEEDS]
    return np.array([model.score(X_test, y_test) for model in train(models, X, y)])


def experiment():
    objective = bowls()
    ends = {sampling: gaps(objective, sampling) for sampling in SAMPLINGS}
    medians = {sampling: np.median(each, axis=1) for sampling, each in ends.items()}
    slopes = {
        sampling: np.polyfit(np.log(RATES), np.log(each), 1)[0]
        for sampling, each in medians.items()
    }
    missing = {sampling: left_out(sampling) for sampling in SAMPLINGS}
    scores = {sampling: accuracies(sampling, 10) for sampling in SAMPLINGS}
    difference = scores["shuffle"] - scores["replacement"]
    error = difference.std(ddof=1) / len(difference) ** 0.5

    figure, (left, right) = panels(width_ratios=[3, 2])
    for sampling, marker in zip(SAMPLINGS, "os", strict=True):
        line = left.plot(RATES, medians[sampling], marker=marker, label=sampling)[0]
        low, high = np.quantile(ends[sampling], [0.1, 0.9], axis=1)
        left.fill_between(RATES, low, high, color=line.get_color(), alpha=0.15)
    left.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="gap after 200 epochs")
    left.set(title="Sum of bowls: median and 10 to 90 % of 20 seeds")
    left.legend()
    spread = np.linspace(-0.12, 0.12, len(difference))
    for place, sampling in enumerate(SAMPLINGS):
        right.plot(place + spread, scores[sampling], "o", linestyle="none", markersize=4)
        right.hlines(scores[sampling].mean(), place - 0.2, place + 0.2, color="0.3")
    right.set(xticks=[0, 1], xticklabels=SAMPLINGS, xlim=(-0.5, 1.5), ylabel="test accuracy")
    right.set(title="Digits after 10 epochs, 20 seeds")
    return figure, [
        Finding(
            "Without replacement an epoch leaves no sample out; with it, a share of 1 / e = 36.8 % "
            "(within 1 %).",
            f"{missing['shuffle']:.1%} and {missing['replacement']:.1%}",
            bool(missing["shuffle"] == 0 and abs(missing["replacement"] - math.exp(-1)) < 0.01),
        ),
        Finding(
            "On a sum of bowls it ends nearer to the minimum, by median, at every rate.",
            ", ".join(
                f"{rate:g}: {a:.0e} and {b:.0e}"
                for rate, a, b in zip(RATES, *medians.values(), strict=True)
            ),
            bool((medians["shuffle"] < medians["replacement"]).all()),
        ),
        Finding(
            "It gains the more, the smaller the rate: its gap falls with a higher power of the "
            "rate (by at least 0.5, from 0.1 to 0.01).",
            f"powers {slopes['shuffle']:.2f} and {slopes['replacement']:.2f}",
            bool(slopes["shuffle"] >= slopes["replacement"] + 0.5),
        ),
        Finding(
            "A network on the digits is better for it: its accuracy after ten epochs is higher "
            "by more than two standard errors.",
            f"{100 * difference.mean():.2f} ± {100 * error:.2f} points",
            bool(difference.mean() > 2 * error),
        ),
    ]


CLAIM = Claim(
    "Batches without replacement are better than with it",
    "The mean of 16 bowls, one a step, at six learning rates for 20 seeds; and networks with 32 "
    "hidden units on half of the digits, tested on the other half.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
