"""Large products in tiles, which several threads can share.

Where the tiles lie follows from the shapes alone, and each is one call of BLAS. How many threads
there are changes who computes a tile, and so how long it takes, but not how it is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from functools import lru_cache
from itertools import pairwise
from typing import Any

from skopt_dl.backends._blas import helpers

# Multiplications of a tile, and its rows or columns, at least: to hand one over takes as long as a
# hundred thousand multiplications, and both factors are read once for each tile.
MIN_SIZE = 4_000_000
MIN_WIDTH = 192


@lru_cache(maxsize=1024)
def tiles(n_rows: int, n_inner: int, n_columns: int) -> list[tuple[slice, slice]]:
    """Cut a product, ``(n_rows, n_inner) @ (n_inner, n_columns)``, along its longer side.

    Returns
    -------
    tiles : list of (rows, columns)
        One, of everything, where the product is too small to be worth cutting.
    """
    size, longer = n_rows * n_inner * n_columns, max(n_rows, n_columns)
    number = max(1, min(size // MIN_SIZE, longer // MIN_WIDTH))
    edges = [longer * i // number for i in range(number + 1)]
    parts = [slice(start, stop) for start, stop in pairwise(edges)]
    everything = slice(None)
    if n_rows >= n_columns:
        return [(part, everything) for part in parts]
    return [(everything, part) for part in parts]


class Tiled:
    """A product's tiles, computed by this thread and those that help it.

    Parameters
    ----------
    operations : sequence of callable
        One for each tile.
    """

    def __init__(self, operations: Sequence[Callable[[], Any]]):
        self._operations = operations

    def __call__(self) -> None:
        remaining = iter(self._operations)
        futures: list[Future[None]] = []
        pool = helpers()
        try:
            if pool is not None:
                # As the interpreter ends, threads take no more work.
                with suppress(RuntimeError):
                    for _ in range(min(pool.number, len(self._operations) - 1)):
                        # What floating-point errors are to do belongs to the context.
                        futures.append(pool.submit(copy_context().run, _work, remaining))
            _work(remaining)
        finally:
            wait(futures)
        for future in futures:
            future.result()


def _work(remaining: Iterator[Callable[[], Any]]) -> None:
    for operation in remaining:
        operation()
