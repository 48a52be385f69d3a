"""How the loss of a fitted estimator curves: extreme eigenvalues of its Hessian.

Second derivatives come from gradients, by central differences:
``H v = (g(params + h v) - g(params - h v)) / 2h``, with an error of the order of ``h²`` from what
is cut off and of ``1 / h`` from rounding. The step is the one, of many, at which halving it twice
changes products least; where activations have kinks, which a long step may cross, it is the
shortest that rounding allows. Eigenvalues come from Lanczos's method, which needs products alone,
or from the whole matrix where that is small.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skopt_dl._memory import in_words, n_bytes_of_memory
from skopt_dl._warnings import warn_user
from skopt_dl.lab.fitted import FittedLoss

# Parameters up to which the whole matrix is made.
SMALL = 256
# Steps that are tried, in units of the root mean square of the parameters, or of 1 if that is less.
STEPS = 4.0 ** -np.arange(2, 15)
# Where there are kinks, the relative change of products that is put up with for a shorter step.
FAIR = 1e-6
METHODS = ("auto", "full", "lanczos")


@dataclass
class Curvature:
    """Extreme eigenvalues of the Hessian of a fitted estimator's loss; made by `curvature`.

    Attributes
    ----------
    eigenvalues : ndarray of shape (m,)
        In rising order: all of them, or the smallest and the largest.
    eigenvectors : ndarray of shape (m, P)
        The direction, of length 1, of each.
    residuals : ndarray of shape (m,)
        ``‖H v - λ v‖`` of each, with products that are not those that it was found by.
    product_error : float
        How far products with these vectors, of length 1, may be off, estimated: four times the
        largest change of a product when the step is a quarter.
    params : ndarray of shape (P,)
        Where the loss was looked at; see `skopt_dl.lab.parameters` for the order.
    loss, gradient_norm : float
        There.
    step : float
        The length of the step ``h`` along a direction.
    n_products : int
        Products ``H v``, each of two gradients over all samples, that it took.
    n_kinks : int
        How many pairs of a sample and a hidden unit change between active and inactive within the
        steps along the outermost directions: the gradient jumps there, and differences across a
        jump are no second derivatives.
    method : {"full", "lanczos"}
    """

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray = field(repr=False)
    residuals: np.ndarray
    product_error: float
    params: np.ndarray = field(repr=False)
    loss: float
    gradient_norm: float
    step: float
    n_products: int
    n_kinks: int
    method: str

    @property
    def largest(self) -> float:
        """The largest eigenvalue."""
        return float(self.eigenvalues[-1])

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue."""
        return float(self.eigenvalues[0])

    @property
    def bounds(self) -> np.ndarray:
        """How far from each eigenvalue there is one of the Hessian, at most, ``(m,)``.

        Within its residual, for a symmetric matrix, of each vector of length 1; and the products
        are off by ``product_error`` themselves. It does not say that none lies further out.
        """
        return self.residuals + self.product_error

    @property
    def has_negative(self) -> bool:
        """Whether an eigenvalue is negative beyond its error bound: the loss is not convex here."""
        return bool(self.smallest < -self.bounds[0])


