"""Rules for an update that is recorded once, and run as a program."""

from __future__ import annotations

import numpy as np

from skopt_dl.objectives import GivenGradients
from skopt_dl.optimizers import Optimizer
from skopt_dl.testing._bench import LAYOUT, draw, follow, precisions
from skopt_dl.testing._rules import broken, expecting
from skopt_dl.testing._stacks import TOLERANCE, variants_of
from skopt_dl.training import minimise

_RULE = "update computes and does nothing else, or the class says traceable = False."
_FIX = (
    "Numbers that change from step to step come from step.number, step.learning_rate and state; "
    "what counts, prints or draws says traceable = False."
)


def check(optimizer: Optimizer) -> str:
    """Compare the program with the code, and say whether there is one."""
    stacks = [[optimizer]]
    if optimizer.stackable:
        stacks.append(variants_of(optimizer, "learning_rate"))
    untraced = ""
    for stack in stacks:
        start, gradients = draw(len(stack), precisions(optimizer)[0])
        by_code = follow(stack, start, gradients)[-1]
        with expecting(optimizer, _RULE, _FIX):
            runs = minimise(
                GivenGradients(gradients, LAYOUT), stack, start.copy(), max_epochs=len(gradients)
            )
        untraced = runs[0].untraced
        if untraced:
            break
        moved = np.abs(by_code - start).max()
        difference = np.abs(np.array([run.params for run in runs]) - by_code).max()
        if not difference <= TOLERANCE * moved:
            seen = f"a program of the update ends {difference:.3g} away from it, of {moved:.3g}"
            raise broken(optimizer, _RULE, seen, _FIX)
    return f"not traced: {untraced}" if untraced else "traced"
