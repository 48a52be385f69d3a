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
    xp.multiply(grad, xp.minimum(limits / norm, 1.0), out=grad)
