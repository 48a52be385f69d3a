"""The classic optimizers: each names its direction and its scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from skopt_dl._params import (
    BOOLEAN,
    FRACTION,
    NOT_NEGATIVE,
    Constraints,
    Options,
)
from skopt_dl.optimizers import rule
from skopt_dl.optimizers.base import LEARNING_RATE, SCHEDULE, Step
from skopt_dl.optimizers.formula import Formula
from skopt_dl.optimizers.rule import TwoSlotOptimizer
from skopt_dl.optimizers.spaces import LogUniform, LogUniformBelowOne
from skopt_dl.schedules import Schedule

Array = Any
Rate = float | str | Schedule

_OR_NONE = (NOT_NEGATIVE, Options((None,)))
_DECAY: Constraints = {
    "learning_rate": LEARNING_RATE,
    "weight_decay": (*_OR_NONE, SCHEDULE),
    "l2": _OR_NONE,
}
_MOMENTUM: Constraints = _DECAY | {
    "momentum": (FRACTION, SCHEDULE),
    "rate_in_velocity": BOOLEAN,
}
_SQUARES: Constraints = _DECAY | {
    "epsilon": NOT_NEGATIVE,
    "initial_accumulator": NOT_NEGATIVE,
    "epsilon_inside_sqrt": BOOLEAN,
}
_BETAS: Constraints = _DECAY | {
    "beta_1": FRACTION,
    "beta_2": FRACTION,
    "epsilon": NOT_NEGATIVE,
}

# Rates within three factors of ten for everyone, around what is common for the method; besides,
# one or two hyperparameters that tuning has been found to need.
_RATES_OF_ADAM = LogUniform(1e-4, 1e-1)
_OF_MOMENTUM = {
    "learning_rate": LogUniform(3e-4, 3e-1),
    "momentum": LogUniformBelowOne(0.5, 0.99),
}
_OF_ADAM = {"learning_rate": _RATES_OF_ADAM, "beta_2": LogUniformBelowOne(0.9, 0.999)}


class _Classic(TwoSlotOptimizer):
    """What all have: weight decay, and the penalty that it is often mistaken for."""

    weight_decay: float | Schedule | None = None
    l2: float | None = None

    @property
    def decays(self) -> tuple[rule.Decay, ...]:  # type: ignore[override]
        if self.l2 is None and self.weight_decay is None:
            return ()
        parts = (self.l2, rule.Penalty()), (self.weight_decay, rule.Shrinkage())
        return tuple(part for strength, part in parts if strength is not None)


class SGD(_Classic):
    """Stochastic gradient descent (Robbins & Monro, 1951).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.01
    weight_decay : float or Schedule, default=None
        Every update also takes ``learning_rate * weight_decay`` of each parameter, biases included,
        as in keras (Loshchilov & Hutter, 2019).
    l2 : float, default=None
        ``l2`` times the parameters is added to the gradient first, as torch does with what it calls
        ``weight_decay``. The estimators' ``alpha`` is such a penalty too, without the biases.
    """

    constraints = _DECAY
    elsewhere: ClassVar = {
        "momentum": "another class, Momentum(0.01, momentum=0.9)",
        "nesterov": "another class, Nesterov(0.01, momentum=0.9)",
    }
    search_space = {"learning_rate": LogUniform(1e-3, 1.0)}

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
    ):
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.l2 = l2


class Momentum(_Classic):
    """Gradient descent with a heavy ball (Polyak, 1964).

    The learning rate is outside the velocity, as in torch: ``v = momentum * v + g``, change
    ``-learning_rate * v``.

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.01
    momentum : float or Schedule, default=0.9
    weight_decay, l2 : default=None
        See `SGD`.
    rate_in_velocity : bool, default=False
        ``v = momentum * v + learning_rate * g``, change ``-v``, as in keras and scikit-learn:
        another path where the rate changes.
    """

    constraints = _MOMENTUM
    _directions: ClassVar[dict[bool, rule.Direction]] = {
        False: rule.HeavyBall(),
        True: rule.HeavyBallOfSteps(),
    }
    search_space = _OF_MOMENTUM

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float | Schedule = 0.9,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
        rate_in_velocity: bool = False,
    ):
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.l2 = l2
        self.rate_in_velocity = rate_in_velocity

    @property
    def direction(self) -> rule.Direction:  # type: ignore[override]
        return self._directions[bool(self.rate_in_velocity)]


class Nesterov(_Classic):
    """Nesterov's accelerated gradient, in the form of Sutskever et al. (2013).

    The learning rate is outside the velocity, as in torch: ``v = momentum * v + g``, change
    ``-learning_rate * (g + momentum * v)``.

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.01
    momentum : float or Schedule, default=0.9
    weight_decay, l2 : default=None
        See `SGD`.
    rate_in_velocity : bool, default=False
        See `Momentum`.
    """

    constraints = _MOMENTUM
    _directions: ClassVar[dict[bool, rule.Direction]] = {
        False: rule.NesterovMomentum(),
        True: rule.NesterovMomentumOfSteps(),
    }
    search_space = _OF_MOMENTUM

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float | Schedule = 0.9,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
        rate_in_velocity: bool = False,
    ):
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.l2 = l2
        self.rate_in_velocity = rate_in_velocity

    @property
    def direction(self) -> rule.Direction:  # type: ignore[override]
        return self._directions[bool(self.rate_in_velocity)]


class AdaGrad(_Classic):
    """A rate for each weight from the sum of its squared gradients (Duchi et al., 2011).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.01
    epsilon : float, default=1e-10
    initial_accumulator : float, default=0.0
        Where the sums start.
    epsilon_inside_sqrt : bool, default=False
        Add epsilon under the root, as keras and optax do; torch adds it to the root.
    weight_decay, l2 : default=None
        See `SGD`.
    """

    scale = rule.SumOfSquares()
    constraints = _SQUARES
    search_space = {"learning_rate": LogUniform(1e-3, 1.0)}

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        epsilon: float = 1e-10,
        initial_accumulator: float = 0.0,
        epsilon_inside_sqrt: bool = False,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
    ):
        self.learning_rate = learning_rate
        self.epsilon = epsilon
        self.initial_accumulator = initial_accumulator
        self.epsilon_inside_sqrt = epsilon_inside_sqrt
        self.weight_decay = weight_decay
        self.l2 = l2


class RMSProp(_Classic):
    """A rate for each weight from a moving average of its squared gradients (Hinton, 2012).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.001
    rho : float, default=0.9
        Decay of the moving average.
    epsilon : float, default=1e-8
    initial_accumulator : float, default=0.0
        Where the moving average starts; 1 in the TensorFlow of image models.
    epsilon_inside_sqrt : bool, default=False
        Add epsilon under the root, as keras and optax do; torch adds it to the root.
    momentum : float, default=0.0
        Heavy ball over the scaled gradients.
    centered : bool, default=False
        Divide by the moving standard deviation (Graves, 2013, arXiv:1308.0850).
    weight_decay, l2 : default=None
        See `SGD`.
    rate_in_velocity : bool, default=False
        Heavy ball over the steps instead, learning rate included, as in keras and optax; see
        `Momentum`.
    """

    constraints = _SQUARES | {
        "rho": FRACTION,
        "momentum": FRACTION,
        "centered": BOOLEAN,
        "rate_in_velocity": BOOLEAN,
    }
    search_space = {"learning_rate": _RATES_OF_ADAM, "rho": LogUniformBelowOne(0.9, 0.999)}

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-8,
        initial_accumulator: float = 0.0,
        epsilon_inside_sqrt: bool = False,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
        rate_in_velocity: bool = False,
    ):
        self.learning_rate = learning_rate
        self.rho = rho
        self.epsilon = epsilon
        self.initial_accumulator = initial_accumulator
        self.epsilon_inside_sqrt = epsilon_inside_sqrt
        self.momentum = momentum
        self.centered = centered
        self.weight_decay = weight_decay
        self.l2 = l2
        self.rate_in_velocity = rate_in_velocity

    _scales = {False: rule.AverageOfSquares(), True: rule.CenteredAverageOfSquares()}

    @property
    def scale(self) -> rule.Scale:  # type: ignore[override]
        return self._scales[bool(self.centered)]

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self.scale.slots, "velocity")

    def formula_of_rule(self) -> Formula:
        formula = super().formula_of_rule()
        if self.momentum == 0:
            return formula
        rate, outside = "learning_rate * ", ""
        if not self.rate_in_velocity:
            rate, outside = outside, rate
        velocity = {"velocity": f"momentum * velocity + {rate}direction / scale"}
        return formula._replace(value=f"-{outside}velocity", before={**formula.before, **velocity})

    def change(self, grad: Array, state: Mapping[str, Array], step: Step) -> Array:
        xp, velocity, rate = step.xp, state["velocity"], step.coefficients["rate"]
        self.scale.observe(self, grad, state, step)
        self.scale.divide(self, grad, grad, state, step)
        xp.multiply(velocity, self.momentum, out=velocity)
        if self.rate_in_velocity:
            xp.multiply(grad, rate, out=grad)
            xp.add(velocity, grad, out=velocity)
            grad[...] = velocity
            return grad
        xp.add(velocity, grad, out=velocity)
        return xp.multiply(velocity, rate, out=grad)


class AdaDelta(_Classic):
    """Steps in the units of the weights, without a rate to choose (Zeiler, 2012).

    arXiv:1212.5701.

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=1.0
    rho : float, default=0.95
        Decay of both moving averages.
    epsilon : float, default=1e-6
        Under both roots; sets the size of the first steps.
    weight_decay, l2 : default=None
        See `SGD`.
    """

    scale = rule.UpdateRatio()
    constraints = _DECAY | {"rho": FRACTION, "epsilon": NOT_NEGATIVE}
    search_space = {"learning_rate": LogUniform(0.1, 100.0), "rho": LogUniformBelowOne(0.9, 0.999)}

    def __init__(
        self,
        learning_rate: Rate = 1.0,
        rho: float = 0.95,
        epsilon: float = 1e-6,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
    ):
        self.learning_rate = learning_rate
        self.rho = rho
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.l2 = l2


class Adam(_Classic):
    """Moving averages of the gradient and of its square (Kingma & Ba, 2015, arXiv:1412.6980).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.001
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the two averages.
    epsilon : float, default=1e-8
        Added to the root of the corrected average, as in torch and in the paper's algorithm.
    epsilon_hat : bool, default=False
        Add epsilon to the root of the uncorrected average, as scikit-learn and keras do: steps
        differ noticeably for weights whose gradients are not far above epsilon.
    weight_decay, l2 : default=None
        See `SGD`.
    """

    direction = rule.MovingAverage()
    scale = rule.CorrectedAverageOfSquares()
    constraints = _BETAS | {"epsilon_hat": BOOLEAN}
    elsewhere: ClassVar = {
        "amsgrad": "another class, AMSGrad(0.001)",
        "betas": "two parameters, beta_1 and beta_2",
    }
    search_space = _OF_ADAM

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        epsilon_hat: bool = False,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.epsilon_hat = epsilon_hat
        self.weight_decay = weight_decay
        self.l2 = l2


class AMSGrad(Adam):
    """Adam whose scale never shrinks (Reddi et al., 2018, arXiv:1904.09237).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.001
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-8
    epsilon_hat : bool, default=False
        See `Adam`.
    bias_correction : bool or "before_maximum", default=True
        Correct both averages, the second after its maximum is taken, as torch does; or before, as
        optax does, without a choice of epsilon; the paper's algorithm corrects neither.
    weight_decay, l2 : default=None
        See `SGD`.
    """

    constraints = Adam.constraints | {"bias_correction": (BOOLEAN, Options(("before_maximum",)))}

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        epsilon_hat: bool = False,
        bias_correction: bool | str = True,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, epsilon_hat, weight_decay, l2)
        self.bias_correction = bias_correction

    _scales = {False: rule.MaximumOfSquares(), True: rule.MaximumOfCorrectedSquares()}

    @property
    def scale(self) -> rule.Scale:  # type: ignore[override]
        return self._scales[self.bias_correction == "before_maximum"]


class AdaMax(_Classic):
    """Adam with the infinity norm (Kingma & Ba, 2015, arXiv:1412.6980, section 7).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.002
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-8
        Added to the absolute gradients.
    weight_decay, l2 : default=None
        See `SGD`.
    epsilon_outside_max : bool, default=False
        Add epsilon to their norm, as keras does.
    """

    direction = rule.MovingAverage()
    constraints = _BETAS | {"epsilon_outside_max": BOOLEAN}
    search_space = _OF_ADAM

    def __init__(
        self,
        learning_rate: Rate = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
        epsilon_outside_max: bool = False,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.l2 = l2
        self.epsilon_outside_max = epsilon_outside_max

    _scales = {False: rule.InfinityNorm(), True: rule.InfinityNormPlusEpsilon()}

    @property
    def scale(self) -> rule.Scale:  # type: ignore[override]
        return self._scales[bool(self.epsilon_outside_max)]


class NAdam(_Classic):
    """Adam with Nesterov's momentum (Dozat, 2016).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.002
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-8
    momentum_decay : float, default=0.004
        How fast the momentum grows from half of `beta_1` to all of it; 1 is keras's, and from 1000
        on it is `beta_1` throughout, as in optax.
    weight_decay, l2 : default=None
        See `SGD`.
    """

    direction = rule.NesterovAverage()
    scale = rule.CorrectedAverageOfSquares()
    epsilon_hat = False
    constraints = _BETAS | {"momentum_decay": NOT_NEGATIVE}
    search_space = _OF_ADAM

    def __init__(
        self,
        learning_rate: Rate = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 0.004,
        weight_decay: float | Schedule | None = None,
        l2: float | None = None,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.momentum_decay = momentum_decay
        self.weight_decay = weight_decay
        self.l2 = l2


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019, arXiv:1711.05101).

    Every update also takes ``learning_rate * weight_decay`` of each weight. The estimators'
    ``alpha`` is the coupled L2 penalty instead, part of the loss; use one or the other.

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.001
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-8
    weight_decay : float or Schedule, default=0.01
    epsilon_hat : bool, default=False
        See `Adam`.
    """

    constraints = {
        **{name: each for name, each in Adam.constraints.items() if name != "l2"},
        "weight_decay": (NOT_NEGATIVE, SCHEDULE),
    }
    search_space = {**_OF_ADAM, "weight_decay": LogUniform(1e-4, 1.0)}

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float | Schedule = 0.01,
        epsilon_hat: bool = False,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, epsilon_hat, weight_decay)
