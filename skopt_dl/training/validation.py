"""Loss and score on held-out samples, after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.networks import DensePool, Network, SparsePool, fold, raw_output, sample_losses

Array = Any


class Validation:
    """The ``validate`` that `minimise` calls, for models that share their validation samples.

    Parameters
    ----------
    b : Backend
    network : Network
    x : DensePool or SparsePool
    y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,) or None
    score : callable
        ``score(raw, params, model)`` of one model's raw outputs, of the weights and biases that
        gave them, and of its number.
    rows : ndarray of int, default=None
        Which of the samples in `x` to validate on; None means all.
    """

    def __init__(
        self,
        b: Backend,
        network: Network,
        x: DensePool | SparsePool,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        score: Callable[[np.ndarray, np.ndarray, int], float],
        rows: np.ndarray | None = None,
    ):
        self._b, self._network, self._x, self._rows = b, network, x, rows
        self._weight, self._score = sample_weight, score
        self._device_y = b.asarray(y[None])

    def __call__(self, params: Array, models: Sequence[int]) -> Mapping[str, np.ndarray]:
        """Return ``validation_loss`` and ``validation_score``, each of shape (K,)."""
        b = self._b
        network, params = fold(b, self._network, params)
        raw = raw_output(b, network, params, self._x, self._rows)
        values = sample_losses(b, network.loss, raw, self._device_y)
        host_raw, host_values, host_params = b.fetch(raw, values, params)
        return {
            "validation_loss": np.average(host_values, axis=1, weights=self._weight),
            "validation_score": np.array(
                [self._score(*one) for one in zip(host_raw, host_params, models, strict=True)]
            ),
        }
