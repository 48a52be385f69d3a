"""Models for raw tables."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_classification
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_predict
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import Pipeline

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.preprocessing import SmoothRobustScaler


def distort(X, seed=0):
    """Skew columns, and scale them over six powers of ten."""
    rng = np.random.default_rng(seed)
    skewed = np.where(np.arange(X.shape[1]) % 2, np.exp(X), X)
    return skewed * 10.0 ** rng.uniform(-3, 3, X.shape[1])


def test_pipeline_scales_and_takes_parameters():
    model = MLPClassifier.tabular(max_iter=7, hidden_layer_sizes=(16,))
    assert isinstance(model, Pipeline)
    assert isinstance(model[0], SmoothRobustScaler)
    assert model[-1].max_iter == 7
    assert model[-1].hidden_layer_sizes == (16,)
    assert model[-1].input_scaling
    model.set_params(mlpclassifier__optimizer__learning_rate__max_learning_rate=0.1)
    assert clone(model)[-1].optimizer.learning_rate.max_learning_rate == 0.1


def test_missing_values_and_tiny_tables_are_no_obstacle():
    X, y = load_diabetes(return_X_y=True)
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    model = MLPRegressor.tabular(max_iter=60, random_state=0)
    assert r2_score(y, cross_val_predict(model, X, y, cv=3)) > 0.2
    tiny = MLPRegressor.tabular(max_iter=2, batch_size=8, random_state=0)
    # Early stopping needs two samples to validate on.
    assert tiny.fit(X[:11], y[:11]).predict(X[:3]).shape == (3,)


def test_nested_parameters_may_differ_too():
    model = MLPClassifier.tabular(optimizer__learning_rate__max_learning_rate=0.1)
    assert model[-1].optimizer.learning_rate.max_learning_rate == 0.1


def test_two_pipelines_share_nothing():
    first, second = MLPRegressor.tabular(), MLPRegressor.tabular()
    first.set_params(mlpregressor__optimizer__beta_2=0.5)
    assert second[-1].optimizer.beta_2 == 0.95


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_regressor_beats_the_mean_on_targets_far_from_zero_and_skewed_features(offset):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X = distort((X - X.mean(axis=0)) / X.std(axis=0))
    model = MLPRegressor.tabular(max_iter=30, random_state=0)
    ours = r2_score(y, cross_val_predict(model, X, 10 * y + offset, cv=3) / 10 - offset / 10)
    assert ours > 0.3


def test_classifier_sees_through_irrelevant_and_unscaled_columns():
    X, y = make_classification(
        600, 20, n_informative=4, n_redundant=0, class_sep=1.5, random_state=0, shuffle=False
    )
    model = MLPClassifier.tabular(max_iter=30, random_state=0)
    assert np.mean(cross_val_predict(model, distort(X), y, cv=3) == y) > 0.85


def test_scikit_learns_regressor_needs_more_than_the_default_on_such_a_table():
    # What the two tests above would show if the table were harmless.
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X = distort((X - X.mean(axis=0)) / X.std(axis=0))
    with pytest.warns(Warning, match="Maximum iterations|Stochastic Optimizer"):
        theirs = TheirRegressor(max_iter=30, random_state=0).fit(X, y)
    assert theirs.score(X, y) < 0
