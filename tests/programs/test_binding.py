"""Programs that are bound once, to inputs that differ between runs."""

import numpy as np
import pytest

from skopt_dl.backends import NumPyBackend
from skopt_dl.programs import Binding, Memory, Tracer


class Rows:
    """Rows of samples that are in no array until they are written to one."""

    values = None

    def __init__(self, array):
        self.array, self.n_writes = array, 0

    def write(self, out):
        self.n_writes += 1
        out[...] = self.array

    def product(self, weights, out):
        return lambda: np.matmul(self.array, weights, out=out)


WEIGHTS = np.array([[[1.0, -2.0], [0.5, 3.0]]])


@pytest.fixture
def binding():
    """``out = tanh(x) + x.mT.mT * 3 + x @ WEIGHTS``, of which only `x` and `out` vary."""
    tracer, b = Tracer("float64"), NumPyBackend()
    x, weights = tracer.given("x", (1, 3, 2)), tracer.given("weights", (1, 2, 2))
    tripled = (x.mT * 3.0).mT
    result = tracer.xp.tanh(x) + tripled + x @ weights
    tracer.assign(tracer.given("out", (1, 3, 2)), result)
    return Binding(b, tracer.program(), {"weights": WEIGHTS}, Memory(b, WEIGHTS))


def expected(x):
    return np.tanh(x) + x * 3.0 + x @ WEIGHTS


def run(calls):
    for call in calls:
        call()


def test_calls_keep_the_inputs_that_they_were_made_for(binding):
    rng = np.random.default_rng(0)
    places = [(rng.normal(size=(1, 3, 2)), np.empty((1, 3, 2))) for _ in range(3)]
    calls = [binding.calls(x=x, out=out) for x, out in places]
    for k in (2, 0, 1):
        run(calls[k])
    for x, out in places:
        np.testing.assert_allclose(out, expected(x), rtol=1e-15)


def test_rows_in_no_array_are_written_once_however_many_read_them(binding):
    out, x = np.empty((1, 3, 2)), np.random.default_rng(0).normal(size=(1, 3, 2))
    for array in (x, x + 1.0):
        rows = Rows(array)
        run(binding.calls(x=rows, out=out))
        assert rows.n_writes == 1
        np.testing.assert_allclose(out, expected(array), rtol=1e-15)


def test_an_array_may_follow_rows_in_no_array(binding):
    out, x = np.empty((1, 3, 2)), np.random.default_rng(0).normal(size=(1, 3, 2))
    run(binding.calls(x=Rows(x), out=out))
    run(binding.calls(x=-x, out=out))
    np.testing.assert_allclose(out, expected(-x), rtol=1e-15)


def test_rows_in_no_array_that_are_always_the_same_are_written_for_each_run(binding):
    rows, b = Rows(np.random.default_rng(0).normal(size=(1, 3, 2))), NumPyBackend()
    given = {"weights": WEIGHTS, "x": rows}
    of_one = Binding(b, binding.program, given, Memory(b, WEIGHTS))
    outs = [np.empty((1, 3, 2)) for _ in range(2)]
    for calls, out in [(of_one.calls(out=out), out) for out in outs]:
        run(calls)
        np.testing.assert_allclose(out, expected(rows.array), rtol=1e-15)
        rows.array = rows.array + 1.0
