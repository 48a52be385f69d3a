"""A job is prepared from an estimator and data, and the estimator does not notice."""

import pickle

import numpy as np
import pytest

from skopt_dl import MLPClassifier, MLPRegressor, NeuralNetClassifier
from skopt_dl.estimators.preparing import prepare
from skopt_dl.layers import Dense

X = np.random.default_rng(0).normal(size=(40, 3))
LABELS = np.arange(40) % 3
SMALL = {"max_iter": 2, "random_state": 0}

MODELS = {
    "classifier": (MLPClassifier(4, early_stopping=True, batch_norm=True, **SMALL), LABELS),
    "regressor": (MLPRegressor(4, standardize_target=True, warm_start=True, **SMALL), X[:, 0]),
    "network": (NeuralNetClassifier([Dense(4), "relu"], input_shape=(3,), **SMALL), LABELS),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("is_fitted", [False, True], ids=["new", "fitted"])
@pytest.mark.parametrize("name", MODELS)
def test_preparing_changes_nothing_in_the_estimator(name, is_fitted):
    model, y = MODELS[name]
    if is_fitted:
        model = pickle.loads(pickle.dumps(model)).fit(X, y)
    attributes, content = dict(vars(model)), pickle.dumps(model)
    prepared, job = prepare(model, X[:30], y[:30])
    assert type(prepared) is type(model)
    assert job.rng is prepared._rng
    assert prepared.n_features_in_ == 3
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        prepare(model, X, y, held_out=(X, None))
    assert vars(model).keys() == attributes.keys()
    assert all(vars(model)[name] is value for name, value in attributes.items())
    assert pickle.dumps(model) == content


def test_incremental_job_goes_on_from_where_the_estimator_is():
    model = MLPRegressor(4, **SMALL).partial_fit(X, X[:, 0])
    _, job = prepare(model, X, X[:, 0], incremental=True)
    assert job.config.max_epochs == 1
    assert job.config.horizon == 2
    assert job.resume is model._resume
    weights = [*model.coefs_, *model.intercepts_]
    np.testing.assert_array_equal(job.params, np.concatenate([each.ravel() for each in weights]))
