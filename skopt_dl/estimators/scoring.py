"""Scores on validation data: scikit-learn's scorers, on raw outputs that are there already."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from sklearn import config_context, get_config
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names

Score = Callable[[np.ndarray, np.ndarray], float]
# Scores raw outputs, with the targets and weights it was made for.
RawScore = Callable[[np.ndarray], float]


class Scored(Protocol):
    """What scoring asks of an estimator."""

    scoring: Any

    def _score_raw(
        self, raw: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None
    ) -> float: ...

    def _raw_score(
        self, name: str, y: np.ndarray, sample_weight: np.ndarray | None
    ) -> RawScore | None: ...

    def _snapshot(self, params: np.ndarray, X: Any, raw: np.ndarray) -> Any: ...


def is_by_loss(scoring: Any) -> bool:
    """Whether ``scoring`` asks for the loss."""
    return isinstance(scoring, str) and scoring == "loss"


def scorer_of(estimator: Scored) -> Any:
    """The scorer that ``scoring`` means; None for the task's own score, and for the loss.

    Raises
    ------
    ValueError
        If there is no such scorer.
    """
    scoring = estimator.scoring
    if scoring is None or is_by_loss(scoring):
        return None
    if not isinstance(scoring, str):
        return check_scoring(estimator, scoring)
    if scoring not in get_scorer_names():
        raise ValueError(
            f"scoring of {type(estimator).__name__}: there is no scorer {scoring!r}."
            f"{_near(scoring)} sklearn.metrics.get_scorer_names() lists all; 'loss' means the loss."
        )
    return get_scorer(scoring)


def _near(name: str) -> str:
    """The scorers whose names are like this one, the nearest first."""
    names, name = [*sorted(get_scorer_names()), "loss"], name.lower()
    like = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    like += [each for each in names if len(name) > 1 and name in each and each not in like]
    if not like:
        return ""
    others = ", ".join(map(repr, like[1:6]))
    return f" Did you mean {like[0]!r}?" + (f" Near are also {others}." if others else "")


def _number(scorer: Any, value: Any) -> float:
    """What a scorer returned, as a float."""
    if isinstance(value, numbers.Real) or (np.ndim(value) == 0 and hasattr(value, "__float__")):
        return float(value)
    raise ValueError(f"scoring must return a number; {scorer!r} returned {value!r}.")


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
        "engine_",
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
    estimator: Scored, scorer: Any, y: Any, targets: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[Any, ...]:
    """All that scores of `validation_score`, with the same arguments, depend on."""
    known = {k: v for k, v in vars(estimator).items() if k not in _WITHOUT_EFFECT}
    if scorer is None:
        return type(estimator), known, targets, sample_weight
    return type(estimator), known, targets, sample_weight, scorer, y, get_config()


def validation_score(
    estimator: Scored,
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
    estimator : Scored
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
    of_raw: RawScore | None = None
    if scorer is None:
        of_raw = partial(estimator._score_raw, y=targets[part], sample_weight=weight)
    elif isinstance(estimator.scoring, str) and not get_config()["enable_metadata_routing"]:
        of_raw = estimator._raw_score(estimator.scoring, targets[part], weight)
    if of_raw is not None:
        return lambda raw, params: of_raw(raw)
    X, y = X[part], y[part]
    kwargs = {} if weight is None else {"sample_weight": weight}
    # A stacked search scores in other threads, or processes, than the user has configured.
    config = get_config()

    def score(raw: np.ndarray, params: np.ndarray) -> float:
        if not np.isfinite(raw).all():
            return np.nan
        with config_context(**config):
            found = scorer(estimator._snapshot(params.copy(), X, raw), X, y, **kwargs)
        return _number(scorer, found)

    return score
