"""Keras's optimizers: the rate is inside velocities, and any method has decoupled weight decay."""

from __future__ import annotations

from typing import Any

from skopt_dl.optimizers.base import Optimizer
from skopt_dl.optimizers.classics import (
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
    RMSProp,
)
from skopt_dl.optimizers.dialects.dialect import Dialect, Only

_CLIPPING = (
    "The model's max_grad_norm clips the gradient of all weights together, as keras's "
    "global_clipnorm does."
)
_AVERAGE = "The model's ema_decay averages its weights."

KERAS = Dialect(
    "keras",
    only={
        "clipnorm": Only(None, _CLIPPING),
        "clipvalue": Only(None, _CLIPPING),
        "global_clipnorm": Only(None, _CLIPPING),
        "use_ema": Only(False, _AVERAGE),
        "ema_momentum": Only(0.99, _AVERAGE),
        "ema_overwrite_frequency": Only(None, _AVERAGE),
        "loss_scale_factor": Only(None, "Leave it out: nothing trains in half precision here."),
        "gradient_accumulation_steps": Only(None, "Pass a larger batch_size to the model."),
    },
    without_effect=("name",),
)

Decay = float | None


@KERAS.form("SGD")
def sgd(
    learning_rate: Any = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: Decay = None,
) -> Optimizer:
    if not momentum:
        return SGD(learning_rate, weight_decay=weight_decay or None)
    cls = Nesterov if nesterov else Momentum
    return cls(learning_rate, momentum, weight_decay or None, rate_in_velocity=True)


@KERAS.form("Adagrad")
def adagrad(
    learning_rate: Any = 0.001,
    initial_accumulator_value: float = 0.1,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
) -> Optimizer:
    return AdaGrad(
        learning_rate,
        epsilon,
        initial_accumulator_value,
        epsilon_inside_sqrt=True,
        weight_decay=weight_decay or None,
    )


@KERAS.form("RMSprop")
def rmsprop(
    learning_rate: Any = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    weight_decay: Decay = None,
) -> Optimizer:
    return RMSProp(
        learning_rate,
        rho,
        epsilon,
        epsilon_inside_sqrt=True,
        momentum=momentum,
        centered=centered,
        weight_decay=weight_decay or None,
        rate_in_velocity=True,
    )


@KERAS.form("Adadelta")
def adadelta(
    learning_rate: Any = 0.001,
    rho: float = 0.95,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
) -> Optimizer:
    return AdaDelta(learning_rate, rho, epsilon, weight_decay or None)


@KERAS.form("Adam")
def adam(
    learning_rate: Any = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
    weight_decay: Decay = None,
) -> Optimizer:
    cls = AMSGrad if amsgrad else Adam
    decay = weight_decay or None
    return cls(learning_rate, beta_1, beta_2, epsilon, epsilon_hat=True, weight_decay=decay)


@KERAS.form("AdamW")
def adamw(
    learning_rate: Any = 0.001,
    weight_decay: float = 0.004,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    amsgrad: bool = False,
) -> Optimizer:
    cls = AMSGrad if amsgrad else AdamW
    return cls(learning_rate, beta_1, beta_2, epsilon, epsilon_hat=True, weight_decay=weight_decay)


@KERAS.form("Adamax")
def adamax(
    learning_rate: Any = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
) -> Optimizer:
    decay = weight_decay or None
    return AdaMax(learning_rate, beta_1, beta_2, epsilon, decay, epsilon_outside_max=True)


@KERAS.form("Nadam")
def nadam(
    learning_rate: Any = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: Decay = None,
) -> Optimizer:
    decay = weight_decay or None
    return NAdam(learning_rate, beta_1, beta_2, epsilon, momentum_decay=1.0, weight_decay=decay)
