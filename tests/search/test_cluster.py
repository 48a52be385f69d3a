"""A search over a Dask cluster gives the results of one that trains model by model, here."""

import logging
import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest
from searched import DIGITS as X
from searched import LABELS as Y
from searched import model
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl.callbacks import EarlyStopping
from skopt_dl.optimizers import Momentum
from skopt_dl.search import trainers
from skopt_dl.search.cluster import Cluster

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

# Most of these trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

# Seconds that only a hang takes.
LONG = 120

GRID = {"optimizer": ["adam", Momentum(0.1)], "alpha": [1e-4, 1.0]}


def wait_for(condition):
    # So long only where something is wrong.
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def client():
    # A worker that is not there so long after it has died is given up: also one that has come back,
    # and has been killed again since.
    patience = {"distributed.deploy.lost-worker-timeout": "1h"}
    with (
        dask.config.set(patience),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def sizes(monkeypatch):
    """Sizes of the stacks that are trained on the cluster; none is trained here."""
    found, train = [], Cluster.train

    def recorded(cluster, jobs, interrupted):
        found.append(len(jobs))
        return train(cluster, jobs, interrupted)

    def train_here(*_):
        raise AssertionError("a stack was trained here")

    monkeypatch.setattr(Cluster, "train", recorded)
    monkeypatch.setattr(trainers, "train", train_here)
    return found


@pytest.fixture(autouse=True)
def no_threads_left():
    """Tasks of an aborted search end after it, and put warning filters back as they found them."""
    yield
    wait_for(lambda: not any(t.name.startswith("skopt_dl") for t in threading.enumerate()))


def on(client, n_jobs=64):
    return joblib.parallel_config(backend="skopt_dl", n_jobs=n_jobs, client=client)


def assert_same_search(one, other):
    for column in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(one.cv_results_[column], other.cv_results_[column])
    assert one.best_index_ == other.best_index_
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def accuracy_from(directory):
    """A scorer that leaves its process's number; a closure, as users write them."""

    def score(model, X, y):
        (directory / str(os.getpid())).touch()
        return float(np.mean(model.predict(X) == y))

    return score


def workers(client):
    return {str(pid) for pid in client.run(os.getpid).values()}


def test_grid_search_gives_the_serial_table_and_model(client, sizes):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model()),
        {f"mlpclassifier__{name}": values for name, values in GRID.items()},
        cv=3,
    )
    serial = clone(search).fit(X, Y)
    with on(client):
        search.fit(X, Y)
    assert_same_search(search, serial)
    assert sum(sizes) == 12
    # As many stacks as workers, so that none is idle.
    assert len(sizes) <= 4


def test_every_worker_trains_stacks_and_scores_by_closures(client, sizes, tmp_path):
    estimator = model(
        early_stopping=True, scoring=accuracy_from(tmp_path), n_iter_no_change=2, max_iter=30
    )
    search = GridSearchCV(estimator, GRID, cv=3, refit=False)
    with on(client):
        search.fit(X, Y)
    assert {path.name for path in tmp_path.iterdir()} == workers(client)
    serial = clone(search).fit(X, Y)
    for column in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(search.cv_results_[column], serial.cv_results_[column])
    assert sum(sizes) == 12
    assert max(sizes) > 1


def test_model_trained_on_a_worker_goes_on_as_one_trained_here(client, sizes):
    there, here = model(dropout=0.2), model(dropout=0.2)
    with on(client):
        (there,) = joblib.Parallel()([joblib.delayed(there.fit)(X, Y)])
    here.fit(X, Y)
    for _ in range(3):
        for one, other in zip(
            [*there.coefs_, *there.intercepts_], [*here.coefs_, *here.intercepts_], strict=True
        ):
            np.testing.assert_array_equal(one, other)
        assert there.history_["loss"] == here.history_["loss"]
        there.partial_fit(X, Y)
        here.partial_fit(X, Y)
    assert sizes == [1]


def test_what_cannot_travel_is_trained_here(client):
    lock = threading.Lock()

    def score(model, X, y):
        with lock:
            return float(np.mean(model.predict(X) == y))

    estimator = model(early_stopping=True, scoring=score)
    with on(client), pytest.warns(RuntimeWarning, match="trained here. TypeError: cannot pickle"):
        there = cross_validate(estimator, X, Y, cv=3)["test_score"]
    np.testing.assert_array_equal(there, cross_validate(estimator, X, Y, cv=3)["test_score"])


