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
