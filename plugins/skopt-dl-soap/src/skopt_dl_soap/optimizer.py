"""The optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skopt_dl.objectives import Layout
from skopt_dl.objectives.layout import TensorSpec
from skopt_dl.optimizers import LogUniform, LogUniformBelowOne, Optimizer, Step
from skopt_dl.plugins.constraints import FRACTION, LEARNING_RATE, NOT_NEGATIVE, Interval
from skopt_dl.schedules import Schedule

Array = Any
# A side of a matrix (0 or 1), the moving average of its products, and their eigenvectors.
Side = tuple[int, Array, Array]

COUNT = Interval(1, float("inf"), "[)", integer=True)


class SOAP(Optimizer):
    """Adam in the eigenbasis of Shampoo's factors (Vyas et al., 2024).

    N. Vyas, D. Morwani, R. Zhao, M. Kwun, I. Shapira, D. Brandfonbrener, L. Janson, S. Kakade:
    "SOAP: Improving and Stabilizing Shampoo using Adam", 2024, arXiv:2409.11321.

    Parameters
    ----------
    learning_rate : float or Schedule, default=3e-3
    beta_1 : float, default=0.95
        Decay of the average of gradients.
    beta_2 : float, default=0.95
        Decay of the averages of squares, and of the factors.
    epsilon : float, default=1e-8
    weight_decay : float, default=0.01
        Every step also takes ``learning_rate * weight_decay`` of each weight.
    frequency : int, default=10
        Steps from one change of the basis to the next.
    max_side : int, default=10000
        A longer side of a matrix gets no factor, which would have its square of numbers.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("soap", learning_rate=0.01, frequency=5)
    SOAP(frequency=5, learning_rate=0.01)
    """

    slots = ("mean", "squares")
    constraints = {
        "learning_rate": LEARNING_RATE,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "epsilon": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
        "frequency": COUNT,
        "max_side": COUNT,
    }
    search_space = {
        "learning_rate": LogUniform(1e-4, 1e-1),
        "beta_2": LogUniformBelowOne(0.9, 0.999),
        "weight_decay": LogUniform(1e-4, 1.0),
    }
    elsewhere = {
        "betas": "two parameters, beta_1 and beta_2",
        "precondition_frequency": "frequency",
        "max_precond_dim": "max_side",
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 3e-3,
        beta_1: float = 0.95,
        beta_2: float = 0.95,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        frequency: int = 10,
        max_side: int = 10000,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.frequency = frequency
        self.max_side = max_side

    def slot_shapes(self, layout: Layout) -> dict[str, tuple[int, ...]]:
        """The averages, and square matrices for the sides of each weight matrix."""
        squares = (self._square_layout(layout).size,)
        return {**super().slot_shapes(layout), "factors": squares, "bases": squares}

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        """The rate with both bias corrections; the first gradient makes a basis and no step."""
        n_steps = max(1, number - 1)
        correction = (1 - self.beta_2**n_steps) ** 0.5 / (1 - self.beta_1**n_steps)
        return {"rate": learning_rate * correction}

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``, written to `grad`."""
        xp, layout = step.xp, step.layout
        squares = self._square_layout(layout)
        factors, bases = (iter(squares.tensors(state[slot])) for slot in ("factors", "bases"))
        arrays = (layout.tensors(each) for each in (grad, params, state["mean"], state["squares"]))
        for spec, *tensors in zip(layout.specs, *arrays, strict=True):
            g, weights, mean, scale = (tensor.array for tensor in tensors)
            sides = [(side, next(factors).array, next(bases).array) for side in self._sides(spec)]
            change = xp.zeros_like(g)
            if step.number > 1:
                change = self._change(g, weights, mean, scale, sides, step)
            self._learn(g, scale, sides, step)
            g[...] = change
        return grad

    def _sides(self, spec: TensorSpec) -> list[int]:
        """The sides of a tensor that have a factor."""
        if len(spec.shape) != 2 or spec.role in ("bias", "norm"):
            return []
        return [side for side, n in enumerate(spec.shape) if n <= self.max_side]

    def _square_layout(self, layout: Layout) -> Layout:
        return Layout.from_shapes(
            (f"{spec.name}.{side}", spec.role, (spec.shape[side],) * 2)
            for spec in layout.specs
            for side in self._sides(spec)
        )

    def _change(
        self,
        g: Array,
        weights: Array,
        mean: Array,
        scale: Array,
        sides: Sequence[Side],
        step: Step,
    ) -> Array:
        """Adam's step, with squares, roots and quotients of what is turned to the basis."""
        xp, n_dims = step.xp, g.ndim
        beta_1, beta_2, epsilon, decay, rate, full_rate = (
            xp.reshape(value, (-1, *[1] * (n_dims - 1)))
            for value in (
                self.beta_1,
                self.beta_2,
                self.epsilon,
                self.weight_decay,
                step.coefficients["rate"],
                step.learning_rate,
            )
        )
        mean[...] = beta_1 * mean + (1 - beta_1) * g
        scale[...] = beta_2 * scale + (1 - beta_2) * _turned(g, sides) ** 2
        scaled = _turned(mean, sides) / (xp.sqrt(scale) + epsilon)
        change = -rate * _turned_back(scaled, sides)
        # The weights that decay have taken the step.
        return change - full_rate * decay * (weights + change)

    def _learn(self, g: Array, scale: Array, sides: Sequence[Side], step: Step) -> None:
        """Take a gradient into the factors, and at times turn the basis to theirs."""
        xp, n_done = step.xp, step.number - 1
        beta = xp.reshape(self.beta_2, (-1, 1, 1))
        for side, factor, basis in sides:
            products = g @ g.mT if side == 0 else g.mT @ g
            factor[...] = beta * factor + (1 - beta) * products
            if n_done == 0:
                basis[...] = xp.flip(xp.linalg.eigh(factor)[1], axis=2)
            elif n_done % self.frequency == 0:
                # One step of the power method, from the largest eigenvalue to the smallest.
                sizes = xp.einsum("kij,kij->kj", basis, factor @ basis)
                order = xp.argsort(-sizes, axis=1)
                rows = order[:, :, None] if side == 0 else order[:, None, :]
                scale[...] = xp.take_along_axis(scale, rows, axis=1 + side)
                sorted_basis = xp.take_along_axis(basis, order[:, None, :], axis=2)
                basis[...] = xp.linalg.qr(factor @ sorted_basis)[0]


def _turned(x: Array, sides: Sequence[Side]) -> Array:
    """Matrices in the coordinates of the basis."""
    for side, _, basis in sides:
        x = basis.mT @ x if side == 0 else x @ basis
    return x


def _turned_back(x: Array, sides: Sequence[Side]) -> Array:
    """Matrices from the coordinates of the basis."""
    for side, _, basis in sides:
        x = basis @ x if side == 0 else x @ basis.mT
    return x
