"""AdaBelief and RAdam: their rules, values of known code, and their names at work."""

from pathlib import Path

import numpy as np
import pytest
import skopt_dl_adabelief.optimizers as package
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_adabelief.optimizers import AdaBelief, RAdam, rectification

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.optimizers import Adam
from skopt_dl.testing import golden_traces, parametrize_with_optimizer_checks

TRACES = golden_traces(Path(__file__).parent / "adabelief_references.json")
X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_optimizer_checks([AdaBelief(), RAdam(beta_2=0.98, weight_decay=0.1)])
def test_rules_for_optimizers(optimizer, check):
    said = check(optimizer)
    assert check.name != "check_program" or said.startswith("traced")


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_parameters_follow_known_code(trace):
    trace.check(getattr(package, trace.method)(**trace.params))


@pytest.mark.parametrize("cls", [AdaBelief, RAdam])
def test_models_are_rectified_from_steps_of_their_own_with_the_bits_of_one(cls):
    trace = TRACES[0]
    optimizers = [cls(0.01, beta_2=beta, weight_decay=0.1) for beta in (0.999, 0.9, 0.6, 0.0)]
    together = trace.follow(*optimizers)
    for k, optimizer in enumerate(optimizers):
        np.testing.assert_array_equal(together[:, k], trace.follow(optimizer)[:, 0])


def test_rectification_begins_with_the_sixth_step_and_ends_with_all_of_it():
    assert [rectification(0.999, number) for number in range(1, 6)] == [0.0] * 5
    shares = [rectification(0.999, number) for number in (6, 100, 1000, 30000)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.05
    assert shares[-1] == pytest.approx(1, abs=1e-6)
    # The variance of a plain average of six values or fewer is infinite.
    assert rectification(0.6, 10**6) == 0.0


def test_rectified_steps_become_those_of_adam():
    steady = TRACES[0]._replace(gradients=np.ones((300, 12)))
    rectified, plain = (steady.follow(each) for each in (RAdam(beta_2=0.9), Adam(beta_2=0.9)))
    steps = [np.diff(path[-2:], axis=0) for path in (rectified, plain)]
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-6)


@pytest.mark.parametrize(("name", "cls"), [("adabelief", AdaBelief), ("radam", RAdam)])
def test_classifier_searches_over_learning_rates_by_name(name, cls):
    assert type(make_optimizer(f"skopt-dl-adabelief/{name}")) is cls
    model = MLPClassifier(16, optimizer=name, batch_size=16, max_iter=20, random_state=0)
    search = GridSearchCV(model, {"optimizer__learning_rate": [0.003, 0.03]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (AdaBelief(beta_2=1.0), r"beta_2 of AdaBelief must be a float in \[0, 1\); got 1.0"),
        (AdaBelief(rectify="yes"), "rectify of AdaBelief must be True or False; got 'yes'"),
        (RAdam(epsilon=-1e-8), "epsilon of RAdam must be a float in"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(optimizer, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=optimizer).fit(X, y)


@pytest.mark.parametrize("cls", [AdaBelief, RAdam])
def test_name_of_the_authors_is_answered_with_ours(cls):
    with pytest.raises(TypeError, match="Here it is two parameters, beta_1 and beta_2"):
        cls(betas=(0.9, 0.99))
