"""Every primitive: its values, and its derivative against central differences."""

import numpy as np
import pytest
import scipy.special
from traced import Traced, check_gradient, strict, values
from traced_code import traced

from skopt_dl.programs import chosen_engine
from skopt_dl.programs.instructions import BINARY, ELEMENTWISE, MOVEMENTS, REDUCTIONS, UNARY
from skopt_dl.programs.reverse import RULES


def positive(*shape, seed=0):
    """Numbers away from zero, all different, also for different seeds: no kink or tie is near."""
    size = int(np.prod(shape))
    array = np.random.default_rng(seed).permutation(np.linspace(0.3, 1.7, size))
    return (array + 0.0171 * seed).reshape(shape)


def apart(*shape, seed=0):
    """The same with either sign."""
    signs = np.random.default_rng(seed + 100).choice([-1.0, 1.0], shape)
    return positive(*shape, seed=seed) * signs


def whole(*shape, high=9):
    """Whole numbers from 1 on."""
    return np.random.default_rng(0).integers(1, high, shape)


def call(name):
    return lambda xp, *arrays: getattr(xp, name)(*arrays)


class Case:
    """A function of the models' arrays, and how exact it is.

    ``of_one`` says whether an array but the first may be of one model, for all.
    """

    def __init__(
        self, name, function, *shapes, make=apart, exact=True, reference=None, of_one=True
    ):
        self.name, self.function, self.shapes = name, function, shapes
        self.make, self.exact, self.of_one = make, exact, of_one
        self.reference = reference or function

    def arrays(self, n_models, of_one=()):
        return [
            self.make(1 if i in of_one else n_models, *shape, seed=i)
            for i, shape in enumerate(self.shapes)
        ]


def case(name, function, *shapes, **options):
    return Case(name, function, *shapes, **options)


def naive_patches(size, stride):
    def function(xp, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=(-3, -2))
        return np.moveaxis(windows[..., :: stride[0], :: stride[1], :, :, :], -3, -1)

    return function


def naive_unpatches(shape, stride):
    def function(xp, patches):
        images = np.zeros((*patches.shape[:-5], *shape))
        down, across, high, wide = patches.shape[-5:-1]
        for i, j, p, q in np.ndindex(down, across, high, wide):
            images[..., i * stride[0] + p, j * stride[1] + q, :] += patches[..., i, j, p, q, :]
        return images

    return function


def naive_erf(xp, x):
    return scipy.special.erf(x)


def naive_relu_gradient(xp, d, a):
    return np.where(a > 0, d, 0.0)


