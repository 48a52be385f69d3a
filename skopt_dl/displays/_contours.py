"""A function as a background: its graph, or contours close together near the minimum."""

from __future__ import annotations

from typing import Any

import numpy as np

N_LEVELS = 12
# Contours begin where this share of the points lies lower, and span at most so many powers of ten.
LOWEST_SHARE, N_DECADES = 0.002, 8
# Stars, in points: where there are few minima, and where there are many.
LARGE, SMALL, FEW = 19, 8, 12


def grid(
    function: Any, lower: np.ndarray, upper: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evaluate a function of two variables.

    Returns
    -------
    x, y : ndarray of shape (resolution,)
    values : ndarray of shape (resolution, resolution)
        Rows are y.
    """
    x, y = (np.linspace(*ends, resolution) for ends in zip(lower, upper, strict=True))
    points = np.stack(np.meshgrid(x, y), axis=-1)
    with np.errstate(all="ignore"):
        return x, y, np.asarray(function.value(points))


def levels(values: np.ndarray, minimum: float) -> np.ndarray:
    """Levels in rising order: above the minimum, evenly spaced on a logarithmic scale.

    Of a function without a smallest value, they have equal shares of the points between them.
    """
    finite = values[np.isfinite(values)]
    if np.isneginf(minimum):
        return np.unique(np.quantile(finite, np.linspace(0, 1, N_LEVELS + 2)[1:-1]))
    base = finite.min() if np.isnan(minimum) else minimum
    gaps = finite - base
    highest = gaps.max()
    if not highest > 0:
        return np.array([])
    lowest = max(np.quantile(gaps, LOWEST_SHARE), gaps[gaps > 0].min(), highest / 10**N_DECADES)
    if lowest >= highest:
        return np.array([])
    return base + np.geomspace(lowest, highest, N_LEVELS + 1)[:-1]


def draw_contours(
    ax: Any, x: np.ndarray, y: np.ndarray, values: np.ndarray, minimum: float
) -> None:
    """Draw contours in light blue, the darker the lower."""
    import matplotlib as mpl

    heights = levels(values, minimum)
    if not heights.size:
        return
    shades = mpl.colormaps["Blues"](np.linspace(0.42, 0.0, len(heights) + 1))
    ends = [-np.inf, *heights, np.inf]
    filled = np.where(np.isfinite(values), values, np.finfo(float).max)
    ax.contourf(x, y, filled, np.clip(ends, -1e308, 1e308), colors=list(shades))
    ax.contour(x, y, filled, heights, colors="0.55", linewidths=0.5, linestyles="solid")


def draw_graph(ax: Any, function: Any, lower: float, upper: float, resolution: int) -> None:
    """Draw the graph of a function of one variable."""
    x = np.linspace(lower, upper, resolution)
    ax.plot(x, function.value(x[:, None]), color="0.55", linewidth=1.2, zorder=1)


def draw_minima(ax: Any, function: Any, lower: np.ndarray, upper: np.ndarray) -> None:
    """Mark the minima within bounds with stars, those that are not global smaller and empty."""
    inside = [m for m in function.minima if ((m.point >= lower) & (m.point <= upper)).all()]
    size = LARGE if len(inside) <= FEW else SMALL
    for minimum in inside:
        at = minimum.point if function.n_dims == 2 else (minimum.point[0], minimum.value)
        is_global = minimum.value <= function.minimum + 1e-9 * max(1.0, abs(function.minimum))
        ax.plot(
            *at,
            marker="*",
            color="black" if is_global else "white",
            markeredgecolor="white" if is_global else "black",
            markersize=size if is_global else 0.85 * size,
            linestyle="none",
            zorder=2.8,
        )
