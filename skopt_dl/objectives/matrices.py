"""Functions of matrices, for optimizers that see more than single numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.objectives.function import MINIMUM, Function, StationaryPoint
from skopt_dl.objectives.layout import Layout
from skopt_dl.objectives.quadratic import random_rotation

Array = Any


class MatrixQuadratic(Function):
    """``‖L (W - C) R‖² / 2`` for a matrix W, ill-conditioned on both sides.

    L and R are symmetric; the function's Hessian is the Kronecker product of their squares. To a
    method that treats the numbers of W one by one this is a quadratic whose axes are turned; one
    that sees the matrix (Shampoo, SOAP, Muon) can undo L and R.

    Parameters
    ----------
    shape : tuple of two int, default=(6, 4)
        Rows and columns of W, one tensor ``"W"`` with role "hidden".
    condition_number : float, default=100.0
        Of LᵀL and of RRᵀ; the whole function has its square.
    seed : int, default=0
        Draws L, R and C.
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
    name : str, default=None

    Attributes
    ----------
    factors : tuple of two ndarray
        LᵀL and RRᵀ.
    center : ndarray of shape (P,)
        C, flat.
    """

    def __init__(
        self,
        shape: tuple[int, int] = (6, 4),
        condition_number: float = 100.0,
        seed: int = 0,
        domain: tuple[Any, Any] = (-5.0, 5.0),
        name: str | None = None,
    ):
        n_rows, n_columns = _checked(shape, "MatrixQuadratic")
        _check_condition(condition_number, "MatrixQuadratic")
        layout = Layout.from_shapes([("W", "hidden", (n_rows, n_columns))])
        super().__init__(layout.size, domain, name, layout)
        rng = np.random.default_rng(seed)
        self.factors = tuple(_curvature(n, condition_number, rng) for n in shape)
        self.center = rng.normal(size=layout.size)
        self.start = np.zeros(layout.size)
        self.minima = [StationaryPoint(self.center, 0.0, MINIMUM)]

    def value(self, x: Array) -> Array:
        return self.value_and_grad(x)[0]

    def gradient(self, x: Array) -> Array:
        return self.value_and_grad(x)[1]

    def hessian(self, x: Array) -> Array:
        b = self.library(x)
        matrix = b.asarray(np.kron(*self.factors), dtype=x.dtype)
        return b.xp.zeros_like(x[..., None]) + matrix

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        b = self.library(params)
        rows, columns, center = (
            b.asarray(each, dtype=params.dtype) for each in (*self.factors, self.center)
        )
        offset = params - center
        matrix = b.xp.reshape(offset, (*params.shape[:-1], rows.shape[0], columns.shape[0]))
        product = b.xp.matmul(b.xp.matmul(rows, matrix), columns)
        grad = b.xp.reshape(product, params.shape)
        return 0.5 * b.xp.vecdot(offset, grad), grad


class MatrixFactorisation(Function):
    """``‖U V - M‖² / 2``: a matrix as a product of two with few columns and rows.

    It is not convex, but every local minimum is global (Baldi and Hornik, 1989,
    doi:10.1016/0893-6080(89)90014-2), and the origin is a saddle. Minima are whole surfaces, U T
    and T⁻¹ V for any T; `minima` has the one from the singular values of M.

    Parameters
    ----------
    shape : tuple of two int, default=(6, 4)
        Of M. U and V are tensors with role "hidden".
    rank : int, default=2
        Columns of U and rows of V.
    condition_number : float, default=10.0
        The largest singular value of M, 1, over the smallest of the first `rank`; the others
        are zero.
    seed : int, default=0
        Draws M, and a small `start`.
    domain : pair of float, or pair of array-like of shape (P,), default=(-5, 5)
    name : str, default=None
    """

    def __init__(
        self,
        shape: tuple[int, int] = (6, 4),
        rank: int = 2,
        condition_number: float = 10.0,
        seed: int = 0,
        domain: tuple[Any, Any] = (-5.0, 5.0),
        name: str | None = None,
    ):
        n_rows, n_columns = _checked(shape, "MatrixFactorisation")
        _check_condition(condition_number, "MatrixFactorisation")
        if not 1 <= rank <= min(shape):
            raise ValueError(
                f"rank of a MatrixFactorisation of shape {shape} must be an int from 1 to "
                f"{min(shape)}; got {rank!r}."
            )
        layout = Layout.from_shapes(
            [("U", "hidden", (n_rows, rank)), ("V", "hidden", (rank, n_columns))]
        )
        super().__init__(layout.size, domain, name, layout)
        self.shape, self.rank = (n_rows, n_columns), rank
        rng = np.random.default_rng(seed)
        root = np.geomspace(1, 1 / condition_number, rank) ** 0.5
        left = random_rotation(n_rows, rng)[:, :rank] * root
        right = (random_rotation(n_columns, rng)[:, :rank] * root).T
        self.target = left @ right
        self.start = 0.1 * rng.normal(size=layout.size)
        known = np.concatenate([left.ravel(), right.ravel()])
        self.minima = [StationaryPoint(known, 0.0, MINIMUM)]

    def _factors(self, x: Array) -> tuple[Array, Array, Array]:
        """U, V and U V - M, each ``(..., rows, columns)``."""
        b, (n_rows, n_columns), n = self.library(x), self.shape, self.shape[0] * self.rank
        u = b.xp.reshape(x[..., :n], (*x.shape[:-1], n_rows, self.rank))
        v = b.xp.reshape(x[..., n:], (*x.shape[:-1], self.rank, n_columns))
        return u, v, b.xp.matmul(u, v) - b.asarray(self.target, dtype=x.dtype)

    def value(self, x: Array) -> Array:
        _, _, error = self._factors(x)
        return 0.5 * self.library(x).xp.sum(error**2, axis=(-2, -1))

    def gradient(self, x: Array) -> Array:
        return self.value_and_grad(x)[1]

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        xp = self.library(params).xp
        u, v, error = self._factors(params)
        parts = xp.matmul(error, xp.matrix_transpose(v)), xp.matmul(xp.matrix_transpose(u), error)
        flat = [xp.reshape(part, (*params.shape[:-1], -1)) for part in parts]
        return 0.5 * xp.sum(error**2, axis=(-2, -1)), xp.concat(flat, axis=-1)

    def hessian(self, x: Array) -> Array:
        b, (n_rows, n_columns) = self.library(x), self.shape
        xp, rank, points = b.xp, self.rank, x.shape[:-1]
        u, v, error = self._factors(x)
        eyes = [b.asarray(np.eye(n), dtype=x.dtype) for n in (n_rows, n_columns, rank)]
        rows, columns, ranks = eyes
        vv = xp.matmul(v, xp.matrix_transpose(v))
        uu = xp.matmul(xp.matrix_transpose(u), u)
        n, m = n_rows * rank, rank * n_columns
        # Indices: U has (i, a) and V has (b, j).
        of_u = rows[:, None, :, None] * vv[..., None, :, None, :]
        of_v = uu[..., :, None, :, None] * columns[None, :, None, :]
        mixed = u[..., :, None, :, None] * v[..., None, :, None, :]
        mixed = mixed + error[..., :, None, None, :] * ranks[None, :, :, None]
        of_u, of_v, mixed = (
            xp.reshape(block, (*points, *size))
            for block, size in ((of_u, (n, n)), (of_v, (m, m)), (mixed, (n, m)))
        )
        upper = xp.concat([of_u, mixed], axis=-1)
        lower = xp.concat([xp.matrix_transpose(mixed), of_v], axis=-1)
        return xp.concat([upper, lower], axis=-2)


def _checked(shape: Any, name: str) -> tuple[int, int]:
    sizes = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sizes) != 2 or not all(isinstance(n, int | np.integer) and n > 0 for n in sizes):
        raise ValueError(
            f"shape of a {name} must be two ints of at least 1, rows and columns; got {shape!r}."
        )
    return int(sizes[0]), int(sizes[1])


def _check_condition(condition_number: float, name: str) -> None:
    if not 1 <= condition_number < np.inf:
        raise ValueError(
            f"condition_number of {name} must be a float in [1, inf); got {condition_number!r}."
        )


def _curvature(n: int, condition_number: float, rng: np.random.Generator) -> np.ndarray:
    """A symmetric matrix with eigenvalues down from 1 to 1 / `condition_number`."""
    axes = random_rotation(n, rng)
    return axes * np.geomspace(1, 1 / condition_number, n) @ axes.T
