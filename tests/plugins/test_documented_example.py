"""The page on plugins shows the files of the worked example as they are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "plugins" / "skopt-dl-lion"
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("begins", "file"),
    [
        ("[build-system]", "pyproject.toml"),
        ("from skopt_dl import hookimpl\n\n\n@hookimpl\ndef", "src/skopt_dl_lion/__init__.py"),
        ("def update(self, grad, state, params, step):", "src/skopt_dl_lion/optimizer.py"),
    ],
)
def test_every_line_shown_is_in_the_file(begins, file):
    blocks = re.findall(r"^```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (shown,) = [block for block in blocks if block.startswith(begins)]
    real = (PACKAGE / file).read_text(encoding="utf-8")
    # The page leaves out annotations.
    real = re.sub(r"def update\(.*?\) -> Array:", begins, real)
    lines = {line.strip() for line in real.splitlines()}
    assert {line.strip() for line in shown.splitlines()} <= lines
