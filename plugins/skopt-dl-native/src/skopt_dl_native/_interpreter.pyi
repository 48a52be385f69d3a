from typing import Any

import numpy as np

SLOT_BYTES: int
TILE_BYTES: int
N_SLOTS: int
# What stands for the lowest byte of words about sparse matrices.
OF_ADDRESSES: int
# Kinds of what is drawn.
ORDER: int
BITS: int
ONES: int
# The vector instructions that were chosen for this processor.
INSTRUCTIONS: str

def use_blas(sgemm: Any, dgemm: Any, /) -> None: ...
def address(array: np.ndarray, /) -> int: ...
def draw(states: bytearray, draws: np.ndarray, /) -> bool: ...
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
    is_done: bytearray | None = ...,
    /,
) -> None: ...
def team(n_threads: int, /) -> Any: ...
def help(team: Any, scratch: np.ndarray, slots: np.ndarray, /) -> None: ...
def dismiss(team: Any, /) -> None: ...
