"""The solvers of scikit-learn's MLP, with its parameters that concern them."""

from __future__ import annotations

from typing import Any

from skopt_dl.optimizers.base import Optimizer
from skopt_dl.optimizers.classics import SGD, Adam, Momentum, Nesterov
from skopt_dl.optimizers.dialects.dialect import Dialect
from skopt_dl.schedules import InverseScaling, ReduceOnPlateau

SKLEARN = Dialect("sklearn")


@SKLEARN.form("sgd")
def sgd(
    learning_rate_init: Any = 0.001,
    learning_rate: str = "constant",
    power_t: float = 0.5,
    momentum: float = 0.9,
    nesterovs_momentum: bool = True,
) -> Optimizer:
    if learning_rate not in ("constant", "invscaling", "adaptive"):
        raise ValueError(
            "learning_rate must be 'constant', 'invscaling' or 'adaptive'; got "
            f"{learning_rate!r}. The number is learning_rate_init."
        )
    rate = learning_rate_init
    if learning_rate == "invscaling":
        rate = InverseScaling(rate, power_t)
    elif learning_rate == "adaptive":
        rate = ReduceOnPlateau(rate)
    if not momentum:
        return SGD(rate)
    return (Nesterov if nesterovs_momentum else Momentum)(rate, momentum, rate_in_velocity=True)


@SKLEARN.form("adam")
def adam(
    learning_rate_init: Any = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> Optimizer:
    return Adam(learning_rate_init, beta_1, beta_2, epsilon, epsilon_hat=True)
