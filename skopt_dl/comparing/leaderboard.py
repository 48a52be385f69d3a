"""What the rows of a comparison say, computed from them alone."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skopt_dl._files import replaceable, write_whole
from skopt_dl.comparing.plan import chosen
from skopt_dl.comparing.statistics import (
    Interval,
    first_reaching,
    holm,
    interval,
    mean_ranks,
    median,
    p_value,
)

Row = dict[str, Any]

BASELINE = "adamw"
# Shares of the way from a constant prediction to the tuned baseline's mean score.
TARGETS = (0.8, 0.9, 0.95, 1.0)
ALPHA = 0.05
COLUMNS = (
    "phase",
    "optimizer",
    "seed",
    "trial",
    "fold",
    "factor",
    "params",
    "outcome",
    "score",
    "loss",
    "epochs",
    "steps",
    "seconds",
    "curve",
    "message",
)
# Columns that are written as JSON.
_STRUCTURED = ("params", "curve")
_NUMBERS = ("seed", "trial", "fold", "factor", "score", "loss", "epochs", "steps", "seconds")
_WHOLE = ("seed", "trial", "fold", "epochs")


class Reached(NamedTuple):
    """How an optimizer's tuned runs came to a target: in how many, and in the median.

    `steps` and `seconds` are infinite where half of the runs or more never did.
    """

    target: float
    n_runs: int
    steps: float
    seconds: float


class Failures(NamedTuple):
    """How many trainings failed, of how many."""

    n_failed: int
    n_all: int


@dataclass(frozen=True)
class Standing:
    """What became of one optimizer.

    Attributes
    ----------
    optimizer : str
    tuned, default : Interval
        Scores on what was held out: with the settings that tuning chose, and with the defaults.
    difference : Interval
        Of the tuned scores to the baseline's, on the same splits.
    p_value : float
        Of that difference, which allows for the number of optimizers; NaN for the baseline.
    verdict : {"baseline", "better", "worse", "not told apart"}
    rank : float
        Mean over the repetitions, 1 for the best.
    reached : list of Reached
        One a target, tuned.
    seconds_per_step : float
        Alone on this machine; NaN where it was not timed.
    rates : dict of float to float
        Mean score by what the tuned learning rate is multiplied by; empty where it has none.
    tuning, final : Failures
    settings : list of dict
        What tuning chose, one a repetition.
    best : dict
        The one of them with the best score in tuning.
    """

    optimizer: str
    tuned: Interval
    default: Interval
    difference: Interval
    p_value: float
    verdict: str
    rank: float
    reached: list[Reached]
    seconds_per_step: float
    rates: dict[float, float]
    tuning: Failures
    final: Failures
    settings: list[dict[str, Any]]
    best: dict[str, Any]


@dataclass(eq=False)
class Leaderboard:
    """A comparison of optimizers: raw rows, and what follows from them.

    Attributes
    ----------
    about : dict
        Of plain values: ``data``, ``plan``, ``spaces``, ``baseline``, ``metric``, ``machine`` and
        ``versions``.
    rows : list of dict
        One for each training; `COLUMNS` names what each may have.
    """

    about: dict[str, Any]
    rows: list[Row] = field(repr=False)

    @property
    def baseline(self) -> str:
        return str(self.about["baseline"])

    @property
    def ratio(self) -> float:
        test_size = self.about["plan"]["test_size"]
        return float(test_size / (1 - test_size))

    @cached_property
    def constant(self) -> list[float]:
        """What a constant prediction scores, one number a repetition."""
        return [row["score"] for row in _in_order(self.rows, "constant", "")]

    @cached_property
    def targets(self) -> list[float]:
        """Scores to reach; none where the tuned baseline is no better than a constant."""
        start = float(np.mean(self.constant))
        end = float(np.mean(self.scores("tuned", self.baseline)))
        return [start + share * (end - start) for share in TARGETS] if end > start else []

    def scores(self, phase: str, optimizer: str, factor: float = 1.0) -> list[float]:
        """Scores for the test, one a repetition; a failure counts as a constant prediction."""
        return [
            row["score"] if row["outcome"] == "finished" else self.constant[row["seed"]]
            for row in _in_order(self.rows, phase, optimizer)
            if row["factor"] == factor
        ]

    @cached_property
    def standings(self) -> list[Standing]:
        """One for each optimizer, best first."""
        labels = list(self.about["spaces"])
        tuned = {label: self.scores("tuned", label) for label in labels}
        base = np.array(tuned[self.baseline])
        others = [label for label in labels if label != self.baseline]
        p_values = holm([p_value(np.array(tuned[label]) - base, self.ratio) for label in others])
        by_label = dict(zip(others, p_values, strict=True))
        ranks = dict(zip(labels, mean_ranks(list(tuned.values())), strict=True))
        found = [self._standing(label, tuned, by_label, ranks) for label in labels]
        return sorted(found, key=lambda each: (-each.tuned.mean, each.rank))

    def _standing(
        self,
        label: str,
        tuned: dict[str, list[float]],
        p_values: dict[str, float],
        ranks: dict[str, float],
    ) -> Standing:
        differences = np.array(tuned[label]) - np.array(tuned[self.baseline])
        difference = interval(differences, self.ratio)
        p = p_values.get(label, math.nan)
        verdict = "not told apart"
        if label == self.baseline:
            verdict = "baseline"
        elif p < ALPHA:
            verdict = "better" if difference.mean > 0 else "worse"
        in_tuning = [r for r in self.rows if r["phase"] == "tuning" and r["optimizer"] == label]
        finals = [r for r in self.rows if r["phase"] in _FINAL and r["optimizer"] == label]
        picks = {seed: pick for (name, seed), pick in chosen(in_tuning).items() if name == label}
        best = max(picks, key=lambda seed: _mean_score(in_tuning, seed, picks[seed][0]))
        seconds = self._seconds_per_step(label)
        return Standing(
            label,
            interval(tuned[label], self.ratio),
            interval(self.scores("default", label), self.ratio),
            difference,
            p,
            verdict,
            ranks[label],
            [self._reached(label, target, seconds) for target in self.targets],
            seconds,
            self._rates(label),
            _failures(in_tuning),
            _failures(finals),
            [params for _, (_, params) in sorted(picks.items())],
            picks[best][1],
        )

    def curve(self, optimizer: str) -> list[float]:
        """The mean score after each epoch, of the tuned runs that did not fail."""
        curves = [row["curve"] for row in _in_order(self.rows, "tuned", optimizer) if row["curve"]]
        n = max(map(len, curves), default=0)
        # A method that ended early stays where it ended.
        padded = [curve + curve[-1:] * (n - len(curve)) for curve in curves]
        return [float(score) for score in np.mean(padded, axis=0)] if padded else []

    def _reached(self, label: str, target: float, seconds_per_step: float) -> Reached:
        steps = []
        for row in _in_order(self.rows, "tuned", label):
            epoch = first_reaching(row["curve"], target)
            steps.append(epoch * row["steps"] / row["epochs"] if epoch < math.inf else epoch)
        middle = median(steps)
        n_runs = sum(each < math.inf for each in steps)
        return Reached(target, n_runs, middle, middle * seconds_per_step)

    def _seconds_per_step(self, label: str) -> float:
        times = [
            row["seconds"] / row["steps"]
            for row in self.rows
            if row["phase"] == "timing" and row["optimizer"] == label
        ]
        return min(times, default=math.nan)

    def _rates(self, label: str) -> dict[float, float]:
        factors = {row["factor"] for row in self.rows if row["phase"] == "rate"}
        scores = {factor: self.scores("rate", label, factor) for factor in factors}
        found = {factor: float(np.mean(each)) for factor, each in scores.items() if each}
        if found:
            found[1.0] = float(np.mean(self.scores("tuned", label)))
        return dict(sorted(found.items()))

    def as_csv(self) -> str:
        """The raw rows as CSV, after a first line that says what they are about, as JSON."""
        text = io.StringIO()
        text.write(f"# {json.dumps(self.about)}\n")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            structured = {
                name: json.dumps(row[name], default=repr) for name in _STRUCTURED if name in row
            }
            writer.writerow({**row, **structured})
        return text.getvalue()

    def write_rows(self, path: str | Path) -> int:
        """Write what `as_csv` returns; `read_rows` reads it.

        Parameters
        ----------
        path : str or path
            A file that is there is replaced.

        Returns
        -------
        n_bytes : int
        """
        data = self.as_csv().encode()
        write_whole(replaceable(Path(path)), lambda file: file.write(data))
        return len(data)


_FINAL = ("tuned", "default")


def read_rows(path: str | Path) -> Leaderboard:
    """Return the leaderboard that `Leaderboard.write_rows` has written."""
    head, _, rest = Path(path).read_text("utf-8").partition("\n")
    if not head.startswith("# {"):
        raise ValueError(f"{path} has no rows of a comparison: its first line is {head[:60]!r}.")
    rows = []
    for written in csv.DictReader(io.StringIO(rest)):
        row: Row = {name: value for name, value in written.items() if value != ""}
        for name in _NUMBERS:
            if name in row:
                row[name] = (int if name in _WHOLE else float)(row[name])
        for name in _STRUCTURED:
            if name in row:
                row[name] = json.loads(row[name])
        rows.append({"message": "", "optimizer": "", **row})
    return Leaderboard(json.loads(head[2:]), rows)


def _in_order(rows: Sequence[Row], phase: str, optimizer: str) -> list[Row]:
    """Rows of a phase and an optimizer, by repetition."""
    found = [row for row in rows if row["phase"] == phase and row["optimizer"] == optimizer]
    return sorted(found, key=lambda row: row["seed"])


def _mean_score(rows: Sequence[Row], seed: int, trial: int) -> float:
    scores = [row["score"] for row in rows if row["seed"] == seed and row["trial"] == trial]
    return float(np.mean([-math.inf if math.isnan(score) else score for score in scores]))


def _failures(rows: Sequence[Row]) -> Failures:
    return Failures(sum(row["outcome"] != "finished" for row in rows), len(rows))
