"""Directions and scales, the optimizers that combine them, and what reduces to what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any, NamedTuple, Self

import numpy as np

from skopt_dl.displays._axes import axes
from skopt_dl.optimizers import Direction, Scale, rule

# In cells: half a box; how far a bent arrow leaves the straight line; how far its number stands.
HALF_WIDTH, HALF_HEIGHT = 0.36, 0.2
BEND, BESIDE = 0.55, 0.1


class Arrow(NamedTuple):
    """That one optimizer does what another does, on a condition.

    Parameters
    ----------
    general, special : str
        Their names.
    condition : str
    form : {"exact", "limit"}
    """

    general: str
    special: str
    condition: str
    form: str


class UnifiedViewDisplay:
    """A chart of direction against scale, with the optimizers in their cells.

    Arrows lead from an optimizer to the special case of it: solid where it is exact, dashed where
    it is a limit.

    Parameters
    ----------
    directions, scales : dict of str to str
        The formula of each, in LaTeX, by what it is called; rows from below, columns from the left.
    cells : dict of (str, str) to list of str
        Names of optimizers by direction and scale.
    arrows : sequence of Arrow
        Between names.
    others : sequence of str
        Names of optimizers that are not of this family.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skopt_dl import lab
    >>> from skopt_dl.displays import UnifiedViewDisplay
    >>> names = ["sgd", "momentum", "rmsprop", "adam"]
    >>> display = UnifiedViewDisplay.from_rules(lab.rules(names), lab.reductions())
    >>> display.cells["gradient", "average of squares"]
    ['rmsprop']
    >>> plt.show()
    """

    def __init__(
        self,
        directions: Mapping[str, str],
        scales: Mapping[str, str],
        cells: Mapping[tuple[str, str], Sequence[str]],
        arrows: Sequence[Arrow] = (),
        others: Sequence[str] = (),
    ):
        self.directions = directions
        self.scales = scales
        self.cells = cells
        self.arrows = arrows
        self.others = others

    @classmethod
    def from_rules(
        cls, rules: Mapping[str, Any], reductions: Mapping[str, Any], *, ax: Any = None
    ) -> Self:
        """Show what `skopt_dl.lab.rules` and `skopt_dl.lab.reductions` return.

        Parameters
        ----------
        rules : Rules
        reductions : Table
            Those that hold at every step are shown.
        ax : matplotlib Axes, default=None

        Raises
        ------
        TypeError
            If `rules` or `reductions` is something else.
        ValueError
            If no rule is a direction over a scale: there would be nothing to draw.
        """
        for name, given in (("rules", rules), ("reductions", reductions)):
            if not isinstance(given, Mapping):
                raise TypeError(
                    f"{name} of UnifiedViewDisplay must be what lab.{name}() returns; got "
                    f"{given!r}."
                )
        family = {n: r for n, r in rules.items() if r.direction and r.direction.label}
        if not family:
            raise ValueError(
                "UnifiedViewDisplay shows rules that are a direction over a scale; none of "
                f"{', '.join(map(repr, rules)) or 'no rules'} is. Pass others too, such as "
                "lab.rules(['sgd', 'adam'])."
            )
        cells: dict[tuple[str, str], list[str]] = {}
        for name, each in family.items():
            cells.setdefault((each.direction.label, each.scale.label), []).append(name)
        names = {type(each.optimizer).__name__: name for name, each in family.items()}
        return cls(
            _in_order(Direction, [each.direction for each in family.values()]),
            _in_order(Scale, [each.scale for each in family.values()]),
            cells,
            list(_arrows(names, reductions)),
            [name for name in rules if name not in family],
        ).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the chart, its arrows numbered, with a key below it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure of a page's width.
        """
        self.ax_ = drawn = axes(ax)
        self.figure_ = drawn.figure
        if ax is None:
            drawn.figure.set_size_inches(11, 8.5)
        rows, columns = list(self.directions), list(self.scales)
        self._draw_grid(drawn, rows, columns)
        places: dict[str, tuple[int, int]] = {}
        for (direction, scale), names in self.cells.items():
            place = columns.index(scale), rows.index(direction)
            _draw_box(drawn, place, "\n".join(names))
            places |= dict.fromkeys(names, place)
        shown = sorted(self.arrows, key=lambda a: places[a.general] == places[a.special])
        for number, arrow in enumerate(shown, start=1):
            if places[arrow.general] != places[arrow.special]:
                _draw_arrow(drawn, number, arrow, places)
        self._write_key(drawn, shown)
        return self

    def _draw_grid(self, ax: Any, rows: Sequence[str], columns: Sequence[str]) -> None:
        ax.set(
            xlim=(-0.6, len(columns) - 0.4),
            ylim=(-0.85, len(rows) - 0.5),
            xlabel="scale: what the direction is divided by, weight by weight",
            ylabel="direction: what becomes of the gradient",
        )
        ax.set_xticks(range(len(columns)), [_titled(c, self.scales[c], 11) for c in columns])
        ax.set_yticks(range(len(rows)), [_titled(r, self.directions[r], 18) for r in rows])
        ax.tick_params(length=0, labelsize="small")
        ax.xaxis.tick_top()
        ax.xaxis.set_label_position("top")
        ax.spines[:].set_visible(False)
        for between in range(len(rows) - 1):
            ax.axhline(between + 0.5, color="0.85", linewidth=0.8, zorder=0)
        for between in range(len(columns) - 1):
            ax.axvline(between + 0.5, color="0.85", linewidth=0.8, zorder=0)

    def _write_key(self, ax: Any, arrows: Sequence[Arrow]) -> None:
        lines = [
            f"{number}  {a.general} is {a.special}: {a.condition}"
            for number, a in enumerate(arrows, start=1)
        ]
        lines.append("Solid arrows: exactly. Dashed arrows: in the limit.")
        if self.others:
            lines.append(f"Rules of their own: {', '.join(self.others)}")
        half = (len(lines) + 1) // 2
        for x, part in ((-0.12, lines[:half]), (0.46, lines[half:])):
            text = "\n".join(fill(line, 68, subsequent_indent="    ") for line in part)
            ax.text(x, -0.01, text, transform=ax.transAxes, va="top", fontsize=8)


