"""Real comparisons: as many trials for each, on the same splits, in stacks, kept in a journal."""

import sys

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from skopt_dl import available_optimizers, cli, make_optimizer
from skopt_dl.comparing import Plan, compare_optimizers
from skopt_dl.comparing.compare import contenders_of
from skopt_dl.comparing.data import TableError, load
from skopt_dl.comparing.plan import Fit, drawn, final_fits, folds, test_split, tuning_fits
from skopt_dl.comparing.trials import rows_of
from skopt_dl.jobs.journal import survey
from skopt_dl.optimizers import SGD

PLAN = Plan(budget=2, seeds=2, folds=2, epochs=4, hidden_layer_sizes=(4,))
test_split.__test__ = False


class Raises(SGD):
    """An optimizer that fails whenever it is asked."""

    traceable = False

    def update(self, grad, state, params, step):
        raise ArithmeticError("nothing works")


CONTENDERS = {"sgd": "sgd", "lbfgs": "lbfgs", "raises": Raises(), "wild": SGD(1e6)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("journal")


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def board(folder, told):
    def tell(*progress):
        told.append(progress)

    return compare_optimizers("iris", CONTENDERS, plan=PLAN, journal=folder, progress=tell)


def only(board, **values):
    return [row for row in board.rows if all(row[name] == v for name, v in values.items())]


def test_every_optimizer_gets_as_many_trials_on_the_same_folds_and_seeds(board):
    def places(label):
        rows = only(board, phase="tuning", optimizer=label)
        return [(row["seed"], row["trial"], row["fold"]) for row in rows]

    assert places("adamw") == places("sgd") == places("raises") == places("lbfgs")
    assert len(places("adamw")) == PLAN.seeds * PLAN.budget * PLAN.folds
    for phase in ("tuned", "default"):
        assert [row["seed"] for row in only(board, phase=phase, optimizer="sgd")] == [0, 1]


def test_repetitions_draw_settings_of_their_own(board):
    rates = {row["params"]["learning_rate"] for row in only(board, phase="tuning", optimizer="sgd")}
    assert len(rates) == PLAN.seeds * PLAN.budget


def test_what_raises_or_diverges_is_counted_and_stops_nobody(board):
    found = {each.optimizer: each for each in board.standings}
    assert found["raises"].tuning == (8, 8)
    assert found["raises"].final == (4, 4)
    assert found["raises"].tuned.mean == pytest.approx(np.mean(board.constant))
    assert "ArithmeticError: nothing works" in only(board, optimizer="raises")[0]["message"]
    [first, *_] = only(board, phase="default", optimizer="wild")
    assert first["outcome"] == "diverged"
    assert found["sgd"].final == found["adamw"].final == (0, 4)


def test_progress_is_told_of_every_training(board, told):
    n_tuning, n_test = (len(only(board, phase=phase)) for phase in ("tuning", "tuned"))
    assert told[n_tuning - 1] == ("tuning", n_tuning, n_tuning)
    assert told[-1] == ("test", told[-1][2], told[-1][2])
    assert told[-1][2] == 2 * n_test + len(only(board, phase="rate"))


def test_rows_are_those_of_trainings_without_a_stack(board):
    data, contenders = load("iris"), contenders_of(CONTENDERS)
    fits = [
        each
        for each in (*tuning_fits(contenders, PLAN), *final_fits(contenders, PLAN, board.rows))
        if each.optimizer in ("adamw", "lbfgs") and each.seed == 1
    ]
    with joblib.parallel_config(backend="sequential"):
        alone = list(rows_of(fits, contenders, data, PLAN))
    for row in alone:
        key = {
            name: row[name] for name in ("phase", "optimizer", "seed", "trial", "fold", "factor")
        }
        assert only(board, **key) == [row]


def test_comparison_made_again_takes_every_model_from_its_journal(board, folder):
    n_models = survey(folder).n_models
    again = compare_optimizers("iris", ["sgd"], plan=PLAN, journal=folder)
    assert survey(folder).n_models == n_models > 0
    assert {row["phase"] for row in again.rows} >= {"tuning", "tuned", "default", "rate"}
    for row in again.rows:
        if row["phase"] != "timing":
            assert row in board.rows


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_samples_of_the_test_are_never_tuned_on(name):
    data = load(name)
    test = test_split(data, PLAN, 1)
    cut = folds(data, PLAN, 1)
    assert sorted([*test.train, *test.held_out]) == list(range(len(data.y)))
    for fold in cut:
        assert sorted([*fold.train, *fold.held_out]) == sorted(test.train)
    assert sorted(np.concatenate([fold.held_out for fold in cut])) == sorted(test.train)
    assert set(test.held_out) != set(test_split(data, PLAN, 2).held_out)


def test_regression_is_compared_by_its_scorer():
    X, y = load_diabetes(return_X_y=True)
    plan = Plan(
        budget=1,
        seeds=2,
        folds=2,
        epochs=3,
        hidden_layer_sizes=(4,),
        scoring="neg_mean_absolute_error",
    )
    board = compare_optimizers((X, y), ["adamw"], plan=plan)
    assert board.about["metric"] == "neg_mean_absolute_error"
    [only_one] = board.standings
    assert only_one.tuned.mean < 0
    assert only_one.verdict == "baseline"


def test_drawn_settings_lie_in_the_space_and_depend_on_the_seed_alone():
    muon = make_optimizer("adamw")
    settings = drawn(muon, 20, 3)
    assert len(settings) == 20
    assert all(1e-4 <= each["learning_rate"] <= 1e-1 for each in settings)
    assert settings == drawn(muon, 20, 3) != drawn(muon, 20, 4)
    assert drawn(make_optimizer("lbfgs"), 2, 0) != drawn(make_optimizer("lbfgs"), 20, 0)


def test_all_are_those_that_are_installed():
    assert list(contenders_of("all")) == available_optimizers()
    assert list(contenders_of(["sgd"])) == ["adamw", "sgd"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"budget": 0}, r"budget must be an int in \[1, inf\); got 0"),
        ({"folds": 1}, r"folds must be an int in \[2, inf\); got 1"),
        ({"test_size": 1.0}, r"test_size must be a float in \(0, 1\); got 1.0"),
        ({"hidden_layer_sizes": (0,)}, r"a tuple of ints, at least 1; got \(0,\)"),
        ({"scoring": "acuracy"}, "Unknown scoring 'acuracy'. Did you mean 'accuracy'"),
    ],
)
def test_plan_refuses_what_cannot_be(params, message):
    with pytest.raises(ValueError, match=message):
        Plan(**params)


