"""The activation."""

from __future__ import annotations

from typing import Any

from skopt_dl.layers import Activation

Array = Any


class SquaredReLU(Activation):
    """The square of what is positive, ``max(z, 0)²`` (So et al., 2021).

    D. So, W. Mańke, H. Liu, Z. Dai, N. Shazeer, Q. Le: "Primer: Searching for Efficient
    Transformers for Language Modeling", 2021, arXiv:2109.08668.

    Examples
    --------
    >>> from skopt_dl import MLPClassifier
    >>> model = MLPClassifier(activation="squared_relu")
    """

    def value(self, xp: Any, z: Array) -> Array:
        positive = xp.relu(z)
        return positive * positive

    def gradient(self, xp: Any, delta: Array, z: Array, a: Array) -> Array:
        return delta * (xp.relu(z) * 2.0)
