"""What experiments of the lab take: ``benchmarks lab``."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from benchmarks import report
from skopt_dl import lab
from skopt_dl.objectives import FUNCTIONS

# Seconds that 10,000 runs of 1,000 steps in two variables may take.
LIMIT = 10.0
OPTIMIZERS = (
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "amsgrad", "nadam",
    "adamw",
)  # fmt: skip
RATES = np.logspace(-4, -1, 10)


def _compare(name: str) -> float:
    began = time.perf_counter()
    found = lab.compare(
        FUNCTIONS[name](), OPTIMIZERS, learning_rates=RATES, starts=100, n_steps=1000
    )
    assert len(found) == 10_000
    return time.perf_counter() - began


def _alone(name: str) -> float:
    """One run of these, of Adam, as it would be made by itself."""
    began = time.perf_counter()
    lab.compare(FUNCTIONS[name](), "adam", n_steps=1000)
    return time.perf_counter() - began


def run(rounds: int, save: bool = False) -> bool:
    """Time 10,000 runs of ten optimizers on three functions, and one run alone."""
    names = ("rosenbrock", "himmelblau", "rastrigin")
    times = {name: [_compare(name) for _ in range(rounds)] for name in names}
    alone = {name: median(_alone(name) for _ in range(max(3, rounds))) for name in names}
    taken = {name: median(seconds) for name, seconds in times.items()}
    rows = [
        [name, f"{seconds:.2f}", f"{alone[name]:.3f}", report.verdict(seconds <= LIMIT)]
        for name, seconds in taken.items()
    ]
    header = ["10,000 runs of 1,000 steps", "median, s", "one run alone, s", f"at most {LIMIT:g} s"]
    report.print_table(header, rows)
    if save:
        report.save("lab", {"seconds": times, "alone": alone})
    return max(taken.values()) <= LIMIT
