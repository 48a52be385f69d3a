"""Tasks of a stacked search in other processes."""

import functools
import gc
import os
import signal
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

import joblib
import numpy as np
import pytest
from searched import DIGITS, LABELS, both_ways, model
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skopt_dl import fit_many
from skopt_dl.callbacks import EarlyStopping, EpochCallback, StackProgress
from skopt_dl.optimizers import Momentum
from skopt_dl.search import coordinator, scheduler
from skopt_dl.search.processes import shared_processes

pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

ALPHAS = {"alpha": np.logspace(-6, 0, 12)}
# Tasks are few and short here: those that show what they train are all that runs in this process.
HERE = os.getpid()


# Seconds that only a hang takes.
LONG = 120


def stacked(**params):
    return joblib.parallel_config(backend="skopt_dl", n_jobs=64, n_processes=2, **params)


def process_id(estimator, X, y):
    # Long enough for one process not to take everything.
    time.sleep(0.01)
    return os.getpid()


def wait_for(condition):
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end_processes():
    found = shared_processes(2)
    if found is not None:
        found.end()


def ready_processes():
    found = shared_processes(2, start=True)
    wait_for(lambda: found.ready or not found.usable)
    assert found.usable
    return found


def n_descriptors():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def held():
    """How many threads and descriptors there are."""
    gc.collect()
    return threading.active_count(), n_descriptors()


def held_without_processes():
    # The first ones of a process leave it a tracker of resources.
    shared_processes(2, start=True).end()
    return held()


def no_more_than(before):
    # Fewer are there where something older has come to its end.
    return all(now <= then for now, then in zip(held(), before, strict=True))


@pytest.fixture
def processes():
    """Two worker processes that are ready before a search begins."""
    return ready_processes()


def ids_of(search):
    """In which processes the folds of a search were scored."""
    table = search.cv_results_
    return {int(table[f"split{fold}_test_score"][i]) for fold in range(3) for i in range(12)}


def by_process(estimator, scoring=process_id, **params):
    with stacked():
        return ids_of(
            GridSearchCV(estimator, ALPHAS, cv=3, scoring=scoring, **params).fit(DIGITS, LABELS)
        )


def meet(folder, home, estimator, X, y):
    """Score by the process that runs this; no other than `home` goes on before a second has come.

    One process may else take everything, as it pleases the system.
    """
    if os.getpid() != home:
        (folder / str(os.getpid())).touch()
        wait_for(lambda: len(list(folder.iterdir())) >= 2)
    return os.getpid()


def test_progress_comes_from_every_process_and_unwanted_warnings_from_none(capfd, tmp_path):
    # They write to what were standard output and error when they began. Those that begin here
    # serve the tests that follow, too.
    end_processes()
    ready_processes()
    meeting = functools.partial(meet, tmp_path, HERE)
    search = GridSearchCV(model(), ALPHAS, cv=3, scoring=meeting, refit=False)
    with stacked():
        search.set_callbacks(StackProgress()).fit(DIGITS, LABELS)
    told, complaints = capfd.readouterr()
    assert "ConvergenceWarning" not in complaints
    # Where the machine is busy, some tell of an epoch, and of models trained so far.
    lines = [line.split() for line in told.splitlines() if ": trained" in line]
    assert len({name.partition("-")[0] for _, _, name, *_ in lines}) == 3
    assert sum(int(line[4]) for line in lines) == 36


def test_tasks_run_in_all_processes_and_only_the_first_ones_here(processes, tmp_path):
    ids = by_process(model(), functools.partial(meet, tmp_path, HERE), refit=False)
    assert len(ids - {HERE}) == 2


def test_search_is_that_of_one_process(processes):
    pipeline = make_pipeline(StandardScaler(), model(optimizer=Momentum(0.05), dropout=0.2))
    grid = {
        "mlpclassifier__optimizer__learning_rate": np.logspace(-3, -1, 5),
        "mlpclassifier__early_stopping": [False, True],
    }

    def search():
        found = GridSearchCV(pipeline, grid, cv=3).fit(DIGITS, LABELS)
        return found.cv_results_["mean_test_score"], found.predict(DIGITS)

    for one, other in zip(*both_ways(stacked, search), strict=True):
        np.testing.assert_array_equal(one, other)


