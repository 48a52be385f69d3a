"""The scripts of examples/claims run by themselves, and find what docs/claims.md says."""

import importlib.util
import re
import runpy
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[1]
CLAIMS = ROOT / "examples" / "claims"
SCRIPTS = sorted(CLAIMS.glob("c[0-9][0-9]_*.py"))
PAGE = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
IMAGES = ROOT / "docs" / "images" / "claims"
MADE = r"Made on \d{4}-\d\d-\d\d"


class OnPage(NamedTuple):
    verdict: str
    findings: list[tuple[str, str, bool]]
    timed: bool


def section(page, name):
    """What a page says about one claim."""
    text = page.partition(f'<a id="{name}"></a>')[2].partition("\n<a id=")[0]
    verdict = re.search(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE)[1]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    findings = [(statement, measured, "yes" in holds) for statement, measured, holds in rows[2:]]
    return OnPage(verdict, findings, "*Times depend" in text)


@pytest.fixture
def command(monkeypatch):
    """The module that `python examples/claims` runs."""
    # What is imported for the first time may add to the filters.
    with warnings.catch_warnings():
        yield load_command(monkeypatch)


def load_command(monkeypatch):
    monkeypatch.syspath_prepend(str(CLAIMS))
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location("claims_command", CLAIMS / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The last digits on the page are those of NumPy's engine.
@pytest.mark.usefixtures("numpy_engine")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_finds_what_the_page_says(script, command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(script), "--output", str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    page = section(PAGE, script.stem)
    lines = [line for line in printed if re.match(r" +(yes|no): ", line)]
    assert len(lines) == len(page.findings) >= 2
    for line, (statement, measured, holds) in zip(lines, page.findings, strict=True):
        answer, _, found = line.strip().partition(": ")
        assert found.startswith(statement)
        if not page.timed:
            assert (answer == "yes") == holds, line
            # To the last figure where the page was made; elsewhere, rounding may differ.
            if command.machine() in PAGE:
                assert found == f"{statement} {measured}"
    if not page.timed:
        assert printed[1] == f"{page.verdict}."
    assert (tmp_path / f"{script.stem}.png").read_bytes().startswith(b"\x89PNG")


def test_page_has_all_claims_in_order_and_their_pictures():
    names = [script.stem for script in SCRIPTS]
    assert [int(name[1:3]) for name in names] == list(range(1, len(names) + 1))
    assert len(names) >= 17
    assert re.findall(r'<a id="(.+?)">', PAGE) == names
    assert sorted(path.stem for path in IMAGES.iterdir()) == names
    assert max(path.stat().st_size for path in IMAGES.iterdir()) < 60_000


@pytest.mark.parametrize("name", [script.stem for script in SCRIPTS])
def test_verdicts_of_the_page_follow_from_its_findings(name, command):
    page = section(PAGE, name)
    findings = [command.Finding(*finding) for finding in page.findings]
    assert page.verdict == command.verdict(findings)
    (row,) = [line for line in PAGE.splitlines() if f"](#{name})" in line]
    held = sum(finding.holds for finding in findings)
    assert row.endswith(f"| {page.verdict} | {held} of {len(findings)} |")


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [
        ([True, True], "Holds"),
        ([True, False], "Holds in part"),
        ([False, False], "Does not hold"),
    ],
)
def test_verdict_is_computed(command, holds, verdict):
    assert command.verdict([command.Finding("", "", each) for each in holds]) == verdict


def test_command_writes_the_page(command, tmp_path, capsys):
    written = command.main(["1", "2", "--output", str(tmp_path)]).read_text(encoding="utf-8")
    assert str(tmp_path / "claims.md") in capsys.readouterr().out
    assert written.startswith(command.INTRODUCTION)
    assert PAGE.startswith(command.INTRODUCTION)
    assert re.search(rf"^{MADE} with {re.escape(command.machine())}$", written, re.MULTILINE)
    assert re.search(rf"^{MADE} with Python ", PAGE, re.MULTILINE)
    for script in SCRIPTS[:2]:
        assert section(written, script.stem) == section(PAGE, script.stem)
        (row,) = [line for line in written.splitlines() if f"](#{script.stem})" in line]
        assert row in PAGE.splitlines()
        assert (tmp_path / "images" / "claims" / f"{script.stem}.png").is_file()
