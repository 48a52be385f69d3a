"""The whole step runs on any array library: here on array-api-strict, and equals NumPy's."""

import ast
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from problems import ACTIVATIONS, LOSSES, NUMPY, OPTIMIZERS, Problem
from strict_backend import StrictBackend

import skopt_dl
from skopt_dl.backends import Backend, backend_of, cuda_problem, get_backend
from skopt_dl.networks import DensePool, fold, raw_output
from skopt_dl.optimizers import LBFGS, SGD, Adam
from skopt_dl.programs.namespace import OWN_FUNCTIONS
from skopt_dl.schedules import Cosine
from skopt_dl.training import Stopping, TrainingConfig, Validation, minimise

# What each device of array-api-strict catches: stray float64, stray transfers to the host.
DEVICES = {"device1": np.float64, "no_float64": np.float32}


@pytest.fixture(params=DEVICES)
def strict(request, monkeypatch):
    backend = StrictBackend(request.param)
    backend.register(monkeypatch)
    return backend


def train(
    b,
    optimizers,
    loss="multiclass",
    activation="Tanh",
    hidden=(4,),
    n_epochs=3,
    rules=None,
    **options,
):
    """Shuffled epochs with a short last batch, L2 and weights: the runs, and devices seen."""
    network, regularised = options.pop("network", {}), options.pop("regularised", {})
    problem = Problem(loss, activation, hidden, dtype=options.pop("dtype"), **network)
    n_models = len(optimizers)
    devices = []

    def validate(params, models):
        devices.append(getattr(params, "device", None))
        return {"validation_loss": np.zeros(len(models))}

    alpha = [0.1 * k for k in range(n_models)]
    objective = problem.objective(n_models, alpha, weighted=True, b=b, **regularised)
    runs = minimise(
        objective,
        [
            TrainingConfig(optimizer, n_epochs, rule, **options)
            for optimizer, rule in zip(optimizers, rules or [None] * n_models, strict=True)
        ],
        problem.starts(n_models, b),
        batches=problem.batches(range(n_models), batch_size=8),
        validate=validate,
    )
    return runs, devices


def assert_equals_numpy(strict, optimizers, rtol=None, **options):
    dtype = DEVICES[strict.strict_device._device]
    # They differ by the order of summing, over nine steps.
    rtol = rtol or {np.float64: 1e-12, np.float32: 2e-6}[dtype]
    runs, devices = train(strict, optimizers, dtype=dtype, **options)
    expected, _ = train(NUMPY, optimizers, dtype=dtype, **options)
    assert set(devices) == {strict.strict_device}
    for run, same in zip(runs, expected, strict=True):
        assert run.stop_reason == same.stop_reason
        assert run.params.dtype == dtype
        np.testing.assert_allclose(run.history["loss"], same.history["loss"], rtol=rtol)
        np.testing.assert_allclose(run.history["grad_norm"], same.history["grad_norm"], rtol=rtol)
        scale = np.abs(same.params).max()
        np.testing.assert_allclose(run.params, same.params, rtol=0, atol=rtol * scale)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_runs_on_the_array_api(strict, name):
    cls = OPTIMIZERS[name]
    assert_equals_numpy(strict, [cls(), cls(learning_rate=Cosine(0.02)), cls()])


@pytest.mark.parametrize("flag", ["epsilon_inside_sqrt", "centered", "epsilon_hat"])
def test_flags_of_optimizers_run_on_the_array_api(strict, flag):
    classes = [cls for cls in OPTIMIZERS.values() if flag in cls().get_params()]
    assert_equals_numpy(strict, [cls(**{flag: True}) for cls in classes])


def test_all_optimizers_in_one_stack_run_on_the_array_api(strict):
    assert_equals_numpy(strict, [cls() for cls in OPTIMIZERS.values()])


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_runs_on_the_array_api(strict, loss):
    assert_equals_numpy(strict, [Adam(), Adam()], loss=loss)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_runs_on_the_array_api(strict, activation):
    assert_equals_numpy(strict, [Adam(), Adam()], activation=activation, hidden=(4, 3))


