"""The optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skopt_dl.optimizers import LogUniform, Optimizer, Step
from skopt_dl.plugins.constraints import (
    BOOLEAN,
    FRACTION,
    LEARNING_RATE,
    NOT_NEGATIVE,
    POSITIVE,
    Options,
)
from skopt_dl.schedules import Schedule

Array = Any


class Prodigy(Optimizer):
    """AdamW that finds its learning rate, as the distance it has come (Mishchenko & Defazio, 2023).

    K. Mishchenko, A. Defazio: "Prodigy: An Expeditiously Adaptive Parameter-Free Learner", 2023,
    arXiv:2306.06101.

    Parameters
    ----------
    learning_rate : float or Schedule, default=1.0
        A factor of the rate that is found.
    beta_1 : float, default=0.9
        Decay of the average of gradients.
    beta_2 : float, default=0.999
        Decay of the average of squares.
    beta_3 : float, default=None
        Decay of the sums that the distance is estimated from; None means the root of `beta_2`.
    epsilon : float, default=1e-8
    weight_decay : float, default=0.0
        Every step also takes ``rate * weight_decay`` of each weight, of the rate that is found.
    initial_distance : float, default=1e-6
        What the estimate starts from; it never falls.
    growth : float, default=1.0
        A factor of every estimate: more for larger steps.
    bias_correction : bool, default=False
        Whether Adam's averages are corrected for their start at zero.
    safeguard_warm_up : bool, default=False
        Whether steps of a small `learning_rate`, in a warm-up, count as much as others.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("prodigy", growth=2.0)
    Prodigy(growth=2.0)
    """

    slots = {
        "mean": "params",
        "squares": "params",
        "drift": "params",
        "start": "params",
        "numerator": "scalar",
        "distance": "scalar",
    }
    constraints = {
        "learning_rate": LEARNING_RATE,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "beta_3": (FRACTION, Options((None,))),
        "epsilon": POSITIVE,
        "weight_decay": NOT_NEGATIVE,
        "initial_distance": POSITIVE,
        "growth": POSITIVE,
        "bias_correction": BOOLEAN,
        "safeguard_warm_up": BOOLEAN,
    }
    # It finds the rate itself: a factor of ten up and down.
    search_space = {
        "learning_rate": LogUniform(0.1, 10.0),
        "weight_decay": LogUniform(1e-4, 1.0),
    }
    elsewhere = {
        "betas": "two parameters, beta_1 and beta_2",
        "d0": "initial_distance",
        "d_coef": "growth",
        "use_bias_correction": "bias_correction",
        "safeguard_warmup": "safeguard_warm_up",
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 1.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        beta_3: float | None = None,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        initial_distance: float = 1e-6,
        growth: float = 1.0,
        bias_correction: bool = False,
        safeguard_warm_up: bool = False,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.beta_3 = beta_3
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.initial_distance = initial_distance
        self.growth = growth
        self.bias_correction = bias_correction
        self.safeguard_warm_up = safeguard_warm_up

    def init_state(
        self, state: dict[str, Array], params: Array, xp: Any, layout: Any = None
    ) -> None:
        """Remember where the training starts, and the first estimate."""
        state["start"][...] = params
        state["distance"][...] = self.initial_distance

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        """The factor of the rate, and the decay of what the distance is estimated from."""
        factor, beta_3 = learning_rate, self.beta_3
        if self.bias_correction:
            factor = factor * (1 - self.beta_2**number) ** 0.5 / (1 - self.beta_1**number)
        return {"factor": factor, "beta_3": self.beta_2**0.5 if beta_3 is None else beta_3}

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``."""
        xp, beta_3, distance = step.xp, step.coefficients["beta_3"], state["distance"]
        mean, squares, drift = state["mean"], state["squares"], state["drift"]
        numerator = state["numerator"]
        rate = distance * step.coefficients["factor"]
        # Relative to the first estimate, whose square is small for a float32.
        relative = distance / self.initial_distance
        mean *= self.beta_1
        mean += distance * (1 - self.beta_1) * grad
        squares *= self.beta_2
        squares += (1 - self.beta_2) * (distance * grad) ** 2
        drift *= beta_3
        drift += relative * (distance if self.safeguard_warm_up else rate) * grad
        come = xp.sum(grad * (state["start"] - params), axis=1, keepdims=True)
        numerator *= beta_3
        numerator += relative * rate * come
        total = xp.sum(xp.abs(drift), axis=1, keepdims=True)
        # Where all gradients were zero there is nothing to learn from them.
        estimate = self.growth * numerator / xp.where(total > 0, total, 1.0)
        xp.maximum(distance, estimate, out=distance)
        direction = mean / (xp.sqrt(squares) + distance * self.epsilon)
        return -rate * (direction + self.weight_decay * params)
