"""What a dialect is: how one library calls its optimizers, and which of ours they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from skopt_dl._params import did_you_mean
from skopt_dl.optimizers.base import Optimizer
from skopt_dl.plugins import available


class Only(NamedTuple):
    """An argument that has a form here at one value only, its default.

    Attributes
    ----------
    value : object
    instead : str
        What to do where another is wanted: a sentence.
    """

    value: Any
    instead: str


class Form(NamedTuple):
    """One class of a library.

    Attributes
    ----------
    make : callable
        Its parameters are the library's, defaults included; it returns the optimizer.
    only : mapping of str to Only
    """

    make: Callable[..., Optimizer]
    only: Mapping[str, Only]


@dataclass
class Dialect:
    """One library.

    Attributes
    ----------
    library : str
    only : mapping of str to Only
        Arguments that its classes share.
    without_effect : collection of str
        Those that say how something is computed, or what it is called.
    forms : dict of str to Form
    """

    library: str
    only: Mapping[str, Only] = field(default_factory=dict)
    without_effect: Collection[str] = ()
    forms: dict[str, Form] = field(default_factory=dict)

    def form(self, name: str, **only: Only) -> Callable[..., Any]:
        """Decorate the function that makes what the library calls `name`."""

        def keep(make: Callable[..., Optimizer]) -> Callable[..., Optimizer]:
            self.forms[name] = Form(make, {**self.only, **only})
            return make

        return keep

    def make(self, name: str, arguments: Mapping[str, Any]) -> Optimizer:
        """Create one of the library's optimizers; see `skopt_dl.optimizers.like`."""
        if name not in self.forms:
            raise ValueError(self._no_such_class(name))
        form, called = self.forms[name], f"{self.library}.{name}"
        translated = self._checked(form, called, arguments)
        try:
            optimizer = form.make(**translated)
            optimizer.check_params()
        except ValueError as error:
            raise ValueError(f"{called} with {_listed(arguments)}: {error}") from None
        return optimizer

    def _checked(self, form: Form, called: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the form's own function, out of those that are given."""
        own, translated = inspect.signature(form.make).parameters, {}
        for name, value in arguments.items():
            if name in own:
                translated[name] = value
            elif name in form.only:
                allowed, instead = form.only[name]
                if value is not allowed and value != allowed:
                    raise ValueError(
                        f"{called} with {name}={value!r} has no equal here, only with "
                        f"{name}={allowed!r}. {instead}"
                    )
            elif name not in self.without_effect:
                raise TypeError(
                    f"{called} has no argument {name!r}; it has {', '.join(own)}."
                    f"{did_you_mean(name, own)}"
                )
        missing = [
            name
            for name, parameter in own.items()
            if parameter.default is parameter.empty and name not in arguments
        ]
        if missing:
            raise TypeError(f"{called} has no default for {missing[0]}; pass {missing[0]}=….")
        return translated

    def _no_such_class(self, name: str) -> str:
        text = (
            f"like knows no {name!r} of {self.library}; it knows {', '.join(self.forms)}."
            f"{did_you_mean(name, self.forms)}"
        )
        if name.lower() in available("optimizer"):
            text += (
                f" Here {name.lower()!r} is an optimizer with parameters of its own: "
                f"make_optimizer({name.lower()!r})."
            )
        return text


def _listed(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items()) or "its defaults"
