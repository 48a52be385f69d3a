"""Activation functions of hidden layers, forward and backward, in place.

``forward(b, z, out)`` writes the activation of the pre-activation `z`; ``backward(b, delta, z, a)``
multiplies `delta`, the gradient at the output, by the derivative. Both get the `Backend` `b`.
Where ``keeps_input`` is False the derivative follows from the output `a` alone, `out` is `z`
itself, and `z` is gone when ``backward`` runs. All arrays are ``(K, batch, n)``.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from skopt_dl._params import NOT_NEGATIVE, POSITIVE, Configurable, Constraints
from skopt_dl.backends import Backend

Array = Any


class Activation(Configurable):
    """Base class: an elementwise function with a known derivative.

    Attributes
    ----------
    keeps_input : bool
        Whether ``backward`` reads the pre-activation, which then keeps a buffer of its own.
    glorot_gain : float
        What ``init="glorot_*"`` multiplies the scale by; scikit-learn lowers it for ``logistic``.
    has_kink : bool
        Whether the derivative jumps where the activation is zero.
    """

    keeps_input = False
    glorot_gain = 1.0
    has_kink = False

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        """Write the activation of `z` to `out`."""
        raise NotImplementedError

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        """Multiply `delta` by the derivative, in place."""
        raise NotImplementedError


class Identity(Activation):
    """The identity, ``f(z) = z``."""

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        pass

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        pass


class Logistic(Activation):
    """The logistic sigmoid, ``1 / (1 + exp(-z))``."""

    glorot_gain = math.sqrt(1 / 3)

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        logistic(b.xp, z, out)

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        xp = b.xp
        xp.multiply(delta, a, out=delta)
        xp.multiply(delta, 1.0 - a, out=delta)


class Tanh(Activation):
    """The hyperbolic tangent."""

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        b.xp.tanh(z, out=out)

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        xp = b.xp
        slope = xp.multiply(a, a)
        xp.subtract(1.0, slope, out=slope)
        xp.multiply(delta, slope, out=delta)


class ReLU(Activation):
    """The rectified linear unit, ``max(z, 0)`` (Nair & Hinton, 2010)."""

    has_kink = True

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        b.rectify(z, out)

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        b.rectify_gradient(delta, a)


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

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        xp = b.xp
        negative = xp.minimum(z, 0.0)
        b.rectify(z, out)
        xp.multiply(negative, self.negative_slope, out=negative)
        xp.add(out, negative, out=out)

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        xp = b.xp
        slope = one_where_positive(xp, a)
        xp.multiply(slope, 1.0 - self.negative_slope, out=slope)
        xp.add(slope, self.negative_slope, out=slope)
        xp.multiply(delta, slope, out=delta)


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

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        xp = b.xp
        negative = xp.minimum(z, 0.0)
        xp.expm1(negative, out=negative)
        xp.multiply(negative, self.alpha * self.scale, out=negative)
        b.rectify(z, out)
        if self.scale != 1.0:
            xp.multiply(out, self.scale, out=out)
        xp.add(out, negative, out=out)

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        # Where a > 0 the slope is `scale`; elsewhere it is a + scale * alpha.
        xp = b.xp
        slope = one_where_positive(xp, a)
        xp.multiply(slope, self.scale * (1.0 - self.alpha), out=slope)
        xp.add(slope, self.scale * self.alpha, out=slope)
        xp.add(slope, xp.minimum(a, 0.0), out=slope)
        xp.multiply(delta, slope, out=delta)


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

    keeps_input = True

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        normal_cdf(b, z, out)
        b.xp.multiply(out, z, out=out)

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        xp = b.xp
        slope = xp.multiply(z, z)
        xp.multiply(slope, -0.5, out=slope)
        xp.exp(slope, out=slope)
        xp.multiply(slope, z, out=slope)
        xp.multiply(slope, 1.0 / math.sqrt(2.0 * math.pi), out=slope)
        cdf = xp.empty_like(z)
        normal_cdf(b, z, cdf)
        xp.add(slope, cdf, out=slope)
        xp.multiply(delta, slope, out=delta)


class SiLU(Activation):
    """``z * logistic(z)``, also called swish (Elfwing et al., 2018, arXiv:1702.03118)."""

    keeps_input = True

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        logistic(b.xp, z, out)
        b.xp.multiply(out, z, out=out)

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        # f' = s + z s (1 - s) = s + a (1 - s) = a + s (1 - a)
        xp = b.xp
        slope = xp.empty_like(z)
        logistic(xp, z, slope)
        xp.multiply(slope, 1.0 - a, out=slope)
        xp.add(slope, a, out=slope)
        xp.multiply(delta, slope, out=delta)


class Mish(Activation):
    """``z * tanh(softplus(z))`` (Misra, 2020, arXiv:1908.08681)."""

    keeps_input = True

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        xp = b.xp
        softplus(b, z, out)
        xp.tanh(out, out=out)
        xp.multiply(out, z, out=out)

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        # With t = tanh(softplus(z)): f' = t + z (1 - t²) logistic(z)
        xp = b.xp
        t = xp.empty_like(z)
        softplus(b, z, t)
        xp.tanh(t, out=t)
        slope = xp.empty_like(z)
        logistic(xp, z, slope)
        xp.multiply(slope, z, out=slope)
        xp.multiply(slope, 1.0 - t * t, out=slope)
        xp.add(slope, t, out=slope)
        xp.multiply(delta, slope, out=delta)


class Softplus(Activation):
    """``log(1 + exp(z))`` (Dugas et al., 2001)."""

    keeps_input = True

    def forward(self, b: Backend, z: Array, out: Array) -> None:
        softplus(b, z, out)

    def backward(self, b: Backend, delta: Array, z: Array, a: Array) -> None:
        slope = b.xp.empty_like(z)
        logistic(b.xp, z, slope)
        b.xp.multiply(delta, slope, out=delta)


def logistic(xp: Any, z: Array, out: Array) -> None:
    """Write ``1 / (1 + exp(-z))``; where exp overflows to infinity the result is the limit, 0."""
    # Not negative: NumPy 2.4.6 gets it wrong for every fourth float32 of an array.
    xp.multiply(z, -1.0, out=out)
    xp.exp(out, out=out)
    xp.add(out, 1.0, out=out)
    xp.divide(1.0, out, out=out)


def softplus(b: Backend, z: Array, out: Array) -> None:
    """Write ``log(1 + exp(z))`` as ``max(z, 0) + log1p(exp(-|z|))``, which cannot overflow."""
    b.rectify(z, out)
    b.xp.add(out, softplus_tail(b.xp, z), out=out)


def softplus_tail(xp: Any, z: Array) -> Array:
    """Return ``log1p(exp(-|z|))``."""
    tail = xp.abs(z)
    xp.multiply(tail, -1.0, out=tail)
    xp.exp(tail, out=tail)
    xp.log1p(tail, out=tail)
    return tail


def normal_cdf(b: Backend, z: Array, out: Array) -> None:
    """Write the distribution function of the standard normal."""
    xp = b.xp
    xp.multiply(z, math.sqrt(0.5), out=out)
    b.erf(out, out)
    xp.add(out, 1.0, out=out)
    xp.multiply(out, 0.5, out=out)


def one_where_positive(xp: Any, a: Array) -> Array:
    """Return 1 where `a` is positive and 0 elsewhere, as floats."""
    sign = xp.sign(a)
    xp.maximum(sign, 0.0, out=sign)
    return sign
