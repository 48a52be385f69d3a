"""Limits to the length of gradients."""

from __future__ import annotations

from typing import Any

from skopt_dl.backends import Backend

Array = Any


def clip_norm(b: Backend, grad: Array, limits: Array) -> None:
    """Scale down, in place, each model's gradient that is longer than its limit.

    Parameters
    ----------
    b : Backend
    grad : array of shape (K, P)
    limits : array of shape (K, 1)
        Infinite where there is no limit.
    """
    xp = b.xp
    norm = xp.sqrt(b.row_dot(grad, grad))[:, None]
    # A norm beyond the precision's range has to be seen as a divergence: 0 times it is no number.
    factor = xp.where(norm > limits, limits / norm + 0.0 * norm, xp.ones_like(norm))
    xp.multiply(grad, factor, out=grad)
