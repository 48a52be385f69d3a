"""Larger batches make cheaper epochs and take more memory; powers of two are faster.

python examples/claims/c09_cost_and_memory_by_batch_size.py
"""

from __future__ import annotations

import math
import time
import tracemalloc

import numpy as np
from claim import Claim, Finding, main, panels, train
from sklearn.datasets import make_classification

from skopt_dl import MLPClassifier
from skopt_dl.callbacks import EpochCallback

POWERS = [16, 32, 64, 128, 256]
SIZES = sorted({size + off for size in POWERS for off in (-1, 0, 1)} | {4, 8, 512, 1024})
# So many samples, or a few more, in an epoch: whole batches only, for a short one costs extra.
N_SAMPLES, ROUNDS, EPOCHS = 1024, 3, 3
X, Y = make_classification(2 * N_SAMPLES, 64, n_informative=20, n_classes=4, random_state=0)


class Clock(EpochCallback):
    """Keeps the processor time at the end of each epoch."""

    def __init__(self, ticks=None):
        self.ticks = [] if ticks is None else ticks

    def after_epoch(self, model, memory):
        self.ticks.append(time.process_time())


def fitted(size, epochs):
    """Train a network in batches of this size; return microseconds a sample, of each epoch."""
    clock, n_samples = Clock(), size * math.ceil(N_SAMPLES / size)
    model = MLPClassifier(
        64, batch_size=size, max_iter=epochs, n_iter_no_change=math.inf, random_state=0
    )
    train([model.set_callbacks(clock)], X[:n_samples], Y[:n_samples])
    return 1e6 * np.diff(clock.ticks) / n_samples


def costs():
    """Median of the microseconds by batch size; rounds go through all sizes in turn."""
    rounds = [[np.median(fitted(size, EPOCHS + 1)) for size in SIZES] for _ in range(ROUNDS)]
    return dict(zip(SIZES, np.median(rounds, axis=0), strict=True))


def peak(size):
    """The most memory that is allocated in a fit, in megabytes."""
    tracemalloc.start()
    fitted(size, 1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


def experiment():
    fitted(32, 1)  # What is imported or set up once is no part of what follows.
    cost = costs()
    gain = {size: 1 - cost[size] / ((cost[size - 1] + cost[size + 1]) / 2) for size in POWERS}
    memory = {size: peak(size) for size in [8, *POWERS, 512, 1024]}

    figure, (left, right) = panels()
    others = [size for size in SIZES if size not in POWERS]
    left.plot(SIZES, [cost[size] for size in SIZES], color="0.7", linewidth=1)
    for sizes, marker, label in ((POWERS, "o", "powers of two"), (others, "x", "others")):
        left.plot(sizes, [cost[size] for size in sizes], marker, linestyle="none", label=label)
    left.set_xscale("log", base=2)
    left.set(xlabel="batch size", ylabel="microseconds", ylim=(0, None))
    left.set(title="Processor time for a sample")
    left.legend()
    right.plot(list(memory), list(memory.values()), marker="o", label="measured")
    proportional = [memory[8] * size / 8 for size in memory]
    right.plot(list(memory), proportional, label="in proportion to the batch")
    right.set_xscale("log", base=2)
    right.set(xlabel="batch size", ylabel="megabytes", ylim=(0, 2 * max(memory.values())))
    right.set(title="Most memory in a fit")
    right.legend()
    return figure, [
        Finding(
            "A sample in batches of 256 costs at most half of what it does in batches of 8.",
            f"{cost[256]:.1f} μs against {cost[8]:.1f} μs",
            bool(cost[256] <= cost[8] / 2),
        ),
        Finding(
            "It goes on so: in batches of 1,024 it costs at most half of what it does in batches "
            "of 256.",
            f"{cost[1024]:.1f} μs",
            bool(cost[1024] <= cost[256] / 2),
        ),
        Finding(
            "A power of two is at least 5 % cheaper than the sizes just below and above, in at "
            "least four cases of five.",
            "by " + ", ".join(f"{100 * gain[size]:+.0f} % ({size})" for size in POWERS),
            sum(each >= 0.05 for each in gain.values()) >= 4,
        ),
        Finding(
            "A larger batch takes more memory.",
            f"{memory[1024]:.1f} MB with batches of 1,024, {memory[8]:.1f} MB with batches of 8",
            bool(memory[1024] > memory[8]),
        ),
        Finding(
            "It does so in proportion: twice the batch, at least 1.8 times the memory.",
            f"{memory[32] / memory[16]:.2f} times from 16 to 32, {memory[1024] / memory[512]:.2f} "
            "times from 512 to 1,024",
            all(memory[2 * size] >= 1.8 * memory[size] for size in POWERS),
        ),
    ]


CLAIM = Claim(
    "Larger batches make cheaper epochs and take more memory, and powers of two are faster",
    "A network with 64 hidden units on about 1,024 samples of 64 features, in whole batches. "
    "Processor time: median of three rounds through all sizes. Memory: the most that is allocated "
    "in a fit at any moment.",
    experiment,
    timed=True,
)

if __name__ == "__main__":
    main(CLAIM)
