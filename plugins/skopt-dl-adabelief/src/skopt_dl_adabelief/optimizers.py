"""The optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skopt_dl.optimizers import LogUniform, LogUniformBelowOne, Optimizer, Step
from skopt_dl.plugins.constraints import BOOLEAN, FRACTION, LEARNING_RATE, NOT_NEGATIVE
from skopt_dl.schedules import Schedule

Array = Any

_ADAM: dict[str, Any] = {
    "learning_rate": LEARNING_RATE,
    "beta_1": FRACTION,
    "beta_2": FRACTION,
    "epsilon": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
}
_SPACE = {
    "learning_rate": LogUniform(1e-4, 1e-1),
    "beta_2": LogUniformBelowOne(0.9, 0.999),
    "weight_decay": LogUniform(1e-4, 1.0),
}
_BETAS = {"betas": "two parameters, beta_1 and beta_2"}


class AdaBelief(Optimizer):
    """Steps that are long where gradients are as expected (Zhuang et al., 2020).

    J. Zhuang, T. Tang, Y. Ding, S. Tatikonda, N. Dvornek, X. Papademetris, J. Duncan: "AdaBelief
    Optimizer: Adapting Stepsizes by the Belief in Observed Gradients", NeurIPS 2020,
    arXiv:2010.07468.

    Parameters
    ----------
    learning_rate : float or Schedule, default=1e-3
    beta_1 : float, default=0.9
        Decay of the average of gradients, which is what a gradient is expected to be.
    beta_2 : float, default=0.999
        Decay of the average of squared deviations from it.
    epsilon : float, default=1e-16
        Added to the average of squares in every step, and to its root. Compare it with the square
        of Adam's.
    weight_decay : float, default=0.0
        Every step also takes ``learning_rate * weight_decay`` of each weight.
    rectify : bool, default=True
        Correct for how uncertain the average of squares is at first, as `RAdam` does.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("adabelief", learning_rate=0.003, rectify=False)
    AdaBelief(learning_rate=0.003, rectify=False)
    """

    slots = ("mean", "variance")
    constraints = {**_ADAM, "rectify": BOOLEAN}
    search_space = _SPACE
    elsewhere = {
        **_BETAS,
        "amsgrad": "not offered; of Adam there is AMSGrad(0.001)",
        "weight_decouple": "always decoupled; the coupled penalty is the model's alpha",
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-16,
        weight_decay: float = 0.0,
        rectify: bool = True,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.rectify = rectify

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        """The weights of the plain and of the scaled average, and the correction of the root."""
        if self.rectify:
            return {**rectified(self, number), "correction": 1.0}
        correction = (1 - self.beta_2**number) ** 0.5
        return {"plain": 0.0, "scaled": 1 / (1 - self.beta_1**number), "correction": correction}

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``."""
        now, mean, variance = step.coefficients, state["mean"], state["variance"]
        mean *= self.beta_1
        mean += (1 - self.beta_1) * grad
        surprise = grad - mean
        variance *= self.beta_2
        variance += (1 - self.beta_2) * surprise * surprise
        variance += self.epsilon
        scale = step.xp.sqrt(variance) / now["correction"] + self.epsilon
        direction = mean * (now["plain"] + now["scaled"] / scale)
        return -step.learning_rate * (direction + self.weight_decay * params)


class RAdam(Optimizer):
    """Adam that begins as momentum, until its squares are worth dividing by (Liu et al., 2020).

    L. Liu, H. Jiang, P. He, W. Chen, X. Liu, J. Gao, J. Han: "On the Variance of the Adaptive
    Learning Rate and Beyond", ICLR 2020, arXiv:1908.03265.

    Parameters
    ----------
    learning_rate : float or Schedule, default=1e-3
    beta_1 : float, default=0.9
        Decay of the average of gradients.
    beta_2 : float, default=0.999
        Decay of the average of squares.
    epsilon : float, default=1e-8
        Added to the root of the uncorrected average.
    weight_decay : float, default=0.0
        Every step also takes ``learning_rate * weight_decay`` of each weight.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("radam", learning_rate=0.003, beta_2=0.99)
    RAdam(beta_2=0.99, learning_rate=0.003)
    """

    slots = ("mean", "squares")
    constraints = _ADAM
    search_space = _SPACE
    elsewhere = {
        **_BETAS,
        "decoupled_weight_decay": "always decoupled; the coupled penalty is the model's alpha",
        "degenerated_to_sgd": "always so: the first steps are momentum's",
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        """The weights of the plain and of the scaled average."""
        return rectified(self, number)

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``."""
        now, mean, squares = step.coefficients, state["mean"], state["squares"]
        mean *= self.beta_1
        mean += (1 - self.beta_1) * grad
        squares *= self.beta_2
        squares += (1 - self.beta_2) * grad * grad
        scale = step.xp.sqrt(squares) + self.epsilon
        direction = mean * (now["plain"] + now["scaled"] / scale)
        return -step.learning_rate * (direction + self.weight_decay * params)


def rectified(h: Any, number: int) -> dict[str, Any]:
    """What multiplies the average of gradients as it is, and over the uncorrected root.

    One of them is zero: an update that is recorded does the same in every step.
    """
    share = _rectification(h.beta_2, number)
    if not isinstance(share, float):
        share = share.astype(np.float64)
    corrected = 1 / (1 - h.beta_1**number)
    scaled = share * (1 - h.beta_2**number) ** 0.5 * corrected
    return {"plain": (share == 0) * corrected, "scaled": scaled}


def rectification(beta_2: float, number: int) -> float:
    """How much of a step the average of squares is good for; 0 where its variance is infinite."""
    power = beta_2**number
    # The length of a plain average that is as uncertain: in the end, and now.
    last = 2 / (1 - beta_2) - 1
    length = last - 2 * number * power / (1 - power)
    if length <= 5:
        return 0.0
    shares = (length - 4) * (length - 2) * last / ((last - 4) * (last - 2) * length)
    return float(shares**0.5)


# For columns number by number: which formula holds differs from model to model.
_rectification = np.frompyfunc(rectification, 2, 1)
