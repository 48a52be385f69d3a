"""How well networks do on raw tables: ``python -m benchmarks.tables``.

Five repeats of 5-fold cross-validation, the same folds for all contenders. The score of a repeat is
that of the predictions for all samples together, each by the model that has not seen it. R² of the
mean predictor is then 0 (a little less, since each fold has its own mean) on small tables too.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.neural_network import MLPRegressor as SklearnRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import report
from benchmarks.tables_data import TABLES, Table
from skopt_dl import MLPClassifier, MLPRegressor

OURS, PEER, PEER_AND_TARGET, MEAN = "tabular", "sklearn scaled", "sklearn scaled, y too", "mean"
# The targets of issue 3.
WINS_NEEDED = 0.8
N_FOLDS = 5


def _mean(task: str, seed: int) -> Any:
    return DummyClassifier() if task == "classification" else DummyRegressor()


def _sklearn_raw(task: str, seed: int) -> Any:
    kind = SklearnClassifier if task == "classification" else SklearnRegressor
    return kind(random_state=seed)


def _sklearn_scaled(task: str, seed: int) -> Any:
    return make_pipeline(StandardScaler(), _sklearn_raw(task, seed))


def _sklearn_scaled_both(task: str, seed: int) -> Any:
    """With the target standardised as well, which scikit-learn's documentation does not ask for."""
    return TransformedTargetRegressor(_sklearn_scaled(task, seed), transformer=StandardScaler())


def _boosting(task: str, seed: int) -> Any:
    if task == "classification":
        return HistGradientBoostingClassifier(random_state=seed)
    return MultiOutputRegressor(HistGradientBoostingRegressor(random_state=seed))


def _default(task: str, seed: int) -> Any:
    kind = MLPClassifier if task == "classification" else MLPRegressor
    return make_pipeline(StandardScaler(), kind(random_state=seed))


def _tabular(task: str, seed: int) -> Any:
    kind = MLPClassifier if task == "classification" else MLPRegressor
    return kind.tabular(random_state=seed)


CONTENDERS: dict[str, Callable[[str, int], Any]] = {
    MEAN: _mean,
    "sklearn raw": _sklearn_raw,
    PEER: _sklearn_scaled,
    PEER_AND_TARGET: _sklearn_scaled_both,
    "boosting": _boosting,
    "skopt_dl scaled": _default,
    OURS: _tabular,
}
# Run by request only.
EXTRA = ("skopt_dl scaled",)
# What changes with our code is never taken from the cache.
UNCACHED = ("skopt_dl scaled", OURS)


@dataclass(frozen=True)
class Outcome:
    """Out-of-fold predictions of a contender on a table.

    Attributes
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_targets)
    predictions : ndarray of shape (n_repeats, n_samples, n_classes or n_targets)
    seconds : ndarray of shape (n_repeats, n_folds)
        Of each fit.
    """

    task: str
    y: np.ndarray
    predictions: np.ndarray
    seconds: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """Accuracy or R² of each repeat."""
        if self.task == "regression":
            return np.array([r2_score(self.y, p) for p in self.predictions])
        classes = np.unique(self.y)
        return np.array([accuracy_score(self.y, classes[p.argmax(1)]) for p in self.predictions])

    @property
    def log_losses(self) -> np.ndarray:
        # In single precision they need not add up to 1 as exactly as log_loss asks.
        proba = np.asarray(self.predictions, dtype=float)
        proba /= proba.sum(axis=2, keepdims=True)
        return np.array([log_loss(self.y, p) for p in proba])


Results = dict[Table, dict[str, Outcome]]


