"""Columns of equal length, shown as a table."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from skopt_dl._params import did_you_mean


class Table(dict[str, np.ndarray]):
    """Arrays ``(n,)`` by name, which show themselves as a table.

    Examples
    --------
    >>> Table(optimizer=np.array(["adam", "sgd"]), slots=np.array([2, 0]))
    optimizer  slots
    adam       2
    sgd        0
    """

    def only(self, *names: str) -> Table:
        """Some of the columns.

        Raises
        ------
        ValueError
            If there is no such column; the message lists those that there are.
        """
        for name in names:
            if name not in self:
                raise ValueError(
                    f"The table has no column {name!r}.{did_you_mean(str(name), self)} It has "
                    f"{', '.join(self)}."
                )
        return Table({name: self[name] for name in names})

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas. Run `pip install pandas`, or use the columns by their "
                "names: each is an array."
            ) from error
        return pd.DataFrame(dict(self))

    def _lines(self) -> list[tuple[str, ...]]:
        columns = [[name, *map(_shown, column)] for name, column in self.items()]
        return list(zip(*columns, strict=True))

    def __repr__(self) -> str:
        lines = self._lines()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = (
            (cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        )
        return "\n".join("  ".join(line).rstrip() for line in padded)

    def _repr_html_(self) -> str:
        head, *rows = ([escape(cell) for cell in line] for line in self._lines())
        lines = ["".join(f"<th>{cell}</th>" for cell in head)]
        lines += ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _shown(value: Any) -> str:
    if isinstance(value, np.bool_):
        return "yes" if value else "no"
    return f"{value:.2g}" if isinstance(value, np.floating) else str(value)
