"""The optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skopt_dl.optimizers import LogUniform, LogUniformBelowOne, Optimizer, Step
from skopt_dl.plugins.constraints import FRACTION, LEARNING_RATE, NOT_NEGATIVE
from skopt_dl.schedules import Schedule

Array = Any


class Newcomer(Optimizer):
    """Gradient descent with a heavy ball (Polyak, 1964).

    Your method takes its place. Authors, year and arXiv number, written as above, are what
    `skopt-dl plugins list` shows as its paper.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.01
    momentum : float, default=0.9
        How much of a step goes into the next.
    weight_decay : float, default=0.0
        Every step also takes ``learning_rate * weight_decay`` of each weight.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("newcomer", learning_rate=0.1)
    Newcomer(learning_rate=0.1)
    """

    # Arrays that the method keeps from step to step, each of the shape of the parameters.
    slots = ("velocity",)
    # What hyperparameters may be, and where they are worth looking for.
    constraints = {
        "learning_rate": LEARNING_RATE,
        "momentum": FRACTION,
        "weight_decay": NOT_NEGATIVE,
    }
    search_space = {
        "learning_rate": LogUniform(1e-3, 1.0),
        "momentum": LogUniformBelowOne(0.5, 0.99),
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ):
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change of K models with P parameters each, ``(K, P)``."""
        velocity = state["velocity"]
        velocity *= self.momentum
        velocity += grad
        return -step.learning_rate * (velocity + self.weight_decay * params)
