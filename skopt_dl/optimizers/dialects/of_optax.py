"""Optax's optimizers: each is a function, most without a default for the learning rate."""

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

OPTAX = Dialect("optax")

_DTYPE = Only(None, "Leave it out: slots have the precision of the training.")
_IN_ROOT = Only(0.0, "Leave it out, or pass eps, which is added to the root.")
_MASK = Only(None, "A PartialOptimizer treats some tensors, and hands on the rest.")
_ADAM = {"eps_root": _IN_ROOT, "mu_dtype": _DTYPE}

# From here on NAdam's momentum does not grow: it is optax's.
CONSTANT = 1000.0


@OPTAX.form("sgd", accumulator_dtype=_DTYPE)
def sgd(learning_rate: Any, momentum: float | None = None, nesterov: bool = False) -> Optimizer:
    if not momentum:
        return SGD(learning_rate)
    return (Nesterov if nesterov else Momentum)(learning_rate, momentum)


@OPTAX.form("adagrad")
def adagrad(
    learning_rate: Any, initial_accumulator_value: float = 0.1, eps: float = 1e-7
) -> Optimizer:
    return AdaGrad(learning_rate, eps, initial_accumulator_value, epsilon_inside_sqrt=True)


@OPTAX.form(
    "rmsprop",
    nesterov=Only(False, "Leave it out; NAdam has both."),
    bias_correction=Only(False, "Adam with b1=0 is that."),
)
def rmsprop(
    learning_rate: Any,
    decay: float = 0.9,
    eps: float = 1e-8,
    initial_scale: float = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: float | None = None,
) -> Optimizer:
    return RMSProp(
        learning_rate,
        decay,
        eps,
        initial_scale,
        epsilon_inside_sqrt=eps_in_sqrt,
        momentum=momentum or 0.0,
        centered=centered,
        rate_in_velocity=True,
    )


@OPTAX.form("adadelta", weight_decay_mask=_MASK)
def adadelta(
    learning_rate: Any = None, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0
) -> Optimizer:
    if learning_rate is None:
        raise ValueError(
            "without a learning_rate optax does not turn the sign round, and climbs. Pass "
            "learning_rate=1.0 for the method of the paper."
        )
    return AdaDelta(learning_rate, rho, eps, l2=weight_decay or None)


@OPTAX.form("adam", **_ADAM)
def adam(
    learning_rate: Any,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    nesterov: bool = False,
) -> Optimizer:
    if nesterov:
        return NAdam(learning_rate, b1, b2, eps, CONSTANT)
    return Adam(learning_rate, b1, b2, eps)


@OPTAX.form("adamw", **_ADAM, mask=_MASK)
def adamw(
    learning_rate: Any,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-4,
    nesterov: bool = False,
) -> Optimizer:
    if nesterov:
        return NAdam(learning_rate, b1, b2, eps, CONSTANT, weight_decay)
    return AdamW(learning_rate, b1, b2, eps, weight_decay)


@OPTAX.form("amsgrad", **_ADAM)
def amsgrad(
    learning_rate: Any,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> Optimizer:
    if bool(bias_correction_mu) != bool(bias_correction_nu):
        raise ValueError("one correction without the other has no equal here. Pass both alike.")
    form = "before_maximum" if bias_correction_mu else False
    return AMSGrad(learning_rate, b1, b2, eps, bias_correction=form)


@OPTAX.form("adamax")
def adamax(learning_rate: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    return AdaMax(learning_rate, b1, b2, eps)


@OPTAX.form("adamaxw", mask=_MASK)
def adamaxw(
    learning_rate: Any,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-4,
) -> Optimizer:
    return AdaMax(learning_rate, b1, b2, eps, weight_decay)


@OPTAX.form("nadam", **_ADAM)
def nadam(
    learning_rate: Any,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    nesterov: bool = True,
) -> Optimizer:
    return adam(learning_rate, b1, b2, eps, nesterov)


@OPTAX.form("nadamw", **_ADAM, mask=_MASK)
def nadamw(
    learning_rate: Any,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-4,
    nesterov: bool = True,
) -> Optimizer:
    return adamw(learning_rate, b1, b2, eps, weight_decay, nesterov)
