"""Rules for a model alone: state, precision, repetition, schedules, progress."""

from __future__ import annotations

import copy
import numbers

import numpy as np

from skopt_dl.objectives import GivenGradients
from skopt_dl.optimizers import Optimizer
from skopt_dl.schedules import Constant, Cosine
from skopt_dl.testing._bench import (
    LAYOUT,
    QUADRATIC,
    draw,
    follow,
    precisions,
    train,
)
from skopt_dl.testing._rules import broken, expecting

_RUNS = "update runs, given arrays (K, P)."
_SEE_ABOVE = "The exception above says where."


def check(optimizer: Optimizer) -> None:
    """Check everything about one model's updates."""
    for dtype in precisions(optimizer):
        _check_repetition(optimizer, dtype)
        _check_small_gradients(optimizer, dtype)
    dtype = precisions(optimizer)[0]
    _check_that_slots_are_used(optimizer, dtype)
    _check_schedules(optimizer, dtype)
    _check_progress(optimizer, dtype)


def _check_repetition(optimizer: Optimizer, dtype: str) -> None:
    start, gradients = draw(1, dtype)
    with expecting(optimizer, _RUNS, _SEE_ABOVE):
        first, second = (follow([optimizer], start, gradients) for _ in range(2))
    if not np.array_equal(first, second):
        raise broken(
            optimizer,
            "Equal runs give equal results.",
            "two runs with the same gradients differ",
            "Keep state in `slots` only; draw no random numbers from a global generator.",
        )


def _check_small_gradients(optimizer: Optimizer, dtype: str) -> None:
    start, gradients = draw(1, dtype, seed=1)
    zero, tiny = np.zeros_like(gradients), gradients * np.finfo(dtype).tiny
    for given in (zero, np.concatenate([tiny[:5], gradients[:5], zero[:5]])):
        with expecting(optimizer, _RUNS, _SEE_ABOVE):
            follow([optimizer], start, given)


def _check_that_slots_are_used(optimizer: Optimizer, dtype: str) -> None:
    """A moving average that is computed but not kept is a classic."""
    start, gradients = draw(1, dtype)
    _, (run,) = train(GivenGradients(gradients, LAYOUT), [optimizer], start)
    for slot, array in run.state["slots"].items():
        if not array.any():
            raise broken(
                optimizer,
                "Every slot is written to.",
                f"state[{slot!r}] is still zero after {len(gradients)} steps",
                f"Update it in place, state[{slot!r}][...] = value; `m = beta * m + grad` only "
                "gives the name m to a new array. Or remove the slot.",
            )


def _check_schedules(optimizer: Optimizer, dtype: str) -> None:
    rule = "A schedule works as learning_rate."
    fix = "Use step.learning_rate in update, never self.learning_rate."
    start, gradients = draw(1, dtype)
    rate = optimizer.learning_rate
    rate = float(rate) if isinstance(rate, numbers.Real) else 0.01
    paths = []
    for learning_rate in (rate, Constant(rate), Cosine(rate)):
        scheduled = copy.copy(optimizer).set_params(learning_rate=learning_rate)
        with expecting(optimizer, rule, fix):
            paths.append(follow([scheduled], start, gradients))
    if not np.array_equal(paths[0], paths[1]):
        seen = "Constant(learning_rate) gives another path than the number"
        raise broken(optimizer, rule, seen, fix)
    if np.allclose(paths[0], paths[2], rtol=0, atol=1e-6 * np.abs(paths[0] - start).max()):
        raise broken(optimizer, rule, "a falling learning rate changes nothing", fix)


def _check_progress(optimizer: Optimizer, dtype: str, n_steps: int = 200) -> None:
    start, _ = draw(1, dtype, seed=2)
    with expecting(optimizer, _RUNS, _SEE_ABOVE):
        _, (run,) = train(QUADRATIC, [optimizer], start, n_steps)
    assert run.params is not None
    before, after = QUADRATIC.value(start[0]), QUADRATIC.value(run.params)
    if run.stop_reason == "diverged" or not after < before:
        raise broken(
            optimizer,
            f"{n_steps} steps make a convex quadratic smaller.",
            f"from {before:.6g} to {after:.6g}" + ", diverged" * (run.stop_reason == "diverged"),
            "update returns what is added: a step downhill is -learning_rate * direction. Or pass "
            "a smaller learning_rate; curvatures are at most 1.",
        )
