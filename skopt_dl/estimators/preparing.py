"""From parameters and data to a job; the estimator stays as it is."""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from skopt_dl._warnings import warn_user
from skopt_dl.estimators.conduct import check_memory
from skopt_dl.estimators.data import n_bytes_copied, samples_and_targets, split, training_data
from skopt_dl.estimators.scoring import is_by_loss, scored_by, scorer_of, validation_score
from skopt_dl.estimators.tabular import UpTo
from skopt_dl.estimators.weights import fitted_weights, new_weights, resumable
from skopt_dl.jobs import FitJob, ValidationSet
from skopt_dl.networks import Loss, Network
from skopt_dl.search.sharing import shared_data
from skopt_dl.training import Stopping, TrainingConfig


class _Samples(NamedTuple):
    """What is trained on, checked.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    labels : ndarray or sparse matrix
        Targets as the user has them.
    y : ndarray of shape (n_samples, n_outputs)
        Targets as the network has them.
    sample_weight : ndarray of shape (n_samples, 1) or None
        As the user has them.
    weights : ndarray of shape (n_samples, 1) or None
        Those of the classes included.
    """

    X: Any
    labels: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    weights: np.ndarray | None = None


def prepare(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    held_out: tuple[Any, Any] = (None, None),
    *,
    incremental: bool = False,
    classes: Any = None,
) -> tuple[Any, FitJob]:
    """Check everything, and gather what a training needs.

    Parameters
    ----------
    estimator : BaseNeuralNet
    X, y, sample_weight
        As ``fit`` got them.
    held_out : tuple of array-like or None
        ``X_val`` and ``y_val``.
    incremental : bool, default=False
        Whether to train for one epoch, from where the estimator is.
    classes : array-like, default=None
        All labels, where `y` may not have them all.

    Returns
    -------
    model : BaseNeuralNet
        A copy of the estimator that knows the data: features, targets, its generator.
    job : FitJob

    Raises
    ------
    ValueError
        If a parameter or the data is not valid; the message names it.
    NetworkTooLargeError
        If memory cannot hold the network.
    """
    model = estimator._copy()
    model.check_params()
    optimizer, loss, init = (model._component(name) for name in ("optimizer", "loss", "init"))
    model._check_network()
    _check_components(model, optimizer, loss)
    scorer = scorer_of(model)
    if incremental and model.early_stopping:
        raise ValueError(
            "partial_fit does not support early_stopping=True: the data of one call is no "
            "basis for stopping. Set early_stopping=False."
        )
    reset = not hasattr(model, "optimizer_") or not (model.warm_start or incremental)
    given = X
    shared = shared_data(X=X, y=y, sample_weight=sample_weight)
    if shared is not None and reset and not incremental:
        find = partial(_samples_and_learnt, model, X, y, sample_weight)
        samples, learnt = shared.once(_kind_of_samples(model), find)
        vars(model).pop("feature_names_in_", None)
        vars(model).update(copy.deepcopy(learnt))
    else:
        samples = _samples(model, X, y, sample_weight, reset, incremental, classes)
    X, y = samples.X, samples.y
    form = model._loss_form(loss)
    form.check_targets(y)
    network = model._make_network(X, y.shape[1], form)
    _check_network(model, network, optimizer)
    check_memory(model, network, optimizer, X.dtype)
    random_state = _random_state(model.random_state)
    # Drawn by warm starts too, so that they hold out the same samples as the first fit.
    seeds = random_state.randint(2**31, size=4)
    resume = None
    if reset:
        model._rng = np.random.default_rng(seeds)
        params = new_weights(model, network, init, model._rng, X.dtype)
        model._forget()
    else:
        resume = resumable(model, optimizer, network) if incremental else None
        params = fitted_weights(model, network, resume, X.dtype)
        if resume is None:
            # All begins anew but the rates that follow the samples seen so far.
            resume = {"progress": {"step": 0, "n_samples_seen": model.t_}}
    weights = model._weigh(samples.labels, samples.sample_weight, X.dtype)
    samples = samples._replace(weights=weights)
    if any(each is not None for each in held_out) or not model.early_stopping:
        rows, validation = None, _given_validation(model, samples, held_out, network, scorer)
    else:
        rows, validation = _split_off_validation(model, samples, scorer, random_state)
    if validation is None and model.scoring is not None and not incremental:
        warn_user(
            f"scoring={model.scoring!r} has no effect: there is nothing to score on. Set "
            "early_stopping=True, or pass X_val and y_val to fit."
        )
    model.out_activation_ = form.output_activation
    model.optimizer_ = optimizer
    model._fitted_loss = form
    batch_size = _batch_size(model, len(y) if rows is None else len(rows), incremental)
    if network.statistics.size and batch_size < 2:
        raise ValueError(
            "Batch normalisation needs batches of at least two samples to normalise over; got "
            f"batch_size={model.batch_size!r} and {len(y)} samples. Make batches larger; LayerNorm "
            "needs one sample only."
        )
    return model, FitJob(
        network=network,
        config=_config(model, optimizer, incremental),
        params=params.astype(optimizer.dtype or X.dtype, copy=False),
        X=X,
        y=y,
        sample_weight=samples.weights,
        rows=rows,
        validation=validation,
        alpha=float(model.alpha),
        label_smoothing=float(model.label_smoothing),
        batch_size=batch_size,
        shuffle=bool(model.shuffle),
        sampling=model.sampling,
        device=model.device,
        rng=model._rng,
        n_bytes_given=n_bytes_copied(given, X),
        resume=resume,
        reproducible=random_state is not np.random.mtrand._rand,
    )