@pytest.mark.parametrize("n_models", [1, 2])
def test_every_layer_runs_on_the_array_api(strict, n_models):
    network = {"batch_norm": True, "input_scaling": True}
    regularised = {"label_smoothing": 0.1, "dropout": [0.3, 0.0]}
    assert_equals_numpy(
        strict,
        [Adam()] * n_models,
        hidden=(4, 3),
        network=network,
        regularised=regularised,
        max_grad_norm=0.5,
        ema_decay=0.9,
        rtol={"device1": 1e-11, "no_float64": 1e-4}[strict.strict_device._device],
    )


def test_single_model_without_hidden_layer_runs_on_the_array_api(strict):
    assert_equals_numpy(strict, [SGD()], hidden=())


def test_models_leave_and_keep_their_best_on_the_array_api(strict):
    rules = [
        Stopping(tol=1e6, n_iter_no_change=k, monitor="validation_loss", restore_best=True)
        for k in range(3)
    ]
    assert_equals_numpy(strict, [Adam(), SGD(), SGD(0.1)], rules=rules, n_epochs=5)


def test_diverging_model_gets_its_parameters_back_on_the_array_api(strict):
    optimizers = [SGD(0.01), SGD(1e30)]
    assert_equals_numpy(strict, optimizers, loss="squared_error", activation="Identity")


def test_lbfgs_runs_on_the_array_api(strict):
    # The line search amplifies rounding.
    rtol = {"device1": 1e-9, "no_float64": 1e-2}[strict.strict_device._device]
    assert_equals_numpy(strict, [LBFGS(), LBFGS()], rtol=rtol, n_epochs=4)


def test_training_resumes_on_the_array_api(strict):
    dtype = DEVICES[strict.strict_device._device]
    problem = Problem(dtype=dtype)
    results = []
    for b in (strict, NUMPY):
        objective, batches = problem.objective(2, b=b), problem.batches(range(2))
        params, states = problem.starts(2, b), None
        for _ in range(2):
            runs = minimise(
                objective, Adam(0.1), params, max_epochs=2, batches=batches, resume=states
            )
            params = b.asarray(np.stack([run.params for run in runs]))
            states = [run.state for run in runs]
        results.append([run.params for run in runs])
    np.testing.assert_allclose(*results, rtol=1e-12 if dtype == np.float64 else 1e-4)


def test_gradients_stay_on_the_device(strict):
    problem = Problem(dtype=DEVICES[strict.strict_device._device])
    params = problem.starts(2, strict)
    loss, grad = problem.objective(2, 0.1, b=strict).value_and_grad(params)
    assert loss.device == grad.device == params.device == strict.strict_device
    assert grad.dtype == loss.dtype == params.dtype
    assert backend_of(grad) is strict


# Raw outputs are sums, of which little may be left: another engine rounds what is left otherwise.
@pytest.mark.usefixtures("numpy_engine")
def test_prediction_and_validation_run_on_the_array_api(strict):
    network = {"batch_norm": True, "input_scaling": True}
    problem = Problem(dtype=DEVICES[strict.strict_device._device], **network)
    x, y = problem.x.astype(problem.dtype), problem.y.astype(problem.dtype)
    figures = []
    for b in (strict, NUMPY):
        params = problem.starts(3, b)
        pool = DensePool(b, b.asarray(x))
        plain, params = fold(b, problem.network, problem.with_statistics(params, b))
        raw = raw_output(b, plain, params, pool)
        validation = Validation(b, plain, pool, y, None, lambda raw, params, model: raw.sum())
        figures.append([b.to_numpy(raw), *validation(params, [0, 1, 2]).values()])
    rtol = 100 * np.finfo(problem.dtype).eps
    for ours, numpys in zip(*figures, strict=True):
        np.testing.assert_allclose(ours, numpys, rtol=rtol)


