"""Rules for what an optimizer's class declares."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from skopt_dl._params import did_you_mean
from skopt_dl.objectives import FUNCTIONS
from skopt_dl.optimizers import Optimizer, Space, Target
from skopt_dl.optimizers.base import NEEDS
from skopt_dl.testing._bench import LAYOUT
from skopt_dl.testing._rules import broken, expecting

_ARGUMENTS = ("grad", "state", "params", "step")


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
