"""Scores on validation data: scikit-learn's scorers, on raw outputs that are there already."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import config_context, get_config
from sklearn.metrics import check_scoring

if TYPE_CHECKING:
    from skopt_dl.estimators.base import BaseMLP

Score = Callable[[np.ndarray, np.ndarray], float]


def is_by_loss(scoring: Any) -> bool:
    """Whether ``scoring`` asks for the loss."""
    return isinstance(scoring, str) and scoring == "loss"


def scorer_of(estimator: BaseMLP) -> Any:
    """The scorer that ``scoring`` means; None for the task's own score, and for the loss.

    Raises
    ------
    ValueError
        If there is no such scorer.
    """
    scoring = estimator.scoring
    if scoring is None or is_by_loss(scoring):
        return None
    return check_scoring(estimator, scoring)


# What training changes in an estimator, or what changes no score.
_WITHOUT_EFFECT = frozenset(
    {
        "random_state",
        "verbose",
        "n_jobs",
        "coefs_",
        "intercepts_",
        "n_layers_",
        "n_outputs_",
        "n_iter_",
        "n_steps_",
        "t_",
        "history_",
        "loss_curve_",
        "loss_",
        "validation_loss_curve_",
        "validation_scores_",
        "best_loss_",
        "best_validation_score_",
        "out_activation_",
        "optimizer_",
        "device_",
        "_resume",
        "_trained",
        "_trained_with",
        "_rng",
        "_fitted_activations",
        "_fitted_loss",
        "_skl_callbacks",
        "_skl_callbacks_to_teardown",
        "_callback_fit_ctx",
        "_parent_callback_ctx",
    }
)


def scored_by(
    estimator: BaseMLP, scorer: Any, y: Any, targets: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[Any, ...]:
    """All that scores of `validation_score`, with the same arguments, depend on."""
    known = {k: v for k, v in vars(estimator).items() if k not in _WITHOUT_EFFECT}
    if scorer is None:
        return type(estimator), known, targets, sample_weight
    return type(estimator), known, targets, sample_weight, scorer, y, get_config()


def validation_score(
    estimator: BaseMLP,
    scorer: Any,
    X: Any,
    y: Any,
    targets: np.ndarray,
    sample_weight: np.ndarray | None,
    rows: np.ndarray | None,
) -> Score:
    """Return what a model in training is scored by.

    Parameters
    ----------
    estimator : BaseMLP
        Knows its targets already.
    scorer : callable or None
        From `scorer_of`.
    X, y : array
        Validated samples, and labels or targets as the user has them.
    targets : ndarray of shape (n_samples, n_outputs)
        The same targets as the network has them.
    sample_weight : ndarray of shape (n_samples, 1) or None
    rows : ndarray of int or None
        Which samples to take; None means all.

    Returns
    -------
    score : callable
        ``score(raw, params)``: raw outputs, and the weights and biases that gave them.
    """
    part = slice(None) if rows is None else rows
    weight = None if sample_weight is None else sample_weight[part, 0]
    if scorer is None:
        targets = targets[part]
        return lambda raw, params: estimator._score_raw(raw, targets, weight)
    X, y = X[part], y[part]
    kwargs = {} if weight is None else {"sample_weight": weight}
    # A stacked search scores in other threads, or processes, than the user has configured.
    config = get_config()

    def score(raw: np.ndarray, params: np.ndarray) -> float:
        if not np.isfinite(raw).all():
            return np.nan
        with config_context(**config):
            return float(scorer(estimator._snapshot(params.copy(), X, raw), X, y, **kwargs))

    return score
