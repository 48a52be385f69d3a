"""Trainings, each of which becomes a row: in stacks, and kept in a journal."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import check_scoring, log_loss, mean_squared_error
from sklearn.preprocessing import StandardScaler

from skopt_dl.comparing.data import Data
from skopt_dl.comparing.plan import Fit, Plan, folds, test_split
from skopt_dl.estimators import MLPClassifier, MLPRegressor
from skopt_dl.estimators.report import EXPLOSION

Row = dict[str, Any]

# How often the time of a step is taken, and the steps that are timed.
ROUNDS, TIMED_STEPS = 3, 100


class Parts(NamedTuple):
    """What a training sees, scaled by what it trains on, and what it is scored on."""

    X: np.ndarray
    y: np.ndarray
    X_held_out: np.ndarray
    y_held_out: np.ndarray
    n_classes: int


def parts_of(data: Data, plan: Plan, seed: int, fold: int) -> Parts:
    """Return a fold of a repetition; -1 is all its samples, with those held out for the test."""
    split = test_split(data, plan, seed) if fold < 0 else folds(data, plan, seed)[fold]
    scaler = StandardScaler().fit(data.X[split.train])
    (X, y), (X_held_out, y_held_out) = (
        (scaler.transform(data.X[rows]), data.y[rows]) for rows in split
    )
    return Parts(X, y, X_held_out, y_held_out, data.n_classes)


def network(optimizer: Any, parts: Parts, plan: Plan, seed: int) -> Any:
    """Return the model that is trained, which stops at nothing but its last epoch."""
    same = {
        "optimizer": optimizer,
        "batch_size": min(plan.batch_size, len(parts.y)),
        "max_iter": plan.epochs,
        "tol": 0.0,
        "n_iter_no_change": plan.epochs,
        "scoring": plan.scoring,
        "random_state": seed,
    }
    if parts.n_classes:
        return MLPClassifier(plan.hidden_layer_sizes, **same)
    return MLPRegressor(plan.hidden_layer_sizes, standardize_target=True, **same)


def rows_of(
    fits: Iterable[Fit], optimizers: dict[str, Any], data: Data, plan: Plan
) -> Iterator[Row]:
    """Train, in the joblib backend that is in force; yields a row as soon as each is trained."""
    yield from joblib.Parallel(return_as="generator_unordered")(
        _tasks(fits, optimizers, data, plan)
    )


def _tasks(
    fits: Iterable[Fit], optimizers: dict[str, Any], data: Data, plan: Plan
) -> Iterator[Any]:
    # Those that see the same samples follow each other, and share them.
    def place(fit: Fit) -> tuple[int, int]:
        return fit.seed, fit.fold

    for (seed, fold), group in groupby(sorted(fits, key=place), key=place):
        parts = parts_of(data, plan, seed, fold)
        for fit in group:
            yield joblib.delayed(_row)(fit, optimizers[fit.optimizer], parts, plan)


def constant_rows(data: Data, plan: Plan) -> list[Row]:
    """Return what a constant prediction scores in each repetition: what a failure counts as."""
    rows = []
    for seed in range(plan.seeds):
        parts = parts_of(data, plan, seed, -1)
        dummy = DummyClassifier(strategy="prior") if parts.n_classes else DummyRegressor()
        dummy.fit(parts.X, parts.y)
        fit = Fit("constant", "", seed, -1, -1, 1.0, {})
        rows.append({**fit._asdict(), **_scored(dummy, parts, plan)})
    return rows


def timing_rows(
    fits: Iterable[Fit], optimizers: dict[str, Any], data: Data, plan: Plan
) -> list[Row]:
    """Train one model of each optimizer alone, several times in turn, to see what a step takes."""
    fits, rows = list(fits), []
    for _ in range(ROUNDS):
        for fit in fits:
            parts = parts_of(data, plan, fit.seed, -1)
            model = network(_made(optimizers[fit.optimizer], fit), parts, plan, fit.seed)
            n_batches = -(-len(parts.y) // model.batch_size)
            # The first epoch prepares, and is not counted.
            model.set_params(max_iter=1 + -(-TIMED_STEPS // n_batches))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    model.fit(parts.X, parts.y)
                except Exception:
                    continue
            seconds = model.history_["seconds"]
            if len(seconds) > 1:
                n_steps = model.n_steps_ * (len(seconds) - 1) / len(seconds)
                row = {**fit._asdict(), "phase": "timing", "outcome": "finished"}
                rows.append({**row, "steps": n_steps, "seconds": seconds[-1] - seconds[0]})
    return rows


def _made(optimizer: Any, fit: Fit) -> Any:
    return clone(optimizer).set_params(**fit.params)


def _row(fit: Fit, optimizer: Any, parts: Parts, plan: Plan) -> Row:
    """Train and score; what fails is a row too."""
    row: Row = {**fit._asdict(), "score": np.nan, "loss": np.nan, "steps": 0, "epochs": 0}
    row |= {"curve": [], "message": ""}
    for_test = fit.fold < 0
    watched = {"X_val": parts.X_held_out, "y_val": parts.y_held_out} if for_test else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = network(_made(optimizer, fit), parts, plan, fit.seed)
            model.fit(parts.X, parts.y, **watched)
            found = _scored(model, parts, plan)
        except Exception as error:
            return {**row, "outcome": "failed", "message": f"{type(error).__name__}: {error}"}
    row |= {"steps": model.n_steps_, "epochs": model.n_iter_}
    losses = model.loss_curve_
    if not np.isfinite(losses[-1]) or losses[-1] > EXPLOSION * abs(losses[0]) > 0:
        what = f"the loss went from {losses[0]:.3g} to {losses[-1]:.3g}"
        return {**row, "outcome": "diverged", "message": what}
    row |= found
    if for_test:
        row["curve"] = [float(score) for score in model.validation_scores_]
    return row


def _scored(model: Any, parts: Parts, plan: Plan) -> Row:
    """Score and loss on what was held out."""
    X, y = parts.X_held_out, parts.y_held_out
    if parts.n_classes:
        loss = log_loss(y, model.predict_proba(X), labels=np.arange(parts.n_classes))
    else:
        loss = mean_squared_error(y, model.predict(X))
    score = check_scoring(model, plan.scoring)(model, X, y)
    sound = np.isfinite(score) and np.isfinite(loss)
    outcome = "finished" if sound else "diverged"
    return {"score": float(score), "loss": float(loss), "outcome": outcome}
