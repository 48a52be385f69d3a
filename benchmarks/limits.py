"""How far a fit is from what the machine can do: ``python -m benchmarks limits``.

A step can take no less than its products at the best rate of any product, and the reading and
writing of what an update has to touch: parameters and Adam's two averages are read and written, the
gradient is read. Both rates are measured here, in one thread.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks import report
from benchmarks.contenders import CONTENDERS
from benchmarks.workloads import WORKLOADS, Workload

# Of square products, among which is the best rate of this machine.
SIZES = (128, 192, 256, 384, 512, 768)
# Reads and writes of each parameter by an update of Adam.
TOUCHES = 7


def run(rounds: int, save: bool = False) -> bool:
    """Print the limit of a step of each workload, and what a step of a whole fit takes."""
    rows, results = [], []
    name = "native" if "native" in CONTENDERS else "skopt_dl"
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rate = best_rate(rounds)
        for work in WORKLOADS:
            products = flops(work) / rate
            update = TOUCHES * 4 * work.n_params / bandwidth(4 * work.n_params, rounds)
            bare = _best(lambda work=work: CONTENDERS["products"](work), rounds) / work.n_steps
            fit = _best(lambda work=work: CONTENDERS[name](work), rounds) / work.n_steps
            limit = products + update
            steps = [products, update, limit, bare, fit]
            rows.append((work.name, *(f"{1e6 * each:.1f}" for each in steps), f"{fit / limit:.2f}"))
            results.append({"workload": work.name, "seconds": steps})
    print(f"The best rate of a product: {rate / 1e9:.0f} GFLOP/s in one thread, float32.\n")
    header = ("a step, µs", "products at that rate", "update", "limit", "bare products", name)
    report.print_table((*header, f"{name} / limit"), rows)
    if save:
        report.save("limits", {"flops": rate, "results": results})
    return True


def flops(work: Workload) -> float:
    """Of the products of a step: forward, weights' gradients, and inputs' but for the first."""
    sizes = [n * m for n, m in pairwise(work.layer_sizes)]
    n_rows = len(work.data[0]) * work.epochs / work.n_steps
    return 2.0 * n_rows * (3 * sum(sizes) - sizes[0])


def best_rate(rounds: int) -> float:
    """The most floating-point operations a second of any square product."""
    rng, best = np.random.default_rng(0), 0.0
    for n in SIZES:
        a, b = rng.normal(size=(2, n, n)).astype(np.float32)
        out = np.empty_like(a)
        seconds = _best(lambda a=a, b=b, out=out: np.dot(a, b, out=out), 20 * rounds)
        best = max(best, 2 * n**3 / seconds)
    return best


def bandwidth(n_bytes: int, rounds: int) -> float:
    """Bytes a second that one array gives and another takes, of so many bytes each."""
    # Fewer take less time than the call does.
    n_bytes = max(n_bytes, 1 << 15)
    source = np.zeros(n_bytes // 4, np.float32)
    target = np.ones_like(source)
    return 2 * n_bytes / _best(lambda: np.copyto(target, source), 20 * rounds)


def _best(call: Callable[[], Any], rounds: int) -> float:
    best = np.inf
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
    return best
