"""A grid search, end to end: stacked, one by one, and scikit-learn's own: ``benchmarks search``."""

from __future__ import annotations

import gc
import time
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnClassifier

from benchmarks import report
from benchmarks.workloads import WORKLOADS
from skopt_dl import MLPClassifier

N_FOLDS = 5
N_JOBS = -1
RATES, ALPHAS = np.logspace(-4, -2, 8), np.logspace(-5, 0, 8)
# The best scores of searches over the same grid agree to this.
SCORE_TOLERANCE = 0.03


@dataclass(frozen=True)
class Search:
    """A workload's data and architecture, searched with so many epochs a fit."""

    name: str
    workload: str
    epochs: int
    floors: dict[str, float]

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        return next(work for work in WORKLOADS if work.name == self.workload).data

    @property
    def params(self) -> dict[str, Any]:
        work = next(work for work in WORKLOADS if work.name == self.workload)
        return {
            "hidden_layer_sizes": work.hidden,
            "batch_size": work.batch_size,
            "max_iter": self.epochs,
            "n_iter_no_change": 10_000,
            "tol": 0.0,
            "random_state": 0,
        }


# Floors of issue 4: how many times as fast as each the stacked search has to be.
SEARCHES = [
    Search("tiny, 20 epochs", "tiny", 20, {"scikit-learn, all cores": 9, "one by one": 3}),
    Search("tiny, 200 epochs", "tiny", 200, {"scikit-learn, all cores": 18, "one by one": 3}),
    Search("digits, 30 epochs", "digits", 30, {"scikit-learn, all cores": 3, "one by one": 1}),
]


def _stacked(search: Search) -> GridSearchCV:
    with joblib.parallel_config(backend="skopt_dl", n_jobs=N_JOBS):
        return _one_by_one(search)


def _one_by_one(search: Search) -> GridSearchCV:
    grid = {"alpha": ALPHAS, "optimizer__learning_rate": RATES}
    return GridSearchCV(MLPClassifier(**search.params), grid, cv=N_FOLDS).fit(*search.data)


def _scikit_learn(search: Search) -> GridSearchCV:
    grid = {"alpha": ALPHAS, "learning_rate_init": RATES}
    model = SklearnClassifier(**search.params)
    return GridSearchCV(model, grid, cv=N_FOLDS, n_jobs=-1).fit(*search.data)


STACKED = "stacked"
CONTENDERS = {
    STACKED: _stacked,
    "one by one": _one_by_one,
    "scikit-learn, all cores": _scikit_learn,
}


def run(rounds: int, save: bool = False) -> bool:
    """Time 64 candidates in five folds and a refit, all contenders interleaved."""
    times: dict[str, dict[str, list[float]]] = {
        search.name: {name: [] for name in CONTENDERS} for search in SEARCHES
    }
    with warnings.catch_warnings():
        # All of them are told to stop before they have converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(rounds):
            for search in SEARCHES:
                scores = {}
                for name, contender in CONTENDERS.items():
                    gc.collect()
                    start = time.perf_counter()
                    result = contender(search)
                    times[search.name][name].append(time.perf_counter() - start)
                    scores[name] = result.cv_results_["mean_test_score"]
                _check(search, scores)
    ok, rows = True, []
    for search in SEARCHES:
        best = {name: min(seconds) for name, seconds in times[search.name].items()}
        for name, floor in search.floors.items():
            ratio = best[name] / best[STACKED]
            ok &= ratio >= floor
            rows.append(
                [
                    search.name,
                    f"{best[STACKED]:.2f}",
                    name,
                    f"{best[name]:.2f}",
                    f"{ratio:.1f}",
                    f"at least {floor}",
                    report.verdict(ratio >= floor),
                ]
            )
    report.print_table(["search", "stacked, s", "against", "s", "ratio", "floor", ""], rows)
    if save:
        report.save("search", {"seconds": times})
    return ok


def _check(search: Search, scores: dict[str, np.ndarray]) -> None:
    """Stacked and one by one are the same; scikit-learn's best candidate is about as good."""
    if not np.array_equal(scores[STACKED], scores["one by one"]):
        raise RuntimeError(f"{search.name}: the stacked search has other scores.")
    best = [score.max() for score in scores.values()]
    if max(best) - min(best) > SCORE_TOLERANCE:
        raise RuntimeError(f"{search.name}: the best scores differ too much: {best}.")