def folds(table: Table, y: np.ndarray, repeat: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    kind = StratifiedKFold if table.task == "classification" else KFold
    return kind(N_FOLDS, shuffle=True, random_state=repeat).split(y, y)


def cross_validate(
    table: Table, make_model: Callable[[str, int], Any], n_repeats: int, cache: Path | None = None
) -> Outcome:
    """Fit ``make_model(task, seed)`` on every fold of every repeat."""
    X, y = table.make()
    file = cache and cache / f"{_fingerprint(X, y, make_model(table.task, 0), n_repeats)}.joblib"
    if file and file.exists():
        return Outcome(table.task, y, *joblib.load(file))
    repeats: list[np.ndarray] = []
    seconds = np.empty((n_repeats, N_FOLDS))
    for repeat in range(n_repeats):
        parts, order = [], []
        for number, (train, test) in enumerate(folds(table, y, repeat)):
            model = make_model(table.task, N_FOLDS * repeat + number)
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(X[train], _target_of(model, y[train]))
            seconds[repeat, number] = time.perf_counter() - start
            predict = model.predict if table.task == "regression" else model.predict_proba
            parts.append(predict(X[test]).reshape(len(test), -1))
            order.append(test)
        repeats.append(np.concatenate(parts)[np.argsort(np.concatenate(order))])
    predictions = np.stack(repeats)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump((predictions, seconds), file, compress=3)
    return Outcome(table.task, y, predictions, seconds)


def _target_of(model: Any, y: np.ndarray) -> np.ndarray:
    return y.reshape(len(y), -1) if isinstance(model, MultiOutputRegressor) else y


def _fingerprint(X: np.ndarray, y: np.ndarray, model: Any, n_repeats: int) -> str:
    params = sorted((key, repr(value)) for key, value in model.get_params().items())
    what = (repr(type(model)), params, n_repeats, sklearn.__version__, np.__version__)
    return hashlib.sha256(repr(what).encode() + X.tobytes() + y.tobytes()).hexdigest()[:20]


def contenders_of(task: str, contenders: list[str]) -> list[str]:
    return [c for c in contenders if task == "regression" or c != PEER_AND_TARGET]


def print_scores(results: Results, contenders: list[str]) -> None:
    """One table a task; "repeats won" is how often ours is better than the peer."""
    for task, metric in (("classification", "accuracy"), ("regression", "R²")):
        here = contenders_of(task, contenders)
        header, rows = [f"{metric}, mean ± sd of repeats", "", *here], []
        if {OURS, PEER} <= set(here):
            header.append("repeats won")
        for table, outcomes in results.items():
            if table.task != task:
                continue
            shape = "x".join(str(n) for n in table.make()[0].shape)
            row = [table.name, shape, *(_mean_and_sd(outcomes[c].scores) for c in here)]
            if {OURS, PEER} <= set(here):
                better = outcomes[OURS].scores > outcomes[PEER].scores
                row.append(f"{better.sum()} of {len(better)}")
            rows.append(row)
        if rows:
            report.print_table(header, rows)


def print_log_losses(results: Results, contenders: list[str]) -> None:
    contenders = contenders_of("classification", contenders)
    rows = [
        [table.name, *(_mean_and_sd(outcomes[c].log_losses) for c in contenders)]
        for table, outcomes in results.items()
        if table.task == "classification"
    ]
    if rows:
        report.print_table(["log loss", *contenders], rows)


def print_seconds(results: Results, contenders: list[str]) -> None:
    rows = [
        [
            table.name,
            *(f"{np.median(outcomes[c].seconds):.2f}" if c in outcomes else "" for c in contenders),
        ]
        for table, outcomes in results.items()
    ]
    totals = [
        sum(outcomes[c].seconds.sum() for outcomes in results.values() if c in outcomes)
        for c in contenders
    ]
    rows.append(["all fits", *(f"{total:.0f}" for total in totals)])
    report.print_table(["seconds, median fit", *contenders], rows)


def print_verdict(results: Results, contenders: list[str]) -> bool:
    """Say whether the targets of issue 3 are reached."""
    if OURS not in contenders:
        return True
    ok = True
    for peer in [c for c in contenders if c not in (OURS, MEAN)]:
        both = {table: o for table, o in results.items() if peer in o}
        lost = [t.name for t, o in both.items() if o[OURS].scores.mean() <= o[peer].scores.mean()]
        won = len(both) - len(lost)
        verdict = ""
        if peer == PEER:
            enough = won >= WINS_NEEDED * len(both)
            ok &= enough
            verdict = f" (at least {WINS_NEEDED:.0%}: {report.verdict(enough)})"
        print(f"better than {peer} on {won} of {len(both)} tables{verdict}")
        print(f"    not on: {', '.join(lost) or '-'}")
    worst = {t.name: o[OURS].scores.min() for t, o in results.items() if t.task == "regression"}
    if worst:
        name = min(worst, key=worst.__getitem__)
        negative = [name for name, score in worst.items() if score < 0]
        ok &= not negative
        print(
            f"smallest R² of a repeat: {worst[name]:.3f}, {name} ({report.verdict(not negative)})"
        )
        print(f"    below 0: {', '.join(negative) or '-'}")
    return ok


def _mean_and_sd(scores: np.ndarray) -> str:
    mean, sd = float(np.mean(scores)), float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    return f"{mean:.3f} ± {sd:.3f}" if abs(mean) < 100 else f"{mean:.1e}"


def main() -> int:
    known = [table.name for table in TABLES]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description="Compare on raw tables; exits with 1 when a target of issue 3 is missed.",
    )
    parser.add_argument("--table", action="append", choices=known, help="only this one; repeatable")
    parser.add_argument(
        "--contender", action="append", choices=CONTENDERS, help="only this one; repeatable"
    )
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--cache", type=Path, help="folder that keeps scikit-learn's predictions")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/tables.json")
    args = parser.parse_args()

    report.print_machine()
    contenders = args.contender or [name for name in CONTENDERS if name not in EXTRA]
    tables = [table for table in TABLES if table.name in (args.table or known)]
    tasks = [(t, c) for t in tables for c in contenders_of(t.task, contenders)]
    outcomes = joblib.Parallel(n_jobs=args.jobs)(
        joblib.delayed(cross_validate)(
            table,
            CONTENDERS[contender],
            args.repeats,
            None if contender in UNCACHED else args.cache,
        )
        for table, contender in tasks
    )
    results: Results = {table: {} for table in tables}
    for (table, contender), outcome in zip(tasks, outcomes, strict=True):
        results[table][contender] = outcome
    print_scores(results, contenders)
    print_log_losses(results, contenders)
    print_seconds(results, contenders)
    ok = print_verdict(results, contenders)
    if args.save:
        figures = {
            table.name: {c: {"scores": o.scores, "seconds": o.seconds} for c, o in outcomes.items()}
            for table, outcomes in results.items()
        }
        report.save("tables", figures)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
