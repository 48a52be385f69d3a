"""Programs that treat every element alone, run part by part, each part in the processor's cache."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from skopt_dl.backends import Backend
from skopt_dl.programs.engine import Binding, Call, Memory
from skopt_dl.programs.instructions import ELEMENTWISE, Instruction, Operand, Program
from skopt_dl.programs.memory import place
from skopt_dl.programs.values import Array, Buffer, Value, pattern

Shape = tuple[int, ...]

# Arrays of fewer parts stay in a larger cache as they are.
MIN_PARTS = 8


def calls_in_parts(
    b: Backend, program: Program, arrays: Mapping[str, Array], like: Array
) -> list[Call]:
    """Bind a program over arrays ``(K, P)``, cut into parts where it is large and can be cut.

    Results are the same to the last bit, since no element depends on another.

    Parameters
    ----------
    b : Backend
    program : Program
    arrays : dict of str to array
        All inputs of the program, by name.
    like : array of shape (K, P)
        Gives shape, dtype and device of those that are cut.

    Returns
    -------
    calls : list of callable
        To be called one after the other.
    """
    shape = tuple(like.shape)
    n_elements = b.part_bytes // like.dtype.itemsize if b.part_bytes else 0
    is_large = 0 < MIN_PARTS * n_elements < math.prod(shape)
    cut = _cut(program, shape) if is_large else None
    if cut is None:
        return Binding(b, program, arrays, Memory(b, like)).calls()
    head, body = cut
    arrays = dict(arrays)
    for name in head.inputs.keys() - arrays.keys():
        arrays[name] = b.empty(head.inputs[name].like.shape, like=like)
    calls = Binding(b, head, arrays, Memory(b, like)).calls()
    memory = Memory(b, like)
    for part in _parts(shape, n_elements):
        lengths = tuple(each.stop - each.start for each in part)
        pieces = {name: _piece(arrays[name], shape, part) for name in body.inputs}
        calls += Binding(b, _resized(body, shape, lengths), pieces, memory).calls()
    return calls


def _parts(shape: tuple[int, int], n_elements: int) -> Iterator[tuple[slice, slice]]:
    """Whole rows where they are short, else pieces of one: without gaps in memory."""
    n_rows, n_columns = max(1, n_elements // shape[1]), min(shape[1], n_elements)
    for row in range(0, shape[0], n_rows):
        for column in range(0, shape[1], n_columns):
            yield (
                slice(row, min(row + n_rows, shape[0])),
                slice(column, min(column + n_columns, shape[1])),
            )


def _piece(array: Array, shape: Shape, part: tuple[slice, slice]) -> Array:
    if array.ndim < 2:
        return array
    pairs = zip(array.shape, shape, part, strict=True)
    return array[tuple(cut if n == whole else slice(None) for n, whole, cut in pairs)]


@lru_cache(maxsize=256)
def _cut(program: Program, shape: tuple[int, int]) -> tuple[Program, Program] | None:
    """What has to be computed once, of numbers and columns, and what for each element.

    None where elements depend on each other.
    """
    head: list[Instruction] = []
    body: list[Instruction] = []
    read: set[Buffer] = set()
    for each in program.instructions:
        if each.op not in ELEMENTWISE and each.op != "copy":
            return None
        if not all(_is_plain(value, shape) for value in (each.out, *each.values)):
            return None
        if each.out.shape == shape:
            body.append(each)
            read |= {value.buffer for value in each.values}
        elif each.out.buffer in read:
            return None
        else:
            head.append(each)
    results = {each.out.buffer for each in head} & read
    if any(buffer.like.dtype.kind == "b" for buffer in results):
        return None
    named = {
        buffer: Buffer(buffer.like, f"result {number}") if buffer.is_own else buffer
        for number, buffer in enumerate(results)
    }
    return _rewritten(head, named.get), _rewritten(body, named.get)


def _is_plain(value: Value, shape: Shape) -> bool:
    """Whether it is a whole array, a column or a number."""
    if value.buffer.array is not None and value.buffer.like.ndim == 0:
        return True
    return value.is_whole and (
        value.shape in (shape, ()) or (len(value.shape) == 2 and value.shape[1] == 1)
    )


@lru_cache(maxsize=256)
def _resized(program: Program, shape: Shape, part: Shape) -> Program:
    """The program for arrays of another shape."""
    made: dict[Buffer, Buffer] = {}

    def resize(buffer: Buffer) -> Buffer:
        like = buffer.like
        if like.ndim < 2:
            return buffer
        if buffer not in made:
            pairs = zip(like.shape, shape, part, strict=True)
            lengths = [new if n == whole else n for n, whole, new in pairs]
            made[buffer] = Buffer(pattern(lengths, like.dtype), buffer.name, buffer.array)
        return made[buffer]

    return _rewritten(program.instructions, resize)


def _rewritten(
    instructions: Sequence[Instruction], instead: Callable[[Buffer], Buffer | None]
) -> Program:
    """A program with other buffers."""

    def value_of(operand: Operand) -> Any:
        if not isinstance(operand, Value):
            return operand
        buffer = instead(operand.buffer) or operand.buffer
        # A number as an array is broadcast when it is used.
        return Value(buffer)

    new = tuple(
        Instruction(each.op, value_of(each.out), tuple(map(value_of, each.inputs)), each.attributes)
        for each in instructions
    )
    buffers = {value.buffer for each in new for value in (each.out, *each.values)}
    places, n_bytes = place(new)
    return Program(new, {each.name: each for each in buffers if each.name}, places, n_bytes)
