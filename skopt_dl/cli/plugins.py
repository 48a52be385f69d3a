"""``skopt-dl plugins``: what is installed, and what is wrong with it."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skopt_dl._entry_points import canonical, installed_plugins
from skopt_dl.cli.printing import count, print_table
from skopt_dl.plugins import PluginWarning
from skopt_dl.plugins.checkout import examine_checkout
from skopt_dl.plugins.doctor import Diagnosis, list_names
from skopt_dl.plugins.switches import switched_off_by


def print_names(
    kind: str | None, distribution: str | None, text: str | None, no_import: bool, as_json: bool
) -> None:
    """List all names, or those with TEXT in them, in their method or in its paper.

    What cannot be used is marked with an exclamation mark.
    """
    if no_import:
        if kind is not None:
            sys.exit("Only a plugin's code says what it names: leave out --kind, or --no-import.")
        _print_distributions(distribution, text, as_json)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PluginWarning)
        names = list_names(kind, distribution, text)
    if as_json:
        _print_json([row._asdict() for row in names])
    else:
        header = ("kind", "name", "distribution", "version", "paper", "class")
        rows = [
            (*row[:4], row.paper, f"! {row.problem}" if row.problem else row.class_path)
            for row in names
        ]
        print_table(header, rows)
    if caught or any(row.problem for row in names):
        print("\nSome plugins have problems: run `skopt-dl plugins doctor`.", file=sys.stderr)


def _print_distributions(distribution: str | None, text: str | None, as_json: bool) -> None:
    """List the installed plugins as their metadata has them."""
    header = ("distribution", "version", "entry point", "module", "state", "summary")
    rows = [
        (
            each.distribution,
            each.version,
            each.entry_point.name,
            each.module,
            switched_off_by(each.distribution, each.entry_point.name) or "on",
            each.summary,
        )
        for each in installed_plugins()
        if distribution is None or canonical(each.distribution) == canonical(distribution)
    ]
    rows = [row for row in rows if text is None or text.lower() in " ".join(row).lower()]
    if as_json:
        _print_json([dict(zip(header, row, strict=True)) for row in rows])
    else:
        print_table(header, rows)


def print_diagnoses(check: bool, limit: float | None, as_json: bool) -> None:
    """Examine the installed plugins; exit with 1 if something is wrong.

    That is done in another process. In the checkout of a plugin, its author is told what to mend.
    """
    from skopt_dl.cli.examination import examine

    diagnoses = examine(check, limit or (120 if check else 20))
    here = examine_checkout(Path.cwd())
    if here is not None:
        diagnoses.insert(0, here)
    n_problems = sum(len(diagnosis.problems) for diagnosis in diagnoses)
    if as_json:
        _print_json([_plain(each) for each in diagnoses])
    else:
        if len(diagnoses) == 1:
            print("No plugins are installed.")
        for diagnosis in diagnoses:
            _print_diagnosis(diagnosis)
        if n_problems:
            print(f"\n{count(n_problems, 'problem')}.")
    if n_problems:
        sys.exit(1)


def _plain(diagnosis: Diagnosis) -> dict[str, Any]:
    return asdict(diagnosis) | {"problems": [each._asdict() for each in diagnosis.problems]}


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    print(f"{diagnosis.subject} {diagnosis.version}".rstrip() + f": {diagnosis.status}")
    for name in diagnosis.names:
        print(f"  {name}")
    for problem in diagnosis.problems:
        print(f"  ! {problem.what}")
        if problem.remedy:
            print(f"    {problem.remedy}")


def print_checks(name: str, as_json: bool) -> None:
    """Make all checks of skopt_dl.testing; exit with 1 if one fails.

    NAME is that of an optimizer, layer, loss, …, distribution/name, or a distribution, for all that
    it names.
    """
    from skopt_dl.cli.kit import entries_of, results_of

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        try:
            entries = entries_of(name)
        except ValueError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
    results = []
    for entry in entries:
        if not as_json:
            print(f"{entry.kind} {entry.qualified} ({entry.class_path})")
        for result in results_of(entry, lambda check: None if as_json else _print_begun(check)):
            results.append(result)
            if not as_json:
                _print_ended(result.status, result.message)
    statuses = [result.status for result in results]
    if as_json:
        _print_json([result._asdict() for result in results])
    else:
        counts = {status: statuses.count(status) for status in ("passed", "skipped", "failed")}
        print(", ".join(f"{number} {status}" for status, number in counts.items()))
    if "failed" in statuses:
        sys.exit(1)


def _print_begun(check: str) -> None:
    # Before it is made: one that hangs is named.
    print(f"  {check:<42} ", end="", flush=True)


def _print_ended(status: str, message: str) -> None:
    first, *others = message.splitlines() or [""]
    print(f"{status}  {first}".rstrip())
    for line in others:
        print(f"    {line}")


def _print_json(rows: list[dict[str, Any]]) -> None:
    print(json.dumps(rows, indent=2, ensure_ascii=False))
