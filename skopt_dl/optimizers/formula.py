"""How a change is computed, as text that people and programs can read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

NONE: Mapping[str, str] = MappingProxyType({})


class Formula(NamedTuple):
    """An expression for one weight, and what is remembered from step to step.

    All in Python's syntax, with ``+ - * / **``, ``sqrt``, ``abs``, ``sign``, ``exp``, ``log``,
    ``max`` and ``min`` of two; of ``gradient``, ``weights``, ``t`` (1 at the first step),
    hyperparameters by their names, and what was assigned before. A name that is assigned stands
    for the value of the step before until then.

    Parameters
    ----------
    value : str
        The expression.
    before, after : mapping of str to str
        What is assigned before and after the value is computed, in order. In an optimizer's
        formula ``after`` can use ``change``, the value.
    start : mapping of str to str
        What is not zero before the first step.

    Examples
    --------
    >>> from skopt_dl.optimizers import Momentum
    >>> Momentum().formula().before["velocity"]
    'momentum * velocity + gradient'
    """

    value: str
    before: Mapping[str, str] = NONE
    after: Mapping[str, str] = NONE
    start: Mapping[str, str] = NONE
