"""Means of functions, so that a mini-batch of a known function has an exact meaning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.objectives.base import Block
from skopt_dl.objectives.function import Function, StationaryPoint
from skopt_dl.objectives.polynomial import (
    Polynomial,
    evaluate,
    evaluate_gradient,
)
from skopt_dl.objectives.quadratic import Quadratic

Array = Any
# Numbers that a block of batches may gather.
BLOCK_SIZE = 2**18


class FiniteSum(Function):
    """The mean of functions: ``f = (f[0] + … + f[n-1]) / n``, each of which is a sample.

    A batch is some of the terms, and its value and gradient are their means, as with the rows of
    a training set; each model of a stack can have another batch.

    Parameters
    ----------
    terms : sequence of Function
        Of the same number of variables. Where all are polynomials, a batch is one too: its
        coefficients are means, and the time a step takes hardly depends on the batch's size.
        Otherwise each term that is in some model's batch is evaluated for the models that have it.
        The minima are known where all are polynomials, or all are quadratics.
    domain : pair of float, or pair of array-like of shape (P,), default=None
        None means that of the first term.
    name : str, default=None

    Attributes
    ----------
    n_samples : int
        How many terms.

    Raises
    ------
    ValueError
        If there are no terms, or they do not have the same variables.

    Examples
    --------
    Three parabolas around -1, 0 and 4. At the minimum of their mean, the gradients differ:

    >>> import numpy as np
    >>> from skopt_dl.objectives import FiniteSum, Polynomial
    >>> f = FiniteSum([Polynomial([c * c, -2 * c, 1]) for c in (-1.0, 0.0, 4.0)])
    >>> f.minima[0].point
    array([1.])
    >>> f.gradient_noise(np.array([1.0])).round(3)
    array([[18.667]])
    >>> f.gradient_noise(np.array([1.0]), batch_size=3).round(3)
    array([[0.]])
    """

    def __init__(
        self,
        terms: Sequence[Function],
        domain: tuple[Any, Any] | None = None,
        name: str | None = None,
    ):
        self.terms = list(terms)
        allowed = "terms of a FiniteSum must be Functions of the same number of variables"
        if not self.terms:
            raise ValueError(f"{allowed}, at least one; got none.")
        for i, term in enumerate(self.terms):
            if not isinstance(term, Function):
                raise ValueError(
                    f"{allowed}; got {term!r} as term {i}. from_callable makes one of any callable."
                )
            if term.n_dims != self.terms[0].n_dims:
                raise ValueError(
                    f"{allowed}; got {self.terms[0].n_dims} in term 0 and {term.n_dims} in term "
                    f"{i}."
                )
        first = self.terms[0]
        super().__init__(first.n_dims, domain or (first.lower, first.upper), name, first.layout)
        self.start = first.start
        self.n_samples = len(self.terms)
        self.whole, self._batches = _prepare(self.terms, (self.lower, self.upper), self.name)

    @cached_property
    def minima(self) -> list[StationaryPoint]:
        """Those of `whole`, where it is a polynomial or a quadratic; else not known."""
        return self.whole.minima

    @property
    def minimum(self) -> float:
        """That of `whole`."""
        return self.whole.minimum

    def value(self, x: Array) -> Array:
        return self.whole.value(x)

    def gradient(self, x: Array) -> Array:
        return self.whole.gradient(x)

    def hessian(self, x: Array) -> Array:
        return self.whole.hessian(x)

    def gradient_noise(self, x: Array, batch_size: int = 1, sampling: str = "shuffle") -> Array:
        """Covariance of a random batch's gradient.

        With S the covariance of the terms' gradients, it is S / B for a batch of B terms drawn
        with replacement, and S / B · (n - B) / (n - 1) for B different ones, which is nothing for
        all n (the finite population correction; Cochran, 1977, "Sampling techniques").

        Parameters
        ----------
        x : array of shape (..., P)
        batch_size : int, default=1
        sampling : {"shuffle", "replacement"}, default="shuffle"
            As in `skopt_dl.training.Batches`.

        Returns
        -------
        covariance : array of shape (..., P, P)
        """
        n = self.n_samples
        if sampling not in ("shuffle", "replacement"):
            raise ValueError(
                f"sampling of {self.name} must be 'shuffle' or 'replacement'; got {sampling!r}."
            )
        largest = n if sampling == "shuffle" else np.inf
        if not isinstance(batch_size, int | np.integer) or not 1 <= batch_size <= largest:
            raise ValueError(
                f"batch_size of {self.name} must be an int of at least 1, and at most {n} without "
                f"replacement; got {batch_size!r}."
            )
        gradients = [term.gradient(x) for term in self.terms]
        mean = _mean(gradients)
        offsets = [gradient - mean for gradient in gradients]
        spread = _mean([each[..., :, None] * each[..., None, :] for each in offsets])
        if sampling == "shuffle" and n > 1:
            return spread * ((n - batch_size) / (n - 1) / batch_size)
        return spread / batch_size

    def load(self, block: Block) -> Sequence[Any]:
        """The batches of a block; each is what `value_and_grad` takes."""
        self._losses.clear()
        if isinstance(block.rows, slice):
            rows = np.arange(self.n_samples)[None, block.rows]
        else:
            rows = np.asarray(block.rows)
        return [self._batches.load(rows[:, part], block.orders) for part in block.slices]

    def batches_per_block(self, batch_size: int, n_orders: int = 1) -> int:
        return max(1, BLOCK_SIZE // (batch_size * n_orders * self.n_dims))

    def select(self, models: Sequence[int]) -> FiniteSum:
        return self

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        if batch is None:
            return self.whole.value_and_grad(params)
        return self._batches.value_and_grad(params, batch)


def _prepare(
    terms: Sequence[Function], domain: tuple[Any, Any], name: str
) -> tuple[Function, _Batches]:
    """The mean of all terms, and the means of batches."""
    polynomials = [term for term in terms if isinstance(term, Polynomial)]
    if len(polynomials) == len(terms):
        together = _PolynomialTerms(polynomials)
        return Polynomial(together.coefficients.mean(axis=0), domain, name), together
    quadratics = [term for term in terms if isinstance(term, Quadratic)]
    quadratic = _mean_quadratic(quadratics, domain, name) if len(quadratics) == len(terms) else None
    return quadratic or _Mean(terms, domain, name), _AnyTerms(terms)


def _mean_quadratic(
    terms: Sequence[Quadratic], domain: tuple[Any, Any], name: str
) -> Quadratic | None:
    """The mean of quadratics, a quadratic too; None where its gradient is zero nowhere."""
    matrix = _mean([term.matrix for term in terms])
    pull = _mean([term.matrix @ term.center for term in terms])
    center = np.linalg.lstsq(matrix, pull, rcond=None)[0]
    if not np.allclose(matrix @ center, pull, rtol=1e-8, atol=1e-12 * np.abs(pull).max()):
        return None
    offset = float(np.mean([term.value(center) for term in terms]))
    return Quadratic(matrix, center, domain, name, terms[0].layout, offset)


class _Batches(Protocol):
    """How the mean over a batch of terms is computed, for all models at once."""

    def load(self, rows: np.ndarray, orders: Sequence[int] | None) -> Any:
        """Make a batch ready: terms ``(U, B)``, of which ``orders[k]`` is model k's row."""

    def value_and_grad(self, params: Array, batch: Any) -> tuple[Array, Array]: ...


