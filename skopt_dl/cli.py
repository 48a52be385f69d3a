"""The command ``skopt-dl``: it prints what `skopt_dl.plugins` knows."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

from skopt_dl import __version__
from skopt_dl.plugins import PluginWarning
from skopt_dl.plugins.doctor import Diagnosis, diagnose, list_names


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, with ``sys.argv`` or the given arguments, and exit."""
    try:
        import click
    except ModuleNotFoundError:
        sys.exit("The command skopt-dl needs click. Run `pip install 'skopt-dl[cli]'`.")

    def command(function: Any) -> Any:
        return click.Command(None, callback=function, help=function.__doc__)

    plugins = click.Group(
        help="What plugins are installed.",
        commands={"list": command(print_names), "doctor": command(print_diagnoses)},
    )
    group = click.Group(
        help="scikit-learn MLPs whose optimizer is a plugin.", commands={"plugins": plugins}
    )
    click.version_option(__version__)(group)
    group.main(arguments, prog_name="skopt-dl")


def print_names() -> None:
    """List all names, and the classes they stand for."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PluginWarning)
        names = list_names()
    _print_table(("kind", "name", "distribution", "version", "class"), names)
    if caught:
        print("\nSome plugins have problems: run `skopt-dl plugins doctor`.", file=sys.stderr)


def print_diagnoses() -> None:
    """Examine the installed plugins; exit with 1 if something is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        diagnoses = diagnose()
    if not diagnoses:
        print("No plugins are installed.")
    for diagnosis in diagnoses:
        _print_diagnosis(diagnosis)
    n_problems = sum(len(diagnosis.problems) for diagnosis in diagnoses)
    if n_problems:
        print(f"\n{n_problems} problem{'s' if n_problems > 1 else ''}.")
        sys.exit(1)


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    print(f"{diagnosis.subject} {diagnosis.version}".rstrip() + f": {diagnosis.status}")
    for name in diagnosis.names:
        print(f"  {name}")
    for problem in diagnosis.problems:
        print(f"  ! {problem.what}\n    {problem.remedy}")


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: rich's on a terminal, plain columns to a file or a pipe."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ModuleNotFoundError:
        console = None
    else:
        console = Console()
    if console is not None and console.is_terminal:
        table = Table(*header)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())
