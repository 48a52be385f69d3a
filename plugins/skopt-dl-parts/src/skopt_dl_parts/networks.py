"""The network."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from skopt_dl.layers import Dense, Flatten, Residual
from skopt_dl_parts.activations import SquaredReLU
from skopt_dl_parts.layers import RMSNorm


class PreNorm(BaseEstimator):
    """Residual blocks that normalise first, as in a transformer without attention.

    R. Xiong and others: "On Layer Normalization in the Transformer Architecture", 2020,
    arXiv:2002.04745, with `RMSNorm` and `SquaredReLU`.

    Parameters
    ----------
    n_units : int, default=64
    n_blocks : int, default=2
    expansion : int, default=2
        Units within a block, in those between blocks.

    Examples
    --------
    >>> from skopt_dl import NeuralNetClassifier
    >>> model = NeuralNetClassifier("pre_norm")
    """

    def __init__(self, n_units: int = 64, n_blocks: int = 2, expansion: int = 2):
        self.n_units = n_units
        self.n_blocks = n_blocks
        self.expansion = expansion

    def __call__(self, input_shape: tuple[int, ...], n_outputs: int) -> list[Any]:
        """Return the layers."""
        blocks = [
            Residual(
                [
                    RMSNorm(),
                    Dense(self.expansion * self.n_units),
                    SquaredReLU(),
                    Dense(self.n_units),
                ]
            )
            for _ in range(self.n_blocks)
        ]
        return [Flatten(), Dense(self.n_units), *blocks, RMSNorm(), Dense(n_outputs)]
