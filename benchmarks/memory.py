"""Peak memory of a fit on the big workload, in fresh interpreters.

The bound is the data, 8 times the parameters and the workspace of one batch. Data are held by the
caller; what is measured, and compared with the other two terms, is what ``fit`` takes on top.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tracemalloc
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import report
from benchmarks.workloads import ENGINES
from skopt_dl.programs import using_engine

N_SAMPLES, N_FEATURES, N_CLASSES = 20_000, 784, 10
HIDDEN = (512, 256)
BATCH_SIZE = 256
EPOCHS = 2
COPIES_OF_PARAMS = 8

# By NumPy's engine, and by skopt-dl-native's where it is installed.
OURS = dict(zip(("skopt_dl", "native"), ENGINES, strict=False))
CONTENDERS = (*OURS, "scikit-learn")
# tracemalloc sees every allocation of NumPy and Python. The resident set also has what BLAS and the
# native engine take for themselves, and what the allocator has not given back.
METHODS = ("tracemalloc", "resident")


def run(save: bool = False) -> bool:
    """Measure, print two tables, and return whether skopt_dl stays within the bound."""
    terms = bound_terms()
    report.print_table(
        ("term", "bytes", "MB"),
        [(name, size, _mb(size)) for name, size in terms.items()],
    )
    allowed = sum(terms.values()) - terms["data"]
    results, ok = [], True
    for contender in CONTENDERS:
        for early_stopping in (False, True):
            peaks = {m: _measure(contender, early_stopping, m) for m in METHODS}
            result = {"contender": contender, "early_stopping": early_stopping, **peaks}
            if contender in OURS:
                result["ok"] = peaks["tracemalloc"] <= allowed
                ok &= result["ok"]
            results.append(result)
    rows = [
        (
            r["contender"] + (", early stopping" if r["early_stopping"] else ""),
            _mb(r["tracemalloc"]),
            f"{(r['tracemalloc'] - terms['one batch']) / parameter_bytes():.1f}",
            _mb(r["resident"]),
            f"at most {_mb(allowed)}" if "ok" in r else "",
            report.verdict(r["ok"]) if "ok" in r else "",
        )
        for r in results
    ]
    header = ("fit", "on top of the data, MB", "in parameters", "resident, MB", "floor", "")
    report.print_table(header, rows)
    if save:
        report.save("memory", {"terms": terms, "allowed": allowed, "fits": results})
    return ok


def parameter_bytes() -> int:
    sizes = (N_FEATURES, *HIDDEN, N_CLASSES)
    return 4 * sum((n + 1) * m for n, m in pairwise(sizes))


def bound_terms() -> dict[str, int]:
    """Bytes of each term of the bound, in float32."""
    # A sample needs its features, an activation and a gradient for each hidden unit, and for each
    # output those two, the target, and one place to work in.
    per_sample = N_FEATURES + 2 * sum(HIDDEN) + 4 * N_CLASSES
    return {
        "data": 4 * N_SAMPLES * N_FEATURES + 8 * N_SAMPLES,
        f"{COPIES_OF_PARAMS} x parameters": COPIES_OF_PARAMS * parameter_bytes(),
        "one batch": 4 * BATCH_SIZE * per_sample,
    }


def _mb(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:.1f}"


def _measure(contender: str, early_stopping: bool, method: str) -> int:
    """Run this module as a script: peak bytes on top of what there was before the fit."""
    command = [sys.executable, "-m", "benchmarks.memory", contender, method]
    if early_stopping:
        command.append("--early-stopping")
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout))


def _model(contender: str, hidden: tuple[int, ...], **params: Any) -> Any:
    params = {"n_iter_no_change": 1000, "random_state": 0, **params}
    if contender in OURS:
        from skopt_dl import MLPClassifier

        return MLPClassifier(hidden, optimizer="adam", device="cpu", **params)
    from sklearn.neural_network import MLPClassifier as SklearnMLP

    return SklearnMLP(hidden, solver="adam", **params)


def _high_water() -> int:
    """Largest resident set of this process so far, in bytes."""
    try:
        # Unlike ru_maxrss, this does not begin with what the parent process had.
        status = Path("/proc/self/status").read_text()
        return next(1024 * int(s.split()[1]) for s in status.splitlines() if s[:6] == "VmHWM:")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
            1 if sys.platform == "darwin" else 1024
        )


def _child() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--early-stopping", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with using_engine(OURS.get(args.contender, "numpy")):
        print(_peak(args.contender, args.method, args.early_stopping))


def _peak(contender: str, method: str, early_stopping: bool) -> int:
    # Drawn in float32 at once: nothing larger than the data may raise the high-water mark.
    X = np.random.default_rng(0).standard_normal((N_SAMPLES, N_FEATURES), dtype=np.float32)
    y = X[:, :N_CLASSES].argmax(axis=1)
    # Imports, caches and BLAS's own buffers come with the first fit, however small.
    _model(contender, (8,), max_iter=1).fit(X[:BATCH_SIZE], y[:BATCH_SIZE])
    model = _model(
        contender,
        HIDDEN,
        batch_size=BATCH_SIZE,
        max_iter=EPOCHS,
        early_stopping=early_stopping,
    )
    gc.collect()
    if method == "tracemalloc":
        tracemalloc.start()
        model.fit(X, y)
        return tracemalloc.get_traced_memory()[1]
    before = _high_water()
    model.fit(X, y)
    return _high_water() - before


if __name__ == "__main__":
    _child()
