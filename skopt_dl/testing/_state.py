"""Rules for slots: they are used, and they are all that a training goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skopt_dl.optimizers import Optimizer, Step
from skopt_dl.testing._bench import N_STEPS, draw, follow, precisions
from skopt_dl.testing._inspection import Inspection
from skopt_dl.testing._rules import broken

Array = Any

# Batched and single matrix products may round differently; a dependence is far larger.
TOLERANCE = 1e-6


def check_slots_are_used(optimizer: Optimizer) -> None:
    """A moving average that is computed but not kept is a classic."""
    used: set[str] = set()

    class Noting(Inspection):
        def update(
            self, grad: Array, state: Mapping[str, Array], params: Array, step: Step
        ) -> Array:
            change = super().update(grad, state, params, step)
            used.update(name for name, array in state.items() if array.any())
            return change

    path = follow([optimizer], *draw(1, precisions(optimizer)[0]), watch=Noting)
    for slot in path.slots[0]:
        if slot not in used:
            raise broken(
                optimizer,
                "Every slot is written to.",
                f"state[{slot!r}] was zero after each of {N_STEPS} steps",
                f"Update it in place, state[{slot!r}][...] = value; `m = beta * m + grad` only "
                "gives the name m to a new array. Or remove the slot.",
            )


def check_resumption(optimizer: Optimizer) -> None:
    """A training that is interrupted and goes on ends where it would have ended."""
    start, gradients = draw(1, precisions(optimizer)[0])
    half = len(gradients) // 2
    first = follow([optimizer], start, gradients[:half], n_in_all=len(gradients))
    # Between the two, what is kept elsewhere becomes another run's.
    at_once = follow([optimizer], start, gradients)
    second = follow([optimizer], first.trained, gradients[half:], n_done=half, slots=first.slots)
    moved = np.abs(at_once.trained - start).max()
    difference = np.abs(at_once.params[-1] - second.params[-1]).max()
    if not difference <= TOLERANCE * moved:
        raise broken(
            optimizer,
            "Slots are all that a training goes on from.",
            f"resumed after {half} of {len(gradients)} steps, it ends {difference:.3g} away from "
            f"where it ends without a break, of {moved:.3g}",
            "Keep in `slots` whatever a later step needs, counters as scalar slots; nothing in the "
            "class, in its module or in a closure.",
        )
