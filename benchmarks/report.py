"""Where it ran, tables, and results as JSON."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")


def machine() -> dict[str, str]:
    """Say what a figure cannot be read without: processor, versions, BLAS, date."""
    versions = [f"{name} {_version(name)}" for name in LIBRARIES]
    # torch and NumPy may bring an OpenMP or BLAS each; NumPy's is the one with a matching kernel.
    blas = {
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '?')})"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    return {
        "date": datetime.date.today().isoformat(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": ", ".join(versions),
        "blas": ", ".join(sorted(blas)),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """Model, and on x86 family and number, since virtual machines shorten the model's name."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown processor"
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    name = fields.get("model name", platform.machine())
    if "cpu family" in fields:
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    return name


def print_machine() -> None:
    for key, value in machine().items():
        print(f"{key + ':':11}{value}")
    load = os.getloadavg()[0]
    print(f"{'load:':11}{load:.1f} before the first measurement\n")


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a Markdown table with aligned columns; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    # A rule has three characters at least.
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    right = [not _is_text(row_values) for row_values in zip(*cells[1:], strict=True)]
    rule = ["-" * (w - 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)]
    for row in (cells[0], rule, *cells[1:]):
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        print(f"| {' | '.join(padded)} |")
    print(flush=True)


def _is_text(column: Sequence[str]) -> bool:
    return any(cell and not (cell[0].isdigit() or cell[0] in "+-") for cell in column)


def verdict(ok: bool) -> str:
    return "pass" if ok else "FAIL"


def save(name: str, results: Any) -> None:
    """Write results to ``benchmarks/results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), name: results}, indent=2, default=_plain))
    print(f"saved {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}\n")


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
