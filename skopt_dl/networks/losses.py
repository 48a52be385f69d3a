"""Losses of the network's raw output.

Every loss is a function of the *raw* output, before the output activation, which is where it can
be computed without overflow. ``value`` sums over a sample's outputs and returns one number a
sample; ``gradient`` is its derivative with respect to the raw output. Arrays are
``(K, batch, n_outputs)``; `y` has the same shape, class labels as indicators.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from skopt_dl._params import NOT_NEGATIVE, POSITIVE, Configurable, Interval
from skopt_dl.backends import Backend
from skopt_dl.networks.activations import logistic, softplus_tail

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

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        """Loss of each sample, ``(K, batch)``."""
        raise NotImplementedError

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        """Write the derivative of ``value`` with respect to `raw`.

        May change `raw` in ways that leave the value and the derivative as they are.
        """
        raise NotImplementedError

    def value_after_gradient(self, b: Backend, raw: Array, y: Array) -> Array:
        """``value``, for `raw` as ``gradient`` has left it."""
        return self.value(b, raw, y)

    def predict(self, b: Backend, raw: Array) -> Array:
        """Apply the output activation to `raw`, in place, and return it."""
        OUTPUT_ACTIVATIONS[self.output_activation](b, raw)
        return raw


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

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        # -y log p - (1 - y) log(1 - p) = softplus(raw) - y raw; the large parts cancel first.
        xp = b.xp
        losses = xp.empty_like(raw)
        b.rectify(raw, losses)
        xp.subtract(losses, raw * y, out=losses)
        xp.add(losses, softplus_tail(xp, raw), out=losses)
        return b.row_sum(losses)[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        logistic(b.xp, raw, out)
        b.xp.subtract(out, y, out=out)


class SoftmaxLogLoss(LogLoss):
    """Cross-entropy of one label among several: multiclass classification."""

    is_convex = True
    output_activation = "softmax"

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        xp = b.xp
        shifted = raw - b.row_max(raw)
        log_normaliser = xp.log(b.row_sum(xp.exp(shifted))[..., 0])
        return log_normaliser - b.row_sum(shifted * y)[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        # Leaves the logarithms of the probabilities in `raw`: the sum is at hand.
        xp = b.xp
        xp.subtract(raw, b.row_max(raw), out=raw)
        xp.exp(raw, out=out)
        total = b.row_sum(out)
        xp.subtract(raw, xp.log(total), out=raw)
        xp.divide(out, total, out=out)
        xp.subtract(out, y, out=out)

    def value_after_gradient(self, b: Backend, raw: Array, y: Array) -> Array:
        return -b.row_sum(raw * y)[..., 0]


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

    def _surprises(self, b: Backend, raw: Array) -> tuple[Array, Array, Array]:
        """The probability of 1, and minus the logarithms of both probabilities."""
        xp = b.xp
        p = xp.empty_like(raw)
        logistic(xp, raw, p)
        tail = softplus_tail(xp, raw)
        return p, xp.maximum(-raw, 0.0) + tail, xp.maximum(raw, 0.0) + tail

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        p, if_one, if_zero = self._surprises(b, raw)
        ones, zeros = (1.0 - p) ** self.gamma * if_one, p**self.gamma * if_zero
        return b.row_sum(y * ones + (1.0 - y) * zeros)[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        p, if_one, if_zero = self._surprises(b, raw)
        q = 1.0 - p
        ones = -(q**self.gamma) * (self.gamma * p * if_one + q)
        zeros = p**self.gamma * (self.gamma * q * if_zero + p)
        out[...] = y * ones + (1.0 - y) * zeros


class SoftmaxFocal(Focal):
    """Focal loss of one label among several."""

    output_activation = "softmax"

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        log_p = log_softmax(b, raw)
        rest = 1.0 - b.xp.exp(log_p)
        return -b.row_sum(y * rest**self.gamma * log_p)[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        # With h(p) the loss of a label of probability p, and q = y p h'(p): q - p sum(q). The
        # ratio log(p) / (1 - p) has the limit -1 where p is 1.
        xp = b.xp
        log_p = log_softmax(b, raw)
        p = xp.exp(log_p)
        rest = 1.0 - p
        ratio = xp.where(rest > 0, log_p, -xp.ones_like(p)) / xp.where(
            rest > 0, rest, xp.ones_like(p)
        )
        q = y * rest**self.gamma * (self.gamma * p * ratio - 1.0)
        out[...] = q - p * b.row_sum(q)


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

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        values = [loss.value(b, raw[..., part], y[..., part]) for loss, part in self._parts()]
        return sum(values[1:], start=values[0])

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        for loss, part in self._parts():
            loss.gradient(b, raw[..., part], y[..., part], out[..., part])


class SquaredError(Loss):
    """Half the squared error, summed over outputs."""

    is_convex = True

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        error = raw - y
        return 0.5 * b.row_sum(error * error)[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        b.xp.subtract(raw, y, out=out)


class AbsoluteError(Loss):
    """The absolute error, summed over outputs; its minimiser is the conditional median."""

    is_convex = True

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        return b.row_sum(b.xp.abs(raw - y))[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        b.xp.sign(raw - y, out=out)


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

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        # With c the error clipped to ±delta: c (error - c / 2)
        xp = b.xp
        error = raw - y
        clipped = xp.clip(error, -self.delta, self.delta)
        return b.row_sum(clipped * (error - 0.5 * clipped))[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        xp = b.xp
        xp.subtract(raw, y, out=out)
        xp.clip(out, -self.delta, self.delta, out=out)


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

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        # y log(y / mean) - y + mean, with 0 log 0 = 0
        xp = b.xp
        log_y = xp.log(xp.where(y > 0, y, xp.ones_like(y)))
        return b.row_sum(y * (log_y - raw - 1.0) + xp.exp(raw))[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        b.xp.exp(raw, out=out)
        b.xp.subtract(out, y, out=out)


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

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        # log(mean / y) + y / mean - 1
        xp = b.xp
        return b.row_sum(raw - xp.log(y) + y * xp.exp(-raw) - 1.0)[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        xp = b.xp
        xp.multiply(raw, -1.0, out=out)
        xp.exp(out, out=out)
        xp.multiply(out, y, out=out)
        xp.subtract(1.0, out, out=out)


class LogCosh(Loss):
    """``log(cosh(error))``: squared for small errors, absolute for large ones, smooth between."""

    is_convex = True

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        # log cosh e = |e| + log1p(exp(-2 |e|)) - log 2, which cannot overflow
        xp = b.xp
        error = raw - y
        tail = softplus_tail(xp, 2.0 * error)
        return b.row_sum(xp.abs(error) + tail - math.log(2.0))[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        b.xp.subtract(raw, y, out=out)
        b.xp.tanh(out, out=out)


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

    def value(self, b: Backend, raw: Array, y: Array) -> Array:
        # max((q - 1) e, q e) with e = y - raw, written as |e| / 2 + (q - 1/2) e
        error = y - raw
        return b.row_sum(0.5 * b.xp.abs(error) + (self.quantile - 0.5) * error)[..., 0]

    def gradient(self, b: Backend, raw: Array, y: Array, out: Array) -> None:
        xp = b.xp
        xp.sign(raw - y, out=out)
        xp.multiply(out, 0.5, out=out)
        xp.add(out, 0.5 - self.quantile, out=out)


def softmax(b: Backend, raw: Array, out: Array) -> None:
    """Write ``exp(raw)``, normalised over the last axis; shifted so that it cannot overflow."""
    xp = b.xp
    xp.subtract(raw, b.row_max(raw), out=out)
    xp.exp(out, out=out)
    xp.divide(out, b.row_sum(out), out=out)


def log_softmax(b: Backend, raw: Array) -> Array:
    """Return the logarithms of `softmax`."""
    xp = b.xp
    shifted = raw - b.row_max(raw)
    return shifted - xp.log(b.row_sum(xp.exp(shifted)))


OUTPUT_ACTIVATIONS = {
    "identity": lambda b, raw: None,
    "logistic": lambda b, raw: logistic(b.xp, raw, raw),
    "softmax": lambda b, raw: softmax(b, raw, raw),
    "exp": lambda b, raw: b.xp.exp(raw, out=raw),
}
