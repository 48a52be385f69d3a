"""``skopt-dl compare``: the installed optimizers on a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skopt_dl.cli.printing import print_table
from skopt_dl.comparing import Plan, compare_optimizers, wording
from skopt_dl.comparing.report import write_report


def compare(
    data: str,
    target: str | None,
    task: str | None,
    optimizers: str,
    hidden: str,
    to: str | None,
    **plan: Any,
) -> None:
    """Tune and test optimizers on DATA, all alike, and write a report.

    DATA is a CSV or parquet file, or a data set of scikit-learn: iris, wine, breast_cancer, digits
    or diabetes. A comparison that is cut short goes on when the same command is run again.
    """
    folder = Path(to or f"compare-{Path(data).stem}")
    names = [name.strip() for name in optimizers.split(",") if name.strip()]
    try:
        sizes = tuple(int(each) for each in hidden.split(","))
    except ValueError:
        sys.exit(f"--hidden takes whole numbers with commas between, as in 64,64; got {hidden!r}.")
    try:
        with _progress() as progress:
            board = compare_optimizers(
                data,
                "all" if names == ["all"] else names,
                target=target,
                task=task,
                plan=Plan(hidden_layer_sizes=sizes, **plan),
                journal=folder / "journal",
                progress=progress,
            )
        written = {"report.html": write_report, "trials.csv": type(board).write_rows}
        for name, write in written.items():
            write(board, folder / name)
    except (ValueError, ImportError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(f"Interrupted. The same command goes on from what is in {folder / 'journal'}.")
    print_table(*wording.rows(board))
    print(f"\n{wording.verdict(board)}")
    print(
        f"{folder / 'report.html'} has figures and the spaces; {folder / 'trials.csv'}, all rows."
    )


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], object]]:
    """What shows how far it is: bars on a terminal, a line for each tenth elsewhere."""
    try:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
    except ModuleNotFoundError:
        yield _tell_tenths
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _tell_tenths
        return
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def show(what: str, n_done: int, n_all: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=n_all)
            bars.update(tasks[what], completed=n_done)

        yield show


def _tell_tenths(what: str, n_done: int, n_all: int) -> None:
    if n_done * 10 // n_all > (n_done - 1) * 10 // n_all:
        print(f"{what}: {n_done} of {n_all} trainings", file=sys.stderr, flush=True)
