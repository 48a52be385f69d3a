import naive
import numpy as np
import pytest
import scipy.sparse
from problems import ACTIVATIONS, NUMPY, Problem

from skopt_dl.networks import DensePool, SparsePool, prediction, raw_output


def expected(problem, params):
    sizes = problem.network.layer_sizes
    return [naive.forward(row, sizes, problem.activation, problem.x)[1] for row in params]


@pytest.mark.parametrize("hidden", [(), (4,), (4, 6, 3)])
@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_raw_output_is_that_of_a_plain_forward_pass(sparse, n_models, hidden):
    problem = Problem(hidden=hidden)
    params = problem.starts(n_models)
    pool = SparsePool(scipy.sparse.csr_array(problem.x)) if sparse else DensePool(NUMPY, problem.x)
    raw = raw_output(NUMPY, problem.network, params, pool)
    np.testing.assert_allclose(raw, expected(problem, params), rtol=1e-11)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n_samples", [256, 257, 700, 1024])
def test_many_samples_pass_in_parts(n_samples, activation, monkeypatch):
    monkeypatch.setattr(prediction, "PASS_SIZE", 1)
    problem = Problem(activation=activation, n_samples=n_samples)
    params = problem.starts(2)
    raw = raw_output(NUMPY, problem.network, params, DensePool(NUMPY, problem.x))
    np.testing.assert_allclose(raw, expected(problem, params), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pass_size", [1, 300 * 6, 1000 * 6 * 2])
def test_raw_output_of_a_stack_has_the_bits_of_each_model_alone(pass_size, dtype, monkeypatch):
    monkeypatch.setattr(prediction, "PASS_SIZE", pass_size)
    problem = Problem(hidden=(4, 6), n_samples=1000)
    params = problem.starts(5).astype(dtype)
    pool = DensePool(NUMPY, problem.x.astype(dtype))
    together = raw_output(NUMPY, problem.network, params, pool)
    for k in range(5):
        alone = raw_output(NUMPY, problem.network, params[k : k + 1], pool)
        np.testing.assert_array_equal(together[k], alone[0])


def test_samples_of_a_pass_are_as_many_for_a_stack_as_for_a_model(monkeypatch):
    sizes = []
    passes = prediction._passes

    def counted(*args, **kwargs):
        for models, part, *rest in passes(*args, **kwargs):
            sizes.append((models.stop - models.start, part.stop - part.start))
            yield models, part, *rest

    monkeypatch.setattr(prediction, "_passes", counted)
    problem = Problem(hidden=(40,), n_samples=4000)
    pool = DensePool(NUMPY, problem.x)
    for n_models in (1, 5):
        raw_output(NUMPY, problem.network, problem.starts(n_models), pool)
    # 3276 at once and 724 that are left, for one model after the other.
    assert sizes == [(1, 3276), (1, 724)] * 6