def _samples(
    model: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    reset: bool = True,
    incremental: bool = False,
    classes: Any = None,
) -> _Samples:
    """Check the data, of which the model learns what there is to know."""
    X, labels, sample_weight = training_data(
        model, model._rows(X, reset), y, sample_weight, _dtypes(model, reset), reset
    )
    model._prepare_targets(labels, sample_weight, reset, incremental, classes)
    return _Samples(X, labels, model._encode_targets(labels, X.dtype), sample_weight)


# All parameters that `_samples` looks at.
_OF_SAMPLES = ("dtype", "input_shape", "standardize_target")


def _kind_of_samples(model: Any) -> Hashable:
    """Equal for models that make the same of the same data."""
    return type(model), *(repr(getattr(model, name, None)) for name in _OF_SAMPLES)


def _samples_and_learnt(model: Any, *data: Any) -> tuple[_Samples, dict[str, Any]]:
    """What a new model, of which no more is known than that, makes of data and learns of them."""
    blank = object.__new__(type(model))
    known = {name: value for name, value in vars(model).items() if name in _OF_SAMPLES}
    vars(blank).update(known)
    samples = _samples(blank, *data)
    return samples, {name: value for name, value in vars(blank).items() if name not in known}


class _Overwritten(np.random.SeedSequence):
    """Seeds a generator whose state is about to be written."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return np.zeros(n_words, dtype)


def _random_state(seed: Any) -> np.random.RandomState:
    """What `check_random_state` returns, which for an int would draw a state to write over it."""
    if not isinstance(seed, int | np.integer):
        return check_random_state(seed)
    random_state = np.random.RandomState(np.random.MT19937(_Overwritten(0)))
    random_state.seed(seed)
    return random_state


def _config(model: Any, optimizer: Any, incremental: bool) -> TrainingConfig:
    return TrainingConfig(
        optimizer,
        max_epochs=1 if incremental else model.max_iter,
        stopping=_stopping(model),
        horizon=model.max_iter,
        max_grad_norm=math.inf if model.max_grad_norm is None else float(model.max_grad_norm),
        ema_decay=0.0 if model.ema_decay is None else float(model.ema_decay),
    )


def _stopping(model: Any) -> Stopping:
    common = {"tol": model.tol, "n_iter_no_change": model.n_iter_no_change}
    if not model.early_stopping:
        return Stopping(**common)
    by_loss = is_by_loss(model.scoring)
    monitor = "validation_loss" if by_loss else "validation_score"
    return Stopping(monitor=monitor, larger_is_better=not by_loss, restore_best=True, **common)


def _check_components(model: Any, optimizer: Any, loss: Loss) -> None:
    if loss.task != model._task:
        raise ValueError(
            f"loss of {type(model).__name__} must be one for {model._task}; "
            f"{model.loss!r} is for {loss.task}."
        )
    for name, values in optimizer.unused.items():
        value = getattr(model, name)
        if value not in values:
            warn_user(
                f"{name}={value!r} has no effect: {type(optimizer).__name__} has no use for "
                f"it. Leave it at {values[0]!r}, or take another optimizer."
            )


def _check_network(model: Any, network: Network, optimizer: Any) -> None:
    if network.is_random and optimizer.full_batch:
        pairs = zip(network.drawing, network.per_model, strict=True)
        layer = next(layer for layer, rate in pairs if layer.draws(rate))
        culprit = f"dropout={model.dropout!r}" if hasattr(model, "dropout") else repr(layer)
        raise ValueError(
            f"{culprit} makes the loss random, which {optimizer!r} cannot minimise. Do without, or "
            "take an optimizer that works on mini-batches."
        )


def _dtypes(model: Any, reset: bool) -> list[Any]:
    """Precisions that the data may keep; the first is what others become."""
    if model.dtype is not None:
        return [model.dtype]
    return [np.float64, np.float32] if reset else [model._fitted_dtype]


def _batch_size(model: Any, n_samples: int, incremental: bool) -> int:
    if model.batch_size == "full":
        return n_samples
    if model.batch_size == "auto":
        return min(200, n_samples)
    quiet = incremental or isinstance(model.batch_size, UpTo)
    if model.batch_size > n_samples and not quiet:
        warn_user(
            f"batch_size={model.batch_size} is larger than the {n_samples} training samples; "
            "every batch will hold all of them."
        )
    return min(int(model.batch_size), n_samples)


def _given_validation(
    model: Any, samples: _Samples, held_out: tuple[Any, Any], network: Network, scorer: Any
) -> ValidationSet | None:
    """What the user gave to validate on; None where that is nothing."""
    X_val, y_val = held_out
    if X_val is None and y_val is None:
        return None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"X_val and y_val go together; {missing} is missing.")
    n_outputs = samples.y.shape[1]
    try:
        X, labels = samples_and_targets(model, model._rows(X_val), y_val, [samples.X.dtype])
        y = model._encode_targets(labels, X.dtype)
        if y.shape[1] != n_outputs:
            raise ValueError(f"y_val has {y.shape[1]} targets, y {n_outputs}.")
        network.loss.check_targets(y)
        network.check_samples(X)
    except ValueError as error:
        raise ValueError(f"X_val and y_val do not fit X and y: {error}") from error
    weights = model._weigh(labels, None, X.dtype)
    return _validation(model, _Samples(X, labels, y, None, weights), None, scorer)


def _split_off_validation(
    model: Any, samples: _Samples, scorer: Any, random_state: np.random.RandomState
) -> tuple[np.ndarray, ValidationSet]:
    """Choose the rows to train on, and validate on the others."""
    y, weight = samples.y, samples.sample_weight
    rows, others = split(model._strata(y), len(y), model.validation_fraction, random_state)
    for part, use in ((rows, "train on"), (others, "validate on")):
        if weight is not None and not weight[part].any():
            raise ValueError(
                f"sample_weight is zero for all samples to {use}. Pass X_val and y_val, or "
                "change validation_fraction or random_state."
            )
    return rows, _validation(model, samples, others, scorer)


def _validation(
    model: Any, samples: _Samples, rows: np.ndarray | None, scorer: Any
) -> ValidationSet:
    X, labels, y, sample_weight, weights = samples
    score = validation_score(model, scorer, X, labels, y, sample_weight, rows)
    known = scored_by(model, scorer, labels, y, sample_weight)
    return ValidationSet(X, y, weights, score, rows, known)
