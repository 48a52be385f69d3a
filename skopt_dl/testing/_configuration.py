"""Rules for the configuration: parameters, copies, pickles, declarations."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from skopt_dl._params import did_you_mean
from skopt_dl.objectives import FUNCTIONS
from skopt_dl.optimizers import Optimizer, Space, Target
from skopt_dl.optimizers.base import NEEDS
from skopt_dl.testing._bench import LAYOUT
from skopt_dl.testing._rules import broken, expecting

_VERBATIM = "In __init__, write self.name = name for each parameter, without a change."
_ARGUMENTS = ("grad", "state", "params", "step")


def check_init_names_parameters(optimizer: Any) -> None:
    """``__init__`` names every parameter, each with a default."""
    rule = "__init__ names every parameter, each with a default."
    for parameter in inspect.signature(type(optimizer)).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise broken(optimizer, rule, f"{parameter}", "Write the parameters out.")
        if parameter.default is parameter.empty:
            raise broken(
                optimizer,
                rule,
                f"{parameter.name!r} has no default",
                'Give it one: optimizer="name" creates an object without arguments.',
            )


def check_init_stores_arguments(optimizer: Any) -> None:
    """``__init__`` stores its arguments as they are."""
    rule = "__init__ stores its arguments as they are."
    names = type(optimizer)._get_param_names()
    arguments = {name: object() for name in names}
    with expecting(optimizer, rule, f"{_VERBATIM} Checks belong in `constraints`."):
        created = type(optimizer)(**arguments)
    for name, argument in arguments.items():
        if getattr(created, name, None) is not argument:
            raise broken(optimizer, rule, f"{name!r} is not stored as self.{name}", _VERBATIM)


def check_constraints(optimizer: Any) -> None:
    """The parameters of the object are allowed."""
    with expecting(
        optimizer,
        "check_params accepts the parameters of the object that is checked.",
        "Pass other parameters to check_optimizer, or correct `constraints`.",
    ):
        optimizer.check_params()


def check_search_space(optimizer: Any) -> None:
    """``search_space`` names parameters, and has values that are allowed."""
    rule = "`search_space` maps names of parameters to where their values lie."
    space, known = optimizer.search_space, optimizer._get_param_names()
    example = "Write search_space = {'learning_rate': LogUniform(1e-4, 1e-1)}."
    if not isinstance(space, Mapping):
        raise broken(optimizer, rule, f"{space!r}", example)
    for name, values in space.items():
        if name not in known:
            fix = f"Parameters: {', '.join(known) or 'none'}.{did_you_mean(str(name), known)}"
            raise broken(optimizer, rule, f"{name!r}", fix)
        if not isinstance(values, Space):
            raise broken(optimizer, rule, f"{name!r}: {values!r}", example)
        for value in values.grid(5):
            with expecting(
                optimizer,
                "check_params accepts the values of `search_space`.",
                f"Correct `constraints`, or search_space[{name!r}].",
            ):
                clone(optimizer).set_params(**{name: value}).check_params()


def check_copies(optimizer: Any) -> None:
    """It clones, prints and pickles."""
    params = optimizer.get_params(deep=False)
    copies = {
        "clone": lambda: clone(optimizer),
        "pickle": lambda: _pickle_round_trip(optimizer),
        "set_params(**get_params())": lambda: clone(optimizer).set_params(**params),
    }
    for how, make_copy in copies.items():
        rule = f"{how} gives an optimizer with the same parameters."
        fix = "Keep __init__ to storing, and leave copying to the base class."
        with expecting(optimizer, rule, fix):
            copied = make_copy()
        if type(copied) is not type(optimizer) or repr(copied) != repr(optimizer):
            raise broken(optimizer, rule, f"{optimizer!r} became {copied!r}", fix)
    name = type(optimizer).__name__
    if not repr(optimizer).startswith(f"{name}("):
        rule = "repr shows the class and the parameters that differ from their defaults."
        raise broken(optimizer, rule, repr(optimizer), "Leave __repr__ to the base class.")


def _pickle_round_trip(optimizer: Any) -> Any:
    cls = type(optimizer)
    if getattr(sys.modules.get(cls.__module__), cls.__name__, None) is not cls:
        # Written in a function or a page: pickle cannot name the class, but can copy its objects.
        return copy.deepcopy(optimizer)
    return pickle.loads(pickle.dumps(optimizer))


def check_declarations(optimizer: Optimizer) -> None:
    """What the class declares is what can be declared."""
    if "learning_rate" not in optimizer.get_params(deep=False):
        raise broken(
            optimizer,
            "Every optimizer has a parameter learning_rate.",
            f"its parameters are {', '.join(optimizer.get_params(deep=False)) or 'none'}",
            "Add learning_rate, with a default; a method that finds its own rate multiplies it "
            "by learning_rate=1.0.",
        )
    for name in ("slots", "needs"):
        value = getattr(optimizer, name)
        names = tuple(value) if name == "slots" and isinstance(value, Mapping) else value
        if not isinstance(names, tuple) or not all(isinstance(item, str) for item in names):
            example = value if isinstance(value, str) else "momentum"
            raise broken(
                optimizer,
                f"`{name}` is a tuple of names.",
                f"{value!r}",
                f"Write {name} = ({example!r},), with the comma.",
            )
        if len(set(names)) < len(names):
            raise broken(
                optimizer, f"A name is in `{name}` once.", f"{value!r}", "Rename or remove one."
            )
    with expecting(
        optimizer,
        "`slots` says what each state array holds.",
        'Say "params", "scalar", a shape as a tuple, or a function of the layout.',
    ):
        optimizer.slot_shapes(LAYOUT)
    unknown = set(optimizer.needs) - set(NEEDS)
    if unknown:
        raise broken(
            optimizer,
            "`needs` lists what Step can carry.",
            f"{', '.join(map(repr, sorted(unknown)))}",
            f"Known: {', '.join(map(repr, NEEDS))}. All else is there without asking.",
        )
    for target in optimizer.targets:
        rule = "`targets` is a tuple of Target, each of a known function."
        if not isinstance(target, Target):
            fix = 'Write targets = (Target("booth", 1e-6, 500),), with the comma.'
            raise broken(optimizer, rule, f"{target!r}", fix)
        if target.function not in FUNCTIONS:
            fix = f"Functions: {', '.join(FUNCTIONS)}.{did_you_mean(target.function, FUNCTIONS)}"
            raise broken(optimizer, rule, f"{target.function!r}", fix)


def check_arguments_of_update(optimizer: Optimizer) -> None:
    """``update`` takes the gradient, the state, the parameters and the step, in this order."""
    rule = f"update takes ({', '.join(_ARGUMENTS)}), in this order."
    signature = inspect.signature(optimizer.update)
    try:
        bound = signature.bind(*_ARGUMENTS).arguments
    except TypeError as error:
        raise broken(optimizer, rule, str(error), "Write these four, besides self.") from None
    for name, argument in bound.items():
        if name in _ARGUMENTS and name != argument:
            seen = f"update{signature}: what is called {name!r} there is {argument!r}"
            raise broken(optimizer, rule, seen, "Write them in this order.")
