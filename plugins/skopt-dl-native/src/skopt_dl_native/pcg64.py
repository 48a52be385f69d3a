"""Random bits in a fraction of the time that NumPy's default generator takes."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import numpy as np

from skopt_dl_native import _interpreter

# Words for which it is worth looking at a generator's state.
WORTH_IT = 1024


def at_least(
    generator: np.random.BitGenerator, levels: Sequence[int], outs: Sequence[np.ndarray]
) -> bool:
    """Do what `Engine.at_least` does; False where that is left to NumPy, and nothing is drawn.

    What a generator keeps of half a word, as NumPy does for numbers of 32 bits, it keeps.
    """
    n_words = [-(-math.prod(out.shape[1:]) // 4) for out in outs]
    n_steps, n_of_step = len(outs[0]), sum(n_words)
    if n_steps * n_of_step < WORTH_IT or type(generator) is not np.random.PCG64:
        return False
    # The elements of each step have to lie side by side.
    if not all(out[0].flags.c_contiguous for out in outs):
        return False
    words = np.empty((n_steps, n_of_step), np.uint64)
    with generator.lock:
        known = generator.state
        numbers, order = known["state"], sys.byteorder
        both = bytearray(numbers["state"].to_bytes(16, order) + numbers["inc"].to_bytes(16, order))
        if not _interpreter.pcg64(both, words):
            return False
        numbers["state"] = int.from_bytes(both[:16], order)
        generator.state = known
    first = 0
    for level, out, n in zip(levels, outs, n_words, strict=True):
        _interpreter.at_least(words, first, level, out)
        first += n
    return True
