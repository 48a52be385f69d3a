"""Which steps a run consists of."""

import itertools
from functools import partial

import numpy as np
import pytest
from skopt_dl_native import sequences, words
from skopt_dl_native.engine import NativeEngine

from skopt_dl.backends import Helpers, NumPyBackend
from skopt_dl.programs import Engine, HostNumbers, HostReads, HostWrites, Memory, Tracer

NUMPY = NumPyBackend()
# Words before those of the buffers.
HEADER = 5
NAMES = {number: name for name, number in words.FUNCTIONS.items()}


def twice(xp, a, b, c, out):
    """Two products in one sum, of which one can be a part."""
    xp.add(a * b, b * c, out=out)


def in_place(xp, a, b, c, out):
    a *= b
    a += c
    xp.add(a, c, out=out)


def read_again(xp, a, b, c, out):
    product = a * b
    xp.add(product + c, product, out=out)


def onto_a_factor(xp, a, b, c, out):
    b += a * b
    xp.add(b, c, out=out)


def factor_changes(xp, a, b, c, out):
    product = a * b
    a += 1.0
    xp.add(product, a, out=out)


def by_a_number(xp, a, b, c, out):
    xp.add(a * -0.5, c, out=out)


def across_a_reduction(xp, a, b, c, out):
    product = a * b
    c[:, :1] = xp.max(a, axis=1, keepdims=True)
    xp.add(product, b, out=out)


def after_what_it_reads(xp, a, b, c, out):
    product = a * b
    c[:, :1] = xp.max(a, axis=1, keepdims=True)
    xp.add(product, c, out=out)


def with_a_square(xp, a, b, c, out):
    xp.add(a * b, xp.square(c), out=out)


def with_itself_as_a_square(xp, a, b, c, out):
    xp.add(c * c, b * 0.5, out=out)


def two_squares(xp, a, b, c, out):
    xp.add(a * a, b * b, out=out)


def a_square_in_place(xp, a, b, c, out):
    b *= 0.9
    b += a * a
    xp.add(b, c, out=out)


def by_a_root(xp, a, b, c, out):
    xp.abs(c, out=c)
    xp.divide(a, 1e-3 + xp.sqrt(c), out=out)


def a_root_by(xp, a, b, c, out):
    xp.abs(c, out=c)
    xp.divide(xp.sqrt(c) + b, a, out=out)


def by_a_root_in_place(xp, a, b, c, out):
    xp.abs(c, out=c)
    root = xp.sqrt(c)
    root += b
    xp.divide(c, root, out=c)
    xp.add(c, a, out=out)


def by_a_root_read_again(xp, a, b, c, out):
    xp.abs(c, out=c)
    root = xp.sqrt(c)
    b /= root + 1.0
    xp.add(b, root, out=out)


def by_a_condition(xp, a, b, c, out):
    xp.multiply(b, xp.astype(a > 0.3, b.dtype), out=out)


def a_number_by_a_condition(xp, a, b, c, out):
    mask = xp.astype(a > 0.3, b.dtype) * c[:, :1]
    xp.multiply(b, mask, out=out)
    c += mask


def a_condition_that_is_read_again(xp, a, b, c, out):
    mask = xp.astype(a > 0.3, b.dtype)
    xp.multiply(b, mask, out=out)
    c += mask


CASES = {
    twice: ["multiply", "multiply_add"],
    in_place: ["multiply_add", "add"],
    read_again: ["multiply", "add", "add"],
    onto_a_factor: ["multiply_add", "add"],
    factor_changes: ["multiply", "add", "add"],
    by_a_number: ["multiply_add"],
    across_a_reduction: ["multiply_add", "copy"],
    after_what_it_reads: ["multiply", "copy", "add"],
    with_a_square: ["multiply_add_square"],
    with_itself_as_a_square: ["multiply_add_square"],
    two_squares: ["multiply_add_square"],
    a_square_in_place: ["multiply_add_square", "add"],
    by_a_root: ["abs", "divide_by_root"],
    a_root_by: ["abs", "root_add", "divide"],
    by_a_root_in_place: ["abs", "divide_by_root", "add"],
    by_a_root_read_again: ["abs", "sqrt", "add", "divide", "add"],
    by_a_condition: ["greater", "multiply_condition"],
    a_number_by_a_condition: ["greater", "multiply_condition", "multiply", "add"],
    a_condition_that_is_read_again: ["greater", "copy", "multiply", "add"],
}


