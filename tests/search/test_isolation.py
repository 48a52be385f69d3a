"""Tasks have warnings of their own; the user's process is left as it was found."""

import logging
import os
import signal
import sys
import threading
import warnings
from contextvars import ContextVar, copy_context

import joblib
import numpy as np
import pytest
from searched import DIGITS, LABELS, model
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from skopt_dl.search import scheduler

LONG = 60


def stacked():
    return joblib.parallel_config(backend="skopt_dl", n_jobs=64, n_processes=1)


def in_tasks(*functions):
    """Call functions as tasks, all of which may be under way at once."""
    with stacked():
        return joblib.Parallel(n_jobs=64)(joblib.delayed(function)() for function in functions)


@pytest.fixture
def cores(monkeypatch):
    """As many cores as tasks: they take turns as their events say, not as cores are free."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 16)
    monkeypatch.setattr(scheduler, "PATIENCE", 1e9)


def test_integers_through_a_scaler_leave_the_filters_alone():
    # scikit-learn turns a warning into an error while it looks at the numbers.
    before = list(warnings.filters)
    X = (DIGITS * 16).astype(int)
    grid = {"mlpclassifier__alpha": np.logspace(-6, 0, 12)}
    for _ in range(2):
        with stacked(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            GridSearchCV(make_pipeline(StandardScaler(), model()), grid, cv=3).fit(X, LABELS)
    assert warnings.filters == before


def test_filters_of_tasks_that_end_in_any_order_do_not_meet(cores):
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def first():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            first_is_in.set()
            assert second_is_in.wait(LONG)
            warnings.warn("not to be seen", UserWarning, stacklevel=1)
        first_is_out.set()

    def second():
        assert first_is_in.wait(LONG)
        with warnings.catch_warnings():
            second_is_in.set()
            warnings.warn("to be seen", UserWarning, stacklevel=1)
            assert first_is_out.wait(LONG)
        warnings.warn("to be seen too", UserWarning, stacklevel=1)

    before, shown = warnings.filters, warnings.showwarning
    copied = list(before)
    with pytest.warns(UserWarning, match="to be seen") as caught:
        in_tasks(first, second)
    assert [str(each.message) for each in caught] == ["to be seen", "to be seen too"]
    assert warnings.filters is before
    assert warnings.filters == copied
    assert warnings.showwarning is shown


def test_task_that_records_gets_its_own_warnings_only(cores):
    everybody = threading.Barrier(4)

    def task(k):
        def call():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                everybody.wait(LONG)
                warnings.warn(f"of task {k}", UserWarning, stacklevel=1)
                everybody.wait(LONG)
            return [str(each.message) for each in caught]

        return call

    assert in_tasks(*map(task, range(4))) == [[f"of task {k}"] for k in range(4)]


def test_warnings_come_in_the_order_of_the_tasks(cores):
    events = [threading.Event() for _ in range(5)]
    events[4].set()

    def task(k):
        def call():
            # The last ends first.
            assert events[k].wait(LONG)
            warnings.warn(f"{k}", UserWarning, stacklevel=1)
            events[k - 1].set()

        return call

    with pytest.warns(UserWarning, match="[0-4]") as caught:
        in_tasks(*map(task, range(5)))
    assert [str(each.message) for each in caught] == list("01234")


@pytest.mark.parametrize(("action", "number"), [("default", 2), ("once", 2), ("always", 6)])
def test_each_task_shows_a_warning_as_often_as_the_filters_say(action, number):
    def task():
        for _ in range(3):
            warnings.warn("again", UserWarning, stacklevel=1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        in_tasks(task, task)
    assert len(caught) == number


@pytest.mark.parametrize("action", ["default", "module", "once"])
def test_task_shows_again_what_it_has_shown_before_filters_changed_as_python_does(action):
    def task():
        for _ in range(3):
            warnings.warn(f"{action}, again", UserWarning, stacklevel=1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")

    numbers = []
    for run in (task, lambda: in_tasks(task)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            run()
        numbers.append(len(caught))
    assert numbers == [3, 3]


def test_filters_that_raise_do_so_in_the_task():
    def task():
        try:
            warnings.warn("raised", UserWarning, stacklevel=1)
        except UserWarning:
            return "caught"
        return "shown"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert in_tasks(task, task) == ["caught", "caught"]


def test_error_while_a_warning_is_shown_is_the_task_s(monkeypatch):
    def raising(*args, **kwargs):
        raise ZeroDivisionError("cannot show this")

    def task():
        warnings.warn("cannot be shown", UserWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", raising)
        with pytest.raises(ZeroDivisionError, match="cannot show this"):
            in_tasks(task, task, task)
        monkeypatch.undo()


def test_filters_can_be_reset_and_set_in_a_task():
    def task():
        found = []
        for change in (warnings.resetwarnings, lambda: warnings.filterwarnings("error", "x")):
            change()
            found.append(list(warnings.filters))
        with pytest.raises(UserWarning):
            warnings.warn("x y", UserWarning, stacklevel=1)
        warnings.filters = [("ignore", None, Warning, None, 0)]
        warnings.warn("x y", UserWarning, stacklevel=1)
        return [len(each) for each in found]

    before = list(warnings.filters)
    assert in_tasks(task) == [[0, 1]]
    assert warnings.filters == before


def test_warnings_that_go_to_a_log_go_there(caplog):
    def task():
        warnings.warn("for the log", UserWarning, stacklevel=1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.warn("not for the log", UserWarning, stacklevel=1)
        assert len(caught) == 1

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(True)
        try:
            in_tasks(task)
        finally:
            logging.captureWarnings(False)
    assert [("for the log" in each.getMessage()) for each in caplog.records] == [True]


def test_warnings_of_tasks_of_tasks_reach_the_task_first(cores):
    def inner():
        warnings.warn("inner", UserWarning, stacklevel=1)

    def outer():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            joblib.Parallel(n_jobs=2)(joblib.delayed(inner)() for _ in range(3))
        return len(caught)

    assert in_tasks(outer, outer) == [3, 3]


def test_scorers_called_in_mid_training_warn_for_their_task():
    def scorer(estimator, X, y):
        warnings.warn("scored", RuntimeWarning, stacklevel=1)
        return 0.5

    estimator = model(early_stopping=True, scoring=scorer, n_iter_no_change=100)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with stacked():
            GridSearchCV(estimator, {"alpha": [0.1, 0.2]}, cv=3, refit=False).fit(DIGITS, LABELS)
    # Six models of six epochs.
    assert sum(str(each.message) == "scored" for each in caught) == 36


COLOUR = ContextVar("colour", default="none")


def test_tasks_see_the_variables_of_the_context_and_cannot_change_them():
    def task():
        seen = COLOUR.get()
        COLOUR.set("theirs")
        return seen

    def search():
        COLOUR.set("mine")
        return in_tasks(task, task, task), COLOUR.get()

    assert copy_context().run(search) == (["mine"] * 3, "mine")


def n_blas_threads():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_searches_that_overlap_leave_threads_and_filters_as_they_were():
    here, there = threading.Barrier(2), threading.Barrier(2)

    def first():
        here.wait(LONG)
        there.wait(LONG)

    def second():
        here.wait(LONG)

    with threadpool_limits(2, user_api="blas"):
        before = n_blas_threads()
        filters = list(warnings.filters)
        # The first to begin is the last to end.
        ended = threading.Event()

        def search():
            in_tasks(first)
            ended.set()

        thread = threading.Thread(target=search)
        thread.start()
        in_tasks(second)
        assert not ended.is_set()
        there.wait(LONG)
        thread.join(LONG)
        assert n_blas_threads() == before
    assert warnings.filters == filters
    assert type(warnings) is type(sys)


@pytest.mark.parametrize("ending", ["result", "error", "interrupt"])
def test_process_is_left_as_it_was(ending):
    def task():
        warnings.simplefilter("ignore")
        if ending == "error":
            raise ZeroDivisionError
        if ending == "interrupt":
            signal.raise_signal(signal.SIGINT)

    def state():
        return {
            "filters": list(warnings.filters),
            "show": (warnings.showwarning, warnings._showwarnmsg_impl, warnings._showwarnmsg),
            "module": (type(warnings), sorted(vars(warnings))),
            "blas": n_blas_threads(),
            "signals": [signal.getsignal(each) for each in signal.valid_signals()],
            "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002 (the global one)
            "environment": dict(os.environ),
        }

    before = state()
    try:
        in_tasks(task, task, task)
    except (ZeroDivisionError, KeyboardInterrupt):
        assert ending != "result"
    assert state() == before
