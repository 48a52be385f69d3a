"""Products of matrices of every size and order in memory.

The factors are small integers: sums of them are exact, in whatever order they are added up.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from skopt_dl_native.binding import NativeCall
from skopt_dl_native.engine import NativeEngine

from skopt_dl.backends import NumPyBackend
from skopt_dl.programs import Memory, Tracer

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


def check(n, inner, m, dtype, by_columns, adds, rng):
    """Assert that a program's product, of two models, is that of integers."""
    shapes = (n, inner), (inner, m), (n, m)
    drawing = zip(shapes, by_columns, strict=True)
    a, b, out = (drawn(rng, shape, dtype, turned) for shape, turned in drawing)
    term = rng.integers(-3, 4, (2, 1, m)).astype(dtype)
    tracer = Tracer(np.dtype(dtype).name)
    x, y, to = (
        tracer.given(name, (2, *shape), order=(0, 2, 1) if turned else None)
        for name, shape, turned in zip(["a", "b", "out"], shapes, by_columns, strict=True)
    )
    tracer.xp.matmul(x, y, out=to)
    if adds:
        to += tracer.given("term", term.shape)
    arrays = {"a": a.array, "b": b.array, "out": out.array, "term": term}
    for call in (
        NativeEngine().bind(NUMPY, tracer.program(), arrays, Memory(NUMPY, a.array)).calls()
    ):
        assert isinstance(call, NativeCall)
        call()
    expected = a.array @ b.array + (term if adds else 0)
    np.testing.assert_array_equal(out.array, expected)
    out.check("out")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("adds", [False, True], ids=["alone", "with a term"])
def test_a_product_is_exact_for_integers_of_any_order_and_size(dtype, adds):
    rng = np.random.default_rng(0)
    for number in range(160):
        n, inner, m = rng.choice(EDGES, 3).tolist()
        by_columns = [bool(number >> bit & 1) for bit in range(3)]
        check(n, inner, m, dtype, by_columns, adds, rng)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_that_are_left_to_blas_are_exact_too(dtype):
    check(520, 520, 520, dtype, (False, True, False), True, np.random.default_rng(1))
