"""What the page lets one choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.objectives import FUNCTIONS, Function
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.plugins import available_optimizers, make_optimizer

# The hyperparameter that the slider of momentum sets: the first of these that an optimizer has.
MOMENTA = ("momentum", "beta_1")

# Shown, and listed, first; every other optimizer can be switched on.
FIRST = ("sgd", "momentum", "rmsprop", "adam")


class Offer(NamedTuple):
    """Functions, optimizers and settings that can be chosen.

    Parameters
    ----------
    functions : dict of str to Function
        Of two variables.
    optimizers : tuple of str
        Names, in the order of the list.
    learning_rates, momenta : tuple of float
        The positions of the two sliders.
    n_starts : int or None
        Starting points lie on a lattice with so many lines in each variable; None: anywhere.
    n_steps : int
        Of every run.
    """

    functions: Mapping[str, Function]
    optimizers: tuple[str, ...]
    learning_rates: tuple[float, ...]
    momenta: tuple[float, ...]
    n_starts: int | None
    n_steps: int

    def starts(self, name: str) -> np.ndarray:
        """Return the lattice of a function, ``(n_starts**2, 2)``; the first variable runs fastest.

        Its outer lines lie half a mesh inside the domain.
        """
        function, n = self.functions[name], self.n_starts or 1
        lines = function.lower[:, None] + np.multiply.outer(
            function.upper - function.lower, (np.arange(n) + 0.5) / n
        )
        y, x = np.meshgrid(lines[1], lines[0], indexing="ij")
        return np.stack([x.ravel(), y.ravel()], axis=1)


def stored_offer() -> Offer:
    """Return what a page can hold: every combination is run before it is written."""
    return Offer(
        functions_of_two(),
        optimizer_names(),
        learning_rates=(1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3),
        momenta=(0.0, 0.9, 0.99),
        n_starts=5,
        n_steps=120,
    )


def served_offer() -> Offer:
    """Return what can be run on demand."""
    rates = [float(f"{rate:.2g}") for rate in np.logspace(-4, 0, 81)]
    return Offer(
        functions_of_two(),
        optimizer_names(),
        learning_rates=tuple(rates),
        momenta=tuple(n / 100 for n in range(100)),
        n_starts=None,
        n_steps=500,
    )


def functions_of_two() -> dict[str, Function]:
    """Return the library's known functions of two variables, by name."""
    made = {name: make() for name, make in FUNCTIONS.items()}
    return {
        name: function
        for name, function in made.items()
        if function.n_dims == 2 and function.n_samples == 1
    }


def optimizer_names() -> tuple[str, ...]:
    """Return the names of all installed optimizers, those of plugins included."""
    names = available_optimizers()
    return (*(n for n in FIRST if n in names), *(n for n in names if n not in FIRST))


def momentum_of(optimizer: Optimizer | Minimizer) -> str | None:
    """Return the name of the hyperparameter that is its momentum, if it has one."""
    names: Mapping[str, Any] = optimizer.get_params(deep=False)
    return next((name for name in MOMENTA if name in names), None)


def has_rate(optimizer: Optimizer | Minimizer) -> bool:
    """Whether it has a learning rate to set."""
    return "learning_rate" in optimizer.get_params(deep=False)


def with_momenta(name: str, momenta: tuple[float, ...]) -> dict[float, Optimizer | Minimizer]:
    """Make an optimizer with each momentum; one that has none is there once, under NaN."""
    optimizer = make_optimizer(name)
    parameter = momentum_of(optimizer)
    if parameter is None:
        return {np.nan: optimizer}
    return {momentum: make_optimizer(name, **{parameter: momentum}) for momentum in momenta}
