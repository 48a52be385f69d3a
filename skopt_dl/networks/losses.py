"""Losses of the network's raw output.

Every loss is a function of the *raw* output, before the output activation, which is where it can
be computed without overflow. ``value`` sums over a sample's outputs and returns one number a
sample; ``gradient`` is its derivative with respect to the raw output, which reverse mode finds
where a loss does not say it. Both are array code, whose functions are those of `xp`. Arrays are
``(K, batch, n_outputs)``; `y` has the same shape, class labels as indicators.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from skopt_dl._params import NOT_NEGATIVE, POSITIVE, Configurable, Interval
from skopt_dl.layers.activations import logistic, softplus_tail

Array = Any


class Loss(Configurable):
    """Base class of losses.

    Attributes
    ----------
    task : {"classification", "regression"}
    output_activation : {"identity", "logistic", "softmax", "exp"}
        Turns the raw output into the prediction: a mean, or probabilities.
    is_convex : bool
        Whether ``value`` is a convex function of the raw output, for all targets.
    """

    task = "regression"
    output_activation = "identity"
    is_convex = False

    def for_targets(self, target_type: str) -> Loss:
        """Return the form of this loss for a target type, as `type_of_target` names it."""
        return self

    def check_targets(self, y: Array) -> None:
        """Raise ``ValueError`` for targets, ``(n_samples, n_outputs)``, without a finite loss."""

    def uniform_target(self, n_outputs: int) -> float | np.ndarray:
        """The target, of each output, that favours no class: what label smoothing moves to."""
        raise NotImplementedError(f"{type(self).__name__} has no labels to smooth.")

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        """Return the loss of each sample, ``(K, batch)``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement value.")

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        """Return the derivative of ``value`` with respect to `raw`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement gradient.")

    def gradient_and_rest(self, xp: Any, raw: Array, y: Array) -> tuple[Array, Array]:
        """Return the gradient, and what ``value_of_rest`` needs: an array like `raw`.

        For losses whose value is nearly there when the gradient is known.
        """
        return self.gradient(xp, raw, y), raw

    def value_of_rest(self, xp: Any, rest: Array, y: Array) -> Array:
        """Return ``value``, of what ``gradient_and_rest`` has left for many batches."""
        return self.value(xp, rest, y)

    @property
    def knows_gradient(self) -> bool:
        """Whether ``gradient`` is implemented."""
        cls = type(self)
        return (
            cls.gradient is not Loss.gradient or cls.gradient_and_rest is not Loss.gradient_and_rest
        )

    def predict(self, xp: Any, raw: Array) -> Array:
        """Return the prediction: the output activation of `raw`."""
        return OUTPUT_ACTIVATIONS[self.output_activation](xp, raw)


class LogLoss(Loss):
    """Cross-entropy, the negative log-likelihood of the labels; the form follows the targets."""

    task = "classification"

    def for_targets(self, target_type: str) -> Loss:
        return SoftmaxLogLoss() if target_type == "multiclass" else LogisticLogLoss()

    def uniform_target(self, n_outputs: int) -> float:
        return 0.5 if self.output_activation == "logistic" else 1.0 / n_outputs


class LogisticLogLoss(LogLoss):
    """Cross-entropy of independent binary labels: binary and multilabel classification."""

    is_convex = True
    output_activation = "logistic"

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        # -y log p - (1 - y) log(1 - p) = softplus(raw) - y raw; the large parts cancel first.
        return xp.sum(xp.maximum(raw, 0.0) - raw * y + softplus_tail(xp, raw), axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return logistic(xp, raw) - y


class SoftmaxLogLoss(LogLoss):
    """Cross-entropy of one label among several: multiclass classification."""

    is_convex = True
    output_activation = "softmax"

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        shifted = raw - row_max(xp, raw)
        log_normaliser = xp.log(xp.sum(xp.exp(shifted), axis=-1))
        return log_normaliser - xp.sum(shifted * y, axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return self.gradient_and_rest(xp, raw, y)[0]

    def gradient_and_rest(self, xp: Any, raw: Array, y: Array) -> tuple[Array, Array]:
        # The rest are the logarithms of the probabilities: the sum is at hand.
        shifted = raw - row_max(xp, raw)
        p = xp.exp(shifted)
        total = row_sum(xp, p)
        return p / total - y, shifted - xp.log(total)

    def value_of_rest(self, xp: Any, rest: Array, y: Array) -> Array:
        return -xp.sum(rest * y, axis=-1)


class Focal(LogLoss):
    """Cross-entropy that hardly counts samples which are already predicted well.

    A sample's cross-entropy is multiplied by ``(1 - p) ** gamma``, with the probability `p` of its
    label (Lin et al., 2017, arXiv:1708.02002). For rare classes.

    Parameters
    ----------
    gamma : float, default=2.0
        0 gives the cross-entropy.
    """

    constraints = {"gamma": NOT_NEGATIVE}

    def __init__(self, gamma: float = 2.0):
        self.gamma = gamma

    def for_targets(self, target_type: str) -> Loss:
        cls = SoftmaxFocal if target_type == "multiclass" else LogisticFocal
        return cls(self.gamma)


class LogisticFocal(Focal):
    """Focal loss of independent binary labels."""

    output_activation = "logistic"

    def _surprises(self, xp: Any, raw: Array) -> tuple[Array, Array, Array]:
        """The probability of 1, and minus the logarithms of both probabilities."""
        tail = softplus_tail(xp, raw)
        return logistic(xp, raw), xp.maximum(-raw, 0.0) + tail, xp.maximum(raw, 0.0) + tail

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        p, if_one, if_zero = self._surprises(xp, raw)
        ones, zeros = (1.0 - p) ** self.gamma * if_one, p**self.gamma * if_zero
        return xp.sum(y * ones + (1.0 - y) * zeros, axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        p, if_one, if_zero = self._surprises(xp, raw)
        q = 1.0 - p
        ones = -(q**self.gamma) * (self.gamma * p * if_one + q)
        zeros = p**self.gamma * (self.gamma * q * if_zero + p)
        return y * ones + (1.0 - y) * zeros


class SoftmaxFocal(Focal):
    """Focal loss of one label among several."""

    output_activation = "softmax"

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        log_p = log_softmax(xp, raw)
        rest = 1.0 - xp.exp(log_p)
        return -xp.sum(y * rest**self.gamma * log_p, axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        # With h(p) the loss of a label of probability p, and q = y p h'(p): q - p sum(q). The
        # ratio log(p) / (1 - p) has the limit -1 where p is 1.
        log_p = log_softmax(xp, raw)
        p = xp.exp(log_p)
        rest = 1.0 - p
        is_sure = rest <= 0
        ratio = xp.where(is_sure, -1.0, log_p) / xp.where(is_sure, 1.0, rest)
        q = y * rest**self.gamma * (self.gamma * p * ratio - 1.0)
        return q - p * row_sum(xp, q)


class PerOutput(Loss):
    """A sum of losses, each of some neighbouring outputs: several class labels a sample.

    Parameters
    ----------
    losses : sequence of Loss
        One for each label, in its form for the label's targets.
    sizes : sequence of int
        Outputs of each.
    """

    task = "classification"
    output_activation = "softmax"

    def __init__(self, losses: Sequence[Loss], sizes: Sequence[int]):
        self.losses = losses
        self.sizes = sizes

    @property
    def is_convex(self) -> bool:  # type: ignore[override]
        """Whether all of them are."""
        return all(loss.is_convex for loss in self.losses)

    def _parts(self) -> Iterator[tuple[Loss, slice]]:
        stops = accumulate(self.sizes)
        for loss, size, stop in zip(self.losses, self.sizes, stops, strict=True):
            yield loss, slice(stop - size, stop)

    def uniform_target(self, n_outputs: int) -> np.ndarray:
        shares = [
            np.full(size, loss.uniform_target(size))
            for loss, size in zip(self.losses, self.sizes, strict=True)
        ]
        return np.concatenate(shares)

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        values = [loss.value(xp, raw[..., part], y[..., part]) for loss, part in self._parts()]
        return sum(values[1:], start=values[0])

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        gradients = [
            loss.gradient(xp, raw[..., part], y[..., part]) for loss, part in self._parts()
        ]
        return xp.concat(gradients, axis=-1)


class SquaredError(Loss):
    """Half the squared error, summed over outputs."""

    is_convex = True

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        error = raw - y
        return 0.5 * xp.sum(error * error, axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return raw - y


class AbsoluteError(Loss):
    """The absolute error, summed over outputs; its minimiser is the conditional median."""

    is_convex = True

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        return xp.sum(xp.abs(raw - y), axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return xp.sign(raw - y)


class Huber(Loss):
    """Squared for errors below `delta`, linear above (Huber, 1964).

    Parameters
    ----------
    delta : float, default=1.0
        The error, in units of the target, where the linear part begins; positive.
    """

    is_convex = True
    constraints = {"delta": POSITIVE}

    def __init__(self, delta: float = 1.0):
        self.delta = delta

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        # With c the error clipped to ±delta: c (error - c / 2)
        error = raw - y
        clipped = xp.clip(error, -self.delta, self.delta)
        return xp.sum(clipped * (error - 0.5 * clipped), axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return xp.clip(raw - y, -self.delta, self.delta)


class Poisson(Loss):
    """Half the Poisson deviance of counts, with an exponential output; targets are not negative."""

    is_convex = True
    output_activation = "exp"

    def check_targets(self, y: Array) -> None:
        smallest = float(y.min())
        if smallest < 0:
            raise ValueError(
                f"loss='poisson' needs targets that are not negative; y has {smallest:g}. "
                "Use loss='squared_error' or another loss for such targets."
            )

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        # y log(y / mean) - y + mean, with 0 log 0 = 0
        log_y = xp.log(xp.where(y > 0, y, 1.0))
        return xp.sum(y * (log_y - raw - 1.0) + xp.exp(raw), axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return xp.exp(raw) - y


class Gamma(Loss):
    """Half the gamma deviance of positive targets, with an exponential output.

    For targets whose spread grows with their mean: costs, durations.
    """

    is_convex = True
    output_activation = "exp"

    def check_targets(self, y: Array) -> None:
        smallest = float(y.min())
        if smallest <= 0:
            raise ValueError(
                f"loss='gamma' needs positive targets; y has {smallest:g}. "
                "Use loss='poisson' where there are zeros, or loss='squared_error'."
            )

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        # log(mean / y) + y / mean - 1
        return xp.sum(raw - xp.log(y) + y * xp.exp(raw * -1.0) - 1.0, axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return 1.0 - xp.exp(raw * -1.0) * y


class LogCosh(Loss):
    """``log(cosh(error))``: squared for small errors, absolute for large ones, smooth between."""

    is_convex = True

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        # log cosh e = |e| + log1p(exp(-2 |e|)) - log 2, which cannot overflow
        error = raw - y
        tail = softplus_tail(xp, 2.0 * error)
        return xp.sum(xp.abs(error) + tail - math.log(2.0), axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return xp.tanh(raw - y)


class Quantile(Loss):
    """The pinball loss, whose minimiser is a conditional quantile (Koenker & Bassett, 1978).

    Parameters
    ----------
    quantile : float, default=0.5
        The level, strictly between 0 and 1.
    """

    is_convex = True
    constraints = {"quantile": Interval(0, 1, "()")}

    def __init__(self, quantile: float = 0.5):
        self.quantile = quantile

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        # max((q - 1) e, q e) with e = y - raw, written as |e| / 2 + (q - 1/2) e
        error = y - raw
        return xp.sum(0.5 * xp.abs(error) + (self.quantile - 0.5) * error, axis=-1)

    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return xp.sign(raw - y) * 0.5 + (0.5 - self.quantile)


def row_max(xp: Any, x: Array) -> Array:
    """Return the maximum over the last axis, which is kept with length 1."""
    return xp.max(x, axis=-1, keepdims=True)


def row_sum(xp: Any, x: Array) -> Array:
    """Return the sum over the last axis, which is kept with length 1."""
    return xp.sum(x, axis=-1, keepdims=True)


def softmax(xp: Any, raw: Array) -> Array:
    """Return ``exp(raw)``, normalised over the last axis; shifted so that it cannot overflow."""
    p = xp.exp(raw - row_max(xp, raw))
    return p / row_sum(xp, p)


def log_softmax(xp: Any, raw: Array) -> Array:
    """Return the logarithms of `softmax`."""
    shifted = raw - row_max(xp, raw)
    return shifted - xp.log(row_sum(xp, xp.exp(shifted)))


OUTPUT_ACTIVATIONS = {
    "identity": lambda xp, raw: raw,
    "logistic": logistic,
    "softmax": softmax,
    "exp": lambda xp, raw: xp.exp(raw),
}
