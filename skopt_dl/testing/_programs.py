"""Rules for an update that is recorded once, and run as a program."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skopt_dl.objectives import GivenGradients
from skopt_dl.optimizers import Optimizer
from skopt_dl.programs import using_engine
from skopt_dl.testing._bench import LAYOUT, draw, follow, precisions
from skopt_dl.testing._engines import usable_engines
from skopt_dl.testing._rules import broken, expecting
from skopt_dl.testing._stacks import variants_of
from skopt_dl.testing._state import TOLERANCE
from skopt_dl.training import minimise

_RULE = "update computes and does nothing else, or the class says traceable = False."
_FIX = (
    "Numbers that change from step to step come from step.number, step.learning_rate and state; "
    "what counts, prints or draws says traceable = False."
)


def check_program(optimizer: Optimizer) -> str:
    """The program of an update does what its code does, on every engine; or there is none.

    Returns
    -------
    traced : str
        By which engines its program was run, or why there is none.
    """
    stacks = [[optimizer]]
    if optimizer.stackable:
        stacks.append(variants_of(optimizer, "learning_rate"))
    engines, unusable = usable_engines()
    for stack in stacks:
        start, gradients = draw(len(stack), precisions(optimizer)[0])
        by_code = follow(stack, start, gradients).params[-1]
        for engine in engines:
            with using_engine(engine):
                untraced = _compare(stack, start, gradients, by_code, engine)
            if untraced:
                return f"not traced: {untraced}"
    return f"traced, and run by {', '.join(engines)}{unusable}"


def _compare(
    stack: Sequence[Optimizer],
    start: np.ndarray,
    gradients: np.ndarray,
    by_code: np.ndarray,
    engine: str,
) -> str:
    """Train by the program, and compare; or say why there is none."""
    with expecting(stack[0], _RULE, _FIX):
        runs = minimise(
            GivenGradients(gradients, LAYOUT), stack, start.copy(), max_epochs=len(gradients)
        )
    if runs[0].untraced:
        return runs[0].untraced
    moved = np.abs(by_code - start).max()
    difference = np.abs(np.array([run.params for run in runs]) - by_code).max()
    if not difference <= TOLERANCE * moved:
        seen = (
            f"a program of the update, run by the engine {engine!r}, ends {difference:.3g} away "
            f"from it, of {moved:.3g}"
        )
        raise broken(stack[0], _RULE, seen, _FIX)
    return ""
