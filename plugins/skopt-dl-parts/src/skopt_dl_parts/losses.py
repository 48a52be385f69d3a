"""The loss, and its forms for classes and for labels of their own."""

from __future__ import annotations

from typing import Any

from skopt_dl.layers.activations import logistic, softplus
from skopt_dl.networks import Loss
from skopt_dl.networks.losses import LogLoss, log_softmax
from skopt_dl.plugins.constraints import Interval

Array = Any


class GCE(LogLoss):
    """Generalised cross-entropy, ``(1 - p ** q) / q``, for labels that may be wrong.

    With `p` the probability of a sample's label. Between the cross-entropy, its limit for small
    `q`, and the absolute error of probabilities, ``q=1``, which learns more slowly and does not
    follow wrong labels (Z. Zhang, M. Sabuncu: "Generalized Cross Entropy Loss for Training Deep
    Neural Networks with Noisy Labels", 2018, arXiv:1805.07836).

    Parameters
    ----------
    q : float, default=0.7
        Above 0, at most 1.

    Examples
    --------
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl_parts.losses import GCE
    >>> model = MLPClassifier(loss=GCE(q=0.5))
    """

    constraints = {"q": Interval(0, 1, "(]")}

    def __init__(self, q: float = 0.7):
        self.q = q

    def for_targets(self, target_type: str) -> Loss:
        return (SoftmaxGCE if target_type == "multiclass" else LogisticGCE)(self.q)


class SoftmaxGCE(GCE):
    """Of one label among several."""

    output_activation = "softmax"

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        powers = xp.exp(log_softmax(xp, raw) * self.q)
        return xp.sum(y * (1.0 - powers), axis=-1) / self.q

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        log_p = log_softmax(xp, raw)
        weights = y * xp.exp(log_p * self.q)
        return xp.exp(log_p) * xp.sum(weights, axis=-1, keepdims=True) - weights


class LogisticGCE(GCE):
    """Of independent binary labels."""

    output_activation = "logistic"

    def _powers(self, xp: Any, raw: Array) -> tuple[Array, Array]:
        """Those of the probabilities of 1 and of 0."""
        return xp.exp(softplus(xp, -raw) * -self.q), xp.exp(softplus(xp, raw) * -self.q)

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        ones, zeros = self._powers(xp, raw)
        return xp.sum(y * (1.0 - ones) + (1.0 - y) * (1.0 - zeros), axis=-1) / self.q

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        ones, zeros = self._powers(xp, raw)
        p = logistic(xp, raw)
        return (1.0 - y) * zeros * p - y * ones * (1.0 - p)
