"""The classic optimizers: each names its direction and its scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from skopt_dl._params import BOOLEAN, FRACTION, NOT_NEGATIVE, Constraints
from skopt_dl.optimizers import rule
from skopt_dl.optimizers.base import LEARNING_RATE, Column, Step
from skopt_dl.optimizers.formula import Formula
from skopt_dl.optimizers.rule import TwoSlotOptimizer
from skopt_dl.optimizers.spaces import LogUniform, LogUniformBelowOne
from skopt_dl.schedules import Schedule

Array = Any
Rate = float | str | Schedule

_MOMENTUM: Constraints = {"learning_rate": LEARNING_RATE, "momentum": FRACTION}
_SQUARES: Constraints = {
    "learning_rate": LEARNING_RATE,
    "epsilon": NOT_NEGATIVE,
    "initial_accumulator": NOT_NEGATIVE,
    "epsilon_inside_sqrt": BOOLEAN,
}
_BETAS: Constraints = {
    "learning_rate": LEARNING_RATE,
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


class SGD(TwoSlotOptimizer):
    """Stochastic gradient descent (Robbins & Monro, 1951).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.01
    """

    constraints = {"learning_rate": LEARNING_RATE}
    elsewhere: ClassVar = {
        "momentum": "another class, Momentum(0.01, momentum=0.9)",
        "nesterov": "another class, Nesterov(0.01, momentum=0.9)",
        "weight_decay": "the model's alpha, or AdamW(weight_decay=0.01)",
    }
    search_space = {"learning_rate": LogUniform(1e-3, 1.0)}

    def __init__(self, learning_rate: Rate = 0.01):
        self.learning_rate = learning_rate


class Momentum(TwoSlotOptimizer):
    """Gradient descent with a heavy ball (Polyak, 1964).

    The learning rate is outside the velocity, as in torch: ``v = momentum * v + g``, change
    ``-learning_rate * v``.

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.01
    momentum : float, default=0.9
    """

    direction = rule.HeavyBall()
    constraints = _MOMENTUM
    search_space = _OF_MOMENTUM

    def __init__(self, learning_rate: Rate = 0.01, momentum: float = 0.9):
        self.learning_rate = learning_rate
        self.momentum = momentum


class Nesterov(TwoSlotOptimizer):
    """Nesterov's accelerated gradient, in the form of Sutskever et al. (2013).

    The learning rate is outside the velocity, as in torch: ``v = momentum * v + g``, change
    ``-learning_rate * (g + momentum * v)``.

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.01
    momentum : float, default=0.9
    """

    direction = rule.NesterovMomentum()
    constraints = _MOMENTUM
    search_space = _OF_MOMENTUM

    def __init__(self, learning_rate: Rate = 0.01, momentum: float = 0.9):
        self.learning_rate = learning_rate
        self.momentum = momentum


class AdaGrad(TwoSlotOptimizer):
    """A rate for each weight from the sum of its squared gradients (Duchi et al., 2011).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.01
    epsilon : float, default=1e-10
    initial_accumulator : float, default=0.0
        Where the sums start.
    epsilon_inside_sqrt : bool, default=False
        Add epsilon under the root, as keras and optax do; torch adds it to the root.
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
    ):
        self.learning_rate = learning_rate
        self.epsilon = epsilon
        self.initial_accumulator = initial_accumulator
        self.epsilon_inside_sqrt = epsilon_inside_sqrt


