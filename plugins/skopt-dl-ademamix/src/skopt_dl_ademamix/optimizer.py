"""The optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from skopt_dl.optimizers import LogUniform, LogUniformBelowOne, Optimizer, Step
from skopt_dl.plugins.constraints import FRACTION, LEARNING_RATE, NOT_NEGATIVE, Interval, Options
from skopt_dl.schedules import Schedule

Array = Any

WARM_UP = (Interval(1, math.inf, "[)", integer=True), Options((None,)))
HALF = math.log(0.5)


class AdEMAMix(Optimizer):
    """AdamW with a second, slow average of gradients (Pagliardini et al., 2024).

    M. Pagliardini, P. Ablin, D. Grangier: "The AdEMAMix Optimizer: Better, Faster, Older", 2024,
    arXiv:2409.03137.

    Parameters
    ----------
    learning_rate : float or Schedule, default=1e-3
    beta_1 : float, default=0.9
        Decay of the fast average.
    beta_2 : float, default=0.999
        Decay of the average of squares.
    beta_3 : float, default=0.9999
        Decay of the slow average.
    mixing : float, default=2.0
        Weight of the slow average, which is not corrected for its start at zero.
    epsilon : float, default=1e-8
    weight_decay : float, default=0.0
        Every step also takes ``learning_rate * weight_decay`` of each weight.
    mixing_steps : int, default=None
        Updates until `mixing` is reached, from zero in equal parts; None means at once.
    beta_3_steps : int, default=None
        Updates until `beta_3` is reached, from `beta_1`, by a half-life that grows in equal
        parts; None means at once.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("ademamix", beta_3=0.999, mixing=5.0)
    AdEMAMix(beta_3=0.999, mixing=5.0)
    """

    slots = ("fast", "slow", "squares")
    constraints = {
        "learning_rate": LEARNING_RATE,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "beta_3": FRACTION,
        "mixing": NOT_NEGATIVE,
        "epsilon": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
        "mixing_steps": WARM_UP,
        "beta_3_steps": WARM_UP,
    }
    # The slow average has to be as long as the training, which may be short.
    search_space = {
        "learning_rate": LogUniform(1e-4, 1e-1),
        "beta_3": LogUniformBelowOne(0.99, 0.9999),
        "mixing": LogUniform(0.5, 8.0),
        "weight_decay": LogUniform(1e-4, 1.0),
    }
    elsewhere = {
        "betas": "three parameters, beta_1, beta_2 and beta_3",
        "alpha": "mixing",
        "alpha_warmup": "mixing_steps",
        "beta3_warmup": "beta_3_steps",
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        beta_3: float = 0.9999,
        mixing: float = 2.0,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        mixing_steps: int | None = None,
        beta_3_steps: int | None = None,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.beta_3 = beta_3
        self.mixing = mixing
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.mixing_steps = mixing_steps
        self.beta_3_steps = beta_3_steps

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        """The bias corrections of the fast average and of squares, and where the warm-ups are."""
        beta_3, mixing = self.beta_3, self.mixing
        if self.mixing_steps is not None and number < self.mixing_steps:
            mixing = mixing * (number / self.mixing_steps)
        if self.beta_3_steps is not None and number < self.beta_3_steps:
            beta_3 = _between(self.beta_1, self.beta_3, number / self.beta_3_steps)
            if not isinstance(beta_3, float):
                beta_3 = beta_3.astype(np.float64)
        return {
            "fast_correction": 1 - self.beta_1**number,
            "correction": (1 - self.beta_2**number) ** 0.5,
            "mixing": mixing,
            "kept": beta_3,
            # From float64: in float32 the difference of 0.9999 and 1 has few digits.
            "new": 1 - beta_3,
        }

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``."""
        now, fast, slow, squares = (step.coefficients, *(state[slot] for slot in self.slots))
        fast *= self.beta_1
        fast += (1 - self.beta_1) * grad
        slow *= now["kept"]
        slow += now["new"] * grad
        squares *= self.beta_2
        squares += (1 - self.beta_2) * grad * grad
        scale = step.xp.sqrt(squares) / now["correction"] + self.epsilon
        direction = (fast / now["fast_correction"] + now["mixing"] * slow) / scale
        return -step.learning_rate * (direction + self.weight_decay * params)


def decay_between(first: float, last: float, share: float) -> float:
    """The decay whose half-life is between those of two others."""
    # The authors' addend, for a decay of 0.
    lives = [HALF / math.log(decay + 1e-8) - 1 for decay in (first, last)]
    life = (1 - share) * lives[0] + share * lives[1]
    return 0.5 ** (1 / (life + 1))


# For columns number by number: NumPy's functions of arrays may round differently, and a model's
# steps would depend on its neighbours.
_between = np.frompyfunc(decay_between, 3, 1)
