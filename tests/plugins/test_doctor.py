"""What the doctor finds, as data; tests/test_cli.py has how it is printed."""

import json
import os
import sys

import pytest
from distributions import hook

import skopt_dl
from skopt_dl.cli import examination, main
from skopt_dl.plugins import PluginWarning
from skopt_dl.plugins.doctor import diagnose, list_names
from skopt_dl.plugins.papers import paper_of


def diagnosis_of(subject):
    (found,) = [diagnosis for diagnosis in diagnose() if diagnosis.subject == subject]
    return found


def test_healthy_plugin_has_no_problems(site):
    site.install_optimizers("zoo", "zoo", {"crawl": "Crawl"})
    diagnosis = diagnosis_of("zoo")
    assert (diagnosis.version, diagnosis.status) == ("1.0", "loaded")
    assert diagnosis.names == ("optimizer crawl",)
    assert not diagnosis.problems


def test_plugin_that_cannot_be_imported_failed(site):
    site.install("broken-plugin", {"broken.py": "import a_package_that_is_missing"})
    with pytest.warns(PluginWarning):
        diagnosis = diagnosis_of("broken-plugin")
    assert (diagnosis.status, diagnosis.names) == ("failed", ())
    (problem,) = diagnosis.problems
    assert "No module named 'a_package_that_is_missing'" in problem.what
    assert "pip install --upgrade broken-plugin" in problem.remedy
    assert "SKOPT_DL_DISABLE_PLUGINS=broken-plugin" in problem.remedy


def test_every_class_is_tried(site):
    site.install("promises", {"promises.py": hook({"a": "nowhere:A", "b": "json:JSONDecoder"})})
    first, second = diagnosis_of("promises").problems
    assert "'a' of promises cannot be used: importing 'nowhere:A' failed" in first.what
    assert "'json:JSONDecoder' is not a subclass of" in second.what


def test_collisions_and_clashes_with_built_ins_are_told_to_each(site):
    site.install_optimizers("zoo-a", "zoo_a", {"crawl": "Crawl", "adam": "Sprint"})
    site.install_optimizers("zoo-b", "zoo_b", {"crawl": "Sprint"})
    collision, clash = map(str, diagnosis_of("zoo-a").problems)
    assert collision.startswith("Its optimizer 'crawl' is also the name of 'zoo-b/crawl', so the")
    assert "Write 'zoo-a/crawl'" in collision
    assert clash == (
        "Its optimizer 'adam' has the name of a built-in, which keeps it. Write 'zoo-a/adam'."
    )
    (other,) = map(str, diagnosis_of("zoo-b").problems)
    assert "'zoo-a/crawl'" in other


def test_list_has_every_name_with_its_distribution_and_class(site):
    site.install_optimizers("zoo", "zoo", {"crawl": "Crawl"})
    rows = list_names()
    located = [row[:5] for row in rows]
    assert ("optimizer", "crawl", "zoo", "1.0", "zoo.optimizers:Crawl") in located
    relu = ("activation", "relu", "skopt-dl", skopt_dl.__version__)
    assert (*relu, "skopt_dl.layers.activations:ReLU") in located
    assert {row.kind for row in rows} == {
        "optimizer",
        "schedule",
        "loss",
        "activation",
        "layer",
        "network",
        "initializer",
        "engine",
    }


def test_list_may_be_of_one_kind_or_package_or_of_what_has_a_text_in_it(site):
    site.install_optimizers("zoo", "zoo", {"crawl": "Crawl", "sprint": "Sprint"})
    assert {row.kind for row in list_names("schedule")} == {"schedule"}
    assert [row.name for row in list_names(distribution="Zoo")] == ["crawl", "sprint"]
    assert [row.name for row in list_names("optimizer", text="KINGMA")] == ["adam", "adamax"]
    assert not list_names("loss", "zoo")


def test_list_says_what_the_docstring_says_and_why_a_class_cannot_be_used(site):
    site.install("zoo", {"zoo.py": hook({"gone": "nowhere:Gone"})})
    (gone,) = list_names(distribution="zoo")
    assert "importing 'nowhere:Gone' failed with ModuleNotFoundError" in gone.problem
    adam = list_names("optimizer", text="classics:Adam")[0]
    assert adam.method == "Moving averages of the gradient and of its square"
    assert (adam.paper, adam.problem) == ("Kingma & Ba, 2015, arXiv:1412.6980", "")


@pytest.mark.parametrize(
    ("docstring", "paper"),
    [
        ("The sign (Chen et al., 2023, arXiv:2302.06675).", ("Chen et al.", "2023", "2302.06675")),
        ("Nesterov's, as Sutskever et al. (2013) have it.", ("Sutskever et al.", "2013", "")),
        (
            "First (Jordan et al., 2024).\n\n    On others, Liu et al., 2025, arXiv:2502.16982.",
            ("Jordan et al.", "2024", ""),
        ),
        (
            "First (Vyas et al., 2024).\n\n    N. Vyas: SOAP, 2024,\n    arXiv:2409.11321.",
            ("Vyas et al.", "2024", "2409.11321"),
        ),
        (
            "Bend (Müller-Lüdenscheid and Klöbner, 1978).",
            ("Müller-Lüdenscheid and Klöbner", "1978", ""),
        ),
        (
            "Mine.\n\n    Parameters\n    ----------\n    x : float\n        From Ba, 2015.",
            ("", "", ""),
        ),
        ("Known by its number, arXiv:2302.06675.", ("", "", "2302.06675")),
        (None, ("", "", "")),
    ],
)
def test_paper_is_the_first_that_the_docstring_names(docstring, paper):
    cls = type("Method", (), {"__doc__": docstring})
    assert paper_of(cls) == paper


