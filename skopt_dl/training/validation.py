"""Loss and score on held-out samples, after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from skopt_dl.backends import Backend
from skopt_dl.networks import (
    Block,
    DensePool,
    ForwardPass,
    Network,
    SampleLosses,
    SparsePool,
    fold,
)
from skopt_dl.networks.prediction import PASS_SIZE

Array = Any
Columns = Mapping[str, np.ndarray]

# Epochs that are validated together.
MOST_TOGETHER = 8


class Validation:
    """The ``validate`` that `minimise` calls, for models that are validated on as many samples.

    Parameters
    ----------
    b : Backend
    network : Network
    x : DensePool or SparsePool
    y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,) or None
        Both of all samples in the pool.
    score : callable
        ``score(raw, params, model)`` of one model's raw outputs, of the weights and biases that
        gave them, and of its number.
    block : Block, default=None
        One batch: which of the samples to validate on, for each of the models its own or the same
        for all; None means all samples.
    """

    def __init__(
        self,
        b: Backend,
        network: Network,
        x: DensePool | SparsePool,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        score: Callable[[np.ndarray, np.ndarray, int], float],
        block: Block | None = None,
    ):
        self._given = b, network, x, y, sample_weight, score, block
        self._b, self._network, self._x, self._y = b, network, x, y
        self._sample_weight, self._score = sample_weight, score
        self._block = block or Block.of_all(x.n_rows)
        # What was validated last, which the next epoch's most often is again.
        self._known: tuple[Array, Sequence[int]] = None, ()
        self._folded: Array = None
        # What several epochs have ended with, and what validates these together.
        self._ends: Array = None
        self._together: Validation | None = None
        self._raw: Any = None
        self._losses: Any = None

    def __call__(
        self, params: Array, models: Sequence[int], places: Sequence[int] | None = None
    ) -> Columns:
        """Return ``validation_loss`` and ``validation_score``, each of shape (K,).

        Parameters
        ----------
        params : array of shape (K, P + S)
        models : sequence of K int
            The numbers that scores are asked for by.
        places : sequence of K int, default=None
            Which of the block's models they are; None means `models`.
        """
        places = list(models if places is None else places)
        return self._columns(self._computed(params, places), models)

    def of_epochs(
        self, ends: Array, models: Sequence[int], places: Sequence[int] | None = None
    ) -> Iterator[Columns]:
        """Yield what `__call__` returns for each of several epochs, one after the other.

        Parameters
        ----------
        ends : array of shape (n_epochs, K, P + S)
            The parameters that each has ended with.
        models, places
            As in `__call__`.
        """
        places, n_models = list(models if places is None else places), len(models)
        # Small networks are computed for some epochs together, as a stack of so many more models.
        size = n_models * self._block.n_rows * self._network.n_widest
        n_together = max(1, min(MOST_TOGETHER, PASS_SIZE // size))
        shape = n_together * n_models, ends.shape[2]
        if self._together is None or self._ends.shape != shape:
            self._ends, self._together = self._b.zeros(shape, like=ends), Validation(*self._given)
        for first in range(0, ends.shape[0], n_together):
            some = ends[first : first + n_together, ...]
            n_rows = some.shape[0] * n_models
            self._ends[:n_rows, :] = self._b.xp.reshape(some, (n_rows, -1))
            computed = self._together._computed(self._ends, places * n_together)
            for start in range(0, n_rows, n_models):
                own = [each[start : start + n_models] for each in computed]
                yield self._columns(own, models)

    def _computed(self, params: Array, places: list[int]) -> list[np.ndarray]:
        """Raw outputs, losses, and parameters, of models at these places."""
        b = self._b
        network, params = fold(b, self._network, params, self._folded)
        self._folded = None if network is self._network else params
        if params is not self._known[0] or places != self._known[1]:
            self._prepare(network, params, places)
        raw, values = self._raw(), self._losses()
        if not self._raw.stays:
            self._known = None, ()
        raw, values, params = b.fetch(raw, values, params)
        return [raw, self._mean(values), params]

    def _columns(self, computed: Sequence[np.ndarray], models: Sequence[int]) -> Columns:
        raw, losses, params = computed
        scores = [self._score(*one) for one in zip(raw, params, models, strict=True)]
        return {"validation_loss": losses, "validation_score": np.array(scores)}

    def _prepare(self, network: Network, params: Array, places: list[int]) -> None:
        # What is there makes room first.
        self._known, self._raw, self._losses = (None, ()), None, None
        block = self._block.select(places)
        # Laid out as losses want it.
        columns = network.n_outputs, params.shape[0], block.n_rows
        raw = self._b.xp.moveaxis(self._b.empty(columns, like=params), 0, -1)
        self._raw = ForwardPass(self._b, network, params, self._x, block, raw)
        y = self._b.asarray(_of_block(self._y, block), dtype=raw.dtype)
        self._losses = SampleLosses(self._b, network.loss, raw, y)
        self._mean: Callable[..., Any] = _mean
        if self._sample_weight is not None:
            weight = np.broadcast_to(_of_block(self._sample_weight, block), raw.shape[:2])
            self._mean = partial(np.average, axis=1, weights=weight)
        self._known = params, places


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean of each row, in a fifth of the time that ``np.mean`` takes for a short one."""
    means: np.ndarray = np.add.reduce(values, axis=1) / values.shape[1]
    return means


def _of_block(array: np.ndarray, block: Block) -> np.ndarray:
    """The rows of a block's models, ``(K or 1, n_rows, ...)``."""
    rows = block.rows_of_models
    return array[None, rows] if isinstance(rows, slice) else array[rows]
