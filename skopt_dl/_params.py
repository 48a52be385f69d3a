"""Parameters of everything that is configured: what is allowed, and what was probably meant."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from sklearn.base import BaseEstimator

from skopt_dl._pickling import MissingPluginObject, from_plain, reduce_component, to_plain


class Constraint(Protocol):
    """One kind of value a parameter may have; its ``str`` completes "must be …"."""

    def accepts(self, value: Any) -> bool: ...


Constraints = dict[str, Constraint | tuple[Constraint, ...]]


@dataclass(frozen=True)
class Interval:
    """A number between two bounds.

    Parameters
    ----------
    low, high : float
    closed : str, default="["
        ``"["`` or ``"("`` for the lower bound, and ``"]"`` or ``")"`` for the upper, as in
        mathematics.
    integer : bool, default=False
    """

    low: float
    high: float
    closed: str = "[)"
    integer: bool = False

    def accepts(self, value: Any) -> bool:
        kind = numbers.Integral if self.integer else numbers.Real
        if not isinstance(value, kind) or isinstance(value, bool | np.bool_):
            return False
        number = float(value)
        above = number >= self.low if self.closed[0] == "[" else number > self.low
        below = number <= self.high if self.closed[1] == "]" else number < self.high
        return above and below

    def __str__(self) -> str:
        kind = "an int" if self.integer else "a float"
        return f"{kind} in {self.closed[0]}{self.low:g}, {self.high:g}{self.closed[1]}"


@dataclass(frozen=True)
class Options:
    """One of some values, usually strings."""

    values: tuple[Any, ...]

    def accepts(self, value: Any) -> bool:
        return any(value is option or value == option for option in self.values)

    def __str__(self) -> str:
        return " or ".join(repr(value) for value in self.values)


@dataclass(frozen=True)
class InstanceOf:
    """An object of a class, called `description` in messages."""

    kind: type | tuple[type, ...]
    description: str

    def accepts(self, value: Any) -> bool:
        return isinstance(value, self.kind)

    def __str__(self) -> str:
        return self.description


@dataclass(frozen=True)
class Function:
    """Something to be called, named `description` in messages."""

    description: str

    def accepts(self, value: Any) -> bool:
        return callable(value)

    def __str__(self) -> str:
        return self.description


@dataclass(frozen=True)
class Precision:
    """A dtype to train in, or None to follow the data."""

    def accepts(self, value: Any) -> bool:
        if value is None:
            return True
        try:
            return np.dtype(value).name in ("float32", "float64")
        except TypeError:
            return False

    def __str__(self) -> str:
        return "None, 'float32' or 'float64'"


BOOLEAN = InstanceOf((bool, np.bool_), "True or False")
POSITIVE = Interval(0, math.inf, "()")
NOT_NEGATIVE = Interval(0, math.inf, "[)")
FRACTION = Interval(0, 1, "[)")


# What other libraries call things that have another name here.
ALSO_KNOWN_AS = {
    "cross_entropy": "log_loss",
    "gpu": "cuda",
    "he": "he_uniform",
    "linear": "identity",
    "mae": "absolute_error",
    "mse": "squared_error",
    "sigmoid": "logistic",
    "solver": "optimizer",
    "swish": "silu",
    "xavier": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
}


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the option nearest to `name`, or an empty string.

    Names that other libraries use, and initials (``"lr"``), count as near.
    """
    options = list(options)
    known_as = [o for o in options if o == ALSO_KNOWN_AS.get(name)]
    initials = [o for o in options if "".join(word[:1] for word in o.split("_")) == name]
    nearest = known_as or difflib.get_close_matches(name, options, n=1) or initials
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


@cache
def _param_names(cls: Any) -> list[str]:
    """Names of a class's parameters: reading its signature takes longer than all that follows."""
    return BaseEstimator._get_param_names.__func__(cls)


class Configurable(BaseEstimator):
    """scikit-learn parameters, with constraints and suggestions for misspelled names.

    A subclass lists in ``constraints``, for each parameter, the `Constraint` it must satisfy, or
    several of which it must satisfy one.
    """

    constraints: ClassVar[Constraints] = {}

    @classmethod
    def _get_param_names(cls) -> list[str]:
        own: Any = cls
        return _param_names(own)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduce_component(self)

    def __getstate__(self) -> dict[str, Any]:
        return to_plain(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(from_plain(state))

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; ``a__b`` sets parameter ``b`` of the object in ``a``."""
        valid = self._get_param_names()
        for key in params:
            name = key.partition("__")[0]
            if name not in valid:
                raise ValueError(
                    f"Invalid parameter {name!r} for {type(self).__name__}."
                    f"{did_you_mean(name, valid)} Valid parameters are: {', '.join(valid)}."
                )
        super().set_params(**params)
        return self

    def check_params(self) -> None:
        """Check every parameter against its constraint.

        Raises
        ------
        ValueError
            Naming the parameter, its value and what is allowed.
        """
        known = self._get_param_names()
        for name, allowed in self.constraints.items():
            if name not in known:
                raise ValueError(
                    f"constraints of {type(self).__name__} has {name!r}, which is no parameter."
                    f"{did_you_mean(name, known)}"
                )
            value = getattr(self, name)
            if isinstance(value, Configurable | MissingPluginObject):
                # A stand-in for a missing plugin's object says so itself.
                value.check_params()
            alternatives = allowed if isinstance(allowed, tuple) else (allowed,)
            if any(constraint.accepts(value) for constraint in alternatives):
                continue
            hint = ""
            if isinstance(value, str):
                texts = [v for c in alternatives if isinstance(c, Options) for v in c.values]
                hint = did_you_mean(value, [v for v in texts if isinstance(v, str)])
            raise ValueError(
                f"{name} of {type(self).__name__} must be "
                f"{', or '.join(str(c) for c in alternatives)}; got {value!r}.{hint}"
            )
