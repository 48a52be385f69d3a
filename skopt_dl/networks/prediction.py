"""The forward pass over any number of samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from skopt_dl.backends import Backend, run_all
from skopt_dl.networks.losses import Loss
from skopt_dl.networks.network import Network
from skopt_dl.networks.passes import case_of, prediction_program, value_program
from skopt_dl.networks.pools import DensePool, SparsePool
from skopt_dl.networks.rows import DenseRows, SparseRows
from skopt_dl.objectives import Block
from skopt_dl.programs import Bound, Memory, engine_of
from skopt_dl.programs.engine import Call

Array = Any

# Numbers in the widest layer's activations of one pass, and the fewest samples of one.
PASS_SIZE = 1 << 17
MIN_ROWS = 256


class ForwardPass:
    """Raw outputs of K models for the same samples, as often as they are asked for.

    Parameters
    ----------
    b : Backend
    network : Network
    params : array of shape (K, P + S)
        Read anew each time; with the network's statistics, if it has any.
    x : DensePool or SparsePool
        The samples; they pass through the network in parts, to bound the memory.
    block : Block, default=None
        One batch: which samples to take, for each model its own or the same for all; None means
        all samples.
    raw : array of shape (K, n_samples, n_outputs), default=None
        Written each time; None means a new one.

    Attributes
    ----------
    raw : array of shape (K, n_samples, n_outputs)
        What the network returns, before the output activation.
    """

    def __init__(
        self,
        b: Backend,
        network: Network,
        params: Array,
        x: DensePool | SparsePool,
        block: Block | None = None,
        raw: Array | None = None,
    ):
        block = block or Block.of_all(x.n_rows)
        self._given = b, network, params, x, block
        if raw is None:
            raw = b.empty((params.shape[0], block.n_rows, network.n_outputs), like=params)
        self.raw = raw
        # The calls of a pass in one part: its samples stay where they are.
        self._calls: Sequence[Call] = ()

    @property
    def stays(self) -> bool:
        """Whether the next call finds all as it was: samples that pass in one part."""
        return bool(self._calls)

    def __call__(self) -> Array:
        """Write `raw`, and return it."""
        if self._calls:
            run_all(self._calls)
            return self.raw
        for models, part, batch, binding in _passes(*self._given, hidden=False):
            raw = self.raw[models, part, :]
            calls = binding.calls(x=batch, raw=raw)
            run_all(calls)
        if raw.shape == self.raw.shape:
            self._calls = calls
        return self.raw


def raw_output(b: Backend, network: Network, params: Array, x: DensePool | SparsePool) -> Array:
    """Raw outputs, ``(K, n_samples, n_outputs)``; parameters are those of `ForwardPass`."""
    return ForwardPass(b, network, params, x)()


class SampleLosses:
    """The loss of each sample, as often as it is asked for.

    Parameters
    ----------
    b : Backend
    loss : Loss
    raw : array of shape (K, n_samples, n_outputs)
        Read anew each time.
    y : array of shape (K or 1, n_samples, n_outputs)

    Attributes
    ----------
    values : array of shape (K, n_samples)
    """

    def __init__(self, b: Backend, loss: Loss, raw: Array, y: Array):
        program = value_program(loss, raw.shape, y.shape[0], raw.dtype)
        self.values = b.empty(raw.shape[:2], like=raw)
        arrays = {"raw": raw, "y": y, "value": self.values}
        self._calls = engine_of(b).bind(b, program, arrays, Memory(b, raw)).calls()

    def __call__(self) -> Array:
        """Write `values`, and return them."""
        run_all(self._calls)
        return self.values


def hidden_outputs(
    b: Backend, network: Network, params: Array, x: DensePool | SparsePool
) -> list[Array]:
    """Results of the activations for all samples, one array ``(K, n_samples, …)`` each.

    Parameters are those of `ForwardPass`.
    """
    outputs: list[Array] = []
    block = Block.of_all(x.n_rows)
    for models, part, batch, binding in _passes(b, network, params, x, block, hidden=True):
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
    block: Block,
    hidden: bool,
) -> Iterator[tuple[slice, slice, DenseRows | SparseRows, Bound]]:
    """Cut models and samples into parts: which they are, their rows, and a program for them.

    A part has as many samples in a stack as for a model alone: how a product rounds may depend on
    its size. So it is the models that are cut where there are many.
    """
    n_models, widest, n_params = params.shape[0], network.n_widest, network.layout.size
    n_samples = block.n_rows
    size = min(n_samples, max(MIN_ROWS, PASS_SIZE // widest))
    n_together = max(1, PASS_SIZE // (size * widest))
    engine, memory = engine_of(b), Memory(b, params)
    for first in range(0, n_models, n_together):
        models = slice(first, min(first + n_together, n_models))
        n, of_models = models.stop - first, block.select(range(*models.indices(n_models)))
        arrays = {"params": params[models, :n_params], "statistics": params[models, n_params:]}
        binding = None
        for start in range(0, n_samples, size):
            part = slice(start, min(start + size, n_samples))
            (batch,) = x.batches(of_models.cut(part))
            n_rows = part.stop - start
            if binding is None or n_rows < size:
                case = case_of(network, n, n_rows, params.dtype, x_models=batch.n_models(n))
                binding = engine.bind(b, prediction_program(case, hidden), arrays, memory)
            yield models, part, batch, binding
