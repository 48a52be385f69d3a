"""Functions of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.objectives.function import Function

Array = Any
ArrayFunction = Callable[[Array], Array]


def from_callable(
    f: ArrayFunction,
    n_dims: int,
    gradient: ArrayFunction | None = None,
    hessian: ArrayFunction | None = None,
    domain: tuple[Any, Any] = (-5.0, 5.0),
    name: str | None = None,
) -> Function:
    """Make a `Function` of any callable in array code.

    Parameters
    ----------
    f : callable
        Points ``(K, P)`` to values ``(K,)``; each row is a point of its own. ``x[:, 0]`` is the
        first variable of all of them.
    n_dims : int
        P.
    gradient : callable, default=None
        Points to gradients ``(K, P)``. None means central differences, in float64, which have an
        error of about 1e-10 of the function's scale.
    hessian : callable, default=None
        Points to matrices ``(K, P, P)``. None means central differences of the gradient.
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
    name : str, default=None
        None means the name of `f`.

    Returns
    -------
    function : Function
        Its minima are not known.

    Raises
    ------
    TypeError
        If one of the three cannot be called.
    ValueError
        If one of them returns an array of another shape, or numbers that are not real, here or
        later.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.objectives import from_callable
    >>> bowl = from_callable(lambda x: x[:, 0]**2 + 3 * x[:, 1]**2, n_dims=2, name="bowl")
    >>> bowl.gradient(np.array([[1.0, 1.0]])).round(6)
    array([[2., 6.]])
    """
    return _Own(f, n_dims, gradient, hessian, domain, name)


class _Own(Function):
    def __init__(
        self,
        f: ArrayFunction,
        n_dims: int,
        gradient: ArrayFunction | None,
        hessian: ArrayFunction | None,
        domain: tuple[Any, Any],
        name: str | None,
    ):
        if not isinstance(n_dims, int | np.integer) or n_dims < 1:
            raise ValueError(f"n_dims of a function must be an int of at least 1; got {n_dims!r}.")
        super().__init__(int(n_dims), domain, name or getattr(f, "__name__", type(f).__name__))
        self._callables = {"f": f, "gradient": gradient, "hessian": hessian}
        for what, function in self._callables.items():
            if function is None:
                continue
            if not callable(function):
                raise TypeError(
                    f"{what} of {self.name} must be a function of points (K, {n_dims}); got "
                    f"{function!r}."
                )
            # One more point than variables, so that the two cannot be taken for each other.
            self._call(what, np.tile(self.start, (self.n_dims + 1, 1)))

    def _call(self, what: str, points: Array) -> Array:
        """What a callable returns for points ``(K, P)``, and that it has the right shape."""
        function = self._callables[what]
        assert function is not None
        axes = ("f", "gradient", "hessian").index(what)
        due = (points.shape[0], *(self.n_dims,) * axes)
        try:
            result = function(points)
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"{what} of {self.name} failed on points of shape {tuple(points.shape)}, a row "
                f"each: {error}. It must be array code that returns shape {due}; x[:, 0] is the "
                "first variable of all points."
            ) from error
        if getattr(result, "shape", ()) != due:
            raise ValueError(
                f"{what} of {self.name} must return shape {due} for points of shape "
                f"{tuple(points.shape)}, one row for each; got shape "
                f"{tuple(getattr(result, 'shape', ()))}. Write x[:, 0] for the first variable of "
                "all points, and sum over axis 1."
            )
        return result if result.dtype == points.dtype else self._real(what, points, result)

    def _real(self, what: str, points: Array, result: Array) -> Array:
        """Values as floats: differences of integers may wrap around."""
        xp = backend_of(points).xp
        if xp.isdtype(result.dtype, "real floating"):
            return result
        if not xp.isdtype(result.dtype, ("bool", "integral")):
            raise ValueError(
                f"{what} of {self.name} must return real numbers; got an array of "
                f"{result.dtype}. Return its real part, or what else is to be minimised."
            )
        return xp.astype(result, points.dtype)

    def value(self, x: Array) -> Array:
        return self._at(x, lambda points: self._call("f", points))

    def gradient(self, x: Array) -> Array:
        if self._callables["gradient"] is None:
            return self._at(x, lambda points: self._slopes(points, "f", 1 / 3))
        return self._at(x, lambda points: self._call("gradient", points))

    def hessian(self, x: Array) -> Array:
        if self._callables["hessian"] is not None:
            return self._at(x, lambda points: self._call("hessian", points))
        if self._callables["gradient"] is not None:
            return self._at(x, lambda points: _symmetrised(self._slopes(points, "gradient", 1 / 3)))
        return self._at(x, self._second_differences)

    def _at(self, x: Array, compute: ArrayFunction) -> Array:
        """Apply `compute`, made for points ``(K, P)``, to points ``(..., P)``; keep the dtype."""
        xp = self.library(x).xp
        result = compute(xp.reshape(x, (-1, self.n_dims)))
        return xp.astype(xp.reshape(result, (*x.shape[:-1], *result.shape[1:])), x.dtype)

    def _steps(self, points: Array, power: float) -> tuple[Array, Array]:
        """Points in float64, and steps ``(K, P)`` that balance rounding against curvature."""
        xp = backend_of(points).xp
        exact = xp.astype(points, xp.float64)
        size = float(np.finfo(float).eps) ** power
        return exact, size * xp.maximum(xp.abs(exact), xp.ones_like(exact))

    def _slopes(self, points: Array, what: str, power: float) -> Array:
        """Central differences: one more axis, of P, at the end."""
        b = backend_of(points)
        exact, step = self._steps(points, power)
        columns = []
        for i, unit in enumerate(b.asarray(np.eye(self.n_dims), dtype=exact.dtype)):
            high, low = exact + unit * step, exact - unit * step
            rise = self._call(what, high) - self._call(what, low)
            width = (high - low)[:, i]
            columns.append(rise / b.xp.reshape(width, (-1, *(1,) * (rise.ndim - 1))))
        return b.xp.stack(columns, axis=-1)

    def _second_differences(self, points: Array) -> Array:
        b = backend_of(points)
        exact, step = self._steps(points, 1 / 4)
        n = self.n_dims
        shifts = [b.asarray(row, dtype=exact.dtype) * step for row in np.eye(n)]
        rows = [[exact[:, 0]] * n for _ in range(n)]
        for i in range(n):
            for j in range(i + 1):
                corners = (
                    self._call("f", exact + shifts[i] + shifts[j])
                    - self._call("f", exact + shifts[i] - shifts[j])
                    - self._call("f", exact - shifts[i] + shifts[j])
                    + self._call("f", exact - shifts[i] - shifts[j])
                )
                rows[i][j] = rows[j][i] = corners / (4 * step[:, i] * step[:, j])
        return b.xp.stack([b.xp.stack(row, axis=-1) for row in rows], axis=-2)


def _symmetrised(matrices: Array) -> Array:
    return (matrices + backend_of(matrices).xp.matrix_transpose(matrices)) / 2
