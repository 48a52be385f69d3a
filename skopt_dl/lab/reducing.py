"""Which optimizer is a special case of which: hyperparameters, and how far apart they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from skopt_dl._params import FRACTION, POSITIVE
from skopt_dl.lab.tables import Table
from skopt_dl.lab.unified import TOLERANCE, changes, difference, draw, written
from skopt_dl.optimizers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    AMSGrad,
    Momentum,
    NAdam,
    Nesterov,
    Optimizer,
    RMSProp,
)
from skopt_dl.schedules import Progress, Schedule

RATE, BETA_1, BETA_2, EPSILON = 0.1, 0.9, 0.999, 1e-3
# So much more than any gradient that the root beside it is lost to rounding.
HUGE = 1e30
# A decay so near to 1 that a moving average has forgotten nothing.
NEARLY_ONE, REST = 1 - 2.0**-50, 2.0**-50


class UncorrectedAdam(Adam):
    """Adam whose averages are not corrected for their start at zero."""

    bias_correction = False


class Corrections(Schedule):
    """The rate that makes an uncorrected method of a corrected one (Kingma & Ba, 2015, 2)."""

    per_step: ClassVar[bool] = True
    constraints: ClassVar = {"learning_rate": POSITIVE, "beta_1": FRACTION, "beta_2": FRACTION}

    def __init__(self, learning_rate: float = RATE, beta_1: float = 0.0, beta_2: float = BETA_2):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def value(self, progress: Progress) -> float:
        t = progress.step + 1
        return self.learning_rate * (1 - self.beta_2**t) ** 0.5 / (1 - self.beta_1**t)


def growing(gradients: np.ndarray) -> np.ndarray:
    """Each larger than all before it."""
    return np.cumsum(np.abs(gradients), axis=0)


def equal(gradients: np.ndarray) -> np.ndarray:
    """The same at all steps."""
    return np.broadcast_to(gradients[:1], gradients.shape)


class Reduction(NamedTuple):
    """That one optimizer does what another does.

    Parameters
    ----------
    general, special : Optimizer
        With the hyperparameters that make them the same, or nearly.
    condition : str
        What makes the general one the special one: hyperparameters.
    form : {"exact", "limit", "not"}
        Whether it holds, or only in a limit; or is often said and does not hold.
    gradients : callable, default=None
        What random gradients are made to be.
    steps : slice, default=slice(0, 20)
        Which steps are compared.
    penalty : float, default=0.0
        That much of the weights is added to the special one's gradients.
    where : str, default="always"
        The gradients, or the steps, for which it is said.
    """

    general: Optimizer
    special: Optimizer
    condition: str
    form: str = "exact"
    gradients: Callable[[np.ndarray], np.ndarray] | None = None
    steps: slice = slice(0, 20)
    penalty: float = 0.0
    where: str = "always"

    def difference(self) -> float:
        """The largest difference of the changes, relative to the weight's largest."""
        gradients, weights = draw(self.steps.stop, 50)
        if self.gradients is not None:
            gradients = self.gradients(gradients)
        one = changes(self.general, gradients, weights)
        other = changes(self.special, gradients, weights, self.penalty)
        return difference(one[self.steps], other[self.steps])


