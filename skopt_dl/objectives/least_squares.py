"""Sums of squares of polynomials."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import Any

from skopt_dl.objectives.polynomial import Polynomial
from skopt_dl.objectives.stationary import Algebraic, Terms

Array = Any


class SumOfSquares(Algebraic):
    """A sum of squares of polynomials of the same one or two variables.

    It is a polynomial too. But where all parts are zero, its value and gradient are as exact as
    theirs, while the terms of the expanded polynomial cancel.

    Parameters
    ----------
    parts : sequence of Polynomial
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
    name : str, default=None

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.objectives import Polynomial, SumOfSquares
    >>> line, circle = Polynomial([[0, -1], [1, 0]]), Polynomial([[-2, 0, 1], [0, 0, 0], [1, 0, 0]])
    >>> SumOfSquares([line, circle]).value(np.array([1.0, 1.0])).item()
    0.0
    """

    def __init__(
        self,
        parts: Sequence[Polynomial],
        domain: tuple[Any, Any] = (-5.0, 5.0),
        name: str | None = None,
    ):
        self.parts = list(parts)
        allowed = "parts of a SumOfSquares must be Polynomials of the same variables"
        for part in self.parts:
            if not isinstance(part, Polynomial):
                raise ValueError(f"{allowed}; got {part!r}.")
        if len({part.n_dims for part in self.parts}) != 1:
            raise ValueError(
                f"{allowed}, at least one; got {[part.n_dims for part in self.parts]} variables."
            )
        super().__init__(self.parts[0].n_dims, domain, name)

    def terms(self) -> Terms:
        total: defaultdict[tuple[int, ...], Fraction] = defaultdict(Fraction)
        for part in self.parts:
            for (powers, a), (others, b) in product(part.terms().items(), repeat=2):
                total[tuple(map(sum, zip(powers, others, strict=True)))] += a * b
        return {powers: c for powers, c in total.items() if c}

    def value(self, x: Array) -> Array:
        return sum(part.value(x) ** 2 for part in self.parts)

    def gradient(self, x: Array) -> Array:
        return sum(2 * part.value(x)[..., None] * part.gradient(x) for part in self.parts)

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        xp = self.library(params).xp
        value, grad = xp.zeros_like(params[:, 0]), xp.zeros_like(params)
        for part in self.parts:
            residual = part.value(params)
            value += residual * residual
            grad += 2 * residual[:, None] * part.gradient(params)
        return value, grad

    def hessian(self, x: Array) -> Array:
        def of(part: Polynomial) -> Array:
            slope = part.gradient(x)
            outer = slope[..., :, None] * slope[..., None, :]
            return 2 * (outer + part.value(x)[..., None, None] * part.hessian(x))

        return sum(map(of, self.parts))
