"""The forward pass over any number of samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skopt_dl.backends import Backend, run_all
from skopt_dl.networks.losses import Loss
from skopt_dl.networks.network import Network
from skopt_dl.networks.passes import case_of, prediction_program, value_program
from skopt_dl.networks.rows import DensePool, DenseRows, SparsePool, SparseRows
from skopt_dl.objectives import Block
from skopt_dl.programs import Bound, Memory, engine_of

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
    params : array of shape (K, P + S)
        With the network's statistics, if it has any.
    x : DensePool or SparsePool
        The samples; they pass through the network in parts, to bound the memory.
    rows : ndarray of int, default=None
        Which samples to take; None means all.

    Returns
    -------
    raw : array of shape (K, n_samples, n_outputs)
    """
    n_samples = x.n_rows if rows is None else len(rows)
    raw = b.empty((params.shape[0], n_samples, network.n_outputs), like=params)
    for models, part, batch, binding in _passes(b, network, params, x, rows, hidden=False):
        run_all(binding.calls(x=batch, raw=raw[models, part, :]))
    return raw


def sample_losses(b: Backend, loss: Loss, raw: Array, y: Array) -> Array:
    """The loss of each sample, ``(K, n_samples)``.

    Parameters
    ----------
    b : Backend
    loss : Loss
    raw : array of shape (K, n_samples, n_outputs)
    y : array of shape (K or 1, n_samples, n_outputs)
    """
    program = value_program(loss, raw.shape, y.shape[0], raw.dtype)
    values = b.empty(raw.shape[:2], like=raw)
    arrays = {"raw": raw, "y": y, "value": values}
    run_all(engine_of(b).bind(b, program, arrays, Memory(b, raw)).calls())
    return values


def hidden_outputs(
    b: Backend, network: Network, params: Array, x: DensePool | SparsePool
) -> list[Array]:
    """Results of the activations for all samples, one array ``(K, n_samples, …)`` each.

    Parameters are as for `raw_output`.
    """
    outputs: list[Array] = []
    for models, part, batch, binding in _passes(b, network, params, x, None, hidden=True):
        shapes = [
            buffer.like.shape
            for name, buffer in binding.program.inputs.items()
            if name.startswith("hidden")
        ]
        outputs = outputs or [
            b.empty((params.shape[0], x.n_rows, *shape[2:]), like=params) for shape in shapes
        ]
        places = {f"hidden {i}": each[models, part, ...] for i, each in enumerate(outputs)}
        run_all(binding.calls(x=batch, **places))
    return outputs


def _passes(
    b: Backend,
    network: Network,
    params: Array,
    x: DensePool | SparsePool,
    rows: np.ndarray | None,
    hidden: bool,
) -> Iterator[tuple[slice, slice, DenseRows | SparseRows, Bound]]:
    """Cut models and samples into parts: which they are, their rows, and a program for them.

    A part has as many samples in a stack as for a model alone: how a product rounds may depend on
    its size. So it is the models that are cut where there are many.
    """
    n_models, widest, n_params = params.shape[0], network.n_widest, network.layout.size
    n_samples = x.n_rows if rows is None else len(rows)
    size = min(n_samples, max(MIN_ROWS, PASS_SIZE // widest))
    n_together = max(1, PASS_SIZE // (size * widest))
    engine, memory = engine_of(b), Memory(b, params)
    for first in range(0, n_models, n_together):
        models = slice(first, min(first + n_together, n_models))
        arrays = {"params": params[models, :n_params], "statistics": params[models, n_params:]}
        binding = None
        for start in range(0, n_samples, size):
            n_rows = min(size, n_samples - start)
            part = slice(start, start + n_rows)
            (batch,) = x.batches(Block(part if rows is None else rows[None, part], (n_rows,)))
            if binding is None or n_rows < size:
                case = case_of(network, models.stop - first, n_rows, params.dtype)
                binding = engine.bind(b, prediction_program(case, hidden), arrays, memory)
            yield models, part, batch, binding