def curvature(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    penalty: bool = False,
    n_eigenvalues: int = 1,
    method: str = "auto",
    tol: float = 1e-6,
    max_products: int = 10_000,
    params: Any = None,
    random_state: Any = 0,
) -> Curvature:
    """Extreme eigenvalues of the Hessian of a fitted estimator's loss on given data.

    The largest says how large a learning rate plain descent can take, below 2 over it; a negative
    one says that the loss is not convex.

    Parameters
    ----------
    estimator : fitted MLPClassifier, MLPRegressor, or Pipeline or search with one
        The loss is that of training, without dropout; batch normalisation is folded into the
        weights, as it is for predictions.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), default=None
        ``class_weight`` counts too, as in training.
    penalty : bool, default=False
        Whether the loss has the L2 penalty, ``alpha / 2 * ||coefs||² / sum(sample_weight)``.
    n_eigenvalues : int, default=1
        How many at each end. The full matrix gives all there are.
    method : {"auto", "full", "lanczos"}, default="auto"
        ``"full"`` makes the matrix, of P products, ``"lanczos"`` finds the ends with SciPy's
        ``eigsh``; ``"auto"`` is the former for up to 256 parameters.
    tol : float, default=1e-6
        How large residuals may be, relative to the largest eigenvalue, for Lanczos's method to end.
    max_products : int, default=10_000
    params : array-like of shape (P,), default=None
        Weights and biases to look at instead of the model's own, in the order of
        `skopt_dl.lab.parameters`.
    random_state : int, RandomState instance or None, default=0
        What trial directions and the first of Lanczos's vectors are drawn from.

    Returns
    -------
    curvature : Curvature

    Raises
    ------
    ValueError
        If a parameter is not valid, or the data does not fit the model.
    TypeError
        If the estimator is of another kind.
    sklearn.exceptions.NotFittedError
    FloatingPointError
        If the gradient is not finite there.
    RuntimeError
        If Lanczos's method needs more than `max_products`.

    Warns
    -----
    UserWarning
        If differences were taken across kinks of the activation, which is what ReLU has.

    Notes
    -----
    Where hidden units have kinks (``"relu"``, ``"leaky_relu"``), the loss is smooth in pieces. The
    Hessian is that of the piece that the model lies in, which says nothing of how slopes jump
    between pieces; a step across a jump counts it as curvature. Steps are chosen small enough where
    that is possible, and ``n_kinks`` says how often it was not. ``"tanh"``, ``"softplus"``,
    ``"gelu"``, ``"silu"`` and ``"mish"`` have no such trouble.

    References
    ----------
    Pearlmutter (1994), "Fast exact multiplication by the Hessian", has products by differences
    too; Lehoucq, Sorensen & Yang (1998), "ARPACK users' guide", the method behind ``eigsh``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, lab
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(5, activation="tanh", optimizer="lbfgs", random_state=0).fit(X, y)
    >>> result = lab.curvature(model, X, y)
    >>> result.smallest < 0 < result.largest
    True
    >>> result.has_negative, bool(result.bounds.max() < 1e-6)
    (True, True)
    """
    check_counts(n_eigenvalues=n_eigenvalues, max_products=max_products)
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}; got {method!r}.")
    if not isinstance(tol, numbers.Real) or not tol > 0:
        raise ValueError(f"tol must be a positive number; got {tol!r}.")
    loss = FittedLoss(estimator, X, y, sample_weight, penalty=penalty, dtype=np.float64)
    where = loss.params if params is None else _checked_params(params, loss.n_params)
    result = _curvature(loss, where, n_eigenvalues, method, tol, max_products, random_state)
    if result.n_kinks:
        warn_user(
            f"{result.n_kinks} times a sample switches a hidden unit on or off within the steps "
            f"of {result.step:.2g} that differences were taken over: there the gradient jumps, "
            "which these eigenvalues take for curvature. Take an activation without kinks, such as "
            "'tanh', 'softplus' or 'gelu', for figures that can be relied on."
        )
    return result


def check_counts(**counts: Any) -> None:
    """Refuse what is no positive whole number, by name."""
    for name, value in counts.items():
        if not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"{name} must be an int, at least 1; got {value!r}.")


def _checked_params(params: Any, n_params: int) -> np.ndarray:
    row = np.asarray(params, dtype=np.float64)
    if row.shape != (n_params,):
        raise ValueError(
            f"params must be of shape ({n_params},), the weights and then the biases of the model; "
            f"got shape {row.shape}. See skopt_dl.lab.parameters."
        )
    return row


def _curvature(
    loss: FittedLoss,
    params: np.ndarray,
    n_eigenvalues: int,
    method: str,
    tol: float,
    max_products: int,
    random_state: Any,
) -> Curvature:
    rng = check_random_state(random_state)
    hessian = _Hessian(loss, params, rng)
    n_params = loss.n_params
    if method == "full" or (method == "auto" and n_params <= SMALL) or 2 * n_eigenvalues > n_params:
        method = "full"
        _check_memory(n_params)
        products = hessian.times(np.eye(n_params))
        values, columns = np.linalg.eigh(0.5 * (products + products.T))
        vectors = columns.T
    else:
        method = "lanczos"
        values, vectors = _ends(hessian, n_eigenvalues, tol, max_products, rng)
    products = hessian.times(vectors)
    ends = vectors[[0, -1]]
    return Curvature(
        eigenvalues=values,
        eigenvectors=vectors,
        residuals=np.linalg.norm(products - values[:, None] * vectors, axis=1),
        product_error=hessian.error_of(vectors, products),
        params=params,
        loss=float(loss.losses(params[None])[0]),
        gradient_norm=hessian.gradient_norm,
        step=hessian.step,
        n_products=hessian.n_products,
        n_kinks=hessian.n_kinks(ends),
        method=method,
    )


def _check_memory(n_params: int) -> None:
    """Refuse a matrix that memory has no room for: it, two gradients for each row, and vectors."""
    needed, there_is = 6 * n_params**2 * 8, n_bytes_of_memory()
    if needed > there_is:
        raise MemoryError(
            f"The full Hessian of {n_params:,} parameters and what it is made of take "
            f"{in_words(needed)} ({needed:,} bytes); there are {in_words(there_is)}. Use "
            "method='lanczos'."
        )


