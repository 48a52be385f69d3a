"""Words that are no program are refused, or do nothing to memory that is not theirs."""

import importlib.util
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pytest
from skopt_dl_native import _interpreter
from skopt_dl_native import words as w
from skopt_dl_native.binding import NativeCall
from skopt_dl_native.engine import NativeEngine

TOOLS = Path(__file__).parent.parent / "tools"
HEADER, AROUND = 5, 256
N_PROGRAMS = 120
F32, F64, BOOL, I64 = range(4)


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = loaded("fuzz")


class RefusedError(ValueError):
    """What is no program."""


def run(words, most_bytes=1 << 18, most_work=1 << 20):
    """Run words, if they are a program, in buffers that are as large as they say.

    Returns whether they ran: not where they take more memory or time than a test has.
    """
    words = np.array(words, dtype=np.int64)
    try:
        _interpreter.check(words)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    n_models, n_buffers, n_scratch = (int(each) for each in words[1:4])
    limits = words[HEADER : HEADER + 2 * n_buffers].reshape(-1, 2).tolist()
    sizes = [max(0, high) - min(0, low) for low, high in limits]
    if max(n_scratch, *sizes) > most_bytes or work(words) * n_models > most_work:
        return False
    places = np.zeros((n_buffers, 2), np.int64)
    kept = []
    for number, ((low, _), size) in enumerate(zip(limits, sizes, strict=True)):
        # What addresses are counted from is a multiple of what elements take.
        begin = AROUND + min(0, low) % 8
        memory = np.full(begin + size + AROUND, 0xA5, np.uint8)
        memory[begin : begin + size] = 0
        kept.append((memory, begin, size))
        places[number, 0] = memory.ctypes.data + begin - min(0, low)
    # A multiple of what words take.
    size = -(-n_scratch // 8) * 8
    scratch = np.full(size + AROUND, 0xA5, np.uint8)
    slots = np.full(_interpreter.SLOT_BYTES + AROUND, 0xA5, np.uint8)
    task = np.array([words.ctypes.data, places.ctypes.data], np.int64)
    before = words.copy()
    # An index out of range is found when it is read.
    with suppress(IndexError):
        _interpreter.run(task, 0, 1, 0, n_models, scratch[:-AROUND], slots[:-AROUND])
    np.testing.assert_array_equal(words, before)
    own = [(each, 0, len(each) - AROUND) for each in (scratch, slots)]
    for memory, begin, size in [*kept, *own]:
        assert (memory[:begin] == 0xA5).all(), "bytes before a buffer were written"
        assert (memory[begin + size :] == 0xA5).all(), "bytes after a buffer were written"
    return True


def instructions(words):
    """Each instruction's words."""
    place = HEADER + 2 * int(words[2])
    for _ in range(int(words[4])):
        length = int(words[place + 1])
        yield words[place : place + length].tolist()
        place += length


def work(words):
    """Elements that a program goes through."""
    total = 0
    for op, _, *rest in instructions(words):
        if op == w.RUN:
            total += product(rest[1 : 1 + rest[0]]) * rest[3 + rest[0]]
        elif op == w.REDUCE:
            total += product(rest[4 : 4 + rest[2] + rest[3]])
        elif op == w.MATMUL:
            total += product(rest[2 : 5 + rest[1]])
        elif op in (w.TAKE, w.ADD_AT):
            total += (rest[1] + rest[3]) * rest[2]
        else:
            n = rest[1]
            g = rest[2 + n : 16 + n]
            total += product([*rest[2 : 2 + n], g[0], *g[3:6], *g[10:13]])
    return total


def product(numbers):
    found = 1
    for each in numbers:
        found *= each
    return found


@cache
def codes():
    """Words of random programs, of all instructions."""
    found = []
    for seed in range(N_PROGRAMS):
        maker = fuzz.Maker(Random(seed), 2)
        given = {name: each.array for name, each in maker.arrays.items()}
        memory = fuzz.Filled(fuzz.NumPyBackend(), np.empty((1, 1)))
        calls = NativeEngine().bind(fuzz.NumPyBackend(), maker.program, given, memory).calls()
        found += [each.code.words for each in calls if isinstance(each, NativeCall)]
    return [each for each in found if work(each) < 1 << 16]


def mutant(random, words):
    """Words with a few of them changed, cut out, or in another place."""
    words = words.tolist()
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        i, j = random.randrange(len(words)), random.randrange(len(words))
        kind = random.random()
        if kind < 0.45:
            words[i] += random.choice((1, -1, 2, -2, 4, -4, 8, -8, 64, -64))
        elif kind < 0.7:
            words[i] = random.choice(
                (
                    0,
                    1,
                    -1,
                    2,
                    3,
                    1 << 20,
                    -(1 << 20),
                    1 << 31,
                    1 << 55,
                    1 << 62,
                    -(1 << 62),
                    (1 << 63) - 1,
                    -(1 << 63),
                )
            )
        elif kind < 0.85:
            words[i], words[j] = words[j], words[i]
        elif kind < 0.95:
            words[i] = words[j]
        else:
            del words[i]
            words[0] -= random.random() < 0.5
    # So that most are no longer than what they say.
    return [max(-(1 << 63), min((1 << 63) - 1, each)) for each in words]


COUNT = int(os.environ.get("SKOPT_DL_MUTANTS", "8000"))


def test_mutated_words_are_refused_or_stay_in_their_buffers():
    random, outcomes = Random(0), {"refused": 0, "ran": 0, "large": 0}
    for _ in range(COUNT):
        try:
            outcomes["ran" if run(mutant(random, random.choice(codes()))) else "large"] += 1
        except RefusedError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > COUNT / 4, outcomes
    assert outcomes["ran"] > COUNT / 50, outcomes


def code(*instruction, buffers=((0, 4096),), n_scratch=0, n_models=1):
    """A program of one instruction."""
    op, *body = instruction
    limits = [0, n_scratch, *(each for pair in buffers for each in pair)]
    words = [n_models, len(buffers) + 1, n_scratch, 1, *limits, op, len(body) + 2, *body]
    return [len(words) + 1, *words]


def operand(*strides, buffer=1, offset=0, models=0):
    return [buffer, offset, models, *strides]


def memory(dtype, *strides, **place):
    return [w.IN_MEMORY, dtype, *operand(*strides, **place)]


def a_run(*registers, steps, lengths=(1, 16), n_slots=0, n_elements=1024, n_registers=None):
    n = len(registers) if n_registers is None else n_registers
    padded = [[*each, *[0] * (5 + len(lengths) - len(each))] for each in registers]
    return [
        w.RUN, len(lengths), *lengths, n, n_slots, len(steps), n_elements,
        *(word for each in (*padded, *steps) for word in each),
    ]  # fmt: skip


NEGATIVE, ADD, WHERE = (w.FUNCTIONS[name] for name in ("negative", "add", "where"))
RELU, RELU_GRADIENT = (w.FUNCTIONS[name] for name in ("relu", "relu_gradient"))
TURN = [NEGATIVE, F32, 0, 1, 1, 1]
FLOAT, FLAG = memory(F32, 64, 4), memory(BOOL, 16, 1)
PLAIN = a_run(FLOAT, FLOAT, steps=[TURN])
MATRIX = operand(64, 4)


def a_product(
    n=16, inner=16, m=16, a=MATRIX, b=MATRIX, out=MATRIX, axes=(), terms=(), times=(), then=()
):
    function, *mask = then or [w.COPY]
    added = [word for each in (*terms, *times) for word in each]
    return [w.MATMUL, F32, len(axes), *axes, n, inner, m, len(terms), len(times), function,
            *out, *a, *b, *added, *mask]  # fmt: skip


def a_table(
    op=w.TAKE, dtype=F32, n_rows=4, n_columns=4, n_table=4, out=None, table=None, indices=None
):
    rows = operand(16, 4)
    return [op, dtype, n_rows, n_columns, n_table, *(out or rows), *(table or rows),
            *(indices or operand(8, offset=2048))]  # fmt: skip


def a_sparse_product(op=w.SPARSE, dtype=F32, offset=0):
    matrix = operand(8, buffer=2, offset=offset)
    return code(
        *a_table(op, dtype, indices=matrix), buffers=((0, 4096), (_interpreter.OF_ADDRESSES, 32))
    )


GEOMETRY = {
    "n_images": 2, "height": 4, "width": 4, "n_channels": 1, "high": 2, "wide": 2, "down": 1,
    "across": 1, "top": 0, "left": 0, "n_down": 3, "n_across": 3, "n_out": 1, "n_together": 2,
}  # fmt: skip


def a_convolution(patches=(2, 0, 0, 16), size=96, **changed):
    geometry = (GEOMETRY | changed).values()
    body = [w.CONVOLVE, F32, 0, *geometry, *operand(4, 4), *operand(64, 16, 4, 4),
            *operand(4, 4), *patches]  # fmt: skip
    return code(*body, buffers=((0, 4096), (0, size)))


RUNS = {
    "a run": code(*PLAIN),
    "a product": code(*a_product()),
    "a product's relu": code(*a_product(then=[RELU])),
    "a product and so many times a term": code(
        *a_product(terms=[MATRIX], times=[operand(0, 0)], then=[RELU_GRADIENT, *MATRIX])
    ),
    "a product's gradient": code(*a_product(then=[RELU_GRADIENT, *MATRIX])),
    "a table": code(*a_table()),
    "rows added to a table": code(*a_table(w.ADD_AT)),
    "a convolution": a_convolution(),
    "windows far outside of the image": a_convolution(top=1 << 20, left=1 << 20),
    "windows that begin after the image": a_convolution(down=1 << 20, across=1 << 20),
    "a single window": a_convolution(
        patches=(2, 0, 0, 0), n_images=1, n_down=1, n_across=1, n_together=1
    ),
    "a reduction": code(w.REDUCE, w.SUM, F32, 1, 1, 4, 16, *operand(4), *MATRIX, *MATRIX),
}


@pytest.mark.parametrize("name", RUNS)
def test_what_the_others_are_made_from_runs(name):
    assert run(RUNS[name])


def with_register(register, n_slots=0, **options):
    return code(
        *a_run(FLOAT, register, steps=[[NEGATIVE, F32, 0, 1, 1, 1]], n_slots=n_slots, **options)
    )


def with_step(*step):
    number = [w.NUMBER, F32, 0]
    return code(*a_run(FLOAT, FLOAT, FLAG, number, memory(F64, 128, 8), steps=[step]))


REFUSED = {
    "no words": [],
    "fewer words than the header": [3, 1, 1],
    "another length": [*code(*PLAIN), 0],
    "no models": code(*PLAIN, n_models=0),
    "models without end": code(*PLAIN, n_models=1 << 62),
    "models beyond the buffer": code(*a_run(memory(F32, 64, 4, models=4096), FLOAT,
        steps=[TURN]), n_models=2),
    "an operand that ends after its buffer": with_register(memory(F32, 64, 4, offset=4096 - 60)),
    "an operand that begins before its buffer": with_register(memory(F32, 64, 4, offset=-4)),
    "an operand that runs back before its buffer": with_register(memory(F32, 64, -4)),
    "an offset without end": with_register(memory(F32, 64, 4, offset=-(1 << 63))),
    "a stride without end": with_register(memory(F32, -(1 << 63), 4), lengths=(2, 16)),
    "a stride that overflows": with_register(memory(F32, 1 << 54, 4), lengths=(1 << 54, 16)),
    "an address between floats": with_register(memory(F32, 64, 4, offset=2)),
    "rows between floats": with_register(memory(F32, 66, 4), lengths=(2, 16)),
    "no such buffer": with_register(memory(F32, 64, 4, buffer=2)),
    "a buffer before the first": with_register(memory(F32, 64, 4, buffer=-1)),
    "own memory of several models": with_register(memory(F32, 64, 4, buffer=0, models=4)),
    "own memory that is not there": with_register(memory(F32, 64, 4, buffer=0)),
    "a length of 0": with_register(FLOAT, lengths=(0, 16)),
    "a negative length": with_register(FLOAT, lengths=(1, -16)),
    "a length without end": with_register(FLOAT, lengths=(1, 1 << 62)),
    "one axis": code(w.RUN, 1, 16, 1, 0, 1, 64, *memory(F32, 4), NEGATIVE, F32, 0, 0, 0, 0),
    "nine axes": code(
        *a_run(memory(F32, *[4] * 9), lengths=[1] * 9, steps=[[NEGATIVE, F32, 0, 0, 0, 0]])
    ),
    "too many registers": code(*a_run(*[FLOAT] * 257, steps=[TURN])),
    "registers that are not there": code(*a_run(FLOAT, FLOAT, steps=[TURN], n_registers=1 << 40)),
    "no registers": code(*a_run(steps=[[NEGATIVE, F32, 0, 0, 0, 0]])),
    "a slot that is not counted": with_register([w.SLOT, F32, 1], n_slots=1),
    "a negative slot": with_register([w.SLOT, F32, -1], n_slots=1),
    "too many slots": with_register([w.SLOT, F32, 32], n_slots=33),
    "elements beyond a slot": with_register([w.SLOT, F32, 0], n_slots=1, n_elements=2049),
    "no elements": with_register(FLOAT, n_elements=0),
    "another kind of register": with_register([3, F32, 0]),
    "another dtype": with_register(memory(4, 64, 4)),
    "a negative dtype": with_register(memory(-1, 64, 4)),
    "columns with gaps": with_register(memory(F32, 128, 8)),
    "a number as result": with_step(NEGATIVE, F32, 3, 1, 1, 1),
    "a bool read as float": with_step(NEGATIVE, F32, 0, 2, 2, 2),
    "a float32 read as float64": with_step(ADD, F64, 4, 4, 1, 4),
    "a bool written as float": with_step(NEGATIVE, F32, 2, 1, 1, 1),
    "a condition of floats": with_step(WHERE, F32, 0, 1, 1, 1),
    "the negative of a bool": with_step(NEGATIVE, BOOL, 2, 2, 2, 2),
    "another function": with_step(1000, F32, 0, 1, 1, 1),
    "a negative function": with_step(-1, F32, 0, 1, 1, 1),
    "a register that is not there": with_step(NEGATIVE, F32, 0, 5, 1, 1),
    "a negative register": with_step(NEGATIVE, F32, -1, 1, 1, 1),
    "all results in one place": code(*a_run(memory(F32, 64, 0), FLOAT, steps=[TURN])),
    "all rows in one place": code(*a_run(memory(F32, 0, 0), FLOAT, steps=[TURN], lengths=(600, 1))),
    "another instruction": code(10, 0),
    "numbers in the place of a sparse matrix": code(*a_table(w.SPARSE)),
    "a sparse matrix in the place of numbers": code(
        *a_table(), buffers=((_interpreter.OF_ADDRESSES, 4096),)
    ),
    "a sparse matrix beyond what is known": a_sparse_product(offset=8),
    "a sparse matrix of bools": a_sparse_product(dtype=BOOL),
    "a reduction of another kind": code(
        w.REDUCE, 4, F32, 0, 1, 16, *operand(), *operand(4), *operand(4)
    ),
    "a reduction of nine axes": code(
        w.REDUCE, w.SUM, F32, 4, 5, *[1] * 9, *operand(*[4] * 4), *operand(*[4] * 9) * 2
    ),
    "a reduction beyond its buffer": code(
        w.REDUCE, w.SUM, F32, 0, 1, 1025, *operand(), *operand(4), *operand(4)
    ),
    "a product of ints": code(w.MATMUL, I64, 0, 2, 2, 2, 0, 0, w.COPY, *operand(16, 8) * 3),
    "a product of another function": code(*a_product(then=[NEGATIVE])),
    "a gradient without a mask": code(*a_product(then=[RELU_GRADIENT])),
    "a mask beyond its buffer": code(*a_product(then=[RELU_GRADIENT, *operand(1 << 20, 4)])),
    "a mask with gaps": code(*a_product(then=[RELU_GRADIENT, *operand(64, 8)])),
    "two terms": code(*a_product(2, 2, 2, terms=[list(MATRIX)] * 2)),
    "so many times no term": code(*a_product(times=[operand(0, 0)])),
    "two numbers of times": code(*a_product(terms=[MATRIX], times=[operand(0, 0)] * 2)),
    "times that differ": code(*a_product(2, 2, 2, terms=[MATRIX], times=[operand(0, 4)])),
    "times beyond their buffer": code(
        *a_product(2, 2, 2, terms=[MATRIX], times=[operand(0, 0, offset=4096)])
    ),
    "a term beyond its buffer": code(*a_product(2, 2, 2, terms=[operand(1 << 20, 4)])),
    "a matrix beyond its buffer": code(*a_product(n=65)),
    "a matrix with gaps both ways": code(*a_product(2, 2, 2, a=operand(16, 8))),
    "rows that overlap": code(*a_product(2, 4, 4, a=operand(4, 4), b=operand(16, 4))),
    "a matrix of too many rows": code(*a_product(n=1 << 31, a=operand(0, 4), out=operand(0, 4))),
    "a distance beyond BLAS's integers": code(
        *a_product(2, 4, 4, a=operand(1 << 34, 4)), buffers=((0, 1 << 40),)
    ),
    "rows with gaps added to a table": code(*a_table(w.ADD_AT, table=operand(32, 8))),
    "a table beyond its buffer": code(*a_table(n_table=512)),
    "indices beyond their buffer": code(*a_table(n_rows=4, indices=operand(8, offset=4072))),
    "bools added to a table": code(*a_table(w.ADD_AT, BOOL)),
    "a window of no rows": a_convolution(high=0),
    "a negative padding": a_convolution(top=-1),
    "more together than there are": a_convolution(n_together=7),
    "no rows together": a_convolution(n_together=0),
    "patches beyond their memory": a_convolution(size=92),
    "patches closer than they are long": a_convolution(patches=(2, 0, 0, 12)),
    "patches beyond all integers": a_convolution(high=1 << 30, wide=1 << 30, n_channels=1 << 30),
    "more windows than results": a_convolution(n_down=1 << 20, n_together=1),
    "patches between floats": a_convolution(patches=(2, 2, 0, 16), size=128),
    "images beyond their buffer": a_convolution(n_images=1 << 10),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_words_that_are_no_program_are_refused(name):
    with pytest.raises(RefusedError, match="This is no program"):
        run(REFUSED[name])


@pytest.mark.parametrize("column", [-1, 4, (1 << 31) - 1])
@pytest.mark.parametrize("op", [w.SPARSE, w.SPARSE_TN])
def test_a_column_of_a_sparse_matrix_out_of_range_ends_the_run(op, column):
    words, place = np.array(a_sparse_product(op)), np.zeros(512, np.int64)
    _interpreter.check(words)
    arrays = [np.ones(1, "f4"), np.array([column], "i4"), np.array([0, 1, 1, 1, 1], "i4")]
    known = np.array([*(each.ctypes.data for each in arrays), 4])
    places = np.array([[0, 0], [place.ctypes.data, 0], [known.ctypes.data, 0]])
    task = np.array([words.ctypes.data, places.ctypes.data])
    scratch, slots = np.zeros(0, np.uint8), np.zeros(_interpreter.SLOT_BYTES, np.uint8)
    with pytest.raises(IndexError, match="out of range"):
        _interpreter.run(task, 0, 1, 0, 1, scratch, slots)


@pytest.mark.parametrize("index", [-1, 4, 1 << 62, -(1 << 63)])
@pytest.mark.parametrize("op", [w.TAKE, w.ADD_AT])
def test_an_index_out_of_range_ends_the_run(op, index):
    words = np.array(code(*a_table(op)))
    place = np.zeros(512, np.int64)
    place[256:260] = index
    places = np.array([[0, 0], [place.ctypes.data, 0]])
    task = np.array([words.ctypes.data, places.ctypes.data])
    scratch, slots = np.zeros(0, np.uint8), np.zeros(_interpreter.SLOT_BYTES, np.uint8)
    with pytest.raises(IndexError, match="out of range"):
        _interpreter.run(task, 0, 1, 0, 1, scratch, slots)