def _draw_box(ax: Any, place: tuple[int, int], text: str) -> None:
    from matplotlib.patches import Rectangle

    x, y = place
    corner = x - HALF_WIDTH, y - HALF_HEIGHT
    size = 2 * HALF_WIDTH, 2 * HALF_HEIGHT
    ax.add_patch(Rectangle(corner, *size, facecolor="white", edgecolor="black", zorder=3))
    ax.text(x, y, text, ha="center", va="center", zorder=4)


def _titled(label: str, latex: str, width: int) -> str:
    return f"{fill(label, width)}\n${latex}$"


def _in_order(base: type[Direction] | type[Scale], parts: Iterable[Any]) -> dict[str, str]:
    """Formulas by label, the built-in parts in the order in which they are defined."""
    found: dict[str, str] = {}
    for part in parts:
        found.setdefault(part.label, part.latex)
    classes = (c for c in vars(rule).values() if isinstance(c, type) and issubclass(c, base))
    known = [label for label in dict.fromkeys(c.label for c in classes) if label in found]
    return {label: found[label] for label in dict.fromkeys([*known, *found])}


def _arrows(names: Mapping[str, str], reductions: Mapping[str, Any]) -> Iterable[Arrow]:
    """The reductions between those that are shown, one arrow for each pair of optimizers."""
    columns = ("general", "special", "condition", "where", "form", "holds")
    conditions: dict[tuple[str, str], list[str]] = {}
    forms: dict[tuple[str, str], str] = {}
    for general, special, condition, where, form, holds in zip(
        *(reductions[column] for column in columns), strict=True
    ):
        pair = (names.get(general, ""), names.get(special, ""))
        if holds and where != "first step" and all(pair) and pair[0] != pair[1]:
            suffix = "" if where == "always" else f" ({where})"
            conditions.setdefault(pair, []).append(f"{condition}{suffix}")
            forms.setdefault(pair, str(form))
    for pair, several in conditions.items():
        yield Arrow(*pair, condition="; or ".join(several), form=forms[pair])


def _draw_arrow(ax: Any, number: int, arrow: Arrow, places: Mapping[str, tuple[int, int]]) -> None:
    """Draw one arrow, bent where a box stands on the straight line, with its number beside it."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    start, end = (np.array(places[name], dtype=float) for name in (arrow.general, arrow.special))
    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]])
    others = [place for place in places.values() if place not in (tuple(start), tuple(end))]
    bend = BEND * any(_is_hit(np.array(place), start, end) for place in others)
    # A curve of this kind goes half as far out as its control point.
    control = (start + end) / 2 + 2 * bend * across
    points = _edge(start, control), control, _edge(end, control)
    curve = Path(points, [Path.MOVETO, Path.CURVE3, Path.CURVE3])
    dashes = "-" if arrow.form == "exact" else (0, (4, 3))
    ax.add_patch(
        FancyArrowPatch(
            path=curve, arrowstyle="-|>", mutation_scale=12, linestyle=dashes, color="0.2"
        )
    )
    middle = (points[0] + 2 * control + points[2]) / 4 + BESIDE * across
    ax.text(*middle, str(number), ha="center", va="center", fontsize=8, zorder=4)


def _edge(center: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """Where a line from the middle of a box leaves it."""
    offset = towards - center
    with np.errstate(divide="ignore"):
        share = np.min(np.array([HALF_WIDTH, HALF_HEIGHT]) / np.abs(offset))
    return center + share * offset


def _is_hit(center: np.ndarray, start: np.ndarray, end: np.ndarray) -> bool:
    """Whether a line between two places touches the box around another."""
    shares = np.linspace(0, 1, 50)[:, None]
    offsets = np.abs(start + shares * (end - start) - center)
    return bool((offsets < (HALF_WIDTH, HALF_HEIGHT)).all(axis=1).any())
