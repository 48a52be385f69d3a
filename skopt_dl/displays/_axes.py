"""Where to draw."""

from __future__ import annotations

from typing import Any


def axes(ax: Any) -> Any:
    """Return `ax`, or new axes.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Figures need matplotlib. Run `pip install 'skopt-dl[plot]'`.") from error
    return plt.subplots(layout="constrained")[1]
