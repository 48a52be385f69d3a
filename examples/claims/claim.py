"""What a claim is: words, an experiment, and a verdict that is computed from its findings."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import fit_many

# Of Okabe and Ito (2008), distinct for the colour-blind; lines and markers differ as well.
COLOURS = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]
LOOK: dict[Any, Any] = {
    "axes.prop_cycle": cycler(
        color=COLOURS, linestyle=["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1))]
    ),
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.25,
    "image.cmap": "cividis",
    "font.size": 10.0,
    "axes.titlesize": 10.0,
}


class Finding(NamedTuple):
    """One sentence of a claim, which an experiment can refute.

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
    words : str
        As the sources have it.
    setup : str
        What the experiment does, in a sentence or two.
    experiment : callable
        Called without arguments; returns a matplotlib figure and a list of `Finding`.
    timed : bool
        Whether findings depend on how fast the machine is.
    """

    words: str
    setup: str
    experiment: Callable[[], tuple[Figure, list[Finding]]]
    timed: bool = False

    @property
    def name(self) -> str:
        """That of its script and of its figure."""
        return Path(self.experiment.__code__.co_filename).stem


def verdict(findings: list[Finding]) -> str:
    """Say in words how much of a claim holds."""
    n_held = sum(finding.holds for finding in findings)
    if n_held == len(findings):
        return "Holds"
    return "Does not hold" if not n_held else "Holds in part"


def train(models: list[Any], X: Any, y: Any, **validation: Any) -> list[Any]:
    """Fit estimators in stacks; that one could train for longer, or diverges, is no surprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if not validation:
            return fit_many(models, X, y)
        # Other processes would take longer to begin than this to end.
        with joblib.parallel_config(backend="skopt_dl", n_jobs=64, n_processes=1):
            return joblib.Parallel()(joblib.delayed(m.fit)(X, y, **validation) for m in models)


def panels(n: int = 2, **options: Any) -> tuple[Figure, Any]:
    """Return a figure and its `n` axes, side by side; `options` are those of ``subplots``."""
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(9.0, 3.6), layout="constrained")
        return figure, figure.subplots(1, n, **options)


def save(figure: Figure, path: Path) -> None:
    """Write a picture of few colours, which is small."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(LOOK):
        figure.savefig(path, dpi=100)
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main(claim: Claim) -> None:
    """Run one claim's script: print what was found, and save the figure."""
    parser = argparse.ArgumentParser(description=claim.words)
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder of the figure")
    options = parser.parse_args()
    figure, findings = claim.experiment()
    print(f"{claim.words}\n{verdict(findings)}.")
    for finding in findings:
        print(f"  {'yes' if finding.holds else 'no':>3}: {finding.statement} {finding.measured}")
    path = options.output / f"{claim.name}.png"
    save(figure, path)
    print(f"Figure: {path.resolve()}")
