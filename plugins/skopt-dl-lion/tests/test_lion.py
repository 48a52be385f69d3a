"""Lion: its rules, its values, and its name at work in skopt_dl."""

import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skopt_dl_lion.optimizer import Lion

from skopt_dl import MLPClassifier, available_optimizers, make_optimizer
from skopt_dl.objectives import GivenGradients
from skopt_dl.schedules import ExponentialDecay
from skopt_dl.testing import check_optimizer
from skopt_dl.training import minimise

HERE = Path(__file__).parent
CASES = json.loads((HERE / "references.json").read_text())["cases"]
ARRAYS = dict(np.load(HERE / "references.npz"))
X, y = load_iris(return_X_y=True)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def path_of(optimizer):
    """Parameters after each step."""
    path = []
    minimise(
        GivenGradients(ARRAYS["gradients"]),
        optimizer,
        ARRAYS["initial_params"][None].copy(),
        max_epochs=len(ARRAYS["gradients"]),
        validate=lambda params, models: path.append(params[0].copy()) or {},
    )
    return np.array(path)


@pytest.mark.parametrize("optimizer", [Lion(), Lion(1e-3, 0.95, 0.98, weight_decay=0.1)], ids=str)
def test_lion_keeps_the_rules_for_optimizers(optimizer):
    check_optimizer(optimizer)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_parameters_follow_the_reference(case):
    optimizer = Lion(**case["params"])
    if case["scheduled"]:
        decay = float(ARRAYS["learning_rate_factors"][1])
        optimizer.set_params(learning_rate=ExponentialDecay(optimizer.learning_rate, decay))
    reference = ARRAYS[case["name"]]
    # Relative to each coordinate's largest value: an absolute tolerance would hide small ones.
    scale = np.abs(reference).max(axis=0)
    assert (np.abs(path_of(optimizer) - reference) <= 1e-12 * scale).all()


def test_name_is_available():
    assert "lion" in available_optimizers()
    assert type(make_optimizer("skopt-dl-lion/lion")) is Lion


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classifier_learns_with_the_name(dtype):
    mlp = MLPClassifier(20, optimizer="lion", dtype=dtype, batch_size=16, random_state=0)
    mlp.set_params(optimizer__learning_rate=0.003, max_iter=50)
    model = make_pipeline(StandardScaler(), mlp).fit(X, y)
    assert model.score(X, y) > 0.9
    assert mlp.optimizer_.get_params() == Lion(0.003).get_params()
    assert mlp.coefs_[0].dtype == dtype


def test_grid_search_in_worker_processes_varies_the_hyperparameters(monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    model = MLPClassifier(5, optimizer="lion", batch_size=8, max_iter=9, random_state=0)
    grid = {"optimizer__learning_rate": [1e-4, 1e-2], "optimizer__beta_1": [0.8, 0.95]}
    results = [GridSearchCV(model, grid, cv=2, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2)]
    scores = [search.cv_results_["mean_test_score"] for search in results]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert len(set(scores[0])) > 1


def test_fitted_model_survives_pickle_and_clone():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPClassifier(5, optimizer=Lion(1e-3), max_iter=3, random_state=0).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert type(loaded.optimizer_) is Lion
    assert clone(loaded).optimizer.get_params() == Lion(1e-3).get_params()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate of Lion must be a float in"),
        ({"beta_1": 1.0}, r"beta_1 of Lion must be a float in \[0, 1\); got 1.0"),
        ({"weight_decay": -0.1}, "weight_decay of Lion must be"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=Lion(**params)).fit(X, y)


def test_name_of_the_authors_is_answered_with_ours():
    with pytest.raises(TypeError, match="Here it is two parameters, beta_1 and beta_2"):
        Lion(betas=(0.9, 0.99))


def test_hook_module_is_light():
    code = "import skopt_dl_lion, sys; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"skopt_dl.optimizers", "skopt_dl.estimators", "skopt_dl_lion.optimizer"}
    assert not heavy & set(modules)
