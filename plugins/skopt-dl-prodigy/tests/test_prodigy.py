"""Prodigy: its rules, its authors' values, and its name at work in skopt_dl."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_prodigy.optimizer import Prodigy

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.objectives import GivenGradients, Quadratic
from skopt_dl.testing import check_optimizer
from skopt_dl.training import minimise

REFERENCES = json.loads((Path(__file__).parent / "prodigy_references.json").read_text())
START = np.array(REFERENCES["start"])
QUADRATIC = Quadratic(np.array(REFERENCES["curvatures"]))
X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def run_of(optimizer, objective=QUADRATIC, n_steps=50):
    """Parameters after each step, and how the training ended."""
    path = []
    (run,) = minimise(
        objective,
        optimizer,
        START[None].copy(),
        max_epochs=n_steps,
        validate=lambda params, models: path.append(params[0].copy()) or {},
    )
    return np.array(path), run


def test_prodigy_keeps_the_rules_for_optimizers_and_is_traced():
    optimizer = Prodigy(bias_correction=True, beta_3=0.99, weight_decay=0.01)
    assert check_optimizer(optimizer) == "traced"


@pytest.mark.parametrize("case", REFERENCES["cases"], ids=lambda case: case["name"])
def test_parameters_follow_the_authors_code(case):
    path = run_of(Prodigy(**case["params"]))[0][np.array(REFERENCES["steps"]) - 1]
    # What has been moved: at first that is a millionth of the parameters.
    moved = np.array(case["path"]) - START
    np.testing.assert_allclose(path - START, moved, rtol=1e-10, atol=1e-14)


def test_estimate_never_falls_and_comes_near_the_distance_from_the_optimum():
    distances = [
        run_of(Prodigy(bias_correction=True), n_steps=n)[1].state["slots"]["distance"].item()
        for n in (5, 20, 80)
    ]
    assert distances == sorted(distances)
    assert 0.01 < distances[-1] / np.abs(START).max() < 2


def test_gradients_of_zero_move_nothing():
    path, run = run_of(Prodigy(), GivenGradients(np.zeros((4, len(START)))), 4)
    np.testing.assert_array_equal(path, np.broadcast_to(START, path.shape))
    assert run.state["slots"]["distance"] == 1e-6


def test_classifier_learns_without_a_learning_rate_by_name():
    assert type(make_optimizer("skopt-dl-prodigy/prodigy")) is Prodigy
    model = MLPClassifier(16, optimizer="prodigy", batch_size=16, max_iter=25, random_state=0)
    search = GridSearchCV(model, {"optimizer__growth": [0.5, 1.0]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.85


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"initial_distance": 0.0}, "initial_distance of Prodigy must be a float in"),
        ({"beta_3": 1.0}, r"beta_3 of Prodigy must be a float in \[0, 1\), or None; got 1.0"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=Prodigy(**params)).fit(X, y)
