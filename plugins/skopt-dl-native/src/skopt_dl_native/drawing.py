"""Orders and random bits of many steps in one call: those of NumPy's default generator, in C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from struct import Struct
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.programs import Draw, DrawnBits, DrawnOrder, HostWrites
from skopt_dl_native._interpreter import BITS, ONES, ORDER, address, draw

# A state as C has it: a number and an increment of 128 bits, whether half a word is left, and that.
_STATE = Struct("=16s16sII")


class Where(NamedTuple):
    """What is written of an array, and when.

    Attributes
    ----------
    addresses : callable
        ``addresses(number)`` is where the rows of an array are.
    places : list of int
        Of the calls of one time that write.
    positions : list of int
        Of the tasks that they come before.
    """

    addresses: Callable[[int], np.ndarray]
    places: list[int]
    positions: list[int]


class Drawing:
    """What several calls draw, each time.

    Parameters
    ----------
    wheres : dict of HostWrites to Where
    draws : sequence of sequence of Draw
        Of each.
    """

    def __init__(self, wheres: dict[HostWrites, Where], draws: Sequence[Sequence[Draw]]):
        generators: dict[int, tuple[int, np.random.BitGenerator]] = {}
        self._kept: list[np.ndarray] = []
        # For each call: what C is to know of a draw, but where it goes; which array, and how far
        # from its beginning.
        self._known: list[tuple[Where, np.ndarray, np.ndarray, np.ndarray]] = []
        for (write, where), own in zip(wheres.items(), draws, strict=True):
            strides = np.array([array.strides[0] for array in write.arrays])
            numbers, models = np.array([(each.array, each.model) for each in own]).T
            records = np.zeros((len(own), 5), np.int64)
            for record, each in zip(records, own, strict=True):
                if each.generator is not None:
                    bits = each.generator.bit_generator
                    record[1], _ = generators.setdefault(id(bits), (len(generators), bits))
                record[0] = self._kind(each)
                record[3] = write.arrays[each.array][each.model].size
                record[4] = each.level if isinstance(each, DrawnBits) else self._rows(each)
            self._known.append((where, records, numbers, strides[numbers] * models))
        self._generators = [bits for _, bits in generators.values()]
        self._records = np.empty((0, 5), np.int64)
        self._positions = np.empty(0, np.int64)

    @staticmethod
    def _kind(each: Draw) -> int:
        if isinstance(each, DrawnOrder):
            return ORDER
        return ONES if each.generator is None else BITS

    def _rows(self, each: DrawnOrder) -> int:
        """Where the rows are that are put in order; 0 for none."""
        if each.rows is None:
            return 0
        self._kept.append(np.ascontiguousarray(each.rows, np.int64))
        return address(self._kept[-1])

    def make(self, n_times: int, n_tasks: int) -> None:
        """Prepare what is drawn in so many times."""
        records, positions, moments = [], [], []
        times = np.arange(n_times)[:, None]
        n_places = 1 + max(max(where.places) for where, *_ in self._known)
        for where, known, numbers, offsets in self._known:
            n_rows, n_draws = n_times * len(where.places), len(known)
            each = np.tile(known, (n_rows, 1, 1))
            starts = np.array([where.addresses(i)[:n_rows] for i in range(max(numbers) + 1)])
            each[:, :, 2] = starts[numbers].T + offsets
            records.append(each.reshape(-1, 5))
            positions.append((times * n_tasks + where.positions).repeat(n_draws))
            moments.append((times * n_places + where.places).repeat(n_draws))
        together = np.concatenate(records)
        # One generator after the other; of each, what is drawn first.
        order = np.lexsort((np.concatenate(moments), together[:, 1]))
        self._records, self._positions = together[order], np.concatenate(positions)[order]

    def write(self, first: int, last: int) -> None:
        """Draw what comes before these tasks."""
        is_now = (self._positions >= first) & (self._positions < last)
        records = self._records if is_now.all() else self._records[is_now]
        if len(records):
            with ExitStack() as locks:
                for each in sorted(self._generators, key=id):
                    locks.enter_context(each.lock)
                _draw(self._generators, records)


def drawing_of(wheres: dict[HostWrites, Where]) -> Drawing | None:
    """What draws for these calls in C; None where they do something else, or NumPy another way."""
    draws = []
    for write in wheres:
        own = None if write.draws is None else write.draws()
        if own is None or not all(_is_known(each, write.arrays[each.array]) for each in own):
            return None
        draws.append(own)
    return Drawing(wheres, draws) if draws and draws_as_numpy() else None


def _is_known(each: Draw, array: np.ndarray) -> bool:
    """Whether C draws so, from such a generator and to such an array."""
    one = array[0]
    if not one.flags.c_contiguous or one.size >= 1 << 32:
        return False
    if isinstance(each, DrawnOrder) and (each.replace or array.dtype != np.int64):
        return False
    rng = each.generator
    is_plain = type(rng) is np.random.Generator and type(rng.bit_generator) is np.random.PCG64
    return rng is None or is_plain


def _draw(generators: Sequence[np.random.BitGenerator], records: np.ndarray) -> bool:
    known: list[Any] = [each.state for each in generators]
    states = bytearray(b"".join(map(_state_in_c, known)))
    if not draw(states, records):
        return False
    for place, (each, state) in enumerate(zip(generators, known, strict=True)):
        number, _, has_half, half = _STATE.unpack_from(states, place * _STATE.size)
        state["state"]["state"] = int.from_bytes(number, sys.byteorder)
        state["has_uint32"], state["uinteger"] = has_half, half
        each.state = state
    return True


def _state_in_c(state: Any) -> bytes:
    numbers, order = state["state"], sys.byteorder
    both = numbers["state"].to_bytes(16, order), numbers["inc"].to_bytes(16, order)
    return _STATE.pack(*both, state["has_uint32"], state["uinteger"])


@cache
def draws_as_numpy() -> bool:
    """Whether NumPy, which promises no order for all time, shuffles as C does."""
    ours, theirs = (np.random.default_rng(0) for _ in range(2))
    orders = np.empty((2, 99), np.int64)
    known: Any = [[ORDER, 0, address(row), len(row), 0] for row in orders]
    with ours.bit_generator.lock:
        is_done = _draw([ours.bit_generator], np.array(known, np.int64))
    expected = np.tile(np.arange(99), (2, 1))
    for row in expected:
        theirs.shuffle(row)
    is_same = np.array_equal(orders, expected)
    return is_done and is_same and ours.bit_generator.state == theirs.bit_generator.state
