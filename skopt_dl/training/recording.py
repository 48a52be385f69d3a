"""Looking at every step of a training."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.backends import backend_of

Array = Any


class Recorder:
    """Is shown every step that `minimise` is about to take; the base class of what keeps some."""

    def see(self, models: np.ndarray, params: Array, loss: Array, grad: Array) -> None:
        """Look at the models that train, before their parameters are changed.

        Parameters
        ----------
        models : ndarray of int of shape (K,)
            Which of the models that `minimise` was called for these are.
        params : array of shape (K, P)
        loss : array of shape (K,)
        grad : array of shape (K, P)
            All three are overwritten later, and not to be changed here.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement see.")


class Trajectory(Recorder):
    """Keeps parameters, losses and gradients of all steps.

    Parameters
    ----------
    n_models, n_steps, n_params : int
        K, T and P.
    dtype : dtype, default=float64

    Attributes
    ----------
    params : ndarray of shape (T, K, P)
        Before each step; NaN after a model's last one.
    losses : ndarray of shape (T, K)
    gradients : ndarray of shape (T, K, P)
    n_seen : ndarray of int of shape (K,)
        Steps of each model so far.
    """

    def __init__(self, n_models: int, n_steps: int, n_params: int, dtype: Any = np.float64):
        self.params = np.full((n_steps, n_models, n_params), np.nan, dtype)
        self.losses = np.full((n_steps, n_models), np.nan, dtype)
        self.gradients = np.full((n_steps, n_models, n_params), np.nan, dtype)
        self.n_seen = np.zeros(n_models, dtype=int)

    def see(self, models: np.ndarray, params: Array, loss: Array, grad: Array) -> None:
        at = self.n_seen[models], models
        host = backend_of(params).fetch(params, loss, grad)
        self.params[at], self.losses[at], self.gradients[at] = host
        self.n_seen[models] += 1
