"""Which runs of a comparison belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from skopt_dl.lab import Comparison

BEST, ALL = "best", "all"


class Group(NamedTuple):
    """Runs that differ in start and seed only.

    Parameters
    ----------
    label : str
        The optimizer; with its learning rate and batch size where there are several.
    optimizer : str
    learning_rate : float
        NaN where there is none.
    rows : ndarray of int
        Of the comparison's table.
    """

    label: str
    optimizer: str
    learning_rate: float
    rows: np.ndarray


def groups(comparison: Comparison, learning_rates: str = BEST) -> list[Group]:
    """Gather the runs of each optimizer, learning rate and batch size.

    Parameters
    ----------
    comparison : Comparison
    learning_rates : {"best", "all"}, default="best"
        "best" keeps one learning rate of each optimizer and batch size: the one with which most
        runs reach the tolerance, then the one with the fewest steps to it, then the one that ends
        lowest, by the median.

    Raises
    ------
    ValueError
        If `learning_rates` is neither.
    """
    if learning_rates not in (BEST, ALL):
        raise ValueError(f"learning_rates must be {BEST!r} or {ALL!r}; got {learning_rates!r}.")
    table = comparison.table
    rates, sizes = table["learning_rate"], table["batch_size"]
    found: dict[Any, dict[float | None, list[int]]] = {}
    for row, (name, rate) in enumerate(zip(table["optimizer"], rates, strict=True)):
        # NaN is not equal to itself.
        key = None if np.isnan(rate) else float(rate)
        found.setdefault((str(name), int(sizes[row])), {}).setdefault(key, []).append(row)
    several_rates = any(len(of_rate) > 1 for of_rate in found.values())
    several_sizes = len({size for _, size in found}) > 1
    gathered = []
    for (name, size), of_rate in found.items():
        chosen = list(of_rate)
        if learning_rates == BEST:
            chosen = [min(of_rate, key=lambda rate: _badness(table, of_rate[rate]))]
        for rate in chosen:
            label = name
            if several_rates and rate is not None:
                label += f", {rate:g}"
            if several_sizes:
                label += f", batch {size}"
            gathered.append(
                Group(label, name, np.nan if rate is None else rate, np.array(of_rate[rate]))
            )
    return gathered


def _badness(table: dict[str, np.ndarray], rows: list[int]) -> tuple[float, ...]:
    steps, gaps = table["steps_to_tolerance"][rows], table["final_gap"][rows]
    return (
        float(np.mean(np.isinf(steps))),
        float(np.median(steps)),
        float(np.median(np.where(np.isnan(gaps), np.inf, gaps))),
    )


def steps_to_stay(gaps: np.ndarray, tol: float) -> np.ndarray:
    """Steps after which gaps ``(R, T + 1)`` stay at most `tol`; infinite where the last does not.

    The first step at which a gap is small may be one that crosses the minimum at speed.
    """
    within = gaps <= tol
    n_within = np.where(within.all(axis=1), within.shape[1], within[:, ::-1].argmin(axis=1))
    return np.where(n_within > 0, within.shape[1] - n_within, np.inf)


def still_moves(values: np.ndarray) -> np.ndarray:
    """How much values ``(R, T + 1)`` change in the last tenth of the steps, ``(R,)``.

    Where the smallest value of a function is not known, a run has arrived only where it rests.
    """
    last = values[:, -1 - max(1, values.shape[1] // 10) :]
    with np.errstate(invalid="ignore"):
        changes = last.max(axis=1) - last.min(axis=1)
    return np.where(np.isnan(changes), np.inf, changes)


def lasting_values(comparison: Comparison) -> np.ndarray:
    """Values ``(R, T + 1)``: a run that has ended stays where it is, a diverged one is infinite."""
    values = np.array(comparison.values)
    diverged = comparison.table["outcome"] == "diverged"
    values[diverged[:, None] & ~np.isfinite(values)] = np.inf
    seen = np.where(np.isnan(values), 0, np.arange(values.shape[1]))
    return np.take_along_axis(values, np.maximum.accumulate(seen, axis=1), axis=1)