def test_callbacks_are_called_here(client):
    epochs = []

    class Count(EarlyStopping):
        def on_fit_task_end(self, estimator, context, **kwargs):
            epochs.append(os.getpid())
            return super().on_fit_task_end(estimator, context, **kwargs)

    estimator = model().set_callbacks(Count(monitor="loss"))
    with on(client):
        there = cross_validate(estimator, X, Y, cv=3)["test_score"]
    assert set(epochs) == {os.getpid()}
    assert len(epochs) >= 18
    np.testing.assert_array_equal(there, cross_validate(model(), X, Y, cv=3)["test_score"])


def test_error_of_a_scorer_comes_back_as_itself(client, sizes):
    def fails(model, X, y):
        raise LookupError("no such figure")

    search = GridSearchCV(
        model(early_stopping=True), {"scoring": [None, fails]}, cv=3, error_score="raise"
    )
    with on(client), pytest.raises(LookupError, match="no such figure"):
        search.fit(X, Y)


def test_optimizer_that_breaks_its_stack_ends_its_own_models_only(client, sizes):
    class Broken(Momentum):
        def update(self, grad, state, params, step):
            raise ZeroDivisionError("broken")

    search = GridSearchCV(model(), {"optimizer": [Momentum(), Broken()]}, cv=3, refit=False)
    with on(client), pytest.warns(Warning, match="broken|non-finite"):
        scores = search.fit(X, Y).cv_results_["mean_test_score"]
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1])
    assert 1 in sizes


def test_workers_stop_when_the_search_is_ended(client, tmp_path, monkeypatch):
    # One for the task that waits, however many there are.
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)

    def busy(dask_worker):
        return len(dask_worker.state.all_running_tasks)

    endless = {"max_iter": 10**6, "tol": 0, "n_iter_no_change": 10**6, "early_stopping": True}

    def task(number):
        if number:
            return model(scoring=accuracy_from(tmp_path), **endless).fit(X, Y)
        wait_for(lambda: any(tmp_path.iterdir()))
        raise LookupError("enough")

    with on(client), pytest.raises(LookupError, match="enough"):
        joblib.Parallel()(map(joblib.delayed(task), range(3)))
    wait_for(lambda: not any(client.run(busy).values()))


def test_samples_of_many_megabytes_travel_without_a_warning(client, sizes):
    wide = np.random.default_rng(0).normal(size=(100, 20_000))
    with on(client):
        joblib.Parallel()([joblib.delayed(model(max_iter=1).fit)(wide, Y[:100])])
    assert sizes == [1]


def test_nested_searches_share_the_cluster(client, sizes):
    search = GridSearchCV(model(), {"alpha": [1e-4, 1.0]}, cv=3)
    with on(client):
        there = cross_validate(search, X, Y, cv=3)["test_score"]
    np.testing.assert_array_equal(there, cross_validate(search, X, Y, cv=3)["test_score"])
    assert sum(sizes) == 3 * (2 * 3 + 1)


def test_single_fits_run_over_dask_as_everywhere(client):
    search = GridSearchCV(model(), GRID, cv=3)
    serial = clone(search).fit(X, Y)
    with joblib.parallel_config("dask"):
        search.fit(X, Y)
    assert_same_search(search, serial)


# Workers that come back import everything anew: these come last.


def killing(marker, once):
    """A scorer that ends its worker in mid-training."""
    home = os.getpid()
    calls = []

    def score(model, X, y):
        calls.append(1)
        if os.getpid() != home and len(calls) > 1 and not (once and marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return float(np.mean(model.predict(X) == y))

    return score


def test_killed_worker_changes_no_score(client, sizes, tmp_path):
    marker = tmp_path / "killed"
    before = workers(client)
    search = GridSearchCV(model(early_stopping=True, scoring=killing(marker, True)), GRID, cv=3)
    with on(client):
        search.fit(X, Y)
    assert marker.exists()
    assert_same_search(search, clone(search).fit(X, Y))
    client.wait_for_workers(2, timeout=LONG)
    assert workers(client) != before


def test_stack_that_kills_every_worker_is_trained_here(client, tmp_path, monkeypatch):
    # Every one that it may have: each imports everything anew.
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    estimator = model(early_stopping=True, scoring=killing(tmp_path / "killed", False))
    with on(client), pytest.warns(RuntimeWarning, match="trained here. KilledWorker"):
        (there,) = joblib.Parallel()([joblib.delayed(clone(estimator).fit)(X, Y)])
    here = estimator.fit(X, Y)
    assert there.validation_scores_ == here.validation_scores_
    np.testing.assert_array_equal(there.predict_proba(X), here.predict_proba(X))
    client.wait_for_workers(2, timeout=LONG)


@pytest.mark.parametrize("wrong", ["tcp://127.0.0.1:8786", 4, joblib.Parallel()])
def test_what_is_no_client_is_named(wrong):
    with pytest.raises(TypeError, match=r"client must be a dask.distributed.Client"):
        on(wrong)
