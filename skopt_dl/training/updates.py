"""Optimizers at work on the rows of a stack."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from skopt_dl._params import Interval, alternatives_of, did_you_mean
from skopt_dl.backends import Backend, run_all
from skopt_dl.objectives import Layout
from skopt_dl.optimizers import Optimizer, Step
from skopt_dl.optimizers.base import NEEDS, fill_state
from skopt_dl.plugins.blame import blame, blaming
from skopt_dl.programs import HostNumbers, engine_of
from skopt_dl.programs.values import host_dtype
from skopt_dl.schedules import Constant, Progress, Schedule, as_schedule, rate_at
from skopt_dl.training.coefficients import Coefficients
from skopt_dl.training.each_step import EachStep, power
from skopt_dl.training.noise import Noise
from skopt_dl.training.traced import UpdateCase, update_program

Array = Any
Call = Callable[[], Any]


def _is_float(optimizer: Optimizer, name: str, value: Any) -> bool:
    """Whether a hyperparameter is a float, or an integer where a float is meant.

    Powers and products of integers may have any number of digits.
    """
    if not isinstance(value, numbers.Integral):
        return isinstance(value, numbers.Real)
    allowed = alternatives_of(optimizer.constraints.get(name, ()))
    meant = (isinstance(each, Interval) and not each.integer for each in allowed)
    return any(meant) and not isinstance(value, bool)


def structure(optimizer: Optimizer) -> Hashable:
    """What must be equal for optimizers to share one ``update``: all but their floats.

    Flags and strings choose between forms, and integers count things: steps, terms, restarts.
    """
    choices = tuple(
        (name, None if _is_float(optimizer, name, value) else repr(value))
        for name, value in optimizer.get_params(deep=False).items()
        if name != "learning_rate"
    )
    alone = None if optimizer.stackable else object()
    return type(optimizer), choices, tuple(optimizer.slots), alone


def bind(optimizers: Sequence[Optimizer]) -> Optimizer:
    """Copy an optimizer, with float64 ``(K, 1)`` columns where the hyperparameters differ."""
    bound = copy.copy(optimizers[0])
    for name, value in bound.get_params(deep=False).items():
        if name != "learning_rate" and _is_float(bound, name, value):
            setattr(bound, name, column([getattr(optimizer, name) for optimizer in optimizers]))
        elif isinstance(value, np.generic):
            # NumPy's integers would turn float32 arrays into float64.
            setattr(bound, name, value.item())
    return bound


class ExactColumn(np.ndarray):
    """A ``(K, 1)`` float64 column with Python's power of each number.

    NumPy's power of an array may round differently. The last bit of a model's steps would then
    depend on whether its neighbours in the stack share its hyperparameters.
    """

    def __pow__(self, exponent: Any) -> ExactColumn:  # type: ignore[override]
        if type(exponent) is EachStep:
            return NotImplemented
        return power(np.asarray(self), exponent).view(ExactColumn)

    def __rpow__(self, base: Any) -> ExactColumn:  # type: ignore[override]
        return power(base, np.asarray(self)).view(ExactColumn)


def column(values: Sequence[float]) -> float | ExactColumn:
    """Return a Python float where all values are equal, else a ``(K, 1)`` float64 column."""
    if all(value == values[0] for value in values):
        # A NumPy float64 scalar, from np.logspace say, would turn float32 arrays into float64.
        return float(values[0])
    return np.array(values, dtype=np.float64)[:, None].view(ExactColumn)


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return repr(value) if shape is None else f"shape {shape}"


def _form(optimizer: Optimizer, floats: Collection[str]) -> Hashable:
    """What ``update`` may depend on, besides shapes and the values of floats."""
    choices = {name: repr(each) for name, each in vars(optimizer).items() if name not in floats}
    choices.pop("learning_rate", None)
    return type(optimizer), type(optimizer).update, tuple(sorted(choices.items()))


def _course(course: tuple[Schedule, Progress]) -> Hashable:
    """What rates depend on."""
    schedule, progress = course
    return repr(schedule), tuple(sorted(vars(progress).items()))


def _not_a_change(optimizer: Optimizer, change: Any, params: Array) -> ValueError:
    name = type(optimizer).__name__
    came = "None" if change is None else f"an object of shape {getattr(change, 'shape', None)}"
    return ValueError(
        f"{name}.update returned {came}; it must return the change, an array of shape "
        f"{params.shape}. skopt_dl.testing.check_optimizer({name}()) examines all the rules."
    )


def _check_needs(optimizer: Optimizer) -> None:
    """See that `Step` can carry what the optimizer's class asks for."""
    needs, name = optimizer.needs, type(optimizer).__name__
    known = ", ".join(map(repr, NEEDS))
    if not isinstance(needs, tuple):
        raise ValueError(
            f"needs of {name} must be a tuple of {known}, or empty; got {needs!r}. Write "
            f"needs = ({NEEDS[0]!r},), with the comma."
        )
    unknown = [each for each in needs if each not in NEEDS]
    if unknown:
        raise ValueError(
            f"needs of {name} lists {', '.join(map(repr, unknown))}; Step can carry {known}."
            f"{did_you_mean(str(unknown[0]), NEEDS)} Remove it: the rest of Step is there without "
            f"asking. skopt_dl.testing.check_optimizer({name}()) examines all the rules."
        )


