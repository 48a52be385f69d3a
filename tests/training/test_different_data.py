"""Models of a stack may have samples of their own."""

import numpy as np
import pytest
from problems import NUMPY, Problem
from scipy import sparse

from skopt_dl.networks import DensePool, NetworkObjective, SparsePool, TargetPool
from skopt_dl.optimizers import LBFGS, SGD, Adam, Momentum
from skopt_dl.training import Batches, Stopping, TrainingConfig, minimise

OPTIMIZERS = [Adam(0.1), Adam(0.05), Momentum(0.1), SGD(0.3), Adam(0.02)]
# Which of two data sets each model has.
SOURCES = [0, 0, 0, 1, 1]
DROPOUT = [[0.5, 0.0], [0.0, 0.3], [0.0, 0.0], [0.2, 0.2], [0.0, 0.0]]
RULES = [Stopping(tol=1e6, n_iter_no_change=1 + k) for k in range(5)]


def train(
    models, *, network, weighted, is_sparse=False, optimizers=OPTIMIZERS, batch_size=8, **options
):
    problems = [Problem(hidden=(4, 3), seed=seed, **network) for seed in range(2)]
    used = sorted({SOURCES[k] for k in models})
    sources = [used.index(SOURCES[k]) for k in models]
    rows = [np.random.default_rng(k).permutation(23)[:21] for k in models]
    if is_sparse:
        pool = SparsePool(*(sparse.csr_array(problems[i].x) for i in used), sources=sources)
    else:
        pool = DensePool(NUMPY, *(problems[i].x for i in used), sources=sources)
    offsets = 23 * np.array(sources)[:, None]
    y = np.concatenate([problems[i].y for i in used])
    weight = np.concatenate([problems[i].sample_weight for i in used])[:, None]
    rngs = [np.random.default_rng([9, k]) for k in models]
    objective = NetworkObjective(
        NUMPY,
        problems[0].network,
        pool,
        TargetPool(NUMPY, y, offsets),
        n_models=len(models),
        alpha=[0.1 * (k + 1) for k in models],
        sample_weight=TargetPool(NUMPY, weight, offsets) if weighted else None,
        per_model=[DROPOUT[k] for k in models],
        label_smoothing=[0.05 * k for k in models],
        rngs=rngs,
        window=min(21, 10 * batch_size),
    )
    return minimise(
        objective,
        [TrainingConfig(optimizers[k], 7, RULES[k]) for k in models],
        problems[0].starts(5)[models],
        batches=Batches(21, batch_size, rngs=rngs, rows=rows, **options),
    )


def assert_same(run, other):
    assert run.n_epochs == other.n_epochs
    assert run.progress.n_samples_seen == other.progress.n_samples_seen
    assert run.history.keys() == other.history.keys()
    for column in run.history.keys() - {"seconds"}:
        np.testing.assert_array_equal(run.history[column], other.history[column])
    np.testing.assert_array_equal(run.params, other.params)


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"sampling": "replacement"}], ids=str)
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("network", [{}, {"batch_norm": True, "input_scaling": True}], ids=str)
def test_models_with_different_samples_train_as_they_would_alone(
    network, weighted, is_sparse, options
):
    how = {"network": network, "weighted": weighted, "is_sparse": is_sparse, **options}
    together = train([0, 1, 2, 3, 4], **how)
    assert len({run.n_epochs for run in together}) == 5
    for k, run in enumerate(together):
        assert_same(run, *train([k], **how))


def test_full_batches_of_different_samples_train_as_they_would_alone():
    optimizers = [LBFGS(), *[SGD(0.1)] * 4]
    how = {"network": {}, "weighted": False, "optimizers": optimizers, "batch_size": 23}
    together = train([2, 3, 4, 0], **how)
    for k, run in zip([2, 3, 4, 0], together, strict=True):
        assert_same(run, *train([k], **how))