def test_table_with_too_few_of_a_class_is_refused():
    X, y = np.arange(20.0)[:, None], np.repeat([0, 1], [17, 3])
    with pytest.raises(TableError, match="3 folds need as many samples of each class"):
        folds(load((X, y)), Plan(), 0)
    with pytest.raises(TableError, match="too few samples"):
        folds(load((X[:4], np.array([0, 0, 1, 1]))), Plan(test_size=0.01), 0)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in an empty folder; returns exit code, output and error output."""
    monkeypatch.chdir(tmp_path)

    def run_with(*arguments):
        with pytest.raises(SystemExit) as exit_:
            cli.main(["compare", *arguments])
        captured = capsys.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return run_with


SMALL = ("--budget", "1", "--seeds", "1", "--folds", "2", "--epochs", "2", "--hidden", "3")


def test_command_prints_a_table_and_writes_report_and_rows(run, tmp_path):
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "1,2,x\n3,4,y\n" * 10)
    code, output, errors = run("t.csv", "--target", "kind", "--optimizers", "sgd", *SMALL)
    assert code == 0
    assert output.startswith("optimizer  accuracy")
    assert "adamw" in output
    assert "tuning: 4 of 4 trainings" in errors
    written = {path.name for path in (tmp_path / "compare-t").iterdir()}
    assert written == {"report.html", "trials.csv", "journal"}


def test_command_shows_bars_on_a_terminal(run, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    code, output, errors = run("iris", "--optimizers", "adamw", *SMALL)
    assert code == 0
    assert "│" in output
    assert "━" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("irs",), "There is no file 'irs'. Did you mean 'iris'?"),
        (("iris", "--optimizers", "adan"), "Unknown optimizer 'adan'. Did you mean 'adam'?"),
        (("iris", "--hidden", "many"), "--hidden takes whole numbers"),
        (("iris", "--scoring", "f2"), "Unknown scoring 'f2'."),
        (("iris", "--optimizers", ","), "optimizers is empty"),
    ],
)
def test_command_says_what_is_wrong_and_exits(run, arguments, message, tmp_path):
    code, _, _ = run(*arguments)
    assert message in code
    assert list(tmp_path.iterdir()) == []


def test_command_that_is_interrupted_says_how_to_go_on(run, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["skopt_dl.cli.comparing"], "compare_optimizers", interrupted)
    code, _, _ = run("iris")
    assert code.startswith("Interrupted. The same command goes on from what is in compare-iris")


def test_fit_is_what_a_row_begins_with(board):
    assert all(set(Fit._fields) <= set(row) for row in board.rows)
