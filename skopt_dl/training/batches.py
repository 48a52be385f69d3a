"""Which samples each model of a stack sees at each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from skopt_dl.networks import Block


class Batches:
    """Mini-batches of an epoch, handed out in blocks.

    Parameters
    ----------
    n_samples : int or sequence of K int
        Samples of each model; different numbers have to make equally many batches.
    batch_size : int
        The last batch of an epoch is shorter where it does not divide `n_samples`.
    shuffle : bool, default=True
        A new order each epoch, drawn from each model's own generator.
    sampling : {"shuffle", "replacement"}, default="shuffle"
        Whether an epoch visits every sample once, or draws each batch independently.
    rngs : sequence of K numpy.random.Generator, default=()
    rows : sequence of K ndarray of int of shape (n_samples,), default=None
        Where each model's samples lie among all; None means that all models have all.

    Attributes
    ----------
    n_samples : ndarray of int of shape (K,) or (1,)
    """

    def __init__(
        self,
        n_samples: int | Sequence[int] | np.ndarray,
        batch_size: int,
        *,
        shuffle: bool = True,
        sampling: str = "shuffle",
        rngs: Sequence[np.random.Generator] = (),
        rows: Sequence[np.ndarray] | None = None,
    ):
        self.n_samples = np.atleast_1d(n_samples)
        self._longest = int(self.n_samples.max())
        self.batch_size = min(batch_size, self._longest)
        n_batches = {-(-int(n) // self.batch_size) for n in self.n_samples}
        if len(n_batches) > 1:
            raise ValueError(
                f"n_samples={self.n_samples.tolist()} makes different numbers of batches of "
                f"{self.batch_size}; models of one stack need equally many."
            )
        self.rngs = list(rngs)
        self._replace = sampling == "replacement"
        # The order within one batch of all the samples does not matter.
        self._random = self._replace or (shuffle and self.batch_size < self._longest)
        self._rows = rows
        if self._random and not self.rngs:
            raise ValueError(
                "Random batches need rngs, a generator for each model; got none. "
                "Pass them, or shuffle=False."
            )

    @property
    def n_batches(self) -> int:
        """Batches, and so updates, in an epoch."""
        return -(-self._longest // self.batch_size)

    def select(self, models: Sequence[int]) -> Batches:
        """The same batches for some of the models."""
        kept = object.__new__(Batches)
        kept.__dict__.update(self.__dict__)
        kept.rngs = [self.rngs[k] for k in models] if self.rngs else []
        kept._rows = None if self._rows is None else [self._rows[k] for k in models]
        if len(self.n_samples) > 1:
            kept.n_samples = self.n_samples[list(models)]
            kept._longest = int(kept.n_samples.max())
        return kept

    def everything(self) -> Block:
        """All samples as one batch."""
        n = self._longest
        rows = slice(0, n) if self._rows is None else self._padded(self._rows)
        return Block(rows, (n,), self._counts((0,), (n,)))

    def epoch(self, batches_per_block: int) -> Iterator[Block]:
        """Draw an epoch and yield it in blocks of so many batches."""
        order = self._order()
        size, n = self.batch_size, self._longest
        for start in range(0, n, size * batches_per_block):
            stop = min(start + size * batches_per_block, n)
            firsts = range(start, stop, size)
            sizes = tuple(min(size, stop - first) for first in firsts)
            rows = slice(start, stop) if order is None else order[:, start:stop]
            yield Block(rows, sizes, self._counts(firsts, sizes))

    def _counts(self, firsts: Sequence[int], sizes: Sequence[int]) -> np.ndarray | None:
        """How many rows of each batch each model has; None where all have all of them."""
        if (self.n_samples == self._longest).all():
            return None
        left = self.n_samples[None] - np.array(firsts)[:, None]
        counts = np.minimum(left, np.array(sizes)[:, None])
        return None if (counts == np.array(sizes)[:, None]).all() else counts

    def _padded(self, orders: Sequence[np.ndarray]) -> np.ndarray:
        """Orders of different lengths as one array; what fills up is a copy of the last row."""
        n = self._longest
        full = [
            order if len(order) == n else np.pad(order, (0, n - len(order)), mode="edge")
            for order in orders
        ]
        return np.stack(full) if len(full) > 1 else full[0][None]

    def _order(self) -> np.ndarray | None:
        """Samples in this epoch's order, ``(K or 1, n_samples)``; None for a single batch."""
        if not self._random:
            # Several batches are gathered even so: their buffers, and all that is bound to them,
            # then serve every epoch.
            in_order = None if self.n_batches == 1 else np.arange(self._longest)[None]
            return in_order if self._rows is None else self._padded(self._rows)
        numbers = np.broadcast_to(self.n_samples, len(self.rngs))
        if self._replace:
            drawn = [rng.integers(n, size=n) for rng, n in zip(self.rngs, numbers, strict=True)]
        else:
            drawn = [rng.permutation(n) for rng, n in zip(self.rngs, numbers, strict=True)]
        if self._rows is not None:
            drawn = [rows[order] for rows, order in zip(self._rows, drawn, strict=True)]
        return self._padded(drawn)