class RMSProp(TwoSlotOptimizer):
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
    """

    constraints = _SQUARES | {"rho": FRACTION, "momentum": FRACTION, "centered": BOOLEAN}
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
    ):
        self.learning_rate = learning_rate
        self.rho = rho
        self.epsilon = epsilon
        self.initial_accumulator = initial_accumulator
        self.epsilon_inside_sqrt = epsilon_inside_sqrt
        self.momentum = momentum
        self.centered = centered

    _scales = {False: rule.AverageOfSquares(), True: rule.CenteredAverageOfSquares()}

    @property
    def scale(self) -> rule.Scale:  # type: ignore[override]
        return self._scales[bool(self.centered)]

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self.scale.slots, "velocity")

    def formula(self) -> Formula:
        formula = super().formula()
        if self.momentum == 0:
            return formula
        velocity = {"velocity": "momentum * velocity + direction / scale"}
        return formula._replace(
            value="-learning_rate * velocity", before={**formula.before, **velocity}
        )

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        xp, velocity = step.xp, state["velocity"]
        self.scale.observe(self, grad, state, step)
        self.scale.divide(self, grad, grad, state, step)
        xp.multiply(velocity, self.momentum, out=velocity)
        xp.add(velocity, grad, out=velocity)
        return xp.multiply(velocity, step.coefficients["rate"], out=grad)


class AdaDelta(TwoSlotOptimizer):
    """Steps in the units of the weights, without a rate to choose (Zeiler, 2012).

    arXiv:1212.5701.

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=1.0
    rho : float, default=0.95
        Decay of both moving averages.
    epsilon : float, default=1e-6
        Under both roots; sets the size of the first steps.
    """

    scale = rule.UpdateRatio()
    constraints = {"learning_rate": LEARNING_RATE, "rho": FRACTION, "epsilon": NOT_NEGATIVE}
    search_space = {"learning_rate": LogUniform(0.1, 100.0), "rho": LogUniformBelowOne(0.9, 0.999)}

    def __init__(self, learning_rate: Rate = 1.0, rho: float = 0.95, epsilon: float = 1e-6):
        self.learning_rate = learning_rate
        self.rho = rho
        self.epsilon = epsilon


class Adam(TwoSlotOptimizer):
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
    """

    direction = rule.MovingAverage()
    scale = rule.CorrectedAverageOfSquares()
    constraints = _BETAS | {"epsilon_hat": BOOLEAN}
    elsewhere: ClassVar = {
        "amsgrad": "another class, AMSGrad(0.001)",
        "betas": "two parameters, beta_1 and beta_2",
        "weight_decay": "the model's alpha, or AdamW(weight_decay=0.01)",
    }
    search_space = _OF_ADAM

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        epsilon_hat: bool = False,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.epsilon_hat = epsilon_hat


class AMSGrad(Adam):
    """Adam whose scale never shrinks (Reddi et al., 2018, arXiv:1904.09237).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.001
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-8
    epsilon_hat : bool, default=False
        See `Adam`.
    bias_correction : bool, default=True
        Correct both averages, the second after its maximum is taken, as torch does; the paper's
        algorithm corrects neither.
    """

    scale = rule.MaximumOfSquares()
    constraints = Adam.constraints | {"bias_correction": BOOLEAN}

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        epsilon_hat: bool = False,
        bias_correction: bool = True,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, epsilon_hat)
        self.bias_correction = bias_correction


class AdaMax(TwoSlotOptimizer):
    """Adam with the infinity norm (Kingma & Ba, 2015, arXiv:1412.6980, section 7).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.002
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-8
        Added to the absolute gradients.
    """

    direction = rule.MovingAverage()
    scale = rule.InfinityNorm()
    constraints = _BETAS
    search_space = _OF_ADAM

    def __init__(
        self,
        learning_rate: Rate = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon


class NAdam(TwoSlotOptimizer):
    """Adam with Nesterov's momentum (Dozat, 2016).

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.002
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-8
    momentum_decay : float, default=0.004
        How fast the momentum grows from half of `beta_1` to all of it; 1 is keras's.
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
    ):
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.momentum_decay = momentum_decay


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019, arXiv:1711.05101).

    Every update also takes ``learning_rate * weight_decay`` of each weight. The estimators'
    ``alpha`` is the coupled L2 penalty instead, part of the loss; use one or the other.

    Parameters
    ----------
    learning_rate : float, str or Schedule, default=0.001
    beta_1, beta_2 : float, default=0.9, 0.999
    epsilon : float, default=1e-8
    weight_decay : float, default=0.01
    """

    constraints = _BETAS | {"weight_decay": NOT_NEGATIVE}
    epsilon_hat = False
    search_space = {**_OF_ADAM, "weight_decay": LogUniform(1e-4, 1.0)}

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon)
        self.weight_decay = weight_decay

    def formula(self) -> Formula:
        formula = super().formula()
        return formula._replace(value=f"{formula.value} - learning_rate * weight_decay * weights")

    def coefficients(self, number: int, learning_rate: Column) -> dict[str, Column]:
        coefficients = super().coefficients(number, learning_rate)
        coefficients["decay"] = -learning_rate * self.weight_decay
        return coefficients

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        xp = step.xp
        change = super().update(grad, state, params, step)
        xp.multiply(params, step.coefficients["decay"], out=step.scratch)
        return xp.add(change, step.scratch, out=change)
