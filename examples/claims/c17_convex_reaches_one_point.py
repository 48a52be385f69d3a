"""On a convex function every start leads to one point, on others not.

python examples/claims/c17_convex_reaches_one_point.py
"""

from __future__ import annotations

import numpy as np
from claim import Claim, Finding, main, panels

from skopt_dl import lab
from skopt_dl.displays import BasinsDisplay, TrajectoryDisplay
from skopt_dl.objectives import Booth, Himmelblau, Polynomial, Rosenbrock
from skopt_dl.optimizers import SGD, Adam, Momentum

OPTIMIZERS = {"momentum": Momentum(0.01), "nesterov": "nesterov", "adam": Adam(0.05)}
# Convex, but flat along a line: (x - y)².
TROUGH = Polynomial([[0, 0, 1], [0, -2, 0], [1, 0, 0]], (-5.0, 5.0), "trough")


def ends(objective, optimizers=OPTIMIZERS, n_steps=2500):
    """Runs from random starts."""
    return lab.compare(objective, optimizers, starts=100, n_steps=n_steps)


def spread(found):
    """How far apart the ends are, as a share of the domain's diagonal."""
    diagonal = np.linalg.norm(found.objective.upper - found.objective.lower)
    return np.linalg.norm(np.ptp(found.ends, axis=0)) / diagonal


def experiment():
    bowl, trough, hills = (ends(each) for each in (Booth(), TROUGH, Himmelblau()))
    valley = ends(Rosenbrock(), Momentum(1e-4, 0.99), n_steps=6000)
    values = np.ptp(trough.table["final_value"])
    n_minima = len(set(hills.table["minimum"]) - {-1})
    lost = int((hills.table["minimum"] == -1).sum())
    momentum, adam = (
        hills.table["minimum"][hills.table["optimizer"] == name] for name in ("momentum", "adam")
    )

    figure, (left, right) = panels()
    corners = [[-8, -8], [8, 8], [-8, 8], [8, -8], [0, 9], [0, -9], [9, 0], [-9, 0]]
    rays = lab.compare(Booth(), SGD(0.05), starts=corners, n_steps=300, record=True)
    TrajectoryDisplay.from_comparison(rays, range(len(corners)), ax=left)
    left.get_legend().remove()
    left.set(title="Booth, convex: eight starts, one end")
    BasinsDisplay.from_objective(Himmelblau(), Momentum(0.01), resolution=50, n_steps=300, ax=right)
    right.set(title="Himmelblau: end by start")
    return figure, [
        Finding(
            "On a convex bowl, all starts and optimizers lead to one point (within a thousandth "
            "of the domain).",
            f"{len(bowl)} ends lie within {spread(bowl):.0e} of it",
            bool(spread(bowl) < 1e-3),
        ),
        Finding(
            "So they do on any convex function, such as (x - y)².",
            f"the ends are spread over {spread(trough):.0%} of the domain; their values differ by "
            f"{values:.0e} only",
            bool(spread(trough) < 1e-3),
        ),
        Finding(
            "On a function that is not convex, ends differ by start.",
            f"on Himmelblau's, {n_minima} of 4 minima are reached, {lost} of {len(hills)} runs "
            "end at none",
            n_minima > 1,
        ),
        Finding(
            "There they differ by optimizer, too.",
            f"from {int((momentum != adam).sum())} of {len(adam)} starts momentum and Adam end at "
            "different minima",
            bool((momentum != adam).any()),
        ),
        Finding(
            "They do so on any function that is not convex, such as Rosenbrock's.",
            f"{len(valley)} ends lie within {spread(valley):.0e} of the domain: it has one minimum",
            bool(spread(valley) >= 1e-3),
        ),
    ]


CLAIM = Claim(
    "On a convex function every start leads to one point, on others not",
    "100 random starts for momentum, Nesterov and Adam on a bowl, on a trough whose floor is a "
    "line, on Himmelblau's function, which has four minima; on Rosenbrock's, which has one, "
    "momentum alone.",
    experiment,
)

if __name__ == "__main__":
    main(CLAIM)
