"""Parameters of everything that is configured: what is allowed, and what was probably meant."""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

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
        # Python's own numbers first: an abstract class is slow to ask.
        if type(value) is not int and (self.integer or type(value) is not float):
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
        # An array, which is not hashable, compares element by element.
        return isinstance(value, Hashable) and value in self.values

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
COUNT = Interval(1, math.inf, "[)", integer=True)


# What other libraries call things that have another name here.
ALSO_KNOWN_AS = {
    "activation_function": "activation",
    "clipnorm": "max_grad_norm",
    "criterion": "loss",
    "cross_entropy": "log_loss",
    "dropout_rate": "dropout",
    "early_stopping_rounds": "n_iter_no_change",
    "embedding_dim": "n_units",
    "epochs": "max_iter",
    "eps": "epsilon",
    "eta": "learning_rate",
    "eta0": "learning_rate",
    "filters": "n_channels",
    "gpu": "cuda",
    "gradient_clip_val": "max_grad_norm",
    "he": "he_uniform",
    "hidden_layers": "hidden_layer_sizes",
    "hidden_units": "hidden_layer_sizes",
    "initializer": "init",
    "kernel_initializer": "init",
    "kernel_size": "size",
    "l2": "alpha",
    "layers": "hidden_layer_sizes",
    "learning_rate_init": "learning_rate",
    "linear": "identity",
    "mae": "absolute_error",
    "max_epochs": "max_iter",
    "mse": "squared_error",
    "n_epochs": "max_iter",
    "nb_epoch": "max_iter",
    "num_embeddings": "n_tokens",
    "num_epochs": "max_iter",
    "num_heads": "n_heads",
    "out_channels": "n_channels",
    "out_features": "n_units",
    "output_dim": "n_units",
    "p": "rate",
    "patience": "n_iter_no_change",
    "pool_size": "size",
    "reg_lambda": "alpha",
    "seed": "random_state",
    "sigmoid": "logistic",
    "solver": "optimizer",
    "strides": "stride",
    "swish": "silu",
    "units": "n_units",
    "validation_split": "validation_fraction",
    "vocab_size": "n_tokens",
    "xavier": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
}


