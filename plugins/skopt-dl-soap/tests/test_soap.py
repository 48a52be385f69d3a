"""SOAP: its rules, its authors' values, and its name at work in skopt_dl."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_soap.optimizer import SOAP

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.objectives import GivenGradients
from skopt_dl.testing import check_optimizer, golden_traces
from skopt_dl.training import minimise

TRACES = golden_traces(Path(__file__).parent / "soap_references.json")
TRACE = TRACES[0]
X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_soap_keeps_the_rules_for_optimizers():
    said = check_optimizer(SOAP(frequency=4, max_side=4))
    assert said.startswith("not traced: it asks for the number of the step")


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_parameters_follow_the_authors_code(trace):
    trace.check(SOAP(**trace.params), tolerance=1e-10)


def test_first_gradient_makes_a_basis_and_no_step():
    path = TRACE.follow(SOAP())[:, 0]
    np.testing.assert_array_equal(path[0], TRACE.start)
    assert (path[1] != TRACE.start).all()


def test_bases_are_orthogonal_and_belong_to_the_sides_that_are_short_enough():
    objective, n_steps = GivenGradients(TRACE.gradients, TRACE.layout), len(TRACE.gradients)
    (run,) = minimise(objective, SOAP(max_side=3), TRACE.start[None].copy(), max_epochs=n_steps)
    # Of the tall and the wide matrix one side each, of the square one both.
    bases = run.state["slots"]["bases"].reshape(4, 3, 3)
    np.testing.assert_allclose(bases.mT @ bases, np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-12)


def test_classifier_searches_over_its_hyperparameters_by_name():
    assert type(make_optimizer("skopt-dl-soap/soap")) is SOAP
    model = MLPClassifier(8, optimizer="soap", batch_size=25, max_iter=15, random_state=0)
    grid = {"optimizer__frequency": [2, 10], "optimizer__learning_rate": [0.003, 0.03]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"frequency": 0}, "frequency of SOAP must be an int in"),
        ({"max_side": 2.5}, "max_side of SOAP must be an int in"),
        ({"beta_2": 1.0}, r"beta_2 of SOAP must be a float in \[0, 1\); got 1.0"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=SOAP(**params)).fit(X, y)
