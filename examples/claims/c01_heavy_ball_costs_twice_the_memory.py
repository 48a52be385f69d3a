"""Heavy ball costs twice the memory of plain descent.

python examples/claims/c01_heavy_ball_costs_twice_the_memory.py
"""

from __future__ import annotations

import tracemalloc

import numpy as np
from claim import Claim, Finding, main, panels

from skopt_dl import make_optimizer
from skopt_dl.objectives import Plateau
from skopt_dl.training import minimise

N_PARAMS = 200_000
OPTIMIZERS = ["sgd", "momentum", "adagrad", "adam", "amsgrad"]


def peak(name):
    """The most memory that a training takes at any moment, in numbers for each parameter."""
    objective, start = Plateau(N_PARAMS), np.full((1, N_PARAMS), 0.01)
    tracemalloc.start()
    minimise(objective, make_optimizer(name), start, max_epochs=5)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The parameters themselves were there before.
    return 1 + most / start.nbytes


def experiment():
    kept = {name: len(make_optimizer(name).slots) for name in OPTIMIZERS}
    # Imports on the way, and other threads of the process, can only add to it.
    peaks = {name: min(peak(name) for _ in range(3)) for name in OPTIMIZERS}
    update = (2 + kept["momentum"]) / (2 + kept["sgd"])
    training = peaks["momentum"] / peaks["sgd"]

    figure, (left, right) = panels(sharey=True)
    parts = np.array([[1, 1, kept[name]] for name in OPTIMIZERS]).T
    below = np.cumsum(parts, axis=0) - parts
    looks = [("parameters", "0.35", ""), ("gradient", "0.75", ""), ("slots", "#E69F00", "//")]
    for (label, colour, hatch), size, start in zip(looks, parts, below, strict=True):
        left.barh(OPTIMIZERS, size, left=start, color=colour, hatch=hatch, label=label)
    left.set(xlabel="numbers for each parameter", title="What an update works on")
    left.legend()
    right.barh(OPTIMIZERS, peaks.values(), color="#0072B2")
    right.set(xlabel="numbers for each parameter", title="Most memory in a training, measured")
    left.invert_yaxis()
    return figure, [
        Finding(
            "Heavy ball keeps one number for each parameter from step to step, its velocity; plain "
            "descent keeps none.",
            f"{kept['momentum']} and {kept['sgd']}",
            (kept["momentum"], kept["sgd"]) == (1, 0),
        ),
        Finding(
            "Parameters and what is kept are twice as much as for plain descent.",
            f"{(1 + kept['momentum']) / (1 + kept['sgd']):.2f} times",
            (1 + kept["momentum"]) / (1 + kept["sgd"]) == 2,
        ),
        Finding(
            "With the gradient, which both need, it still is twice as much (1.9 to 2.1 times).",
            f"{update:.2f} times",
            1.9 <= update <= 2.1,
        ),
        Finding(
            "A training takes twice the memory (1.9 to 2.1 times).",
            f"{training:.2f} times: {peaks['momentum']:.1f} and {peaks['sgd']:.1f} numbers for "
            "each parameter at the peak",
            1.9 <= training <= 2.1,
        ),
    ]


CLAIM = Claim(
    "Heavy ball costs twice the memory of plain descent",
    "A function of 200,000 variables, five steps of each optimizer. All memory that is allocated "
    "is counted: besides parameters, gradient and slots, a training holds work arrays and copies "
    "to fall back on.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
