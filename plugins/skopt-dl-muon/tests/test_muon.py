"""Muon: its rules, its author's values, and its name at work in skopt_dl."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_muon.optimizer import Muon

from skopt_dl import MLPClassifier, available_optimizers, make_optimizer
from skopt_dl.testing import check_optimizer, golden_traces

TRACES = golden_traces(Path(__file__).parent / "muon_references.json")
LAYOUT = TRACES[0].layout
X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_muon_keeps_the_rules_for_optimizers_and_is_traced():
    assert check_optimizer(Muon(matrices="all", weight_decay=0.1)) == "traced"


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_parameters_follow_the_authors_code(trace):
    trace.check(Muon(**trace.params), tolerance=1e-10)


def test_steps_without_decay_have_singular_values_near_the_learning_rate():
    path = TRACES[0].follow(Muon(0.1, n_iterations=12))
    wide = LAYOUT.tensors(path[-1] - path[-2])[2].array[0]
    # The momentum's smallest singular values need more iterations than 5.
    values = np.linalg.svd(wide, compute_uv=False) / (0.1 * (5 / 3) ** 0.5)
    assert ((values > 0.6) & (values < 1.25)).all()


@pytest.mark.parametrize("matrices", ["hidden", "all"])
def test_rest_follows_adamw(matrices):
    optimizer = Muon(matrices=matrices)
    slots = optimizer.slot_shapes(LAYOUT)
    n_rest = {"hidden": 12 + 10 + 3, "all": 3}[matrices]
    assert slots == {"momentum": (52,), "rest.mean": (n_rest,), "rest.squares": (n_rest,)}


def test_classifier_searches_over_its_hyperparameters_by_name():
    assert "muon" in available_optimizers()
    assert type(make_optimizer("skopt-dl-muon/muon")) is Muon
    model = MLPClassifier((16, 16), optimizer="muon", batch_size=16, max_iter=20, random_state=0)
    grid = {"optimizer__matrices": ["hidden", "all"], "optimizer__learning_rate": [0.005, 0.02]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.8
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"matrices": "every"}, "matrices of Muon must be 'hidden' or 'all'; got 'every'"),
        ({"momentum": 1.0}, r"momentum of Muon must be a float in \[0, 1\); got 1.0"),
        ({"n_iterations": 0}, "n_iterations of Muon must be an int in"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=Muon(**params)).fit(X, y)