def alternatives_of(allowed: Constraint | tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """What ``constraints`` say of a parameter, as a tuple also where it is one constraint."""
    return allowed if isinstance(allowed, tuple) else (allowed,)


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the option nearest to `name`, or an empty string.

    Names that other libraries use, and initials (``"lr"``), count as near; capitals do not matter.
    """
    options = list(options)
    but_for_capitals = [option for option in options if option.lower() == name.lower()]
    if but_for_capitals:
        return f" Did you mean {but_for_capitals[0]!r}?"
    for written in (name, name.lower()):
        known_as = [o for o in options if o == ALSO_KNOWN_AS.get(written)]
        initials = [o for o in options if "".join(word[:1] for word in o.split("_")) == written]
        nearest = known_as or difflib.get_close_matches(written, options, n=1) or initials
        if nearest:
            return f" Did you mean {nearest[0]!r}?"
    return ""


@cache
def _param_names(cls: Any) -> list[str]:
    """Names of a class's parameters: reading its signature takes longer than all that follows."""
    return BaseEstimator._get_param_names.__func__(cls)


@cache
def _keywords(cls: Any) -> Mapping[str, Any] | None:
    """Parameters of a class's ``__init__``; None if it takes any keyword."""
    parameters = inspect.signature(cls.__init__).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return None if takes_any else parameters


class _KnowsItsKeywords:
    """Answers an unknown keyword of a constructor with the name that was probably meant.

    A base of `Configurable`, which has an ``__init__``, so that signatures are read from that.
    """

    if not TYPE_CHECKING:

        def __new__(cls, *args, **kwargs):
            known = _keywords(cls) if args or kwargs else None
            if known is not None and len(args) > _n_places(cls):
                parameters = ", ".join(list(known)[1:])
                raise TypeError(
                    f"{cls.__name__} takes at most {_n_places(cls)} positional arguments; got "
                    f"{len(args)}. "
                    f"{'Name them: ' + parameters if parameters else 'It has no parameters'}."
                )
            for name in kwargs:
                if known is not None and name not in known:
                    raise TypeError(
                        f"{cls.__name__} got an unexpected keyword argument {name!r}."
                        f"{cls._suggestion(name, known)}"
                    )
            return super().__new__(cls)


@cache
def _n_places(cls: Any) -> float:
    """How many arguments without a name a class takes."""
    kinds = [each.kind for each in list(inspect.signature(cls.__init__).parameters.values())[1:]]
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    takes_any = inspect.Parameter.VAR_POSITIONAL in kinds
    return math.inf if takes_any else sum(kind in by_place for kind in kinds)


def _objects_within(value: Any) -> list[Any]:
    """A configured object and all that are its parameters, however deep; none for other values."""
    if isinstance(value, type) or not hasattr(value, "get_params"):
        return []
    return [value, *(o for v in value.get_params(deep=False).values() for o in _objects_within(v))]


class Configurable(BaseEstimator, _KnowsItsKeywords):
    """scikit-learn parameters, with constraints and suggestions for misspelled names.

    A subclass lists in ``constraints``, for each parameter, the `Constraint` it must satisfy, or
    several of which it must satisfy one; in ``elsewhere``, what to write for parameters that
    users of other libraries look for and that it has not.
    """

    constraints: ClassVar[Constraints] = {}
    elsewhere: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        pass

    @classmethod
    def _get_param_names(cls) -> list[str]:
        own: Any = cls
        return _param_names(own)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduce_component(self)

    @classmethod
    def _suggestion(cls, name: str, known: Iterable[str]) -> str:
        """What to write in the place of a parameter that there is not."""
        if name in cls.elsewhere:
            return f" Here it is {cls.elsewhere[name]}."
        root, _, inner = name.partition("__")
        if inner and root in known:
            return f" Set it afterwards, by set_params({name}=...), or in a grid."
        return did_you_mean(name, known)

    def __getstate__(self) -> dict[str, Any]:
        return to_plain(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(from_plain(state))

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; ``a__b`` sets parameter ``b`` of the object in ``a``.

        Raises
        ------
        ValueError
            If there is no such parameter; then none is set.
        """
        roots = [self, *params.values()] if any("__" in key for key in params) else []
        before = [(each, dict(vars(each))) for root in roots for each in _objects_within(root)]
        before = before or [(self, dict(vars(self)))]
        try:
            self._check_names(params)
            super().set_params(**params)
        except BaseException:
            for each, attributes in before:
                each.__dict__ = attributes
            raise
        return self

    def _check_names(self, params: Mapping[str, Any]) -> None:
        """See that there are such parameters, and objects where parameters of theirs are set."""
        valid = self._get_param_names()
        for key in params:
            name, nested, rest = key.partition("__")
            if name not in valid:
                has = f"Valid parameters are: {', '.join(valid)}." if valid else "It has none."
                raise ValueError(
                    f"Invalid parameter {name!r} for {type(self).__name__}."
                    f"{self._suggestion(name, valid)} {has}"
                )
            value = params.get(name, getattr(self, name))
            if nested and (isinstance(value, type) or not hasattr(value, "set_params")):
                what = "a class" if isinstance(value, type) else f"{value!r}"
                if isinstance(value, list | tuple):
                    raise ValueError(
                        f"{key} cannot be set: {name} of {type(self).__name__} is a list, {what}, "
                        f"whose parts are not set one by one. Set {name} to another list."
                    )
                raise ValueError(
                    f"{key} cannot be set: {name} of {type(self).__name__} is {what}, which has "
                    f"no parameters. Set {name} to an object that has a parameter {rest!r}."
                )

    def check_params(self) -> None:
        """Check every parameter against its constraint.

        Raises
        ------
        ValueError
            Naming the parameter, its value and what is allowed.
        """
        known = set(self._get_param_names())
        for name, allowed in self.constraints.items():
            if name not in known:
                raise ValueError(
                    f"constraints of {type(self).__name__} has {name!r}, which is no parameter."
                    f"{did_you_mean(name, self._get_param_names())}"
                )
            value = getattr(self, name)
            if isinstance(value, (Configurable, MissingPluginObject)):
                # A stand-in for a missing plugin's object says so itself.
                value.check_params()
            alternatives = alternatives_of(allowed)
            for constraint in alternatives:
                if constraint.accepts(value):
                    break
            else:
                hint = ""
                if isinstance(value, str):
                    texts = [v for c in alternatives if isinstance(c, Options) for v in c.values]
                    hint = did_you_mean(value, [v for v in texts if isinstance(v, str)])
                raise ValueError(
                    f"{name} of {type(self).__name__} must be "
                    f"{', or '.join(str(c) for c in alternatives)}; got {value!r}.{hint}"
                )