UNARY_CASES = [
    case("negative", lambda xp, x: -x, (3, 4)),
    case("abs", lambda xp, x: abs(x), (3, 4)),
    *(case(name, call(name), (3, 4)) for name in ("sign", "square", "reciprocal", "exp")),
    *(case(name, call(name), (3, 4)) for name in ("expm1", "tanh", "floor")),
    *(case(name, call(name), (3, 4), make=positive) for name in ("sqrt", "log", "log1p")),
    case("erf", call("erf"), (3, 4), reference=naive_erf),
    case("relu", call("relu"), (3, 4), reference=lambda xp, x: np.maximum(x, 0.0)),
    case("isfinite", lambda xp, x: xp.where(xp.isfinite(x), x, 0.0), (3, 4)),
    case("logical_not", lambda xp, x: xp.where(~(x > 0), x, x * x), (3, 4)),
]
BINARY_CASES = [
    case("add", lambda xp, a, b: a + b, (3, 4), (3, 4)),
    case("add a row", lambda xp, a, b: a + b, (3, 4), (1, 4)),
    case("add fewer axes", lambda xp, a, b: a + b[0, 0], (3, 4), (3, 4)),
    case("subtract", lambda xp, a, b: a - b, (3, 4), (3, 1)),
    case("multiply", lambda xp, a, b: a * b, (3, 4), (3, 4)),
    case("multiply by a column", lambda xp, a, b: a * b, (3, 4), (3, 1)),
    case("outer product", lambda xp, a, b: a * b, (1, 4), (3, 1)),
    case("divide", lambda xp, a, b: a / b, (3, 4), (3, 4)),
    case("power", lambda xp, a, b: a**b, (3, 4), (3, 4), make=positive),
    case("maximum", call("maximum"), (3, 4), (3, 4)),
    case("minimum", call("minimum"), (3, 4), (1, 4)),
    case("where", lambda xp, a, b: xp.where(a > b, a * b, b), (3, 4), (3, 4)),
    case("relu_gradient", call("relu_gradient"), (3, 4), (3, 4), reference=naive_relu_gradient),
    case("logical_and", lambda xp, a, b: xp.where((a > 0) & (b > 0), a, b), (3, 4), (3, 4)),
    case("logical_or", lambda xp, a, b: xp.where((a > 0) | (b > 0), a, b), (3, 4), (3, 4)),
    *(
        case(name, lambda xp, a, b, name=name: xp.where(getattr(xp, name)(a, b), a, b), (3,), (3,))
        for name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
    ),
    case(
        "clip between arrays",
        lambda xp, x, a, b: xp.clip(x, -abs(a), abs(b)),
        (3, 4),
        (3, 4),
        (1, 4),
    ),
]
NUMBER_CASES = [
    case("number first", lambda xp, x: (2 - x) / 3 + 1 / x, (3, 4)),
    case("number second", lambda xp, x: (x - 2) * 0.3 - x / 3, (3, 4)),
    *(
        case(f"power {p}", lambda xp, x, p=p: x**p, (3, 4), make=positive)
        for p in (0, 1, 2, 3, 0.5, -1, -1.5)
    ),
    case("power of a number", lambda xp, x: 0.9**x, (3, 4)),
    case("maximum of a number", lambda xp, x: xp.maximum(x, 0.1), (3, 4)),
    case("minimum of a number", lambda xp, x: xp.minimum(0.1, x), (3, 4)),
    case("where of a number", lambda xp, x: xp.where(x > 0.2, x, 0.5), (3, 4)),
    case("clip", lambda xp, x: xp.clip(x, -1.0, 0.91), (3, 4)),
    case("clip on one side", lambda xp, x: xp.clip(x, max=0.91) * xp.clip(x, min=-1.0), (3, 4)),
]
REDUCTION_CASES = [
    case(
        f"{op} over {axis}{' kept' if keepdims else ''}",
        lambda xp, x, op=op, axis=axis, keepdims=keepdims: getattr(xp, op)(
            x, axis=axis, keepdims=keepdims
        ),
        (3, 4),
        exact=op in ("max", "min"),
    )
    for op in ("sum", "max", "min", "mean", "var", "std")
    for axis in (None, 0, 1, 2, -1, (1, 2), (0, 2))
    for keepdims in (False, True)
    # The deviation of a single number is zero, where a root has no slope.
    if not (op == "std" and axis == 0)
] + [
    case("sum of four axes", lambda xp, x: xp.sum(x, axis=(1, 3)), (2, 3, 4), exact=False),
    case("max of ties", lambda xp, x: xp.max(xp.sign(x) * x, axis=1), (3, 4)),
    case("all", lambda xp, x: xp.where(xp.all(x > -1.6, axis=2, keepdims=True), x, -x), (3, 4)),
    case("any", lambda xp, x: xp.where(xp.any(x > 1.6, axis=1, keepdims=True), x, -x), (3, 4)),
]
PRODUCT_CASES = [
    case("matmul", lambda xp, a, b: a @ b, (3, 4), (4, 2)),
    case("matmul of a transpose", lambda xp, a, b: a.mT @ b, (4, 3), (4, 2)),
    case("matmul by a transpose", lambda xp, a, b: xp.matmul(a, b.mT), (3, 4), (2, 4)),
    case("matmul in four dimensions", lambda xp, a, b: a @ b.mT, (2, 3, 4), (2, 5, 4)),
    case("matmul with broadcast axes", lambda xp, a, b: a @ b, (2, 3, 4), (1, 4, 2)),
    case("matmul with a matrix", lambda xp, a, b: a @ b[0], (3, 4), (4, 2)),
    case(
        "matmul of permuted axes",
        lambda xp, a, b: xp.permute_dims(a, (0, 2, 1, 3)) @ xp.permute_dims(b, (0, 2, 3, 1)),
        (3, 2, 4),
        (5, 2, 4),
    ),
    case(
        "matmul of a broadcast",
        lambda xp, a, b: xp.broadcast_to(a, b.shape).mT @ b,
        (4, 1),
        (4, 3),
        of_one=False,
    ),
    case("vecdot", call("vecdot"), (3, 4), (3, 4), exact=False),
    case("vecdot with a row", call("vecdot"), (3, 4), (1, 4), exact=False),
]
SHAPE_CASES = [
    case("part", lambda xp, x: x[:, 1:3, ::2], (4, 5)),
    case("part from behind", lambda xp, x: x[..., -1] * 2.0, (4, 5)),
    case("part with a step back", lambda xp, x: x[:, ::-1, :] * x, (4, 5)),
    case("new axis", lambda xp, x: x[:, None, 1] * x, (4, 5)),
    case("reshape", lambda xp, x: xp.reshape(x, (x.shape[0], -1)), (4, 5)),
    case("reshape that copies", lambda xp, x: xp.reshape(x.mT, (x.shape[0], 20)) * 2.0, (4, 5)),
    case("permute", lambda xp, x: xp.permute_dims(x, (1, 2, 0)), (4, 5)),
    case("all axes reversed", lambda xp, x: x.T * 2.0, (4, 5)),
    case("moveaxis", lambda xp, x: xp.moveaxis(x, 0, -1) * 2.0, (4, 5)),
    case("broadcast", lambda xp, x: xp.broadcast_to(x, (2, *x.shape[:2], 5)) * 2.0, (4, 1)),
    case("expand_dims and squeeze", lambda xp, x: xp.squeeze(xp.expand_dims(x, 1), 1), (4, 5)),
    case("concat", lambda xp, a, b: xp.concat([a, b, a], axis=2), (3, 4), (3, 2), of_one=False),
    case("stack", lambda xp, a, b: xp.stack([a, b], axis=1), (3, 4), (3, 4), of_one=False),
    case(
        "pad",
        lambda xp, x: xp.pad(x, [(0, 0), (1, 2), (0, 3)]),
        (3, 4),
        reference=lambda xp, x: np.pad(x, [(0, 0), (1, 2), (0, 3)]),
    ),
    *(
        case(
            f"patches {size} every {stride}",
            lambda xp, x, size=size, stride=stride: xp.patches(x, size, stride),
            (5, 6, 2),
            reference=naive_patches(size, stride),
        )
        for size in ((2, 3), (1, 1))
        for stride in ((1, 1), (2, 3))
    ),
    *(
        case(
            f"unpatches every {stride}",
            lambda xp, x, shape=shape, stride=stride: xp.unpatches(x, (len(x), *shape), stride),
            (2, 2, 2, 3, 2),
            reference=naive_unpatches(shape, stride),
            exact=False,
        )
        for shape, stride in (((3, 4, 2), (1, 1)), ((5, 7, 2), (2, 3)))
    ),
    case("copy", lambda xp, x: x.copy() * xp.asarray(x, copy=True), (3, 4)),
    case("another dtype", lambda xp, x: xp.astype(x, xp.float64) * 2.0, (3, 4)),
]


