"""Same seed, same bits: alone, in any stack, on any number of threads, in any process."""

import subprocess
import sys
import textwrap
from pathlib import Path

import joblib
import numpy as np
import pytest
import random_fits
from searched import DIGITS, LABELS, model
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skopt_dl import MLPClassifier, MLPRegressor, fit_many
from skopt_dl.estimators.preparing import prepare
from skopt_dl.jobs import stacks

# Random settings are not always wise ones.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

TESTS = Path(random_fits.__file__).parent


def assert_same_bits(alone, grouped):
    wrong = {k: random_fits.differences(alone[k], found) for k, (found, _) in grouped.items()}
    assert not {k: names for k, names in wrong.items() if names}


@pytest.mark.parametrize("n_threads", [(1, 2), (2, 1)], ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_random_fits_have_the_same_bits_in_random_stacks(seed, n_threads):
    jobs = random_fits.Family([seed, *n_threads]).jobs(10)
    with threadpool_limits(n_threads[0], user_api="blas"):
        alone = random_fits.alone(jobs)
    order = np.random.default_rng(seed).permutation(len(jobs)).tolist()
    with threadpool_limits(n_threads[1], user_api="blas"):
        assert_same_bits(alone, random_fits.grouped(jobs, order, 100))
        assert_same_bits(alone, random_fits.grouped(jobs, order[:7], 3))


@pytest.mark.parametrize("seed", range(3))
def test_trainings_that_go_on_have_the_same_bits_in_random_stacks(seed):
    jobs = random_fits.resumed(random_fits.Family([7, seed]).jobs(8))
    assert len(jobs) > 4
    assert_same_bits(random_fits.alone(jobs), random_fits.grouped(jobs, range(len(jobs)), 100))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_products_that_threads_share_have_the_same_bits(dtype):
    family = random_fits.Family(1, large=True)
    family.common |= {"dtype": dtype, "activation": "relu", "early_stopping": True}
    jobs = family.jobs(3)
    results = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, user_api="blas"):
            results.append(random_fits.alone(jobs))
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert not random_fits.differences(one, other)
    assert_same_bits(results[0], random_fits.grouped(jobs, range(3), 100))


def test_another_process_has_the_same_bits():
    seeds = [3, 4]
    program = f"""
        import sys, warnings
        sys.path.insert(0, {str(TESTS)!r})
        import random_fits
        for seed in {seeds}:
            for found in random_fits.alone(random_fits.Family(seed).jobs(6)):
                print(random_fits.digest(found))
    """
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    here = [
        random_fits.digest(found)
        for seed in seeds
        for found in random_fits.alone(random_fits.Family(seed).jobs(6))
    ]
    assert answer.stdout.split() == here


def test_folds_of_different_sizes_are_different_stacks_with_the_bits_of_each_model_alone():
    sizes = [135, 136, 135, 134]
    jobs = [
        prepare(
            MLPClassifier(12, max_iter=4, batch_size=32, random_state=0), DIGITS[:n], LABELS[:n]
        )[1]
        for n in sizes
    ]
    found = stacks(range(4), jobs.__getitem__)
    assert sorted(map(len, found)) == [1, 1, 2]
    assert_same_bits(random_fits.alone(jobs), random_fits.grouped(jobs, range(4), 100))


# A neighbour that has what the first has not, in ways that sums or averages could tell of.
NEIGHBOURS = {
    "penalty": {"alpha": 0.1},
    "average": {"ema_decay": 0.9},
    "clipping": {"max_grad_norm": 0.1},
    "dropout": {"dropout": 0.3},
    "smoothing": {"label_smoothing": 0.2},
    "optimizer": {"optimizer": "nadam"},
    "rate": {"optimizer__learning_rate": 0.3},
    "momentum": {"optimizer__beta_1": 0.77},
    "patience": {"n_iter_no_change": 1, "tol": 1.0},
}


@pytest.mark.parametrize("batch_size", [1, 25, "full"])
@pytest.mark.parametrize("what", NEIGHBOURS)
def test_neighbours_that_have_more_do_not_change_a_bit(what, batch_size):
    # Eleven classes are more than NumPy adds up one by one, and 26 rows leave a batch of one.
    X, y = np.random.default_rng(0).normal(size=(26, 6)), np.arange(26) % 11
    plain = MLPClassifier(
        7, optimizer="adam", alpha=0.0, batch_size=batch_size, max_iter=6, random_state=0
    )
    jobs = [prepare(each, X, y)[1] for each in (plain, clone(plain).set_params(**NEIGHBOURS[what]))]
    found = random_fits.grouped(jobs, [0, 1], 100)
    assert_same_bits(random_fits.alone(jobs), found)
    # These two are no neighbours.
    assert found[0][1] == (1 if what in ("penalty", "average") else 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_models", [3, 12])
def test_losses_have_the_same_bits_where_a_block_has_fewer_batches(n_models, weighted):
    # The more orders there are, the fewer batches of each are gathered at a time.
    X, y = np.tile(DIGITS, (3, 1))[:500], np.tile(LABELS, 3)[:500]
    weight = np.random.default_rng(0).uniform(0.5, 2, 500) if weighted else None

    def models():
        return [MLPClassifier(20, max_iter=2, random_state=seed) for seed in range(n_models)]

    stacked = fit_many(models(), X, y, sample_weight=weight)
    for alone, found in zip(models(), stacked, strict=True):
        assert alone.fit(X, y, weight).loss_curve_ == found.loss_curve_
        np.testing.assert_array_equal(alone.coefs_[0], found.coefs_[0])


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_a_stacked_search_ends_with_the_bits_of_a_plain_one(dtype):
    grid = {
        "mlpclassifier__alpha": [0.0, 1e-3],
        "mlpclassifier__optimizer": ["adam", "momentum"],
        "mlpclassifier__dropout": [0.0, 0.2],
    }
    searches = []
    for config, n_threads in (({"n_jobs": 1}, 2), ({"backend": "skopt_dl", "n_jobs": 64}, 1)):
        pipeline = make_pipeline(StandardScaler(), model(dtype=dtype, early_stopping=True))
        search = GridSearchCV(pipeline, grid, cv=3)
        with threadpool_limits(n_threads, user_api="blas"), joblib.parallel_config(**config):
            searches.append(search.fit(DIGITS, LABELS))
    plain, stacked = searches
    for name, values in plain.cv_results_.items():
        if "time" not in name:
            assert np.array_equal(values, stacked.cv_results_[name]), name
    with threadpool_limits(2, user_api="blas"):
        probabilities = plain.predict_proba(DIGITS)
    assert np.array_equal(probabilities, stacked.predict_proba(DIGITS))
    one, other = (search.best_estimator_[-1] for search in searches)
    for name in one.history_.keys() - {"seconds"}:
        assert np.array_equal(one.history_[name], other.history_[name]), name
    assert all(map(np.array_equal, one.coefs_, other.coefs_))


def test_predictions_have_the_same_bits_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(900, 200)), rng.normal(size=900)
    regressor = MLPRegressor((400, 300), max_iter=1, random_state=0)
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            regressor.fit(X, y).partial_fit(X, y)
            found.append([regressor.predict(X), regressor.transform(X), *regressor.coefs_])
    assert all(map(np.array_equal, *found))
