"""The optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skopt_dl.optimizers import LogUniform, LogUniformBelowOne, Optimizer, Step
from skopt_dl.plugins.constraints import FRACTION, LEARNING_RATE, NOT_NEGATIVE
from skopt_dl.schedules import Schedule

Array = Any


class Lion(Optimizer):
    """The sign of an interpolated momentum (Chen et al., 2023, arXiv:2302.06675).

    Every weight moves by the learning rate, up or down. Good learning rates are three to ten
    times smaller than Adam's.

    Parameters
    ----------
    learning_rate : float or Schedule, default=1e-4
    beta_1 : float, default=0.9
        Weight of the momentum, against the gradient, in the direction of a step.
    beta_2 : float, default=0.99
        Decay of the momentum.
    weight_decay : float, default=0.0
        Every step also takes ``learning_rate * weight_decay`` of each weight.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("lion", learning_rate=3e-4)
    Lion(learning_rate=0.0003)
    """

    slots = ("momentum",)
    constraints = {
        "learning_rate": LEARNING_RATE,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "weight_decay": NOT_NEGATIVE,
    }
    # Three to ten times smaller rates than Adam's, and as much larger decays.
    search_space = {
        "learning_rate": LogUniform(1e-5, 1e-2),
        "beta_2": LogUniformBelowOne(0.9, 0.999),
        "weight_decay": LogUniform(1e-3, 10.0),
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-4,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float = 0.0,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.weight_decay = weight_decay

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``; works in place, in `grad` and in the scratch array."""
        xp, momentum, work = step.xp, state["momentum"], step.scratch
        # The average beta * m + (1 - beta) * g of both betas is g - beta * (g - m).
        xp.subtract(grad, momentum, out=work)
        xp.multiply(work, self.beta_2, out=momentum)
        xp.subtract(grad, momentum, out=momentum)
        xp.multiply(work, self.beta_1, out=work)
        xp.subtract(grad, work, out=work)
        # Not in place: NumPy takes ten times as long for a sign that overwrites its input.
        change = xp.sign(work, out=grad)
        xp.multiply(params, self.weight_decay, out=work)
        xp.add(change, work, out=change)
        return xp.multiply(change, -step.learning_rate, out=change)
