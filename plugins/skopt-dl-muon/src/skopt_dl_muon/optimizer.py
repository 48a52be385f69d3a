"""The optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skopt_dl.objectives.layout import TensorSpec
from skopt_dl.optimizers import AdamW, Choice, LogUniform, PartialOptimizer, Step
from skopt_dl.plugins.constraints import (
    BOOLEAN,
    FRACTION,
    LEARNING_RATE,
    NOT_NEGATIVE,
    POSITIVE,
    Interval,
    Options,
)
from skopt_dl.schedules import Schedule

Array = Any

# Of x -> a x + b x³ + c x⁵, which takes singular values from 0 to about 1 as fast as it can.
QUINTIC = (3.4445, -4.775, 2.0315)
ROLES = {"hidden": ("hidden",), "all": ("input", "hidden", "output")}


class Muon(PartialOptimizer):
    """Orthogonalised momentum for matrices, AdamW for the rest (Jordan et al., 2024).

    K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse, J. Bernstein: "Muon: an optimizer
    for hidden layers in neural networks", 2024, https://kellerjordan.github.io/posts/muon/; on
    large models, Liu et al., 2025, arXiv:2502.16982.

    Parameters
    ----------
    learning_rate : float or Schedule, default=0.02
        Of the matrices: a step has singular values near this.
    momentum : float, default=0.95
        Decay of the average of gradients.
    nesterov : bool, default=True
        Whether the gradient is mixed into the average once more before it is orthogonalised.
    n_iterations : int, default=5
        Of Newton and Schulz. After 5, singular values are between about 0.7 and 1.2.
    weight_decay : float, default=0.0
        Decoupled, of all tensors, scaled by their learning rate.
    matrices : {"hidden", "all"}, default="hidden"
        Which weights are orthogonalised: those between two hidden layers, of which a network
        with a single hidden layer has none, or those of the first and the last layer too.
    adam_rate : float, default=0.015
        The learning rate of the rest, as a share of `learning_rate`.
    beta_1, beta_2, epsilon : float, default=0.9, 0.95, 1e-10
        Of AdamW, for the rest.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("muon", learning_rate=0.05, matrices="all")
    Muon(learning_rate=0.05, matrices='all')
    """

    slots = ("momentum",)
    constraints = {
        "learning_rate": LEARNING_RATE,
        "momentum": FRACTION,
        "nesterov": BOOLEAN,
        "n_iterations": Interval(1, 100, "[]", integer=True),
        "weight_decay": NOT_NEGATIVE,
        "matrices": Options(tuple(ROLES)),
        "adam_rate": POSITIVE,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "epsilon": NOT_NEGATIVE,
    }
    search_space = {
        "learning_rate": LogUniform(1e-3, 1.0),
        "matrices": Choice(*ROLES),
        "weight_decay": LogUniform(1e-4, 1.0),
    }
    elsewhere = {"ns_steps": "n_iterations", "betas": "two parameters, beta_1 and beta_2"}

    def __init__(
        self,
        learning_rate: float | Schedule = 0.02,
        momentum: float = 0.95,
        nesterov: bool = True,
        n_iterations: int = 5,
        weight_decay: float = 0.0,
        matrices: str = "hidden",
        adam_rate: float = 0.015,
        beta_1: float = 0.9,
        beta_2: float = 0.95,
        epsilon: float = 1e-10,
    ):
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.nesterov = nesterov
        self.n_iterations = n_iterations
        self.weight_decay = weight_decay
        self.matrices = matrices
        self.adam_rate = adam_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def treats(self, spec: TensorSpec) -> bool:
        """Whether a tensor is orthogonalised."""
        return len(spec.shape) == 2 and spec.role in ROLES[self.matrices]

    def rest(self) -> AdamW:
        """AdamW for all other tensors."""
        return AdamW(
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
        )

    def rest_rate(self, learning_rate: Any) -> Any:
        """AdamW's learning rate."""
        return learning_rate * self.adam_rate

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``, written to `grad`."""
        xp, momentum = step.xp, state["momentum"]
        self.update_rest(grad, state, params, step)
        beta, decay = _of_matrices(self.momentum), _of_matrices(self.weight_decay)
        rate = _of_matrices(step.learning_rate)
        treated = (self.treated(each, step.layout) for each in (grad, momentum, params))
        for g, average, weights in zip(*treated, strict=True):
            average[...] = beta * average + (1 - beta) * g
            ahead = beta * average + (1 - beta) * g if self.nesterov else average
            n_in, n_out = g.shape[1:]
            direction = orthogonalised(xp, ahead, self.n_iterations) * max(1, n_out / n_in) ** 0.5
            g[...] = -rate * (direction + decay * weights)
        return grad


def _of_matrices(value: Any) -> Any:
    """A number, or a column for the models, to go with their matrices."""
    return value[:, :, None] if value.ndim == 2 else value


def orthogonalised(xp: Any, x: Array, n_iterations: int) -> Array:
    """Matrices with the singular vectors of `x`, ``(K, n, m)``, and singular values near 1."""
    a, b, c = QUINTIC
    x = x / (xp.sqrt(xp.sum(x * x, axis=(1, 2), keepdims=True)) + 1e-7)
    # The products are of the shorter side.
    is_tall = x.shape[1] > x.shape[2]
    x = x.mT if is_tall else x
    for _ in range(n_iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if is_tall else x
