"""The optimizers: one rule of averaging, around two directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skopt_dl.optimizers import LogUniform, LogUniformBelowOne, Optimizer, Step
from skopt_dl.plugins.constraints import FRACTION, LEARNING_RATE, NOT_NEGATIVE
from skopt_dl.schedules import Schedule

Array = Any

# A rate of zero, as a warm-up may begin with, has no weight: 0 / 0 is to be 0.
TINY = 1e-30


class _ScheduleFree(Optimizer):
    """Three points instead of a schedule.

    Steps are taken from ``base``; its ``average`` predicts; and the parameters, at which the
    gradient is asked for, are a mixture of both.
    """

    average_power: float
    rate_power: float
    constraints = {
        "learning_rate": LEARNING_RATE,
        "weight_decay": NOT_NEGATIVE,
        "average_power": NOT_NEGATIVE,
        "rate_power": NOT_NEGATIVE,
    }
    elsewhere = {
        "warmup_steps": "a schedule that rises, as learning_rate",
        "r": "average_power",
        "weight_lr_power": "rate_power",
    }

    def init_state(
        self, state: dict[str, Array], params: Array, xp: Any, layout: Any = None
    ) -> None:
        state["base"][...] = params
        state["average"][...] = params

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        return {"age_weight": float(number) ** self.average_power}

    def move(
        self,
        direction: Array,
        mixing: Any,
        state: Mapping[str, Array],
        params: Array,
        step: Step,
    ) -> Array:
        """Take a step from ``base``, and return the change; `mixing` is the average's share."""
        xp, base, average, rate = step.xp, state["base"], state["average"], step.learning_rate
        largest, total = state["largest_rate"], state["weight_sum"]
        xp.maximum(largest, rate, out=largest)
        weight = step.coefficients["age_weight"] * largest**self.rate_power
        total += weight
        base -= rate * direction
        average += weight / (total + TINY) * (base - average)
        return (1 - mixing) * base + mixing * average - params

    def eval_params(self, params: Array, state: Mapping[str, Array]) -> Array:
        """The average."""
        return state["average"]


class ScheduleFreeAdamW(_ScheduleFree):
    """AdamW with an average in the place of a schedule (Defazio et al., 2024).

    A. Defazio, X. Yang, H. Mehta, K. Mishchenko, A. Khaled, A. Cutkosky: "The Road Less
    Scheduled", 2024, arXiv:2405.15682.

    Parameters
    ----------
    learning_rate : float or Schedule, default=2.5e-3
        A constant, or one that rises at the start.
    beta_1 : float, default=0.9
        Share of the average in the point where the gradient is asked for; takes the place of
        Adam's momentum.
    beta_2 : float, default=0.999
        Decay of the average of squared gradients.
    epsilon : float, default=1e-8
    weight_decay : float, default=0.0
        Every step also takes ``learning_rate * weight_decay`` of each weight.
    average_power : float, default=0.0
        The base of step t has weight ``t ** average_power`` in the average.
    rate_power : float, default=2.0
        And that of the largest learning rate so far, to this power.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("schedule_free_adamw", learning_rate=0.01)
    ScheduleFreeAdamW(learning_rate=0.01)
    """

    slots = {
        "base": "params",
        "average": "params",
        "squares": "params",
        "largest_rate": "scalar",
        "weight_sum": "scalar",
    }
    constraints = {
        **_ScheduleFree.constraints,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "epsilon": NOT_NEGATIVE,
    }
    elsewhere = {**_ScheduleFree.elsewhere, "betas": "two parameters, beta_1 and beta_2"}
    search_space = {
        "learning_rate": LogUniform(3e-4, 3e-1),
        "beta_1": LogUniformBelowOne(0.9, 0.99),
        "weight_decay": LogUniform(1e-4, 1.0),
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 2.5e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        average_power: float = 0.0,
        rate_power: float = 2.0,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.average_power = average_power
        self.rate_power = rate_power

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        """The bias correction of squares, and the weight of a step's age."""
        correction = (1 - self.beta_2**number) ** 0.5
        return {**super().coefficients(number, learning_rate), "correction": correction}

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``."""
        squares = state["squares"]
        squares *= self.beta_2
        squares += (1 - self.beta_2) * grad * grad
        scale = step.xp.sqrt(squares) / step.coefficients["correction"] + self.epsilon
        direction = grad / scale + self.weight_decay * params
        return self.move(direction, self.beta_1, state, params, step)


class ScheduleFreeSGD(_ScheduleFree):
    """SGD with an average in the place of a schedule (Defazio et al., 2024).

    A. Defazio, X. Yang, H. Mehta, K. Mishchenko, A. Khaled, A. Cutkosky: "The Road Less
    Scheduled", 2024, arXiv:2405.15682.

    Parameters
    ----------
    learning_rate : float or Schedule, default=1.0
        A constant, or one that rises at the start.
    momentum : float, default=0.9
        Share of the average in the point where the gradient is asked for.
    weight_decay : float, default=0.0
        Every step also takes ``learning_rate * weight_decay`` of each weight.
    average_power : float, default=0.0
        The base of step t has weight ``t ** average_power`` in the average.
    rate_power : float, default=2.0
        And that of the largest learning rate so far, to this power.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("schedule_free_sgd", learning_rate=0.5)
    ScheduleFreeSGD(learning_rate=0.5)
    """

    slots = {
        "base": "params",
        "average": "params",
        "largest_rate": "scalar",
        "weight_sum": "scalar",
    }
    constraints = {**_ScheduleFree.constraints, "momentum": FRACTION}
    search_space = {
        "learning_rate": LogUniform(1e-2, 1e1),
        "momentum": LogUniformBelowOne(0.8, 0.99),
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        average_power: float = 0.0,
        rate_power: float = 2.0,
    ):
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.average_power = average_power
        self.rate_power = rate_power

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``."""
        direction = grad + self.weight_decay * params
        return self.move(direction, self.momentum, state, params, step)
