"""Rules for the configuration of any component: parameters, copies, pickles."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import sys
from typing import Any

from sklearn.base import clone

from skopt_dl.testing._rules import broken, expecting, kind_of

_VERBATIM = "In __init__, write self.name = name for each parameter, without a change."


def check_init_names_parameters(component: Any) -> None:
    """``__init__`` names every parameter, each with a default; a layer's may be required."""
    kind = kind_of(component)
    rule = "__init__ names every parameter, each with a default."
    for parameter in inspect.signature(type(component)).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise broken(component, rule, f"{parameter}", "Write the parameters out.")
        if parameter.default is parameter.empty and kind != "layer":
            raise broken(
                component,
                rule,
                f"{parameter.name!r} has no default",
                f'Give it one: {kind}="name" creates an object without arguments.',
            )


def check_init_stores_arguments(component: Any) -> None:
    """``__init__`` stores its arguments as they are."""
    rule = "__init__ stores its arguments as they are."
    names = type(component)._get_param_names()
    arguments = {name: object() for name in names}
    with expecting(component, rule, f"{_VERBATIM} Checks belong in `constraints`."):
        created = type(component)(**arguments)
    for name, argument in arguments.items():
        if getattr(created, name, None) is not argument:
            raise broken(component, rule, f"{name!r} is not stored as self.{name}", _VERBATIM)


def check_constraints(component: Any) -> None:
    """The parameters of the object are allowed."""
    with expecting(
        component,
        "check_params accepts the parameters of the object that is checked.",
        "Pass other parameters to check_component, or correct `constraints`.",
    ):
        component.check_params()


def check_bad_parameters(component: Any) -> None:
    """What can be no value of a parameter is refused by name."""
    for name, value in component.get_params(deep=False).items():
        bad: list[Any] = [_Nonsense()]
        if isinstance(value, float):
            bad.append(math.nan)
        for each in bad:
            changed = copy.copy(component)
            setattr(changed, name, each)
            rule = "check_params refuses what can be no value of a parameter, by its name."
            fix = (
                f'Say what {name} may be: constraints = {{"{name}": Interval(0, 1)}}, with what '
                "skopt_dl.plugins.constraints has; check_params, if it is overridden, calls that "
                "of the base class."
            )
            try:
                changed.check_params()
            except ValueError as error:
                if name in str(error):
                    continue
                seen = f"{name}={each!r} is answered with: {error}"
            except Exception as error:
                seen = f"{name}={each!r} raises {type(error).__name__}: {error}"
            else:
                seen = f"{name}={each!r} is accepted"
            raise broken(component, rule, seen, fix)


class _Nonsense:
    """No value of any parameter."""

    def __repr__(self) -> str:
        return "object()"


def check_copies(component: Any) -> None:
    """It clones, prints and pickles."""
    params = component.get_params(deep=False)
    kind = kind_of(component)
    one = f"an {kind}" if kind[0] in "aio" else f"a {kind}"
    copies = {
        "clone": lambda: clone(component),
        "pickle": lambda: _pickle_round_trip(component),
        "set_params(**get_params())": lambda: clone(component).set_params(**params),
    }
    for how, make_copy in copies.items():
        rule = f"{how} gives {one} with the same parameters."
        fix = "Keep __init__ to storing, and leave copying to the base class."
        with expecting(component, rule, fix):
            copied = make_copy()
        if type(copied) is not type(component) or repr(copied) != repr(component):
            raise broken(component, rule, f"{component!r} became {copied!r}", fix)
    name = type(component).__name__
    if not repr(component).startswith(f"{name}("):
        rule = "repr shows the class and the parameters that differ from their defaults."
        raise broken(component, rule, repr(component), "Leave __repr__ to the base class.")


def _pickle_round_trip(component: Any) -> Any:
    cls = type(component)
    if getattr(sys.modules.get(cls.__module__), cls.__name__, None) is not cls:
        # Written in a function or a page: pickle cannot name the class, but can copy its objects.
        return copy.deepcopy(component)
    return pickle.loads(pickle.dumps(component))
