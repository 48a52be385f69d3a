"""Too small a rate is slow; too large a one oscillates, then gives inf, then NaN.

python examples/claims/c07_too_small_and_too_large_a_rate.py
"""

from __future__ import annotations

import numpy as np
from claim import Claim, Finding, main, panels, train
from sklearn.datasets import load_diabetes

from skopt_dl import MLPRegressor, lab
from skopt_dl.objectives import Quadratic
from skopt_dl.optimizers import SGD

# The largest curvature is 1, so plain descent should converge for rates below 2.
BOWL = Quadratic.of_condition(10.0, 5, seed=0)
PARABOLA = Quadratic([1.0])
START = [[3.0]]


def experiment():
    edges = np.array([0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 1.9, 1.99, 2.01, 2.1, 2.5, 3, 5])
    bowl = lab.compare(BOWL, "sgd", learning_rates=edges, starts=20, n_steps=3000)
    arrived = (bowl.table["outcome"] == "reached").reshape(len(edges), -1)
    small = np.array([0.005, 0.01, 0.02, 0.04])
    slow = lab.compare(PARABOLA, "sgd", learning_rates=small, starts=START, n_steps=3000)
    work = slow.table["steps_to_tolerance"] * small
    large = np.array([0.5, 0.9, 1.5, 1.9, 2.1])
    with np.errstate(all="ignore"):
        paths = lab.compare(
            PARABOLA, "sgd", learning_rates=large, starts=START, n_steps=9000, record=True
        )
        order = [lives(path) for path in paths.paths[:, :, 0]]
    turns = [int((path[1:21] * path[:20] < 0).sum()) for path in paths.paths[:, :, 0]]

    X, y = load_diabetes(return_X_y=True)
    hot = MLPRegressor(20, optimizer=SGD(10.0), max_iter=50, random_state=0)
    model = train([hot], X, y)[0]
    finite = all(np.isfinite(weights).all() for weights in model.coefs_)

    figure, (left, right) = panels()
    for rate in (0.1, 0.5, 1.9, 2.1):
        found = lab.compare(
            PARABOLA, "sgd", learning_rates=[rate], starts=START, n_steps=20, record=True
        )
        left.plot(found.paths[0, :, 0], label=f"rate {rate}", linewidth=1.2)
    left.set(xlabel="step", ylabel="x", ylim=(-12, 12), title="On x² / 2")
    left.legend(ncols=2)
    with np.errstate(all="ignore"):
        size = np.log10(np.abs(paths.paths[-1, :, 0]))
    right.plot(size)
    infinite, no_number = order[-1]
    right.axvline(infinite, color="#E69F00", linewidth=5, label=f"inf after {infinite:,} steps")
    right.axvline(no_number, color="#0072B2", linestyle="--", label=f"NaN after {no_number:,}")
    right.set(xlabel="step", ylabel="log₁₀ |x|", title="Rate 2.1 to its end", ylim=(0, 330))
    right.legend(loc="upper left")
    return figure, [
        Finding(
            "It converges for rates below 2 / (largest curvature), from everywhere, and for none "
            "above.",
            f"{arrived[edges < 2].mean():.0%} of {arrived[edges < 2].size} runs below, "
            f"{arrived[edges > 2].mean():.0%} of {arrived[edges > 2].size} above; 1.99 does, 2.01 "
            "does not",
            bool(arrived[edges < 2].all() and not arrived[edges > 2].any()),
        ),
        Finding(
            "Too small is slow in proportion: half the rate takes twice the steps (within 5 %).",
            f"steps × rate is {work.min():.2f} to {work.max():.2f} for rates from {small[0]} to "
            f"{small[-1]}",
            bool(work.max() / work.min() < 1.05),
        ),
        Finding(
            "From 1 / curvature on every step crosses the minimum, below none does.",
            ", ".join(f"{rate:g}: {n} of 20" for rate, n in zip(large, turns, strict=True)),
            turns == [0, 0, 20, 20, 20],
        ),
        Finding(
            "Above 2, numbers become inf, then NaN.",
            f"at rate 2.1, inf after {order[-1][0]:,} steps and NaN after {order[-1][1]:,}",
            order[-1][0] < order[-1][1] < np.inf,
        ),
        Finding(
            "A network's training at such a rate leaves weights that are not finite.",
            f"rate 10: all weights are {'finite' if finite else 'not finite'}, since the estimator "
            f"stops (after {model.n_iter_} epochs) and keeps its last good ones",
            not finite,
        ),
    ]


def lives(path):
    """The first step at which a path is infinite, and the first at which it is no number."""
    return [
        int(is_so.argmax()) if is_so.any() else np.inf for is_so in (np.isinf(path), np.isnan(path))
    ]


CLAIM = Claim(
    "Too small a rate is slow, too large a one oscillates, then gives inf, then NaN",
    "A bowl of five variables with curvatures from 0.1 to 1, the parabola x² / 2, and a network "
    "on the diabetes data.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
