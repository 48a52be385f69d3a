"""Where optimizers are tried: a small layout, given gradients, and a look at every update."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skopt_dl.objectives import GivenGradients, Layout, Objective, Quadratic
from skopt_dl.optimizers import Optimizer, Step
from skopt_dl.optimizers.base import fill_state
from skopt_dl.testing._rules import broken
from skopt_dl.training import TrainingResult, minimise

Array = Any

LAYOUT = Layout.from_shapes(
    [
        ("coefs_0", "input", (5, 4)),
        ("intercepts_0", "bias", (1, 4)),
        ("coefs_1", "hidden", (4, 3)),
        ("intercepts_1", "bias", (1, 3)),
        ("coefs_2", "output", (3, 2)),
        ("intercepts_2", "bias", (1, 2)),
    ]
)
N_STEPS = 30
# Convex; curvatures between 0.05 and 1.
QUADRATIC = Quadratic(np.linspace(0.05, 1.0, LAYOUT.size), layout=LAYOUT)


def draw(n_models: int, dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Starting points ``(K, P)`` and gradients ``(N_STEPS, K, P)``; row k does not depend on K."""
    rngs = [np.random.default_rng([seed, k]) for k in range(n_models)]
    start = np.stack([rng.normal(size=LAYOUT.size) for rng in rngs])
    # Every coordinate and every model has a scale of its own.
    scales = [10.0 ** rng.uniform(-2, 1) * 10.0 ** rng.uniform(-1, 1, LAYOUT.size) for rng in rngs]
    noise = np.stack([rng.normal(size=(N_STEPS, LAYOUT.size)) for rng in rngs], axis=1)
    return start.astype(dtype), (noise * np.stack(scales)).astype(dtype)


def precisions(optimizer: Optimizer) -> list[str]:
    """What the optimizer trains in."""
    return [optimizer.dtype] if optimizer.dtype is not None else ["float64", "float32"]


def train(
    objective: Objective,
    optimizers: Sequence[Optimizer],
    start: np.ndarray,
    n_steps: int = N_STEPS,
) -> tuple[np.ndarray, list[TrainingResult]]:
    """Run the real loop with optimizers of one class, and inspect every update.

    Returns
    -------
    path : ndarray of shape (n_steps, K, P)
        Parameters to predict with after each step; NaN where a model had stopped.
    runs : list of K TrainingResult
    """
    path = np.full((n_steps, *start.shape), np.nan, dtype=start.dtype)
    steps = iter(path)

    def note(params: Array, models: Sequence[int]) -> dict[str, np.ndarray]:
        next(steps)[list(models)] = params
        return {}

    cls = type(optimizers[0])
    inspecting = type(cls.__name__, (_Inspection, cls), {})
    inspected = [copy.copy(optimizer) for optimizer in optimizers]
    for optimizer in inspected:
        optimizer.__class__ = inspecting
    runs = minimise(objective, inspected, start.copy(), max_epochs=n_steps, validate=note)
    return path, runs


