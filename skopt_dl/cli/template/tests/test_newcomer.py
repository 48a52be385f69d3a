"""Newcomer: skopt_dl's rules for optimizers, its values, and its name at work."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_newcomer.optimizer import Newcomer

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.testing import parametrize_with_optimizer_checks

X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def reference(optimizer, start, gradients, layout):
    """The method as the paper has it, in float64, written apart from the class."""
    params, velocity, path = start, np.zeros_like(start), []
    for gradient in gradients:
        velocity = optimizer.momentum * velocity + gradient
        step = velocity + optimizer.weight_decay * params
        params = params - optimizer.learning_rate * step
        path.append(params)
    return np.array(path)


@parametrize_with_optimizer_checks(
    [Newcomer(), Newcomer(0.03, momentum=0.8, weight_decay=0.1)], reference=reference
)
def test_newcomer_keeps_the_rules_for_optimizers_and_has_the_values_of_the_paper(optimizer, check):
    check(optimizer)


def test_name_works_in_a_grid_search():
    assert type(make_optimizer("skopt-dl-newcomer/newcomer")) is Newcomer
    model = MLPClassifier(8, optimizer="newcomer", max_iter=20, random_state=0)
    grid = {"optimizer__learning_rate": [0.01, 0.1], "optimizer__momentum": [0.0, 0.9]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate of Newcomer must be a float in"),
        ({"momentum": 1.0}, r"momentum of Newcomer must be a float in \[0, 1\); got 1.0"),
        ({"weight_decay": -0.1}, "weight_decay of Newcomer must be"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=Newcomer(**params)).fit(X, y)
