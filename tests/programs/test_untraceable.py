"""What cannot be traced says why, and raises nothing else; sums of the step's number are exact."""

import math

import numpy as np
import pytest
from traced import Traced

from skopt_dl.programs import HostScalar, Symbol, Tracer, TracingError

X = np.ones((2, 3))


def traced(function, *shapes, number=False):
    """Call a function with recorded arrays, as those who trace array code do."""
    tracer = Tracer("float64")
    given = [tracer.given(f"x {i}", shape) for i, shape in enumerate(shapes or [(2, 3)])]
    more = [tracer.number()] if number else []
    return tracer.trace(function, tracer.xp, *given, *more)


def branch(xp, x):
    return x if x > 0 else -x


def loop(xp, x):
    return [each for each in x]  # noqa: C416


def while_large(xp, x):
    while xp.max(x) > 1:
        x = x / 2
    return x


def assign_by_mask(xp, x):
    x[x > 0] = 0.0


def delete(xp, x):
    del x[0]


def write_real(xp, x):
    xp.add(x, 1.0, out=np.zeros((2, 3)))


def write_into_real(xp, x):
    array = np.zeros((2, 3))
    array += x


def write_broadcast(xp, x):
    view = xp.broadcast_to(x, (4, 2, 3))
    view += 1.0


def write_constant(xp, x):
    constant = xp.reshape(np.zeros(6), (2, 3))
    constant += x


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (branch, "it asks for the values of an array"),
        (while_large, "it asks for the values of an array"),
        (loop, "it asks for the values of an array"),
        (lambda xp, x: float(xp.sum(x)), "it asks for the values of an array"),
        (lambda xp, x: int(x[0, 0]), "it asks for the values of an array"),
        (lambda xp, x: round(x), "it asks for the values of an array"),
        (lambda xp, x: [1, 2][x], "it asks for the values of an array"),
        (lambda xp, x: 1.0 in x, "it asks for the values of an array"),
        (lambda xp, x: math.exp(xp.sum(x)), "it asks for the values of an array"),
        (lambda xp, x: np.asarray(x), "it asks for the values of an array"),
        (lambda xp, x: max(x, 0.0), "it asks for the values of an array"),
        (lambda xp, x: x in [x * 2], "it asks for the values of an array"),
        (lambda xp, x: x.tolist(), "it uses .tolist of an array"),
        (lambda xp, x: x.item(), "it uses .item of an array"),
        (lambda xp, x: xp.linalg.qr(x), "it uses xp.linalg"),
        (lambda xp, x: xp.random.normal(size=3), "it uses xp.random"),
        (lambda xp, x: xp.no_such_function(x), "it uses xp.no_such_function"),
        (lambda xp, x: xp.sort(x), "it calls xp.sort, which cannot be traced"),
        (lambda xp, x: xp.cumsum(x, axis=1), "it calls xp.cumsum"),
        (lambda xp, x: xp.hstack([x, x]), "it calls xp.hstack"),
        (lambda xp, x: np.exp(x), "it raises TypeError: operand 'Symbol' does not support ufuncs"),
        (lambda xp, x: x[x > 0], "by an array of indices or a mask"),
        (lambda xp, x: x[[0, 1]], "by an array of indices or a mask"),
        (lambda xp, x: x[np.array([0, 1])], "by an array of indices or a mask"),
        (assign_by_mask, "by an array of indices or a mask"),
        (lambda xp, x: xp.take(x, np.array([0]), axis=1), "by indices, other than rows"),
        (lambda xp, x: x[True], "by an array of indices or a mask"),
        (lambda xp, x: x[5], "it takes element 5 of an axis of length 2"),
        (lambda xp, x: x[0, 0, 0], "of an array of shape"),
        (delete, "it raises"),
        (lambda xp, x: x // 2, "it uses //"),
        (lambda xp, x: 2 % x, "it uses //"),
        (lambda xp, x: x ^ x, "it uses //"),
        (lambda xp, x: ~x, "it works on the bits of numbers"),
        (lambda xp, x: x & x, "it works on the bits of numbers"),
        (lambda xp, x: -(x > 0), "numpy boolean negative"),
        (lambda xp, x: (x > 0) - (x > 1), "numpy boolean subtract"),
        (lambda xp, x: x + "a", "it computes with an object of type str"),
        (lambda xp, x: x + None, "it computes with an object of type NoneType"),
        (lambda xp, x: x * [1, 2, 3], "it computes with an object of type list"),
        (lambda xp, x: x * 1j, "it computes with an object of type complex"),
        (lambda xp, x: x + np.ones((2, 4)), "shape mismatch"),
        (lambda xp, x: x @ x, "it multiplies shapes"),
        (lambda xp, x: x @ 2.0, "it multiplies shapes"),
        (lambda xp, x: xp.vecdot(x, np.ones((2, 4))), "shape mismatch"),
        (lambda xp, x: xp.sum(x, axis=5), "axis 5 is out of bounds"),
        (lambda xp, x: xp.sum(x, dtype=np.float32), "unexpected keyword argument 'dtype'"),
        (lambda xp, x: xp.add(x), "it calls xp.add with 1 arguments"),
        (lambda xp, x: xp.add(x, x, x, x), "it calls xp.add with 4 arguments"),
        (lambda xp, x: xp.reshape(x, (4, 2)), "it reshapes"),
        (lambda xp, x: xp.reshape(x, (-1, -1)), "it reshapes"),
        (lambda xp, x: xp.broadcast_to(x, (3, 2)), "it takes an array of shape"),
        (lambda xp, x: xp.concat([x, x[:, :2]], axis=0), "it concatenates shapes"),
        (lambda xp, x: xp.permute_dims(x, (0, 0)), "repeated axis"),
        (lambda xp, x: x.__setitem__(..., np.ones((2, 4))), "it takes an array of shape"),
        (lambda xp, x: xp.add(x, x, out=xp.zeros((2, 4))), "it writes shape"),
        (
            lambda xp, x: xp.add(x, x, out=xp.zeros((2, 3), dtype=np.int64)),
            "it writes float64 into",
        ),
        (write_real, "it writes into an array that was there before"),
        (write_into_real, "it raises"),
        (write_constant, "it writes into an array that was there before"),
        (write_broadcast, "it writes into an array that was broadcast"),
        (lambda xp, x: 1 / 0, "it raises ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_traced_says_why(function, why):
    with pytest.raises(TracingError) as caught:
        traced(function)
    assert why in str(caught.value), str(caught.value)
    assert type(caught.value).__module__.startswith("skopt_dl.programs")


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda xp, x, t: math.sqrt(t), "it asks for the number of the step"),
        (lambda xp, x, t: x if t > 3 else -x, "it asks for the number of the step"),
        (lambda xp, x, t: x if t % 2 == 0 else -x, "it asks for the number of the step"),
        (lambda xp, x, t: min(1.0, t / 10) * x, "it asks for the number of the step"),
        (lambda xp, x, t: range(t), "it asks for the number of the step"),
        (lambda xp, x, t: round(t), "it asks for the number of the step"),
        (lambda xp, x, t: f"{t:d}", "it asks for the number of the step"),
        (lambda xp, x, t: x[t], "it takes elements by the number of the step"),
        (lambda xp, x, t: xp.zeros((t, 3)), "it asks for the number of the step"),
    ],
)
def test_what_depends_on_the_number_of_the_step_says_so(function, why):
    with pytest.raises(TracingError, match=why):
        traced(function, number=True)


