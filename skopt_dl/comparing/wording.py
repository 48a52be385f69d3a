"""What a comparison says, in words and in cells of tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from skopt_dl.comparing.leaderboard import TARGETS, Leaderboard, Reached, Standing
from skopt_dl.comparing.statistics import Interval

NOTHING = "–"
# Of `TARGETS`, the one that the short table shows.
SHOWN_TARGET = 0.95
# The verdict counts those who are more.
MOST_NAMED = 6


def number(value: float) -> str:
    """A score, in three decimals or digits."""
    if not math.isfinite(value):
        return NOTHING
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def signed(value: float) -> str:
    """A difference, with its sign."""
    return f"{'+' if value >= 0 else '−'}{number(abs(value))}" if math.isfinite(value) else NOTHING


def interval(of: Interval) -> str:
    """A mean and half the width of its interval."""
    half = (of.high - of.low) / 2
    return number(of.mean) + (f" ± {number(half)}" if math.isfinite(half) else "")


def p_value(p: float) -> str:
    """A p value, in two digits."""
    if math.isnan(p):
        return NOTHING
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def reached(of: Reached, n_runs: int) -> str:
    """Steps to a target, and how many of the runs came there."""
    steps = f"{of.steps:.0f}" if math.isfinite(of.steps) else NOTHING
    return f"{steps} ({of.n_runs}/{n_runs})"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if not math.isfinite(seconds):
        return NOTHING
    for unit, length in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def listed(names: Sequence[str]) -> str:
    """Names with commas and an "and"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def verdict(board: Leaderboard) -> str:
    """What follows, in a sentence or two."""
    first, n = board.standings[0], board.about["plan"]["seeds"]
    said = (
        f"{first.optimizer} has the best mean {board.about['metric']}, {number(first.tuned.mean)}. "
    )
    if n < 2:
        return said + "With a single repetition, nothing can be said of chance: raise --seeds."
    for name, of in (("better", "than"), ("worse", "than"), ("not told apart", "from")):
        found = [each.optimizer for each in board.standings if each.verdict == name]
        verb = "is" if len(found) == 1 else "are"
        who = listed(found) if len(found) <= MOST_NAMED else f"{len(found)} others"
        said += f"{who} {verb} {name} {of} tuned {board.baseline}. " if found else ""
    return said.strip()


def rows(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """The short table: its header, and a row for each optimizer."""
    header = ["optimizer", board.about["metric"], "with defaults", f"to {board.baseline}", "p"]
    header += ["verdict", f"steps to {SHOWN_TARGET:.0%}", "time", "rate ÷3", "×3", "failed"]
    return header, [_row(board, each) for each in board.standings]


def _row(board: Leaderboard, of: Standing) -> list[str]:
    n_runs = board.about["plan"]["seeds"]
    steps, seconds = NOTHING, NOTHING
    if of.reached:
        shown = of.reached[TARGETS.index(SHOWN_TARGET)]
        steps, seconds = reached(shown, n_runs), duration(shown.seconds)
    is_baseline = of.verdict == "baseline"
    return [
        of.optimizer,
        interval(of.tuned),
        number(of.default.mean),
        NOTHING if is_baseline else signed(of.difference.mean),
        p_value(of.p_value),
        of.verdict,
        steps,
        seconds,
        *(number(of.rates.get(factor, math.nan)) for factor in (0.3, 3.0)),
        f"{of.tuning.n_failed + of.final.n_failed}/{of.tuning.n_all + of.final.n_all}",
    ]