class _PolynomialTerms:
    """The mean of polynomials is the polynomial of the mean coefficients.

    A batch is an array ``(K, *degrees)`` of them, or ``(1, *degrees)`` for all models.
    """

    def __init__(self, terms: Sequence[Polynomial]):
        shape = np.max([term.coefficients.shape for term in terms], axis=0)
        self.coefficients = np.zeros((len(terms), *shape))
        for row, term in zip(self.coefficients, terms, strict=True):
            row[tuple(map(slice, term.coefficients.shape))] = term.coefficients
        self._absent = ~self.coefficients.any(axis=0)

    def load(self, rows: np.ndarray, orders: Sequence[int] | None) -> np.ndarray:
        means = np.empty((len(rows), *self._absent.shape))
        # As many models at a time as fit; how a mean rounds does not depend on it.
        together = max(1, BLOCK_SIZE // (rows.shape[1] * self._absent.size))
        for start in range(0, len(rows), together):
            some = slice(start, start + together)
            means[some] = self.coefficients[rows[some]].mean(axis=1)
        return means if orders is None else means[list(orders)]

    def value_and_grad(self, params: Array, batch: np.ndarray) -> tuple[Array, Array]:
        columns = backend_of(params).asarray(np.moveaxis(batch, 0, -1), dtype=params.dtype)
        table = _table(columns, self._absent)
        return evaluate(table, params), evaluate_gradient(table, params)


def _table(columns: Array, absent: Any) -> Any:
    """Nested lists of coefficients ``(K,)``, 0.0 where no term has any."""
    if absent.ndim:
        return [_table(columns[i, ...], absent[i]) for i in range(len(absent))]
    return 0.0 if absent else columns


class _AnyTerms:
    """Evaluates each term for the models that have it.

    A batch is an array ``(K, n_samples)`` of the terms' weights, or ``(1, n_samples)`` for all.
    """

    def __init__(self, terms: Sequence[Function]):
        self._terms = terms

    def load(self, rows: np.ndarray, orders: Sequence[int] | None) -> np.ndarray:
        n = len(self._terms)
        cells = rows + n * np.arange(len(rows))[:, None]
        weights = np.bincount(cells.ravel(), minlength=len(rows) * n).reshape(-1, n)
        weights = weights / rows.shape[1]
        return weights if orders is None else weights[list(orders)]

    def value_and_grad(self, params: Array, batch: np.ndarray) -> tuple[Array, Array]:
        b = backend_of(params)
        xp = b.xp
        value, grad = xp.zeros_like(params[:, 0]), xp.zeros_like(params)
        weights = np.broadcast_to(batch, (params.shape[0], batch.shape[1]))
        for i in np.flatnonzero(batch.any(axis=0)).tolist():
            having = weights[:, i] > 0
            weight = b.asarray(weights[having, i], dtype=params.dtype)
            rows = b.asarray(having)
            part, slope = self._terms[i].value_and_grad(params[rows])
            value[rows] = value[rows] + weight * part
            grad[rows] = grad[rows] + weight[:, None] * slope
        return value, grad


class _Mean(Function):
    """The mean of functions, of which no more is known than of each."""

    def __init__(self, terms: Sequence[Function], domain: tuple[Any, Any], name: str):
        super().__init__(terms[0].n_dims, domain, name, terms[0].layout)
        self._terms = terms

    def value(self, x: Array) -> Array:
        return _mean([term.value(x) for term in self._terms])

    def gradient(self, x: Array) -> Array:
        return _mean([term.gradient(x) for term in self._terms])

    def hessian(self, x: Array) -> Array:
        return _mean([term.hessian(x) for term in self._terms])


def _mean(arrays: Sequence[Array]) -> Array:
    return sum(arrays[1:], arrays[0]) / len(arrays)