class _Hessian:
    """Products of the Hessian with vectors, several vectors as one stack of models.

    Attributes
    ----------
    step : float
        Half the distance of the two gradients.
    n_products : int
        So far.
    """

    def __init__(self, loss: FittedLoss, params: np.ndarray, rng: np.random.RandomState):
        self._loss, self._params = loss, params
        self.n_params = loss.n_params
        self.n_products = 0
        gradient = loss.gradients(params[None])[0]
        self.gradient_norm = float(np.linalg.norm(gradient))
        if not np.isfinite(self.gradient_norm):
            raise FloatingPointError(
                "The gradient of the loss is not finite at these parameters: there is no Hessian "
                "to speak of. Scale X and y, or train the model anew."
            )
        steps = STEPS * max(1.0, float(np.sqrt(np.mean(params**2))))
        self.step = self._best_step(steps, rng.normal(size=len(params)))

    def _best_step(self, steps: np.ndarray, vector: np.ndarray) -> float:
        """The step at which products with a vector, and with what comes of it, change least.

        A product leans towards the directions of large curvature, as Lanczos's vectors will.
        """
        step, worst = steps[len(steps) // 2], np.zeros(len(steps) - 1)
        for _ in range(2):
            norm = np.linalg.norm(vector)
            if not norm > 0:
                break
            vector = vector / norm
            products = np.stack([self.times(vector[None], each)[0] for each in steps])
            changes = np.linalg.norm(np.diff(products, axis=0), axis=1)
            sizes = np.linalg.norm(products[1:], axis=1)
            worst = np.maximum(worst, changes / np.where(sizes > 0, sizes, 1.0))
            fair = worst <= max(FAIR, worst.min()) if self._loss.has_kinks else worst == worst.min()
            best = int(np.flatnonzero(fair)[-1])
            step, vector = steps[best], products[best]
        return float(step)

    def times(self, vectors: np.ndarray, step: float | None = None) -> np.ndarray:
        """Products with vectors, ``(K, P)`` to ``(K, P)``."""
        self.n_products += len(vectors)
        step = self.step if step is None else step
        moves = step * vectors
        ahead, behind = self._params + moves, self._params - moves
        both = self._loss.gradients(np.concatenate([ahead, behind]))
        return (both[: len(vectors)] - both[len(vectors) :]) / (2 * step)

    def error_of(self, vectors: np.ndarray, products: np.ndarray) -> float:
        """Four times what products change by if the step is a quarter.

        Rounding may happen to be alike at both: twice did not cover 1 of 300 models.
        """
        changes = self.times(vectors, self.step / 4) - products
        return 4.0 * float(np.linalg.norm(changes, axis=1).max())

    def n_kinks(self, vectors: np.ndarray) -> int:
        """Pairs of sample and hidden unit that switch between the two ends of the steps."""
        if not self._loss.has_kinks:
            return 0
        count = 0
        for vector in vectors:
            ends = self._params + self.step * np.array([vector, -vector])
            ahead, behind = self._loss.signs(ends)
            count += int((ahead != behind).sum())
        return count


def _ends(
    hessian: _Hessian, n_eigenvalues: int, tol: float, max_products: int, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest eigenvalues, in rising order, and their vectors as rows."""
    top, top_vectors = _largest(hessian, 0.0, 1.0, n_eigenvalues, tol, max_products, rng)
    # ARPACK's tolerance is relative to the eigenvalue, which may be next to nothing at this end.
    # That of the shifted matrix is about as large as the spectrum is wide.
    shift = max(0.0, float(top[-1]))
    bottom, vectors = _largest(hessian, shift, -1.0, n_eigenvalues, tol, max_products, rng)
    values = np.concatenate([shift - bottom, top])
    order = np.argsort(values)
    return values[order], np.concatenate([vectors, top_vectors])[order]


def _largest(
    hessian: _Hessian,
    shift: float,
    sign: float,
    n_eigenvalues: int,
    tol: float,
    max_products: int,
    rng: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues of ``shift + sign H``, and their vectors as rows."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    failure = RuntimeError(
        f"The eigenvalues were not found to tol={tol:g} within max_products={max_products} "
        "products. Raise one of them."
    )

    def product(vector: np.ndarray) -> np.ndarray:
        if hessian.n_products >= max_products:
            raise failure
        vector = vector.ravel()
        return shift * vector + sign * hessian.times(vector[None])[0]

    size = hessian.n_params
    try:
        values, columns = eigsh(
            LinearOperator((size, size), matvec=product, dtype=np.float64),
            k=n_eigenvalues,
            which="LA",
            v0=rng.normal(size=size),
            tol=tol,
            maxiter=max_products,
        )
    except ArpackNoConvergence as error:
        raise failure from error
    return values, columns.T
