"""The report's figures, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from skopt_dl.comparing.leaderboard import Leaderboard, Standing
from skopt_dl.comparing.wording import interval, number

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 136, 24, 8, 44
ROW = 26
# Lines that have a colour of their own, besides the baseline's; the others are grey.
N_COLOURED = 3
# The distance between labels at the ends of lines.
LABEL = 15


def scores(board: Leaderboard) -> str:
    """Tuned scores with intervals, and those of the defaults: a row for each optimizer."""
    standings = board.standings
    means = [m for each in standings for m in (each.tuned.mean, each.default.mean)]
    bounds = [b for each in standings for b in each.tuned[1:] if math.isfinite(b)]
    low, high = min(means), max(means)
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    # Bounds far from all means would leave no room to tell those apart.
    least = max(low - 4 * room, min([low, *bounds])) - room
    most = min(high + 4 * room, max([high, *bounds])) + room
    height = TOP + ROW * len(standings) + BOTTOM
    x = _scale(least, most, LEFT, WIDTH - RIGHT)
    base = next(each for each in standings if each.verdict == "baseline")
    parts = [_x_axis(x, least, most, height - BOTTOM, board.about["metric"])]
    parts.append(_line(x(base.tuned.mean), TOP, x(base.tuned.mean), height - BOTTOM, "base"))
    for place, each in enumerate(standings):
        y = TOP + ROW * (place + 0.5)
        title = f"{each.optimizer}: tuned {interval(each.tuned)}, with defaults "
        title += interval(each.default)
        low_x, high_x = (
            min(max(x(b), LEFT), WIDTH - RIGHT) if math.isfinite(b) else x(each.tuned.mean)
            for b in each.tuned[1:]
        )
        parts.append(
            f'<g class="{_kind(each)}"><title>{escape(title)}</title>'
            f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(_short(each.optimizer))}</text>"
            f"{_line(low_x, y, high_x, y, 'interval')}"
            f'<circle class="default" cx="{x(each.default.mean):.1f}" cy="{y:.1f}" r="4"/>'
            f'<circle class="tuned" cx="{x(each.tuned.mean):.1f}" cy="{y:.1f}" r="5"/></g>'
        )
    return _svg(height, "Scores of the optimizers, tuned and with their defaults", parts)


def curves(board: Leaderboard) -> str:
    """Scores after each epoch, tuned: a line for each optimizer."""
    lines = {each.optimizer: board.curve(each.optimizer) for each in board.standings}
    points = {
        name: [(float(epoch), score) for epoch, score in enumerate(line, 1)]
        for name, line in lines.items()
    }
    n_epochs = board.about["plan"]["epochs"]
    return _lines(
        board,
        points,
        "Scores while training, of the tuned optimizers",
        "epochs",
        (1.0, float(max(2, n_epochs))),
        {t: f"{t:g}" for t in ticks(0, n_epochs) if 1 <= t <= n_epochs},
        board.targets,
        min([*board.targets, *(line[-1] for line in lines.values() if line)], default=None),
    )


def rates(board: Leaderboard) -> str:
    """Scores with other learning rates than the tuned: a line for each optimizer."""
    points = {
        each.optimizer: [(math.log10(f), score) for f, score in each.rates.items()]
        for each in board.standings
    }
    factors = sorted({factor for each in board.standings for factor in each.rates})
    names = {f: "tuned" if f == 1 else f"× {f:g}" if f > 1 else f"÷ {1 / f:.0f}" for f in factors}
    return _lines(
        board,
        points,
        "Scores with other learning rates than the tuned one",
        "learning rate",
        (-1.0, 1.0),
        {math.log10(factor): name for factor, name in names.items()},
    )


def _lines(
    board: Leaderboard,
    points: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    x_label: str,
    x_range: tuple[float, float],
    x_ticks: Mapping[float, str],
    targets: Sequence[float] = (),
    least: float | None = None,
) -> str:
    """Lines that are named where they end; what lies below `least` is cut off."""
    shown = {name: line for name, line in points.items() if line}
    values = [value for line in shown.values() for _, value in line] or [0.0, 1.0]
    height, right = max(320, TOP + BOTTOM + LABEL * len(shown)), 150
    low, high = min(values) if least is None else least, max(values)
    room = 0.04 * ((high - low) or 1.0)
    low, high = low - room, high + room
    left = 64
    x = _scale(*x_range, left, WIDTH - right)
    y = _scale(low, high, height - BOTTOM, TOP)
    parts = [
        f"{_line(left, y(t), WIDTH - right, y(t), 'grid')}"
        f'<text class="tick" x="{left - 8}" y="{y(t) + 4:.1f}" text-anchor="end">{t:g}</text>'
        for t in ticks(low, high)
    ]
    parts += [
        f'<text class="tick" x="{x(t):.1f}" y="{height - BOTTOM + 18}" text-anchor="middle">'
        f"{escape(name)}</text>"
        for t, name in x_ticks.items()
    ]
    parts.append(
        f'<text class="tick" x="{(left + WIDTH - right) / 2}" y="{height - 6}" '
        f'text-anchor="middle">{escape(x_label)}</text>'
    )
    parts += [
        _line(left, y(target), WIDTH - right, y(target), "base")
        for target in targets
        if low < target < high
    ]
    kinds = {each.optimizer: _kind(each, place) for place, each in enumerate(board.standings)}
    ends = dodged({name: y(line[-1][1]) for name, line in shown.items()}, TOP + 6, height - BOTTOM)
    parts.append(
        f'<clipPath id="{x_label[:5]}"><rect x="0" y="0" width="{WIDTH}" '
        f'height="{height - BOTTOM}"/></clipPath>'
    )
    # Coloured lines lie over the grey ones.
    for name in sorted(shown, key=lambda each: kinds[each] != "other"):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in shown[name])
        end_x, end_y = x(shown[name][-1][0]), y(shown[name][-1][1])
        parts.append(
            f'<g class="{kinds[name]}"><title>{escape(name)}: {number(shown[name][-1][1])} at the '
            f'end</title><polyline clip-path="url(#{x_label[:5]})" points="{path}"/>'
            f"{_line(end_x + 2, end_y, WIDTH - right + 16, ends[name], 'leader')}"
            f'<text x="{WIDTH - right + 20}" y="{ends[name] + 4:.1f}">'
            f"{escape(_short(name))}</text></g>"
        )
    return _svg(height, title, parts)


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """Return about `n` round numbers between two.

    Examples
    --------
    >>> from skopt_dl.comparing.figures import ticks
    >>> ticks(0.43, 0.97)
    [0.5, 0.6, 0.7, 0.8, 0.9]
    """
    rough = (high - low) / n
    if not rough > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda each: abs(each - rough))
    first = math.ceil(low / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, math.floor(high / step + 1e-9) + 1)]


def dodged(places: Mapping[str, float], low: float, high: float) -> dict[str, float]:
    """Return places of labels that do not cover each other, as near as may be to those asked for.

    Examples
    --------
    >>> from skopt_dl.comparing.figures import dodged
    >>> dodged({"a": 50.0, "b": 50.0, "c": 10.0}, 0.0, 100.0)
    {'c': 10.0, 'a': 50.0, 'b': 65.0}
    """
    names = sorted(places, key=lambda name: places[name])
    found: dict[str, float] = {}
    lowest = low
    for name in names:
        found[name] = lowest = max(places[name], lowest)
        lowest += LABEL
    highest = high
    for name in reversed(names):
        found[name] = highest = min(found[name], highest)
        highest -= LABEL
    return found


def _kind(each: Standing, place: int = N_COLOURED) -> str:
    """The class of an optimizer's marks: the baseline's, one of the first's, or any other's."""
    if each.verdict == "baseline":
        return "baseline"
    return f"first{place}" if place < N_COLOURED else "other"


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / ((high - low) or 1.0) * (end - start)


def _x_axis(x: Callable[[float], float], low: float, high: float, bottom: float, label: str) -> str:
    marks = [
        f"{_line(x(t), TOP, x(t), bottom, 'grid')}"
        f'<text class="tick" x="{x(t):.1f}" y="{bottom + 18}" text-anchor="middle">{t:g}</text>'
        for t in ticks(low, high)
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    return "".join(marks) + (
        f'<text class="tick" x="{middle}" y="{bottom + 38}" text-anchor="middle">'
        f"{escape(label)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<div class="wide" tabindex="0"><svg viewBox="0 0 {WIDTH} {height:g}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg></div>'
    )