def runs_of(code):
    """The names of the functions in each run of a code."""
    found, position = [], HEADER + 2 * int(code[2])
    for _ in range(int(code[4])):
        op, length = code[position : position + 2]
        if op == words.RUN:
            n_axes = int(code[position + 2])
            n_steps = int(code[position + 3 + n_axes + 2])
            steps = code[position + length - 6 * n_steps : position + length]
            found.append([NAMES[int(number)] for number in steps[::6]])
        position += int(length)
    return found


def steps_of(code):
    """The names of the functions in all runs of a code."""
    return [name for run in runs_of(code) for name in run]


def by_both_engines(trace, given):
    """What a trace makes of arrays, by NumPy's engine and in C, and the calls of the latter."""
    results = []
    like = next(iter(given.values()))
    for engine in (Engine(), NativeEngine()):
        tracer = Tracer(like.dtype.name)
        trace(tracer.xp, *(tracer.given(name, array.shape) for name, array in given.items()))
        arrays = {name: array.copy() for name, array in given.items()}
        calls = engine.bind(NUMPY, tracer.program(), arrays, Memory(NUMPY, like)).calls()
        for call in calls:
            call()
        results.append(arrays)
    return results, calls


@pytest.mark.parametrize("trace", CASES, ids=lambda trace: trace.__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_that_only_the_next_reads_are_one_with_it_and_have_the_same_bits(trace, dtype):
    rng, shape = np.random.default_rng(0), (2, 3000)
    given = {name: rng.normal(size=shape).astype(dtype) for name in ("a", "b", "c", "out")}
    results, (call,) = by_both_engines(trace, given)
    assert steps_of(call.code.words) == CASES[trace]
    for name in given:
        np.testing.assert_array_equal(results[0][name], results[1][name])


def of_products(xp, a, b, out):
    out[...] = xp.sum(a * b, axis=1, keepdims=True)


def of_squares_of_rows(xp, a, b, out):
    out[:, :, :1] = xp.sum(a * a, axis=2, keepdims=True)


def of_products_that_are_read_again(xp, a, b, out):
    products = a * b
    out[...] = products + xp.sum(products, axis=1, keepdims=True)


def of_factors_that_change(xp, a, b, out):
    products = a * b
    a += 1.0
    out[...] = xp.sum(products, axis=1, keepdims=True)


def of_products_with_rows(xp, a, b, out):
    out[...] = xp.sum(a * b[:, :1, :], axis=1, keepdims=True)


OF_SUMS = {
    of_products: 0,
    of_squares_of_rows: 0,
    of_products_that_are_read_again: 1,
    of_factors_that_change: 1,
    of_products_with_rows: 1,
}


ALIKE = {
    "sum": lambda x, row, other, z: x + row,
    "difference": lambda x, row, other, z: x - row,
    "product": lambda x, row, other, z: x * row,
    "product with a sum": lambda x, row, other, z: x * row + other,
    "product with another's sum": lambda x, row, other, z: x * row + z,
}


# Few rows, and columns that are no multiple of a vector's, are done row by row; many in tiles.
@pytest.mark.parametrize(
    "shape", [(3, 32), (8, 16), (33, 32), (9, 37), (70, 64), (20, 128)], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_in_place", [False, True], ids=["elsewhere", "in place"])
@pytest.mark.parametrize("function", ALIKE.values(), ids=ALIKE)
def test_a_row_that_is_the_same_for_all_has_the_same_bits(function, is_in_place, dtype, shape):
    rng, tracer = np.random.default_rng(0), Tracer(dtype)
    shapes = {"x": shape, "row": (1, shape[1]), "other": (1, shape[1]), "z": shape, "out": shape}
    arrays = {name: rng.normal(size=(2, *each)).astype(dtype) for name, each in shapes.items()}
    expected = function(*(arrays[name].copy() for name in ("x", "row", "other", "z")))
    given = {name: tracer.given(name, array.shape) for name, array in arrays.items()}
    found = function(*(given[name] for name in ("x", "row", "other", "z")))
    tracer.copy(found, given["x" if is_in_place else "out"])
    for call in NativeEngine().calls(NUMPY, tracer.program(), arrays, arrays["x"]):
        call()
    np.testing.assert_array_equal(arrays["x" if is_in_place else "out"], expected)


@pytest.mark.parametrize("trace", OF_SUMS, ids=lambda trace: trace.__name__)
@pytest.mark.parametrize("n_rows", [5, 150])
def test_a_sum_multiplies_what_nothing_else_reads(trace, n_rows):
    rng, shape = np.random.default_rng(0), (2, n_rows, 37)
    given = {name: rng.normal(size=shape) for name in ("a", "b", "out")}
    results, (call,) = by_both_engines(trace, given)
    assert steps_of(call.code.words).count("multiply") == OF_SUMS[trace]
    for name in given:
        np.testing.assert_allclose(results[1][name], results[0][name], rtol=1e-12, atol=1e-12)


def apart(xp, a, b, out):
    out[:, :1000] = -a[:, :1000]
    out[:, 2000:] = -b[:, 2000:]


def apart_between_rows(xp, a, b, out):
    out[:, 1000:2000] = out[:, :1000] + a[:, :1000]
    b[:, 2000:] = -out[:, 2000:]


def over_what_was_written(xp, a, b, out):
    out[:, :1000] = -a[:, :1000]
    out[:, 999:1999] = -b[:, :1000]


def of_what_was_written(xp, a, b, out):
    out[:, :1000] = -a[:, :1000]
    b[:, :1000] = -out[:, 999:1999]


def over_what_was_read(xp, a, b, out):
    b[:, :1000] = -out[:, 999:1999]
    out[:, :1000] = -a[:, :1000]


@pytest.mark.parametrize(
    ("trace", "n_runs"),
    [
        (apart, 1),
        (apart_between_rows, 1),
        (over_what_was_written, 2),
        (of_what_was_written, 2),
        (over_what_was_read, 2),
    ],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_parts_of_an_array_are_in_one_run_if_they_have_nothing_in_common(trace, n_runs):
    rng, shape = np.random.default_rng(0), (2, 3000)
    given = {name: rng.normal(size=shape) for name in ("a", "b", "out")}
    results, (call,) = by_both_engines(trace, given)
    assert len(runs_of(call.code.words)) == n_runs
    for name in given:
        np.testing.assert_array_equal(results[0][name], results[1][name])


def in_place_of_what_is_spent(xp, a, b, out):
    xp.multiply(a, b, out=a)
    xp.multiply(a, a, out=a)
    xp.add(out, a, out=out)


def through_a_view(xp, a, b, out):
    xp.multiply(a, b, out=a)
    xp.add(out[:, 1:], a[:, :-1], out=out[:, 1:])


@pytest.mark.parametrize("trace", [in_place_of_what_is_spent, through_a_view])
def test_what_is_written_to_a_spent_input_need_not_get_there(trace):
    rng, shape = np.random.default_rng(0), (2, 3000)
    tracer = Tracer("float64")
    symbols = [tracer.given(name, shape) for name in ("a", "b", "out")]
    tracer.spent.add(symbols[0].value.buffer)
    trace(tracer.xp, *symbols)
    given = {name: rng.normal(size=shape) for name in ("a", "b", "out")}
    program, results = tracer.program(), []
    for engine in (Engine(), NativeEngine()):
        arrays = {name: array.copy() for name, array in given.items()}
        for call in engine.bind(NUMPY, program, arrays, Memory(NUMPY, given["a"])).calls():
            call()
        results.append(arrays)
    np.testing.assert_array_equal(results[0]["out"], results[1]["out"])
    stays = np.array_equal(results[1]["a"], given["a"])
    assert stays == (trace is in_place_of_what_is_spent)


def with_relu(xp, a, b, mask, other):
    return xp.relu(a @ b + other)


def with_another_product(xp, a, b, mask, other):
    return a @ b + mask @ other


def with_so_many_times_another(xp, a, b, mask, other):
    return a @ b + other * mask[:, :1, :1]


def with_another_times_a_column(xp, a, b, mask, other):
    return a @ b + other * mask[:, :, :1]


def with_a_gradient(xp, a, b, mask, other):
    return xp.relu_gradient(a @ b, mask)


def with_a_gradient_later(xp, a, b, mask, other):
    product = a @ b
    other += 1.0
    return xp.relu_gradient(product, mask)


def with_a_mask_that_changes(xp, a, b, mask, other):
    product = a @ b
    mask -= 1.0
    return xp.relu_gradient(product, mask)


def with_a_mask_in_another_order(xp, a, b, mask, other):
    return xp.relu_gradient(a @ b, mask.mT)


def that_is_read_again(xp, a, b, mask, other):
    product = a @ b
    return xp.relu(product) - product


def that_is_asked_for(xp, a, b, mask, other):
    return xp.relu(xp.matmul(a, b, out=other))


OF_PRODUCTS = {
    with_relu: ["copy"],
    with_another_product: ["copy"],
    with_so_many_times_another: ["copy"],
    with_another_times_a_column: ["multiply_add", "copy"],
    with_a_gradient: ["copy"],
    with_a_gradient_later: ["add", "copy"],
    with_a_mask_that_changes: ["subtract", "relu_gradient", "copy"],
    with_a_mask_in_another_order: ["copy", "relu_gradient", "copy"],
    that_is_read_again: ["relu", "subtract", "copy"],
    that_is_asked_for: ["relu", "copy"],
}


@pytest.mark.parametrize("trace", OF_PRODUCTS, ids=lambda trace: trace.__name__)
def test_a_product_does_what_its_result_alone_goes_into(trace):
    rng, shape = np.random.default_rng(0), (2, 37, 37)
    given = {name: rng.normal(size=shape) for name in ("a", "b", "mask", "other")}
    given["a"][:, ::5, 3] = np.nan

    def into_out(xp, a, b, mask, other, out):
        out[...] = trace(xp, a, b, mask, other)

    results, (call,) = by_both_engines(into_out, given | {"out": np.zeros(shape)})
    assert steps_of(call.code.words) == OF_PRODUCTS[trace]
    for name in results[0]:
        np.testing.assert_allclose(results[1][name], results[0][name], rtol=1e-12, atol=1e-12)


def along_all(xp, grads, params, alpha):
    grads += params * alpha


def along_all_as_often_as_something(xp, grads, params, alpha):
    grads += params * params


def along_a_part(xp, grads, params, alpha):
    grads[:, 1:] += params[:, 1:] * alpha


def along_more(xp, grads, params, alpha):
    grads[:, 80:] = params[:, :4]
    grads += params * alpha


def along_all_that_was_read(xp, grads, params, alpha):
    alpha[...] = xp.max(grads, axis=1, keepdims=True)
    grads += params * alpha


# How many elements there are, and the steps that products leave.
ALONG = {
    along_all: (80, []),
    along_all_as_often_as_something: (80, ["multiply_add"]),
    along_a_part: (80, ["multiply_add"]),
    along_more: (84, ["copy", "multiply_add"]),
    along_all_that_was_read: (80, ["copy", "multiply_add"]),
}


@pytest.mark.parametrize("trace", ALONG, ids=lambda trace: trace.__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_done_along_all_products_each_does_to_its_own(trace, dtype):
    (n, steps), rng, results = ALONG[trace], np.random.default_rng(0), []
    shapes = {"grads": (2, n), "params": (2, n), "alpha": (2, 1), "a": (2, 12, 5), "b": (2, 12, 8)}
    given = {name: rng.integers(-3, 4, shape).astype(dtype) for name, shape in shapes.items()}
    for engine in (Engine(), NativeEngine()):
        tracer = Tracer(dtype)
        grads, params, alpha, a, b = (tracer.given(name, each) for name, each in shapes.items())
        tracer.xp.matmul(a.mT, b, out=tracer.xp.reshape(grads[:, 40:80], (2, 5, 8)))
        tracer.xp.matmul(b.mT, a, out=tracer.xp.reshape(grads[:, :40], (2, 8, 5)))
        trace(tracer.xp, grads, params, alpha)
        arrays = {name: array.copy() for name, array in given.items()}
        calls = engine.bind(NUMPY, tracer.program(), arrays, Memory(NUMPY, arrays["a"])).calls()
        for call in calls:
            call()
        results.append(arrays["grads"])
    (call,) = calls
    assert steps_of(call.code.words) == steps
    np.testing.assert_array_equal(*results)


def test_the_host_writes_in_order_and_numbers_whenever_it_likes():
    shape = (1, 2)
    arrays = {name: np.zeros(shape) for name in ("first", "second", "number")}
    out, counter, written = np.zeros(shape), itertools.count(), []

    def write(name, n_steps, table):
        for step in range(n_steps):
            table[step] = next(counter) if name != "number" else 100.0
        written.append((name, n_steps))

    kinds = {"first": HostWrites, "second": HostWrites, "number": HostNumbers}
    host = {name: kinds[name]([arrays[name]], partial(write, name)) for name in arrays}
    tracer = Tracer("float64")
    given = {name: tracer.given(name, shape) for name in (*arrays, "out")}
    sums = 10.0 * given["out"] + given["first"] - given["second"] + given["number"]
    given["out"][...] = sums
    engine = NativeEngine()
    (step,) = engine.calls(NUMPY, tracer.program(), {**arrays, "out": out}, out)
    calls = [host["first"], host["number"], step, host["first"], host["number"], step]
    sequence = engine.sequence([*calls, host["second"], host["first"], host["number"], step])
    sequence()
    want = 0.0
    for first, second in ((0, 0), (1, 0), (3, 2)):
        want = 10 * want + first - second + 100
    assert out.tolist() == [[want, want]]
    assert ("number", 2) in written


@pytest.mark.parametrize("most_bytes", [1, 500, 1 << 20])
@pytest.mark.parametrize("first_n_times", [1, 3, 5])
@pytest.mark.parametrize("other", [False, True], ids=["one call", "with Python between"])
def test_many_times_are_as_one_after_the_other(other, first_n_times, most_bytes, monkeypatch):
    """Sums of what is drawn, parts of which are read: by two readers, of the same array."""
    monkeypatch.setattr(sequences, "MOST_BYTES", most_bytes)
    seen = []
    for engine in (Engine(), NativeEngine()):
        drawn, total, copy = (np.zeros((2, n)) for n in (6, 3, 3))
        number = np.zeros((2, 1))
        rng, numbers, read = np.random.default_rng(0), itertools.count(1), []

        def draw(n_times, table, rng=rng):
            for row in table:
                row[...] = rng.random(row.shape)

        def count(n_times, table, numbers=numbers):
            for row in table:
                row[...] = next(numbers)

        draws, counts = HostWrites([drawn], draw), HostNumbers([number], count)

        def show(i, n_times, table, read=read):
            read.extend((i, row.copy()) for row in table)

        readers = [HostReads([copy], partial(show, i)) for i in range(2)]
        calls = []
        for part in (slice(0, 3), slice(3, 6)):
            tracer = Tracer("float64")
            given = {
                name: tracer.given(name, array.shape)
                for name, array in {"part": total, "number": number, "total": total}.items()
            }
            given["total"] += given["part"] * given["number"]
            tracer.copy(given["total"], tracer.given("copy", copy.shape))
            arrays = {"part": drawn[:, part], "number": number, "total": total, "copy": copy}
            program, memory = tracer.program(), Memory(NUMPY, total)
            calls.append(engine.bind(NUMPY, program, arrays, memory).calls())
        between = [lambda: None] if other else []
        sequence = engine.sequence(
            [draws, counts, *calls[0], readers[0], *between, counts, *calls[1], readers[1]]
        )
        for n_times in (first_n_times, 1, 4):
            sequence(n_times)
        of_readers = [np.array([row for i, row in read if i == reader]) for reader in range(2)]
        seen.append([total, drawn, number, *of_readers])
    assert len(seen[0][3]) == first_n_times + 5
    for expected, found in zip(*seen, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("patience", [0.0, 1e-5, 1.0])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_few_models_are_done_with_before_many_read_what_they_made(n_threads, patience, monkeypatch):
    """One model makes what three and what five others read, again and again."""
    monkeypatch.setattr(sequences, "PATIENCE", patience)
    monkeypatch.setattr(sequences, "WORTH_A_THREAD", 0.0)
    pool = Helpers(n_threads - 1) if n_threads > 1 else None
    monkeypatch.setattr(sequences, "helpers", lambda: pool)
    shapes = {"number": (1, 1), "one": (1, 4), "three": (3, 4), "five": (5, 4)}
    shapes["copy"] = shapes["five"]
    seen = []
    for engine in (Engine(), NativeEngine()):
        arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
        numbers, read = itertools.count(1), []

        def count(n_times, table, numbers=numbers):
            for row in table:
                row[...] = next(numbers)

        def bind(trace, *names, engine=engine, arrays=arrays):
            tracer = Tracer("float64")
            trace(*(tracer.given(name, shapes[name]) for name in names))
            found = {name: arrays[name] for name in names}
            return engine.bind(NUMPY, tracer.program(), found, Memory(NUMPY, arrays["one"])).calls()

        def add(out, *others):
            out *= 0.5
            for other in others:
                out += other

        def copy(out, other):
            out[...] = other

        calls = [
            HostNumbers([arrays["number"]], count),
            *bind(add, "one", "number"),
            *bind(add, "three", "one", "number"),
            *bind(add, "five", "one"),
            *bind(add, "five", "number"),
            *bind(copy, "copy", "five"),
            HostReads([arrays["copy"]], lambda n, table, read=read: read.extend(table.copy())),
        ]
        sequence = engine.sequence(calls, 4)
        for n_times in (1, 4, 2):
            sequence(n_times)
        seen.append([*(arrays[name] for name in ("one", "three", "five")), np.array(read)])
    if pool is not None:
        pool.shutdown()
    assert len(seen[1][-1]) == 7
    for expected, found in zip(*seen, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_time_that_was_not_over_is_not_read():
    total, number, read = np.zeros((1, 2)), np.zeros((1, 1)), []

    def count(n_times, table):
        if sum(written) == 5:
            raise KeyboardInterrupt
        written.append(n_times)
        table[...] = 1.0

    written = []
    tracer = Tracer("float64")
    given = {"number": tracer.given("number", (1, 1)), "total": tracer.given("total", (1, 2))}
    given["total"][...] = given["number"] * 2.0 + 0.0 * given["total"]
    engine = NativeEngine()
    arrays = {"number": number, "total": total}
    calls = engine.bind(NUMPY, tracer.program(), arrays, Memory(NUMPY, total)).calls()
    sequence = engine.sequence(
        [HostNumbers([number], count), *calls, HostReads([total], lambda n, table: read.append(n))]
    )
    sequence(1)
    sequence(4)
    with pytest.raises(KeyboardInterrupt):
        sequence(4)
    assert sum(read) == sum(written) == 5
