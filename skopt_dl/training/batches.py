"""Which samples each model of a stack sees at each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from skopt_dl._params import Options
from skopt_dl.objectives import Block
from skopt_dl.programs import DrawnOrder, HostWrites, write_drawn

SAMPLING = Options(("shuffle", "replacement"))


class Batches:
    """Mini-batches of an epoch, handed out in blocks.

    Parameters
    ----------
    n_samples : int
        Samples of each model.
    batch_size : int
        The last batch of an epoch is shorter where it does not divide `n_samples`.
    shuffle : bool, default=True
        A new order each epoch, drawn from each model's own generator.
    sampling : {"shuffle", "replacement"}, default="shuffle"
        Whether an epoch visits every sample once, or draws each batch independently.
    rngs : sequence of K numpy.random.Generator, default=()
    rows : sequence of K ndarray of int of shape (n_samples,), default=None
        Where each model's samples lie among all; None means that all models have all.
    leaders : sequence of K int, default=None
        The first model, in order, that a model shares all draws with: same generator state, same
        `rows`. Only leaders draw; the generators of others catch up when they leave.
    steps : int, default=None
        Batches in an epoch, which then goes through the samples as often as that takes; None
        means once.

    Raises
    ------
    ValueError
        If `sampling` is something else, or random batches have no generators.
    """

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        *,
        shuffle: bool = True,
        sampling: str = "shuffle",
        rngs: Sequence[np.random.Generator] = (),
        rows: Sequence[np.ndarray] | None = None,
        leaders: Sequence[int] | None = None,
        steps: int | None = None,
    ):
        if not SAMPLING.accepts(sampling):
            raise ValueError(f"sampling of Batches must be {SAMPLING}; got {sampling!r}.")
        self.n_samples = n_samples
        self.batch_size = min(batch_size, n_samples)
        self.rngs = list(rngs)
        self._replace = sampling == "replacement"
        # The order within one batch of all the samples does not matter.
        self._random = self._replace or (shuffle and self.batch_size < n_samples)
        self._rows = rows
        self._steps = steps
        self._leaders = None if leaders is None else list(leaders)
        self._share_out()
        if self._random and not self.rngs:
            raise ValueError(
                "Random batches need rngs, a generator for each model; got none. "
                "Pass them, or shuffle=False."
            )

    @property
    def n_batches(self) -> int:
        """Batches, and so updates, in an epoch."""
        return self._n_in_a_pass if self._steps is None else self._steps

    @cached_property
    def epoch_size(self) -> int:
        """Samples that a model sees in an epoch, each as often as it does."""
        passes, rest = divmod(self.n_batches, self._n_in_a_pass)
        return passes * self.n_samples + min(rest * self.batch_size, self.n_samples)

    @property
    def _n_in_a_pass(self) -> int:
        return -(-self.n_samples // self.batch_size)

    @property
    def n_orders(self) -> int:
        """How many different orders the models go through the samples in."""
        return 1 if self._all_in_order else len(self._drawing)

    @property
    def _all_in_order(self) -> bool:
        return not self._random and self._rows is None

    @property
    def _all_leaders(self) -> Sequence[int]:
        """Each model's leader; without any, it is its own."""
        n_models = len(self.rngs if self._rows is None else self._rows)
        return range(n_models) if self._leaders is None else self._leaders

    def select(self, models: Sequence[int]) -> Batches:
        """The same batches for some of the models; the generators of the others are up to date."""
        kept = object.__new__(Batches)
        kept.__dict__.update(self.__dict__)
        kept.rngs = [self.rngs[k] for k in models] if self.rngs else []
        kept._rows = None if self._rows is None else [self._rows[k] for k in models]
        if self._leaders is not None:
            self._catch_up(set(models))
            remaining = [self._leaders[k] for k in models]
            kept._leaders = [remaining.index(leader) for leader in remaining]
        kept._share_out()
        return kept

    def _share_out(self) -> None:
        """Say who draws orders, and which of these is whose."""
        leaders = self._all_leaders
        self._drawing = sorted(set(leaders))
        self._orders: tuple[int, ...] | None = None
        if len(self._drawing) < len(leaders):
            places = {k: place for place, k in enumerate(self._drawing)}
            self._orders = tuple(places[k] for k in leaders)

    def _catch_up(self, staying: set[int]) -> None:
        """Bring generators to their leader's state, where one of the two leaves."""
        for k, leader in enumerate(self._leaders or []):
            if self._random and k != leader and not {k, leader} <= staying:
                self.rngs[k].bit_generator.state = self.rngs[leader].bit_generator.state

    def generator_state(self, model: int) -> dict[str, Any] | None:
        """The state of a model's generator between two epochs, as if it had drawn itself."""
        if not self.rngs:
            return None
        leader = self._all_leaders[model] if self._random else model
        return dict(self.rngs[leader].bit_generator.state)

    def everything(self) -> Block:
        """All samples as one batch."""
        n = self.n_samples
        return Block(slice(0, n) if self._rows is None else np.stack(self._rows), (n,))

    def epoch(self, batches_per_block: int) -> Iterator[Block]:
        """Draw an epoch and yield it in blocks of so many batches."""
        for each in self.plan(batches_per_block):
            if isinstance(each, HostWrites):
                each()
            else:
                yield each._replace(rows=copy(each.rows))

    def plan(self, batches_per_block: int) -> list[HostWrites | Block]:
        """An epoch: blocks of so many batches, and what draws the order of those that follow.

        The rows of all passes over the samples are in one place.
        """
        n, n_batches = self.n_samples, self.n_batches
        if self._all_in_order and n_batches == 1:
            return [Block(slice(0, n), (n,))]
        # Several batches are gathered even where they lie in order: their buffers, and all that is
        # bound to them, then serve every block.
        rows = [np.arange(n)] if self._rows is None else [self._rows[k] for k in self._drawing]
        order = np.stack(rows).astype(np.intp, copy=False)
        if self._random and self._rows is None and len(self._drawing) > 1:
            order = np.repeat(order, len(self._drawing), axis=0)
        orders = None if self._all_in_order else self._orders
        plan: list[HostWrites | Block] = []
        drawn = self._draws() if self._random else []
        opening = [HostWrites([order], partial(write_drawn, drawn), lambda: drawn)] if drawn else []
        while n_batches > 0:
            plan += opening
            n = min(self.n_samples, self.batch_size * n_batches)
            for start, stop, sizes in _cut(n, self.batch_size, batches_per_block):
                plan.append(Block(order[:, start:stop], sizes, orders))
            n_batches -= self._n_in_a_pass
        return plan

    def _draws(self) -> list[DrawnOrder]:
        """What an order of each who draws is made of."""
        rows = self._rows
        return [
            DrawnOrder(self.rngs[k], 0, place, None if rows is None else rows[k], self._replace)
            for place, k in enumerate(self._drawing)
        ]


@lru_cache(maxsize=64)
def _cut(n: int, size: int, batches_per_block: int) -> list[tuple[int, int, tuple[int, ...]]]:
    """Where the blocks of a pass over so many samples begin and end, and their batches' sizes."""
    length = size * batches_per_block
    edges = [(start, min(start + length, n)) for start in range(0, n, length)]
    return [
        (start, stop, tuple(min(size, stop - first) for first in range(start, stop, size)))
        for start, stop in edges
    ]
