import numpy as np
import pytest
from strict_backend import StrictBackend

from skopt_dl import MLPClassifier, backends
from skopt_dl.backends import (
    Backend,
    NumPyBackend,
    backend_for_prediction,
    backend_of,
    get_backend,
    like_input,
    register_backend,
    run_all,
    to_host,
)
from skopt_dl.backends import _select as select
from skopt_dl.estimators import report


class FakeGPU(Backend):
    device = "cuda"


class CommonBackend(Backend):
    """What every backend has that does not override it, with NumPy's functions."""

    xp = np


@pytest.fixture
def gpu(monkeypatch):
    """A machine that seems to have a GPU."""
    fake = FakeGPU()
    monkeypatch.setattr(select, "cuda_problem", lambda: None)
    monkeypatch.setitem(select._factories, "cupy", lambda: fake)
    monkeypatch.setattr(select, "_instances", {})
    return fake


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(select, "cuda_problem", lambda: "there is none. Buy one")


@pytest.fixture
def strict(monkeypatch):
    backend = StrictBackend("device1")
    backend.register(monkeypatch)
    return backend


def test_cpu_is_numpy():
    assert isinstance(get_backend("cpu"), NumPyBackend)
    assert get_backend("cpu") is backend_of(np.ones(1)) is get_backend("cpu")
    assert get_backend("cpu").device == "cpu"


@pytest.mark.usefixtures("no_gpu")
def test_cuda_without_a_gpu_says_what_is_missing_and_what_to_do():
    message = "device='cuda' cannot be used: there is none. Buy one, or use device='cpu'"
    with pytest.raises(RuntimeError, match=message):
        get_backend("cuda")


@pytest.mark.parametrize("machine", ["gpu", "no_gpu"])
def test_gpu_is_taken_only_where_it_is_asked_for(machine, request):
    backend = request.getfixturevalue(machine)
    assert get_backend("auto").device == get_backend("cpu").device == "cpu"
    if machine == "gpu":
        assert get_backend("cuda") is backend


@pytest.mark.parametrize(
    ("machine", "params", "n_lines"),
    [
        ("gpu", {"verbose": True}, 1),
        ("gpu", {"verbose": True, "device": "cpu"}, 0),
        ("gpu", {}, 0),
        ("no_gpu", {"verbose": True}, 0),
    ],
)
def test_verbose_fit_names_a_gpu_that_auto_leaves_alone(
    machine, params, n_lines, request, monkeypatch, capsys
):
    request.getfixturevalue(machine)
    monkeypatch.setattr(report, "cuda_problem", select.cuda_problem)
    model = MLPClassifier(2, max_iter=2, optimizer="lbfgs", tol=1e9, **params)
    assert model.fit(np.eye(4), [0, 1, 0, 1]).device_ == "cpu"
    lines = [line for line in capsys.readouterr().out.splitlines() if "GPU" in line]
    assert len(lines) == n_lines
    assert all("device='cuda' trains on it, untested" in line for line in lines)


def test_model_of_a_gpu_predicts_where_there_is_one(gpu):
    assert backend_for_prediction(np.ones(1), "cuda") is gpu
    assert backend_for_prediction(np.ones(1), "cpu").device == "cpu"


@pytest.mark.usefixtures("no_gpu")
def test_model_of_a_gpu_predicts_on_the_cpu_where_there_is_none():
    assert backend_for_prediction(np.ones(1), "cuda").device == "cpu"


def test_input_of_a_device_gives_output_of_that_device(strict):
    array = strict.asarray(np.ones((2, 3)))
    assert backend_for_prediction(array, "cpu") is strict
    assert isinstance(to_host(array), np.ndarray)
    output = like_input(np.zeros(2), array)
    assert output.device == array.device
    labels = np.array(["a", "b"])
    assert like_input(labels, array) is labels


@pytest.mark.parametrize("other", [[1.0, 2.0], np.ones(2), None])
def test_what_is_not_of_a_device_is_left_as_it_is(other):
    assert to_host(other) is other
    result = np.zeros(2)
    assert like_input(result, other) is result


def test_registering_again_replaces_the_backend(strict):
    other = StrictBackend("no_float64")
    array = strict.asarray(1.0)
    assert backend_of(array) is strict
    register_backend("array_api_strict", lambda: other)
    assert backend_of(array) is other


def test_library_without_a_backend_is_named_with_what_can_be_done():
    with pytest.raises(
        TypeError, match=r"builtins\.list; .*numpy.* Convert it with numpy\.asarray"
    ):
        backend_of([1.0])


def test_backend_without_an_error_function_says_so():
    with pytest.raises(NotImplementedError, match="FakeGPU has no error function"):
        FakeGPU().erf(None, None)


