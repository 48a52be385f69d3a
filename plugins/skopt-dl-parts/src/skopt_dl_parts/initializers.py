"""The initializer."""

from __future__ import annotations

import numpy as np

from skopt_dl.networks import Initializer
from skopt_dl.plugins.constraints import POSITIVE


class TruncatedNormal(Initializer):
    """Normal weights without those beyond two deviations, as BERT and ViT begin with.

    J. Devlin, M.-W. Chang, K. Lee, K. Toutanova: "BERT: Pre-training of Deep Bidirectional
    Transformers for Language Understanding", 2019, arXiv:1810.04805.

    Parameters
    ----------
    scale : float, default=0.02
        The deviation of the normal distribution before the cut; after it, there remain 88 %.

    Examples
    --------
    >>> from skopt_dl import MLPClassifier
    >>> from skopt_dl_parts.initializers import TruncatedNormal
    >>> model = MLPClassifier(init=TruncatedNormal(scale=0.1))
    """

    constraints = {"scale": POSITIVE}

    def __init__(self, scale: float = 0.02):
        self.scale = scale

    def draw(
        self, rng: np.random.Generator, n_in: int, n_out: int, gain: float = 1.0
    ) -> np.ndarray:
        weights = rng.normal(size=(n_in, n_out))
        while (far := np.abs(weights) > 2.0).any():
            weights[far] = rng.normal(size=int(far.sum()))
        return weights * self.scale
