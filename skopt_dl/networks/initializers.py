"""Initial weights.

An initializer draws one weight matrix; biases start at zero. Values are drawn on the host in
float64, so that they do not depend on the device or on the precision of the training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl._params import POSITIVE, Configurable
from skopt_dl.objectives import Layout


class Initializer(Configurable):
    """Base class: draws ``(n_in, n_out)`` float64 weights from a generator."""

    def draw(
        self, rng: np.random.Generator, n_in: int, n_out: int, gain: float = 1.0
    ) -> np.ndarray:
        """Return ``(n_in, n_out)`` float64 weights; `gain` is the activation's Glorot gain."""
        raise NotImplementedError

    def fill(
        self, layout: Layout, row: np.ndarray, rng: np.random.Generator, gains: Sequence[float]
    ) -> None:
        """Write the initial parameters of one model to `row`, ``(P,)``."""
        row[...] = 0.0
        weights = [spec for spec in layout.specs if spec.role not in ("bias", "norm")]
        for spec, gain in zip(weights, gains, strict=True):
            # More axes are those of a stack of matrices, such as the groups of a convolution.
            *_, n_in, n_out = spec.shape
            part = row[spec.offset : spec.offset + spec.size]
            for matrix in part.reshape(-1, n_in, n_out):
                matrix[...] = self.draw(rng, n_in, n_out, gain)


class _Scaled(Initializer):
    """Weights whose variance depends on the number of inputs and outputs."""

    distribution = "uniform"

    def variance(self, n_in: int, n_out: int, gain: float) -> float:
        raise NotImplementedError

    def draw(
        self, rng: np.random.Generator, n_in: int, n_out: int, gain: float = 1.0
    ) -> np.ndarray:
        deviation = math.sqrt(self.variance(n_in, n_out, gain))
        if self.distribution == "normal":
            return rng.normal(0.0, deviation, (n_in, n_out))
        bound = math.sqrt(3.0) * deviation
        return rng.uniform(-bound, bound, (n_in, n_out))


class GlorotUniform(_Scaled):
    """Variance ``2 / (n_in + n_out)``, uniform (Glorot & Bengio, 2010)."""

    def variance(self, n_in: int, n_out: int, gain: float) -> float:
        return gain**2 * 2.0 / (n_in + n_out)


class GlorotNormal(GlorotUniform):
    """Variance ``2 / (n_in + n_out)``, normal (Glorot & Bengio, 2010)."""

    distribution = "normal"


class HeUniform(_Scaled):
    """Variance ``2 / n_in``, uniform, for ReLU (He et al., 2015, arXiv:1502.01852)."""

    def variance(self, n_in: int, n_out: int, gain: float) -> float:
        return 2.0 / n_in


class HeNormal(HeUniform):
    """Variance ``2 / n_in``, normal, for ReLU (He et al., 2015, arXiv:1502.01852)."""

    distribution = "normal"


class LecunUniform(_Scaled):
    """Variance ``1 / n_in``, uniform (LeCun et al., 1998); for SELU."""

    def variance(self, n_in: int, n_out: int, gain: float) -> float:
        return 1.0 / n_in


class LecunNormal(LecunUniform):
    """Variance ``1 / n_in``, normal (LeCun et al., 1998); for SELU."""

    distribution = "normal"


# Multiplications of a QR decomposition that are worth the wait: a minute or two.
MAX_ORTHOGONAL = 2e12


class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns (Saxe et al., 2014, arXiv:1312.6120).

    Not for layers of ten thousand units: it takes a QR decomposition.
    """

    def draw(
        self, rng: np.random.Generator, n_in: int, n_out: int, gain: float = 1.0
    ) -> np.ndarray:
        if max(n_in, n_out) * min(n_in, n_out) ** 2 > MAX_ORTHOGONAL:
            raise ValueError(
                f"init='orthogonal' takes a QR decomposition of {n_in} × {n_out} weights: too long "
                "for layers that large. Use smaller hidden_layer_sizes, or 'glorot_normal' or "
                "'he_normal', whose rows are nearly orthogonal at that size."
            )
        tall = rng.normal(size=(max(n_in, n_out), min(n_in, n_out)))
        q, r = np.linalg.qr(tall)
        # The signs of R's diagonal make the distribution uniform over orthogonal matrices.
        q *= np.sign(np.diag(r))
        return q if n_in >= n_out else q.T


class Uniform(Initializer):
    """Uniform between ``-scale`` and ``scale``.

    Parameters
    ----------
    scale : float, default=0.05
    """

    constraints = {"scale": POSITIVE}

    def __init__(self, scale: float = 0.05):
        self.scale = scale

    def draw(
        self, rng: np.random.Generator, n_in: int, n_out: int, gain: float = 1.0
    ) -> np.ndarray:
        return rng.uniform(-self.scale, self.scale, (n_in, n_out))


class Normal(Initializer):
    """Normal with standard deviation `scale`.

    Parameters
    ----------
    scale : float, default=0.05
    """

    constraints = {"scale": POSITIVE}

    def __init__(self, scale: float = 0.05):
        self.scale = scale

    def draw(
        self, rng: np.random.Generator, n_in: int, n_out: int, gain: float = 1.0
    ) -> np.ndarray:
        return rng.normal(0.0, self.scale, (n_in, n_out))


class Zeros(Initializer):
    """All zeros: for models without hidden layers; hidden units would stay equal to each other."""

    def draw(
        self, rng: np.random.Generator, n_in: int, n_out: int, gain: float = 1.0
    ) -> np.ndarray:
        return np.zeros((n_in, n_out))


class FromFitted(Initializer):
    """The weights of a fitted model with ``coefs_`` and ``intercepts_``, scikit-learn's included.

    Parameters
    ----------
    estimator : fitted MLPClassifier or MLPRegressor
    """

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def __sklearn_clone__(self) -> FromFitted:
        # clone would otherwise clone the estimator too, and lose its weights
        return FromFitted(self.estimator)

    def check_params(self) -> None:
        super().check_params()
        model = self.estimator
        if not (hasattr(model, "coefs_") and hasattr(model, "intercepts_")):
            raise ValueError(
                f"init=FromFitted(...) needs a fitted model with coefs_ and intercepts_; {model!r} "
                "has none. Call its fit first."
            )

    def fill(
        self, layout: Layout, row: np.ndarray, rng: np.random.Generator, gains: Sequence[float]
    ) -> None:
        source = [*self.estimator.coefs_, *self.estimator.intercepts_]
        row[...] = 0.0
        tensors = [t for t in layout.tensors(row[None]) if t.role != "norm"]
        needed = [t.array.shape[1:] if t.role != "bias" else t.array.shape[2:] for t in tensors]
        given = [w.shape for w in source]
        if needed != given:
            raise ValueError(
                f"init={type(self.estimator).__name__}(...) has weights of shapes {given}; this "
                f"model needs {needed}. Use the same hidden_layer_sizes, features and targets."
            )
        for tensor, weights in zip(tensors, source, strict=True):
            tensor.array[0] = weights
