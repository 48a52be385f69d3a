"""Sequences of tokens: what stands for each of them, and for each place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skopt_dl._params import COUNT, Interval
from skopt_dl.layers.base import Array, Layer, Parameter, Pass, Shape

# Whole numbers up to here are floats of single precision.
MAX_TOKENS = 1 << 24


class Embedding(Layer):
    """A vector that is learnt for each token (Bengio et al., 2003).

    Samples are rows of token numbers, ``(length,)``; each becomes the row of a table.

    Parameters
    ----------
    n_tokens : int
        How many different tokens there are; their numbers are ``0 … n_tokens - 1``.
    n_units : int
        Numbers in a vector.

    Examples
    --------
    >>> from skopt_dl.layers import Embedding
    >>> Embedding(1000, 32).output_shape((20,))
    (20, 32)
    """

    constraints = {
        "n_tokens": Interval(1, MAX_TOKENS, "[]", integer=True),
        "n_units": COUNT,
    }

    def __init__(self, n_tokens: int, n_units: int):
        self.n_tokens = n_tokens
        self.n_units = n_units

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        # A matrix for each token: a sample meets one row only, and so its scale is that of one.
        return [Parameter("coefs", (self.n_tokens, 1, self.n_units), "weight")]

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape, self.n_units)

    def check_samples(self, x: Any) -> None:
        if x is None:
            raise ValueError(
                "Embedding takes numbers of tokens; here what other layers have computed comes in. "
                "Put it first: before it, there may be Flatten() and layers that say what they "
                "select."
            )
        values = np.asarray(getattr(x, "data", x) if hasattr(x, "nnz") else x)
        wrong = ~((values >= 0) & (values < self.n_tokens) & (values == np.floor(values)))
        if wrong.any():
            raise ValueError(
                f"Embedding takes numbers of tokens, whole numbers from 0 to {self.n_tokens - 1}; "
                f"X has {values[wrong].flat[0]:g}. Number the tokens (OrdinalEncoder does it), do "
                f"not scale them, or use a larger n_tokens than {self.n_tokens}."
            )

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        xp = run.xp
        table = xp.reshape(tensors.coefs, (-1, self.n_tokens, self.n_units))
        return xp.take(table, xp.astype(x, xp.int64), axis=1)


class PositionalEmbedding(Layer):
    """A vector that is learnt for each place of a sequence, and added to what is there.

    Without it, `Attention` does not know in which order a sequence is (Gehring et al., 2017,
    arXiv:1705.03122). All begin at zero.

    Examples
    --------
    >>> from skopt_dl.layers import PositionalEmbedding
    >>> [each.shape for each in PositionalEmbedding().tensors((20, 32))]
    [(1, 20, 32)]
    """

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        return [Parameter("positions", (1, *shape), "bias")]

    def output_shape(self, shape: Shape) -> Shape:
        check_sequences(self, shape)
        return shape

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        return x + tensors.positions


def check_sequences(layer: Layer, shape: Shape) -> None:
    """Raise ``ValueError`` for samples of a shape that sequences do not have."""
    if len(shape) != 2:
        raise ValueError(
            f"{type(layer).__name__} takes sequences, (length, units); here samples of shape "
            f"{tuple(shape)} come in. Put Embedding(n_tokens, n_units) before it, or give the "
            "estimator input_shape=(length, units)."
        )
