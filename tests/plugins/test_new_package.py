"""A package for an optimizer, from nothing: the page on plugins, followed to the letter."""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from skopt_dl.cli import main
from skopt_dl.cli.new import make_package

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## From nothing to an index")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
COMMANDS = [line for kind, block in BLOCKS if kind == "console" for line in block.splitlines()]

# In one process, since each takes seconds to import scikit-learn.
IN_THE_ENVIRONMENT = """
import pytest
from skopt_dl.cli import main

assert pytest.main([]) == 0
main(["plugins", "check", "signum"])
"""


@pytest.fixture
def environment(tmp_path):
    """The Python of an environment that has what this one has, and no network."""
    pytest.importorskip("hatchling", reason="builds the package")
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("[Ll]ib/**/site-packages")
    here = [path for path in sys.path if path.endswith("-packages")]
    lines = "; ".join(f"site.addsitedir({path!r})" for path in here)
    (packages / "here.pth").write_text(f"import site; {lines}\n")
    (python,) = {*folder.glob("bin/python"), *folder.glob("Scripts/python.exe")}
    return python


def test_page_leads_from_nothing_to_a_package_that_is_found_by_name_in_a_grid_search(
    environment, tmp_path, monkeypatch, capsys
):
    work = tmp_path / "skopt-dl-signum"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKOPT_DL_ENGINE", "numpy")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}")

    def run(*command):
        ran = subprocess.run(
            [environment, *command], cwd=work, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    # Everything but the upload is done; what would ask an index is done with what is here.
    new, *others = [shlex.split(line) for line in COMMANDS if line.startswith("skopt-dl")]
    assert [shlex.join(each) for each in others] == ["skopt-dl plugins check signum"]
    with pytest.raises(SystemExit) as ended:
        main(new[1:])
    assert not ended.value.code
    assert "Ada Lovelace" in (work / "LICENSE").read_text()
    printed = capsys.readouterr().out
    assert all(line in printed for line in COMMANDS[2:5])
    in_class, in_test = [block for kind, block in BLOCKS if kind == "text"]
    apply(work / "src" / "skopt_dl_signum" / "optimizer.py", in_class)
    apply(work / "tests" / "test_signum.py", in_test)
    run("-m", "hatchling", "build", "-t", "wheel")
    (wheel,) = (work / "dist").glob("*.whl")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    output = run("-c", IN_THE_ENVIRONMENT)
    assert "test_name_works_in_a_grid_search" in (work / "tests" / "test_signum.py").read_text()
    assert re.search(r"check_reference +skipped +no reference is given", output)
    assert re.search(r"check_program +passed +traced, and run by .*numpy", output)
    assert output.splitlines()[-1].endswith(" 0 failed")
    assert "skopt_dl_signum/optimizer.py" in zipfile.ZipFile(wheel).namelist()
    assert COMMANDS[-1] == "twine upload dist/*"


def apply(file, changes):
    """Replace lines that begin with a minus by those that follow them with a plus."""
    text, lines = file.read_text(), changes.splitlines()
    for old, new in zip(lines[::2], lines[1::2], strict=True):
        assert (old[0], new[0], text.count(old[1:])) == ("-", "+", 1), old
        text = text.replace(old[1:], new[1:])
    file.write_text(text)


def test_every_file_has_the_new_names_only(tmp_path):
    files = make_package("two_words", tmp_path / "package", "TwoWORDS", "Ada")
    texts = {path.relative_to(tmp_path / "package").as_posix(): path.read_text() for path in files}
    assert {".gitignore", ".github/workflows/tests.yml", "LICENSE", "README.md"} <= set(texts)
    assert "class TwoWORDS(Optimizer)" in texts["src/skopt_dl_two_words/optimizer.py"]
    assert 'two_words = "skopt_dl_two_words"' in texts["pyproject.toml"]
    assert 'name = "skopt-dl-two-words"' in texts["pyproject.toml"]
    for path, text in texts.items():
        assert not re.search("[Nn]ewcomer|AUTHOR|YEAR", path + text), path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["Signum"],
            "underscores, and begins with a letter; got 'Signum'. Did you mean 'signum'?",
        ),
        (["my-opt"], "Did you mean 'my_opt'?"),
        (["skopt-dl-foo"], "Did you mean 'foo'?"),
        (["AdaBound"], "Did you mean 'ada_bound'?"),
        (["3d"], "got '3d'. Did you mean 'd'?"),
        (["***"], "got '***'."),
        (
            ["adam"],
            "the name of an optimizer of skopt-dl, which keeps it. Choose another one, my_adam for",
        ),
        (["crawl"], "an optimizer of zoo, which is installed here."),
        (
            ["kept"],
            "skopt-dl-kept is taken: version 1.0 of a package of that name is installed",
        ),
        (
            ["none"],
            "'None' is no name of a class. Say what the class is to be called: --class MyN",
        ),
        (["step"], "'Step' is used for something else in the package. Say what"),
        (["good", "--class", "no good"], "'no good' is no name of a class. Choose another one"),
        (
            ["there"],
            "skopt-dl-there exists already, and nothing is written over. Remove it, or",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_with_advice(
    site, tmp_path, monkeypatch, capsys, start_over, arguments, told
):
    monkeypatch.chdir(tmp_path)
    site.install_optimizers("zoo", "zoo", {"crawl": "Crawl"})
    site.install("skopt-dl-kept", {"kept.py": ""}, {})
    monkeypatch.setattr("skopt_dl.cli.new.manager", start_over())
    (tmp_path / "skopt-dl-there").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["plugins", "new", *arguments])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["site", "skopt-dl-there"]
