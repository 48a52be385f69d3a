"""scikit-learn's callbacks and ours, alone and inside pipelines and searches."""

import io
from collections import Counter

import joblib
import numpy as np
import pytest
from rich.console import Console
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, MLPRegressor, fit_many
from skopt_dl.callbacks import (
    Checkpoint,
    EarlyStopping,
    EpochCallback,
    LearningRatePrinter,
    StackProgress,
)
from skopt_dl.jobs import StackState
from skopt_dl.optimizers import SGD
from skopt_dl.schedules import StepDecay

# Most of these trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, Y[:300]
X_VAL, Y_VAL = load_digits(return_X_y=True)
X_VAL, Y_VAL = X_VAL[300:400] / 16, Y_VAL[300:400]


class Record:
    """Notes what it is told."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.calls.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(f"{context.task_name} ends")


class StopAfter(Record):
    def __init__(self, n_epochs):
        super().__init__()
        self.n_epochs = n_epochs

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch" and context.task_id + 1 >= self.n_epochs


class Interrupt(Record):
    def on_fit_task_end(self, estimator, context):
        raise RuntimeError("stop it")


def model(**params):
    return MLPClassifier(10, random_state=0, **{"max_iter": 4, **params})


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_every_epoch_begins_and_ends_within_the_fit(optimizer):
    record = Record()
    fitted = model(optimizer=optimizer).set_callbacks(record).fit(X, Y)
    epochs = ["epoch begins", "epoch ends"] * fitted.n_iter_
    assert record.calls == ["setup", "fit begins", *epochs, "fit ends", "teardown"]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_callback_can_stop_training(optimizer):
    fitted = model(optimizer=optimizer, max_iter=50).set_callbacks(StopAfter(3)).fit(X, Y)
    assert fitted.n_iter_ == len(fitted.loss_curve_) == 3


def test_callbacks_do_not_change_the_training():
    plain = model(batch_norm=True, dropout=0.1).fit(X, Y)
    watched = model(batch_norm=True, dropout=0.1).set_callbacks(ScoringMonitor(scoring="accuracy"))
    np.testing.assert_array_equal(watched.fit(X, Y).coefs_[0], plain.coefs_[0])


def test_error_in_a_callback_ends_the_fit_tears_down_and_leaves_the_model_as_it_was():
    record = Record()
    estimator = model().fit(X, Y)
    before = estimator.coefs_[0].copy()
    with pytest.raises(RuntimeError, match="stop it"):
        estimator.set_callbacks(record, Interrupt()).fit(X, Y)
    assert record.calls[-1] == "teardown"
    np.testing.assert_array_equal(estimator.coefs_[0], before)
    assert not [name for name in vars(estimator) if "ctx" in name or "teardown" in name]


@pytest.mark.parametrize("features", [{}, {"batch_norm": True, "ema_decay": 0.9}])
def test_scoring_monitor_sees_the_model_of_each_epoch(features):
    monitor = ScoringMonitor(scoring="accuracy")
    scores = []

    class Score(EpochCallback):
        def after_epoch(self, model, memory):
            scores.append(accuracy_score(Y, model.predict(X)))

    fitted = model(**features).set_callbacks(monitor, Score()).fit(X, Y)
    logged = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert logged == scores
    assert logged[-1] == fitted.score(X, Y)
    assert len(set(logged)) > 1


def test_scoring_monitor_passes_sample_weights_on():
    monitor = ScoringMonitor(scoring="accuracy")
    weight = (Y < 5).astype(float)
    fitted = model().set_callbacks(monitor).fit(X, Y, sample_weight=weight)
    assert monitor.get_logs().data[-1]["accuracy"] == fitted.score(X, Y, weight)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_scoring_monitor_logs_every_epoch_of_every_fold_of_a_search(n_jobs):
    monitor = ScoringMonitor(scoring="accuracy")
    pipeline = make_pipeline(StandardScaler(), model().set_callbacks(monitor))
    grid = {"mlpclassifier__alpha": [1e-4, 1.0]}
    GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs).fit(X, Y)
    log = monitor.get_logs("all" if n_jobs is None else "most_recent")
    rows = [row for each in np.atleast_1d(log) for row in each.data if row["task_name"] == "epoch"]
    fits = Counter(row["parent_task_id_path"] for row in rows)
    assert sorted(fits.values()) == [4] * (2 * 3 + 1)


def test_progress_bar_shows_epochs_of_the_models_in_a_search(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=200, color_system=None)
    monkeypatch.setattr("rich.progress.get_console", lambda: console)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model()), {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=2
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, Y)
    last = screen.getvalue().rpartition("GridSearchCV - fit")[2].splitlines()
    bars = [line for line in last if "MLPClassifier - fit" in line]
    assert len(bars) == 2 * 2 + 1
    assert all("100%" in line for line in bars)


def test_early_stopping_callback_stops_when_the_validation_loss_rises():
    fitted = model(max_iter=500, n_iter_no_change=500, optimizer=SGD(0.5))
    fitted.set_callbacks(EarlyStopping(patience=4))
    fitted.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    losses = fitted.validation_loss_curve_
    assert fitted.n_iter_ < 500
    assert np.argmin(losses) == len(losses) - 1 - 4


def test_early_stopping_callback_goes_by_any_figure_of_the_model():
    callback = EarlyStopping(lambda model: model.score(X_VAL, Y_VAL), patience=1, tol=0.5)
    assert model(max_iter=50).set_callbacks(callback).fit(X, Y).n_iter_ in (2, 3)


def test_shared_callback_keeps_its_fits_apart():
    callback = EarlyStopping("loss", patience=2, tol=100.0)
    first = model(max_iter=50).set_callbacks(callback)
    second = clone(first)
    assert first.fit(X, Y).n_iter_ == second.fit(X, Y).n_iter_ == 3
    assert not callback._memories


def test_checkpoint_keeps_the_model_of_the_best_epoch(tmp_path):
    path = tmp_path / "best.joblib"
    fitted = model(max_iter=60, n_iter_no_change=60, optimizer=SGD(1.0), batch_norm=True)
    fitted.set_callbacks(Checkpoint(path, "validation_loss"))
    fitted.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    best = joblib.load(path)
    losses = np.array(fitted.validation_loss_curve_)
    assert best.n_iter_ == losses.argmin() + 1 < 60
    assert len(best.loss_curve_) == best.n_iter_
    assert best.score(X_VAL, Y_VAL) == fitted.validation_scores_[losses.argmin()]
    assert not [name for name in vars(best) if "callback" in name]
    best.set_params(warm_start=True, max_iter=1).fit(X, Y)
    assert [file.name for file in tmp_path.iterdir()] == ["best.joblib"]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_each_fit_of_a_search_has_a_checkpoint_of_its_own(tmp_path, n_jobs):
    estimator = model().set_callbacks(Checkpoint(tmp_path / "best.joblib"))
    GridSearchCV(estimator, {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=n_jobs).fit(X, Y)
    files = list(tmp_path.iterdir())
    assert len(files) == 2 * 2 + 1
    assert {joblib.load(file).alpha for file in files} == {1e-4, 1.0}


def test_learning_rate_is_printed_when_it_changes(capsys):
    schedule = StepDecay(0.1, drop=0.5, every=2)
    model(optimizer=SGD(schedule)).set_callbacks(LearningRatePrinter()).fit(X, Y)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: learning rate 0.1",
        "Epoch 3: learning rate 0.05",
    ]


def test_figure_that_is_not_there_is_named_with_the_next_step():
    callback = EarlyStopping("validation_los")
    with pytest.raises(ValueError, match=r"Did you mean 'validation_loss'\? Pass validation data"):
        model().set_callbacks(callback).fit(X, Y)


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (EarlyStopping(patience=0), "patience of EarlyStopping must be an int in"),
        (Checkpoint("x", monitor=3), "monitor of Checkpoint must be a column of history_"),
    ],
)
def test_bad_parameters_of_callbacks_are_named(callback, message):
    with pytest.raises(ValueError, match=message):
        model().set_callbacks(callback).fit(X, Y)


def test_regressors_have_callbacks_too():
    record = Record()
    MLPRegressor(5, max_iter=2).set_callbacks(record).fit(X, Y)
    assert record.calls.count("epoch ends") == 2


def test_callback_set_on_what_does_not_pass_it_on_says_where_to_set_it(tmp_path):
    search = GridSearchCV(model(), {"alpha": [1e-4]}, cv=2)
    with pytest.raises(TypeError, match=r"EarlyStopping watches .* set on a GridSearchCV"):
        search.set_callbacks(EarlyStopping()).fit(X, Y)


def test_checkpoint_needs_a_folder_that_exists(tmp_path):
    estimator = model().set_callbacks(Checkpoint(tmp_path / "no" / "best.joblib"))
    with pytest.raises(ValueError, match="path of Checkpoint must be a file in a folder that ex"):
        estimator.fit(X, Y)


class Stacks(StackProgress):
    """Keeps what it is told."""

    def __init__(self, interval=1.0):
        super().__init__(interval)
        self.told = []

    def after_stack_epoch(self, stack):
        self.told.append(stack)


def test_progress_says_how_many_models_of_a_stack_train_and_have_stopped():
    progress = Stacks()
    models = [
        MLPClassifier(5, max_iter=n, random_state=0).set_callbacks(progress) for n in (1, 3, 3, 4)
    ]
    fit_many(models, X, Y)
    assert len({stack.name for stack in progress.told}) == 1
    assert {(stack.n_models, stack.max_epochs) for stack in progress.told} == {(4, 4)}
    seen = [(stack.epoch, stack.n_training) for stack in progress.told]
    assert seen == [(1, 4), (2, 3), (3, 3), (4, 1), (4, 0)]


def test_progress_is_printed_now_and_then_and_at_the_end(capsys):
    def printed(interval):
        model = MLPClassifier(5, max_iter=3, random_state=0)
        model.set_callbacks(StackProgress(interval)).fit(X, Y)
        return [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]

    assert printed(1000.0) == ["trained 1 model in 3 epochs"]
    assert printed(0.0) == [
        *(f"epoch {n} of 3, 1 of 1 models training" for n in (1, 2, 3)),
        "trained 1 model in 3 epochs",
    ]


def test_progress_can_be_set_on_the_search():
    progress = Stacks()
    search = GridSearchCV(MLPClassifier(5, max_iter=2, random_state=0), {"alpha": [0.1, 1.0]}, cv=2)
    with joblib.parallel_config(backend="skopt_dl", n_jobs=4):
        search.set_callbacks(progress).fit(X, Y)
    # The search, and the model that is fitted again.
    assert [stack.n_models for stack in progress.told if not stack.n_training] == [4, 1]


def test_progress_interval_is_checked():
    model = MLPClassifier(5, max_iter=2).set_callbacks(StackProgress("often"))
    with pytest.raises(ValueError, match="interval of StackProgress must be a float"):
        model.fit(X, Y)


def state(**changes):
    known = {"name": "1-1", "n_models": 64, "n_training": 64, "epoch": 50, "max_epochs": 200}
    return StackState(**{**known, **changes})


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, "64 of 64 models training"),
        ({"n_known": 640, "seconds": 10.0}, "; 0 of 640 models trained"),
        (
            {"n_known": 640, "n_trained": 64, "seconds": 20.0},
            "; 64 of 640 models trained, about 2.3 min left",
        ),
        (
            {"n_known": 640, "n_trained": 512, "seconds": 9000.0, "n_training": 0},
            "trained 64 models in 50 epochs; 576 of 640 models trained, about 16.7 min left",
        ),
        (
            {"n_known": 640, "n_trained": 576, "seconds": 90.0, "n_training": 0},
            "; 640 of 640 models trained",
        ),
        ({"n_known": 10**4, "n_trained": 64, "seconds": 300.0}, "about 10.3 h left"),
        ({"n_known": 128, "n_trained": 64, "seconds": 20.0}, "about 12 s left"),
    ],
)
def test_progress_of_the_whole_search_is_printed_where_it_is_known(capsys, changes, end):
    StackProgress(0.0).after_stack_epoch(state(**changes))
    assert capsys.readouterr().out.endswith(f"{end}\n")


@pytest.mark.usefixtures("numpy_engine")
def test_each_line_is_written_in_one_piece(monkeypatch):
    class Output(io.StringIO):
        def write(self, text):
            pieces.append(text)

    pieces: list[str] = []
    monkeypatch.setattr("sys.stdout", Output())
    fitted = model(verbose=True, optimizer=SGD(StepDecay(0.1, every=1)), tol=10, n_iter_no_change=1)
    fitted.set_callbacks(LearningRatePrinter(), StackProgress(0.0)).fit(X, Y)
    lines = [piece for piece in pieces if piece]
    starts = {line.split()[0] for line in lines}
    assert starts == {"Epoch", "Loss", "[skopt_dl]"}
    assert all(line.count("\n") == 1 and line.endswith("\n") for line in lines)
