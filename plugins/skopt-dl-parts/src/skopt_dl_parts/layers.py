"""The layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skopt_dl.layers import Layer, Parameter, Pass
from skopt_dl.plugins.constraints import POSITIVE

Array = Any


class RMSNorm(Layer):
    """Mean square 1 over the last axis of each sample, then a scale (Zhang & Sennrich, 2019).

    B. Zhang, R. Sennrich: "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467. The
    scale is stored as its difference from 1.

    Parameters
    ----------
    epsilon : float, default=1e-6
        Added to the mean square.

    Examples
    --------
    >>> from skopt_dl import NeuralNetClassifier
    >>> from skopt_dl.layers import Dense
    >>> model = NeuralNetClassifier([Dense(32), "rms_norm", "relu"])
    """

    constraints = {"epsilon": POSITIVE}
    elsewhere = {"eps": "epsilon", "normalized_shape": "left out: it follows from what comes in"}

    def __init__(self, epsilon: float = 1e-6):
        self.epsilon = epsilon

    def tensors(self, shape: tuple[int, ...]) -> Sequence[Parameter]:
        return [Parameter("rms_norm", (1, shape[-1]), "norm")]

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        xp = run.xp
        rows = xp.reshape(x, (x.shape[0], -1, x.shape[-1]))
        size = xp.sqrt(xp.mean(rows * rows, axis=-1, keepdims=True) + self.epsilon)
        result = rows / size * (1.0 + tensors.rms_norm)
        return xp.reshape(result, (result.shape[0], *x.shape[1:]))
