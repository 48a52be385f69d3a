"""The command: what it prints, and its exit codes. What it knows is tested in tests/plugins."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest

import skopt_dl
from skopt_dl import cli
from skopt_dl.cli import examination, plugins
from skopt_dl.jobs import Journal
from skopt_dl.jobs.journal import OUTCOME, Record
from skopt_dl.optimizers import SGD
from skopt_dl.plugins import PluginWarning, Problem
from skopt_dl.plugins.doctor import Diagnosis, NamedClass
from skopt_dl.testing import optimizer_checks

ROWS = [
    NamedClass(
        *("optimizer", "adam", "skopt-dl", "0.1.0", "a:Adam", "Moving averages"),
        "Kingma & Ba, 2015, arXiv:1412.6980",
    ),
    NamedClass("loss", "wide_loss", "zoo", "12.0", "zoo:Loss"),
    NamedClass("loss", "lost", "zoo", "12.0", "zoo:Lost", problem="Gone."),
]
HEALTHY = Diagnosis("zoo", "12.0", "loaded", ("loss wide_loss",), ())
BROKEN = Diagnosis(
    "ruin", "0.1", "failed", (), (Problem("Importing 'ruin' failed.", "Upgrade it."),)
)


@pytest.fixture
def run(capsys):
    """Run the command in this process; returns exit code, output and error output."""

    def run_with(*arguments):
        with pytest.raises(SystemExit) as exit_:
            cli.main(arguments)
        captured = capsys.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return run_with


@pytest.fixture
def knows(monkeypatch):
    """Call to replace what there is to print."""

    def replace(diagnoses=(), rows=()):
        found = [*diagnoses, Diagnosis("engine", "", "numpy", (), ())]
        monkeypatch.setattr(examination, "examine", lambda check, limit: found)
        monkeypatch.setattr(plugins, "list_names", lambda *_: list(rows))

    return replace


def test_list_prints_aligned_columns_to_a_pipe(run, knows):
    knows(rows=ROWS)
    code, output, errors = run("plugins", "list")
    assert code == 0
    assert output.splitlines() == [
        "kind       name       distribution  version  paper                               class",
        "optimizer  adam       skopt-dl      0.1.0    Kingma & Ba, 2015, arXiv:1412.6980  a:Adam",
        "loss       wide_loss  zoo           12.0                                         zoo:Loss",
        "loss       lost       zoo           12.0                                         ! Gone.",
    ]
    assert errors == "\nSome plugins have problems: run `skopt-dl plugins doctor`.\n"


def test_list_prints_json_with_all_that_is_known(run, knows):
    knows(rows=ROWS)
    rows = json.loads(run("plugins", "list", "--json")[1])
    assert [row["problem"] for row in rows] == ["", "", "Gone."]
    assert rows[0]["method"] == "Moving averages"


def test_list_prints_a_table_on_a_terminal(run, knows, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    knows(rows=ROWS)
    _, output, _ = run("plugins", "list")
    assert "│" in output
    assert "wide_loss" in output


def test_list_does_without_rich(run, knows, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setitem(sys.modules, "rich.console", None)
    knows(rows=ROWS)
    _, output, _ = run("plugins", "list")
    assert output.startswith("kind       name")


def test_list_points_to_the_doctor_when_a_plugin_has_problems(run, monkeypatch):
    def warn(*_):
        import warnings

        warnings.warn("broken", PluginWarning, stacklevel=1)
        return ROWS[:1]

    monkeypatch.setattr(plugins, "list_names", warn)
    code, output, errors = run("plugins", "list")
    assert (code, "adam" in output) == (0, True)
    assert "skopt-dl plugins doctor" in errors


def test_doctor_exits_with_zero_when_all_is_well(run, knows):
    knows([HEALTHY])
    lines = "zoo 12.0: loaded\n  loss wide_loss\nengine: numpy\n"
    assert run("plugins", "doctor") == (0, lines, "")


def test_doctor_prints_problems_and_remedies_and_exits_with_one(run, knows):
    knows([HEALTHY, BROKEN])
    code, output, _ = run("plugins", "doctor")
    assert code == 1
    assert "ruin 0.1: failed\n  ! Importing 'ruin' failed.\n    Upgrade it.\n" in output
    assert output.endswith("\n1 problem.\n")
    code, output, _ = run("plugins", "doctor", "--json")
    assert code == 1
    problem = {"what": "Importing 'ruin' failed.", "remedy": "Upgrade it."}
    assert json.loads(output)[1]["problems"] == [problem]


def test_doctor_says_when_there_are_no_plugins(run, knows):
    knows()
    assert run("plugins", "doctor") == (0, "No plugins are installed.\nengine: numpy\n", "")


def test_check_prints_a_line_a_check_and_exits_with_zero_when_none_fails(run):
    code, output, _ = run("plugins", "check", "sgd")
    lines = output.splitlines()
    assert code == 0
    assert lines[0] == "optimizer skopt-dl/sgd (skopt_dl.optimizers.classics:SGD)"
    names = [check.name for check in optimizer_checks(SGD())]
    assert [line.split()[0] for line in lines[1:-1]] == ["check_creation", *names]
    assert re.fullmatch(r"\d+ passed, \d+ skipped, 0 failed", lines[-1])


def test_check_of_what_has_no_checks_says_what_has(run):
    code, output, errors = run("plugins", "check", "momentun")
    assert (code, output) == (2, "")
    assert errors.startswith(
        "Nothing is named 'momentun', and no plugin's package is. Did you mean 'mo"
    )
    code, _, errors = run("plugins", "check", "lenet")
    assert code == 2
    assert "'lenet' names only what has no checks (network); there are some for each" in errors


@pytest.mark.parametrize("name", ["relu", "cosine", "huber", "layer_norm", "he_normal"])
def test_check_takes_names_of_other_kinds(run, name):
    code, output, _ = run("plugins", "check", name)
    assert code == 0
    assert re.search(r"^\d+ passed, \d+ skipped, 0 failed$", output, re.MULTILINE)


def test_check_of_a_layer_that_needs_arguments_says_what_takes_it(run):
    code, output, _ = run("plugins", "check", "dense")
    assert code == 0
    assert "It needs n_units: skopt_dl.testing.check_component takes an object." in output


def test_real_list_has_every_optimizer(run):
    _, output, _ = run("plugins", "list")
    for name in skopt_dl.available_optimizers():
        assert f"optimizer    {name} " in output


@pytest.fixture
def journal(tmp_path):
    """A journal of two models, whose writer has ended, with a torn record."""
    about = {"network": "4-8-3", "dtype": "float64", "optimizer": "Adam", "versions": "old"}
    keys = [bytes([k]) * 32 for k in (1, 2)]
    Journal(tmp_path).write(
        [Record(OUTCOME, key, 0, about | {"written": 1e9}, b"") for key in keys]
    )
    (path,) = tmp_path.iterdir()
    machine, _, rest = path.name.split("-")
    path = path.rename(tmp_path / f"{machine}-{2**30}-{rest}")
    path.write_bytes(path.read_bytes() + b"torn")
    return tmp_path


def test_journal_show_counts_models_and_damage(run, journal):
    code, output, _ = run("journal", "show", str(journal))
    lines = output.splitlines()
    assert code == 0
    assert lines[0].startswith("2 models, ")
    assert lines[0].endswith(" B in 1 file")
    assert lines[1].startswith("written from 2001-09-")
    prune = f"`skopt-dl journal prune {journal}`"
    assert lines[2] == f"1 damaged record (4 B): {prune} removes them"
    assert lines[4:] == [
        "models  network  dtype    optimizer  versions",
        "2       4-8-3    float64  Adam       old",
    ]


def test_journal_prune_says_what_it_has_removed(run, journal):
    assert run("journal", "prune", str(journal)) == (
        0,
        "removed 1 damaged record\n4 B less, 0 files less\n",
        "",
    )
    assert run("journal", "show", str(journal))[1].startswith("2 models, ")


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (["--older-than", "30"], "removed 2 old records"),
        (["--other-versions"], "removed 2 records of other versions"),
    ],
)
def test_journal_prune_removes_on_request(run, journal, option, line):
    code, output, _ = run("journal", "prune", *option, str(journal))
    assert code == 0
    assert line in output.splitlines()
    assert not list(journal.iterdir())


def test_journal_of_a_folder_that_is_missing_is_an_error(run, tmp_path):
    code, _, errors = run("journal", "show", str(tmp_path / "nothing"))
    assert code == 2
    assert "does not exist" in errors


def test_version_is_that_of_the_package(run):
    assert run("--version")[1] == f"skopt-dl, version {skopt_dl.__version__}\n"


def test_misspelled_command_is_an_error(run):
    code, _, errors = run("plugins", "docter")
    assert code == 2
    assert "docter" in errors


def test_missing_click_is_answered_with_the_line_to_run(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "click", None)
    code, _, _ = run("plugins", "list")
    assert code == "The command skopt-dl needs click. Run `pip install 'skopt-dl[cli]'`."


@pytest.mark.parametrize("how", ["module", "script"])
def test_command_is_installed(how):
    script = shutil.which("skopt-dl", path=sysconfig.get_path("scripts"))
    command = [script] if how == "script" else [sys.executable, "-m", "skopt_dl"]
    ran = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"skopt-dl, version {skopt_dl.__version__}\n"
