"""The code in the documentation runs: Python blocks of the pages, and docstring examples."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import skopt_dl

ROOT = Path(__file__).parents[1]
PAGES = [
    page
    for pattern in ("*.md", "docs/*.md", "plugins/*/README.md", "benchmarks/*.md")
    for page in sorted(ROOT.glob(pattern))
]
# What else a block may be than Python; these are not run.
OTHER_LANGUAGES = {"console", "text", "toml"}
MODULES = [
    module.name
    for module in pkgutil.walk_packages(skopt_dl.__path__, "skopt_dl.")
    # CuPy's module needs CuPy, and running the package's __main__ is running its command.
    if not module.name.endswith(("_cupy", "__main__"))
]

# Examples train for a few epochs only.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_of_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    namespace = {"__name__": "docs"}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_block_of_page_escapes_by_its_name_or_place(page):
    lines = page.read_text().splitlines()
    fences = [line for line in lines if line.lstrip().startswith(("```", "~~~"))]
    assert set(fences[1::2]) <= {"```"}
    languages = {fence.removeprefix("```") for fence in fences[::2]}
    assert languages <= {"python"} | OTHER_LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_of_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_of_module_run(name):
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0
