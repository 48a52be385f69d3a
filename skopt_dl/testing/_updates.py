"""Rules for a model alone: what update is called with, what it returns, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skopt_dl.objectives import Layout
from skopt_dl.optimizers import Optimizer, Step
from skopt_dl.testing._bench import draw, follow, precisions
from skopt_dl.testing._inspection import Inspection
from skopt_dl.testing._rules import broken, expecting

Array = Any

# Networks with little, and with other tensors than matrices and biases.
LAYOUTS = {
    "one matrix": Layout.from_shapes([("coefs_0", "output", (3, 2))]),
    "one number": Layout.from_shapes([("coefs_0", "output", (1, 1))]),
    "stacked matrices": Layout.from_shapes(
        [
            ("coefs_0", "input", (3, 4, 2)),
            ("intercepts_0", "bias", (1, 6)),
            # As an embedding has it: a matrix of one row for each token.
            ("coefs_1", "hidden", (5, 1, 2)),
            ("positions_0", "bias", (1, 2, 3)),
            ("coefs_2", "output", (1, 2, 3)),
        ]
    ),
    "scales": Layout.from_shapes(
        [
            ("input_scaling", "norm", (1, 3)),
            ("coefs_0", "input", (3, 4)),
            ("layer_norm", "norm", (1, 4)),
            ("intercepts_0", "bias", (1, 4)),
            ("coefs_1", "output", (4, 2)),
        ]
    ),
}


def exercise(optimizer: Optimizer) -> None:
    """Run update as it is inspected at every step, in each precision."""
    for dtype in precisions(optimizer):
        follow([optimizer], *draw(1, dtype, n_steps=12))


def check_update_runs(optimizer: Optimizer) -> None:
    """Update runs, given arrays (K, P)."""
    exercise(optimizer)


def check_what_update_returns(optimizer: Optimizer) -> None:
    """Update returns the change: a new array, or the gradient's, of its shape and dtype."""
    exercise(optimizer)


def check_params_are_left_alone(optimizer: Optimizer) -> None:
    """Update does not change the parameters."""
    exercise(optimizer)


def check_self_is_left_alone(optimizer: Optimizer) -> None:
    """Update keeps nothing in self."""
    exercise(optimizer)


def check_state_is_kept_in_place(optimizer: Optimizer) -> None:
    """State arrays are written to, not replaced."""
    exercise(optimizer)


def check_eval_params(optimizer: Optimizer) -> None:
    """What a model predicts with is finite and like its parameters, and making it changes none."""
    exercise(optimizer)


def check_small_gradients(optimizer: Optimizer) -> None:
    """Zero and tiny gradients give finite changes."""
    for dtype in precisions(optimizer):
        start, gradients = draw(1, dtype, seed=1)
        zero, tiny = np.zeros_like(gradients), gradients * np.finfo(dtype).tiny
        for given in (zero, np.concatenate([tiny[:5], gradients[:5], zero[:5]])):
            follow([optimizer], start, given)


class _NoOverflow(Inspection):
    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        with np.errstate(over="raise"):
            return super().update(grad, state, params, step)


def check_large_gradients(optimizer: Optimizer) -> None:
    """Gradients whose squares and cubes are finite overflow nowhere."""
    for dtype in precisions(optimizer):
        start, gradients = draw(1, dtype, seed=1, n_steps=8)
        size = float(np.finfo(dtype).max) ** 0.3
        large = (np.sign(gradients) * size).astype(dtype)
        with expecting(
            optimizer,
            "Large gradients, whose squares and cubes are finite, overflow nowhere.",
            "Powers above the third overflow early, in float32 from 1e10 on: take the square of a "
            "ratio, not the ratio of fourth powers.",
        ):
            follow([optimizer], start, np.concatenate([large[:4], gradients]), watch=_NoOverflow)


def check_other_networks(optimizer: Optimizer) -> None:
    """Networks of other tensors can be trained: slots and views are made for what there is."""
    dtype = precisions(optimizer)[0]
    for name, layout in LAYOUTS.items():
        with expecting(
            optimizer,
            "update and slots work for every network's tensors.",
            f"It was a network of {name}: "
            + ", ".join(f"{each.role} {each.shape}" for each in layout.specs)
            + ". Ask the layout for what there is; treat matrices of the roles that are meant, and "
            "hand the others on.",
        ):
            optimizer.slot_shapes(layout)
            follow([optimizer], *draw(1, dtype, n_steps=4, layout=layout), layout=layout)


def check_repetition(optimizer: Optimizer) -> None:
    """Equal runs give equal results."""
    for dtype in precisions(optimizer):
        start, gradients = draw(1, dtype)
        first, second = (follow([optimizer], start, gradients).params for _ in range(2))
        if not np.array_equal(first, second):
            raise broken(
                optimizer,
                "Equal runs give equal results.",
                "two runs with the same gradients differ",
                "Keep state in `slots` only; draw no random numbers from a global generator.",
            )
