"""A look at every call of an optimizer's methods, for rules that hold whatever is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skopt_dl.optimizers import Optimizer, Step
from skopt_dl.optimizers.base import fill_state
from skopt_dl.testing._rules import broken

Array = Any


class Called(Optimizer):
    """Goes in front of an optimizer's class: has its methods called at every step."""

    traceable = False


class Inspection(Called):
    """Checks the rules whenever a method is called."""

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
                owner="check_self_is_left_alone",
            )
        _check_change(self, change, params, shape, dtype)
        _check_finite(self, change, state, sound, step.number)
        return change

    def eval_params(self, params: Array, state: Mapping[str, Array]) -> Array:
        before, arrays = params.copy(), dict(state)
        held = {name: array.copy() for name, array in state.items()}
        result = super().eval_params(params, state)
        _check_params(self, "eval_params", before, params)
        _check_state(self, "eval_params", arrays, state)
        written = [name for name, array in held.items() if not _same(array, state[name])]
        if written:
            raise broken(
                self,
                "eval_params changes nothing.",
                f"eval_params writes to state[{written[0]!r}]",
                "Return a new array; the state belongs to update.",
                owner="check_eval_params",
            )
        _check_predictors(self, result, params)
        return result


def _values(optimizer: Optimizer) -> dict[str, Any]:
    return {n: np.copy(v) if isinstance(v, np.ndarray) else v for n, v in vars(optimizer).items()}


def _same(a: Any, b: Any) -> bool:
    """Whether two values are one object, or arrays of the same bits."""
    if a is b:
        return True
    arrays = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    return arrays and a.shape == b.shape and a.tobytes() == b.tobytes()


def _check_params(optimizer: Any, method: str, before: Array, params: Array) -> None:
    if not _same(before, params):
        owner = "check_eval_params" if method == "eval_params" else "check_params_are_left_alone"
        raise broken(
            optimizer,
            f"{method} does not change `params`; the loop alone applies an update.",
            f"{method} changed {np.sum(before != params)} of {params.size} numbers of `params`",
            "Return the change, and write work to `grad` or step.scratch.",
            owner,
        )


def _check_state(
    optimizer: Any, method: str, given: Mapping[str, Array], state: Mapping[str, Array]
) -> None:
    rule = f"{method} updates the arrays in `state` in place, and makes no others."
    owner = "check_state_is_kept_in_place"
    strange = sorted(state.keys() ^ given.keys())
    if strange:
        raise broken(
            optimizer,
            rule,
            f"{method} added or removed {', '.join(map(repr, strange))}",
            f"List the names of all state arrays in `slots`, now {tuple(optimizer.slots)!r}.",
            owner,
        )
    for slot, array in given.items():
        if state[slot] is not array:
            raise broken(
                optimizer,
                rule,
                f"{method} put another array into state[{slot!r}]",
                f"Write to it: state[{slot!r}][...] = value, or xp.add(a, b, out=state[{slot!r}]).",
                owner,
            )


def _check_change(optimizer: Any, change: Any, params: Array, shape: Any, dtype: Any) -> None:
    rule = "update returns the change as an array of the gradient's shape and dtype."
    owner = "check_what_update_returns"
    if not isinstance(change, np.ndarray):
        fix = "End with `return change`, what is to be added to the parameters."
        raise broken(optimizer, rule, f"{type(change).__name__} was returned", fix, owner)
    if change.shape != shape:
        fix = "Reduce over axis 1 with keepdims=True, so that K stays the first axis."
        seen = f"shape {change.shape} for a gradient of shape {shape}"
        raise broken(optimizer, rule, seen, fix, owner)
    if change.dtype != dtype:
        raise broken(
            optimizer,
            rule,
            f"{change.dtype} for a gradient of {dtype}",
            "Find the float64 number or array that came in (NumPy scalars are such); use Python "
            "floats, and `coefficients` for what needs float64.",
            owner,
        )
    if np.shares_memory(change, params):
        fix = "Return a new array, `grad` or step.scratch."
        raise broken(optimizer, rule, "a view of `params` was returned", fix, owner)


def _check_finite(
    optimizer: Any, change: Array, state: Mapping[str, Array], sound: Array, number: int
) -> None:
    arrays = {"the change": change, **{f"state[{name!r}]": each for name, each in state.items()}}
    for what, array in arrays.items():
        if not np.isfinite(array[sound]).all():
            n_bad = int(np.sum(~np.isfinite(array[sound])))
            raise broken(
                optimizer,
                "Finite gradients, zero and tiny ones included, give finite changes and slots.",
                f"{n_bad} numbers that are not finite in {what}, in step {number}",
                "Add epsilon to what is divided by; mind squares that underflow to zero.",
                owner="check_small_gradients",
            )


def _check_predictors(optimizer: Any, result: Any, params: Array) -> None:
    owner = "check_eval_params"
    got = (getattr(result, "shape", None), getattr(result, "dtype", type(result)))
    if got != (params.shape, params.dtype):
        raise broken(
            optimizer,
            "eval_params returns an array of the shape and dtype of `params`.",
            f"{got[0]}, {got[1]}; params has {params.shape}, {params.dtype}",
            "Return the parameters to predict with, for all models.",
            owner,
        )
    if np.isfinite(params).all() and not np.isfinite(result).all():
        raise broken(
            optimizer,
            "eval_params returns finite parameters where those that are trained are finite.",
            f"{np.sum(~np.isfinite(result))} of {result.size} numbers are not",
            "Mind divisions by what is zero at the start, a sum of weights for one.",
            owner,
        )
