"""What displays can show, and what to pass instead of what they cannot."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from skopt_dl.objectives import FUNCTIONS, Function


def check_function(objective: Any, display: str) -> None:
    """Raise a TypeError for what is no Function, such as the name of one."""
    if isinstance(objective, Function):
        return
    if isinstance(objective, str) and objective in FUNCTIONS:
        step = f"objectives.FUNCTIONS[{objective!r}]() makes that one."
    else:
        step = "objectives.from_callable makes one of any function in array code."
    raise TypeError(
        f"objective of {display} must be a Function, as those of skopt_dl.objectives are; got "
        f"{_told(objective)}. {step}"
    )


def check_comparison(comparison: Any, display: str) -> None:
    """Raise a TypeError for what is no result of `skopt_dl.lab.compare`."""
    if not (hasattr(comparison, "table") and hasattr(comparison, "objective")):
        raise TypeError(
            f"comparison of {display} must be what lab.compare returns; got {_told(comparison)}."
        )


def check_number(value: Any, name: str, least: int) -> None:
    """Raise a ValueError for what is no integer, or too small."""
    if not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}; got {value!r}.")


def check_numbers(values: Any, name: str) -> np.ndarray:
    """Return numbers in rising order; a ValueError for what is none, or no finite numbers."""
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        found = np.array(np.nan)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise ValueError(
            f"{name} must be a sequence of at least one finite number; got {values!r}. None takes "
            "those of the display."
        )
    return np.unique(found)


def _told(value: Any) -> str:
    return repr(value) if isinstance(value, str) else f"an object of class {type(value).__name__}"
