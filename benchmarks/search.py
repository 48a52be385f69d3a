"""A grid search, end to end: stacked, one by one, and scikit-learn's own: ``benchmarks search``."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnClassifier

from benchmarks import report
from benchmarks.workloads import ENGINES, WORKLOADS
from skopt_dl import MLPClassifier
from skopt_dl.programs import using_engine

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
    native_floors: dict[str, float]

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


STACKED, ALONE, SKLEARN = "stacked", "one by one", "scikit-learn, all cores"
# How many times as fast as each the stacked search has to be: by NumPy's engine (issue 4), and by
# the native one (issue 12).
SEARCHES = [
    Search("tiny, 20 epochs", "tiny", 20, {SKLEARN: 9, ALONE: 3}, {SKLEARN: 16}),
    Search("tiny, 200 epochs", "tiny", 200, {SKLEARN: 18, ALONE: 3}, {SKLEARN: 40}),
    Search("digits, 30 epochs", "digits", 30, {SKLEARN: 3, ALONE: 1}, {SKLEARN: 5}),
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


CONTENDERS = {STACKED: _stacked, ALONE: _one_by_one, SKLEARN: _scikit_learn}


def run(
    rounds: int,
    names: Sequence[str] | None = None,
    contenders: Sequence[str] | None = None,
    engine: str = ENGINES[-1],
    save: bool = False,
) -> bool:
    """Time 64 candidates in five folds and a refit, all contenders interleaved; print each."""
    chosen = [name for name in CONTENDERS if not contenders or name in (STACKED, *contenders)]
    ok, rows, saved = True, [], {}
    print(f"by the {engine} engine, {joblib.cpu_count()} cores")
    with using_engine(engine), warnings.catch_warnings():
        # All of them are told to stop before they have converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for search in SEARCHES:
            if names and search.name not in names:
                continue
            times = saved[search.name] = _time(search, chosen, rounds)
            best = {name: min(seconds) for name, seconds in times.items()}
            floors = search.native_floors if engine == "native" else search.floors
            for name in chosen[1:]:
                ratio, floor = best[name] / best[STACKED], floors.get(name)
                ok &= floor is None or ratio >= floor
                rows.append(
                    [
                        search.name,
                        f"{best[STACKED]:.2f}",
                        name,
                        f"{best[name]:.2f}",
                        f"{ratio:.1f}",
                        "" if floor is None else f"at least {floor}",
                        "" if floor is None else report.verdict(ratio >= floor),
                    ]
                )
    print()
    if rows:
        report.print_table(["search", "stacked, s", "against", "s", "ratio", "floor", ""], rows)
    if save:
        report.save("search", {"engine": engine, "seconds": saved})
    return ok


def _time(search: Search, contenders: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in every round, printed as they come."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        scores = {}
        for name in contenders:
            gc.collect()
            start = time.perf_counter()
            result = CONTENDERS[name](search)
            times[name].append(time.perf_counter() - start)
            scores[name] = result.cv_results_["mean_test_score"]
            print(f"{search.name}, {name}: {times[name][-1]:.2f} s", flush=True)
        _check(search, scores)
    return times


def _check(search: Search, scores: dict[str, np.ndarray]) -> None:
    """Stacked and one by one are the same; scikit-learn's best candidate is about as good."""
    if not np.array_equal(scores[STACKED], scores.get(ALONE, scores[STACKED])):
        raise RuntimeError(f"{search.name}: the stacked search has other scores.")
    best = [score.max() for score in scores.values()]
    if max(best) - min(best) > SCORE_TOLERANCE:
        raise RuntimeError(f"{search.name}: the best scores differ too much: {best}.")
