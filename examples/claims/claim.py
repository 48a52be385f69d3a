"""What a claim is: words, an experiment, and a verdict that is computed from its findings."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl


class Finding(NamedTuple):
    """One sentence that an experiment can refute.

    Attributes
    ----------
    statement : str
    measured : str
        The figures that decide.
    holds : bool
    """

    statement: str
    measured: str
    holds: bool


class Claim(NamedTuple):
    """A claim, and the experiment that puts it to the test.

    Attributes
    ----------
    name : str
        That of its figure.
    words : str
        As the sources have it.
    experiment : callable
        Called without arguments; returns a matplotlib figure and a list of `Finding`.
    setup : str
        What the experiment does, in a sentence or two.
    timed : bool
        Whether findings depend on how fast the machine is.
    """

    name: str
    words: str
    setup: str
    experiment: Callable[[], tuple[Any, list[Finding]]]
    timed: bool = False


def verdict(findings: list[Finding]) -> str:
    """Say in words how much of a claim holds."""
    n_held = sum(finding.holds for finding in findings)
    if n_held == len(findings):
        return "Holds"
    return "Does not hold" if not n_held else "Holds in part"


def main(claim: Claim, arguments: list[str] | None = None) -> None:
    """Run one claim's script: print what was found, and save the figure."""
    parser = argparse.ArgumentParser(description=claim.words)
    parser.add_argument("--output", type=Path, default=Path("output"))
    options = parser.parse_args(arguments)
    mpl.use("Agg")
    figure, findings = claim.experiment()
    print(f"{claim.words}\n{verdict(findings)}.")
    for finding in findings:
        print(f"  {'yes' if finding.holds else 'no':>3}: {finding.statement} {finding.measured}")
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{claim.name}.png"
    figure.savefig(path, dpi=110)
    print(f"Figure: {path.resolve()}")
