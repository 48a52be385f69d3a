"""Reverse mode through code in which values are shared, cut, written to, or not used."""

import numpy as np
import pytest
from traced import Traced, check_gradient, values, weights

from skopt_dl.backends import get_backend
from skopt_dl.programs import Memory, Tracer, TracingError, differentiate, engine_of


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def used_thrice(xp, x):
    y = xp.tanh(x)
    return y * y + xp.exp(y) + y


def shared_weights(xp, x, w):
    return xp.tanh(xp.tanh(x @ w) @ w) @ w


def residual(xp, x, w):
    return x + xp.tanh(x @ w) + x


def directly(xp, x):
    return x


def directly_and_not(xp, x):
    return [x, x * x]


def same_twice(xp, x):
    return x * x + x / x - (x - x)


def parts_of_parts(xp, x):
    part = x[:, 1:]
    return part[..., 0] * part[..., -1] + x[:, 0, :1]


def part_and_whole(xp, x):
    return [x[:, :1] * 2.0, x * x, x[:, 1] * x[:, 2]]


def whole_and_part(xp, x):
    y = xp.exp(x)
    z = y[..., :2]
    return [y + 1.0, z * z, y]


def reshaped_and_not(xp, x):
    flat = xp.reshape(x, (x.shape[0], -1))
    return [flat * flat, x, xp.permute_dims(flat, (1, 0))]


def in_place_on_what_is_used(xp, x):
    y = x * 2.0
    z = xp.exp(y)
    y *= x
    y += z
    return [y, z]


def in_place_by_an_alias(xp, x):
    y = x * 2.0
    z = y
    z *= x
    return y


def rebound_view(xp, x):
    y = xp.sum(x, axis=-1)
    y /= 3.0
    y *= xp.sum(x * x, axis=-1)
    return y


def branches(xp, x, v, w):
    return xp.concat([xp.tanh(x @ v), x @ w, x], axis=-1) * 2.0


def attention(xp, x, q, k, v):
    def heads(w):
        y = x @ w
        return xp.permute_dims(xp.reshape(y, (*y.shape[:2], 2, 2)), (0, 2, 1, 3))

    scores = heads(q) @ heads(k).mT * 0.7
    scores -= xp.max(scores, axis=-1, keepdims=True)
    p = xp.exp(scores)
    p /= xp.sum(p, axis=-1, keepdims=True)
    return p @ heads(v)


def layer_norm(xp, x):
    return (x - xp.mean(x, axis=-1, keepdims=True)) / xp.sqrt(
        xp.var(x, axis=-1, keepdims=True) + 1e-3
    )


def convolution(xp, x, w):
    image = xp.reshape(x, (*x.shape[:2], 4, 1, 1))
    cut = xp.patches(xp.pad(image, [(0, 0), (0, 0), (1, 1), (0, 0), (0, 0)]), (3, 1), (1, 1))
    return xp.reshape(cut, (*x.shape[:2], 4, 3)) @ xp.expand_dims(w[:, :3, :2], 1)


X, W = (3, 3, 4), (3, 4, 4)


