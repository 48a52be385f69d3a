"""How the command prints: counts, sizes, tables."""

from __future__ import annotations

from collections.abc import Sequence


def count(number: int, what: str) -> str:
    """Return a number of things: "1 file", "2 files", "2 records of other versions"."""
    first, _, rest = what.partition(" of ")
    plural = first if number == 1 else f"{first}s"
    return f"{number} {plural}" + (f" of {rest}" if rest else "")


def size(n_bytes: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
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
