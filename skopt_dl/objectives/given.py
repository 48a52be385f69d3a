"""Gradients that were recorded, or made up, whatever the parameters are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.objectives.base import Objective
from skopt_dl.objectives.layout import Layout

Array = Any


class GivenGradients(Objective):
    """One gradient a step, to see what an optimizer makes of it; the loss is 1.

    Parameters
    ----------
    gradients : array-like of shape (n_steps, P) or (n_steps, K, P)
        The same for all models, or each model's own.
    layout : Layout, default=None
        Names and shapes of the P numbers; None means one row of them.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.objectives import GivenGradients
    >>> from skopt_dl.optimizers import SGD
    >>> from skopt_dl.training import minimise
    >>> objective = GivenGradients([[1.0, 0.0], [0.0, 2.0]])
    >>> (run,) = minimise(objective, SGD(0.5), np.zeros((1, 2)), max_epochs=2)
    >>> run.params
    array([-0.5, -1. ])
    """

    def __init__(self, gradients: Any, layout: Layout | None = None):
        self._gradients = np.asarray(gradients, dtype=float)
        if self._gradients.ndim not in (2, 3):
            raise ValueError(
                "gradients must be of shape (n_steps, P), or (n_steps, K, P) for K models; got "
                f"shape {self._gradients.shape}."
            )
        *_, n_models, n_dims = (1, *self._gradients.shape[1:])
        super().__init__(layout or Layout.from_shapes([("x", "hidden", (1, n_dims))]), n_models)
        self._n_done = 0

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        if self._n_done == len(self._gradients):
            raise ValueError(f"All {self._n_done} gradients that were given have been used.")
        self._n_done += 1
        loss = backend_of(params).ones((params.shape[0],), like=params)
        return loss, self.gradient_at(params, batch)

    def gradient_at(self, params: Array, batch: Any) -> Array:
        given = np.broadcast_to(self._gradients[self._n_done - 1], params.shape)
        # A copy, for optimizers may write to it.
        return backend_of(params).asarray(given.copy(), dtype=params.dtype)

    def select(self, models: Sequence[int]) -> GivenGradients:
        left = self._gradients[self._n_done :]
        return GivenGradients(left if left.ndim == 2 else left[:, list(models)], self.layout)