@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (used_thrice, [X]),
        (shared_weights, [X, W]),
        (residual, [X, W]),
        (directly, [X]),
        (directly_and_not, [X]),
        (same_twice, [X]),
        (parts_of_parts, [X]),
        (part_and_whole, [X]),
        (whole_and_part, [X]),
        (reshaped_and_not, [X]),
        (in_place_on_what_is_used, [X]),
        (in_place_by_an_alias, [X]),
        (rebound_view, [X]),
        (branches, [X, W, (3, 4, 2)]),
        (attention, [X, W, W, W]),
        (layer_norm, [X]),
        (convolution, [X, W]),
    ],
)
def test_gradient_equals_central_differences(function, shapes, n_models):
    arrays = [normal(n_models, *shape[1:], seed=i) for i, shape in enumerate(shapes)]
    check_gradient(function, arrays)
    if function not in (convolution, directly_and_not):
        expected = values(function, arrays)
        for found, wanted in zip(Traced(function, arrays).outputs(), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_rows_of_all_models_get_the_sum_of_the_models_gradients():
    check_gradient(shared_weights, [normal(1, 3, 4), normal(3, 4, 4, seed=1)])
    check_gradient(residual, [normal(1, 3, 4), normal(3, 4, 4, seed=1)])


def test_what_nothing_depends_on_has_a_gradient_of_zero():
    found = Traced(lambda xp, x, w: x * 2.0, [normal(2, 3), normal(2, 4)], [0, 1]).run()
    np.testing.assert_array_equal(found["grad 1"], np.zeros((2, 4)))
    tracer = Tracer("float64")
    x, w = tracer.given("x", (2, 3)), tracer.given("w", (2, 4))
    _, gradient = differentiate(tracer, [(x * 2.0, x)], [(x, None), (w, None)])
    assert gradient.shape == w.shape


def test_conditions_and_steps_have_a_gradient_of_zero():
    def function(xp, x):
        return xp.sign(x) * 2.0 + xp.floor(x) + xp.astype(x > 0, xp.float64)

    (x,) = arrays = [normal(2, 3)]
    np.testing.assert_array_equal(Traced(function, arrays, [0]).run()["grad 0"], np.zeros(x.shape))


def test_a_power_of_zero_has_no_undefined_gradient():
    found = Traced(lambda xp, x: x**0 + x**2 + x**1, [np.zeros((2, 3))], [0]).run()
    np.testing.assert_array_equal(found["grad 0"], weights((2, 3)))
    found = Traced(lambda xp, x: xp.power(np.zeros((2, 3)), x), [np.ones((2, 3))], [0]).run()
    np.testing.assert_array_equal(found["grad 0"], np.zeros((2, 3)))


def with_custom(function):
    """Trace code that gets a tracer's ``custom`` as ``xp.custom``."""

    def traced(xp, *arrays):
        xp.custom = xp._tracer.custom
        return function(xp, *arrays)

    return traced


@with_custom
def custom_softplus(xp, x, w):
    def forward(z):
        return xp.log1p(xp.exp(z))

    def backward(delta, out, z):
        return (delta * (1.0 - xp.exp(-out)),)

    z = x @ w
    return xp.custom(forward, backward, z) + z


@with_custom
def custom_of_two(xp, x, w):
    return xp.custom(lambda a, b: a @ b, lambda d, y, a, b: (d @ b.mT, a.mT @ d), x, w) * x


@with_custom
def custom_that_returns_its_input(xp, x, w):
    y = x @ w
    return xp.custom(lambda z: z, lambda d, y, z: (d,), y) + y


@with_custom
def custom_that_works_in_place(xp, x, w):
    def forward(z):
        z *= 3.0
        return z

    y = x @ w
    return xp.custom(forward, lambda d, y, z: (d * 3.0,), y)


@with_custom
def custom_whose_derivative_works_in_place(xp, x, w):
    def backward(delta, out, z):
        delta *= out
        out *= delta
        return (delta,)

    y = x @ w
    return [xp.custom(xp.exp, backward, y) * 2.0, y]


@with_custom
def custom_of_a_row(xp, x, w):
    """A derivative has the shape of the result; the input's is smaller."""
    return xp.custom(lambda a, b: a * b, lambda d, y, a, b: (d * b, d * a), x, w[:, :1])


@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize(
    "function",
    [
        custom_softplus,
        custom_of_two,
        custom_that_returns_its_input,
        custom_that_works_in_place,
        custom_whose_derivative_works_in_place,
        custom_of_a_row,
    ],
)
def test_components_may_know_their_derivative(function, n_models):
    check_gradient(function, [normal(n_models, 4, 4), normal(n_models, 4, 4, seed=1)])


def test_a_component_that_knows_no_derivative_of_an_input_leaves_it_at_zero():
    @with_custom
    def function(xp, x, w):
        return xp.custom(lambda a, b: a * b, lambda d, y, a, b: (d * b, None), x, w)

    arrays = [normal(2, 3), normal(2, 3, seed=1)]
    found = Traced(function, arrays, [0, 1]).run()
    np.testing.assert_allclose(found["grad 0"], weights((2, 3)) * arrays[1])
    np.testing.assert_array_equal(found["grad 1"], np.zeros((2, 3)))


def test_what_a_component_writes_into_its_gradient_is_refused_where_others_see_it():
    @with_custom
    def function(xp, x):
        def backward(delta, out, z):
            delta *= 2.0
            return (delta,)

        return xp.custom(xp.exp, backward, x)

    # The seed is an array that was given.
    with pytest.raises(TracingError, match="its derivative writes into an array that it was given"):
        Traced(function, [normal(2, 3)], [0])


@pytest.mark.parametrize(
    "function",
    [
        lambda xp, x, w: x @ w,
        lambda xp, x, w: xp.tanh(x @ w) @ w,
        lambda xp, x, w: x + w[:, :3],
        lambda xp, x, w: [w, w * w],
        lambda xp, x, w: [w[:, :2], w[:, 1:], w * 2.0],
        lambda xp, x, w: x * 2.0,
        lambda xp, x, w: xp.reshape(w, (2, -1)),
        lambda xp, x, w: xp.broadcast_to(w, (5, *w.shape)),
        lambda xp, x, w: xp.concat([w, x, w], axis=1),
    ],
)
def test_gradients_are_written_where_they_are_wanted_among_others(function):
    arrays = [normal(2, 3, 4), normal(2, 4, 4, seed=1)]
    tracer = Tracer("float64")
    x, w = tracer.given("x", (2, 3, 4)), tracer.given("w", (2, 4, 4))
    grad = tracer.given("grad", (2, 40))
    target = grad[:, 12:28].reshape(2, 4, 4)
    results = function(tracer.xp, x, w)
    results = results if isinstance(results, list) else [results]
    with tracer.untaped():
        seeds = [(each, tracer.given(f"seed {i}", each.shape)) for i, each in enumerate(results)]
    (found,) = differentiate(tracer, seeds, [(w, target)])
    assert found.value is target.value
    program = tracer.program()
    given = {"x": arrays[0], "w": arrays[1], "grad": np.full((2, 40), 7.0)}
    given |= {f"seed {i}": weights(each.shape) for i, each in enumerate(results)}
    b = get_backend("cpu")
    for call in engine_of(b).bind(b, program, given, Memory(b, arrays[0])).calls():
        call()
    expected = Traced(function, arrays, [1]).run()["grad 1"]
    np.testing.assert_allclose(given["grad"][:, 12:28].reshape(2, 4, 4), expected, rtol=1e-13)
    np.testing.assert_array_equal(np.delete(given["grad"], np.s_[12:28], axis=1), 7.0)


def test_a_gradient_is_computed_where_it_is_wanted_without_a_copy():
    program = Traced(
        lambda xp, x, w: xp.tanh(x @ w), [normal(3, 4, 5), normal(3, 5, 2)], [1]
    ).program
    (last,) = [each for each in program.instructions if each.out.buffer.name == "grad 1"]
    assert last.op == "matmul"


def test_gradients_of_what_is_computed_in_between():
    tracer = Tracer("float64")
    x = tracer.given("x", (2, 3))
    y = tracer.xp.exp(x)
    z = y * y
    with tracer.untaped():
        seed = tracer.xp.ones_like(z)
    grad_x, grad_y = differentiate(tracer, [(z, seed)], [(x, None), (y, None)])
    arrays = {"x": normal(2, 3), "of x": np.empty((2, 3)), "of y": np.empty((2, 3))}
    tracer.copy(grad_x, tracer.given("of x", (2, 3)))
    tracer.copy(grad_y, tracer.given("of y", (2, 3)))
    b = get_backend("cpu")
    for call in engine_of(b).bind(b, tracer.program(), arrays, Memory(b, arrays["x"])).calls():
        call()
    np.testing.assert_allclose(arrays["of y"], 2 * np.exp(arrays["x"]), rtol=1e-13)
    np.testing.assert_allclose(arrays["of x"], 2 * np.exp(2 * arrays["x"]), rtol=1e-13)


def write_given(xp, x, w):
    x *= w
    return x * x


def write_given_twice(xp, x, w):
    x += w
    x *= 2.0
    x -= w * w
    return x * 2.0


def test_arrays_that_are_given_may_be_written_to_on_the_way():
    check_gradient(write_given_twice, [normal(2, 3), normal(2, 3, seed=1)], [1])


def needs_what_was(xp, x, w):
    y = x * w
    x *= 2.0
    return y


def parts_written(xp, x, w):
    out = xp.empty_like(x)
    out[:, :1] = x[:, :1] * w[:, :1]
    out[:, 1:] = w[:, 1:]
    return out * 2.0


def seen_through_a_view(xp, x, w):
    y = w * 2.0
    view = y[:, :2]
    y *= x
    return view * 3.0


def view_written(xp, x, w):
    y = w * 2.0
    y[:, :2] *= w[:, :2]
    return y


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (needs_what_was, "needs an array that is written to afterwards"),
        (write_given, "needs an array that is written to afterwards"),
        (parts_written, "it writes to an array that it sees in another way"),
        (view_written, "it writes to an array that it sees in another way"),
        (seen_through_a_view, "it writes to an array that it sees in another way"),
    ],
)
def test_what_reverse_mode_cannot_follow_is_refused(function, why):
    arrays = [normal(2, 3), normal(2, 3, seed=1)]
    (found,), (expected,) = Traced(function, arrays).outputs(), values(function, arrays)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(TracingError, match=why):
        Traced(function, arrays, [1])


def test_calls_of_other_code_have_no_derivative():
    def function(xp, x):
        return xp._tracer.call(np.sort, [x], x.value.like, "np.sort")

    np.testing.assert_array_equal(
        Traced(function, [normal(2, 3)]).outputs()[0], np.sort(normal(2, 3))
    )
    with pytest.raises(TracingError, match="it has no derivative: opaque"):
        Traced(function, [normal(2, 3)], [0])