@pytest.mark.parametrize(
    "write",
    [
        lambda b, x: b.product(x, x, x)(),
        lambda b, x: b.product_tn(x, x[:, :, :2], x[:, :, :2])(),
        lambda b, x: b.xp.add(x[:, 1:, :], x[:, :-1, :], out=x[:, 1:, :]),
        lambda b, x: b.xp.multiply(x, x.mT, out=x),
        lambda b, x: b.xp.sum(x, axis=1, out=x[:, 0, :]),
        lambda b, x: b.take(x, np.array([2, 1, 0]), x, axis=1),
    ],
    ids=["product", "product_tn", "shifted", "transposed", "sum", "take"],
)
def test_writing_what_is_yet_to_be_read_is_found(strict, write):
    x = strict.asarray(np.ones((1, 3, 3), DEVICES[strict.strict_device._device]))
    with pytest.raises(AssertionError, match="into its own argument"):
        write(strict, x)


def test_an_element_may_be_written_where_it_was_read(strict):
    x = strict.asarray(np.ones((1, 3, 3), DEVICES[strict.strict_device._device]))
    strict.xp.add(x, x, out=x)
    assert strict.to_numpy(x).sum() == 18


def functions_of_xp():
    """Every name that skopt_dl takes from an array namespace called ``xp``."""
    names = set()
    for path in Path(skopt_dl.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                owner = node.value
                if getattr(owner, "id", getattr(owner, "attr", None)) == "xp":
                    names.add(node.attr)
    return names


def test_functions_in_use_are_those_of_the_array_api():
    import array_api_strict

    assert {"multiply", "matmul", "take"} <= functions_of_xp()
    used = functions_of_xp() - OWN_FUNCTIONS
    assert {name for name in used if not hasattr(array_api_strict, name)} == set()


@pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")
def test_functions_in_use_are_those_of_cupy():
    import cupy

    from skopt_dl.backends._cupy import CuPyBackend

    missing = {name for name in functions_of_xp() - OWN_FUNCTIONS if not hasattr(cupy, name)}
    # Only `Backend.row_dot` takes vecdot, and has another way on CuPy.
    assert missing <= {"vecdot"}
    assert CuPyBackend.row_dot is not Backend.row_dot
    assert all(hasattr(cupy.ndarray, name) for name in ("mT", "shape", "dtype", "ravel"))


@pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")
@pytest.mark.skipif(cuda_problem() is None, reason="there is a GPU")
def test_cupy_without_a_gpu_is_reported():
    with pytest.raises(RuntimeError, match=r"device='cuda' cannot be used: CuPy .* no GPU"):
        get_backend("cuda")


@pytest.mark.skipif(find_spec("cupy") is not None, reason="CuPy is installed")
def test_missing_cupy_is_reported_with_the_line_to_run():
    with pytest.raises(RuntimeError, match=r"pip install 'skopt-dl\[cuda12\]'.* or use device='c"):
        get_backend("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(cuda_problem() is not None, reason=f"no GPU: {cuda_problem()}")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "options",
    [{"loss": loss} for loss in LOSSES] + [{"activation": name} for name in ACTIVATIONS],
    ids=lambda options: next(iter(options.values())),
)
def test_every_loss_activation_and_optimizer_runs_on_the_gpu(options, dtype):
    b = get_backend("cuda")
    optimizers = [cls() for cls in OPTIMIZERS.values()]
    runs, _ = train(b, optimizers, dtype=dtype, **options)
    expected, _ = train(NUMPY, optimizers, dtype=dtype, **options)
    # In these nine steps single precision departs from double by 2.5e-7, two units in the last
    # place, whatever the loss, activation and optimizer: nothing is amplified. A GPU sums in
    # another order, fuses products with sums and has exponentials good to two units: forty times.
    rtol = {np.float64: 1e-12, np.float32: 1e-5}[dtype]
    for run, same in zip(runs, expected, strict=True):
        np.testing.assert_allclose(run.history["loss"], same.history["loss"], rtol=rtol)
        scale = np.abs(same.params).max()
        np.testing.assert_allclose(run.params, same.params, rtol=0, atol=rtol * scale)
