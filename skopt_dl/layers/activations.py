"""Activation functions: layers that compute element by element.

``value(xp, z)`` is the function in array code, and ``gradient(xp, delta, z, a)`` the gradient at
`z`, of that at the output `a`, which is `delta`. Whether `z` is kept until then follows from
whether ``gradient`` reads it. An activation without a ``gradient`` gets it by reverse mode. All
arrays are ``(K, batch, …)``.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from skopt_dl._params import NOT_NEGATIVE, POSITIVE, Constraints
from skopt_dl.layers.base import Layer, Pass

Array = Any


class Activation(Layer):
    """Base class: an elementwise function.

    Attributes
    ----------
    glorot_gain : float
        What ``init="glorot_*"`` multiplies the scale of the weights before it by; scikit-learn
        lowers it for ``logistic``.
    has_kink : bool
        Whether the derivative jumps where the activation is zero.

    Examples
    --------
    >>> from skopt_dl.layers import Activation
    >>> class Cube(Activation):
    ...     def value(self, xp, z):
    ...         return z * z * z
    """

    glorot_gain: float = 1.0
    has_kink = False

    def value(self, xp: Any, z: Array) -> Array:
        """Return the activation of `z`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement value.")

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        """Return `delta` times the derivative at `z`, where the activation is `a`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement gradient.")

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        xp = run.xp
        if type(self).gradient is Activation.gradient:
            return self.value(xp, x)
        return run.custom(
            lambda z: self.value(xp, z),
            lambda delta, a, z: (self.gradient(xp, delta, z, a),),
            x,
        )


class Identity(Activation):
    """The identity, ``f(z) = z``."""

    def value(self, xp: Any, z: Array) -> Array:
        return z


class Logistic(Activation):
    """The logistic sigmoid, ``1 / (1 + exp(-z))``."""

    glorot_gain = math.sqrt(1 / 3)

    def value(self, xp: Any, z: Array) -> Array:
        return logistic(xp, z)

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        return delta * a * (1.0 - a)


class Tanh(Activation):
    """The hyperbolic tangent."""

    def value(self, xp: Any, z: Array) -> Array:
        return xp.tanh(z)

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        return delta * (1.0 - a * a)


class ReLU(Activation):
    """The rectified linear unit, ``max(z, 0)`` (Nair & Hinton, 2010)."""

    has_kink = True

    def value(self, xp: Any, z: Array) -> Array:
        return xp.relu(z)

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        return xp.relu_gradient(delta, a)


class LeakyReLU(Activation):
    """``z`` where positive, ``negative_slope * z`` elsewhere (Maas et al., 2013).

    Parameters
    ----------
    negative_slope : float, default=0.01
    """

    has_kink = True
    constraints = {"negative_slope": NOT_NEGATIVE}

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = negative_slope

    def value(self, xp: Any, z: Array) -> Array:
        return xp.relu(z) + xp.minimum(z, 0.0) * self.negative_slope

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        slope = one_where_positive(xp, a) * (1.0 - self.negative_slope) + self.negative_slope
        return delta * slope


class ELU(Activation):
    """``z`` where positive, ``scale * alpha * (exp(z) - 1)`` elsewhere, positives times `scale`.

    Clevert et al., 2016, arXiv:1511.07289.

    Parameters
    ----------
    alpha : float, default=1.0
        Minus the value approached for very negative input, before scaling.
    """

    scale = 1.0
    constraints: ClassVar[Constraints] = {"alpha": POSITIVE}

    def __init__(self, alpha: float = 1.0):
        self.alpha = alpha

    @property
    def has_kink(self) -> bool:  # type: ignore[override]
        """Whether the slopes on the two sides of zero differ."""
        return self.alpha != 1.0

    def value(self, xp: Any, z: Array) -> Array:
        negative = xp.expm1(xp.minimum(z, 0.0)) * (self.alpha * self.scale)
        positive = xp.relu(z)
        return (positive if self.scale == 1.0 else positive * self.scale) + negative

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        # Where a > 0 the slope is `scale`; elsewhere it is a + scale * alpha.
        slope = one_where_positive(xp, a) * (self.scale * (1.0 - self.alpha))
        return delta * (slope + self.scale * self.alpha + xp.minimum(a, 0.0))


class SELU(ELU):
    """The self-normalising ELU (Klambauer et al., 2017, arXiv:1706.02515)."""

    scale = 1.0507009873554805
    constraints: ClassVar[Constraints] = {}

    def __init__(self) -> None:
        self.alpha = 1.6732632423543772


class GELU(Activation):
    """``z`` times the normal distribution function, exact (Hendrycks & Gimpel, 2016).

    arXiv:1606.08415.
    """

    def value(self, xp: Any, z: Array) -> Array:
        return normal_cdf(xp, z) * z

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        density = xp.exp(z * z * -0.5)
        return delta * (density * z * (1.0 / math.sqrt(2.0 * math.pi)) + normal_cdf(xp, z))


class SiLU(Activation):
    """``z * logistic(z)``, also called swish (Elfwing et al., 2018, arXiv:1702.03118)."""

    def value(self, xp: Any, z: Array) -> Array:
        return logistic(xp, z) * z

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        # f' = s + z s (1 - s) = s + a (1 - s) = a + s (1 - a)
        return delta * (logistic(xp, z) * (1.0 - a) + a)


class Mish(Activation):
    """``z * tanh(softplus(z))`` (Misra, 2020, arXiv:1908.08681)."""

    def value(self, xp: Any, z: Array) -> Array:
        return xp.tanh(softplus(xp, z)) * z

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        # With t = tanh(softplus(z)): f' = t + z (1 - t²) logistic(z)
        t = xp.tanh(softplus(xp, z))
        return delta * (logistic(xp, z) * z * (1.0 - t * t) + t)


class Softplus(Activation):
    """``log(1 + exp(z))`` (Dugas et al., 2001)."""

    def value(self, xp: Any, z: Array) -> Array:
        return softplus(xp, z)

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        return delta * logistic(xp, z)


def logistic(xp: Any, z: Array) -> Array:
    """Return ``1 / (1 + exp(-z))``; where exp overflows to infinity the result is the limit, 0."""
    # Not negative: NumPy 2.4.6 gets it wrong for every fourth float32 of an array.
    return 1.0 / (xp.exp(z * -1.0) + 1.0)


def softplus(xp: Any, z: Array) -> Array:
    """Return ``log(1 + exp(z))`` as ``max(z, 0) + log1p(exp(-|z|))``, which cannot overflow."""
    return xp.maximum(z, 0.0) + softplus_tail(xp, z)


def softplus_tail(xp: Any, z: Array) -> Array:
    """Return ``log1p(exp(-|z|))``."""
    return xp.log1p(xp.exp(xp.abs(z) * -1.0))


def normal_cdf(xp: Any, z: Array) -> Array:
    """Return the distribution function of the standard normal."""
    return (xp.erf(z * math.sqrt(0.5)) + 1.0) * 0.5


def one_where_positive(xp: Any, a: Array) -> Array:
    """Return 1 where `a` is positive and 0 elsewhere, as floats."""
    return xp.maximum(xp.sign(a), 0.0)
