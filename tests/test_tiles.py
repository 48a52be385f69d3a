"""Large products in tiles: the same bits, whoever computes them."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skopt_dl.backends import NumPyBackend, one_blas_thread
from skopt_dl.backends._tiles import MIN_SIZE, MIN_WIDTH, Tiled, tiles

SHAPES = [(256, 784, 512), (784, 256, 512), (200, 64, 100), (1, 5000, 5000), (210, 300, 330)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiles_cover_a_product_once_and_are_worth_their_while(shape):
    n_rows, n_inner, n_columns = shape
    seen = np.zeros((n_rows, n_columns), dtype=int)
    cut = tiles(*shape)
    for rows, columns in cut:
        seen[rows, columns] += 1
        n, m = seen[rows, columns].shape
        if len(cut) > 1:
            assert max(n, m) >= MIN_WIDTH
            assert n * m * n_inner >= MIN_SIZE
    assert (seen == 1).all()


@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(256, 784, 512), (784, 256, 400)], ids=str)
def test_products_in_tiles_are_those_of_matmul_on_any_number_of_threads(shape, dtype, n_models):
    n_rows, n_inner, n_columns = shape
    rng = np.random.default_rng(0)
    a = rng.normal(size=(n_models, n_rows, n_inner)).astype(dtype)
    b = rng.normal(size=(n_models, n_inner, n_columns)).astype(dtype)
    found = []
    for n_threads in (1, 2, 4):
        out = np.empty((n_models, n_rows, n_columns), dtype)
        with threadpool_limits(n_threads, user_api="blas"), one_blas_thread():
            NumPyBackend().product(a, b, out)()
        found.append(out)
    rtol = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(found[0], a @ b, rtol=rtol, atol=rtol * n_inner**0.5)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def whose(n_tiles):
    """Call a product whose tiles wait for each other, and tell the threads that computed them."""
    meeting, seen = threading.Barrier(n_tiles), []

    def compute():
        seen.append(threading.current_thread())
        meeting.wait(10)

    Tiled([compute] * n_tiles)()
    return seen


def test_who_is_alone_is_helped_by_as_many_threads_as_blas_had():
    with threadpool_limits(2, user_api="blas"):
        with one_blas_thread():
            helped = whose(2)
        assert len(set(helped)) == 2
        assert threading.current_thread() in helped
    # They are gone when the last has left.
    assert not [
        thread for thread in helped if thread.name.startswith("skopt") and thread.is_alive()
    ]


@pytest.mark.parametrize(("n_inside", "n_threads"), [(0, 2), (1, 1), (2, 2)])
def test_nobody_helps_where_blas_had_one_thread_or_others_compute_too(n_inside, n_threads):
    seen = []
    operations = [lambda: seen.append(threading.current_thread())] * 3
    with threadpool_limits(n_threads, user_api="blas"):
        contexts = [one_blas_thread() for _ in range(n_inside)]
        for context in contexts:
            context.__enter__()
        Tiled(operations)()
        for context in contexts:
            context.__exit__()
    assert seen == [threading.current_thread()] * 3


def test_error_in_a_helper_is_raised_where_the_product_was_asked_for():
    meeting = threading.Barrier(2)

    def compute():
        meeting.wait(10)
        if threading.current_thread().name.startswith("skopt"):
            raise ZeroDivisionError

    with (
        threadpool_limits(2, user_api="blas"),
        one_blas_thread(),
        pytest.raises(ZeroDivisionError),
    ):
        Tiled([compute] * 2)()


def test_helpers_treat_overflow_as_their_caller_does():
    huge = np.full((1, 400, 400), 1e308)
    out = np.empty((1, 400, 400))
    assert len(tiles(400, 400, 400)) > 1
    with threadpool_limits(2, user_api="blas"), one_blas_thread(), np.errstate(all="ignore"):
        for _ in range(5):
            NumPyBackend().product(huge, huge.mT, out)()
    assert np.isinf(out).all()
