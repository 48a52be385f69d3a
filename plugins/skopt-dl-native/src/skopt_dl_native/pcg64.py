"""Random words in half the time that NumPy's default generator takes."""

from __future__ import annotations

import numpy as np

from skopt_dl_native._interpreter import pcg64

# Words for which it is worth looking at a generator's state.
WORTH_IT = 4096
HALF = (1 << 64) - 1


def random_words(generator: np.random.BitGenerator, n: int) -> np.ndarray:
    """The next words of a generator, ``(n,)`` of uint64, as its ``random_raw`` would give them."""
    if n >= WORTH_IT and type(generator) is np.random.PCG64:
        with generator.lock:
            state = generator.state
            numbers = state["state"]
            halves = [
                half
                for number in (numbers["state"], numbers["inc"])
                for half in (number & HALF, number >> 64)
            ]
            known, words = np.array(halves, np.uint64), np.empty(n, np.uint64)
            if pcg64(known, words):
                low, high = known[:2].tolist()
                numbers["state"] = high << 64 | low
                generator.state = state
                return words
    return generator.random_raw(n)
