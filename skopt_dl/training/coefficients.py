"""What an optimizer's ``coefficients`` gives, for many steps with one call where that can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skopt_dl.optimizers import Optimizer
from skopt_dl.training.each_step import EachStep
from skopt_dl.training.traced import has_same

Columns = list[Sequence[Any]]

# How many steps are computed ahead: at first, and in the end.
AHEAD = 64, 1024
# Steps that are done before arrays for them have been made.
FEW = 8


class Coefficients:
    """The coefficients of an optimizer, step by step.

    Parameters
    ----------
    optimizer : Optimizer
        With exact hyperparameters.
    """

    def __init__(self, optimizer: Optimizer):
        self._optimizer = optimizer
        # Whether it asks which step it is, and so has to be called for each.
        self._steps_differ = not optimizer.traceable
        self._n_ahead = AHEAD[0]
        self.forget()

    def forget(self) -> None:
        """Compute nothing from what was computed ahead: a hyperparameter has changed."""
        self._ahead: Columns = []
        self._known, self._rate = range(0), None

    def steady(self, numbers: range, rate: Any) -> Columns:
        """Each coefficient in some steps, between which nothing changes but their numbers.

        Parameters
        ----------
        numbers : range
        rate : float or ndarray of shape (K, 1)
            An object that is never changed.
        """
        if len(numbers) >= FEW and not self._steps_differ and self._look_ahead(numbers, rate):
            start = numbers.start - self._known.start
            return [column[start : start + len(numbers)] for column in self._ahead]
        coefficients = self._optimizer.coefficients
        rows = [coefficients(number, rate).values() for number in numbers]
        return list(zip(*rows, strict=True))

    def _look_ahead(self, numbers: range, rate: Any) -> bool:
        """Have some steps, and more after them, computed; false where that cannot be."""
        known = self._known
        if rate is self._rate and numbers.start in known and numbers[-1] in known:
            return True
        known = range(numbers.start, numbers.start + max(len(numbers), self._n_ahead))
        found = self._at_once(known, rate, {})
        self._n_ahead = min(2 * self._n_ahead, AHEAD[1])
        if found is None:
            return False
        self._ahead, self._known, self._rate = found, known, rate
        return True

    def moving(
        self, numbers: range, rates: Sequence[Any], moved: Mapping[str, Sequence[Any]]
    ) -> Columns:
        """Each coefficient in some steps with rates, and other hyperparameters, of their own."""
        if len(numbers) >= FEW and not self._steps_differ:
            of_steps = {name: _each(values) for name, values in moved.items()}
            found = self._at_once(numbers, _each(rates), of_steps)
            if found is not None:
                return found
        optimizer, rows = self._optimizer, []
        for place, number in enumerate(numbers):
            for name, values in moved.items():
                setattr(optimizer, name, values[place])
            rows.append(optimizer.coefficients(number, rates[place]).values())
        return list(zip(*rows, strict=True))

    def _at_once(self, numbers: range, rate: Any, moved: Mapping[str, EachStep]) -> Columns | None:
        """Call it once; None where that takes more than arithmetic, or fails.

        One step after the other then shows what is wrong.
        """
        attributes: dict[str, Any] = self._optimizer.__dict__
        before = dict(attributes)
        attributes |= moved
        given: Any = _each(numbers)
        try:
            found = self._optimizer.coefficients(given, rate)
            if has_same(attributes, {**before, **moved}):
                return [
                    each.values if type(each) is EachStep else [each] * len(numbers)
                    for each in found.values()
                ]
        except Exception:
            pass
        finally:
            attributes.clear()
            attributes |= before
        self._steps_differ = True
        return None


def _each(values: Sequence[Any]) -> EachStep:
    if isinstance(values, range):
        return EachStep(np.arange(values.start, values.stop, dtype=np.float64)[:, None, None])
    return EachStep(np.array(values, dtype=np.float64).reshape(len(values), -1, 1))
