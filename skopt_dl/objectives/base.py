"""What is minimised: a value and a gradient for each model of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.objectives.layout import Layout

Array = Any


class Block(NamedTuple):
    """Consecutive batches that are made ready together.

    Parameters
    ----------
    rows : slice or ndarray of int of shape (U, n_rows)
        Rows used where they lie, by all models; or different selections of them.
    sizes : tuple of int
        Rows of each batch; all but the last are equal.
    orders : tuple of K int or None
        Which of ``rows`` is each model's; None where each has its own, or all have the only one.
    """

    rows: slice | np.ndarray
    sizes: tuple[int, ...]
    orders: tuple[int, ...] | None = None

    @classmethod
    def of_all(cls, n_rows: int) -> Block:
        """All rows, for all models, as one batch."""
        return cls(slice(0, n_rows), (n_rows,))

    @property
    def n_rows(self) -> int:
        return sum(self.sizes)

    @property
    def rows_of_models(self) -> slice | np.ndarray:
        """Each model's rows, ``(K or 1, n_rows)``; a slice where they are used where they lie."""
        if isinstance(self.rows, slice) or self.orders is None:
            return self.rows
        return self.rows[list(self.orders)]

    @property
    def slices(self) -> list[slice]:
        """Where each batch lies in the block."""
        return _one_after_the_other(self.sizes)

    def select(self, models: Sequence[int]) -> Block:
        """The block of some of the models, with the rows of these alone."""
        if isinstance(self.rows, slice) or len(self.rows) == 1:
            return self._replace(orders=None)
        orders = [k if self.orders is None else self.orders[k] for k in models]
        kept = list(dict.fromkeys(orders))
        places = {order: place for place, order in enumerate(kept)}
        is_own = len(kept) in (1, len(orders))
        found = None if is_own else tuple(places[order] for order in orders)
        return Block(self.rows[kept], self.sizes, found)

    def cut(self, part: slice) -> Block:
        """Some of the rows as one batch."""
        n_rows = part.stop - part.start
        if not isinstance(self.rows, slice):
            return Block(self.rows[:, part], (n_rows,), self.orders)
        start = self.rows.start + part.start
        return Block(slice(start, start + n_rows), (n_rows,))


class Prepared(NamedTuple):
    """What is to be computed for the batches of a block, as calls to be made again and again.

    Attributes
    ----------
    opening : list of callable
        Before all else, what reads ``block.rows`` and gathers samples.
    gradients : list of sequence of callable
        For each batch.
    grad : array of shape (K, P)
        What they write, always the same.
    closing : list of callable
        After all of them, what writes the losses.
    losses : array of shape (K, n_batches)
    """

    opening: list[Any]
    gradients: list[Sequence[Any]]
    grad: Array
    closing: list[Any]
    losses: Array


@lru_cache(maxsize=64)
def _one_after_the_other(sizes: tuple[int, ...]) -> list[slice]:
    stops = accumulate(sizes)
    return [slice(stop - size, stop) for stop, size in zip(stops, sizes, strict=True)]


class Objective:
    """A function of K models' parameters, minimised by `skopt_dl.training.minimise`.

    A subclass implements `value_and_grad`; one that has batches implements `load` too.

    Parameters
    ----------
    layout : Layout
        The tensors of one model.
    n_models : int
        K, the rows of ``params``.

    Attributes
    ----------
    n_samples : int
        What a batch of everything holds.
    keeps_draws : bool
        Set by who is going to call `gradient_at`, before `grad`.
    statistics : array of shape (K, S) or None
        What predictions need besides parameters, and evaluations of the gradient change.
    rngs : sequence of numpy.random.Generator
        What evaluations of the gradient draw from.
    """

    n_samples = 1
    keeps_draws = False
    statistics: Array = None
    rngs: Sequence[np.random.Generator] = ()

    def __init__(self, layout: Layout, n_models: int):
        self.layout = layout
        self.n_models = n_models
        self._losses: list[Array] = []

    def prepare(self, params: Array, block: Block) -> Prepared | None:
        """What `load`, `grad` and `losses` do for a block; None where they are to be called.

        Parameters
        ----------
        params : array of shape (K, P)
            Read where they are now, at any time.
        block : Block
            So are its rows.
        """
        return None

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        """Loss and gradient of each model.

        Parameters
        ----------
        params : array of shape (K, P)
        batch : object, default=None
            One of those `load` returned; None means all the data.

        Returns
        -------
        loss : array of shape (K,)
        grad : array of shape (K, P)
            Valid until the next call.
        """
        raise NotImplementedError

    def grad(self, params: Array, batch: Any = None) -> Array:
        """Gradient of each model, ``(K, P)``; `losses` tells the loss it belongs to, later."""
        loss, grad = self.value_and_grad(params, batch)
        self._losses.append(loss)
        return grad

    def gradient_at(self, params: Array, batch: Any) -> Array:
        """The gradient of the last batch at other parameters, ``(K, P)``, until the next call.

        As if `grad` were called for it again: what that has returned, and what `losses` will tell,
        stay as they are. What is random is not drawn a second time, and `statistics` do not change.
        """
        return self.value_and_grad(params, batch)[1]

    def losses(self) -> Array:
        """Losses of the `grad` calls since the last `load`, one for each, ``(n_calls, K)``."""
        losses = backend_of(self._losses[0]).xp.stack(self._losses)
        self._losses.clear()
        return losses

    def load(self, block: Block) -> Sequence[Any]:
        """Make a block of batches ready; without samples, every batch is the whole objective."""
        self._losses.clear()
        return [None] * len(block.sizes)

    def batches_per_block(self, batch_size: int, n_orders: int = 1) -> int:
        """How many batches of this size `load` should be given at a time."""
        return 1

    def select(self, models: Sequence[int]) -> Objective:
        """The same objective for some of its models, which go on when others have stopped."""
        raise NotImplementedError(f"{type(self).__name__} cannot drop models from its stack.")
