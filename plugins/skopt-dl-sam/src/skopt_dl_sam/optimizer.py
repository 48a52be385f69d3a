"""The optimizer."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from skopt_dl.optimizers import LogUniform, Momentum, Optimizer, Space, Step, space_of
from skopt_dl.optimizers.base import fill_state
from skopt_dl.plugins.constraints import (
    BOOLEAN,
    LEARNING_RATE,
    NOT_NEGATIVE,
    InstanceOf,
    Options,
)
from skopt_dl.schedules import Schedule

Array = Any

NONE = Options((None,))


class SAM(Optimizer):
    """Any optimizer, with the gradient from a little uphill, for flat minima (Foret et al., 2021).

    P. Foret, A. Kleiner, H. Mobahi, B. Neyshabur: "Sharpness-Aware Minimization for Efficiently
    Improving Generalization", ICLR 2021, arXiv:2010.01412. The adaptive form: J. Kwon, J. Kim,
    H. Park, I. K. Choi, ICML 2021, arXiv:2102.11600.

    Parameters
    ----------
    learning_rate : float or Schedule, default=None
        None means that of `optimizer`.
    rho : float, default=0.05
        How far uphill. The adaptive form takes about ten times as much.
    adaptive : bool, default=False
        Whether the way uphill is in proportion to each weight.
    optimizer : Optimizer, default=None
        What uses the gradient; None means ``Momentum()``.

    Examples
    --------
    >>> from skopt_dl import make_optimizer
    >>> from skopt_dl.optimizers import AdamW
    >>> make_optimizer("sam", rho=0.1, optimizer=AdamW(0.003))
    SAM(optimizer=AdamW(learning_rate=0.003), rho=0.1)
    """

    constraints = {
        "learning_rate": (*LEARNING_RATE, NONE),
        "rho": NOT_NEGATIVE,
        "adaptive": BOOLEAN,
        "optimizer": (InstanceOf(Optimizer, "an optimizer, such as Adam()"), NONE),
    }
    elsewhere = {"base_optimizer": "optimizer", "momentum": "optimizer=Momentum(momentum=...)"}

    def __init__(
        self,
        learning_rate: float | Schedule | None = None,
        rho: float = 0.05,
        adaptive: bool = False,
        optimizer: Optimizer | None = None,
    ):
        self.learning_rate = learning_rate  # type: ignore[assignment]
        self.rho = rho
        self.adaptive = adaptive
        self.optimizer = optimizer

    @property
    def wrapped(self) -> Optimizer:
        """What uses the gradient."""
        return Momentum() if self.optimizer is None else self.optimizer

    @property
    def learning_rate_schedule(self) -> Schedule:
        """The learning rate as a schedule: its own, or else the wrapped optimizer's."""
        if self.learning_rate is None:
            return self.wrapped.learning_rate_schedule
        if isinstance(self.learning_rate, str):
            # The name of a schedule stands for one around the wrapped optimizer's default.
            named = copy.copy(self.wrapped)
            named.learning_rate = self.learning_rate
            return named.learning_rate_schedule
        return super().learning_rate_schedule

    @property
    def search_space(self) -> dict[str, Space]:  # type: ignore[override]
        """The wrapped optimizer's rates, and how far uphill."""
        rates = {k: v for k, v in space_of(self.wrapped).items() if k == "learning_rate"}
        return {**rates, "rho": LogUniform(0.005, 0.5)}

    # State, and what is needed besides, are the wrapped optimizer's.

    @property
    def slots(self) -> Any:  # type: ignore[override]
        return self.wrapped.slots

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(dict.fromkeys(("gradient", *self.wrapped.needs)))

    @property
    def stackable(self) -> bool:  # type: ignore[override]
        return self.wrapped.stackable

    def slot_shapes(self, layout: Any) -> dict[str, tuple[int, ...]]:
        """The wrapped optimizer's."""
        return self.wrapped.slot_shapes(layout)

    def init_state(
        self, state: dict[str, Array], params: Array, xp: Any, layout: Any = None
    ) -> None:
        """Fill the wrapped optimizer's state."""
        fill_state(self._bound(params, xp).init_state, state, params, xp, layout)

    def coefficients(self, number: int, learning_rate: Any) -> dict[str, Any]:
        """The wrapped optimizer's."""
        return self.wrapped.coefficients(number, learning_rate)

    def update(self, grad: Array, state: Mapping[str, Array], params: Array, step: Step) -> Array:
        """Return the wrapped optimizer's change, ``(K, P)``, for the gradient from uphill."""
        assert step.gradient is not None
        xp = step.xp
        sizes = xp.abs(params) if self.adaptive else 1.0
        steepest = sizes * grad
        norm = xp.sqrt(xp.sum(steepest * steepest, axis=1, keepdims=True))
        uphill = step.gradient(params + self.rho * sizes * steepest / (norm + 1e-12))
        return self._bound(params, xp).update(uphill, state, params, step)

    def eval_params(self, params: Array, state: Mapping[str, Array]) -> Array:
        """What the wrapped optimizer predicts with."""
        return self.wrapped.eval_params(params, state)

    def _bound(self, params: Array, xp: Any) -> Optimizer:
        """The wrapped optimizer with arrays for hyperparameters, as it has them where it is alone.

        Models of a stack that differ in one of these are not updated together.
        """
        bound = copy.copy(self.wrapped)
        defaults = type(bound)().get_params(deep=False)
        for name, value in bound.get_params(deep=False).items():
            if name != "learning_rate" and isinstance(defaults[name], float):
                setattr(bound, name, xp.asarray(value, dtype=params.dtype))
        return bound
