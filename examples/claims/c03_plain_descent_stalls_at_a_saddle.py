"""Plain descent stalls at a saddle.

python examples/claims/c03_plain_descent_stalls_at_a_saddle.py
"""

from __future__ import annotations

import numpy as np
from claim import Claim, Finding, main, panels

from skopt_dl import lab
from skopt_dl.displays import TrajectoryDisplay
from skopt_dl.objectives import SaddleEscape

RATE, FAR = 0.05, 0.5
OFFSETS = 10.0 ** -np.arange(1, 9)
OPTIMIZERS = ["sgd", "momentum", "nesterov", "adam"]
SADDLE = SaddleEscape()


def steps_to_leave(found):
    """The first step after which each run is far from the saddle in the direction down."""
    far = np.abs(found.paths[:, :, 0]) > FAR
    return np.where(far.any(axis=1), far.argmax(axis=1), np.inf)


def experiment():
    ridge = lab.compare(SADDLE, "sgd", learning_rates=[RATE], starts=[[0.0, 1.5]], n_steps=2000)
    beside = lab.compare(
        SADDLE,
        OPTIMIZERS,
        learning_rates=[RATE],
        starts=np.stack([OFFSETS, np.full(len(OFFSETS), 1.5)], axis=1),
        n_steps=2000,
        record=True,
    )
    leaving = dict(
        zip(OPTIMIZERS, steps_to_leave(beside).reshape(len(OPTIMIZERS), -1), strict=True)
    )
    # Near the saddle each step multiplies x by 1 + RATE.
    expected = np.log(FAR / OFFSETS) / np.log1p(RATE)
    at_random = lab.compare(SADDLE, "sgd", learning_rates=[RATE], starts=1000, n_steps=2000)
    at_saddle = int((np.linalg.norm(at_random.ends, axis=1) < 0.1).sum())
    off = np.abs(leaving["sgd"] / expected - 1).max()

    figure, (left, right) = panels()
    shown = [OPTIMIZERS.index(name) * len(OFFSETS) + 3 for name in OPTIMIZERS]
    TrajectoryDisplay.from_comparison(beside, shown, ax=left)
    left.set(title=f"From {OFFSETS[3]:g} beside the ridge")
    for (name, steps), marker in zip(leaving.items(), "osv^", strict=True):
        right.plot(OFFSETS, steps, marker=marker, markersize=4, label=name)
    right.plot(
        OFFSETS, expected, color="0.6", linewidth=4, alpha=0.5, label="log(0.5 / d) / log 1.05"
    )
    right.set(xscale="log", xlabel="distance d from the ridge", ylabel="steps")
    right.set(title="Steps until the saddle is left", ylim=(0, None))
    right.legend()
    return figure, [
        Finding(
            "Started on the ridge exactly, it ends at the saddle.",
            f"after 2,000 steps it is {np.linalg.norm(ridge.ends[0]):.0e} away from it",
            bool(np.linalg.norm(ridge.ends[0]) < 1e-6),
        ),
        Finding(
            "Started beside the ridge, it does so, too.",
            f"{int(np.isinf(leaving['sgd']).sum())} of {len(OFFSETS)} starts from "
            f"{OFFSETS.min():.0e} to {OFFSETS.max():g} beside it; all others are gone after at "
            f"most {leaving['sgd'].max():.0f} steps",
            bool(np.isinf(leaving["sgd"]).all()),
        ),
        Finding(
            "Some of the starts that are drawn at random lead to the saddle.",
            f"{at_saddle} of {len(at_random)}",
            at_saddle > 0,
        ),
        Finding(
            "It lingers: ten times nearer to the ridge, it takes as many steps more each time "
            "(log 10 / log(1 + rate), within 10 %).",
            f"{leaving['sgd'][0]:.0f} steps from 0.1, {leaving['sgd'][-1]:.0f} from 1e-08; at most "
            f"{off:.0%} from the formula",
            bool(off <= 0.1),
        ),
        Finding(
            "Momentum, Nesterov and Adam leave sooner, from everywhere.",
            ", ".join(f"{name} {steps[-1]:.0f}" for name, steps in leaving.items())
            + " steps from 1e-08",
            all((leaving[name] < leaving["sgd"]).all() for name in OPTIMIZERS[1:]),
        ),
    ]


CLAIM = Claim(
    "Plain descent stalls at a saddle",
    "Two valleys with a pass between them, x⁴ / 4 - x² / 2 + y² / 2; the ridge that leads down "
    "to the saddle is x = 0. 2,000 steps at a learning rate of 0.05.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
