"""NAdamW: its rules, values of known code, and its name at work in skopt_dl."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_nadamw.optimizer import NAdamW

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.lab import rule
from skopt_dl.optimizers import AdamW, NAdam
from skopt_dl.testing import golden_traces, parametrize_with_optimizer_checks

TRACES = golden_traces(Path(__file__).parent / "nadamw_references.json")
FORMS = ("algoperf", "optax", "torch")
X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_optimizer_checks([NAdamW()])
def test_rules_for_optimizers(optimizer, check):
    said = check(optimizer)
    assert check.name != "check_program" or said.startswith("traced")


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_parameters_follow_known_code(trace):
    trace.check(NAdamW(**trace.params))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (NAdamW(form="torch", weight_decay=0.0), NAdam(0.001)),
        (NAdamW(form="algoperf", beta_1=0.0), AdamW(beta_1=0.0)),
        (NAdamW(form="optax", beta_1=0.0), AdamW(beta_1=0.0)),
    ],
    ids=["torch", "algoperf", "optax"],
)
def test_special_cases_are_other_methods(ours, theirs):
    first, second = (TRACES[0].follow(each) for each in (ours, theirs))
    np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-14)


def test_forms_differ_from_the_first_step_on():
    together = [TRACES[0].follow(NAdamW(form=form))[:, 0] for form in FORMS]
    for k in range(3):
        assert (together[k] != together[k - 1]).all()


@pytest.mark.parametrize("form", FORMS)
def test_models_of_a_stack_have_the_bits_of_one(form):
    optimizers = [NAdamW(0.01, beta, weight_decay=beta, form=form) for beta in (0.9, 0.97, 0.0)]
    together = TRACES[0].follow(*optimizers)
    for k, optimizer in enumerate(optimizers):
        np.testing.assert_array_equal(together[:, k], TRACES[0].follow(optimizer)[:, 0])


@pytest.mark.parametrize("form", FORMS)
def test_formula_is_what_update_computes(form):
    said = rule(NAdamW(form=form))
    assert ("mu_next" in str(said)) is (form == "torch")
    assert "weight_decay" in str(said)


def test_classifier_searches_over_its_hyperparameters_by_name():
    assert type(make_optimizer("skopt-dl-nadamw/nadamw")) is NAdamW
    model = MLPClassifier(16, optimizer="nadamw", batch_size=16, max_iter=20, random_state=0)
    grid = {"optimizer__learning_rate": [0.001, 0.01], "optimizer__form": ["algoperf", "torch"]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"beta_1": 1.0}, r"beta_1 of NAdamW must be a float in \[0, 1\); got 1.0"),
        ({"form": "keras"}, "form of NAdamW must be 'algoperf' or 'optax' or 'torch'; got 'keras'"),
        ({"form": ["torch"]}, "form of NAdamW must be"),
        ({"weight_decay": -1.0}, "weight_decay of NAdamW must be"),
        ({"momentum_decay": 0.1}, "momentum_decay of NAdamW is for the form 'torch' only; got 0.1"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=NAdamW(**params)).fit(X, y)


def test_name_of_algoperf_is_answered_with_ours():
    with pytest.raises(TypeError, match="Here it is beta_1"):
        NAdamW(one_minus_beta1=0.1)
