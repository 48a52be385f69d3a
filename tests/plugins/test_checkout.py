"""What the doctor tells an author who runs it in the checkout of a plugin."""

import pytest
from distributions import hook

from skopt_dl.plugins.checkout import examine_checkout

PROJECT = """\
[project]
name = "zoo"
version = "1.0"
dependencies = ["skopt-dl>=0.1"]

[project.entry-points.skopt_dl]
zoo = "zoo"
"""
GOOD = hook({"crawl": "zoo.optimizers:Crawl"})


@pytest.fixture
def author(site, tmp_path):
    """Call to write a checkout; it is installed as a copy, unless told otherwise."""

    def write(project=PROJECT, module=GOOD, *, installed=True, place="src/zoo/__init__.py"):
        folder = tmp_path / "checkout"
        (folder / place).parent.mkdir(parents=True)
        (folder / "pyproject.toml").write_text(project)
        (folder / place).write_text(module)
        if installed:
            site.install("zoo", {"zoo/__init__.py": GOOD})
        return folder

    return write


@pytest.mark.parametrize("place", ["src/zoo/__init__.py", "zoo/__init__.py"])
def test_checkout_in_order_has_no_problem_wherever_one_stands_in_it(author, place):
    folder = author(place=place)
    diagnosis = examine_checkout((folder / place).parent)
    assert (diagnosis.subject, diagnosis.version) == (f"zoo in {folder}", "1.0")
    assert not diagnosis.problems


@pytest.mark.parametrize(
    ("project", "module", "installed", "what"),
    [
        (PROJECT, GOOD, False, "but the distribution 'zoo' is not installed in "),
        (
            PROJECT.replace('zoo = "zoo"', 'park = "zoo"'),
            GOOD,
            True,
            "It is installed with the entry points {'zoo': 'zoo'}, pyproject.toml has {'park': ",
        ),
        (
            PROJECT.replace("1.0", "1.1"),
            GOOD,
            True,
            "Version 1.0 is installed, pyproject.toml says",
        ),
        (
            PROJECT,
            GOOD + "\n# new\n",
            True,
            "installed is a copy, whose zoo/__init__.py is not what",
        ),
        (
            PROJECT.replace('zoo = "zoo"', 'zoo = "zooo"'),
            GOOD,
            True,
            "names the module 'zooo', which is neither in ",
        ),
        (
            PROJECT,
            GOOD.replace("optimizers()", "optimisers()"),
            True,
            ":4: 'skopt_dl_optimisers' is no hook. Did you mean 'skopt_dl_optimizers'?",
        ),
        (
            PROJECT,
            GOOD.replace("@hookimpl\n", "").replace("optimizers()", "optimizer()"),
            True,
            ":3: 'skopt_dl_optimizer' is no hook. Did you mean 'skopt_dl_optimizers'?",
        ),
        (PROJECT, GOOD.replace("@hookimpl\n", ""), True, ":3: 'skopt_dl_optimizers' is not marked"),
        (PROJECT, "def f(:\n", True, "cannot be read: invalid syntax"),
        (
            PROJECT.replace("points.skopt_dl", "points.skopt-dl"),
            GOOD,
            True,
            "has no entry point in the group 'skopt_dl'. It has the group 'skopt-dl'.",
        ),
        (PROJECT.replace("1.0", "\\"), GOOD, True, "It cannot be read: Illegal"),
    ],
)
def test_author_is_told_what_to_mend(author, project, module, installed, what):
    (problem,) = examine_checkout(author(project, module, installed=installed)).problems
    assert what in problem.what
    assert problem.remedy.endswith(".")


def test_misspelt_module_is_answered_with_the_one_that_is_there(author):
    folder = author(PROJECT.replace('zoo = "zoo"', 'zoo = "zooo"'))
    assert "Did you mean 'zoo'?" in examine_checkout(folder).problems[0].what


@pytest.mark.parametrize("text", ["", '[project]\nname = "other"\ndependencies = ["numpy"]\n'])
def test_other_projects_and_other_folders_are_none_of_its_business(tmp_path, text):
    assert examine_checkout(tmp_path) is None
    (tmp_path / "pyproject.toml").write_text(text)
    assert examine_checkout(tmp_path) is None
