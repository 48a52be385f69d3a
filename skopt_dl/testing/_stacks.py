"""Rules for stacks: several models in one call of ``update``."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Sequence

import numpy as np

from skopt_dl.optimizers import Optimizer
from skopt_dl.testing._bench import draw, follow, precisions
from skopt_dl.testing._rules import broken, expecting

# Batched and single matrix products may round differently; a dependence is far larger.
TOLERANCE = 1e-6
N_MODELS = 3


def check(optimizer: Optimizer) -> None:
    """Check that a stack of models gives what each gives alone."""
    if not optimizer.stackable:
        return
    rule = "No model of a stack depends on its neighbours."
    fix = "Reduce over axis 1 (keepdims=True) or within layout.tensors, never over axis 0 or None."
    _compare(optimizer, [optimizer] * N_MODELS, rule, fix)
    for name, value in optimizer.get_params(deep=False).items():
        if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
            variants = variants_of(optimizer, name)
            rule = f"Models of a stack may differ in {name}, which is a (K, 1) column then."
            fix = (
                f"Use self.{name} in array expressions, never `if self.{name}`, float() or range()."
                if name != "learning_rate"
                else "Use step.learning_rate, never self.learning_rate."
            )
            _compare(optimizer, variants, rule, f"{fix} A class that cannot: stackable = False.")


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


def _compare(optimizer: Optimizer, variants: Sequence[Optimizer], rule: str, fix: str) -> None:
    start, gradients = draw(len(variants), precisions(optimizer)[0])
    rows = [slice(k, k + 1) for k in range(len(variants))]
    alone = np.concatenate(
        [
            follow([variant], start[row], gradients[:, row])
            for variant, row in zip(variants, rows, strict=True)
        ],
        axis=1,
    )
    with expecting(optimizer, rule, fix):
        together = follow(variants, start, gradients)
    moved = np.abs(alone - start).max(axis=(0, 2))
    difference = np.abs(together - alone).max(axis=(0, 2))
    if not (difference <= TOLERANCE * moved).all():
        worst = int(np.argmax(difference / np.where(moved > 0, moved, 1.0)))
        seen = (
            f"model {worst} of {len(variants)} moves by {moved[worst]:.3g} alone, and ends up to "
            f"{difference[worst]:.3g} away from that in the stack"
        )
        raise broken(optimizer, rule, seen, fix)
