"""Attention (Vaswani et al., 2017, arXiv:1706.03762)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl._params import BOOLEAN, COUNT
from skopt_dl.layers.base import Array, Layer, Parameter, Pass, Shape
from skopt_dl.layers.sequences import check_sequences


class Attention(Layer):
    """Multi-head self-attention: each place of a sequence asks all places for what it needs.

    Samples are sequences, ``(length, units)``, and so is what comes out. Queries, keys and values
    are products with weights, as in the paper, without biases: one of the keys would cancel, and
    one of the values is that of the output.

    Parameters
    ----------
    n_heads : int, default=1
        Units are cut into so many parts, each with an attention of its own.
    causal : bool, default=False
        Whether a place sees only itself and those before it.
    bias : bool, default=True
        Whether the output has biases.

    Examples
    --------
    >>> from skopt_dl.layers import Attention
    >>> Attention(n_heads=4).output_shape((20, 32))
    (20, 32)
    """

    constraints = {
        "n_heads": COUNT,
        "causal": BOOLEAN,
        "bias": BOOLEAN,
    }

    def __init__(self, n_heads: int = 1, causal: bool = False, bias: bool = True):
        self.n_heads = n_heads
        self.causal = causal
        self.bias = bias

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        n = shape[-1]
        weights = [
            Parameter(name, (n, n), "weight") for name in ("queries", "keys", "values", "coefs")
        ]
        return [*weights, Parameter("intercepts", (1, n), "bias")][: 4 + self.bias]

    def output_shape(self, shape: Shape) -> Shape:
        check_sequences(self, shape)
        if shape[-1] % self.n_heads:
            raise ValueError(
                f"Attention has n_heads={self.n_heads}, which does not divide the {shape[-1]} "
                "units that come in."
            )
        return shape

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        xp = run.xp
        n_rows, length, n = x.shape[1:]
        rows = xp.reshape(x, (x.shape[0], n_rows * length, n))

        def heads(weights: Array) -> Array:
            """A product, ``(K, n_rows, n_heads, length, units of a head)``."""
            parts = xp.reshape(
                rows @ weights, (-1, n_rows, length, self.n_heads, n // self.n_heads)
            )
            return xp.permute_dims(parts, (0, 1, 3, 2, 4))

        queries = heads(tensors.queries) * (1.0 / math.sqrt(n // self.n_heads))
        scores = queries @ heads(tensors.keys).mT
        if self.causal:
            later = np.triu(np.full((length, length), -math.inf, dtype=x.dtype), 1)
            scores = scores + later
        seen = _softmax(run, scores) @ heads(tensors.values)
        together = xp.reshape(xp.permute_dims(seen, (0, 1, 3, 2, 4)), (-1, n_rows * length, n))
        product = together @ tensors.coefs
        if self.bias:
            product = product + tensors.intercepts
        return xp.reshape(product, (-1, n_rows, length, n))

    def flops(self, shape: Shape) -> float:
        length, n = shape
        return 2.0 * length * n * (4 * n + 2 * length)


def _softmax(run: Pass, scores: Array) -> Array:
    """Shares that sum to 1 over the last axis; with a derivative that needs nothing else."""
    xp = run.xp

    def forward(scores: Array) -> Array:
        p = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
        return p / xp.sum(p, axis=-1, keepdims=True)

    def backward(delta: Array, p: Array, scores: Array) -> tuple[Array]:
        return (p * (delta - xp.sum(delta * p, axis=-1, keepdims=True)),)

    return run.custom(forward, backward, scores)
