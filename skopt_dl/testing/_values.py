"""Rules for values: an author's own reference, and what was declared to be reached."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any
from unittest import SkipTest

import numpy as np

from skopt_dl.objectives import FUNCTIONS, Layout
from skopt_dl.optimizers import Optimizer
from skopt_dl.testing._bench import LAYOUT, N_STEPS, draw, follow
from skopt_dl.testing._rules import broken, expecting
from skopt_dl.training import minimise

Reference = Callable[[Any, np.ndarray, np.ndarray, Layout], "np.ndarray | None"]

# Of each coordinate's largest value. Sums in another order differ by less, in float64; a term that
# is wrong by more.
TOLERANCE = 1e-10


def check_reference(optimizer: Optimizer, reference: Reference | None = None) -> str:
    """Parameters are those of the author's own code after every step, in float64."""
    if reference is None:
        raise SkipTest("no reference is given")
    start, gradients = draw(1, "float64", seed=5)
    # An epsilon shows where gradients are tiny.
    gradients[:, :, ::4] *= 1e-6
    with expecting(
        optimizer, "The reference runs.", "reference(optimizer, start, gradients, layout)"
    ):
        expected = reference(optimizer, start[0].copy(), gradients[:, 0].copy(), LAYOUT)
    if expected is None:
        raise SkipTest("the reference has no values for it")
    expected = np.asarray(expected, dtype=np.float64)
    path = follow([optimizer], start, gradients).params[:, 0]
    rule = "Parameters are those of the reference, step by step."
    if expected.shape != path.shape:
        raise broken(
            optimizer,
            rule,
            f"the reference is of shape {expected.shape}, for {path.shape}",
            "Return the parameters after each step, (n_steps, P).",
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.abs(path - expected) / np.abs(expected).max(axis=0)
    wrong = ~(off <= TOLERANCE)
    if wrong.any():
        number = int(wrong.any(axis=1).argmax())
        worst = int(np.argmax(np.where(np.isnan(off[number]), np.inf, off[number])))
        spec = next(s for s in reversed(LAYOUT.specs) if s.offset <= worst)
        raise broken(
            optimizer,
            rule,
            f"in step {number + 1} they differ first, by {off[number, worst]:.3g} of the largest "
            f"value, in {spec.name} ({spec.role}): {path[number, worst]:.17g} instead of "
            f"{expected[number, worst]:.17g}",
            "Compare term by term: which average is the old one, what is subtracted from one, "
            "where epsilon stands, what counts the steps.",
        )
    return f"{N_STEPS} steps within {TOLERANCE:g}"


def check_targets(optimizer: Optimizer) -> str:
    """Every target that the class declares is reached within its budget."""
    if not optimizer.targets:
        raise SkipTest("it declares no targets")
    reached = []
    for target in optimizer.targets:
        function = FUNCTIONS[target.function]()
        with expecting(optimizer, "A target names parameters of the optimizer.", f"{target}"):
            tuned = copy.copy(optimizer).set_params(**target.params)
            tuned.check_params()
        start = np.array(function.start, dtype="float64")[None]
        (run,) = minimise(function, tuned, start, max_epochs=target.n_steps)
        assert run.params is not None
        above = float(function.value(run.params)) - function.minimum
        if run.stop_reason == "diverged" or not above <= target.loss:
            raise broken(
                optimizer,
                "What `targets` declares is reached.",
                f"{target.function} is {above:.3g} above its minimum after {target.n_steps} steps "
                f"of {tuned!r}, not {target.loss:g}"
                + ", diverged"
                * (run.stop_reason == "diverged"),
                "Look for what has changed in update; or declare what it reaches.",
            )
        reached.append(f"{target.function} to {above:.2g}")
    return ", ".join(reached)
