"""A factor for each feature that is learnt with the weights.

The network then finds out which features matter, and how steeply (Holzmüller et al., 2024,
arXiv:2407.04491). Multiplying the samples by the factors is the same as multiplying the rows of
the first weights, which costs nothing that grows with the number of samples, and leaves sparse
samples sparse.

The parameters are stored so that zero is neutral and so that they move faster than weights do:
``factor = 1 + SPEED * parameter``.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.backends import Backend

Array = Any

SPEED = 6.0


def factors(parameter: Array) -> Array:
    """The factor of each feature, ``(K, n_features, 1)``."""
    return 1.0 + SPEED * parameter


class InputScaling:
    """The first layer's weights with their rows multiplied, bound to their buffers.

    Parameters
    ----------
    b : Backend
    weights, grad_weights : array of shape (K, n_features, n_out)
    parameter, grad_parameter : array of shape (K, n_features, 1)

    Attributes
    ----------
    weights : array of shape (K, n_features, n_out)
        What samples are multiplied with, once `forward` has run.
    """

    def __init__(
        self,
        b: Backend,
        weights: Array,
        parameter: Array,
        grad_weights: Array,
        grad_parameter: Array,
    ):
        self._xp = b.xp
        self._given, self._parameter = weights, parameter
        self._grad_weights, self._grad_parameter = grad_weights, grad_parameter
        self.weights = b.xp.empty_like(weights)

    def forward(self) -> None:
        """Multiply the weights."""
        self._factors = factors(self._parameter)
        self._xp.multiply(self._given, self._factors, out=self.weights)

    def backward(self) -> None:
        """Turn the gradient at the multiplied weights into that of weights and parameters."""
        xp, grad = self._xp, self._grad_weights
        slope = xp.sum(self._given * grad, axis=2, keepdims=True)
        xp.multiply(slope, SPEED, out=self._grad_parameter)
        xp.multiply(grad, self._factors, out=grad)
