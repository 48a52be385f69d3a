"""PyTorch's optimizers: what they call weight decay is a penalty, but for AdamW's."""

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

TORCH = Dialect(
    "torch",
    only={"maximize": Only(False, "Minimise the negative.")},
    without_effect=("foreach", "fused", "capturable", "differentiable"),
)


_DAMPENING = Only(0, "But for the first step, it is a rate of lr * (1 - dampening).")


@TORCH.form("SGD", dampening=_DAMPENING)
def sgd(
    lr: Any = 1e-3, momentum: float = 0, weight_decay: float = 0, nesterov: bool = False
) -> Optimizer:
    if nesterov and not momentum:
        raise ValueError("nesterov=True needs a momentum above 0, as in torch.")
    if not momentum:
        return SGD(lr, l2=weight_decay or None)
    return (Nesterov if nesterov else Momentum)(lr, momentum, l2=weight_decay or None)


@TORCH.form("Adagrad", lr_decay=Only(0, "Pass a schedule of skopt_dl.schedules as lr."))
def adagrad(
    lr: Any = 1e-2,
    weight_decay: float = 0,
    initial_accumulator_value: float = 0,
    eps: float = 1e-10,
) -> Optimizer:
    return AdaGrad(lr, eps, initial_accumulator_value, l2=weight_decay or None)


@TORCH.form("RMSprop")
def rmsprop(
    lr: Any = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum: float = 0,
    centered: bool = False,
) -> Optimizer:
    return RMSProp(lr, alpha, eps, momentum=momentum, centered=centered, l2=weight_decay or None)


@TORCH.form("Adadelta")
def adadelta(
    lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0
) -> Optimizer:
    return AdaDelta(lr, rho, eps, l2=weight_decay or None)


@TORCH.form("Adam")
def adam(
    lr: Any = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    amsgrad: bool = False,
    decoupled_weight_decay: bool = False,
) -> Optimizer:
    decay = _decay(weight_decay, decoupled_weight_decay)
    return (AMSGrad if amsgrad else Adam)(lr, *_pair(betas), eps, **decay)


@TORCH.form("AdamW")
def adamw(
    lr: Any = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
) -> Optimizer:
    return (AMSGrad if amsgrad else AdamW)(lr, *_pair(betas), eps, weight_decay=weight_decay)


@TORCH.form("Adamax")
def adamax(
    lr: Any = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
) -> Optimizer:
    return AdaMax(lr, *_pair(betas), eps, l2=weight_decay or None)


@TORCH.form("NAdam")
def nadam(
    lr: Any = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
) -> Optimizer:
    decay = _decay(weight_decay, decoupled_weight_decay)
    return NAdam(lr, *_pair(betas), eps, momentum_decay, **decay)


def _decay(weight_decay: float, decoupled: bool) -> dict[str, Any]:
    return {"weight_decay" if decoupled else "l2": weight_decay or None}


def _pair(betas: Any) -> tuple[float, float]:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ValueError(f"betas must be two numbers, as in (0.9, 0.999); got {betas!r}.")
    return betas[0], betas[1]
