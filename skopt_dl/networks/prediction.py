"""The forward pass over any number of samples."""

from __future__ import annotations

from typing import Any

from skopt_dl.backends import Backend
from skopt_dl.networks.backprop import Forward, Workspace
from skopt_dl.networks.network import Network
from skopt_dl.networks.rows import Block, DensePool, SparsePool

Array = Any

# Numbers in the widest layer's activations of one pass: a few megabytes.
PASS_SIZE = 1 << 20


def raw_output(b: Backend, network: Network, params: Array, x: DensePool | SparsePool) -> Array:
    """Raw outputs of K models for all samples, before the output activation.

    Parameters
    ----------
    b : Backend
    network : Network
    params : array of shape (K, P)
    x : DensePool or SparsePool
        The samples; they pass through the network in parts, to bound the memory.

    Returns
    -------
    raw : array of shape (K, n_samples, n_outputs)
    """
    n_models, n_samples = params.shape[0], x.n_rows
    raw = b.empty((n_models, n_samples, network.layer_sizes[-1]), like=params)
    size = min(n_samples, max(256, PASS_SIZE // (n_models * max(network.layer_sizes[1:]))))
    workspace = Workspace(b, n_models, size, like=params)
    forward = None
    for start in range(0, n_samples, size):
        n_rows = min(size, n_samples - start)
        if forward is None or n_rows < size:
            forward = Forward(b, network, params, n_rows, workspace)
        part = slice(start, start + n_rows)
        (rows,) = x.batches(Block(part, (n_rows,)))
        for operation in forward.forward(rows, raw[:, part, :]):
            operation()
    return raw
