"""Fit jobs: everything a training needs, gathered before it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skopt_dl.backends import Backend, get_backend
from skopt_dl.networks import DensePool, Network, NetworkObjective, SparsePool, TargetPool
from skopt_dl.networks.batch_norm import WINDOW
from skopt_dl.training import Batches, ModelRun, Stopping, Validation, minimise

Array = Any


@dataclass
class ValidationSet:
    """What a model is validated on after each epoch.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples, 1) or None
    score : callable
        ``score(raw, params)`` of one model's raw outputs, ``(n_rows, n_outputs)``, and of the
        weights and biases that gave them.
    rows : ndarray of int or None
        Which samples to take; None means all.
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    score: Callable[[np.ndarray, np.ndarray], float]
    rows: np.ndarray | None = None


@dataclass
class FitJob:
    """One model to train.

    Attributes
    ----------
    network : Network
    optimizer : Optimizer or Minimizer
    params : ndarray of shape (P + S,)
        Where to start, with the statistics of batch normalisation if there is any; gives the
        precision of the training.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : ndarray of shape (n_samples, n_outputs)
        Targets; class labels as indicators.
    sample_weight : ndarray of shape (n_samples, 1) or None
    rows : ndarray of int or None
        Samples to train on; None means all.
    validation : ValidationSet or None
    alpha, label_smoothing, dropout : float, float, float or sequence of float
        As for `NetworkObjective`.
    batch_size, shuffle, sampling
        As for `Batches`.
    max_epochs, horizon, stopping, max_grad_norm, ema_decay
        As for `minimise`.
    device : str
    rng : numpy.random.Generator
    on_epoch_begin, on_epoch_end : callable or None
        Called with the `ModelRun`.
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
    label_smoothing: float = 0.0
    dropout: float | Sequence[float] = 0.0
    batch_size: int = 200
    max_epochs: int = 200
    horizon: int | None = None
    shuffle: bool = True
    sampling: str = "shuffle"
    stopping: Stopping | None = None
    max_grad_norm: float = np.inf
    ema_decay: float = 0.0
    device: str = "auto"
    sample_weight: np.ndarray | None = None
    rows: np.ndarray | None = None
    validation: ValidationSet | None = None
    on_epoch_begin: Callable[[ModelRun], None] | None = None
    on_epoch_end: Callable[[ModelRun], None] | None = None
    resume: dict[str, Any] | None = field(default=None, repr=False)


def train(jobs: Sequence[FitJob]) -> tuple[list[ModelRun], str]:
    """Train models as one stack.

    Parameters
    ----------
    jobs : sequence of K FitJob
        Alike in their network, data, batches, validation set and number of epochs; what differs
        from model to model may differ.

    Returns
    -------
    runs : list of K ModelRun
    device : str
        Where they were trained: ``"cpu"`` or ``"cuda"``.
    """
    job = jobs[0]
    n_samples = job.X.shape[0] if job.rows is None else len(job.rows)
    batches = Batches(
        n_samples,
        job.batch_size,
        shuffle=job.shuffle,
        sampling=job.sampling,
        rngs=[each.rng for each in jobs],
        rows=None if job.rows is None else [job.rows] * len(jobs),
    )
    b = get_backend(job.device, len(jobs) * job.network.flops(batches.batch_size))
    params = b.asarray(np.stack([each.params for each in jobs]))
    dtype, n_params = params.dtype, job.network.layout.size
    runs = minimise(
        NetworkObjective(
            b,
            job.network,
            _pool(b, job.X, dtype),
            TargetPool(b, b.asarray(job.y, dtype=dtype)),
            n_models=len(jobs),
            alpha=[each.alpha for each in jobs],
            sample_weight=_weights(b, job.sample_weight, dtype),
            label_smoothing=[each.label_smoothing for each in jobs],
            dropout=np.stack([np.broadcast_to(each.dropout, _n_hidden(job)) for each in jobs]),
            rngs=[each.rng for each in jobs],
            statistics=b.xp.asarray(params[:, n_params:], copy=True),
            window=min(n_samples, WINDOW * batches.batch_size),
        ),
        [each.optimizer for each in jobs],
        params if params.shape[1] == n_params else b.contiguous(params[:, :n_params]),
        max_epochs=job.max_epochs,
        batches=batches,
        stopping=[each.stopping for each in jobs],
        validate=None if job.validation is None else _validation(b, job, job.validation),
        on_epoch_begin=_for_each_run([each.on_epoch_begin for each in jobs]),
        on_epoch_end=_for_each_run([each.on_epoch_end for each in jobs]),
        resume=[each.resume or {} for each in jobs],
        horizon=job.horizon,
        max_grad_norm=[each.max_grad_norm for each in jobs],
        ema_decay=[each.ema_decay for each in jobs],
    )
    return runs, b.device


def _n_hidden(job: FitJob) -> int:
    return len(job.network.activations)


def _for_each_run(
    functions: Sequence[Callable[[ModelRun], None] | None],
) -> Callable[[Sequence[ModelRun]], None] | None:
    """Call each job's function with its run."""
    if not any(functions):
        return None

    def call(runs: Sequence[ModelRun]) -> None:
        for run in runs:
            function = functions[run.index]
            if function is not None:
                function(run)

    return call


def _pool(b: Backend, X: Any, dtype: Any) -> DensePool | SparsePool:
    if hasattr(X, "tocsr"):
        return SparsePool(b.sparse(X))
    return DensePool(b, b.asarray(X, dtype=dtype))


def _weights(b: Backend, weights: np.ndarray | None, dtype: Any) -> TargetPool | None:
    return None if weights is None else TargetPool(b, b.asarray(weights, dtype=dtype))


def _validation(b: Backend, job: FitJob, held_out: ValidationSet) -> Validation:
    rows, dtype = held_out.rows, job.params.dtype
    part = slice(None) if rows is None else rows
    return Validation(
        b,
        job.network,
        _pool(b, held_out.X, dtype),
        held_out.y[part].astype(dtype, copy=False),
        None if held_out.sample_weight is None else held_out.sample_weight[part, 0],
        held_out.score,
        rows,
    )
