"""Polynomials of one and two variables, with exact derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.objectives.stationary import Algebraic, Terms

Array = Any
# Nested lists of coefficients, one level for each variable: numbers, or arrays with one for each
# point. A number 0.0 is left out of sums.
Table = list[Any]


class Polynomial(Algebraic):
    """A polynomial of one or two variables.

    Parameters
    ----------
    coefficients : array-like of shape (n,) or (n, m)
        ``c[i]`` goes with ``x**i``, and ``c[i, j]`` with ``x**i * y**j``: the order of
        `numpy.polynomial`.
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
        The lower and upper ends of where the polynomial is looked at.
    name : str, default=None
        None means "Polynomial".

    Attributes
    ----------
    coefficients : ndarray of shape (n,) or (n, m)
        Without zeros at the end.

    Raises
    ------
    ValueError
        If there are no coefficients, more than two variables, or numbers that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.objectives import Polynomial
    >>> double_well = Polynomial([0, 0, -2, 0, 1])
    >>> x = np.array([[1.0], [2.0]])
    >>> double_well.value(x)
    array([-1.,  8.])
    >>> double_well.gradient(x)[:, 0]
    array([ 0., 24.])
    """

    def __init__(
        self,
        coefficients: Any,
        domain: tuple[Any, Any] = (-5.0, 5.0),
        name: str | None = None,
    ):
        self.coefficients = _checked(coefficients)
        super().__init__(self.coefficients.ndim, domain, name)
        self._table = as_table(self.coefficients)

    def value(self, x: Array) -> Array:
        self.library(x)
        return evaluate(self._table, x)

    def gradient(self, x: Array) -> Array:
        self.library(x)
        return evaluate_gradient(self._table, x)

    def hessian(self, x: Array) -> Array:
        self.library(x)
        return evaluate_hessian(self._table, x)

    def terms(self) -> Terms:
        powers = np.argwhere(self.coefficients)
        # The decimal number that is printed for a float: 1/10 for 0.1.
        return {
            tuple(power): Fraction(repr(float(self.coefficients[tuple(power)])))
            for power in powers.tolist()
        }

    def derivative(self, variable: int = 0) -> Polynomial:
        """The partial derivative with respect to a variable, a polynomial too."""
        powers = np.arange(self.coefficients.shape[variable])
        shape = [-1 if axis == variable else 1 for axis in range(self.n_dims)]
        scaled = self.coefficients * powers.reshape(shape)
        lower = np.delete(scaled, 0, axis=variable)
        nothing = np.zeros((1,) * self.n_dims)
        domain = self.lower, self.upper
        return Polynomial(lower if lower.size else nothing, domain, f"derivative of {self.name}")


def _checked(coefficients: Any) -> np.ndarray:
    """Coefficients as an array without zeros at the end."""
    allowed = "coefficients of a Polynomial must be numbers c[i] of x**i, or c[i, j] of x**i * y**j"
    try:
        array = np.array(coefficients, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{allowed}, in rows of equal length; got {coefficients!r}.") from error
    if array.ndim not in (1, 2):
        raise ValueError(f"{allowed}; got an array with {array.ndim} axes: {coefficients!r}.")
    if not array.size:
        raise ValueError(f"{allowed}, at least one; got none: {coefficients!r}.")
    if not np.isfinite(array).all():
        place = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        at = ", ".join(map(str, place))
        raise ValueError(f"{allowed}, all finite; got c[{at}] = {array[place]}.")
    kept = [
        slice(0, 1 + max(np.flatnonzero(array.any(axis=other)), default=0))
        for other in ([()] if array.ndim == 1 else [(1,), (0,)])
    ]
    return array[tuple(kept)]


def as_table(coefficients: np.ndarray) -> Table:
    """Coefficients of one polynomial: Python's numbers, which leave an array's dtype as it is."""
    return list(coefficients.tolist())


def evaluate(table: Table, x: Array) -> Array:
    """Values of a polynomial at points ``(..., P)``, by Horner's scheme."""
    variables = [x[..., i] for i in range(x.shape[-1])]
    value = _horner(table, variables)
    if isinstance(value, float):
        return backend_of(x).xp.zeros_like(variables[0]) + value
    return value


def evaluate_gradient(table: Table, x: Array) -> Array:
    """Gradients at points, ``(..., P)``."""
    columns = [evaluate(differentiate(table, i), x) for i in range(x.shape[-1])]
    return backend_of(x).xp.stack(columns, axis=-1)


def evaluate_hessian(table: Table, x: Array) -> Array:
    """Matrices of second derivatives at points, ``(..., P, P)``."""
    columns = [evaluate_gradient(differentiate(table, i), x) for i in range(x.shape[-1])]
    return backend_of(x).xp.stack(columns, axis=-1)


def differentiate(table: Table, variable: int) -> Table:
    """The table of a partial derivative."""
    if variable:
        return [differentiate(row, variable - 1) for row in table]
    return [_times(row, power) for power, row in enumerate(table)][1:] or [_times(table[0], 0)]


def _times(row: Any, factor: int) -> Any:
    return [_times(each, factor) for each in row] if isinstance(row, list) else row * factor


def _horner(table: Table, variables: Sequence[Array]) -> Any:
    """A number where the polynomial depends on none of the variables."""
    x, *others = variables
    terms = [_horner(row, others) for row in table] if others else table
    result = terms[-1]
    for term in reversed(terms[:-1]):
        if not _is_zero(result):
            result = result * x
        result = term if _is_zero(result) else result if _is_zero(term) else result + term
    return result


def _is_zero(term: Any) -> bool:
    return isinstance(term, float) and term == 0.0