def test_fitted_models_come_back_and_go_on_as_if_trained_here(processes):
    with stacked():
        there = cross_validate(model(), DIGITS, LABELS, cv=12, return_estimator=True)
    here = cross_validate(model(), DIGITS, LABELS, cv=12, return_estimator=True)
    for one, other in zip(there["estimator"], here["estimator"], strict=True):
        assert one.loss_curve_ == other.loss_curve_
        one.partial_fit(DIGITS, LABELS)
        other.partial_fit(DIGITS, LABELS)
        for a, b in zip(one.coefs_, other.coefs_, strict=True):
            np.testing.assert_array_equal(a, b)


def test_many_models_are_still_fitted_in_place(processes, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    models = [make_pipeline(StandardScaler(), model(alpha=alpha)) for alpha in ALPHAS["alpha"]]
    assert all(
        one is other for one, other in zip(fit_many(models, DIGITS, LABELS), models, strict=True)
    )
    for each in models:
        alone = make_pipeline(StandardScaler(), model(alpha=each[-1].alpha)).fit(DIGITS, LABELS)
        np.testing.assert_array_equal(each[-1].coefs_[0], alone[-1].coefs_[0])


def test_nested_searches_run_in_the_processes_of_the_outer_one(processes):
    inner = GridSearchCV(model(), {"alpha": [1e-4, 1e-2]}, cv=2, n_jobs=2)
    # In the other way, two jobs would start processes of joblib's.
    with joblib.parallel_config("threading"):
        results = both_ways(
            stacked, lambda: cross_validate(inner, DIGITS, LABELS, cv=8)["test_score"]
        )
    np.testing.assert_array_equal(*results)


def test_meta_estimators_that_return_models(processes):
    bag = BaggingClassifier(model(), n_estimators=12, random_state=0)
    probabilities = both_ways(stacked, lambda: bag.fit(DIGITS, LABELS).predict_proba(DIGITS))
    np.testing.assert_array_equal(*probabilities)


class InAScript(Momentum):
    """Defined where no other process can import it from; see the test."""


def test_optimizer_of_a_script_goes_along(processes, tmp_path):
    meeting = functools.partial(meet, tmp_path, HERE)
    InAScript.__module__ = "__main__"
    try:
        # By value, as from a notebook.
        import __main__

        __main__.InAScript = InAScript
        ids = by_process(model(optimizer=InAScript(0.05)), meeting, refit=False)
        assert len(ids - {HERE}) == 2
    finally:
        InAScript.__module__ = __name__
        del __main__.InAScript


def test_error_of_a_task_is_raised_with_where_it_came_from(processes):
    def scorer(estimator, X, y):
        if estimator.alpha > 0.5:
            raise ZeroDivisionError("too large")
        return 0.0

    search = GridSearchCV(model(), ALPHAS, cv=3, scoring=scorer, error_score="raise")
    with stacked(), pytest.raises(ZeroDivisionError, match="too large") as caught:
        search.fit(DIGITS, LABELS)
    assert any("in scorer" in note for note in caught.value.__notes__)
    # The processes work on.
    assert processes.ready
    assert len(by_process(model(), refit=False)) >= 2


def test_what_cannot_travel_stays_here(processes):
    lock = threading.Lock()

    def scorer(estimator, X, y):
        with lock:
            return os.getpid()

    with stacked():
        search = GridSearchCV(model(), ALPHAS, cv=3, scoring=scorer, refit=False)
        assert ids_of(search.fit(DIGITS, LABELS)) == {HERE}


class Recorder(EpochCallback):
    def after_epoch(self, model, memory):
        return False


@pytest.mark.parametrize(
    ("callback", "stay"), [(Recorder(), True), (EarlyStopping("loss"), False)], ids=["own", "ours"]
)
def test_callbacks_that_may_belong_to_this_process_keep_their_models_here(
    processes, callback, stay
):
    ids = by_process(model().set_callbacks(callback), refit=False)
    assert (ids == {HERE}) == stay


class Collect(EpochCallback):
    seen = []

    def after_epoch(self, model, memory):
        self.seen.append(1)


def test_models_that_belong_here_come_back_from_where_nobody_knew(processes, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    Collect.seen.clear()
    models = [model(alpha=alpha) for alpha in np.logspace(-6, 0, 40)]
    models += [model(alpha=alpha).set_callbacks(Collect()) for alpha in np.logspace(-6, 0, 20)]
    fit_many(models, DIGITS, LABELS)
    assert len(Collect.seen) == 20 * 6


def test_tasks_that_train_again_while_few_are_left(processes):
    def fit(k):
        found = model(alpha=1e-3 * k).fit(DIGITS, LABELS)
        if k < 2:
            time.sleep(1.0)
            found = model(alpha=1e-3 * k).fit(DIGITS, LABELS)
        return found.loss_

    def tasks():
        for k in range(40):
            if k >= 16:
                time.sleep(0.05)
            yield joblib.delayed(fit)(k)

    with joblib.parallel_config(backend="skopt_dl", n_jobs=8, n_processes=2):
        losses = joblib.Parallel()(tasks())
    assert len(losses) == 40


def test_processes_of_a_process_are_not_started(processes):
    assert len(processes.run(functools.partial(by_process, refit=False), model())) == 1


def test_large_samples_stay_here(processes, monkeypatch):
    monkeypatch.setattr(scheduler, "MEMORY", 1 << 16)
    assert by_process(model(), refit=False) == {HERE}


def test_error_of_a_search_leaves_the_other_its_processes(processes, tmp_path, monkeypatch):
    """Two searches in two threads: one fails while the other has tasks away."""
    # What the one that fails has sent away is behind tasks that wait for its end.
    monkeypatch.setattr(coordinator, "GRACE", 0.5)
    failed = threading.Event()

    def slow(estimator, X, y):
        if os.getpid() != HERE:
            (tmp_path / "began").touch()
            wait_for((tmp_path / "failed").exists)
        return os.getpid()

    def fails(estimator, X, y):
        # The first tasks run here, while others are away by now.
        raise ZeroDivisionError

    def other():
        wait_for((tmp_path / "began").exists)
        try:
            with stacked():
                GridSearchCV(model(), ALPHAS, cv=3, scoring=fails, error_score="raise").fit(
                    DIGITS, LABELS
                )
        except ZeroDivisionError:
            failed.set()
        (tmp_path / "failed").touch()

    thread = threading.Thread(target=other)
    thread.start()
    with stacked():
        search = GridSearchCV(model(), ALPHAS, cv=3, scoring=slow, refit=False)
        ids = ids_of(search.fit(DIGITS, LABELS))
    thread.join(LONG)
    assert failed.is_set()
    assert ids - {HERE}
    assert processes.ready


def test_verbose_tells_of_stacks_everywhere(processes, capsys):
    with stacked(verbose=1):
        GridSearchCV(model(), ALPHAS, cv=3, refit=False).fit(DIGITS, LABELS)
    told = capsys.readouterr().out
    assert sum(int(line.split()[1]) for line in told.splitlines() if "models:" in line) == 36


def noisy(X):
    warnings.warn("noisy", UserWarning, stacklevel=1)
    return X


def silent(X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("never to be seen", UserWarning, stacklevel=1)
    return X


def found_by(search, **context):
    """How often each warning came, and from where."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        if context:
            with joblib.parallel_config(backend="skopt_dl", n_jobs=64, **context):
                search.fit(DIGITS, LABELS)
        else:
            search.fit(DIGITS, LABELS)
    # The two calls are in two lines.
    places = {each.lineno for each in caught if each.filename == __file__ and "Max" in str(each)}
    assert len(places) == 1
    return Counter((each.category, str(each.message), each.filename) for each in caught)


def test_warnings_of_a_search_are_those_of_a_plain_one(processes):
    pipeline = make_pipeline(
        FunctionTransformer(silent), FunctionTransformer(noisy), StandardScaler(), model()
    )
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": ALPHAS["alpha"]}, cv=3)
    plain = found_by(search)
    assert sum(plain.values()) > 36
    for n_processes in (1, 2):
        assert found_by(search, n_processes=n_processes) == plain


@pytest.mark.usefixtures("results_are_looked_for_often")
def test_many_searches_leave_what_one_leaves(processes):
    def search(k):
        # Some fail; some run elsewhere.
        def scorer(estimator, X, y):
            if k % 5 == 1 and estimator.alpha > 0.5:
                raise ZeroDivisionError
            return 0.5

        with joblib.parallel_config(backend="skopt_dl", n_jobs=64, n_processes=1 + k % 2):
            found = GridSearchCV(
                model(max_iter=1), ALPHAS, cv=2, refit=False, scoring=scorer, error_score="raise"
            )
            try:
                found.fit(DIGITS[:60], LABELS[:60])
            except ZeroDivisionError:
                assert k % 5 == 1

    def small_search():
        with joblib.parallel_config(backend="skopt_dl", n_jobs=64, n_processes=1):
            joblib.Parallel()(joblib.delayed(int)() for _ in range(4))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search(0)
        search(1)
        before = held()
        for k in range(20):
            search(k)
        for _ in range(180):
            small_search()
    assert no_more_than(before)
    assert processes.ready


# From here on tests end the processes: those that need some ready come before.


def test_process_that_dies_costs_a_warning_and_time(processes, tmp_path):
    marker = tmp_path / "died"

    def scorer(estimator, X, y):
        if os.getpid() != HERE and estimator.alpha > 0.5 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return estimator.alpha

    search = GridSearchCV(model(), ALPHAS, cv=3, scoring=scorer)
    with stacked(), pytest.warns(RuntimeWarning, match="died.*n_processes=1"):
        search.fit(DIGITS, LABELS)
    assert marker.exists()
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], ALPHAS["alpha"])
    assert not processes.usable


def test_long_search_starts_them_and_goes_on_there(monkeypatch):
    end_processes()
    monkeypatch.setattr(scheduler, "START", 1)

    def scorer(estimator, X, y):
        if os.getpid() == HERE:
            wait_for(lambda: (found := shared_processes(2)) is not None and found.ready)
        return os.getpid()

    with joblib.parallel_config(backend="skopt_dl", n_jobs=8, n_processes=2):
        search = GridSearchCV(model(), ALPHAS, cv=3, scoring=scorer, refit=False)
        ids = ids_of(search.fit(DIGITS, LABELS))
    assert HERE in ids
    assert len(ids) > 1


def test_search_whose_processes_are_ended_goes_on_here_and_says_so(processes, tmp_path):
    def scorer(estimator, X, y):
        if os.getpid() != HERE:
            (tmp_path / "began").touch()
            time.sleep(LONG)
        return estimator.alpha

    def end():
        wait_for((tmp_path / "began").exists)
        processes.end()

    thread = threading.Thread(target=end)
    thread.start()
    search = GridSearchCV(model(), ALPHAS, cv=3, scoring=scorer, refit=False)
    with stacked(), pytest.warns(RuntimeWarning, match="Or an interrupt of another search"):
        search.fit(DIGITS, LABELS)
    thread.join(LONG)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], ALPHAS["alpha"])


def test_interrupt_ends_the_processes_and_leaves_nothing(tmp_path):
    before = held_without_processes()
    found = ready_processes()
    # More than a pipe holds: what is written when nobody reads any more would never end.
    X = np.repeat(DIGITS, 50, axis=0)
    y = np.repeat(LABELS, 50)

    def scorer(estimator, X, y):
        if os.getpid() != HERE:
            (tmp_path / "began").touch()
            time.sleep(LONG)
        return 0.0

    def interrupt():
        wait_for((tmp_path / "began").exists)
        os.kill(HERE, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    started = time.monotonic()
    estimator = model(hidden_layer_sizes=(2,), max_iter=1)
    with stacked(), pytest.raises(KeyboardInterrupt):
        GridSearchCV(estimator, ALPHAS, cv=3, scoring=scorer).fit(X, y)
    thread.join()
    assert time.monotonic() - started < LONG
    assert not found.usable
    del X, found
    wait_for(lambda: no_more_than(before))


def test_processes_end_whole_while_they_start_and_with_calls_that_nobody_has_begun():
    before = held_without_processes()
    for n_calls in (0, 0, 0, 1, 5, 5):
        found = shared_processes(2, start=True)
        outcomes = [found._executor.submit(time.sleep, LONG) for _ in range(n_calls)]
        found.end()
        assert all(each.exception() for each in outcomes)
    del found, outcomes
    wait_for(lambda: no_more_than(before))


# Tests that need none come after one that ends them.


def test_short_search_starts_none(monkeypatch):
    end_processes()
    # No tick comes before it is over.
    monkeypatch.setattr(coordinator, "TICK", LONG)
    assert by_process(model(), refit=False) == {HERE}
    assert shared_processes(2) is None


@pytest.mark.parametrize("wrong", [0, -1, 2.0, True, "all"])
def test_number_of_processes_is_checked(wrong):
    with (
        pytest.raises(ValueError, match="n_processes must be an int of at least 1"),
        joblib.parallel_config(backend="skopt_dl", n_processes=wrong),
    ):
        pass


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("nope", "no option 'nope'"),
        ("n_process", "Did you mean 'n_processes'"),
        ("journals", "'journal'"),
    ],
)
def test_unknown_options_are_answered_with_those_there_are(option, words):
    with pytest.raises(TypeError, match=f"{words}.*n_jobs, n_processes, client, journal, verbose"):
        joblib.parallel_config(backend="skopt_dl", **{option: 3})
