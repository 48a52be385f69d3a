"""The numbers of several steps as one, with the bits of one step after the other."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Never

import numpy as np

Array = np.ndarray
Function = Callable[[Any, Any], Any]

# Integers whose sums and products with numbers of steps are exact as floats.
EXACT = 1 << 31

_power = np.frompyfunc(pow, 2, 1)


def _operand(other: Any) -> Any:
    """What the other side of an operation is, as floats or an array of such."""
    if type(other) is EachStep:
        return other.values
    if isinstance(other, float):
        return other
    if isinstance(other, np.ndarray) and other.dtype == np.float64:
        return np.asarray(other)
    if type(other) is int and abs(other) < EXACT:
        return float(other)
    raise TypeError(f"the numbers of steps do not combine with {other!r}")


def _divide(first: Any, second: Any) -> Any:
    if not (second.all() if isinstance(second, np.ndarray) else second):
        raise ZeroDivisionError  # As Python does; arrays would go on.
    return first / second


def power(first: Any, second: Any) -> Array:
    """Python's power of each number: ``np.power`` may round differently."""
    # The C library's, which Python calls too.
    with np.errstate(all="ignore"):
        found: Array = np.float_power(first, second)
    # Where that is not finite, Python may raise.
    return found if np.isfinite(found).all() else _power(first, second).astype(np.float64)


def _pair(function: Function) -> tuple[Callable[..., EachStep], Callable[..., EachStep]]:
    """An operator with the steps on its left, and with them on its right."""

    def forward(self: EachStep, other: Any) -> EachStep:
        return EachStep(function(self.values, _operand(other)))

    def backward(self: EachStep, other: Any) -> EachStep:
        return EachStep(function(_operand(other), self.values))

    return forward, backward


class EachStep:
    """A number, or a column, in each of some steps.

    Arithmetic gives what it would give in each of them, to the last bit. What asks for one number
    is refused: comparisons, functions of Python's floats, and of arrays.

    Parameters
    ----------
    values : ndarray of float64 of shape (n_steps, 1 or K, 1)
    """

    __slots__ = ("values",)
    # Columns leave sums with these to them.
    __array_ufunc__ = None

    def __init__(self, values: Array):
        self.values = values

    def __neg__(self) -> EachStep:
        return EachStep(-self.values)

    def __pos__(self) -> EachStep:
        return self

    def __abs__(self) -> EachStep:
        return EachStep(abs(self.values))

    __add__, __radd__ = _pair(operator.add)
    __sub__, __rsub__ = _pair(operator.sub)
    __mul__, __rmul__ = _pair(operator.mul)
    __truediv__, __rtruediv__ = _pair(_divide)

    def __pow__(self, other: Any) -> EachStep:
        return EachStep(power(self.values, _not_an_integer(other)))

    def __rpow__(self, other: Any) -> EachStep:
        return EachStep(power(_not_an_integer(other), self.values))

    def _refuse(self, *_: Any) -> Never:
        raise TypeError("these are the numbers of several steps, and not one")

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __len__ = __iter__ = _refuse
    __round__ = __trunc__ = __floor__ = __ceil__ = __str__ = __repr__ = __format__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __array__ = __getitem__ = __contains__ = _refuse


def _not_an_integer(other: Any) -> Any:
    """A base or an exponent: powers of two integers have all their digits."""
    if isinstance(other, int):
        raise TypeError("a power of integers is no float")
    return _operand(other)
