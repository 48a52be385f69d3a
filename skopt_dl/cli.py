"""The command ``skopt-dl``: it prints what plugins and journals hold, and opens the lab."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skopt_dl import __version__
from skopt_dl.jobs.journal import prune, survey
from skopt_dl.jobs.keys import versions
from skopt_dl.plugins import PluginWarning
from skopt_dl.plugins.doctor import Diagnosis, diagnose, list_names
from skopt_dl.programs import chosen_engine


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, with ``sys.argv`` or the given arguments, and exit."""
    try:
        import click
    except ModuleNotFoundError:
        sys.exit("The command skopt-dl needs click. Run `pip install 'skopt-dl[cli]'`.")

    def command(function: Any, *params: Any) -> Any:
        return click.Command(None, callback=function, help=function.__doc__, params=list(params))

    plugins = click.Group(
        help="What plugins are installed.",
        commands={"list": command(print_names), "doctor": command(print_diagnoses)},
    )
    folder = click.Argument(["folder"], type=click.Path(exists=True, file_okay=False))
    journal = click.Group(
        help="What journals of searches hold.",
        commands={
            "show": command(print_journal, folder),
            "prune": command(
                prune_journal,
                folder,
                click.Option(
                    ["--older-than"],
                    type=click.FloatRange(min=0),
                    metavar="DAYS",
                    help="Remove what was written so many days ago or earlier, too.",
                ),
                click.Option(
                    ["--other-versions"],
                    is_flag=True,
                    help="Remove what other versions of skopt_dl, NumPy, SciPy, scikit-learn or "
                    "Python have written, too.",
                ),
            ),
        },
    )
    lab = command(
        open_lab,
        click.Option(
            ["--html"], type=click.Path(), metavar="FILE", help="Write the page to this file."
        ),
        click.Option(["--serve"], is_flag=True, help="Serve the page to this machine alone."),
        click.Option(
            ["--port"],
            type=click.IntRange(1, 65535),
            help="Where to serve; without it, the system chooses a free port.",
        ),
    )
    group = click.Group(
        help="scikit-learn MLPs whose optimizer is a plugin.",
        commands={"plugins": plugins, "journal": journal, "lab": lab},
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
    n_problems += _print_engine()
    if n_problems:
        print(f"\n{n_problems} problem{'s' if n_problems > 1 else ''}.")
        sys.exit(1)


def _print_engine() -> int:
    """Say what trains here; returns the number of problems."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PluginWarning)
        try:
            engine = chosen_engine()
        except ValueError as error:
            print(f"engine: none\n  ! {error}")
            return 1
    print(f"engine: {' '.join([engine.name, engine.edition]).strip()}")
    for each in caught:
        print(f"  ! {each.message}")
    return len(caught)


def print_journal(folder: str) -> None:
    """Count what a journal holds."""
    seen = survey(Path(folder))
    busy = f", {seen.n_busy_files} of them in use" if seen.n_busy_files else ""
    print(f"{_count(seen.n_models, 'model')}, {_size(seen.n_bytes)} in ", end="")
    print(f"{_count(seen.n_files, 'file')}{busy}")
    if seen.written is not None:
        oldest, newest = (time.strftime("%Y-%m-%d %H:%M", time.localtime(t)) for t in seen.written)
        print(f"written from {oldest} to {newest}")
    if seen.n_snapshots:
        print(f"{_count(seen.n_snapshots, 'snapshot')} of models that are not done")
    for number, bytes_, what in (
        (seen.n_damaged, f" ({_size(seen.n_damaged_bytes)})", "damaged record"),
        (seen.n_superseded, "", "superseded record"),
    ):
        if number:
            print(f"{_count(number, what)}{bytes_}: `skopt-dl journal prune {folder}` removes them")
    if seen.groups:
        print()
        _print_table(
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
            print(f"removed {_count(number, what)}")
    print(f"{_size(pruned.n_bytes)} less, {_count(pruned.n_files, 'file')} less")


def open_lab(html: str | None, serve: bool, port: int | None) -> None:
    """See the installed optimizers at work on functions of two variables.

    The page is either one file that needs no network, with runs made beforehand, or served, with
    runs made when they are asked for.
    """
    if (html is None) == (not serve) or (port is not None and not serve):
        sys.exit("Say either --html FILE, or --serve with --port where that matters.")
    from skopt_dl.lab import page

    try:
        if html is None:
            page.serve(port or 0)
        else:
            print(f"{html}: {_size(page.write_page(html))}")
    except ValueError as error:
        sys.exit(str(error))


def _count(number: int, what: str) -> str:
    first, _, rest = what.partition(" of ")
    plural = first if number == 1 else f"{first}s"
    return f"{number} {plural}" + (f" of {rest}" if rest else "")


def _size(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("B", "kB", "MB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


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
