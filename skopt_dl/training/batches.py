"""Which samples each model of a stack sees at each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from skopt_dl.networks import Block


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
    rows : ndarray of int of shape (K, n_samples), default=None
        Where each model's samples lie among all; None means that all models have all.
    """

    def __init__(
        self,
        n_samples: int,
        batch_size: int,
        *,
        shuffle: bool = True,
        sampling: str = "shuffle",
        rngs: Sequence[np.random.Generator] = (),
        rows: np.ndarray | None = None,
    ):
        self.n_samples = n_samples
        self.batch_size = min(batch_size, n_samples)
        self.rngs = list(rngs)
        self._replace = sampling == "replacement"
        # The order within one batch of all the samples does not matter.
        self._random = self._replace or (shuffle and self.batch_size < n_samples)
        self._rows = rows
        if self._random and not self.rngs:
            raise ValueError(
                "Random batches need rngs, a generator for each model; got none. "
                "Pass them, or shuffle=False."
            )

    @property
    def n_batches(self) -> int:
        """Batches, and so updates, in an epoch."""
        return -(-self.n_samples // self.batch_size)

    def select(self, models: Sequence[int]) -> Batches:
        """The same batches for some of the models."""
        kept = object.__new__(Batches)
        kept.__dict__.update(self.__dict__)
        kept.rngs = [self.rngs[k] for k in models] if self.rngs else []
        kept._rows = None if self._rows is None else self._rows[list(models)]
        return kept

    def everything(self) -> Block:
        """All samples as one batch."""
        rows = slice(0, self.n_samples) if self._rows is None else self._rows
        return Block(rows, (self.n_samples,))

    def epoch(self, batches_per_block: int) -> Iterator[Block]:
        """Draw an epoch and yield it in blocks of so many batches."""
        order = self._order()
        size, n = self.batch_size, self.n_samples
        for start in range(0, n, size * batches_per_block):
            stop = min(start + size * batches_per_block, n)
            sizes = tuple(min(size, stop - first) for first in range(start, stop, size))
            rows = slice(start, stop) if order is None else order[:, start:stop]
            yield Block(rows, sizes)

    def _order(self) -> np.ndarray | None:
        """Samples in this epoch's order, ``(K or 1, n_samples)``; None for a single batch."""
        n = self.n_samples
        if not self._random:
            # Several batches are gathered even so: their buffers, and all that is bound to them,
            # then serve every epoch.
            in_order = None if self.n_batches == 1 else np.arange(n)[None]
            return in_order if self._rows is None else self._rows
        if self._replace:
            drawn = [rng.integers(n, size=n) for rng in self.rngs]
        else:
            drawn = [rng.permutation(n) for rng in self.rngs]
        if self._rows is not None:
            drawn = [rows[order] for rows, order in zip(self._rows, drawn, strict=True)]
        return np.stack(drawn) if len(drawn) > 1 else drawn[0][None]
