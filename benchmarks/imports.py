"""What ``import skopt_dl`` adds to an import of scikit-learn's own networks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from benchmarks import report

LIMIT_MS = 20.0
STATEMENTS = {
    "import skopt_dl": "ours",
    "from skopt_dl import MLPClassifier": "for information",
}
# Each statement is timed by itself, in a fresh interpreter that has imported scikit-learn's.
_SCRIPT = """
import time
start = time.perf_counter()
import sklearn.neural_network
between = time.perf_counter()
{statement}
print(between - start, time.perf_counter() - between)
"""


def run(rounds: int, save: bool = False) -> bool:
    """Measure in fresh interpreters, interleaved; print a table; return whether the limit holds."""
    beyond: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    sklearn: list[float] = []
    for number in range(rounds + 1):
        for statement in STATEMENTS:
            first, second = _milliseconds(statement)
            # The first round compiles what has no bytecode yet.
            if number:
                sklearn.append(first)
                beyond[statement].append(second)
    ok = float(np.median(beyond["import skopt_dl"])) <= LIMIT_MS
    rows = [_row("import sklearn.neural_network", sklearn, "", "")]
    for statement, values in beyond.items():
        limited = STATEMENTS[statement] == "ours"
        floor = f"at most {LIMIT_MS:g}" if limited else ""
        rows.append(_row(f"then {statement}", values, floor, report.verdict(ok) if limited else ""))
    report.print_table(("statement", "median, ms", "least", "most", "floor", ""), rows)
    if save:
        report.save("import", {"sklearn_ms": sklearn, "beyond_ms": beyond, "ok": ok})
    return ok


def _milliseconds(statement: str) -> tuple[float, float]:
    script = _SCRIPT.format(statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    first, second = (1e3 * float(number) for number in done.stdout.split())
    return first, second


def _row(name: str, values: list[float], floor: str, verdict: str) -> tuple[str, ...]:
    figures = (np.median(values), min(values), max(values))
    return (name, *(f"{value:.1f}" for value in figures), floor, verdict)
