"""The report: what it holds, and where its labels go."""

import base64
import re
from itertools import pairwise

import pytest
from comparing.made_rows import MANY, SEEDS, made_board

from skopt_dl.comparing import read_rows
from skopt_dl.comparing.figures import WIDTH, dodged, ticks
from skopt_dl.comparing.report import report, write_report


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(made_board(MANY, failing={"method_3"}), path)
    return path


def test_rows_within_the_page_are_all_rows(written, tmp_path):
    [data] = re.findall(r'href="data:text/csv;base64,([^"]*)"', written.read_text())
    (tmp_path / "trials.csv").write_bytes(base64.b64decode(data))
    board = made_board(MANY, failing={"method_3"})
    assert repr(read_rows(tmp_path / "trials.csv").standings) == repr(board.standings)


def test_page_discloses_spaces_defaults_machine_versions_and_failures(written):
    text = written.read_text()
    for said in (
        "LogUniform(low=0.1, high=1.0)",
        "Adamw()",
        "engine numpy",
        "numpy 0",
        "P, 2 cores",
    ):
        assert said in text
    assert "diverged: the loss went from 1 to 1e9" in text
    assert "&lt;b&gt;&amp;amp;" in text
    assert "<b>" not in text


def test_page_without_targets_or_rates_is_written_too():
    board = made_board({"adamw": [0.5] * SEEDS}, constant=0.5)
    rows = [row for row in board.rows if row["phase"] != "rate"]
    page = report(type(board)(board.about, rows))
    assert "no better than a constant prediction: no targets" in page


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 50, [0, 10, 20, 30, 40, 50]),
        (0.9, 1.0, [0.9, 0.92, 0.94, 0.96, 0.98, 1.0]),
        (-250, 10, [-250, -200, -150, -100, -50, 0]),
        (1, 1, [1]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_labels_are_moved_apart_and_stay_inside():
    places = dodged({str(i): 95.0 for i in range(6)}, 0.0, 100.0)
    found = sorted(places.values())
    assert all(b - a >= 15 for a, b in pairwise(found))
    assert found[-1] <= 100 < WIDTH
