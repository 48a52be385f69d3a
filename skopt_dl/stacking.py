"""Fit jobs: everything a training needs, gathered before it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skopt_dl.backends import Backend, get_backend
from skopt_dl.networks import DensePool, Network, NetworkObjective, SparsePool, TargetPool
from skopt_dl.training import Batches, ModelRun, Stopping, Validation, minimise

Array = Any


@dataclass
class FitJob:
    """One model to train.

    Attributes
    ----------
    network : Network
    optimizer : Optimizer or Minimizer
    params : ndarray of shape (P,)
        Where to start; gives the precision of the training.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : ndarray of shape (n_samples, n_outputs)
        Targets; class labels as indicators.
    sample_weight : ndarray of shape (n_samples, 1) or None
    rows : ndarray of int or None
        Samples to train on; None means all.
    validation_rows : ndarray of int or None
        Samples to validate on.
    score : callable or None
        ``score(raw, y, sample_weight)`` gives the validation score of raw outputs.
    alpha, batch_size, max_epochs, horizon, shuffle, sampling, stopping, device
        As for `NetworkObjective`, `Batches` and `minimise`.
    rng : numpy.random.Generator
    on_epoch_end : callable or None
    resume : dict or None
        ``ModelRun.state`` to go on from.
    """

    network: Network
    optimizer: Any
    params: np.ndarray
    X: Any
    y: np.ndarray
    rng: np.random.Generator
    alpha: float = 0.0
    batch_size: int = 200
    max_epochs: int = 200
    horizon: int | None = None
    shuffle: bool = True
    sampling: str = "shuffle"
    stopping: Stopping | None = None
    device: str = "auto"
    sample_weight: np.ndarray | None = None
    rows: np.ndarray | None = None
    validation_rows: np.ndarray | None = None
    score: Callable[[np.ndarray, np.ndarray, np.ndarray | None], float] | None = None
    on_epoch_end: Callable[[Sequence[ModelRun]], None] | None = None
    resume: dict[str, Any] | None = field(default=None, repr=False)


def train(job: FitJob) -> tuple[ModelRun, str]:
    """Train one model.

    Returns
    -------
    run : ModelRun
    device : str
        Where it was trained: ``"cpu"`` or ``"cuda"``.
    """
    n_samples = job.X.shape[0] if job.rows is None else len(job.rows)
    batches = Batches(
        n_samples,
        job.batch_size,
        shuffle=job.shuffle,
        sampling=job.sampling,
        rngs=[job.rng],
        rows=None if job.rows is None else job.rows[None],
    )
    b = get_backend(job.device, job.network.flops(batches.batch_size))
    dtype = job.params.dtype
    weight = job.sample_weight
    objective = NetworkObjective(
        b,
        job.network,
        _pool(b, job.X, dtype),
        TargetPool(b, b.asarray(job.y, dtype=dtype)),
        alpha=job.alpha,
        sample_weight=None if weight is None else TargetPool(b, b.asarray(weight, dtype=dtype)),
    )
    (run,) = minimise(
        objective,
        job.optimizer,
        b.asarray(job.params[None]),
        max_epochs=job.max_epochs,
        batches=batches,
        stopping=job.stopping,
        validate=None if job.validation_rows is None else _validation(b, job),
        on_epoch_end=job.on_epoch_end,
        resume=None if job.resume is None else [job.resume],
        horizon=job.horizon,
    )
    return run, b.device


def _pool(b: Backend, X: Any, dtype: Any) -> DensePool | SparsePool:
    if hasattr(X, "tocsr"):
        return SparsePool(b.sparse(X))
    return DensePool(b, b.asarray(X, dtype=dtype))


def _validation(b: Backend, job: FitJob) -> Validation:
    assert job.score is not None
    rows, dtype = job.validation_rows, job.params.dtype
    return Validation(
        b,
        job.network,
        _pool(b, job.X, dtype),
        job.y[rows].astype(dtype, copy=False),
        None if job.sample_weight is None else job.sample_weight[rows, 0],
        job.score,
        rows,
    )
