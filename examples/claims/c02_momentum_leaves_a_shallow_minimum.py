"""Momentum leaves a shallow minimum in which plain descent stays.

python examples/claims/c02_momentum_leaves_a_shallow_minimum.py
"""

from __future__ import annotations

import numpy as np
from claim import Claim, Finding, main, panels

from skopt_dl import lab
from skopt_dl.objectives import Polynomial
from skopt_dl.optimizers import Momentum

# A deep minimum near -1.07, a shallow one near 0.91, and a low hill between them.
WELLS = Polynomial([0.0, 0.6, -2.0, 0.0, 1.0], (-2.0, 2.0), "two wells")
MOMENTA = np.linspace(0.0, 0.98, 50)
# Far up the shallow side, half way, just beside the shallow minimum; and up the deep side.
STARTS = [[1.9], [1.5], [1.0], [-1.9]]


def experiment():
    optimizers = {f"{momentum:.2f}": Momentum(0.01, momentum) for momentum in MOMENTA}
    found = lab.compare(WELLS, optimizers, starts=STARTS, n_steps=3000, record=True)
    deep, shallow = (minimum.point[0] for minimum in WELLS.minima)
    in_deep = found.table["minimum"].reshape(len(MOMENTA), len(STARTS)) == 0
    far, _, beside, from_deep = in_deep.T
    above = MOMENTA[far].min() <= MOMENTA

    figure, (left, right) = panels()
    x = np.linspace(-1.85, 2.0, 300)
    left.plot(x, WELLS.value(x[:, None]), color="0.6", linestyle="-", linewidth=1)
    for momentum, marker, shift in ((0.0, "o", 0.0), (MOMENTA[far].min(), "s", 0.25)):
        row = found.table["optimizer"].tolist().index(f"{momentum:.2f}")
        path = found.paths[row]
        left.plot(
            path[:, 0], found.values[row] + shift, marker=marker, markersize=3, linewidth=0.7,
            label=f"momentum {momentum:.2f}",
        )  # fmt: skip
    left.set(xlabel="x", ylabel="f(x)", title="From x = 1.9 (the second drawn a little higher)")
    left.legend()
    ends = found.ends[:, 0].reshape(in_deep.shape)
    for kind, face, label in (
        (True, "#0072B2", "the deep one"),
        (False, "none", "the shallow one"),
    ):
        row, column = np.nonzero(in_deep == kind)
        right.scatter(MOMENTA[row], column, 22, facecolors=face, edgecolors="#0072B2", label=label)
    right.set(yticks=range(len(STARTS)), yticklabels=[start[0] for start in STARTS])
    right.set(
        xlabel="momentum", ylabel="start", title="The minimum that is reached", ylim=(-0.5, 4.6)
    )
    right.legend(ncols=2)
    return figure, [
        Finding(
            "Plain descent stays in the shallow minimum.",
            f"from x = 1.9 it ended at {ends[0, 0]:.3f}; that minimum is at {shallow:.3f}, the "
            f"deep one at {deep:.3f}",
            not far[0],
        ),
        Finding(
            "There are momenta with which the deep one is reached from there.",
            f"{far.sum()} of {len(MOMENTA)}, the smallest {MOMENTA[far].min():.2f}",
            bool(far.any()),
        ),
        Finding(
            "It is leaving that momentum does, not arriving with speed: from rest beside the "
            "shallow minimum (x = 1) it gets out, too.",
            f"with {beside.sum()} of {len(MOMENTA)} momenta",
            bool(beside.any()),
        ),
        Finding(
            "More momentum always helps: above the smallest that does, all do.",
            f"{int((above & ~far).sum())} of {int(above.sum())} do not",
            bool(far[above].all()),
        ),
        Finding(
            "It leaves the shallow minimum only: who starts above the deep one ends there.",
            f"from x = -1.9, {int((~from_deep).sum())} of {len(MOMENTA)} end elsewhere",
            bool(from_deep.all()),
        ),
    ]


CLAIM = Claim(
    "Momentum leaves a shallow minimum in which plain descent stays",
    "A polynomial of degree four with a shallow and a deep well; heavy ball with 50 momenta from "
    "four starting points, 3,000 steps at a learning rate of 0.01.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
