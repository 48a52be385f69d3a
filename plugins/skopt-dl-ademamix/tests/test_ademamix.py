"""AdEMAMix: its rules, its authors' values, and its name at work in skopt_dl."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from skopt_dl_ademamix.optimizer import AdEMAMix, decay_between

from skopt_dl import MLPClassifier, make_optimizer
from skopt_dl.optimizers import AdamW
from skopt_dl.testing import check_optimizer, golden_traces

TRACES = golden_traces(Path(__file__).parent / "ademamix_references.json")
X, y = load_iris(return_X_y=True)
X = scale(X)

# Fits are short here; they do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_ademamix_keeps_the_rules_for_optimizers_and_is_traced():
    optimizer = AdEMAMix(0.01, weight_decay=0.01, mixing_steps=20, beta_3_steps=20)
    assert check_optimizer(optimizer) == "traced"


@pytest.mark.parametrize("trace", TRACES, ids=str)
def test_parameters_follow_the_authors_code(trace):
    trace.check(AdEMAMix(**trace.params))


def test_without_the_slow_average_it_is_adamw():
    ours, theirs = (
        TRACES[0]
        .follow(AdEMAMix(0.01, mixing=0.0, weight_decay=0.1), AdamW(0.01, weight_decay=0.1))
        .swapaxes(0, 1)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_models_with_decays_of_their_own_warm_up_with_the_bits_of_one():
    optimizers = [AdEMAMix(0.01, beta_3=beta, beta_3_steps=30) for beta in (0.99, 0.9997, 0.0)]
    together = TRACES[0].follow(*optimizers)
    for k, optimizer in enumerate(optimizers):
        np.testing.assert_array_equal(together[:, k], TRACES[0].follow(optimizer)[:, 0])


def test_half_life_grows_in_equal_parts():
    lives = [np.log(0.5) / np.log(decay_between(0.5, 0.99, share)) for share in (0, 0.5, 1)]
    np.testing.assert_allclose(lives[1], (lives[0] + lives[2]) / 2, rtol=1e-12)


def test_classifier_searches_over_its_hyperparameters_by_name():
    assert type(make_optimizer("skopt-dl-ademamix/ademamix")) is AdEMAMix
    model = MLPClassifier(16, optimizer="ademamix", batch_size=16, max_iter=20, random_state=0)
    grid = {"optimizer__mixing": [0.0, 5.0], "optimizer__learning_rate": [0.001, 0.01]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.85
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"beta_3": 1.0}, r"beta_3 of AdEMAMix must be a float in \[0, 1\); got 1.0"),
        ({"mixing": -1.0}, "mixing of AdEMAMix must be a float in"),
        ({"mixing_steps": 0}, "mixing_steps of AdEMAMix must be an int in .*, or None"),
    ],
)
def test_bad_hyperparameter_is_refused_by_name(params, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(optimizer=AdEMAMix(**params)).fit(X, y)


def test_name_of_the_authors_is_answered_with_ours():
    with pytest.raises(TypeError, match="Here it is mixing"):
        AdEMAMix(alpha=5.0)
