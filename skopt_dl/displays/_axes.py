"""Where to draw."""

from __future__ import annotations

from typing import Any

import numpy as np


def axes(ax: Any) -> Any:
    """Return `ax`, or new axes.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    TypeError
        If `ax` is no Axes.
    """
    return _pyplot().subplots(layout="constrained")[1] if ax is None else _checked(ax)


def stacked_axes(ax: Any, n_axes: int, title: str) -> Any:
    """Return the axes in `ax`, `n_axes` of them, or as many new ones above each other.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If `ax` has another number of axes; `title` says what for.
    """
    if ax is None:
        size = (6.4, 2.9 * n_axes)
        return _pyplot().subplots(n_axes, sharex=True, layout="constrained", figsize=size)[1]
    given = np.ravel(np.asarray(ax, dtype=object))
    if len(given) != n_axes:
        raise ValueError(f"{title} needs {n_axes} axes; got {len(given)}. Pass as many, or None.")
    return np.array([_checked(each) for each in given])


def _checked(ax: Any) -> Any:
    if not (hasattr(ax, "plot") and hasattr(ax, "figure")):
        raise TypeError(
            f"ax must be matplotlib Axes, as plt.subplots() makes them, or None; got {ax!r}."
        )
    return ax


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Figures need matplotlib. Run `pip install 'skopt-dl[plot]'`.") from error
    return plt
