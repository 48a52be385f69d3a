"""Memory of a program, assigned once: in place where an input dies, else where nothing lives."""

from __future__ import annotations

from collections.abc import Sequence

from skopt_dl.programs.instructions import Instruction
from skopt_dl.programs.values import Buffer, Value

# What vector instructions like the start of an array to be a multiple of.
ALIGNMENT = 64


def place(instructions: Sequence[Instruction]) -> tuple[dict[Buffer, int], int]:
    """Find a place for every buffer that a program has for itself.

    Returns
    -------
    places : dict of Buffer to int
        Where each begins, in bytes.
    n_bytes : int
        What all of them take.
    """
    lives = _lives(instructions)
    shared = _in_place(instructions, lives)
    # Buffers that are one live from the first's birth to the last's end.
    groups: dict[Buffer, tuple[int, int, int]] = {}
    for buffer, (born, dies) in lives.items():
        first = shared.get(buffer, buffer)
        begun = groups[first][0] if first in groups else born
        groups[first] = begun, dies, _n_bytes(first)
    placed: list[tuple[int, int, int, int]] = []
    places: dict[Buffer, int] = {}
    for first, (born, dies, size) in sorted(groups.items(), key=lambda item: -item[1][2]):
        start = 0
        for low, high, begun, ended in sorted(placed):
            if begun <= dies and born <= ended and low < start + size and start < high:
                start = high
        places[first] = start
        placed.append((start, start + size, born, dies))
    n_bytes = max((high for _, high, _, _ in placed), default=0)
    return {buffer: places[shared.get(buffer, buffer)] for buffer in lives}, n_bytes


def _n_bytes(buffer: Buffer) -> int:
    return -(-buffer.like.size * buffer.like.itemsize // ALIGNMENT) * ALIGNMENT


def _lives(instructions: Sequence[Instruction]) -> dict[Buffer, tuple[int, int]]:
    """The first and the last instruction that each of the program's own buffers is in."""
    lives: dict[Buffer, tuple[int, int]] = {}
    for number, instruction in enumerate(instructions):
        for value in (instruction.out, *instruction.values):
            buffer = value.buffer
            if buffer.is_own:
                lives[buffer] = lives.get(buffer, (number, 0))[0], number
    return lives


def _in_place(
    instructions: Sequence[Instruction], lives: dict[Buffer, tuple[int, int]]
) -> dict[Buffer, Buffer]:
    """The buffer whose memory each takes over that is the result of what dies in its making."""
    shared: dict[Buffer, Buffer] = {}
    for number, instruction in enumerate(instructions):
        out = instruction.out
        is_new = out.buffer.is_own and lives[out.buffer][0] == number
        if not is_new or not out.is_whole:
            continue
        replaceable = instruction.replaceable
        for value in replaceable:
            buffer = value.buffer
            same = [each for each in replaceable if each.buffer is buffer]
            if (
                buffer.is_own
                and lives[buffer][1] == number
                and all(_alike(each, out) for each in same)
                and len(same) == sum(each.buffer is buffer for each in instruction.values)
            ):
                shared[out.buffer] = shared.get(value.buffer, value.buffer)
                break
    return shared


def _alike(value: Value, out: Value) -> bool:
    """Whether a value is a whole buffer with the shape, dtype and layout of another."""
    like, other = value.like, out.like
    return (
        value.is_whole
        and like.shape == other.shape
        and like.dtype == other.dtype
        and like.strides == other.strides
    )
