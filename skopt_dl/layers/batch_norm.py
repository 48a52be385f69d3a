"""Batch normalisation (Ioffe & Szegedy, 2015, arXiv:1502.03167)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skopt_dl.layers.base import Array, Layer, Parameter, Pass, Shape

EPSILON = 1e-5
# The batches that kept statistics come from, where an epoch has as many.
WINDOW = 10


class BatchNorm(Layer):
    """Mean 0 and variance 1 over the batch for each feature, then a scale and a shift.

    Samples count with their weights, so that weight 2 is the same as a sample that is there twice.
    For predictions, the mean and variance of about the last ten batches are kept. The scale is
    stored as its difference from 1.
    """

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        n = shape[-1]
        return [
            Parameter("batch_norm", (1, n), "norm"),
            Parameter("intercepts", (1, n), "bias"),
        ]

    def statistics(self, shape: Shape) -> Sequence[Parameter]:
        n = shape[-1]
        return [Parameter("mean", (1, n), "norm"), Parameter("variance", (1, n), "norm")]

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        xp, n = run.xp, x.shape[-1]
        rows = x if x.ndim == 3 else xp.reshape(x, (x.shape[0], -1, n))
        if run.training:
            result = self._over_batch(rows, tensors, run)
        else:
            factor = (1.0 + tensors.batch_norm) / xp.sqrt(tensors.variance + EPSILON)
            result = (rows - tensors.mean) * factor + tensors.intercepts
        return result if x.ndim == 3 else xp.reshape(result, (result.shape[0], *x.shape[1:]))

    def _over_batch(self, z: Array, tensors: Any, run: Pass) -> Array:
        xp, share = run.xp, run.share_of(z)
        # What the backward pass needs of the forward pass.
        known: list[Array] = []

        def forward(z: Array, scale: Array, shift: Array) -> Array:
            mean = run.mean(z)
            z = z - mean
            variance = run.mean(z * z)
            run.keep(tensors.mean, mean)
            run.keep(tensors.variance, variance)
            inverse = 1.0 / xp.sqrt(variance + EPSILON)
            factor = (1.0 + scale) * inverse
            known[:] = z, inverse, factor
            return z * factor + shift

        def backward(delta: Array, out: Array, *_: Array) -> tuple[Array, Array, Array]:
            z, inverse, factor = known
            grad_shift = xp.sum(delta, axis=1, keepdims=True)
            grad_scale = xp.sum(delta * z, axis=1, keepdims=True) * inverse
            # Mean and variance depend on every sample: its share of their gradients. Where all have
            # the same, that is a factor of a row, and not of each element.
            back = -factor
            of_mean = back * grad_shift * share
            of_variance = back * inverse * grad_scale * share
            through = z * of_variance + of_mean
            return through + delta * factor, grad_scale, grad_shift

        return run.custom(forward, backward, z, tensors.batch_norm, tensors.intercepts)
