"""Momentum leaves a shallow minimum in which plain descent stays.

python examples/claims/c02_momentum_leaves_shallow_minimum.py
"""

from __future__ import annotations

import numpy as np
from claim import Claim, Finding, main

from skopt_dl import lab
from skopt_dl.objectives import Polynomial

# Minima near -1.02, the deep one, and 0.94, behind a low hill.
WELLS = Polynomial([0.0, 0.6, -2.0, 0.0, 1.0], (-2.0, 2.0), "two wells")
MOMENTA = np.linspace(0.0, 0.98, 50)


def experiment():
    from matplotlib import pyplot as plt

    from skopt_dl.optimizers import Momentum

    optimizers = {f"{momentum:.2f}": Momentum(0.01, momentum) for momentum in MOMENTA}
    found = lab.compare(WELLS, optimizers, starts=[[1.9]], n_steps=3000, record=True)
    deep = found.table["minimum"] == 0
    leaving = MOMENTA[deep]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    x = np.linspace(-1.9, 1.95, 300)
    left.plot(x, WELLS.value(x[:, None]), color="0.3")
    for row, style in ((0, "o"), (np.flatnonzero(deep)[0], "s")):
        path = found.paths[row, :400]
        left.plot(
            path[:, 0], found.values[row, :400], style, ms=3, label=f"momentum {MOMENTA[row]:.2f}"
        )
    left.set(xlabel="x", ylabel="f(x)", title="The first 400 steps from x = 1.9")
    left.legend()
    right.plot(MOMENTA, found.ends[:, 0], "o", ms=4)
    right.set(xlabel="momentum", ylabel="where the run ended", title="End by momentum")
    shallow = found.objective.minima[1].point[0]
    return figure, [
        Finding(
            "Plain descent stays in the shallow minimum.",
            f"it ended at x = {found.ends[0, 0]:.3f}; the minimum is at {shallow:.3f}",
            bool(found.table["minimum"][0] == 1),
        ),
        Finding(
            "There are momenta with which the deep one is reached.",
            f"{len(leaving)} of {len(MOMENTA)}, the smallest {leaving.min():.2f}",
            len(leaving) > 0,
        ),
        Finding(
            "More momentum always helps: above the smallest, all reach it.",
            f"{int((leaving.min() <= MOMENTA).sum() - len(leaving))} momenta above it do not",
            bool(deep[leaving.min() <= MOMENTA].all()),
        ),
    ]


CLAIM = Claim(
    "momentum_leaves_shallow_minimum",
    "Momentum leaves a shallow minimum in which plain descent stays",
    "A polynomial of degree four with a shallow and a deep well; heavy ball with 50 momenta from the far side "
    "of the shallow one, learning rate 0.01.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
