"""The optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skopt_dl.optimizers import LogUniform, LogUniformBelowOne, Step, rule
from skopt_dl.optimizers.formula import Formula
from skopt_dl.plugins.constraints import FRACTION, LEARNING_RATE, NOT_NEGATIVE, Options
from skopt_dl.schedules import Schedule

Array = Any
Column = Any

MEAN = {"mean": "beta_1 * mean + (1 - beta_1) * gradient"}


class CorrectedTogether(rule.NesterovAverage):
    """The average one step ahead, all of it corrected for this step (AlgoPerf)."""

    label = "average ahead, corrected together"

    def formula(self, h: Any) -> Formula:
        return Formula("(beta_1 * mean + (1 - beta_1) * gradient) / (1 - beta_1**t)", MEAN)

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        _weigh(h, 1 - h.beta_1**number, 1 - h.beta_1**number, coefficients)
        return 1.0


class CorrectedApart(rule.NesterovAverage):
    """The average one step ahead, its part that is to come corrected for then (Dozat; optax)."""

    label = "average ahead, corrected apart"

    def formula(self, h: Any) -> Formula:
        ahead = "beta_1 * mean / (1 - beta_1**(t + 1))"
        return Formula(f"{ahead} + (1 - beta_1) * gradient / (1 - beta_1**t)", MEAN)

    def factor(self, h: Any, number: int, coefficients: dict[str, Column]) -> Column:
        _weigh(h, 1 - h.beta_1**number, 1 - h.beta_1 ** (number + 1), coefficients)
        return 1.0


def _weigh(h: Any, now: Column, ahead: Column, coefficients: dict[str, Column]) -> None:
    """Weights of the gradient, and of the average, whose slot lacks the factor ``1 - beta_1``."""
    coefficients["gradient_part"] = (1 - h.beta_1) / now
    coefficients["mean_part"] = h.beta_1 * (1 - h.beta_1) / ahead


FORMS = {
    "algoperf": CorrectedTogether(),
    "optax": CorrectedApart(),
    "torch": rule.NesterovAverage(),
}


# torch's, and Dozat's.
MOMENTUM_DECAY = 0.004


class NAdamW(rule.TwoSlotOptimizer):
    """AdamW with Nesterov's momentum (Dozat, 2016; Dahl et al., 2023).

    T. Dozat: "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016; with decoupled weight
    decay the baseline of G. Dahl et al.: "Benchmarking Neural Network Training Algorithms", 2023,
    arXiv:2306.07179.

    Parameters
    ----------
    learning_rate : float or Schedule, default=1e-3
    beta_1 : float, default=0.9
        Decay of the average of gradients.
    beta_2 : float, default=0.999
        Decay of the average of squares.
    epsilon : float, default=1e-8
        Added to the root of the corrected average.
    weight_decay : float, default=0.01
        Every step also takes ``learning_rate * weight_decay`` of each weight.
    form : {"algoperf", "optax", "torch"}, default="algoperf"
        Whose: bias corrections of the look ahead differ, and in torch's the momentum grows from
        half of `beta_1`.
    momentum_decay : float, default=0.004
        How fast it grows; for the form "torch" only.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> make_optimizer("nadamw", learning_rate=0.003, form="torch")
    NAdamW(form='torch', learning_rate=0.003)
    """

    scale = rule.CorrectedAverageOfSquares()
    epsilon_hat = False
    constraints = {
        "learning_rate": LEARNING_RATE,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "epsilon": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
        "form": Options(tuple(FORMS)),
        "momentum_decay": NOT_NEGATIVE,
    }
    search_space = {
        "learning_rate": LogUniform(1e-4, 1e-1),
        "beta_1": LogUniformBelowOne(0.9, 0.996),
        "weight_decay": LogUniform(5e-3, 1.0),
    }
    elsewhere = {
        "betas": "two parameters, beta_1 and beta_2",
        "one_minus_beta1": "beta_1, one less that",
        "decoupled_weight_decay": "always decoupled; the coupled penalty is the model's alpha",
    }

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        form: str = "algoperf",
        momentum_decay: float = MOMENTUM_DECAY,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.form = form
        self.momentum_decay = momentum_decay

    def check_params(self) -> None:
        """Check every parameter, and that the form has a use for `momentum_decay`."""
        super().check_params()
        if self.form != "torch" and self.momentum_decay != MOMENTUM_DECAY:
            raise ValueError(
                f"momentum_decay of NAdamW is for the form 'torch' only; got "
                f"{self.momentum_decay!r} with {self.form!r}. Set form='torch', or leave "
                f"momentum_decay at {MOMENTUM_DECAY}."
            )

    @property
    def direction(self) -> rule.Direction:  # type: ignore[override]
        """The look ahead of the form."""
        return FORMS.get(self.form, FORMS["algoperf"])

    def formula(self) -> Formula:
        """AdamW's, with the direction of the form."""
        formula = super().formula()
        return formula._replace(value=f"{formula.value} - learning_rate * weight_decay * weights")

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        """Adam's, and the share of each weight that decays."""
        coefficients = super().coefficients(number, learning_rate)
        coefficients["decay"] = -learning_rate * self.weight_decay
        return coefficients

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the change, ``(K, P)``, written to `grad`."""
        xp = step.xp
        change = super().update(grad, state, params, step)
        xp.multiply(params, step.coefficients["decay"], out=step.scratch)
        return xp.add(change, step.scratch, out=change)