def scaled(xp, x):
    y = x * 2.0
    y *= x
    y += 1.0
    y -= x
    y /= 3.0
    y **= 2
    return y


def into_new(xp, x, y):
    out = xp.empty_like(x)
    xp.multiply(x, y, out=out)
    xp.add(out, x, out)
    return xp.exp(out, out=out)


def sum_into(xp, x):
    out = xp.empty(x.shape[:2])
    return xp.sum(x, axis=2, out=out)


def fill(xp, x):
    z = xp.zeros_like(x)
    z += x
    z[...] = z * z
    return z


WRITING_CASES = [
    case("in place", scaled, (3, 4)),
    case("out", into_new, (3, 4), (3, 4)),
    case("sum with out", sum_into, (3, 4), exact=False),
    case("written whole", fill, (3, 4)),
]
CASES = [
    *UNARY_CASES,
    *BINARY_CASES,
    *NUMBER_CASES,
    *REDUCTION_CASES,
    *PRODUCT_CASES,
    *SHAPE_CASES,
    *WRITING_CASES,
]
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def variants(case):
    """Arrays of one model, of three, and with each input but the first of one model."""
    yield case.arrays(1)
    yield case.arrays(3)
    for i in range(1, len(case.shapes)):
        if case.of_one:
            yield case.arrays(3, of_one=[i])


@EVERY
def test_values_are_numpys_to_the_last_bit(case):
    for arrays in variants(case):
        expected = values(case.reference, arrays)
        for found, wanted in zip(Traced(case.function, arrays).outputs(), expected, strict=True):
            if case.exact and chosen_engine().name == "numpy":
                np.testing.assert_array_equal(found, wanted)
            else:
                np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)


@EVERY
def test_reverse_mode_equals_central_differences(case):
    for arrays in variants(case):
        check_gradient(case.function, arrays)


@EVERY
def test_array_api_strict_computes_the_same(case):
    arrays = case.arrays(3)
    wanted = range(len(arrays))
    program = Traced(case.function, arrays, wanted)
    expected, found = program.run(), program.run(strict())
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-13)


@EVERY
def test_an_engine_written_from_the_documentation_computes_the_same(case):
    for arrays in variants(case):
        program = Traced(case.function, arrays, range(len(arrays)))
        expected, found = program.run(), program.run_as_specified()
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("op", ["sum", "max", "min", "mean"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, (1, 2)])
def test_sums_of_whole_numbers_are_exact_in_any_layout(op, axis):
    array = whole(3, 4, 6).astype(float)

    def function(xp, x):
        return getattr(xp, op)(x, axis=axis)

    for order in (None, (0, 2, 1), (2, 0, 1)):
        (found,) = Traced(function, [array], orders=[order]).outputs()
        np.testing.assert_array_equal(found, function(np, array))


