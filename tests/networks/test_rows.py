"""Rows that several models share, and rows of each model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import NUMPY
from scipy import sparse

from skopt_dl.networks import Block, DensePool, SparsePool, TargetPool

N_ROWS, N_COLUMNS = 12, 3


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
@pytest.mark.parametrize("is_sparse", [False, True])
def test_products_are_those_of_each_models_own_rows(is_sparse, data):
    # Many neighbours share, few do, or none: all ways of gathering come up.
    n_models = data.draw(st.integers(1, 14))
    n_sources, n_orders = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    pick = lambda n: data.draw(  # noqa: E731
        st.lists(st.integers(0, n - 1), min_size=n_models, max_size=n_models).map(sorted)
    )
    sources, orders = pick(n_sources), pick(n_orders)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((N_ROWS, N_COLUMNS)) for _ in range(n_sources)]
    block = Block(
        np.stack([rng.permutation(N_ROWS)[:7] for _ in range(n_orders)]),
        (4, 3),
        tuple(orders),
    )
    given_sources = sources if n_sources > 1 else []
    if is_sparse:
        pool = SparsePool(*map(sparse.csr_array, arrays), sources=given_sources)
    else:
        pool = DensePool(NUMPY, *arrays, sources=given_sources)
    weights = rng.standard_normal((n_models, N_COLUMNS, 2))
    for batch, rows in zip(pool.batches(block), block.slices, strict=True):
        own = np.stack(
            [arrays[s][block.rows[o, rows]] for s, o in zip(sources, orders, strict=True)]
        )
        out = np.empty((n_models, own.shape[1], 2))
        batch.product(weights, out)()
        np.testing.assert_allclose(out, own @ weights, rtol=1e-12, atol=1e-12)
        delta = rng.standard_normal(out.shape)
        back = np.empty((n_models, N_COLUMNS, 2))
        batch.transposed_product(delta, back)()
        np.testing.assert_allclose(back, own.mT @ delta, rtol=1e-12, atol=1e-12)


def test_targets_follow_the_orders_of_their_models():
    y = np.arange(24.0)[:, None]
    rows = np.array([[3, 1, 2], [0, 5, 4]])
    pool = TargetPool(NUMPY, y, np.array([[0], [12], [12]]))
    found = pool.block(Block(rows, (3,), (1, 0, 0)))
    np.testing.assert_array_equal(found[..., 0], [[0, 5, 4], [15, 13, 14], [15, 13, 14]])
