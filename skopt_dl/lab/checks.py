"""Arguments that several experiments check alike."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_numbers(name: str, values: Any, shape: str) -> np.ndarray:
    """Return an array of float64, of any shape.

    Parameters
    ----------
    name : str
        What the values are called in the message.
    values : array-like
    shape : str
        What they should be, for the message.

    Raises
    ------
    ValueError
        If the values are no real numbers, or no dense array.
    """
    due = f"{name} must be real numbers, of shape {shape}"
    if hasattr(type(values), "params_"):
        raise ValueError(
            f"{due}; got a {type(values).__name__}. Pass the weights that it kept, .params_."
        )
    if hasattr(values, "toarray"):
        raise ValueError(f"{due}, in a dense array; got a sparse one. Pass {name}.toarray().")
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biufO":
            raise TypeError(f"their dtype is {array.dtype}")
        return array.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{due}; got a {type(values).__name__}, which does not become an array of numbers: "
            f"{error}."
        ) from error
