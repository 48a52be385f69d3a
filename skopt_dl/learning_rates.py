"""Which learning rates train a model, found by trying."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone

from skopt_dl.displays import LearningRateRangeDisplay
from skopt_dl.estimators.base import BaseNeuralNet
from skopt_dl.estimators.preparing import prepare
from skopt_dl.jobs import FitJob, train

# A rate with which nothing moves.
STILL = 1e-300
MIN_EPOCHS = 5
# Parameters of all the models that are trained at once: bounds the memory.
MAX_PARAMS = 1 << 22


def learning_rate_range(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    learning_rates: Sequence[float] | np.ndarray | None = None,
    n_steps: int = 200,
) -> LearningRateRangeDisplay:
    """Try a range of learning rates, all models in one stack, and suggest one.

    Every rate trains a model for a few epochs, from the same initial weights and on the same
    batches. Unlike one training whose rate rises (Smith, 2017, arXiv:1506.01186), no rate suffers
    from, or lives on, what those before it did.

    Parameters
    ----------
    estimator : any estimator of skopt_dl, or Pipeline that ends in one
        Left as it is. If its optimizer has a schedule, constant rates take its place: a schedule's
        highest rate may be two or three times the suggestion.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Of many samples, as many are drawn as the steps need.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The loss that is looked at is that of training: where there are few samples, a smaller rate
        may generalise better.
    sample_weight : array-like of shape (n_samples,), default=None
    learning_rates : array-like of shape (n_rates,), default=None
        None tries six in every factor of ten from 1e-6 to 10.
    n_steps : int, default=200
        Updates, at least; five epochs at least.

    Returns
    -------
    display : LearningRateRangeDisplay
        Its ``suggestion`` goes into ``optimizer__learning_rate``; ``plot()`` shows the rest.

    Raises
    ------
    ValueError
        If the optimizer has no learning rate, or a rate is not positive.
    TypeError
        If the estimator is of another kind.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, learning_rate_range
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(32, optimizer="momentum", random_state=0)
    >>> display = learning_rate_range(model, X, y)
    >>> low, high = display.stable_range
    >>> low < display.suggestion < high
    True
    >>> model = model.set_params(optimizer__learning_rate=display.suggestion)
    """
    if hasattr(estimator, "steps"):
        X = clone(estimator[:-1]).fit_transform(X, y) if len(estimator) > 1 else X
        estimator = estimator[-1]
    if not isinstance(estimator, BaseNeuralNet):
        raise TypeError(
            "learning_rate_range needs an MLPClassifier, MLPRegressor, NeuralNetClassifier, "
            "NeuralNetRegressor or a Pipeline that ends in one, of skopt_dl; got "
            f"{_described(estimator)}."
        )
    rates = _checked(np.geomspace(1e-6, 10, 43) if learning_rates is None else learning_rates)
    if not isinstance(n_steps, numbers.Integral) or n_steps < 1:
        raise ValueError(f"n_steps must be an int, at least 1; got {n_steps!r}.")
    model = clone(estimator).set_params(early_stopping=False, warm_start=False, scoring=None)
    _, job = prepare(model, X, y, sample_weight)
    if job.config.optimizer.full_batch:
        raise ValueError(f"{job.config.optimizer!r} has no learning rate to look for.")
    jobs = _jobs(job, [STILL, *rates], n_steps)
    runs = []
    width = max(1, MAX_PARAMS // len(job.params))
    for first in range(0, len(jobs), width):
        runs += [outcome.result for outcome in train(jobs[first : first + width])]
    if any(run.stop_reason == "interrupted" for run in runs):
        raise KeyboardInterrupt
    losses = np.full((len(runs), jobs[0].config.max_epochs), np.nan)
    for row, run in zip(losses, runs, strict=True):
        row[: run.n_epochs] = run.history["loss"]
        if run.stop_reason == "diverged":
            row[run.n_epochs - 1 :] = np.nan
    return LearningRateRangeDisplay(rates, losses[1:], float(losses[0, 0]))


def _described(value: Any) -> str:
    package = type(value).__module__.partition(".")[0]
    return repr(value) if package == "builtins" else f"{package}'s {type(value).__name__}"


def _checked(learning_rates: Any) -> np.ndarray:
    """Learning rates in rising order."""
    rates = np.asarray(learning_rates)
    numeric = rates.dtype.kind in "iuf" and rates.ndim == 1 and rates.size > 0
    if not numeric or not (np.isfinite(rates) & (rates > 0)).all():
        raise ValueError(f"learning_rates must be positive numbers; got {learning_rates!r}.")
    return np.sort(rates).astype(float)


def _jobs(job: FitJob, rates: Sequence[float], n_steps: int) -> list[FitJob]:
    """The same short training for each rate."""
    n_samples = min(job.X.shape[0], job.batch_size * -(-n_steps // MIN_EPOCHS))
    rows = job.rng.permutation(job.X.shape[0])[:n_samples]
    n_epochs = -(-n_steps // -(-n_samples // job.batch_size))
    return [
        replace(
            job,
            config=replace(
                job.config,
                optimizer=clone(job.config.optimizer).set_params(learning_rate=float(rate)),
                max_epochs=n_epochs,
                horizon=None,
                stopping=None,
            ),
            rng=copy.deepcopy(job.rng),
            rows=np.sort(rows),
        )
        for rate in rates
    ]