def follow(optimizers: Sequence[Optimizer], start: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Parameters after each of the given gradients, ``(n_steps, K, P)``."""
    return train(GivenGradients(gradients, LAYOUT), optimizers, start, len(gradients))[0]


class _Inspection(Optimizer):
    """Goes in front of an optimizer's class: checks the rules whenever the loop calls a method."""

    # At every step.
    traceable = False

    def init_state(
        self, state: dict[str, Array], params: Array, xp: Any, layout: Any = None
    ) -> None:
        given, before = dict(state), params.copy()
        fill_state(super().init_state, state, params, xp, layout)
        _check_state(self, "init_state", given, state)
        _check_params(self, "init_state", before, params)

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        arrays, before, attributes = dict(state), params.copy(), _values(self)
        shape, dtype = grad.shape, grad.dtype
        sound = np.isfinite(grad).all(axis=1) & np.isfinite(params).all(axis=1)
        change = super().update(grad, state, params, step)
        _check_params(self, "update", before, params)
        _check_state(self, "update", arrays, state)
        changed = sorted(name for name, value in _values(self).items() if name not in attributes)
        changed += sorted(n for n, v in attributes.items() if not _same(v, vars(self).get(n)))
        if changed:
            raise broken(
                self,
                "update changes nothing in self, which may be many models' configuration.",
                f"update sets self.{', self.'.join(changed)}",
                "Keep arrays in `slots`, and count steps with step.number.",
            )
        _check_change(self, change, params, shape, dtype)
        _check_finite(self, change[sound], step.number)
        return change

    def eval_params(self, params: Array, state: Mapping[str, Array]) -> Array:
        before, arrays = params.copy(), dict(state)
        result = super().eval_params(params, state)
        _check_params(self, "eval_params", before, params)
        _check_state(self, "eval_params", arrays, state)
        got = (getattr(result, "shape", None), getattr(result, "dtype", type(result)))
        if got != (params.shape, params.dtype):
            raise broken(
                self,
                "eval_params returns an array of the shape and dtype of `params`.",
                f"{got[0]}, {got[1]}; params has {params.shape}, {params.dtype}",
                "Return the parameters to predict with, for all models.",
            )
        return result


def _values(optimizer: Optimizer) -> dict[str, Any]:
    return {n: np.copy(v) if isinstance(v, np.ndarray) else v for n, v in vars(optimizer).items()}


def _same(a: Any, b: Any) -> bool:
    return a is b or (isinstance(a, np.ndarray) and np.array_equal(a, b, equal_nan=True))


def _check_params(optimizer: Any, method: str, before: Array, params: Array) -> None:
    if not np.array_equal(before, params, equal_nan=True):
        raise broken(
            optimizer,
            f"{method} does not change `params`; the loop alone applies an update.",
            f"{method} changed {np.sum(before != params)} of {params.size} numbers of `params`",
            "Return the change, and write work to `grad` or step.scratch.",
        )


def _check_state(
    optimizer: Any, method: str, given: Mapping[str, Array], state: Mapping[str, Array]
) -> None:
    rule = f"{method} updates the arrays in `state` in place, and makes no others."
    strange = sorted(state.keys() ^ given.keys())
    if strange:
        raise broken(
            optimizer,
            rule,
            f"{method} added or removed {', '.join(map(repr, strange))}",
            f"List the names of all state arrays in `slots`, now {tuple(optimizer.slots)!r}.",
        )
    for slot, array in given.items():
        if state[slot] is not array:
            raise broken(
                optimizer,
                rule,
                f"{method} put another array into state[{slot!r}]",
                f"Write to it: state[{slot!r}][...] = value, or xp.add(a, b, out=state[{slot!r}]).",
            )


def _check_change(optimizer: Any, change: Any, params: Array, shape: Any, dtype: Any) -> None:
    rule = "update returns the change as an array of the gradient's shape and dtype."
    if not isinstance(change, np.ndarray):
        fix = "End with `return change`, what is to be added to the parameters."
        raise broken(optimizer, rule, f"{type(change).__name__} was returned", fix)
    if change.shape != shape:
        fix = "Reduce over axis 1 with keepdims=True, so that K stays the first axis."
        seen = f"shape {change.shape} for a gradient of shape {shape}"
        raise broken(optimizer, rule, seen, fix)
    if change.dtype != dtype:
        raise broken(
            optimizer,
            rule,
            f"{change.dtype} for a gradient of {dtype}",
            "Find the float64 number or array that came in (NumPy scalars are such); use Python "
            "floats, and `coefficients` for what needs float64.",
        )
    if np.shares_memory(change, params):
        fix = "Return a new array, `grad` or step.scratch."
        raise broken(optimizer, rule, "a view of `params` was returned", fix)


def _check_finite(optimizer: Any, change: Array, number: int) -> None:
    if not np.isfinite(change).all():
        raise broken(
            optimizer,
            "Finite gradients, zero and tiny ones included, give finite changes.",
            f"{np.sum(~np.isfinite(change))} numbers that are not finite, in step {number}",
            "Add epsilon to what is divided by; mind squares that underflow to zero.",
        )
