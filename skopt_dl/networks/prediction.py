"""The forward pass over any number of samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.networks.backprop import Forward, Workspace
from skopt_dl.networks.network import Network
from skopt_dl.networks.rows import DensePool, DenseRows, SparsePool, SparseRows
from skopt_dl.objectives import Block

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
        A plain one; see `fold`.
    params : array of shape (K, P)
    x : DensePool or SparsePool
        The samples; they pass through the network in parts, to bound the memory.
    rows : ndarray of int, default=None
        Which samples to take; None means all.

    Returns
    -------
    raw : array of shape (K, n_samples, n_outputs)
    """
    n_samples = x.n_rows if rows is None else len(rows)
    raw = b.empty((params.shape[0], n_samples, network.layer_sizes[-1]), like=params)
    for models, part, batch, forward in _passes(b, network, params, x, rows):
        for operation in forward.forward(batch, raw[models, part, :]):
            operation()
    return raw


def hidden_outputs(
    b: Backend, network: Network, params: Array, x: DensePool | SparsePool
) -> list[Array]:
    """Activations of the hidden layers for all samples, one array ``(K, n_samples, n)`` each.

    Parameters are as for `raw_output`; there has to be a hidden layer.
    """
    outputs = [
        b.empty((params.shape[0], x.n_rows, n), like=params) for n in network.layer_sizes[1:-1]
    ]
    for models, part, batch, forward in _passes(b, network, params, x, None):
        for operation in forward.hidden(batch):
            operation()
        for output, values in zip(outputs, forward.outputs, strict=True):
            output[models, part, :] = values
    return outputs


def _passes(
    b: Backend,
    network: Network,
    params: Array,
    x: DensePool | SparsePool,
    rows: np.ndarray | None,
) -> Iterator[tuple[slice, slice, DenseRows | SparseRows, Forward]]:
    """Cut models and samples into parts: which they are, their rows, and the pass bound to them.

    A part has as many samples in a stack as for a model alone: how a product rounds may depend on
    its size. So it is the models that are cut where there are many.
    """
    n_models, widest = params.shape[0], max(network.layer_sizes[1:])
    n_samples = x.n_rows if rows is None else len(rows)
    size = min(n_samples, max(MIN_ROWS, PASS_SIZE // widest))
    n_together = max(1, PASS_SIZE // (size * widest))
    workspace = None
    for first in range(0, n_models, n_together):
        models = slice(first, min(first + n_together, n_models))
        if workspace is None or models.stop - first < n_together:
            workspace = Workspace(b, models.stop - first, size, like=params)
        forward = None
        for start in range(0, n_samples, size):
            n_rows = min(size, n_samples - start)
            if forward is None or n_rows < size:
                forward = Forward(b, network, params[models, :], n_rows, workspace)
            part = slice(start, start + n_rows)
            (batch,) = x.batches(Block(part if rows is None else rows[None, part], (n_rows,)))
            yield models, part, batch, forward