_FIRST = slice(0, 1)
_ADAM: dict[str, Any] = {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": EPSILON}

REDUCTIONS = (
    Reduction(Momentum(RATE, momentum=0.0), SGD(RATE), "μ = 0"),
    Reduction(Nesterov(RATE, momentum=0.0), SGD(RATE), "μ = 0"),
    Reduction(AdaGrad(RATE * HUGE, epsilon=HUGE), SGD(RATE), "η → ηε, ε → ∞", "limit"),
    Reduction(RMSProp(RATE * HUGE, epsilon=HUGE), SGD(RATE), "η → ηε, ε → ∞", "limit"),
    Reduction(AdaDelta(RATE, epsilon=HUGE), SGD(RATE), "ε → ∞", "limit"),
    Reduction(
        RMSProp(RATE * HUGE, momentum=0.9, epsilon=HUGE),
        Momentum(RATE, momentum=0.9),
        "η → ηε, ε → ∞",
        "limit",
    ),
    Reduction(
        UncorrectedAdam(RATE * HUGE / (1 - BETA_1), BETA_1, epsilon=HUGE),
        Momentum(RATE, momentum=BETA_1),
        "no correction, η → ηε / (1 - β₁), ε → ∞",
        "limit",
    ),
    Reduction(
        NAdam(RATE * HUGE / 0.5, beta_1=0.5, epsilon=HUGE, momentum_decay=1e6),
        Nesterov(RATE, momentum=0.5),
        "η → ηε / (1 - β₁), ε → ∞, ψ → ∞",
        "limit",
        steps=slice(80, 100),
        where="late steps",
    ),
    Reduction(
        RMSProp(RATE * REST**0.5, rho=NEARLY_ONE, epsilon=EPSILON * REST**0.5),
        AdaGrad(RATE, epsilon=EPSILON),
        "η → η√(1 - ρ), ε → ε√(1 - ρ), ρ → 1",
        "limit",
    ),
    Reduction(
        UncorrectedAdam(RATE, beta_1=0.0, beta_2=0.9, epsilon=EPSILON),
        RMSProp(RATE, rho=0.9, epsilon=EPSILON),
        "β₁ = 0, no correction",
    ),
    Reduction(
        Adam(RATE, beta_1=0.0, epsilon=EPSILON, epsilon_hat=True),
        RMSProp(Corrections(RATE), rho=BETA_2, epsilon=EPSILON),
        "β₁ = 0, ε̂; the other's rate η√(1 - ρᵗ)",
    ),
    Reduction(
        Adam(RATE, **_ADAM, epsilon_hat=True),
        UncorrectedAdam(Corrections(RATE, BETA_1), **_ADAM),
        "ε̂; the other's rate η√(1 - β₂ᵗ) / (1 - β₁ᵗ)",
    ),
    Reduction(
        Adam(RATE, beta_1=0.0, beta_2=0.0, epsilon=EPSILON),
        RMSProp(RATE, rho=0.0, epsilon=EPSILON),
        "β₁ = β₂ = ρ = 0: g / (|g| + ε)",
    ),
    Reduction(
        AdaMax(RATE, beta_1=0.0, beta_2=0.0, epsilon=EPSILON),
        RMSProp(RATE, rho=0.0, epsilon=EPSILON),
        "β₁ = β₂ = ρ = 0: g / (|g| + ε)",
    ),
    Reduction(
        AdaMax(RATE, **_ADAM),
        Adam(RATE, **_ADAM),
        "the same β, ε",
        gradients=equal,
        where="all gradients equal",
    ),
    Reduction(
        AMSGrad(RATE, **_ADAM),
        Adam(RATE, **_ADAM),
        "the same β, ε",
        gradients=growing,
        where="growing gradients",
    ),
    Reduction(
        NAdam(RATE, beta_1=0.0, epsilon=EPSILON), Adam(RATE, beta_1=0.0, epsilon=EPSILON), "β₁ = 0"
    ),
    Reduction(AdamW(RATE, **_ADAM, weight_decay=0.0), Adam(RATE, **_ADAM), "λ = 0"),
    Reduction(
        Adam(RATE, BETA_1, BETA_2, epsilon=0.0, epsilon_hat=True),
        Adam(RATE, BETA_1, BETA_2, epsilon=0.0),
        "ε = 0: no matter where it is added",
    ),
    Reduction(
        RMSProp(RATE, epsilon=0.0, epsilon_inside_sqrt=True),
        RMSProp(RATE, epsilon=0.0),
        "ε = 0: no matter where it is added",
    ),
    Reduction(
        Adam(RATE, **_ADAM),
        AdaGrad(RATE, epsilon=EPSILON),
        "the same ε",
        steps=_FIRST,
        where="first step",
    ),
    Reduction(
        AdaMax(RATE, **_ADAM),
        AdaGrad(RATE, epsilon=EPSILON),
        "the same ε",
        steps=_FIRST,
        where="first step",
    ),
    Reduction(
        RMSProp(RATE * 0.5, rho=0.75, epsilon=EPSILON * 0.5),
        AdaGrad(RATE, epsilon=EPSILON),
        "η → η√(1 - ρ), ε → ε√(1 - ρ)",
        steps=_FIRST,
        where="first step",
    ),
    Reduction(
        AdaDelta(RATE, rho=0.9, epsilon=EPSILON),
        RMSProp(RATE * EPSILON**0.5, rho=0.9, epsilon=EPSILON, epsilon_inside_sqrt=True),
        "η → η√ε, ε in the root",
        steps=_FIRST,
        where="first step",
    ),
    Reduction(Nesterov(RATE, momentum=0.9), Momentum(RATE, momentum=0.9), "the same μ", "not"),
    Reduction(
        Adam(RATE, beta_1=0.0, epsilon=EPSILON),
        RMSProp(RATE, rho=BETA_2, epsilon=EPSILON),
        "β₁ = 0, corrected",
        "not",
    ),
    Reduction(
        UncorrectedAdam(RATE, **_ADAM),
        RMSProp(RATE * (1 - BETA_1), rho=BETA_2, epsilon=EPSILON, momentum=BETA_1),
        "η → η(1 - β₁), μ = β₁: Adam is RMSProp with momentum",
        "not",
    ),
    Reduction(
        RMSProp(RATE * 0.1**0.5, rho=0.9, epsilon=EPSILON * 0.1**0.5),
        AdaGrad(RATE, epsilon=EPSILON),
        "η → η√(1 - ρ), ε → ε√(1 - ρ), ρ = 0.9",
        "not",
    ),
    Reduction(AMSGrad(RATE, beta_2=0.9), Adam(RATE, beta_2=0.9), "the same β, ε", "not"),
    Reduction(NAdam(RATE, **_ADAM, momentum_decay=0.0), Adam(RATE, **_ADAM), "ψ = 0", "not"),
    Reduction(
        AdamW(RATE, **_ADAM, weight_decay=0.1),
        Adam(RATE, **_ADAM),
        "λ = α: decay is an L2 penalty",
        "not",
        penalty=0.1,
    ),
)


def reductions() -> Table:
    """Compare every optimizer with those that it is a special case of, or is said to be.

    Both get the same random gradients, of sizes from 1e-9 to 100. All of it runs when this is
    called.

    Returns
    -------
    table : Table
        Arrays of shape (n,): ``general`` and ``special``, the names of the classes;
        ``condition``, hyperparameters, those of the special one named as such; ``where``,
        ``"always"`` or for which gradients or steps; ``form``, ``"exact"``, ``"limit"`` for what
        holds in a limit, ``"not"`` for what is said and does not hold;
        ``largest_difference`` of the changes, relative to the weight's largest; ``holds``,
        whether that is rounding; ``general_params`` and ``special_params``, the objects as text.

    Examples
    --------
    >>> from skopt_dl import lab
    >>> table = lab.reductions()
    >>> bool((table["holds"] == (table["form"] != "not")).all())
    True
    """
    measured = np.array([each.difference() for each in REDUCTIONS])
    return Table(
        general=np.array([_name(each.general) for each in REDUCTIONS]),
        special=np.array([_name(each.special) for each in REDUCTIONS]),
        condition=np.array([each.condition for each in REDUCTIONS]),
        where=np.array([each.where for each in REDUCTIONS]),
        form=np.array([each.form for each in REDUCTIONS]),
        largest_difference=measured,
        holds=measured <= TOLERANCE,
        general_params=np.array([written(each.general) for each in REDUCTIONS]),
        special_params=np.array([written(each.special) for each in REDUCTIONS]),
    )


def _name(optimizer: Optimizer) -> str:
    return type(optimizer).__name__.removeprefix("Uncorrected")
