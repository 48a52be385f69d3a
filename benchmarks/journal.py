"""What a journal costs a search, and what it saves the next one: ``benchmarks journal``."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
import warnings

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import report
from benchmarks.search import N_JOBS, SEARCHES, _one_by_one

# The search of 200 epochs, and the most that a journal may add to it.
SEARCH = SEARCHES[1]
LIMIT = 1.03


def _timed(journal: str | None) -> tuple[float, np.ndarray]:
    gc.collect()
    start = time.perf_counter()
    with joblib.parallel_config(backend="skopt_dl", n_jobs=N_JOBS, journal=journal):
        found = _one_by_one(SEARCH)
    return time.perf_counter() - start, found.cv_results_["mean_test_score"]


def run(rounds: int, save: bool = False) -> bool:
    """Time the search without a journal, with a new one, and with that again, interleaved."""
    times: dict[str, list[float]] = {"without": [], "new journal": [], "again": []}
    with warnings.catch_warnings():
        # Told to stop before they have converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        _timed(None)
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                found = [_timed(None), _timed(folder), _timed(folder)]
            for name, (seconds, scores) in zip(times, found, strict=True):
                times[name].append(seconds)
                if not np.array_equal(scores, found[0][1]):
                    raise RuntimeError(f"The search {name!r} has other scores.")
    median = {name: statistics.median(seconds) for name, seconds in times.items()}
    ratio = statistics.median(
        b / a for a, b in zip(times["without"], times["new journal"], strict=True)
    )
    rows = [
        [name, f"{median[name]:.2f}", f"{median[name] / median['without']:.3f}"] for name in times
    ]
    report.print_table([f"{SEARCH.name}, {rounds} rounds", "median, s", "ratio"], rows)
    ok = ratio <= LIMIT
    print(f"pair by pair: {ratio:.3f}, at most {LIMIT} {report.verdict(ok)}")
    if save:
        report.save("journal", {"seconds": times})
    return ok
