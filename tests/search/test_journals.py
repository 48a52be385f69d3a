"""A journal, by whatever door it comes: what was trained is found again, and told apart."""

import logging
from concurrent.futures import wait

import joblib
import numpy as np
import pytest
from joblib import parallel_config
from searched import DIGITS, LABELS, model
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate

from skopt_dl import available_optimizers, fit_many
from skopt_dl.jobs import JournalWarning, training
from skopt_dl.jobs.journal.pruning import survey
from skopt_dl.search.journals import VARIABLE
from skopt_dl.search.processes import shared_processes

pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations", "ignore:Stopped after")

ALPHAS = {"alpha": [1e-3, 1e-1]}


def config(journal, **params):
    return parallel_config(backend="skopt_dl", journal=journal, **{"n_jobs": 8, **params})


def grid():
    return GridSearchCV(model(dropout=0.2, early_stopping=True), ALPHAS, cv=2)


def weights(estimator):
    found = getattr(estimator, "best_estimator_", estimator)
    return [*found.coefs_, *found.intercepts_, np.array(found.loss_curve_)]


def searched(found=None):
    search = (found or grid()).fit(DIGITS, LABELS)
    return [*weights(search), search.cv_results_["mean_test_score"]]


# Doors: each is given the folder, or None for the truth; the models that each trains.


def through_config(folder):
    with config(folder):
        return searched()


def one_after_the_other(folder):
    with config(folder, n_jobs=1):
        return searched()


def alone(folder):
    with config(folder):
        return weights(model().fit(DIGITS, LABELS))


def through_fit_many(folder):
    models = [model(random_state=seed) for seed in range(3)]
    fit_many(models, DIGITS, LABELS, journal=folder)
    return [array for each in models for array in weights(each)]


def through_calls_of_others(folder):
    with config(folder):
        inner = clone(grid())
        found = cross_validate(inner, DIGITS, LABELS, cv=2, return_estimator=True)
        bagging = BaggingClassifier(model(), n_estimators=2, random_state=0).fit(DIGITS, LABELS)
    members = [*found["estimator"], *bagging.estimators_]
    return [array for each in members for array in weights(each)]


def in_steps(folder):
    with config(folder):
        found = model()
        for _ in range(3):
            found.partial_fit(DIGITS, LABELS, classes=np.unique(LABELS))
        return weights(found)


def seeded_by_a_generator(folder):
    with config(folder):
        return weights(model(random_state=np.random.RandomState(3)).fit(DIGITS, LABELS))


DOORS = {
    through_config: 5,
    one_after_the_other: 5,
    alone: 1,
    through_fit_many: 3,
    through_calls_of_others: 12,
    in_steps: 3,
    seeded_by_a_generator: 1,
}


@pytest.fixture
def nothing_is_trained(monkeypatch):
    """From when it is called, a training is an error."""

    def forbid():
        def train(*_):
            raise AssertionError("a model was trained again")

        monkeypatch.setattr("skopt_dl.jobs.training._train", train)

    return forbid


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_what_was_trained_is_found_again(tmp_path, nothing_is_trained, door):
    expected = door(None)
    assert_equal(door(tmp_path), expected)
    assert survey(tmp_path).n_models == DOORS[door]
    nothing_is_trained()
    assert_equal(door(tmp_path), expected)


@pytest.mark.parametrize(
    "door", [through_config, one_after_the_other, alone, in_steps], ids=lambda door: door.__name__
)
def test_the_environment_names_a_journal(tmp_path, monkeypatch, nothing_is_trained, door):
    expected = door(None)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert_equal(door(None), expected)
    assert survey(tmp_path).n_models == DOORS[door]
    nothing_is_trained()
    assert_equal(door(None), expected)


def test_the_environment_reaches_code_that_knows_of_nothing(
    tmp_path, monkeypatch, nothing_is_trained
):
    expected = searched()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert_equal(searched(), expected)
    assert survey(tmp_path).n_models == 5
    nothing_is_trained()
    assert_equal(searched(), expected)


def test_a_journal_in_a_call_comes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other"))
    through_config(tmp_path / "mine")
    alone(tmp_path / "mine")
    through_fit_many(tmp_path / "mine")
    # The model that is trained alone is one of the three.
    assert survey(tmp_path / "mine").n_models == 8
    assert not (tmp_path / "other").exists()


def test_all_doors_lead_to_the_same_models(tmp_path, nothing_is_trained):
    expected = through_config(tmp_path)
    nothing_is_trained()
    assert_equal(one_after_the_other(tmp_path), expected)
    with config(tmp_path):
        best = clone(grid().estimator).set_params(alpha=grid_best(tmp_path)).fit(DIGITS, LABELS)
    assert_equal(weights(best), expected[:-1])


