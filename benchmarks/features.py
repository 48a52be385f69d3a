"""What each feature adds to the time of a fit: ``python -m benchmarks features``."""

from __future__ import annotations

import gc
import time
import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks import report
from benchmarks.workloads import ALPHA, WORKLOADS, Workload
from skopt_dl import MLPClassifier

FEATURES: dict[str, dict[str, Any]] = {
    "none": {},
    "class_weight": {"class_weight": "balanced"},
    "dropout": {"dropout": 0.2},
    "batch_norm": {"batch_norm": True},
    "input_scaling": {"input_scaling": True},
    "label_smoothing": {"label_smoothing": 0.1},
    "max_grad_norm": {"max_grad_norm": 1.0},
    "ema_decay": {"ema_decay": 0.99},
    "focal loss": {"loss": "focal"},
    "early_stopping": {"early_stopping": True, "n_iter_no_change": 10_000},
    "and scoring": {
        "early_stopping": True,
        "n_iter_no_change": 10_000,
        "scoring": "neg_log_loss",
    },
}


def run(rounds: int, save: bool = False) -> bool:
    """Print, for each workload, the time with a feature as a multiple of that without."""
    works = [work for work in WORKLOADS if work.name in ("tiny", "digits", "mid")]
    times: dict[str, dict[str, list[float]]] = {
        work.name: {name: [] for name in FEATURES} for work in works
    }
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(rounds):
            for work in works:
                for name, params in FEATURES.items():
                    times[work.name][name].append(_time(work, params))
    rows = []
    for name in FEATURES:
        ratios = [min(times[w.name][name]) / min(times[w.name]["none"]) for w in works]
        rows.append([name, *(f"{ratio:.2f}" for ratio in ratios)])
    report.print_table(["time of a fit with", *(work.name for work in works)], rows)
    if save:
        report.save("features", {"seconds": times})
    return True


def _time(work: Workload, params: dict[str, Any]) -> float:
    X, y = work.data
    model = MLPClassifier(
        work.hidden,
        alpha=ALPHA,
        batch_size=work.batch_size,
        max_iter=work.epochs,
        tol=0.0,
        random_state=0,
        **{"n_iter_no_change": 10_000, **params},
    )
    gc.collect()
    start = time.perf_counter()
    model.fit(X, y)
    elapsed = time.perf_counter() - start
    if model.n_iter_ != work.epochs:
        raise RuntimeError(f"{work.name}: {params} stopped after {model.n_iter_} epochs.")
    return elapsed
