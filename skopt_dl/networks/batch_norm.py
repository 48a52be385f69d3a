"""Batch normalisation (Ioffe & Szegedy, 2015, arXiv:1502.03167).

A hidden layer's pre-activations get mean 0 and variance 1 over the batch, then a scale that is
learnt; the shift is the layer's bias. Samples count with their weights, so that weight 2 is the
same as a sample that is there twice.

For predictions, the statistics of about the last ten batches are kept, and folded into the
weights; see `skopt_dl.networks.folding`.
"""

from __future__ import annotations

from typing import Any

from skopt_dl.backends import Backend

Array = Any

EPSILON = 1e-5
# The batches that kept statistics come from, where an epoch has as many.
WINDOW = 10


class RunningStatistics:
    """Means and variances to predict with, averaged over the last batches.

    A batch counts as much as it has samples. Until the window is full, all samples count equally;
    where it holds no more than one batch, the statistics are that batch's.

    Parameters
    ----------
    n_samples : array of shape (K, 1, 1)
        Samples that the statistics come from, the window at most; written.
    window : int
        How many samples to average over.
    """

    def __init__(self, n_samples: Array, window: int):
        self._n_samples = n_samples
        self._window = window
        self._share: Array = None

    def begin(self, xp: Any, n_rows: int, shares: Array) -> None:
        """Count a batch's rows; none if all `shares` are zero."""
        counted = n_rows * xp.sum(shares, axis=2, keepdims=True)
        seen = xp.minimum(self._n_samples + counted, xp.maximum(counted, float(self._window)))
        self._n_samples[...] = seen
        self._share = counted / xp.maximum(seen, 1.0)

    def average(self, kept: Array, value: Array) -> None:
        """Move `kept` towards a batch's `value`."""
        kept += self._share * (value - kept)


class BatchNorm:
    """Batch normalisation of one hidden layer, bound to its buffers.

    Parameters
    ----------
    b : Backend
    z : array of shape (K, n_rows, n)
        Pre-activations; overwritten with their normalised form.
    output : array of shape (K, n_rows, n)
        Where the scaled form is written.
    scale, grad_scale : array of shape (K, 1, n)
        The scale's difference from 1, and the gradient with respect to it.
    mean, variance : array of shape (K, 1, n)
        Statistics that are kept; written.
    """

    def __init__(
        self,
        b: Backend,
        z: Array,
        output: Array,
        scale: Array,
        grad_scale: Array,
        mean: Array,
        variance: Array,
    ):
        self._xp = b.xp
        self._z, self.output = z, output
        self._scale, self._grad_scale = scale, grad_scale
        self._mean, self._variance = mean, variance
        self._factor: Array = None

    def forward(self, shares: Array, running: RunningStatistics) -> None:
        """Normalise over the batch.

        Parameters
        ----------
        shares : array of shape (K or 1, 1, n_rows)
            Each sample's share in the batch: 1 in sum, or all zero.
        running : RunningStatistics
            Has counted this batch.
        """
        xp, z = self._xp, self._z
        mean = xp.matmul(shares, z)
        xp.subtract(z, mean, out=z)
        xp.multiply(z, z, out=self.output)
        variance = xp.matmul(shares, self.output)
        running.average(self._mean, mean)
        running.average(self._variance, variance)
        inverse = 1.0 / xp.sqrt(variance + EPSILON)
        xp.multiply(z, inverse, out=z)
        scale = 1.0 + self._scale
        xp.multiply(z, scale, out=self.output)
        self._factor = scale * inverse

    def backward(self, delta: Array, grad_bias: Array, shares: Array) -> None:
        """Turn the gradient at `output` into that at the pre-activations, in place.

        Parameters
        ----------
        delta : array of shape (K, n_rows, n)
        grad_bias : array of shape (K, 1, n)
            The sum of `delta` over the rows.
        shares : array of shape (K or 1, 1, n_rows)
            As in `forward`.
        """
        xp, z = self._xp, self._z
        xp.sum(delta * z, axis=1, keepdims=True, out=self._grad_scale)
        # Mean and variance depend on every sample: each sample's share of their gradients.
        xp.multiply(z, self._grad_scale, out=z)
        xp.add(z, grad_bias, out=z)
        xp.multiply(z, shares.mT, out=z)
        xp.subtract(delta, z, out=delta)
        xp.multiply(delta, self._factor, out=delta)
