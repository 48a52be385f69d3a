"""An optimizer's ``update`` as a program."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from skopt_dl.objectives import Layout
from skopt_dl.optimizers import Optimizer, Step
from skopt_dl.plugins.blame import warn_of_printing
from skopt_dl.plugins.watching import Catcher
from skopt_dl.programs import Buffer, Program, Symbol, Tracer, TracingError


@dataclass(frozen=True)
class UpdateCase:
    """What an update's program is made for.

    Attributes
    ----------
    optimizer : Optimizer
    key : hashable
        Equal for optimizers that differ in their floats alone.
    layout : Layout
    dtype : str
    shapes : tuple of (str, tuple of int)
        Inputs of `update_program` and their shapes.
    """

    optimizer: Optimizer = field(hash=False, compare=False)
    key: Hashable
    layout: Layout
    dtype: str
    shapes: tuple[tuple[str, tuple[int, ...]], ...]


@lru_cache(maxsize=256)
def update_program(case: UpdateCase) -> Program | str:
    """Record one ``update``, and that its change is added to the parameters.

    Inputs
    ------
    params, grad : array of shape (K, P)
        Both are written.
    learning_rate : array of shape () or (K, 1)
    loss : array of shape (K,)
        Where the optimizer needs it.
    noise : array of shape (K, P)
        Where the optimizer needs it.
    epoch, n_steps : array of shape (K, 1)
        Where the optimizer needs them.
    state.<slot> : array of shape (K, …)
        Written.
    hyper.<name>, coefficient.<name> : array of shape () or (K, 1)

    Returns
    -------
    program : Program or str
        Or why there is none; ``update`` then has to be called at every step.
    """
    if not case.optimizer.traceable:
        return "it says so, traceable = False"
    tracer = Tracer(case.dtype)
    with Catcher() as out:
        try:
            program = tracer.trace(_record, case, tracer)
        except TracingError as error:
            program = str(error)
    if out.printed:
        warn_of_printing(type(case.optimizer), "update", out.printed)
        return "it prints"
    if isinstance(program, str):
        return program
    vars(tracer.xp).clear()
    others = weakref.ref(tracer)
    del tracer
    # A list of the steps, say, would not grow with a program.
    return "it keeps arrays beyond the step" if others() is not None else program


# Inputs that an update may write to, by the first word of their names.
_WRITABLE = ("grad", "state")


def _record(case: UpdateCase, tracer: Tracer) -> Program:
    given = {name: tracer.given(name, shape) for name, shape in case.shapes}
    groups: dict[str, dict[str, Symbol]] = {"hyper": {}, "coefficient": {}, "state": {}}
    for name, symbol in given.items():
        group, dot, own_name = name.partition(".")
        if dot:
            groups[group][own_name] = symbol
    params = given["params"]
    tracer.spent.add(given["grad"].value.buffer)
    step: Any = Step()
    step.xp, step.layout, step.number = tracer.xp, case.layout, tracer.number()
    step.learning_rate, step.coefficients = given["learning_rate"], groups["coefficient"]
    step.loss, step.gradient = given.get("loss"), _refuse_gradient
    step.noise = given.get("noise")
    step.epoch, step.n_steps = given.get("epoch"), given.get("n_steps")
    # Not an input: what is written to it then takes whatever memory is free, in the cache.
    scratch = tracer.temporary(params.value.like)
    step.scratch = Symbol(tracer, scratch)
    state = dict(groups["state"])
    optimizer = copy.copy(case.optimizer)
    for name, symbol in groups["hyper"].items():
        setattr(optimizer, name, symbol)
    attributes = dict(vars(optimizer))
    change = optimizer.update(given["grad"], state, params, step)
    if not isinstance(change, Symbol) or change.shape != params.shape:
        raise TracingError("it does not return an array of the shape of the parameters")
    if not has_same(vars(optimizer), attributes):
        raise TracingError("it sets its own attributes")
    if not has_same(state, groups["state"]):
        raise TracingError("it puts other arrays into its state")
    _check(tracer, scratch.buffer)
    tracer.xp.add(params, change, out=params)
    return tracer.program()


def _refuse_gradient(params: Any) -> Any:
    raise TracingError("it asks for the gradient elsewhere")


def has_same(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether two mappings have the very same objects."""
    return now.keys() == before.keys() and all(now[name] is before[name] for name in before)


def _check(tracer: Tracer, scratch: Buffer) -> None:
    """See that a program can do what the code did."""
    written: set[Buffer] = set()
    for instruction in tracer.instructions:
        for value in instruction.values:
            constant = value.buffer.array
            if constant is not None and np.ndim(constant):
                raise TracingError("it uses an array of its own")
            if value.buffer is scratch and scratch not in written:
                raise TracingError("it uses what the scratch array held before")
        out = instruction.out
        written.add(out.buffer)
        if out.dtype.kind not in "fb" or out.dtype.itemsize > tracer.dtype.itemsize:
            raise TracingError(f"it computes in {out.dtype}")
        if out.buffer.name and out.buffer.name.partition(".")[0] not in _WRITABLE:
            raise TracingError(f"it writes to {out.buffer.name}")
