"""The loss of a fitted estimator, as a function of its weights and biases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skopt_dl._params import Precision
from skopt_dl.backends import get_backend, one_blas_thread
from skopt_dl.estimators.data import training_data
from skopt_dl.estimators.mlp import BaseMLP
from skopt_dl.networks import (
    Block,
    DensePool,
    NetworkObjective,
    SparsePool,
    TargetPool,
    hidden_outputs,
    raw_output,
)

Array = Any

# Numbers in the largest array of one pass: bounds the memory.
PASS_SIZE = 1 << 22


def network_and_samples(estimator: Any, X: Any = None) -> tuple[BaseMLP, Any]:
    """Return the fitted network inside a pipeline or a search, and the samples that it gets.

    Raises
    ------
    TypeError
        If there is no network of skopt_dl inside.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    model = estimator
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif hasattr(model, "steps"):
            if X is not None and len(model) > 1:
                X = model[:-1].transform(X)
            model = model[-1]
        else:
            break
    if isinstance(model, BaseMLP):
        check_is_fitted(model, "coefs_")
        return model, X
    if hasattr(model, "refit"):
        raise NotFittedError(
            f"This {type(model).__name__} has no best_estimator_: call fit first, with refit=True."
        )
    raise TypeError(
        "estimator must be a fitted MLPClassifier or MLPRegressor of skopt_dl, or a pipeline or "
        f"search with one; got {type(model).__module__.partition('.')[0]}'s "
        f"{type(model).__name__}."
    )


def parameters(estimator: Any) -> np.ndarray:
    """The weights and biases of a fitted network in one row.

    Batch normalisation and input scaling are folded into them. After ``standardize_target=True``
    they are for standardised targets, as the losses in ``history_`` are.

    Parameters
    ----------
    estimator : fitted MLPClassifier, MLPRegressor, or Pipeline or search with one

    Returns
    -------
    params : ndarray of shape (P,)
        All the weights, layer by layer, each ``(n_in, n_out)`` row by row, then all the biases.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, lab
    >>> model = MLPClassifier(5, optimizer="lbfgs", random_state=0)
    >>> lab.parameters(model.fit(*load_iris(return_X_y=True))).shape  # 4·5 + 5·3 + 5 + 3
    (43,)
    """
    return np.array(network_and_samples(estimator)[0]._plain_params())


class FittedData(NamedTuple):
    """What a loss is computed of, as the model has prepared it.

    Attributes
    ----------
    samples : {ndarray, CSR matrix} of shape (n_samples, n_features)
        As they come out of a pipeline.
    targets : ndarray of shape (n_samples, n_outputs)
        Encoded, smoothed or standardised.
    weights : ndarray of shape (n_samples, 1)
        Those of the samples times those of their classes.
    """

    samples: Any
    targets: np.ndarray
    weights: np.ndarray


