from typing import Any

import numpy as np

SLOT_BYTES: int
TILE_BYTES: int
N_SLOTS: int
# What stands for the lowest byte of words about sparse matrices.
OF_ADDRESSES: int
# The vector instructions that were chosen for this processor.
INSTRUCTIONS: str

def use_blas(sgemm: Any, dgemm: Any, /) -> None: ...
def address(array: np.ndarray, /) -> int: ...
def pcg64(numbers: bytearray, words: np.ndarray, /) -> bool: ...
def at_least(words: np.ndarray, first: int, level: int, out: np.ndarray, /) -> None: ...
def check(code: np.ndarray, /) -> None: ...
def run(
    tasks: np.ndarray,
    first: int,
    last: int,
    first_model: int,
    last_model: int,
    scratch: np.ndarray,
    slots: np.ndarray,
    team: Any = ...,
    /,
) -> None: ...
def team(n_threads: int, /) -> Any: ...
def help(team: Any, scratch: np.ndarray, slots: np.ndarray, /) -> None: ...
def dismiss(team: Any, /) -> None: ...
