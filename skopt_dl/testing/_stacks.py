"""Rules for stacks: several models in one call of ``update``."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Mapping, Sequence
from unittest import SkipTest

import numpy as np

from skopt_dl.optimizers import Optimizer
from skopt_dl.testing._bench import draw, follow, precisions
from skopt_dl.testing._inspection import Called
from skopt_dl.testing._rules import broken, expecting
from skopt_dl.testing._state import TOLERANCE

N_MODELS = 3
# Steps that models have behind them, in check_models_of_different_pasts, and all do from there.
PASTS, N_STEPS = (3, 64, 125), 61

Slots = Sequence[Mapping[str, np.ndarray]]


def check_models_are_independent(optimizer: Optimizer) -> None:
    """No model of a stack depends on its neighbours."""
    _compare(
        optimizer,
        [optimizer] * N_MODELS,
        "No model of a stack depends on its neighbours.",
        "Reduce over axis 1 (keepdims=True) or within layout.tensors, never over axis 0 or None.",
    )


def check_hyperparameters_may_differ(optimizer: Optimizer) -> None:
    """Models of a stack may have different values of each float."""
    for name, value in optimizer.get_params(deep=False).items():
        if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
            rule = f"Models of a stack may differ in {name}, which is a (K, 1) column then."
            fix = (
                f"Use self.{name} in array expressions, never `if self.{name}`, float() or range()."
                if name != "learning_rate"
                else "Use step.learning_rate, never self.learning_rate."
            )
            fix += " A class that cannot: stackable = False."
            _compare(optimizer, variants_of(optimizer, name), rule, fix)


def check_models_of_different_pasts(optimizer: Optimizer) -> None:
    """No model reads another one's slots: counters, for one, may differ."""
    dtype = precisions(optimizer)[0]
    _must_stack(optimizer)
    start, gradients = draw(N_MODELS, dtype, seed=4, n_steps=max(PASTS))
    slots: list[dict[str, np.ndarray]] = []
    for k, n_past in enumerate(PASTS):
        row = slice(k, k + 1)
        past = follow([optimizer], start[row], gradients[:n_past, row], watch=Called)
        start[k] = past.trained[0]
        slots += past.slots
    _compare(
        optimizer,
        [optimizer] * N_MODELS,
        "A model of a stack reads its own slots only.",
        "Slots have a row for each model: use them whole, xp.where(state['count'] > 9, …), and "
        "never one element, or its first row.",
        slots=slots,
        start=start,
    )


def variants_of(optimizer: Optimizer, name: str) -> list[Optimizer]:
    """The optimizer, and others with valid values of one hyperparameter, if it is a number."""
    variants, given = [optimizer], getattr(optimizer, name)
    if not isinstance(given, numbers.Real):
        return [optimizer] * N_MODELS
    value = float(given)
    for candidate in (value * 0.9, value * 0.5, 0.1, 0.01, value + 1, value + 2, 1.0):
        variant = copy.copy(optimizer)
        setattr(variant, name, candidate)
        try:
            variant.check_params()
        except ValueError:
            continue
        variants.append(variant)
    return variants[:N_MODELS]


def _must_stack(optimizer: Optimizer) -> None:
    if not optimizer.stackable:
        raise SkipTest("it says stackable = False")


def _compare(
    optimizer: Optimizer,
    variants: Sequence[Optimizer],
    rule: str,
    fix: str,
    slots: Slots | None = None,
    start: np.ndarray | None = None,
) -> None:
    """See that models go together where each goes alone, and that their slots are the same."""
    _must_stack(optimizer)
    n_models = len(variants)
    given, gradients = draw(n_models, precisions(optimizer)[0])
    n_done = 0
    if slots is not None:
        _, gradients = draw(n_models, precisions(optimizer)[0], n_steps=N_STEPS)
        n_done = max(PASTS)
    start = given if start is None else start
    alone = [
        follow(
            [variant],
            start[k : k + 1],
            gradients[:, k : k + 1],
            n_done=n_done,
            slots=None if slots is None else slots[k : k + 1],
            watch=Called,
        )
        for k, variant in enumerate(variants)
    ]
    with expecting(optimizer, rule, fix):
        together = follow(variants, start, gradients, n_done=n_done, slots=slots, watch=Called)
    for k, one in enumerate(alone):
        moved = np.abs(one.params - start[k]).max()
        difference = np.abs(together.params[:, k] - one.params[:, 0]).max()
        if not difference <= TOLERANCE * moved:
            seen = (
                f"model {k} of {n_models} moves by {moved:.3g} alone, and ends up to "
                f"{difference:.3g} away from that in the stack"
            )
            raise broken(optimizer, rule, seen, fix)
        for name, array in one.slots[0].items():
            held = together.slots[k][name]
            if not np.abs(held - array).max(initial=0) <= TOLERANCE * np.abs(array).max(initial=0):
                seen = f"state[{name!r}] of model {k} of {n_models} is another one than alone"
                raise broken(optimizer, rule, seen, fix)