class FittedLoss:
    """The loss of a fitted network on given data, for any weights and biases in place of its own.

    It is the mean that training minimises: over samples with their weights, those of classes
    included, with smoothed labels, of standardised targets; without dropout. The loss of a sample
    is the sum over its outputs and not their mean: that of squared errors is half the sum of their
    squares. Batch normalisation does what it does in predictions: it is folded into weights and
    biases.

    Parameters
    ----------
    estimator : fitted MLPClassifier, MLPRegressor, or Pipeline or search with one
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), default=None
    penalty : bool, default=False
        Whether the L2 penalty ``alpha / 2 * ||coefs||² / sum(sample_weight)`` is part of it.
    dtype : {"float32", "float64"}, default=None
        Precision to work in; None means that of the model.

    Attributes
    ----------
    model : BaseMLP
    network : Network
        Of weights, biases and activations alone.
    params : ndarray of shape (P,)
        The model's own.
    data : FittedData
        What the network gets and is compared with.

    Raises
    ------
    TypeError, sklearn.exceptions.NotFittedError
        As for `network_and_samples`.
    ValueError
        If the data does not fit the model, or a parameter is not valid.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, lab
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(5, optimizer="lbfgs", random_state=0).fit(X, y)
    >>> loss = lab.FittedLoss(model, X, y)
    >>> own = lab.parameters(model)
    >>> bool(loss.losses(own) < loss.losses(2 * own))
    True
    >>> loss.gradients([own, 2 * own]).shape
    (2, 43)
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        penalty: bool = False,
        dtype: Any = None,
    ):
        if not Precision().accepts(dtype):
            raise ValueError(f"dtype must be {Precision()}; got {dtype!r}.")
        self.model, X = network_and_samples(estimator, X)
        self.network, own = self.model._plain_network(), self.model._plain_params()
        self.dtype = np.dtype(own.dtype if dtype is None else dtype)
        self.params = own.astype(self.dtype)
        X, labels, sample_weight = training_data(
            self.model, X, y, sample_weight, [self.dtype], reset=False
        )
        weights = self.model._weigh(labels, sample_weight, self.dtype)
        targets = self.model._encode_targets(labels, self.dtype)
        n_outputs = self.network.layer_sizes[-1]
        if targets.shape[1] != n_outputs:
            raise ValueError(
                f"y has {targets.shape[1]} targets; this model was fitted on {n_outputs}."
            )
        self.network.loss.check_targets(targets)
        smoothing = self.model.label_smoothing
        if smoothing:
            targets = (
                targets * (1 - smoothing) + smoothing * self.network.loss.uniform_target(n_outputs)
            ).astype(self.dtype)
        self.n_samples = len(targets)
        weights = np.ones((self.n_samples, 1), self.dtype) if weights is None else weights
        self._weight_sum = float(weights.sum())
        self.penalty = bool(penalty)
        self._alpha = float(self.model.alpha) / self._weight_sum if penalty else 0.0
        self.data = FittedData(X, targets, weights)
        self._b = b = get_backend(self.model.device)
        self._shares = b.asarray(weights[:, 0] / self._weight_sum)
        self._weights = TargetPool(b, b.asarray(weights))
        self._y = TargetPool(b, b.asarray(targets))
        self._x = SparsePool(b.sparse(X)) if sparse.issparse(X) else DensePool(b, b.asarray(X))
        self._prepared: tuple[NetworkObjective, Sequence[Any], Array] | None = None

    @property
    def n_params(self) -> int:
        """P, the number of weights and biases."""
        return self.network.layout.size

    @property
    def has_kinks(self) -> bool:
        """Whether the gradient jumps where a hidden unit is zero."""
        return any(activation.has_kink for activation in self.network.activations)

    def _parts(self, params: np.ndarray, numbers_of_a_model: int) -> Iterator[slice]:
        """Cut models so that a part's largest array is bounded."""
        size = max(1, PASS_SIZE // max(self.n_params, numbers_of_a_model))
        for start in range(0, len(params), size):
            yield slice(start, min(start + size, len(params)))

    def _stacked(self, params: Any) -> tuple[np.ndarray, tuple[int, ...]]:
        """Models as rows ``(K, P)``, and the shape ``(...)`` that they came in."""
        try:
            array = np.asarray(params)
        except (TypeError, ValueError):
            array = np.empty((), dtype=object)
        if array.dtype.kind not in "biuf" or array.shape[-1:] != (self.n_params,):
            of_another_kind = f"a {type(params).__name__} that is no array of such"
            what = f"shape {array.shape}" if array.dtype.kind in "biuf" else of_another_kind
            raise ValueError(
                f"params must be real numbers of shape ({self.n_params},), the weights and then "
                f"the biases of a model, or (K, {self.n_params}), of K models; got {what}. "
                "skopt_dl.lab.parameters gives those of a fitted model."
            )
        return array.reshape(-1, self.n_params), array.shape[:-1]

    def losses(self, params: Any) -> np.ndarray:
        """Losses of models, ``(..., P)`` to ``(...)``; inf or NaN where they overflow."""
        params, shape = self._stacked(params)
        b, network = self._b, self.network
        losses = np.empty(len(params), self.dtype)
        with b.quiet(), one_blas_thread():
            y = self._y.block(Block.of_all(self.n_samples))
            for part in self._parts(params, self.n_samples * network.layer_sizes[-1]):
                stack = b.asarray(np.ascontiguousarray(params[part], dtype=self.dtype))
                # Losses reduce over the outputs, faster where each output's samples are neighbours.
                raw = b.contiguous(raw_output(b, network, stack, self._x).mT).mT
                values = b.row_dot(network.loss.value(b.xp, raw, y), self._shares)
                if self._alpha:
                    weights = stack[:, : network.n_weights]
                    values = values + 0.5 * self._alpha * b.row_dot(weights, weights)
                losses[part] = b.to_numpy(values)
        return losses.reshape(shape)[()]

    def gradients(self, params: Any) -> np.ndarray:
        """Gradients of models, ``(..., P)`` to ``(..., P)``."""
        params, shape = self._stacked(params)
        b, n_weights = self._b, self.network.n_weights
        grads = np.empty((len(params), self.n_params), self.dtype)
        rows = self._block.sizes[0]
        with b.quiet(), one_blas_thread():
            for part in self._parts(params, rows * max(self.network.layer_sizes[1:])):
                given = np.asarray(params[part], dtype=self.dtype)
                objective, batches, stack = self._stack(len(given))
                stack[...] = b.asarray(given)
                total = b.xp.zeros_like(stack)
                for batch, share in zip(batches, self._batch_shares, strict=True):
                    total += share * objective.grad(stack, batch)
                total[:, :n_weights] += self._alpha * stack[:, :n_weights]
                grads[part] = b.to_numpy(total)
        return grads.reshape(*shape, self.n_params)

    def _stack(self, n_models: int) -> tuple[NetworkObjective, Sequence[Any], Array]:
        """The network's objective for so many models, its batches, and a place for parameters."""
        if self._prepared is None or self._prepared[0].n_models != n_models:
            objective = NetworkObjective(
                self._b,
                self.network,
                self._x,
                self._y,
                n_models=n_models,
                sample_weight=self._weights,
            )
            place = self._y.empty((n_models, self.n_params))
            self._prepared = objective, objective.load(self._block), place
        return self._prepared

    @cached_property
    def _block(self) -> Block:
        """All samples, in batches that bound the memory of one model."""
        size = min(self.n_samples, max(256, PASS_SIZE // 8 // max(self.network.layer_sizes[1:])))
        n_full, rest = divmod(self.n_samples, size)
        return Block(slice(0, self.n_samples), (size,) * n_full + ((rest,) if rest else ()))

    @cached_property
    def _batch_shares(self) -> list[float]:
        """Each batch's share in the mean."""
        return [float(self._b.xp.sum(self._shares[rows])) for rows in self._block.slices]

    def signs(self, params: np.ndarray) -> np.ndarray:
        """Which hidden units are active, for each sample and model, ``(K, n_samples, n_units)``."""
        b = self._b
        stack = b.asarray(np.ascontiguousarray(params, dtype=self.dtype))
        kinked = [activation.has_kink for activation in self.network.activations]
        with b.quiet(), one_blas_thread():
            outputs = hidden_outputs(b, self.network, stack, self._x)
        return np.concatenate(
            [b.to_numpy(a) > 0 for a, has in zip(outputs, kinked, strict=True) if has], axis=2
        )