def grid_best(folder):
    with config(folder):
        return grid().fit(DIGITS, LABELS).best_params_["alpha"]


def test_a_second_search_in_one_context_trains_what_is_new(tmp_path):
    with config(tmp_path):
        searched()
        searched(GridSearchCV(grid().estimator, {"alpha": [1e-3, 1e-2, 1e-1]}, cv=2))
    # A column of two folds, and a refit where the best alpha is new.
    assert survey(tmp_path).n_models in (7, 8)


def test_a_grid_that_differs_by_a_bit_is_another(tmp_path):
    through_config(tmp_path)
    with config(tmp_path):
        searched(GridSearchCV(grid().estimator, {"alpha": np.nextafter([1e-3, 1e-1], 1)}, cv=2))
    assert survey(tmp_path).n_models == 10


def test_worker_processes_write_and_find(tmp_path):
    wait(shared_processes(2, start=True)._first_calls)

    def search(folder):
        with config(folder, n_processes=2):
            return searched(GridSearchCV(model(), {"alpha": np.logspace(-4, 0, 20)}, cv=2))

    expected = search(None)
    assert_equal(search(tmp_path), expected)
    first = survey(tmp_path)
    assert first.n_models == 41
    # This process's file, and at least one of another's.
    assert first.n_files > 1
    assert_equal(search(tmp_path), expected)
    again = survey(tmp_path)
    assert (again.n_models, again.n_files, again.n_bytes) == (41, first.n_files, first.n_bytes)


def test_what_a_cluster_trains_is_kept_here(tmp_path, nothing_is_trained):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def search(folder):
            with config(folder, client=client):
                return searched()

        expected = search(None)
        assert_equal(search(tmp_path), expected)
        assert survey(tmp_path).n_models == 5
        nothing_is_trained()
        assert_equal(search(tmp_path), expected)


@pytest.mark.skipif("lion" not in available_optimizers(), reason="the plugin is not installed")
def test_models_of_a_plugin_are_found_again(tmp_path, nothing_is_trained):
    def search(folder):
        with config(folder):
            return searched(GridSearchCV(model(optimizer="lion"), ALPHAS, cv=2))

    expected = search(None)
    assert_equal(search(tmp_path), expected)
    nothing_is_trained()
    assert_equal(search(tmp_path), expected)


def test_models_without_a_seed_are_told_once_at_the_users_line(tmp_path):
    search = GridSearchCV(model(random_state=None), ALPHAS, cv=2)
    with config(tmp_path), pytest.warns(JournalWarning, match="random_state=0 say") as seen:
        search.fit(DIGITS, LABELS)
    (warning,) = [each for each in seen if each.category is JournalWarning]
    assert warning.filename == __file__
    assert warning.lineno == _line_of("        search.fit(DIGITS, LABELS)")
    assert survey(tmp_path).n_models == 0


def _line_of(code):
    with open(__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    return lines.index(code) + 1


def test_a_file_is_an_error_before_anything_runs(tmp_path, monkeypatch, nothing_is_trained):
    file = tmp_path / "file"
    file.touch()
    nothing_is_trained()
    what = "is, or lies in, a file: a journal is a folder. Pass the path of one"
    with pytest.raises(ValueError, match=what):
        config(file)
    with pytest.raises(ValueError, match=what):
        fit_many([model()], DIGITS, LABELS, journal=file)
    monkeypatch.setenv(VARIABLE, str(file))
    for door in (through_config, one_after_the_other, alone):
        with pytest.raises(ValueError, match=f"{VARIABLE}: .*{what}"):
            door(None)


def test_a_misspelt_option_is_an_error_that_names_the_journal(tmp_path):
    with pytest.raises(TypeError, match=r"no option 'jurnal'.*journal"):
        parallel_config(backend="skopt_dl", jurnal=tmp_path)


def test_nothing_is_written_without_a_journal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    through_config(None)
    joblib.Parallel()(joblib.delayed(alone)(None) for _ in range(2))
    assert not list(tmp_path.iterdir())


def test_the_rest_of_a_stack_that_fails_once_is_trained_alone(tmp_path, monkeypatch):
    """Memory may be short for a moment, for the one model that the journal has not."""

    def models(alphas):
        return [model(alpha=alpha) for alpha in alphas]

    fit_many(models([1e-3, 1e-2]), DIGITS, LABELS, journal=tmp_path)
    actual, failures = training.minimise, []

    def minimise(*args, **kwargs):
        if failures:
            return actual(*args, **kwargs)
        failures.append(MemoryError())
        raise failures[0]

    monkeypatch.setattr(training, "minimise", minimise)
    *_, found = fit_many(models([1e-3, 1e-2, 1e-1]), DIGITS, LABELS, journal=tmp_path)
    assert failures
    assert_equal(weights(found), weights(model(alpha=1e-1).fit(DIGITS, LABELS)))