class UpdateGroup:
    """One optimizer class, updating neighbouring rows of the stack together.

    Parameters
    ----------
    b : Backend
    optimizers : sequence of Optimizer
        One for each row, alike in `structure`.
    params : array of shape (K, P)
        The rows of this group.
    layout : Layout
    progress : sequence of Progress
        One for each row.
    states : sequence of dict or None
        State to go on from, as `row_state` returned it, one for each row; or None for all.
    rows : slice, default=slice(None)
        Which rows of the gradients that `apply` is given are this group's.
    seeds : sequence of int, default=()
        What is drawn follows from, one for each row; without any, all draw the same.

    Attributes
    ----------
    changes : bool
        Whether there is anything to ask for between two epochs.
    untraced : str
        Why ``update`` is called at every step, once it was; empty where its program is run.
    """

    def __init__(
        self,
        b: Backend,
        optimizers: Sequence[Optimizer],
        params: Array,
        layout: Layout,
        progress: Sequence[Progress],
        states: Sequence[dict[str, Array] | None],
        rows: slice = slice(None),
        seeds: Sequence[int] = (),
    ):
        self._b = b
        self._params = params
        self._rows = rows
        # Columns are the host's; other devices have arrays of their own.
        self._on_device = not isinstance(params, np.ndarray)
        self._progress = list(progress)
        self._schedules: list[Schedule] = [o.learning_rate_schedule for o in optimizers]
        self.rate_changes_per_step = any(schedule.per_step for schedule in self._schedules)
        # The exact copy computes coefficients in float64; the working copy updates arrays.
        self._exact = bind(optimizers)
        # Hyperparameters with schedules of their own, for each model; and which change per step.
        self._scheduled: dict[str, list[Schedule]] = {
            name: [value] * len(optimizers)
            for name, value in optimizers[0].get_params(deep=False).items()
            if name != "learning_rate" and isinstance(value, Schedule)
        }
        self._moving = [name for name, (first, *_) in self._scheduled.items() if first.per_step]
        self._ask_for_hyperparameters(self._scheduled)
        self._optimizer = copy.copy(self._exact)
        self._hyperparameters: dict[str, Array] = {}
        for name, value in vars(self._exact).items():
            if isinstance(value, float | np.ndarray):
                self._hyperparameters[name] = self._to_device(value)
                setattr(self._optimizer, name, self._hyperparameters[name])
        _check_needs(optimizers[0])
        self.needs_loss = "loss" in optimizers[0].needs
        self.needs_gradient = "gradient" in optimizers[0].needs
        self.step = step = Step()
        step.xp, step.layout = b.xp, layout
        step.number = progress[0].step
        self._noise: Noise | None = None
        if "noise" in optimizers[0].needs:
            self._noise = Noise(b, seeds or [0] * len(progress), params, step.number)
            step.noise = self._noise.array
        # What `step` carries of the progress, changed between epochs.
        self._told: dict[str, Array] = {}
        for name in ("epoch", "n_steps"):
            if name in optimizers[0].needs:
                self._told[name] = b.zeros((params.shape[0], 1), like=params)
                setattr(step, name, self._told[name])
        self._coefficients: dict[str, Array] = {}
        step.coefficients = self._coefficients
        self._numbers = Coefficients(self._exact)
        self._rates_differ = False
        self.state: dict[str, Array] = {}
        self._make_state([state for state in states if state is not None])
        self.untraced = ""
        # What `update` does, as calls; None until it is known for the arrays that there are.
        self._calls: list[Call] | None = None
        self._scalars: list[Callable[[int], float]] = []
        self._places: list[Array] = []
        self._loss: Array = None
        # Where the calls find the gradient, and what of the objective's that is; None for a copy.
        self._grad: Array = None
        self._bound: Array = None
        self._rate: Any = None
        self.rates: list[float] = []
        self.changes = True
        self.set_rate()
        self.changes = bool(self._scheduled or self._told) or not all(
            type(schedule) is Constant for schedule in self._schedules
        )
        self._make_coefficients()

    def _make_state(self, states: Sequence[dict[str, Array]]) -> None:
        b, params, optimizer = self._b, self._params, self._optimizer
        for slot, shape in optimizer.slot_shapes(self.step.layout).items():
            if states:
                rows = [b.asarray(state[slot], dtype=params.dtype) for state in states]
                self.state[slot] = b.xp.stack(rows)
            else:
                self.state[slot] = b.zeros((params.shape[0], *shape), like=params)
        if not states:
            with blaming(type(optimizer), "init_state"):
                fill_state(optimizer.init_state, self.state, params, b.xp, self.step.layout)

    def _to_device(self, value: float | np.ndarray) -> Array:
        """A 0-d array or a column, in the precision of the training."""
        return self._b.asarray(value, dtype=self._params.dtype)

    def tell_progress(self) -> None:
        """Write the number of updates done to each model's progress."""
        for progress in self._progress:
            progress.step = self.step.number

    def go_to(self, number: int) -> None:
        """Go on as after so many steps, for which the state is there."""
        self.step.number = number
        if self._noise is not None:
            self._noise.number = number
        self.tell_progress()

    def set_rate(self) -> None:
        """Ask the schedules for the rate, and what else they give, of the next update."""
        if not self.changes:
            return
        self._ask_for_hyperparameters(self._scheduled)
        if self._scheduled:
            self._numbers.forget()
        for name in self._scheduled:
            self._write(self._hyperparameters[name][None, ...], [getattr(self._exact, name)])
        for name, array in self._told.items():
            array[...] = self._to_device(np.array([[getattr(p, name)] for p in self._progress]))
        before = self._rate
        # Rates that may come to differ are a column from the start: programs are made for forms.
        if self.rate_changes_per_step:
            courses = zip(self._schedules, self._progress, strict=True)
            self._rates_differ = len(set(map(_course, courses))) > 1
        self._ask_for_rate()
        if self._rate is before:
            return
        if type(self._rate) is type(before):
            self._write(self.step.learning_rate[None, ...], [self._rate])
        else:
            self.step.learning_rate = self._to_device(self._rate)
            self._make_coefficients()

    def _ask_for_rate(self) -> None:
        self.tell_progress()
        rates = list(map(rate_at, self._schedules, self._progress))
        if rates == self.rates and not self.rate_changes_per_step:
            return
        self.rates, self._rate = rates, column(rates)
        if self._rates_differ and isinstance(self._rate, float):
            self._rate = np.full((len(self.rates), 1), self._rate).view(ExactColumn)

    def _ask_for_hyperparameters(self, names: Iterable[str]) -> None:
        """Set those that have schedules to their values for the next update."""
        name_of_class = type(self._exact).__name__
        for name in names:
            allowed = alternatives_of(self._exact.constraints.get(name, ()))
            values = []
            for schedule, progress in zip(self._scheduled[name], self._progress, strict=True):
                value = rate_at(schedule, progress, f"{name} of {name_of_class}: the value")
                if allowed and not any(each.accepts(value) for each in allowed):
                    raise ValueError(
                        f"{name} of {name_of_class} is {value!r} at step {progress.step}, by "
                        f"{schedule!r}; it must be {' or '.join(map(str, allowed))}. Change the "
                        "parameters of the schedule."
                    )
                values.append(value)
            of_stack = np.array(values)[:, None].view(ExactColumn)
            setattr(self._exact, name, values[0] if len(values) == 1 else of_stack)

    def _make_coefficients(self) -> None:
        """Make places for the numbers that differ from step to step."""
        self._coefficients.clear()
        self._calls = None
        with blaming(type(self._exact), "coefficients"):
            values = self._exact.coefficients(self.step.number + 1, self._rate)
        if not isinstance(values, Mapping):
            name = type(self._exact).__name__
            raise ValueError(
                f"coefficients of {name} returned {_describe(values)}; it must return a dict, from "
                "names to numbers or columns (K, 1), and an empty one where there are none: "
                'return {"correction": …}, to be found in step.coefficients.'
            )
        self._coefficients |= {name: self._to_device(value) for name, value in values.items()}
        self._places = [self.step.learning_rate] if self.rate_changes_per_step else []
        self._places += [self._hyperparameters[name] for name in self._moving]
        self._places += self._coefficients.values()

    def _advance(self, n_steps: int, *tables: Array) -> None:
        """Go on by some steps; write the numbers of each."""
        first = self.step.number + 1
        numbers = range(first, first + n_steps)
        if self.rate_changes_per_step or self._moving:
            columns = self._ask_for_steps(numbers)
        else:
            columns = self._numbers.steady(numbers, self._rate)
        self.step.number = first + n_steps - 1
        if self._scalars:
            columns += [list(map(function, numbers)) for function in self._scalars]
        for table, values in zip(tables, columns, strict=True):
            self._write(table, values)

    def _ask_for_steps(self, numbers: range) -> list[Sequence[Any]]:
        """The numbers of steps in which the schedules are asked."""
        rates: list[Any] = []
        moved: dict[str, list[Any]] = {name: [] for name in self._moving}
        for number in numbers:
            self.step.number = number - 1
            self.tell_progress()
            if self.rate_changes_per_step:
                self._ask_for_rate()
            self._ask_for_hyperparameters(self._moving)
            rates.append(self._rate)
            for name, values in moved.items():
                values.append(getattr(self._exact, name))
        asked = [rates] if self.rate_changes_per_step else []
        return [*asked, *moved.values(), *self._numbers.moving(numbers, rates, moved)]

    def _write(self, table: Array, values: Sequence[Any]) -> None:
        """Write numbers, or columns, one after the other."""
        if len(values) > 1:
            if isinstance(values, np.ndarray):
                values = values.reshape(table.shape)
            if not self._on_device:
                table[...] = values
                return
        for place, value in enumerate(values):
            is_column = self._on_device and not isinstance(value, float)
            table[place, ...] = self._to_device(value) if is_column else value

    def hold(self, row: int) -> None:
        """Let the rate of a model that is done stay as it is; its schedule is asked no more."""
        self._schedules[row] = as_schedule(self.rates[row])
        for name, schedules in self._scheduled.items():
            schedules[row] = as_schedule(np.ravel(getattr(self._exact, name))[row])

    def apply(
        self,
        grad: Array,
        loss: Array | None,
        elsewhere: Callable[[Array], Array] | None = None,
    ) -> None:
        """Update the group's parameters.

        Parameters
        ----------
        grad : array of shape (K, P)
            Of all rows, of which the group takes its own; so is what follows.
        loss : array of shape (K,) or None
        elsewhere : callable or None
            What ``step.gradient`` is to be, for the parameters of this group alone.
        """
        if loss is not None:
            loss = loss[self._rows]
        if not self.untraced:
            if grad is not self._bound:
                self._take_in(grad)
            if self._calls is None:
                self._prepare(loss)
        if self._calls is None:
            self._advance(1, *(place[None, ...] for place in self._places))
            if self._noise is not None:
                self._noise.write(1, self._noise.array[None, ...])
            self.step.gradient = elsewhere
            self._call(grad[self._rows, :], loss)
            return
        if self._loss is not None:
            self._loss[...] = loss
        run_all(self._calls)

    def calls(self, grad: Array) -> list[Call] | None:
        """An update as calls, for gradients that are always written to this array.

        The same list as before where nothing has changed; None where ``update`` has to be called,
        or takes more than the gradient.
        """
        if self.needs_loss or self.needs_gradient or self.untraced:
            return None
        if grad is not self._bound:
            self._take_in(grad)
        if self._bound is None:
            return None
        if self._calls is None:
            self._prepare(None)
        return self._calls

    def _take_in(self, grad: Array) -> None:
        """Have the gradient where the calls find it."""
        rows = grad[self._rows, :]
        if self._grad is None and getattr(getattr(rows, "flags", None), "c_contiguous", False):
            self._bound, self._grad = grad, rows
            return
        if self._grad is None or self._bound is not None:
            # Every gradient is an array of its own, so they are copied to one place.
            self._bound, self._grad, self._calls = None, self._b.xp.empty_like(rows), None
        self._b.copy(self._grad, rows)

    def _prepare(self, loss: Array | None) -> None:
        """Make the calls, or say why there can be none."""
        b, params = self._b, self._params
        arrays = {"params": params, "grad": self._grad, "learning_rate": self.step.learning_rate}
        self._loss = None
        if loss is not None and self.needs_loss:
            self._loss = arrays["loss"] = b.xp.empty_like(loss)
        if self._noise is not None:
            arrays["noise"] = self._noise.array
        arrays |= self._told
        for group, members in (
            ("hyper", self._hyperparameters),
            ("coefficient", self._coefficients),
            ("state", self.state),
        ):
            arrays |= {f"{group}.{name}": array for name, array in members.items()}
        if any(arrays[name].dtype != params.dtype for name in ("grad", "loss") if name in arrays):
            self.untraced = "it gets gradients of another precision than the parameters'"
            return
        shapes = tuple((name, tuple(array.shape)) for name, array in arrays.items())
        dtype = host_dtype(params.dtype).name
        form = _form(self._exact, self._hyperparameters)
        case = UpdateCase(self._exact, form, self.step.layout, dtype, shapes)
        program = update_program(case)
        if isinstance(program, str):
            self.untraced = program
            return
        scalars = {
            name: b.asarray(0.0, dtype=getattr(b.xp, program.inputs[name].like.dtype.name))
            for name in program.scalars
        }
        self._scalars = list(program.scalars.values())
        numbers = HostNumbers([*self._places, *scalars.values()], self._advance)
        self._calls = [numbers, *engine_of(b).calls(b, program, arrays | scalars, params)]
        if self._noise is not None:
            self._calls.insert(0, HostNumbers([self._noise.array], self._noise.write))

    def _call(self, grad: Array, loss: Array | None) -> None:
        """Update as the code says, run with arrays."""
        if not hasattr(self.step, "scratch"):
            self.step.scratch = self._b.xp.empty_like(self._params)
        self.step.loss = loss
        try:
            change = self._optimizer.update(grad, self.state, self._params, self.step)
        except BaseException as error:
            blame(error, type(self._optimizer), "update")
        if getattr(change, "shape", None) != self._params.shape:
            raise _not_a_change(self._optimizer, change, self._params)
        self._b.xp.add(self._params, change, out=self._params)

    def eval_params(self) -> Array:
        """The parameters to predict with, ``(K, P)``: the trained ones, for most methods."""
        if type(self._optimizer).eval_params is Optimizer.eval_params:
            return self._params
        before = self._b.xp.asarray(self._params, copy=True)
        with blaming(type(self._optimizer), "eval_params"):
            params = self._optimizer.eval_params(self._params, self.state)
        # What was NaN before is no change.
        if bool(self._b.xp.any((before != self._params) & (before == before))):
            raise ValueError(
                f"eval_params of {type(self._optimizer).__name__} changed `params` in place, which "
                "training goes on with; it must leave them as they are. Return a new array: "
                "`params + x`, or xp.asarray(params, copy=True) to write to."
            )
        if np.shape(params) != self._params.shape:
            raise ValueError(
                f"eval_params of {type(self._optimizer).__name__} must return an array of the "
                f"shape of the parameters, {self._params.shape}; got {_describe(params)}."
            )
        return params

    def row_state(self, row: int) -> dict[str, Array]:
        """Views of the state of one model: ``(P,)``, or what `slot_shapes` says."""
        return {slot: array[row, ...] for slot, array in self.state.items()}


def group_rows(
    optimizers: Sequence[Optimizer],
    progress: Sequence[Progress],
    states: Sequence[dict[str, Array] | None],
) -> list[slice]:
    """Cut the stack into runs of neighbouring rows that can share an update.

    They have optimizers alike in `structure`, and are at the same step.
    """
    keys = [
        (structure(optimizer), so_far.step, state is None)
        for optimizer, so_far, state in zip(optimizers, progress, states, strict=True)
    ]
    slices, start = [], 0
    for _, members in groupby(keys):
        stop = start + len(list(members))
        slices.append(slice(start, stop))
        start = stop
    return slices
