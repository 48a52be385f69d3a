import naive
import numpy as np
import pytest
from problems import ACTIVATIONS, NUMPY
from traced_code import value_and_slope

from skopt_dl.layers.activations import ELU, LeakyReLU

DTYPES = [np.float32, np.float64]


def evaluate(activation, z):
    """The activation and its derivative, as the backward pass gets it."""
    z = np.array(z)[None, None]
    with NUMPY.quiet():
        value, slope = value_and_slope(activation, z, np.ones_like(z))
    return value[0, 0], slope[0, 0]


def slope_of(function, z, h=1e-3):
    steps = h * np.array([-2.0, -1.0, 1.0, 2.0])
    return function(z[:, None] + steps) @ np.array([1.0, -8.0, 8.0, -1.0]) / (12 * h)


def test_every_activation_has_a_closed_form():
    assert set(naive.ACTIVATIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [40, 4000], ids=["few", "many"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_equals_closed_form(name, n, dtype):
    z = np.random.default_rng(0).normal(scale=3.0, size=n).astype(dtype)
    value, slope = evaluate(ACTIVATIONS[name], z)
    assert value.dtype == slope.dtype == dtype
    eps = np.finfo(dtype).eps
    expected = naive.ACTIVATIONS[name](z.astype(np.float64))
    np.testing.assert_allclose(value, expected, rtol=20 * eps, atol=4 * eps)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_equals_central_differences(name):
    z = np.random.default_rng(0).normal(scale=3.0, size=200)
    z = z[np.abs(z) > 0.01]
    _, slope = evaluate(ACTIVATIONS[name], z)
    expected = slope_of(naive.ACTIVATIONS[name], z)
    np.testing.assert_allclose(slope, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_extreme_input_has_finite_values_and_derivatives(name, dtype):
    z = np.array([-1000.0, -100.0, 0.0, 100.0, 1000.0], dtype=dtype)
    value, slope = evaluate(ACTIVATIONS[name], z)
    eps = np.finfo(dtype).eps
    expected = naive.ACTIVATIONS[name](z.astype(np.float64))
    np.testing.assert_allclose(value, expected, rtol=4 * eps, atol=4 * eps)
    far = np.abs(z) > 1
    expected = slope_of(naive.ACTIVATIONS[name], z.astype(np.float64))
    np.testing.assert_allclose(slope[far], expected[far], rtol=1e-6, atol=1e-6)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(("activation", "left"), [(LeakyReLU(0.0), 0.0), (ELU(0.0), 0.0)])
def test_flat_left_side_stops_the_gradient(activation, left):
    value, slope = evaluate(activation, [-2.0, -0.5, 0.5, 2.0])
    np.testing.assert_array_equal(value, [left, left, 0.5, 2.0])
    np.testing.assert_array_equal(slope, [left, left, 1.0, 1.0])


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        (LeakyReLU(0.3), lambda z: np.where(z > 0, z, 0.3 * z)),
        (ELU(2.5), lambda z: np.where(z > 0, z, 2.5 * np.expm1(z))),
    ],
    ids=["LeakyReLU", "ELU"],
)
def test_parameters_shape_the_left_side(activation, function):
    z = np.linspace(-3.1, 3.0, 50)
    value, slope = evaluate(activation, z)
    np.testing.assert_allclose(value, function(z), rtol=1e-14)
    np.testing.assert_allclose(slope, slope_of(function, z), rtol=1e-9, atol=1e-10)
