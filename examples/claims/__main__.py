"""Put all claims to the test, and write the page that says what came of it.

python examples/claims
"""

from __future__ import annotations

import argparse
import platform
import time
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from claim import Claim, Finding, save, verdict
from threadpoolctl import threadpool_info

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
IMAGES = Path("images", "claims")
PACKAGES = ["skopt_dl", "numpy", "scipy", "scikit-learn", "matplotlib"]
INTRODUCTION = """# What optimizers are said to do, put to the test

Each claim is one that lecture notes make. Each has a script in
[examples/claims](../examples/claims), which runs the optimizers that train the estimators. It
takes the claim apart into sentences that an experiment can refute, each with its threshold, and
finds each of them true or false by what it measures. A claim *holds* if all its sentences do, and
*holds in part* if some do. The command `python examples/claims` writes this page, verdicts
included.
"""


def claims(numbers: list[int] | None = None) -> list[Claim]:
    """Return the claims of the scripts in this folder: all, or those with these numbers."""
    scripts = sorted(HERE.glob("c[0-9][0-9]_*.py"))
    wanted = [each for each in scripts if not numbers or int(each.stem[1:3]) in numbers]
    return [import_module(script.stem).CLAIM for script in wanted]


def machine() -> str:
    """Say which versions and which processor figures depend on."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return f"Python {platform.python_version()}, {versions}; {_processor()}, {_blas()}."


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _blas() -> str:
    """What multiplies matrices, and the processor that it takes this one for."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return " and ".join(
        sorted({f"{pool['internal_api']} for {pool.get('architecture')}" for pool in pools})
    )


def summary_row(claim: Claim, findings: list[Finding]) -> str:
    """The row of the page's first table."""
    held = sum(finding.holds for finding in findings)
    number = int(claim.name[1:3])
    link = f"[{claim.words}](#{claim.name})"
    return f"| {number} | {link} | {verdict(findings)} | {held} of {len(findings)} |"


def section(claim: Claim, findings: list[Finding]) -> str:
    """What the page says about one claim."""
    rows = [
        f"| {each.statement} | {each.measured} | {'yes' if each.holds else '**no**'} |"
        for each in findings
    ]
    timed = " *Times depend on the machine, and so may the verdict.*" if claim.timed else ""
    return "\n".join(
        [
            f'<a id="{claim.name}"></a>',
            "",
            f"## {int(claim.name[1:3])}. {claim.words}",
            "",
            f"**{verdict(findings)}.** {claim.setup}{timed}",
            "",
            "| sentence | measured | true |",
            "|---|---|---|",
            *rows,
            "",
            f"![{claim.words}]({(IMAGES / claim.name).as_posix()}.png)",
            "",
            f"Script: [{claim.name}.py](../examples/claims/{claim.name}.py)",
            "",
        ]
    )


def main(arguments: list[str] | None = None) -> Path:
    """Run the experiments and return the path of the page."""
    parser = argparse.ArgumentParser(prog="claims", description=__doc__.partition("\n")[0])
    parser.add_argument("numbers", type=int, nargs="*", help="of claims; all if there are none")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the page")
    options = parser.parse_args(arguments)
    table = ["| | claim | verdict | true sentences |", "|---:|---|---|---|"]
    sections = []
    for claim in claims(options.numbers):
        began = time.process_time()
        figure, findings = claim.experiment()
        save(figure, options.output / IMAGES / f"{claim.name}.png")
        print(
            f"{verdict(findings):>13}: {claim.words} ({time.process_time() - began:.1f} s of CPU)"
        )
        table.append(summary_row(claim, findings))
        sections.append(section(claim, findings))
    page = options.output / "claims.md"
    made = f"Made on {datetime.now(UTC):%Y-%m-%d} with {machine()}\n"
    page.write_text("\n".join([INTRODUCTION, *table, "", made, *sections]), encoding="utf-8")
    print(f"\nPage: {page.resolve()}")
    return page


if __name__ == "__main__":
    main()