def test_list_from_metadata_runs_no_code_of_a_plugin(site, capsys):
    site.install("zoo", {"zoo.py": "raise SystemExit('ran')"})
    with pytest.raises(SystemExit) as ended:
        main(["plugins", "list", "--no-import", "--json", "--distribution", "Zoo"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out) == [
        {
            "distribution": "zoo",
            "version": "1.0",
            "entry point": "zoo",
            "module": "zoo",
            "state": "on",
            "summary": "",
        }
    ]
    with pytest.raises(SystemExit, match="Only a plugin's code says what it names"):
        main(["plugins", "list", "--no-import", "--kind", "loss"])
    assert "zoo" not in sys.modules


# A process that is asked to examine plugins of which one hangs and one ends it.
EXAMINED = """
import json, os, sys, time
off = os.environ["SKOPT_DL_DISABLE_PLUGINS"].split(",")
def say(**what): print(json.dumps(what), flush=True)
def ask(name, act):
    if name not in off:
        say(distribution=name, doing=f"importing {{name!r}}")
        act()
ask("well", lambda: None)
ask("ending", lambda: sys.exit(7))
ask("slow", lambda: time.sleep(60))
names = ("well", "ending", "slow", "engine")
say(found=[dict(subject=name, version="1", status="disabled" if name in off else "loaded",
                names=[], problems=[]) for name in names])
"""


def test_doctor_names_what_hangs_or_ends_the_process_and_examines_the_others(monkeypatch):
    monkeypatch.setattr(examination, "_CODE", EXAMINED)
    well, ending, slow, engine = examination.examine(with_checks=False, limit=0.5)
    assert (well.status, well.problems, engine.status) == ("loaded", (), "loaded")
    assert (slow.status, ending.status) == ("failed", "failed")
    assert ending.problems[0].what == "Importing 'ending' ended the process, with status 7."
    assert slow.problems[0].what == "Importing 'slow' took more than 0.5 seconds."
    assert "SKOPT_DL_DISABLE_PLUGINS=slow" in slow.problems[0].remedy


def test_doctor_that_cannot_examine_says_how_that_ended(monkeypatch):
    monkeypatch.setattr(examination, "_CODE", "raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="The examination ended the process, with status 3"):
        examination.examine(with_checks=False, limit=10)


def test_doctor_examines_in_another_process_and_makes_the_checks_on_request(site, monkeypatch):
    site.install_optimizers("zoo", "zoo", {"sprint": "Sprint"})
    path = site.folder / "zoo" / "optimizers.py"
    path.write_text(path.read_text() + "    slots = ('unused',)\n")
    site.install("loud", {"loud.py": "import os; os.write(1, b'{}'); print('hi')\n" + hook({})})
    monkeypatch.setenv("PYTHONPATH", str(site.folder), prepend=os.pathsep)
    monkeypatch.setenv("SKOPT_DL_ALLOW_PLUGINS", "zoo,loud")
    monkeypatch.setenv("SKOPT_DL_ENGINE", "numpy")
    *found, engine = examination.examine(with_checks=True, limit=60)
    told = {each.subject: each for each in found}
    assert (engine.subject, engine.status) == ("engine", "numpy")
    assert told["zoo"].names == ("optimizer sprint",)
    (unused,), (loud,) = told["zoo"].problems, told["loud"].problems
    assert unused.what.startswith("Its optimizer 'sprint' fails check_slots_are_used: Sprint br")
    assert unused.remedy == "`skopt-dl plugins check zoo/sprint` makes the checks again."
    assert loud.what == "Importing 'loud' printed 'hi'."
    assert {told[name].status for name in told if name not in ("zoo", "loud")} <= {"disabled"}


def test_check_exits_with_one_if_a_check_fails_and_tells_of_printing_and_of_what_cannot_be_made(
    site, start_over, monkeypatch, capsys
):
    names = {"crawl": "Crawl", "sprint": "Sprint", "creep": "Creep"}
    site.install_optimizers("zoo", "zoo", names)
    path = site.folder / "zoo" / "optimizers.py"
    prints = path.read_text().replace("return -step", "print('hi')\n        return -step")
    path.write_text(f"{prints}    def __init__(self): raise SystemExit('no')\n")
    monkeypatch.setattr("skopt_dl.cli.kit.manager", start_over())
    with pytest.raises(SystemExit) as ended:
        main(["plugins", "check", "Zoo", "--json"])
    assert ended.value.code == 1
    results = json.loads(capsys.readouterr().out)
    failed = {
        (row["name"], row["check"]): row["message"] for row in results if row["status"] == "failed"
    }
    assert failed["zoo/crawl", "check_update_runs"].startswith("It prints 'hi hi ")
    assert failed["zoo/sprint", "check_creation"] == "SystemExit: no"
    assert "importing 'zoo.optimizers:Creep' failed" in failed["zoo/creep", "check_creation"]
    assert {name for name, _ in failed} == {"zoo/crawl", "zoo/sprint", "zoo/creep"}
    with pytest.raises(SystemExit) as ended:
        main(["plugins", "check", "sprint"])
    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "optimizer zoo/sprint (zoo.optimizers:Sprint)",
        f"  {'check_creation':<42} failed  SystemExit: no",
        "0 passed, 0 skipped, 1 failed",
    ]
