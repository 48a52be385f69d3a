"""The layer and the activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skopt_dl.layers import Activation, Layer, Parameter
from skopt_dl.plugins.constraints import Interval

Array = Any
Shape = tuple[int, ...]


class FeatureEmbedding(Layer):
    """Each number of a row becomes several, of its own: ``relu(weights * x + intercepts)``.

    Gorishniy, Rubachev & Babenko, 2022, arXiv:2203.05556, "LR". What comes out is one row again,
    feature by feature.

    Parameters
    ----------
    n_units : int, default=8
        Of each feature.

    Examples
    --------
    >>> from skopt_dl import NeuralNetRegressor
    >>> from skopt_dl.layers import Dense
    >>> from skopt_dl_tabular.layers import FeatureEmbedding
    >>> model = NeuralNetRegressor([FeatureEmbedding(16), Dense(64), "relu"])
    """

    constraints = {"n_units": Interval(1, float("inf"), "[)", integer=True)}
    elsewhere = {
        "n_features": "left out: it follows from what comes in",
        "d_embedding": "n_units",
    }

    def __init__(self, n_units: int = 8):
        self.n_units = n_units

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        """Weights and intercepts of each feature, which is a network's input of its own."""
        return [
            Parameter("coefs", (shape[-1], 1, self.n_units), "weight"),
            Parameter("intercepts", (shape[-1], self.n_units), "bias"),
        ]

    def output_shape(self, shape: Shape) -> Shape:
        """One row, of all features' units."""
        if len(shape) != 1:
            raise ValueError(
                f"FeatureEmbedding takes rows of numbers; got samples of shape {shape}. Put "
                "'flatten' before it."
            )
        return (shape[0] * self.n_units,)

    def forward(self, x: Array, tensors: Any, run: Any) -> Array:
        """Return the embedded rows, ``(K, n_rows, n_features * n_units)``."""
        xp, n_rows = run.xp, x.shape[1]
        n_models, n_features = tensors.intercepts.shape[:2]
        weights, intercepts = (
            xp.reshape(each, (n_models, 1, n_features, self.n_units))
            for each in (tensors.coefs, tensors.intercepts)
        )
        units = xp.relu(x[..., None] * weights + intercepts)
        return xp.reshape(units, (n_models, n_rows, n_features * self.n_units))


class SquaredReLU(Activation):
    """The square of the rectified linear unit, ``max(z, 0) ** 2`` (So et al., 2021).

    arXiv:2109.08668, found there by search.
    """

    def value(self, xp: Any, z: Array) -> Array:
        """Return the activation of `z`."""
        positive = xp.relu(z)
        return positive * positive

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        """Return `delta` times the derivative at `z`."""
        return delta * xp.relu(z) * 2.0