def test_hasattr_of_what_is_recorded_is_an_answer():
    def function(xp, x):
        return [
            hasattr(x, "tolist"),
            hasattr(xp, "no_such"),
            hasattr(x, "shape"),
            hasattr(xp, "erf"),
        ]

    assert traced(function) == [False, False, True, True]


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    "function",
    [
        lambda t: 1 - 0.999**t,
        lambda t: 0.1 / (1 + 0.01 * t) ** 0.5,
        lambda t: (t - 1) / (t + 2),
        lambda t: 2**-t + abs(-t),
        lambda t: t // 3 + t % 3 + 7 // t,
        lambda t: (t > 5) * 1.5 + (t == 2),
        lambda t: -t + +t * (t <= 3),
    ],
)
def test_sums_of_the_steps_number_are_exact_floats_of_python(function, step):
    found = function(Tracer("float32").number())
    assert isinstance(found, HostScalar)
    assert found(step) == function(step)
    assert type(found(step)) is type(function(step))


def test_functions_of_the_steps_number_are_computed_on_the_host():
    tracer = Tracer("float32")
    t, xp = tracer.number(), tracer.xp
    found = [xp.sqrt(1 - 0.999**t), xp.minimum(t / 10, 1.0), xp.exp(-t), xp.power(0.9, t)]
    assert [each(4) for each in found] == [
        math.sqrt(1 - 0.999**4),
        0.4,
        np.exp(-4),
        0.9**4,
    ]
    assert not tracer.instructions
    assert xp.sqrt(2.0) == math.sqrt(2.0)
    assert not tracer.instructions


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_steps_number_counts_as_a_number_where_it_meets_an_array(dtype):
    def function(xp, x):
        t = x._tracer.number()
        return x * (1 - 0.9**t) + xp.where(t > 2, x, 0.0)

    x = np.random.default_rng(0).normal(size=(2, 3)).astype(dtype)
    # The tests run step 3.
    (found,) = Traced(function, [x], dtype="float64").outputs()
    expected = x * (1 - 0.9**3) + x
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_one_number_is_one_input_for_all_that_use_it():
    tracer = Tracer("float64")
    x, t = tracer.given("x", (2, 3)), tracer.number()
    scale = 1.0 / t
    x *= scale
    x += scale
    assert list(tracer.scalars) == ["scalar 0"]


def test_what_is_not_recorded_is_computed_while_tracing():
    def function(xp, x):
        eps = float(xp.finfo(x.dtype).eps)
        return x * xp.arange(3.0) + xp.eye(3)[0] + eps

    (found,) = Traced(function, [X]).outputs()
    np.testing.assert_array_equal(found, X * np.arange(3.0) + np.eye(3)[0] + 2.0**-52)


def test_arrays_that_were_there_are_read_when_a_program_runs():
    rate = np.full((2, 1), 0.5)
    traced_once = Traced(lambda xp, x: rate * x + x * rate, [X])
    (first,) = traced_once.outputs()
    rate *= 3.0
    (second,) = traced_once.outputs()
    assert (first[0, 0], second[0, 0]) == (1.0, 3.0)


def test_an_array_of_one_number_takes_memory_only_if_it_is_written_to():
    tracer = Tracer("float64")
    x = tracer.given("x", (2, 3))
    x += tracer.xp.ones((2, 3)) * 2.0
    kept = tracer.xp.zeros((2, 3))
    assert isinstance(kept, Symbol)
    part = kept[:, 0]
    part += 1.0
    x *= kept
    (found,) = Traced(lambda xp, x: add_to_part(xp, x), [X]).outputs()
    np.testing.assert_array_equal(found, [[2.0, 0.0, 0.0]] * 2)


def add_to_part(xp, x):
    kept = xp.zeros_like(x)
    part = kept[:, 0]
    part += 2.0
    return x * kept
