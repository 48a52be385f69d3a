"""Time of whole fits, all contenders interleaved."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks import report
from benchmarks.contenders import CONTENDERS, Outcome
from benchmarks.workloads import WORKLOADS, Floor, Workload

# By NumPy's engine, and by skopt-dl-native's where it is installed.
OURS = [name for name in ("skopt_dl", "native") if name in CONTENDERS]
# Training losses of honest contenders agree to this share of the untrained loss, log(n_classes).
LOSS_TOLERANCE = 0.05


def run(
    rounds: int, names: Sequence[str] | None = None, save: bool = False, n_threads: int = 1
) -> bool:
    """Measure, print two tables, and return whether every floor holds: those of one thread."""
    works = [work for work in WORKLOADS if not names or work.name in names]
    times: dict[str, dict[str, list[float]]] = {}
    losses: dict[str, dict[str, float]] = {}
    with threadpool_limits(n_threads), warnings.catch_warnings():
        # All of them are told to stop before they have converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        _as_many_everywhere(n_threads)
        for work in works:
            times[work.name] = {name: [] for name in CONTENDERS}
            losses[work.name] = check_honesty(work)
        for number in range(rounds):
            for work in works:
                order = list(CONTENDERS)
                for name in order[number % len(order) :] + order[: number % len(order)]:
                    times[work.name][name].append(_time(work, name))
    _print_times(works, times, losses)
    ok, ratios = _print_ratios(works, times, with_floors=n_threads == 1)
    if save:
        report.save(
            "speed", {"threads": n_threads, "seconds": times, "losses": losses, "ratios": ratios}
        )
    return ok


def _as_many_everywhere(n_threads: int) -> None:
    """Give torch as many threads too, and make sure that no library has others."""
    if "torch" in CONTENDERS:
        import torch

        torch.set_num_threads(n_threads)
    others = [pool for pool in threadpool_info() if pool["num_threads"] != n_threads]
    if others:
        raise RuntimeError(f"These libraries do not use {n_threads} threads: {others}.")


def check_honesty(work: Workload) -> dict[str, float]:
    """Run every contender once, untimed: same number of updates, comparable training loss.

    Also warms up: imports, page cache and clock frequency are not what is measured.
    """
    X, y = work.data
    losses = {}
    for name in CONTENDERS:
        outcome = _checked(work, name, CONTENDERS[name](work))
        if outcome.log_proba is not None:
            log_proba = outcome.log_proba(X)
            losses[name] = float(-log_proba[np.arange(len(y)), y].mean())
    spread = (max(losses.values()) - min(losses.values())) / np.log(work.n_classes)
    if spread > LOSS_TOLERANCE:
        raise RuntimeError(f"{work.name}: the training losses differ too much: {losses}.")
    return losses


def _checked(work: Workload, name: str, outcome: Outcome) -> Outcome:
    if outcome.n_steps != work.n_steps:
        raise RuntimeError(
            f"{work.name}: {name} made {outcome.n_steps} updates instead of {work.n_steps}."
        )
    return outcome


def _time(work: Workload, name: str) -> float:
    contender = CONTENDERS[name]
    gc.collect()
    start = time.perf_counter()
    outcome = contender(work)
    elapsed = time.perf_counter() - start
    _checked(work, name, outcome)
    return elapsed


def _print_times(works: Sequence[Workload], times: Any, losses: Any) -> None:
    """Minimum, and how far the median lies above it: the noise of this run."""
    rows = []
    for work in works:
        for name, seconds in times[work.name].items():
            best, median = min(seconds), float(np.median(seconds))
            loss = losses[work.name].get(name)
            rows.append(
                (
                    work.name,
                    name,
                    work.n_steps,
                    f"{best * 1e3:.1f}",
                    f"{best * 1e6 / work.n_steps:.1f}",
                    f"+{100 * (median / best - 1):.0f} %",
                    "" if loss is None else f"{loss:.3f}",
                )
            )
    header = ("workload", "contender", "steps", "fit, ms", "per step, µs", "median", "loss")
    report.print_table(header, rows)


def _print_ratios(
    works: Sequence[Workload], times: Any, with_floors: bool
) -> tuple[bool, list[dict[str, Any]]]:
    """Ratios of minima against their floors; beside them the median of each round's own ratio."""
    results = []
    for work in works:
        for name in OURS:
            floors = work.floors if name == "skopt_dl" else work.native_floors
            ours = np.array(times[work.name][name])
            for peer in [each for each in CONTENDERS if each not in (name, "native")]:
                theirs = np.array(times[work.name][peer])
                floor = floors.get(peer) if with_floors else None
                found = _compare(work.name, peer, ours, theirs, floor)
                results.append({"ours": name, **found})
    rows = [
        (
            r["workload"],
            f"{r['peer']} / {r['ours']}" if r["peer"] != "products" else f"{r['ours']} / products",
            f"{r['ratio']:.2f}",
            f"{r['median_ratio']:.2f}",
            r["floor"] or "",
            "" if r["floor"] is None else report.verdict(r["ok"]),
        )
        for r in results
    ]
    report.print_table(("workload", "times", "ratio", "by round", "floor", ""), rows)
    return all(r["ok"] for r in results), results


def _compare(
    workload: str, peer: str, ours: np.ndarray, theirs: np.ndarray, floor: Floor | None
) -> dict[str, Any]:
    above, below = (ours, theirs) if peer == "products" else (theirs, ours)
    ratio = float(above.min() / below.min())
    return {
        "workload": workload,
        "peer": peer,
        "ratio": ratio,
        "median_ratio": float(np.median(above / below)),
        "floor": None if floor is None else str(floor),
        "ok": floor is None or floor.holds(ratio),
    }
