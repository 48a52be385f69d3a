"""Put all claims to the test, and write the page that says what came of it.

python examples/claims
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path

import matplotlib as mpl
from claim import Claim, verdict

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
INTRODUCTION = """# What optimizers are said to do, put to the test

Each claim is one that lecture notes make. Each has a script in [examples/claims](../examples/claims), which runs the
optimizers that train the estimators, and finds sentences true or false by what it measures. This page is written by
`python examples/claims`, verdicts included.
"""


def claims() -> list[Claim]:
    """Return the claims of all scripts in this folder, by the numbers that their names begin with."""
    scripts = sorted(HERE.glob("c[0-9][0-9]_*.py"))
    return [import_module(script.stem).CLAIM for script in scripts]


def main(arguments: list[str] | None = None) -> Path:
    """Run the experiments and return the path of the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the page")
    options = parser.parse_args(arguments)
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    images = options.output / "images" / "claims"
    images.mkdir(parents=True, exist_ok=True)
    sections, summary = [], ["| | claim | verdict |", "|---:|---|---|"]
    for number, claim in enumerate(claims(), start=1):
        began = time.perf_counter()
        figure, findings = claim.experiment()
        figure.savefig(images / f"{claim.name}.png", dpi=110)
        plt.close(figure)
        print(f"{verdict(findings):>13}: {claim.words} ({time.perf_counter() - began:.1f} s)")
        summary.append(f"| {number} | [{claim.words}](#{claim.name}) | {verdict(findings)} |")
        sections.append(_section(number, claim, findings))
    page = options.output / "claims.md"
    page.write_text("\n".join([INTRODUCTION, *summary, "", *sections]), encoding="utf-8")
    print(f"\nPage: {page.resolve()}")
    return page


def _section(number: int, claim: Claim, findings: list) -> str:
    rows = [
        f"| {each.statement} | {each.measured} | {'yes' if each.holds else '**no**'} |"
        for each in findings
    ]
    timed = "\n*Figures depend on the machine.*\n" if claim.timed else ""
    return "\n".join(
        [
            f'<a id="{claim.name}"></a>',
            "",
            f"## {number}. {claim.words}",
            "",
            f"**{verdict(findings)}.** {claim.setup}",
            timed,
            "| finding | measured | holds |",
            "|---|---|---|",
            *rows,
            "",
            f"![{claim.words}](images/claims/{claim.name}.png)",
            "",
        ]
    )


if __name__ == "__main__":
    main()
