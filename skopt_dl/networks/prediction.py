"""The forward pass over any number of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.networks.backprop import Forward, Workspace
from skopt_dl.networks.network import Network
from skopt_dl.networks.rows import Block, DensePool, SparsePool

Array = Any

# Numbers in the widest layer's activations of one pass, and the fewest samples of one.
PASS_SIZE = 1 << 17
MIN_ROWS = 256


def raw_output(
    b: Backend,
    network: Network,
    params: Array,
    x: DensePool | SparsePool,
    rows: np.ndarray | None = None,
) -> Array:
    """Raw outputs of K models for all samples, before the output activation.

    Parameters
    ----------
    b : Backend
    network : Network
    params : array of shape (K, P)
    x : DensePool or SparsePool
        The samples; they pass through the network in parts, to bound the memory.
    rows : ndarray of int, default=None
        Which samples to take; None means all.

    Returns
    -------
    raw : array of shape (K, n_samples, n_outputs)
    """
    n_models = params.shape[0]
    n_samples = x.n_rows if rows is None else len(rows)
    raw = b.empty((n_models, n_samples, network.layer_sizes[-1]), like=params)
    size = min(n_samples, max(MIN_ROWS, PASS_SIZE // (n_models * max(network.layer_sizes[1:]))))
    workspace = Workspace(b, n_models, size, like=params)
    forward = None
    for start in range(0, n_samples, size):
        n_rows = min(size, n_samples - start)
        if forward is None or n_rows < size:
            forward = Forward(b, network, params, n_rows, workspace)
        part = slice(start, start + n_rows)
        taken = part if rows is None else rows[None, part]
        (batch,) = x.batches(Block(taken, (n_rows,)))
        for operation in forward.forward(batch, raw[:, part, :]):
            operation()
    return raw
