"""Layer normalisation (Ba et al., 2016, arXiv:1607.06450)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skopt_dl._params import POSITIVE
from skopt_dl.layers.base import Array, Layer, Parameter, Pass, Shape


class LayerNorm(Layer):
    """Mean 0 and variance 1 over the last axis of each sample, then a scale and a shift.

    The scale is stored as its difference from 1.

    Parameters
    ----------
    epsilon : float, default=1e-5
        Added to the variance.

    Examples
    --------
    >>> from skopt_dl.layers import LayerNorm
    >>> [(each.name, each.shape) for each in LayerNorm().tensors((20, 16))]
    [('layer_norm', (1, 16)), ('intercepts', (1, 16))]
    """

    constraints = {"epsilon": POSITIVE}

    def __init__(self, epsilon: float = 1e-5):
        self.epsilon = epsilon

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        n = shape[-1]
        return [
            Parameter("layer_norm", (1, n), "norm"),
            Parameter("intercepts", (1, n), "bias"),
        ]

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        xp = run.xp
        # What the backward pass needs of the forward pass.
        known: list[Array] = []

        def forward(z: Array, scale: Array, shift: Array) -> Array:
            z = z - xp.mean(z, axis=2, keepdims=True)
            variance = xp.mean(z * z, axis=2, keepdims=True)
            inverse = 1.0 / xp.sqrt(variance + self.epsilon)
            z = z * inverse
            scale = 1.0 + scale
            known[:] = z, scale, inverse
            return z * scale + shift

        def backward(delta: Array, out: Array, *_: Array) -> tuple[Array, Array, Array]:
            z, scale, inverse = known
            grad_shift = xp.sum(delta, axis=1, keepdims=True)
            grad_scale = xp.sum(delta * z, axis=1, keepdims=True)
            # Mean and variance depend on every number of a row.
            delta = delta * scale
            along = xp.mean(delta * z, axis=2, keepdims=True)
            delta = delta - xp.mean(delta, axis=2, keepdims=True) - z * along
            return delta * inverse, grad_scale, grad_shift

        rows = xp.reshape(x, (x.shape[0], -1, x.shape[-1]))
        result = run.custom(forward, backward, rows, tensors.layer_norm, tensors.intercepts)
        return xp.reshape(result, (result.shape[0], *x.shape[1:]))
