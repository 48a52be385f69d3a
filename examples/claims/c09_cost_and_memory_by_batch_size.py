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

X, Y = make_classification(2048, 64, n_informative=20, n_classes=4, random_state=0)
POWERS = [32, 64, 128, 256, 512]
SIZES = sorted({size + off for size in POWERS for off in (-1, 0, 1)} | {8, 16, 1024, 2048})
ROUNDS, EPOCHS = 5, 3


class Clock(EpochCallback):
    """Keeps the processor time at the end of each epoch."""

    def __init__(self, ticks=None):
        self.ticks = [] if ticks is None else ticks

    def after_epoch(self, model, memory):
        self.ticks.append(time.process_time())


def fitted(size, epochs):
    """Train a network in batches of this size; return the processor time of its epochs."""
    clock = Clock()
    model = MLPClassifier(
        64, batch_size=size, max_iter=epochs, n_iter_no_change=math.inf, random_state=0
    )
    train([model.set_callbacks(clock)], X, Y)
    return np.diff(clock.ticks)


def seconds():
    """Median time of an epoch, by batch size; rounds go through all sizes in turn."""
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
    cost = seconds()
    of_neighbours = {size: (cost[size - 1] + cost[size + 1]) / 2 for size in POWERS}
    gain = {size: 1 - cost[size] / of_neighbours[size] for size in POWERS}
    memory = {size: peak(size) for size in [8, 16, *POWERS, 1024, 2048]}

    figure, (left, right) = panels()
    others = [size for size in SIZES if size not in POWERS]
    left.plot(SIZES, [1e3 * cost[size] for size in SIZES], color="0.7", linewidth=1)
    for sizes, marker, label in ((POWERS, "o", "powers of two"), (others, "x", "others")):
        left.plot(sizes, [1e3 * cost[size] for size in sizes], marker, linestyle="none", label=label)
    left.set(xscale="log", yscale="log", xlabel="batch size", ylabel="milliseconds", title="Processor time of an epoch")
    left.legend()
    right.plot(list(memory), list(memory.values()), marker="o", label="measured")
    right.plot(
        list(memory), [memory[8] * size / 8 for size in memory], label="in proportion to the batch"
    )
    right.set(xscale="log", yscale="log", ylim=(min(memory.values()) / 2, 10 * max(memory.values())))
    right.set(xlabel="batch size", ylabel="megabytes", title="Most memory in a fit")
    right.legend()
    return figure, [
        Finding(
            "An epoch in batches of 512 takes at most half the time of one in batches of 8.",
            f"{1e3 * cost[512]:.1f} ms against {1e3 * cost[8]:.1f} ms",
            bool(cost[512] <= cost[8] / 2),
        ),
        Finding(
            "It goes on so: with all 2,048 at once it takes at most half the time of 512.",
            f"{1e3 * cost[2048]:.1f} ms",
            bool(cost[2048] <= cost[512] / 2),
        ),
        Finding(
            "A power of two is at least 5 % faster than the sizes just below and above, in at least "
            "four cases of five.",
            "faster by " + ", ".join(f"{gain[size]:.0%} ({size})" for size in POWERS),
            sum(each >= 0.05 for each in gain.values()) >= 4,
        ),
        Finding(
            "A larger batch takes more memory.",
            f"{memory[2048]:.1f} MB for 2,048 samples, {memory[8]:.1f} MB for 8",
            bool(memory[2048] > memory[8]),
        ),
        Finding(
            "It does so in proportion: twice the batch, at least 1.8 times the memory.",
            f"{memory[32] / memory[16]:.2f} times from 16 to 32, {memory[2048] / memory[1024]:.2f} "
            "times from 1,024 to 2,048",
            all(memory[2 * size] >= 1.8 * memory[size] for size in POWERS),
        ),
    ]


CLAIM = Claim(
    "Larger batches make cheaper epochs and take more memory, and powers of two are faster",
    "A network with 64 hidden units on 2,048 samples of 64 features. Processor time of an epoch: median of "
    "five rounds through all sizes. Memory: the most that is allocated in a fit at any moment.",
    experiment,
    timed=True,
)

if __name__ == "__main__":
    main(CLAIM)
