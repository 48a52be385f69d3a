"""Programs, bound to arrays, as calls into C."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.backends import Backend, NumPyBackend
from skopt_dl.programs import (
    Binding,
    Bound,
    Buffer,
    HostFunction,
    HostNumbers,
    HostWrites,
    Instruction,
    Memory,
    Program,
    Value,
)
from skopt_dl.programs.instructions import ELEMENTWISE
from skopt_dl.programs.memory import fit
from skopt_dl_native import _interpreter
from skopt_dl_native._interpreter import address
from skopt_dl_native.lowering import Code, Lowering, Unsupported

Call = Callable[[], Any]
Signature = tuple[tuple[str, np.dtype[Any], tuple[int, ...], tuple[int, ...]], ...]


class Segment(NamedTuple):
    """Neighbouring instructions: words for them, a program for NumPy, or what the host writes."""

    code: Code | None = None
    program: Program | None = None
    written: list[Instruction] | None = None


class Plan(NamedTuple):
    """A program in segments, for inputs of one layout.

    Attributes
    ----------
    segments : list of Segment
    n_models : int
    places : dict of Buffer to int
        Where the program's own begin that more than one segment uses: all models of them are in
        memory, as long as a segment lives that uses them.
    n_bytes : int
        What these take.
    """

    segments: list[Segment]
    n_models: int
    places: dict[Buffer, int]
    n_bytes: int


@lru_cache(maxsize=512)
def plan(program: Program, signature: Signature, on_host: frozenset[str]) -> Plan:
    """Part a program into what the interpreter can do and what is left to NumPy.

    Parameters
    ----------
    program : Program
    signature : tuple of (str, dtype, shape, strides)
        Of all inputs that are arrays, or sparse rows: of words about these.
    on_host : frozenset of str
        Inputs that are no arrays; instructions that use them are NumPy's.
    """
    given = {
        program.inputs[name]: np.lib.stride_tricks.as_strided(
            np.empty((), dtype), shape, strides, writeable=False
        )
        for name, dtype, shape, strides in signature
    }
    buffers = {value.buffer for each in program.instructions for value in _values(each)}
    for buffer in buffers:
        if buffer.array is not None and np.ndim(buffer.array):
            given[buffer] = np.asarray(buffer.array)
    # What the host writes waits for nothing: it comes first, and parts nothing.
    instructions = sorted(_in_cache(program), key=lambda each: each.op != "external")
    n_models = max((b.like.shape[0] for b in buffers if b.like.ndim), default=1)
    strangers = {program.inputs[name] for name in on_host}
    hosted = {
        number
        for number, each in enumerate(instructions)
        if any(value.buffer in strangers for value in _values(each))
    }
    while True:
        parts = _parts(instructions, hosted)
        shared = _shared(parts)
        places, n_bytes = fit(shared)
        known = given | {buffer: buffer.like for buffer in shared}
        failed = {
            number
            for number, each in enumerate(instructions)
            if number not in hosted and not _can(each, n_models, known)
        }
        if not failed:
            break
        hosted |= failed
    segments = []
    for native, part in parts:
        if native:
            segments.append(Segment(code=_code(part, n_models, known)))
        elif part[0].op == "external":
            segments.append(Segment(written=part))
        else:
            of_numpy = Program(tuple(part), program.inputs, places, n_bytes, program.scalars)
            segments.append(Segment(program=of_numpy))
    return Plan(segments, n_models, places, n_bytes)


def _in_cache(program: Program) -> list[Instruction]:
    """The instructions, with memory of their own for what is written to inputs that are spent.

    Only where all that is done is done element by element, and so never leaves the cache.
    """
    values = [value for each in program.instructions for value in _values(each)]
    free = program.spent - {value.buffer for value in values if not value.is_whole}
    if not free or any(each.op not in ELEMENTWISE for each in program.instructions):
        return list(program.instructions)
    places: dict[Buffer, Buffer] = {}
    found = []
    for each in program.instructions:
        inputs = [
            _moved(value, places) if isinstance(value, Value) else value for value in each.inputs
        ]
        if each.out.buffer in free:
            places[each.out.buffer] = Buffer(each.out.like)
        found.append(replace(each, out=_moved(each.out, places), inputs=tuple(inputs)))
    return found


def _moved(value: Value, places: Mapping[Buffer, Buffer]) -> Value:
    buffer = places.get(value.buffer)
    return value if buffer is None else Value(buffer)


def _values(instruction: Instruction) -> tuple[Value, ...]:
    return instruction.out, *instruction.values


def _parts(
    instructions: Sequence[Instruction], hosted: set[int]
) -> list[tuple[bool, list[Instruction]]]:
    """Neighbours that the interpreter runs, and those that NumPy or the host does."""

    def kind(pair: tuple[int, Instruction]) -> tuple[bool, bool]:
        return pair[0] not in hosted, pair[1].op == "external"

    return [
        (native, [each for _, each in part])
        for (native, _), part in groupby(enumerate(instructions), key=kind)
    ]


def _shared(
    parts: Sequence[tuple[bool, list[Instruction]]],
) -> dict[Buffer, tuple[int, int, int]]:
    """Own buffers that NumPy works on, or that live in several parts: when, and how large."""
    found: dict[Buffer, tuple[int, int, int]] = {}
    of_numpy: set[Buffer] = set()
    for number, (native, instructions) in enumerate(parts):
        for value in (value for each in instructions for value in _values(each)):
            buffer = value.buffer
            if buffer.is_own:
                born = found.get(buffer, (number,))[0]
                found[buffer] = born, number, buffer.like.size * buffer.like.itemsize
                of_numpy |= set() if native else {buffer}
    return {
        buffer: (born, dies, n_bytes)
        for buffer, (born, dies, n_bytes) in found.items()
        if born != dies or buffer in of_numpy
    }


def _code(
    instructions: Sequence[Instruction], n_models: int, known: Mapping[Buffer, np.ndarray]
) -> Code:
    lowering = Lowering(n_models, known)
    for each in instructions:
        lowering.add(each)
    return lowering.code()


def _can(instruction: Instruction, n_models: int, known: Mapping[Buffer, np.ndarray]) -> bool:
    """Whether the interpreter has words for an instruction."""
    try:
        _code([instruction], n_models, known)
    except Unsupported:
        return False
    return True


_of_thread = threading.local()


def slots() -> np.ndarray:
    """The slots that all tasks of this thread use."""
    if not hasattr(_of_thread, "slots"):
        # From where a cache line begins: vectors would lie across two.
        _of_thread.slots = NumPyBackend().memory(_interpreter.SLOT_BYTES, np.empty(0))
    found: np.ndarray = _of_thread.slots
    return found


def run(
    tasks: np.ndarray,
    first: int,
    last: int,
    first_model: int,
    last_model: int,
    scratch: np.ndarray,
    team: Any = None,
    is_done: bytearray | None = None,
) -> None:
    """Run tasks in C; with a team, others may help.

    What `is_done` has is 1 afterwards, even where this ends with a Ctrl-C that came meanwhile.
    """
    models = first_model, last_model
    _interpreter.run(tasks, first, last, *models, scratch, slots(), team, is_done)


def help_with(team: Any, scratch: np.ndarray) -> None:
    """Help those who run with a team until it is dismissed."""
    _interpreter.help(team, scratch, slots())


class NativeCall:
    """Words and the places that they are run with.

    Attributes
    ----------
    code : Code
    places : ndarray of int64 of shape (n_buffers, 2)
        The address of each buffer, and of the rows that models have in it, or 0.
    n_models : int
    scratch : ndarray
        Memory of one model.
    """

    def __init__(
        self, code: Code, places: np.ndarray, n_models: int, scratch: np.ndarray, kept: list[Any]
    ):
        self.code, self.places, self.n_models, self.scratch = code, places, n_models, scratch
        # What the addresses lead to.
        self._kept = kept

    @cached_property
    def _task(self) -> np.ndarray:
        return np.array([self.code.address, address(self.places)], dtype=np.int64)

    def __call__(self) -> None:
        run(self._task, 0, 1, 0, self.n_models, self.scratch)


class NativeBinding(Bound):
    """A program, bound to arrays; see `skopt_dl.programs.Binding`."""

    def __init__(
        self,
        b: Backend,
        program: Program,
        arrays: Mapping[str, Any],
        memory: Memory,
        host: HostFunction | None = None,
    ):
        self._b, self.program, self._memory = b, program, memory
        self._arrays = {name: arrays[name] for name in program.inputs if name in arrays}
        self._host_function = host
        self._varying = [name for name in program.inputs if name not in self._arrays]
        self._patterns: dict[Any, _Pattern] = {}
        self._host: dict[int, Binding] = {}

    def calls(self, **arrays: Any) -> list[Call]:
        return self.calls_of_each([arrays])[0]

    def calls_of_each(self, batches: Sequence[Mapping[str, Any]]) -> list[list[Call]]:
        first, n_batches = self._given(batches[0]), len(batches)
        if n_batches > 1 and (first.on_host or first.written):
            # No arrays, so not alike.
            return [self.calls(**arrays) for arrays in batches]
        starts = np.array([start for start, _ in first.addresses.values()], np.int64)[None]
        if n_batches > 1:
            second = [start for start, _ in self._given(batches[1]).addresses.values()]
            starts = starts + np.arange(n_batches)[:, None] * (second - starts)
        return self._calls_of_alike(
            batches, first, dict(zip(first.addresses, starts.T, strict=True))
        )

    def _given(self, arrays: Mapping[str, Any]) -> _Inputs:
        return _inputs(self.program, {name: arrays[name] for name in self._varying})

    def _calls_of_alike(
        self,
        batches: Sequence[Mapping[str, Any]],
        given: _Inputs,
        starts: Mapping[str, np.ndarray],
    ) -> list[list[Call]]:
        """The calls of batches that differ in nothing but where their arrays are."""
        key = given.signature, given.on_host
        if key not in self._patterns:
            self._patterns[key] = self._pattern(given)
        pattern, n_batches = self._patterns[key], len(batches)
        found: list[list[Call]] = [[*pattern.written, *given.written] for _ in range(n_batches)]
        for number, (segment, prepared) in enumerate(pattern.segments):
            if segment.code is not None:
                tables = np.repeat(prepared.places[None], n_batches, axis=0)
                for row, name in prepared.varying:
                    tables[:, row, 0], tables[:, row, 1] = starts[name], given.addresses[name][1]
                kept = [prepared.kept, given.kept, batches]
                for calls, places in zip(found, tables, strict=True):
                    calls.append(
                        NativeCall(segment.code, places, pattern.n_models, prepared.scratch, kept)
                    )
            elif segment.written is not None:
                for calls in found:
                    calls.append(prepared)
            elif segment.program is not None:
                if number not in self._host:
                    self._host[number] = Binding(
                        self._b, segment.program, self._arrays, self._memory, self._host_function
                    )
                for calls, arrays in zip(found, batches, strict=True):
                    calls += self._host[number].calls(**arrays)
        return found

    def _pattern(self, given: _Inputs) -> _Pattern:
        """What calls have in common for inputs of one layout."""
        fixed = _inputs(self.program, self._arrays)
        signature, on_host = fixed.signature + given.signature, fixed.on_host | given.on_host
        planned = plan(self.program, signature, on_host)
        block = self._memory.reserve(planned.n_bytes) if planned.places else None
        shared = {
            buffer: _in_block(block, start, buffer) for buffer, start in planned.places.items()
        }
        segments: list[tuple[Segment, Any]] = []
        for segment in planned.segments:
            prepared: Any = None
            if segment.code is not None:
                prepared = self._prepared(segment.code, fixed, shared)
            elif segment.written is not None:
                host = self._host_function
                assert host is not None
                names = [each.attributes["name"] for each in segment.written]
                arrays = [shared[each.out.buffer] for each in segment.written]
                draws = partial(host.draws, names) if hasattr(host, "draws") else None
                prepared = HostWrites(arrays, partial(host, names), draws)
            segments.append((segment, prepared))
        return _Pattern(planned.n_models, segments, fixed.written)

    def _prepared(
        self, code: Code, fixed: _Inputs, shared: Mapping[Buffer, np.ndarray]
    ) -> _Prepared:
        places = np.zeros((len(code.buffers) + 1, 2), dtype=np.int64)
        varying: list[tuple[int, str]] = []
        kept: list[Any] = [fixed.kept]
        for row, buffer in enumerate(code.buffers, 1):
            if buffer.name in fixed.addresses:
                places[row] = fixed.addresses[buffer.name]
            elif buffer.name:
                varying.append((row, buffer.name))
            else:
                array = shared[buffer] if buffer in shared else np.asarray(buffer.array)
                places[row, 0] = address(array)
                kept.append(array)
        scratch = self._memory.scratch("native", (code.n_bytes,), np.dtype(bool))
        return _Prepared(places, varying, scratch, kept)


class _Prepared(NamedTuple):
    """Words with the places that are always the same, and the rows of those that are not."""

    places: np.ndarray
    varying: list[tuple[int, str]]
    scratch: np.ndarray
    kept: list[Any]


class _Pattern(NamedTuple):
    """The segments of a program for inputs of one layout, and what of their calls is known."""

    n_models: int
    segments: list[tuple[Segment, Any]]
    written: list[HostNumbers]


class _Inputs(NamedTuple):
    """Inputs of a program: their layout, which are no arrays, where they are, and themselves.

    What is written are words about sparse rows.
    """

    signature: Signature
    on_host: frozenset[str]
    addresses: dict[str, tuple[int, int]]
    kept: list[Any]
    written: list[HostNumbers]


def _inputs(program: Program, arrays: Mapping[str, Any]) -> _Inputs:
    signature, on_host, addresses, written = [], [], {}, []
    kept: list[Any] = []
    for name, given in arrays.items():
        if type(given) is np.ndarray:
            kept.append(given)
            dtype = program.inputs[name].like.dtype
            signature.append((name, dtype, given.shape, given.strides))
            addresses[name] = address(given), 0
            continue
        if _is_sparse(given, program.inputs[name]):
            words = HostNumbers([np.empty((len(given.blocks), 4), np.int64)], partial(_tell, given))
            written.append(words)
            kept.append(given)
            array, rows = words.arrays[0], None
            dtype = array.dtype
        else:
            dtype = program.inputs[name].like.dtype
            array, rows = _array_of(given, program.inputs[name])
        if array is None:
            on_host.append(name)
            continue
        kept += [array, rows]
        signature.append((name, dtype, _shape(array, rows), array.strides))
        addresses[name] = address(array), 0 if rows is None else address(rows)
    return _Inputs(tuple(signature), frozenset(on_host), addresses, kept, written)


def _is_sparse(given: Any, buffer: Buffer) -> bool:
    """Whether an input is sparse rows that the interpreter can read."""
    blocks: list[Any] | None = getattr(given, "blocks", None)
    return blocks is not None and all(
        getattr(block, "format", None) == "csr" and block.dtype == buffer.like.dtype
        for block in blocks
    )


def _tell(rows: Any, n_steps: int, table: np.ndarray) -> None:
    """Write where the numbers, columns and beginnings of sparse rows are; and an index's bytes."""
    for k, block in enumerate(rows.blocks):
        starts, size = block.indptr, block.indptr.itemsize
        begin = address(starts) + rows.rows.start * size
        table[:, k] = address(block.data), address(block.indices), begin, size


def _in_block(block: Any, start: int, buffer: Buffer) -> np.ndarray:
    like = buffer.like
    return np.ndarray(like.shape, like.dtype, block, offset=start, strides=like.strides)


def _array_of(given: Any, buffer: Buffer) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The array of an input, and which of its rows is which model's where that is not plain."""
    if not hasattr(given, "product"):
        return np.asarray(given), None
    array = getattr(given, "array", None)
    if array is None:
        return None, None
    runs = given._runs
    if not runs:
        return array, None
    rows = np.empty(buffer.like.shape[0], dtype=np.int64)
    for i, run in enumerate(runs):
        rows[run] = i
    return array, rows


def _shape(array: np.ndarray, rows: np.ndarray | None) -> tuple[int, ...]:
    return array.shape if rows is None else (len(rows), *array.shape[1:])