@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize("models", [(1, 1), (3, 1), (1, 3), (3, 3)])
def test_rows_are_taken_and_added_by_indices(models, n_models):
    n_table, n_indices = (min(each, n_models) for each in models)
    table, indices = apart(n_table, 5, 2), whole(n_indices, 4, 3, high=6) - 1

    def function(xp, table, indices):
        return xp.take(table, indices, axis=1)

    program = Traced(function, [table, indices], [0])
    for found in (program.run(), program.run(strict()), program.run_as_specified()):
        rows = np.broadcast_to(indices, (max(n_table, n_indices), 4, 3))
        tables = np.broadcast_to(table, (len(rows), 5, 2))
        expected = np.stack([each[places] for each, places in zip(tables, rows, strict=True)])
        np.testing.assert_array_equal(found["out 0"], expected)
    check_gradient(function, [table, indices], [0])


def test_adding_rows_at_indices_is_the_transpose_of_taking_them():
    table, indices, rows = apart(3, 5, 2), whole(3, 4, high=6) - 1, apart(3, 4, 2, seed=1)

    def function(xp, table, indices, rows):
        return xp.add_at(table, indices, rows)

    check_gradient(function, [table, indices, rows], [2])
    (found,) = Traced(function, [table, indices, rows]).outputs()
    expected = np.zeros((3, 5, 2))
    for k in range(3):
        np.add.at(expected[k], indices[k], rows[k])
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), ()], ids=str)
def test_an_element_by_itself_is_read_where_it_lies(shape):
    number = np.full(shape, 3.0)
    found = traced(lambda xp, x, y: x * xp.reshape(y, (-1,))[0], np.arange(5.0)[None], number)
    np.testing.assert_array_equal(found, 3.0 * np.arange(5.0)[None])


def test_every_primitive_that_computes_is_tried():
    ops = set()
    for case in CASES:
        ops |= {each.op for each in Traced(case.function, case.arrays(3)).program.instructions}
    tried_elsewhere = {"take", "add_at"}
    computing = ELEMENTWISE | UNARY | BINARY | REDUCTIONS | MOVEMENTS
    computing |= {"matmul", "vecdot", "add_at", "unpatches"}
    assert computing == ops | tried_elsewhere
    assert computing <= set(RULES) | {"concat"}


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_the_layout_of_what_is_given_changes_no_value(order):
    def function(xp, x, w):
        h = xp.tanh(x @ w)
        return [xp.sum(h * x[..., :2], axis=1), xp.max(h, axis=-1), xp.reshape(h, (3, -1))]

    arrays = [apart(3, 4, 5), apart(3, 5, 2, seed=1)]
    for found, expected in zip(
        Traced(function, arrays, orders=[order, None]).outputs(),
        values(function, arrays),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    check_gradient(function, arrays, orders=[order, None])


@pytest.mark.parametrize(
    ("function", "dtypes"),
    [
        (lambda xp, a, b: a * b, ("float32", "float64")),
        (lambda xp, a, b: a + b, ("int64", "float32")),
        (lambda xp, a, b: a / b, ("int64", "int64")),
        (lambda xp, a, b: a * 2.5, ("int64", "float32")),
        (lambda xp, a, b: a * 2, ("int64", "float32")),
        (lambda xp, a, b: (a > 1) * b, ("int64", "float32")),
        (lambda xp, a, b: a > b, ("int64", "float32")),
        (lambda xp, a, b: xp.where(a > 1, b, 0.0), ("int64", "float32")),
        (lambda xp, a, b: xp.sum(a > 1, axis=1), ("int64", "float32")),
        (lambda xp, a, b: xp.mean(a, axis=1), ("int64", "float32")),
        (lambda xp, a, b: xp.any(b, axis=1), ("int64", "float32")),
        (lambda xp, a, b: xp.sqrt(a), ("int64", "float32")),
        (lambda xp, a, b: xp.concat([a, b], axis=1), ("int64", "float32")),
        (lambda xp, a, b: a[:, None, :] @ b[:, :, None], ("float32", "float64")),
    ],
)
def test_dtypes_are_those_of_numpy(function, dtypes):
    arrays = [whole(3, 4, high=4).astype(dtype) for dtype in dtypes]
    (found,) = Traced(function, arrays, dtype="float32").outputs()
    (expected,) = values(function, arrays)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
