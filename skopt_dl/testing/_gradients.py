"""Rules for what a method makes of the gradient, and of the learning rate."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Mapping
from typing import Any
from unittest import SkipTest

import numpy as np

from skopt_dl.optimizers import Optimizer, Step
from skopt_dl.schedules import Constant, Cosine
from skopt_dl.testing._bench import LAYOUT, QUADRATIC, draw, follow, precisions
from skopt_dl.testing._inspection import Called, Inspection
from skopt_dl.testing._rules import broken, expecting
from skopt_dl.training import minimise

Array = Any


def check_changes_depend_on_the_gradient(optimizer: Optimizer) -> None:
    """Other gradients of a tensor move it elsewhere."""
    dtype = precisions(optimizer)[0]
    start, gradients = draw(1, dtype, n_steps=12)
    _, others = draw(1, dtype, seed=3, n_steps=12)
    path = follow([optimizer], start, gradients).params
    for spec in LAYOUT.specs:
        columns = slice(spec.offset, spec.offset + spec.size)
        given = gradients.copy()
        given[:, :, columns] = others[:, :, columns]
        moved = follow([optimizer], start, given, watch=Called).params
        if np.array_equal(path[:, :, columns], moved[:, :, columns]):
            raise broken(
                optimizer,
                "The changes of every tensor depend on its gradient.",
                f"{spec.name} ({spec.role}) takes the same path for other gradients",
                "Look for a sign or a mask that is always the same, for arguments in another "
                "order than update(grad, state, params, step), or for tensors left out.",
            )


def check_gradient_elsewhere(optimizer: Optimizer) -> None:
    """What a method does with ``step.gradient``."""
    if "gradient" not in optimizer.needs:
        raise SkipTest("it does not list 'gradient' in needs")
    start, gradients = draw(1, precisions(optimizer)[0], n_steps=8)
    calls: list[int] = []

    class Asked(Inspection):
        keeps = False

        def update(
            self, grad: Array, state: Mapping[str, Array], params: Array, step: Step
        ) -> Array:
            given = step.gradient
            assert given is not None

            def gradient(at: Array) -> Array:
                calls.append(step.number)
                got = getattr(at, "shape", None), getattr(at, "dtype", type(at))
                if got != (params.shape, params.dtype):
                    raise broken(
                        self,
                        "step.gradient takes parameters (K, P) of the training's precision.",
                        f"{got[0]}, {got[1]}; params has {params.shape}, {params.dtype}",
                        "Give it the parameters of all models, not of one, nor of one tensor.",
                        owner="check_gradient_elsewhere",
                    )
                return given(at) if self.keeps else given(at).copy()

            step.gradient = gradient
            return super().update(grad, state, params, step)

    class AskedAgain(Asked):
        keeps = True

    path = follow([optimizer], start, gradients, watch=Asked).params
    if not calls:
        raise broken(
            optimizer,
            "A method that lists 'gradient' in `needs` asks for it.",
            f"step.gradient was not called in {len(gradients)} steps",
            "Remove it from `needs`: updates that need it cannot be recorded, and take longer.",
        )
    again = follow([optimizer], start, gradients, watch=AskedAgain).params
    if not np.array_equal(path, again):
        raise broken(
            optimizer,
            "What step.gradient returned is valid until its next call.",
            "the path is another one where each call writes to the same array",
            "Copy what is needed longer: xp.asarray(found, copy=True).",
        )


def check_schedules(optimizer: Optimizer) -> None:
    """A schedule works as learning_rate."""
    rule = "A schedule works as learning_rate."
    fix = "Use step.learning_rate in update, never self.learning_rate."
    start, gradients = draw(1, precisions(optimizer)[0])
    rate = optimizer.learning_rate
    rate = float(rate) if isinstance(rate, numbers.Real) else 0.01
    paths = []
    follow([optimizer], start, gradients)
    for learning_rate in (rate, Constant(rate), Cosine(rate)):
        scheduled = copy.copy(optimizer).set_params(learning_rate=learning_rate)
        with expecting(optimizer, rule, fix):
            paths.append(follow([scheduled], start, gradients).params)
    if not np.array_equal(paths[0], paths[1]):
        seen = "Constant(learning_rate) gives another path than the number"
        raise broken(optimizer, rule, seen, fix)
    if np.allclose(paths[0], paths[2], rtol=0, atol=1e-6 * np.abs(paths[0] - start).max()):
        raise broken(optimizer, rule, "a falling learning rate changes nothing", fix)


def check_progress(optimizer: Optimizer, n_steps: int = 200) -> None:
    """A convex quadratic gets smaller."""
    start, _ = draw(1, precisions(optimizer)[0], seed=2)
    (run,) = minimise(QUADRATIC, optimizer, start.copy(), max_epochs=n_steps)
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
