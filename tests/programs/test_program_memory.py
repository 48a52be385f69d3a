"""Memory of programs: nothing overlaps while it lives, no run allocates, and nobody can tell."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traced import Traced, strict, values

from skopt_dl.backends import get_backend
from skopt_dl.programs import Tracer
from skopt_dl.programs.memory import ALIGNMENT, place

# Whole numbers of this size are exact whatever the order of a sum.
LIMIT = 8.0


def bounded(xp, x):
    return xp.clip(x, -LIMIT, LIMIT)


# Each takes the namespace, a list of arrays (K, 3, 3), and numbers to choose by.
def binary(xp, pool, i, j, k):
    op = ("add", "subtract", "multiply", "maximum", "minimum")[k % 5]
    return bounded(xp, getattr(xp, op)(pool[i], pool[j]))


def unary(xp, pool, i, j, k):
    return getattr(xp, ("negative", "abs", "sign", "square", "floor")[k % 5])(pool[i] * 0.5)


def with_numbers(xp, pool, i, j, k):
    return 1.0 - xp.where(pool[i] > float(k), pool[j], 2.0)


def masked(xp, pool, i, j, k):
    return xp.where((pool[i] > 0) & ~(pool[j] > k), pool[i], pool[j])


def reduced(xp, pool, i, j, k):
    op = ("sum", "max", "min")[k % 3]
    return bounded(xp, getattr(xp, op)(pool[i], axis=1 + j % 2, keepdims=True) + pool[j])


def reduced_whole(xp, pool, i, j, k):
    return bounded(xp, xp.sum(pool[i], axis=(1, 2))[:, None, None] - pool[j])


def product(xp, pool, i, j, k):
    right = pool[j].mT if k % 2 else pool[j]
    return bounded(xp, pool[i] @ right)


def transposed(xp, pool, i, j, k):
    return pool[i].mT


def turned(xp, pool, i, j, k):
    return pool[i][:, ::-1, :]


def reshaped(xp, pool, i, j, k):
    flat = xp.reshape(pool[i].mT, (pool[i].shape[0], 9))
    return xp.reshape(flat + 1.0, pool[i].shape)


def joined(xp, pool, i, j, k):
    return xp.concat([pool[i][:, :2], pool[j][:, k % 3 : k % 3 + 1]], axis=1)


def padded(xp, pool, i, j, k):
    small = pool[i][:, 1:, : k % 3 + 1]
    return xp.concat([xp.concat([small, xp.zeros((*small.shape[:2], 2 - k % 3))], axis=2),
                      pool[j][:, :1]], axis=1)  # fmt: skip


def in_place(xp, pool, i, j, k):
    array = pool[i]
    array *= 0.5
    array += pool[j]
    return bounded(xp, array)


def part_in_place(xp, pool, i, j, k):
    row = pool[i][:, k % 3]
    row -= pool[j][:, 0]
    pool[i][:, :, 1] = 3.0
    return bounded(xp, pool[i])


def rows_in_place_of_others(xp, pool, i, j, k):
    array = pool[i]
    array[:, 1:] = array[:, :2]
    array[:, :2] += array[:, 1:]
    return bounded(xp, array)


def into(xp, pool, i, j, k):
    xp.subtract(pool[i], pool[j], out=pool[(i + k) % len(pool)])
    return bounded(xp, pool[(i + k) % len(pool)])


def into_part(xp, pool, i, j, k):
    xp.sum(pool[i], axis=2, out=pool[j][:, k % 3])
    return bounded(xp, pool[j])


def into_a_factor(xp, pool, i, j, k):
    xp.matmul(pool[i], pool[j], out=pool[(i, j)[k % 2]])
    return bounded(xp, pool[(i, j)[k % 2]])


def into_new(xp, pool, i, j, k):
    out = xp.empty_like(pool[i])
    xp.where(pool[i] > pool[j], pool[i], 1.0, out=out) if xp is not np else out.__setitem__(
        ..., np.where(pool[i] > pool[j], pool[i], 1.0)
    )
    return out


def alias(xp, pool, i, j, k):
    return pool[i]


ACTIONS = [
    *(binary, unary, with_numbers, masked, reduced, reduced_whole, product, transposed, turned),
    *(reshaped, joined, padded, in_place, part_in_place, rows_in_place_of_others, into),
    *(into_part, into_a_factor, into_new, alias),
]


def composed(steps):
    """The function that does these things one after the other, and returns the last arrays."""

    def function(xp, *arrays):
        pool = [array + 0.0 for array in arrays]
        # What is given may be written to as well.
        pool.append(arrays[0])
        for action, i, j, k in steps:
            pool.append(action(xp, pool, i % len(pool), j % len(pool), k))
        return pool[-3:]

    return function


SMALL = st.integers(0, 7)
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), SMALL, SMALL, SMALL), min_size=1, max_size=14)


def overlapping(program):
    """Pairs of buffers that live at the same time and share memory without being in place."""
    lives = {}
    for number, instruction in enumerate(program.instructions):
        for value in (instruction.out, *instruction.values):
            if value.buffer.is_own:
                lives.setdefault(value.buffer, [number, number])[1] = number
    found = []
    for a, (born, dies) in lives.items():
        for b, (other_born, other_dies) in lives.items():
            starts = program.places[a], program.places[b]
            if a is not b and starts[0] <= starts[1] < starts[0] + n_bytes(a):
                together = born <= other_dies and other_born <= dies
                if (
                    together
                    and not taken_over(program, a, dies, b, other_born)
                    and (not taken_over(program, b, other_dies, a, born))
                ):
                    found.append((a, b))
    return found


def n_bytes(buffer):
    return buffer.like.size * buffer.like.itemsize


def taken_over(program, a, dies, b, born):
    """Whether `b` is the result of the instruction that `a` dies in, in its place."""
    instruction = program.instructions[dies]
    return (
        dies == born
        and instruction.out.buffer is b
        and any(each.buffer is a for each in instruction.replaceable)
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(STEPS)
def test_a_random_program_computes_what_numpy_does(steps):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-4, 5, (2, 3, 3)).astype(float) for _ in range(3)]
    function = composed(steps)
    traced = Traced(function, arrays)
    expected = values(function, arrays)
    for found, wanted in zip(traced.outputs(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert not overlapping(traced.program)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(STEPS)
def test_a_random_program_writes_into_nothing_that_it_still_reads(steps):
    # The strict backend refuses it.
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-4, 5, (2, 3, 3)).astype(float) for _ in range(3)]
    function = composed(steps)
    traced = Traced(function, arrays)
    expected = values(function, arrays)
    for found, wanted in zip(traced.outputs(strict()), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(STEPS)
def test_places_are_aligned_and_within_the_memory(steps):
    program = Traced(composed(steps), [np.ones((2, 3, 3))] * 3).program
    for buffer, start in program.places.items():
        assert start % ALIGNMENT == 0
        assert start + n_bytes(buffer) <= program.n_bytes


def network(xp, x, w, v, u):
    h = xp.relu(x @ w)
    h = xp.tanh(h @ v) + h
    e = xp.exp(h @ u - xp.max(h @ u, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def test_results_take_the_place_of_what_dies():
    x = np.ones((2, 32, 8))
    program = Traced(lambda xp, x: xp.exp(xp.tanh(x * 2.0) + 1.0), [x]).program
    assert program.n_bytes == x.nbytes


def test_memory_is_used_again():
    def chain(xp, x):
        for _ in range(20):
            x = xp.reshape(x, x.shape) @ xp.reshape(x, x.shape)
        return x

    x = np.ones((2, 8, 8))
    assert Traced(chain, [x]).program.n_bytes == 2 * x.nbytes


def test_what_nobody_reads_is_not_computed():
    def function(xp, x):
        y = xp.exp(x)
        xp.log(y)
        z = xp.zeros_like(x)
        z[:, 0] = xp.tanh(x)[:, 0]
        return y

    program = Traced(function, [np.ones((2, 3))]).program
    assert [each.op for each in program.instructions] == ["exp", "copy"]
    assert len(program.places) == 1


def test_what_writes_a_given_array_is_kept():
    tracer = Tracer("float64")
    x, y = tracer.given("x", (2, 3)), tracer.given("y", (2, 3))
    y[:, 1:] *= x[:, 1:] * 2.0
    assert [each.op for each in tracer.program().instructions] == ["multiply", "multiply"]


def test_a_program_without_memory_has_none():
    tracer = Tracer("float64")
    x = tracer.given("x", (2, 3))
    x += 1.0
    program = tracer.program()
    assert (program.n_bytes, program.places) == (0, {})
    assert place(()) == ({}, 0)


def embedding(xp, x, table):
    return xp.take(table, xp.astype(x[..., 0], np.int64), axis=1)


def images(xp, x, w):
    image = xp.reshape(x, (*x.shape[:2], 4, 4, 1))
    image = xp.pad(image, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])
    cut = xp.patches(image, (3, 3), (1, 1))
    rows = xp.reshape(cut, (x.shape[0], -1, 9))
    return xp.max(xp.reshape(rows @ w[:, :9], (*x.shape[:2], 16, -1)), axis=2)


def everything_else(xp, x, w):
    y = xp.where(x > 0, x, xp.clip(x, -0.5, 0.5)) ** 2 + xp.erf(x)
    y = xp.concat([y, xp.minimum(y, 0.3)], axis=2)
    some = xp.any(y > 0.2, axis=1, keepdims=True)
    y = xp.where(some & ~(y > 1), y, xp.mean(y, axis=(1, 2), keepdims=True))
    return [xp.vecdot(y, y), xp.std(y, axis=1), xp.min(y, axis=-1), y.mT @ y, xp.sum(y, axis=0)]


@pytest.mark.parametrize("n_rows", [1, 200])
@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize(
    ("function", "shapes", "dtype"),
    [
        (network, [(16,), (16, 16), (16, 16), (16, 1600)], "float64"),
        (network, [(16,), (16, 16), (16, 16), (16, 1600)], "float32"),
        (embedding, [(16,), (50, 64)], "float64"),
        (images, [(16,), (16, 16)], "float64"),
        (everything_else, [(16,), (16, 16)], "float64"),
    ],
)
def test_no_instruction_allocates(function, shapes, dtype, n_models, n_rows):
    rng = np.random.default_rng(0)
    arrays = [
        np.abs(rng.normal(size=(n_models, *([n_rows] if i == 0 else []), *shape))).astype(dtype)
        for i, shape in enumerate(shapes)
    ]
    traced = Traced(function, arrays, range(1, len(arrays)), dtype=dtype)
    _, calls = traced.bind(get_backend("cpu"))
    for call in calls:
        call()
    taken = []
    # For operands that are broadcast NumPy has buffers of its own, of so many elements at most.
    before = np.setbufsize(16)
    tracemalloc.start()
    try:
        for call in calls:
            tracemalloc.reset_peak()
            held = tracemalloc.get_traced_memory()[0]
            call()
            taken.append(tracemalloc.get_traced_memory()[1] - held)
    finally:
        tracemalloc.stop()
        np.setbufsize(before)
    # NumPy's iterators take a thousand bytes, and that of `add.at` five, whatever the size.
    much = {str(call)[:80]: n for call, n in zip(calls, taken, strict=True) if n > 6000}
    assert not much, much
