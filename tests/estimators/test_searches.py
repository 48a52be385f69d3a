"""At home in pipelines, clones, searches and other processes."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier
from skopt_dl.optimizers import Adam, Optimizer
from skopt_dl.schedules import Cosine

# Candidates are trained for a few epochs only.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

X, Y = load_iris(return_X_y=True)
PIPELINE = make_pipeline(StandardScaler(), MLPClassifier(8, max_iter=15, random_state=0))


class SignDescent(Optimizer):
    def __init__(self, learning_rate=0.01):
        self.learning_rate = learning_rate

    def update(self, grad, state, params, step):
        return -step.learning_rate * step.xp.sign(grad)


GRID = [
    {
        "mlpclassifier__optimizer": ["adam", "sgd"],
        "mlpclassifier__optimizer__learning_rate": np.logspace(-3, -1, 3),
    },
    {
        "mlpclassifier__optimizer": [Adam(), SignDescent()],
        "mlpclassifier__optimizer__learning_rate": [0.01, Cosine(0.05)],
    },
    {"mlpclassifier__optimizer": ["lbfgs"], "mlpclassifier__optimizer__memory": [3]},
]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_over_names_objects_and_learning_rates(n_jobs):
    search = GridSearchCV(PIPELINE, GRID, cv=3, n_jobs=n_jobs, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 11
    assert search.best_score_ > 0.9
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores[:3])) > 1, "the learning rate had no effect"


def test_parallel_search_scores_like_the_serial_one():
    serial, parallel = (
        GridSearchCV(PIPELINE, GRID, cv=3, n_jobs=n_jobs, refit=False).fit(X, Y)
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(
        serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"]
    )


def test_search_does_not_change_the_estimator_it_was_given():
    before = repr(PIPELINE)
    GridSearchCV(PIPELINE, GRID[:1], cv=2).fit(X, Y)
    assert repr(PIPELINE) == before


def test_randomized_search_samples_nested_parameters():
    search = RandomizedSearchCV(
        PIPELINE,
        {"mlpclassifier__optimizer__learning_rate": np.logspace(-3, -1, 50)},
        n_iter=3,
        cv=2,
        random_state=0,
    )
    search.fit(X, Y)
    assert isinstance(search.best_estimator_[-1].optimizer, Adam)


def test_cross_validation_in_other_processes_takes_an_optimizer_written_here():
    model = MLPClassifier(8, optimizer=SignDescent(0.01), max_iter=15, random_state=0)
    scores = cross_val_score(make_pipeline(StandardScaler(), model), X, Y, cv=3, n_jobs=2)
    assert scores.min() > 0.7
