"""The functions of ``functions.h`` against mpmath, NumPy, and themselves elsewhere in an array."""

import importlib.util
import subprocess
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, HERE.parent / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sweep = loaded("sweep")
pytestmark = pytest.mark.skipif(
    sweep.compiler() is None, reason="no C compiler that takes gcc's options was found"
)
KINDS = [np.float32, np.float64]


# Without options the machine's oldest relative is the target: on x86 one without fused
# multiply-add.
@pytest.fixture(scope="module", params=[(), ("-march=native",)], ids=["oldest", "native"])
def call(request, tmp_path_factory):
    try:
        return sweep.compiled(tmp_path_factory.mktemp("loops"), *request.param)
    except subprocess.CalledProcessError:
        pytest.skip(f"{sweep.compiler()} does not take {' '.join(request.param)}")


@pytest.fixture(scope="module")
def exact():
    """Arguments and exact values of a function, computed once for all targets."""
    known = {}

    def values(name, kind):
        if (name, kind) not in known:
            x = sweep.points(name, kind, 2000, seed=1)
            known[name, kind] = x, sweep.exact_values(name, *x)
        return known[name, kind]

    return values


def assert_near(arguments, got, units):
    worst = int(np.argmax(units))
    place = ", ".join(str(a[worst]) for a in arguments)
    assert units[worst] <= 2, f"f({place}) = {got[worst]} is {units[worst]:.2f} units off"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sweep.NAMES)
def test_values_are_within_two_units_of_those_of_mpmath(call, exact, name, kind):
    x, want = exact(name, kind)
    got = call(name, *x)
    assert_near(x, got, sweep.units_off_exact(got, want))


@pytest.mark.parametrize("name", sweep.NAMES)
def test_float32_is_within_two_units_of_the_value_in_float64(call, name):
    x = sweep.points(name, np.float32, 20_000, seed=2)
    got = call(name, *x)
    assert_near(x, got, sweep.units_off_float64(got, sweep.float64_values(name, *x)))


INF, NAN = np.inf, np.nan
ENDS = {
    "exp": [(0.0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (1e5, INF), (-1e5, 0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1), (1e5, INF), (-1e5, -1)],
    "log": [(0.0, -INF), (-0.0, -INF), (1, 0.0), (INF, INF), (-INF, NAN), (-1, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, NAN), (-1, -INF), (-1.5, NAN)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (1e5, 1), (-1e5, -1)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (1e5, 1), (-1e5, -1)],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ENDS)
def test_zeros_infinities_and_nans_are_exact_down_to_the_sign(call, name, kind):
    x, want = np.array([*ENDS[name], (NAN, NAN)], kind).T.copy()
    # Twice and an odd number more: the body of the loop and its rest both see each value.
    x, want = np.tile(x, 9), np.tile(want, 9)
    got = call(name, x)
    np.testing.assert_array_equal(got, want)
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(want)[numbers])


@pytest.mark.parametrize("kind", KINDS)
def test_exp_ends_at_the_largest_and_the_smallest_number(call, kind):
    limits = np.finfo(kind)
    top = np.nextafter(np.log(limits.max), kind(0))
    bottom = np.nextafter(np.log(limits.smallest_subnormal), kind(0))
    x = np.array([top, np.nextafter(top + 1, top), bottom, 2 * bottom], kind)
    got = call("exp", x)
    assert limits.max / 2 < got[0] <= limits.max
    assert got[1] == np.inf
    assert got[2] == limits.smallest_subnormal
    assert got[3] == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "erf"])
def test_a_subnormal_argument_gives_a_subnormal_result(call, name, kind):
    smallest = np.finfo(kind).smallest_subnormal
    steps = np.arange(1, 40, dtype=kind)
    x = smallest * np.concatenate([steps, -steps])
    slope = 2 / np.sqrt(np.pi) if name == "erf" else 1.0
    want = smallest * np.rint(steps * slope).astype(kind)
    np.testing.assert_array_equal(call(name, x), np.concatenate([want, -want]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_power_of_or_to_a_special_number_is_that_of_numpy(call, kind):
    whole = 2.0 ** np.finfo(kind).nmant
    sizes = [0.0, 0.5, 1, 1.5, 2, 3, 1e30, whole - 0.5, whole, whole + 1, 2 * whole, INF, NAN]
    sizes.append(np.finfo(kind).smallest_subnormal)
    values = np.array([*sizes, *(-s for s in sizes)], kind)
    x, y = (np.ascontiguousarray(a.ravel()) for a in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    got = call("pow", x, y)
    np.testing.assert_array_max_ulp(got[np.isfinite(want)], want[np.isfinite(want)], maxulp=2)
    np.testing.assert_array_equal(got[~np.isfinite(want)], want[~np.isfinite(want)])
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(want)[numbers])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sweep.NAMES)
def test_an_element_has_the_same_bits_wherever_it_lies(call, name, kind):
    x = sweep.points(name, kind, 203, seed=3)
    together = call(name, *x)
    alone = [call(name, *(a[i : i + 1].copy() for a in x)) for i in range(203)]
    shifted = call(name, *(a[5:].copy() for a in x))
    assert_same_bits(np.concatenate(alone), together)
    assert_same_bits(shifted, together[5:])


def assert_same_bits(got, want):
    # Not-a-number may differ in the bits that nobody reads.
    numbers = ~np.isnan(want)
    bits = sweep.INTEGER[want.dtype.type]
    np.testing.assert_array_equal(np.isnan(got), ~numbers)
    np.testing.assert_array_equal(got.view(bits)[numbers], want.view(bits)[numbers])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sweep.NAMES)
def test_the_result_may_be_written_over_the_argument(call, name, kind):
    x = sweep.points(name, kind, 203, seed=4)
    want = call(name, *x)
    np.testing.assert_array_equal(call(name, *x, out=x[0]), want)


def test_gcc_turns_every_loop_into_vector_code(tmp_path):
    version = subprocess.run([sweep.compiler(), "--version"], capture_output=True, text=True)
    if "Free Software Foundation" not in version.stdout:
        pytest.skip(f"{sweep.compiler()} is not gcc, whose report is read")
    report = tmp_path / "report"
    # Without vector code for the rest of a loop each loop is reported once.
    options = ("--param=vect-epilogues-nomask=0", f"-fopt-info-vec-optimized={report}")
    sweep.compiled(tmp_path, "-march=native", *options)
    assert report.read_text().count("loop vectorized") == 2 * len(sweep.NAMES)
