"""``skopt-dl journal``: what journals of searches hold."""

from __future__ import annotations

import time
from pathlib import Path

from skopt_dl.cli.printing import count, print_table, size
from skopt_dl.jobs.journal import prune, survey
from skopt_dl.jobs.keys import versions


def print_journal(folder: str) -> None:
    """Count what a journal holds."""
    seen = survey(Path(folder))
    busy = f", {seen.n_busy_files} of them in use" if seen.n_busy_files else ""
    print(f"{count(seen.n_models, 'model')}, {size(seen.n_bytes)} in ", end="")
    print(f"{count(seen.n_files, 'file')}{busy}")
    if seen.written is not None:
        oldest, newest = (time.strftime("%Y-%m-%d %H:%M", time.localtime(t)) for t in seen.written)
        print(f"written from {oldest} to {newest}")
    if seen.n_snapshots:
        print(f"{count(seen.n_snapshots, 'snapshot')} of models that are not done")
    for number, bytes_, what in (
        (seen.n_damaged, f" ({size(seen.n_damaged_bytes)})", "damaged record"),
        (seen.n_superseded, "", "superseded record"),
    ):
        if number:
            print(f"{count(number, what)}{bytes_}: `skopt-dl journal prune {folder}` removes them")
    if seen.groups:
        print()
        print_table(
            ("models", "network", "dtype", "optimizer", "versions"),
            [(str(n), *about) for about, n in sorted(seen.groups.items())],
        )


def prune_journal(folder: str, older_than: float | None, other_versions: bool) -> None:
    """Remove what is damaged or superseded from a journal.

    Files that a process may still write to are left alone.
    """
    keep = ", ".join(versions()) if other_versions else None
    pruned = prune(Path(folder), older_than, keep)
    for number, what in (
        (pruned.n_damaged, "damaged record"),
        (pruned.n_superseded, "superseded record"),
        (pruned.n_old, "old record"),
        (pruned.n_other_versions, "record of other versions"),
    ):
        if number:
            print(f"removed {count(number, what)}")
    print(f"{size(pruned.n_bytes)} less, {count(pruned.n_files, 'file')} less")
