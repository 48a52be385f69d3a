"""What the page lets one choose from."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.lab.comparing import compare
from skopt_dl.objectives import FUNCTIONS, Function, Quadratic
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.plugins import available_optimizers, make_optimizer

# The hyperparameter that the slider of momentum sets: the first of these that an optimizer has.
MOMENTA = ("momentum", "beta_1")

RATES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)

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
    absent : dict of str to str
        Why an installed optimizer is not among them.
    """

    functions: Mapping[str, Function]
    optimizers: tuple[str, ...]
    learning_rates: tuple[float, ...]
    momenta: tuple[float, ...]
    n_starts: int | None
    n_steps: int
    absent: Mapping[str, str]

    def check(self) -> Offer:
        """Return itself, if a page can show it.

        Raises
        ------
        TypeError, ValueError
            What cannot be shown, and what could.
        """
        for parameter in ("functions", "optimizers", "learning_rates", "momenta"):
            if not len(getattr(self, parameter)):
                raise ValueError(f"{parameter} of the offer is empty; the page needs at least one.")
        for name, function in self.functions.items():
            if not isinstance(function, Function):
                raise TypeError(
                    f"functions of the offer must be Function objects, as those of "
                    f"skopt_dl.objectives are; got {type(function).__name__} for {name!r}."
                )
            if function.n_dims != 2:
                raise ValueError(
                    "The page shows functions of two variables; "
                    f"{name!r} of the offer has {function.n_dims}. Leave it out."
                )
        for parameter in ("n_starts", "n_steps"):
            number = getattr(self, parameter)
            if parameter == "n_starts" and number is None:
                continue
            if not isinstance(number, numbers.Integral) or number < 1:
                raise ValueError(
                    f"{parameter} of the offer must be an integer of at least 1; got {number!r}."
                )
        return self

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
    optimizers, absent = optimizers_at_work()
    return Offer(
        functions_of_two(),
        optimizers,
        learning_rates=RATES,
        momenta=(0.0, 0.9, 0.99),
        n_starts=5,
        n_steps=100,
        absent=absent,
    )


def served_offer() -> Offer:
    """Return what can be run on demand."""
    optimizers, absent = optimizers_at_work()
    return Offer(
        functions_of_two(),
        optimizers,
        learning_rates=tuple(float(f"{rate:.2g}") for rate in np.logspace(-4, 0, 81)),
        momenta=tuple(n / 100 for n in range(100)),
        n_starts=None,
        n_steps=500,
        absent=absent,
    )


def functions_of_two() -> dict[str, Function]:
    """Return the library's known functions of two variables, by name."""
    made = {name: make() for name, make in FUNCTIONS.items()}
    return {
        name: function
        for name, function in made.items()
        if function.n_dims == 2 and function.n_samples == 1
    }


def optimizers_at_work() -> tuple[tuple[str, ...], dict[str, str]]:
    """Try all installed optimizers, those of plugins included.

    Returns
    -------
    names : tuple of str
        Those that made a step on a bowl.
    absent : dict of str to str
        What the others answered. One may need a network, and nobody's error is to cost the page.
    """
    installed = available_optimizers()
    names, absent = [], {}
    bowl = Quadratic.of_condition(2.0, 2)
    for name in [*(n for n in FIRST if n in installed), *(n for n in installed if n not in FIRST)]:
        try:
            compare(bowl, name, n_steps=1)
        except Exception as error:
            absent[name] = f"{type(error).__name__}: {error}"
        else:
            names.append(name)
    return tuple(names), absent


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