def test_public_names_are_all_there():
    assert all(hasattr(backends, name) for name in backends.__all__)


SHAPES = [(1, 4, 5, 3), (3, 4, 5, 3), (3, 1, 5, 1)]


@pytest.mark.parametrize("b", [get_backend("cpu"), CommonBackend()], ids=["numpy", "common"])
@pytest.mark.parametrize(("n_models", "rows", "n", "m"), SHAPES)
def test_products_are_those_of_each_model(b, n_models, rows, n, m):
    rng = np.random.default_rng(0)
    a, weights = rng.normal(size=(n_models, rows, n)), rng.normal(size=(n_models, n, m))
    delta = rng.normal(size=(n_models, rows, m))
    for prepare, left, right, subscripts in (
        (b.product, a, weights, "kij,kjl->kil"),
        (b.product_tn, a, delta, "kji,kjl->kil"),
        (b.product_nt, delta, weights, "kij,klj->kil"),
    ):
        expected = np.einsum(subscripts, left, right)
        for out in (np.empty(expected.shape), np.empty(expected.mT.shape).mT):
            prepare(left, right, out)()
            np.testing.assert_allclose(out, expected, rtol=1e-12)


@pytest.mark.parametrize("size", [10, 10_000])
def test_numpys_own_forms_equal_the_common_ones(size):
    common, own = CommonBackend(), get_backend("cpu")
    rng = np.random.default_rng(0)
    x, indices = rng.normal(size=(size, 2)), rng.integers(size, size=7)
    out, expected = np.empty_like(x), np.empty_like(x)
    own.rectify(x, out)()
    common.rectify(x, expected)()
    np.testing.assert_array_equal(out, expected)
    for b in (own, common):
        masked = np.empty_like(x)
        run_all(b.rectify_gradient(x + 1, out, masked))
        np.testing.assert_array_equal(masked, np.where(x > 0, x + 1, 0.0))
    np.testing.assert_allclose(own.row_max(x), common.row_max(x), rtol=1e-15)
    sums = [np.empty((size, 1)) for _ in range(2)]
    for b, total in zip((own, common), sums, strict=True):
        b.row_sum(x, total)()
    np.testing.assert_allclose(*sums, rtol=1e-15)
    np.testing.assert_allclose(own.row_dot(x, x), common.row_dot(x, x), rtol=1e-15)
    for b in (own, common):
        gathered = np.empty((7, 2))
        b.take(x, indices, gathered)
        np.testing.assert_array_equal(gathered, x[indices])


@pytest.mark.parametrize("n_outputs", [3, 11, 40])
def test_sum_of_a_row_has_the_same_bits_alone_and_among_others(n_outputs):
    # Output-major, as raw outputs are.
    several = np.random.default_rng(0).normal(size=(20, n_outputs, 4)).mT
    first = np.ascontiguousarray(several[:, :1, :].mT).mT
    backend = NumPyBackend()
    alone, among = np.empty((20, 1, 1)), np.empty((20, 4, 1))
    backend.row_sum(first, alone)()
    backend.row_sum(several, among)()
    np.testing.assert_array_equal(alone, among[:, :1, :])
    np.testing.assert_allclose(alone[..., 0], first.sum(axis=-1), rtol=1e-10)


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_sum_of_batches_has_the_same_bits_for_one_model_and_many_in_any_blocks(cut):
    terms = np.random.default_rng(0).normal(size=(40, 20))
    backend = NumPyBackend()
    whole = backend.sum_on(terms, None)
    alone = [backend.sum_on(terms[:, k : k + 1], None)[0] for k in range(20)]
    in_blocks = None
    for start in range(0, 40, cut):
        in_blocks = backend.sum_on(terms[start : start + cut], in_blocks)
    np.testing.assert_array_equal(whole, alone)
    np.testing.assert_array_equal(whole, in_blocks)
    np.testing.assert_allclose(whole, terms.sum(axis=0), rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gap", [0, 5])
def test_product_of_one_model_has_the_bits_it_has_in_a_stack(dtype, gap):
    rng = np.random.default_rng(0)
    backend = NumPyBackend()
    for _ in range(200):
        n, m, k = rng.choice([1, 2, 3, 8, 17, 32, 65], size=3)
        # Output-major with a gap, as a batch of several in a block is.
        a = rng.normal(size=(3, m, n + gap)).astype(dtype).mT[:, :n, :]
        b = rng.normal(size=(3, m, k)).astype(dtype)
        together, alone = (np.empty((number, n, k), dtype) for number in (3, 1))
        backend.product(a, b, together)()
        for i in range(3):
            backend.product(a[i : i + 1], b[i : i + 1], alone)()
            np.testing.assert_array_equal(alone[0], together[i])
