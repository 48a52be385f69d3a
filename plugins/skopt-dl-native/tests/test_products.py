"""Products of matrices of every size and order in memory.

The factors are small integers: sums of them are exact, in whatever order they are added up.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from skopt_dl_native.binding import NativeCall
from skopt_dl_native.engine import NativeEngine

from skopt_dl.backends import NumPyBackend
from skopt_dl.networks.rows import SparseRows
from skopt_dl.programs import HostNumbers, Memory, Tracer

TOOLS = Path(__file__).parent.parent / "tools"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = loaded("fuzz")

NUMPY = NumPyBackend()
# Around the sizes of vectors, blocks of rows, panels, and what is done at a time of either.
EDGES = [1, 2, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 49, 100, 249, 255, 256, 257, 300, 513]


def drawn(rng, shape, dtype, by_columns):
    """Integers, by rows or by columns, perhaps apart, in memory whose ends are watched."""
    values = rng.integers(-3, 4, (2, *shape)).astype(dtype)
    outer = 2 if by_columns else 1
    return fuzz.Guarded(values, (0, 2, 1) if by_columns else (), {outer: int(rng.integers(0, 3))})


# What is done with a product's result, for each of these: terms are rows, columns, or matrices, and
# these alone are added several times.
THEN = {
    "alone": (),
    "with a term": ("add",),
    "with so many times a term": ("multiply_add",),
    "with so many times a term and a gradient": ("multiply_add", "relu_gradient"),
    "with relu": ("relu",),
    "with a term and relu": ("add", "relu"),
    "with a gradient": ("relu_gradient",),
    "with a term and a gradient": ("add", "relu_gradient"),
}


def check(n, inner, m, dtype, by_columns, then, rng):
    """Assert that a program's product of two models, and what is done then, are of integers."""
    shapes = {"a": (n, inner), "b": (inner, m), "out": (n, m), "mask": (n, m), "other": (n, m)}
    # What else it takes lies in memory as the result does, mostly.
    others = (by_columns[2] ^ (rng.random() < 0.2) for _ in range(2))
    turned = dict(zip(shapes, (*by_columns, *others), strict=True))
    given = {name: drawn(rng, shapes[name], dtype, turned[name]) for name in shapes}
    arrays = {name: each.array for name, each in given.items()}
    shape = ((1, m), (n, 1), (n, m))[rng.integers(3)]
    arrays["times"] = rng.integers(-3, 4, (2, 1, 1)).astype(dtype)
    arrays["term"] = rng.integers(-3, 4, (2, *shape)).astype(dtype)
    tracer = Tracer(np.dtype(dtype).name)
    symbols = {
        name: tracer.given(name, (2, *shapes[name]), order=(0, 2, 1) if turned[name] else None)
        for name in shapes
    }
    out, expected = symbols["out"], arrays["a"] @ arrays["b"]
    tracer.xp.matmul(symbols["a"], symbols["b"], out=out)
    if "add" in then:
        out += tracer.given("term", arrays["term"].shape)
        expected = expected + arrays["term"]
    if "multiply_add" in then:
        out += symbols["other"] * tracer.given("times", (2, 1, 1))
        expected = expected + arrays["other"] * arrays["times"]
    if "relu" in then:
        tracer.xp.relu(out, out=out)
        expected = np.maximum(expected, 0)
    if "relu_gradient" in then:
        tracer.xp.relu_gradient(out, symbols["mask"], out=out)
        expected = np.where(arrays["mask"] > 0, expected, 0)
    memory = Memory(NUMPY, arrays["a"])
    for call in NativeEngine().bind(NUMPY, tracer.program(), arrays, memory).calls():
        assert isinstance(call, NativeCall)
        call()
    np.testing.assert_array_equal(arrays["out"], expected)
    given["out"].check("out")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("then", THEN.values(), ids=THEN)
def test_a_product_is_exact_for_integers_of_any_order_and_size(dtype, then):
    rng = np.random.default_rng(0)
    for number in range(64):
        n, inner, m = rng.choice(EDGES, 3).tolist()
        by_columns = [bool(number >> bit & 1) for bit in range(3)]
        check(n, inner, m, dtype, by_columns, then, rng)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "then", [("add", "relu"), ("multiply_add",), ("relu_gradient",)], ids=" and ".join
)
def test_products_that_are_left_to_blas_are_exact_too(dtype, then):
    check(520, 520, 520, dtype, (False, True, False), then, np.random.default_rng(1))


def check_sparse(n, inner, m, dtype, index, n_matrices, rng):
    """Assert that two models' products with sparse rows, and these transposed, are of integers."""
    shapes = {"b": (inner, m), "delta": (n, m), "out": (n, m), "grad": (inner, m)}
    given = {name: drawn(rng, shape, dtype, False) for name, shape in shapes.items()}
    tracer = Tracer(np.dtype(dtype).name)
    x = tracer.given("x", (n_matrices, n, inner))
    symbols = {name: tracer.given(name, (2, *shape)) for name, shape in shapes.items()}
    tracer.xp.matmul(x, symbols["b"], out=symbols["out"])
    tracer.xp.matmul(x.mT, symbols["delta"], out=symbols["grad"])
    arrays = {name: each.array for name, each in given.items()}
    bound = NativeEngine().bind(NUMPY, tracer.program(), arrays, Memory(NUMPY, arrays["b"]))
    rows, calls = SparseRows(slice(1, 1 + n), [None] * n_matrices), []
    for _ in range(2):
        dense = rng.integers(-3, 4, (n_matrices, n + 2, inner)) * (rng.random(inner) < 0.3)
        blocks = [scipy.sparse.csr_array(each.astype(dtype)) for each in dense]
        for each in blocks:
            each.indices, each.indptr = each.indices.astype(index), each.indptr.astype(index)
        rows.hold(blocks)
        # What was prepared takes other matrices as they are.
        calls = calls or bound.calls(x=rows)
        assert all(isinstance(call, NativeCall | HostNumbers) for call in calls)
        for call in calls:
            call()
        left = dense[:, 1:-1].astype(dtype)
        np.testing.assert_array_equal(arrays["out"], left @ arrays["b"])
        np.testing.assert_array_equal(arrays["grad"], left.swapaxes(1, 2) @ arrays["delta"])
    for name, each in given.items():
        each.check(name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_a_product_with_sparse_rows_is_exact_for_integers(dtype, index):
    rng = np.random.default_rng(0)
    for number in range(20):
        check_sparse(*rng.choice(EDGES, 3).tolist(), dtype, index, 1 + number % 2, rng)
