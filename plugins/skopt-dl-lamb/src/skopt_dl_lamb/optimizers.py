"""The optimizers: each changes a weight matrix by a share of its own length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from skopt_dl.objectives import Layout
from skopt_dl.optimizers import LogUniform, LogUniformBelowOne, Optimizer, Step
from skopt_dl.plugins.constraints import (
    BOOLEAN,
    FRACTION,
    LEARNING_RATE,
    NOT_NEGATIVE,
    POSITIVE,
)
from skopt_dl.schedules import Schedule

Array = Any

# Biases, and what normalisations scale and shift by, are neither decayed nor adapted.
EXCLUDED = ("bias", "norm")


class LAMB(Optimizer):
    """Adam's direction, as long as a share of the layer's weights (You et al., 2020).

    Y. You, J. Li, S. Reddi, J. Hseu, S. Kumar, S. Bhojanapalli, X. Song, J. Demmel, K. Keutzer,
    C.-J. Hsieh: "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", ICLR
    2020, arXiv:1904.00962.

    Parameters
    ----------
    learning_rate : float or Schedule, default=3e-3
        The length of a step, as a share of the length of the weights of each layer; that of Adam
        for biases and the weights of normalisations.
    beta_1 : float, default=0.9
        Decay of the average of gradients.
    beta_2 : float, default=0.999
        Decay of the average of squares.
    epsilon : float, default=1e-6
    weight_decay : float, default=0.01
        This share of the weights is added to Adam's direction before its length is taken. Biases
        and the weights of normalisations do not decay.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("lamb", learning_rate=0.02, weight_decay=0.0)
    LAMB(learning_rate=0.02, weight_decay=0.0)
    """

    slots = ("mean", "squares")
    constraints = {
        "learning_rate": LEARNING_RATE,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "epsilon": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
    }
    search_space = {"learning_rate": LogUniform(1e-4, 1e-1), "weight_decay": LogUniform(1e-4, 1.0)}
    elsewhere = {
        "betas": "two parameters, beta_1 and beta_2",
        "max_grad_norm": "the model's max_grad_norm",
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 3e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        weight_decay: float = 0.01,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        """Adam's bias corrections."""
        return {
            "mean_correction": 1 - self.beta_1**number,
            "root_correction": (1 - self.beta_2**number) ** 0.5,
        }

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``."""
        xp, now, mean, squares = step.xp, step.coefficients, state["mean"], state["squares"]
        mean *= self.beta_1
        mean += (1 - self.beta_1) * grad
        squares *= self.beta_2
        squares += (1 - self.beta_2) * grad * grad
        root = xp.sqrt(squares) / now["root_correction"] + self.epsilon
        direction = mean / now["mean_correction"] / root
        for part, weights in layers(step.layout, direction, params):
            part += self.weight_decay * weights
            part *= trust_ratio(xp, length(xp, weights), length(xp, part))
        return -step.learning_rate * direction


class LARS(Optimizer):
    """Momentum with a learning rate for each layer, from lengths (You et al., 2017).

    Y. You, I. Gitman, B. Ginsburg: "Large Batch Training of Convolutional Networks", 2017,
    arXiv:1708.03888.

    Parameters
    ----------
    learning_rate : float or Schedule, default=1.0
        Multiplies the layers' own; that of momentum for biases and the weights of normalisations.
    momentum : float, default=0.9
    trust : float, default=0.001
        The length of a gradient times the learning rate of its layer, as a share of the length of
        the weights: η in the paper.
    weight_decay : float, default=0.0
        This share of the weights is added to the gradient. Biases and the weights of
        normalisations do not decay.
    nesterov : bool, default=False
        Whether the velocity is taken one step ahead.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("lars", learning_rate=2.0, trust=0.01)
    LARS(learning_rate=2.0, trust=0.01)
    """

    slots = ("velocity",)
    constraints = {
        "learning_rate": LEARNING_RATE,
        "momentum": FRACTION,
        "trust": POSITIVE,
        "weight_decay": NOT_NEGATIVE,
        "nesterov": BOOLEAN,
    }
    search_space = {
        "learning_rate": LogUniform(3e-2, 3e1),
        "momentum": LogUniformBelowOne(0.5, 0.99),
    }
    elsewhere = {"trust_coefficient": "trust", "eeta": "trust"}

    def __init__(
        self,
        learning_rate: float | Schedule = 1.0,
        momentum: float = 0.9,
        trust: float = 0.001,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.trust = trust
        self.weight_decay = weight_decay
        self.nesterov = nesterov

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``."""
        xp, velocity = step.xp, state["velocity"]
        for part, weights in layers(step.layout, grad, params):
            ours, theirs = length(xp, weights), length(xp, part)
            ratio = trust_ratio(xp, ours, theirs, self.trust, self.weight_decay)
            part += self.weight_decay * weights
            part *= ratio
        # The rate is inside the velocity, as the authors have it.
        grad *= step.learning_rate
        velocity *= self.momentum
        velocity += grad
        return -(grad + self.momentum * velocity) if self.nesterov else -velocity


def layers(layout: Layout, *arrays: Array) -> Iterator[list[Array]]:
    """Views ``(K, n)`` of the weights of each layer, biases and normalisations left out."""
    for spec in layout.specs:
        if spec.role not in EXCLUDED:
            yield [array[:, spec.offset : spec.offset + spec.size] for array in arrays]


def length(xp: Any, rows: Array) -> Array:
    """The Euclidean norm of each row, ``(K, 1)``."""
    return xp.sqrt(xp.sum(rows * rows, axis=1, keepdims=True))


def trust_ratio(xp: Any, ours: Array, theirs: Array, trust: Any = 1.0, decay: Any = 0.0) -> Array:
    """The length of weights over that of what changes them; 1 where one of them is zero."""
    is_known = (ours > 0) & (theirs > 0)
    return xp.where(is_known, trust * ours / (xp.where(is_known, theirs, 1.0) + decay * ours), 1.0)
