"""Random programs: the same as NumPy's calls, and for each model the same as alone."""

import importlib.util
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TOOLS = Path(__file__).parent.parent / "tools"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = loaded("fuzz")


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.integers(0, 1 << 30), st.sampled_from([1, 3]))
def test_a_random_program_does_what_the_calls_of_numpy_do(seed, n_models):
    fuzz.check(fuzz.Maker(Random(seed), n_models))


@pytest.mark.parametrize("models", [(0,), (2,), (2, 0)])
def test_models_of_a_random_program_have_the_bits_of_each_alone(models):
    for seed in range(25):
        fuzz.check_alone(partial(Random, seed), models)


def test_most_random_programs_are_run_in_c():
    assert sum(fuzz.check(fuzz.Maker(Random(seed), 1)) for seed in range(20)) > 15


def ran(function, *arrays):
    """What a function of arrays writes to them, by the native engine; and by NumPy itself."""
    maker = fuzz.Maker.__new__(fuzz.Maker)
    maker.tracer, maker.arrays, maker.known = fuzz.Tracer("float32"), {}, {}
    given = []
    for i, each in enumerate(arrays):
        given.append(maker.tracer.given(f"array {i}", each.shape, each.dtype))
        maker.arrays[f"array {i}"] = fuzz.Guarded(each)
        maker.known[f"array {i}"] = fuzz.Item(given[-1], 9.0)
    function(maker.tracer.xp, *given)
    fuzz.check(maker)


@pytest.mark.parametrize("step", [-1, 2, -2])
def test_rows_that_run_backwards_or_apart_are_written_where_they_are(step):
    def function(xp, x, y):
        x[:, :, ::step] = y

    n = len(range(5)[::step])
    ran(function, np.zeros((1, 40, 5), "f4"), np.ones((1, 40, n), "f4"))


CROSSED = {
    "the next model's": lambda xp, x, y: y.__setitem__(..., x[::-1]),
    "the first's": lambda xp, x, y: y.__setitem__(..., x[:1]),
    "the last's": lambda xp, x, y: y.__setitem__(..., x[2:]),
    "all of them": lambda xp, x, y: y.__setitem__(..., xp.sum(x.T, axis=(0, 1))[None, :, None] + y),
    "to the first": lambda xp, x, y: x.__setitem__(slice(0, 1), y[1:2] * 2),
}


@pytest.mark.parametrize("which", CROSSED)
@pytest.mark.parametrize("is_given", [True, False])
def test_models_that_read_others_find_what_was_written_before(which, is_given):
    def function(xp, x, y):
        changed = x if is_given else x * 2
        changed *= 3
        changed += 1
        CROSSED[which](xp, changed, y)
        if not is_given:
            x[...] = changed

    x, y = (np.arange(1 + i, 13 + i, dtype="f4").reshape(3, 4, 1) for i in (0, 1))
    ran(function, np.ascontiguousarray(x[:, :3]), np.ascontiguousarray(y[:, :3]))
