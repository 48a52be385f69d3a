"""Metadata routing: sample weights and validation data arrive where they were asked for."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import accuracy_score, get_scorer, log_loss, mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.optimizers import Adam

# Trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

RNG = np.random.default_rng(0)
# Far from standardised, so that data that missed the scaler shows.
X = RNG.normal(size=(160, 3)) * [10, 100, 1000] + 500
Y = (StandardScaler().fit_transform(X) @ [1.0, 1.0, -1.0] + RNG.normal(size=160) > 0).astype(int)
WEIGHT = RNG.exponential(size=160)
TRAIN, HELD_OUT = slice(0, 110), slice(110, 160)
X_VAL, Y_VAL = X[HELD_OUT], Y[HELD_OUT]
X_TRAIN, Y_TRAIN = X[TRAIN], Y[TRAIN]


@pytest.fixture(autouse=True)
def _routing():
    with config_context(enable_metadata_routing=True):
        yield


def classifier(**params):
    given = {"hidden_layer_sizes": 4, "optimizer": Adam(0.02), "max_iter": 20, "random_state": 0}
    return MLPClassifier(**{**given, **params})


def weighted(**params):
    return classifier(**params).set_fit_request(sample_weight=True)


def scaled(x, fitted_to=X):
    return StandardScaler().fit(fitted_to).transform(x)


def assert_same_model(one, other):
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    for mine, its in pairs:
        np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-12)


def differ(one, other):
    return not np.allclose(one.coefs_[0], other.coefs_[0])


def test_weights_reach_the_fit_through_search_and_pipeline():
    model = make_pipeline(StandardScaler(), weighted())
    model[0].set_fit_request(sample_weight=False)
    grid = {"mlpclassifier__alpha": [1e-4, 1e-3]}
    scoring = get_scorer("accuracy").set_score_request(sample_weight=False)
    search = GridSearchCV(model, grid, cv=3, scoring=scoring).fit(X, Y, sample_weight=WEIGHT)
    alpha = search.best_params_["mlpclassifier__alpha"]
    alone = classifier(alpha=alpha).fit(scaled(X), Y, sample_weight=WEIGHT)
    assert_same_model(search.best_estimator_[-1], alone)
    assert differ(alone, classifier(alpha=alpha).fit(scaled(X), Y))


@pytest.mark.parametrize(("fit", "score"), [(True, False), (False, True), (True, True)])
def test_weights_arrive_only_where_they_are_requested(fit, score):
    model = classifier().set_fit_request(sample_weight=fit).set_score_request(sample_weight=score)
    folds = KFold(3, shuffle=True, random_state=0)
    results = cross_validate(
        model, X, Y, cv=folds, params={"sample_weight": WEIGHT}, return_estimator=True
    )
    for k, (seen, unseen) in enumerate(folds.split(X)):
        alone = classifier().fit(X[seen], Y[seen], sample_weight=WEIGHT[seen] if fit else None)
        assert_same_model(results["estimator"][k], alone)
        to_score = WEIGHT[unseen] if score else None
        expected = accuracy_score(Y[unseen], alone.predict(X[unseen]), sample_weight=to_score)
        assert results["test_score"][k] == expected


def test_weights_that_nobody_spoke_about_are_an_error():
    search = GridSearchCV(classifier(), {"alpha": [1e-4]}, cv=2)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        search.fit(X, Y, sample_weight=WEIGHT)


def test_weights_have_an_alias_and_requests_survive_clones():
    model = clone(classifier().set_fit_request(sample_weight="trust"))
    pipeline = make_pipeline(StandardScaler(), model).fit(X, Y, trust=WEIGHT)
    assert_same_model(pipeline[-1], classifier().fit(scaled(X), Y, sample_weight=WEIGHT))


WRAPS = {
    "voting": lambda model: VotingClassifier([("only", model)]),
    "stacking": lambda model: StackingClassifier([("only", model)], cv=2),
    "several outputs": MultiOutputClassifier,
    "one against the rest": OneVsRestClassifier,
    "calibration": lambda model: CalibratedClassifierCV(model, cv=2, ensemble=False),
}


@pytest.mark.parametrize("name", WRAPS)
def test_meta_estimators_route_weights(name):
    y = Y[:, None] if name == "several outputs" else Y
    outer = WRAPS[name](weighted()).fit(X, y, sample_weight=WEIGHT)
    calibrated = name == "calibration"
    inner = outer.calibrated_classifiers_[0].estimator if calibrated else outer.estimators_[0]
    assert_same_model(inner, classifier().fit(X, Y, sample_weight=WEIGHT))


def test_partial_fit_takes_weights_through_a_meta_estimator():
    model = classifier().set_partial_fit_request(sample_weight=True)
    outer = MultiOutputClassifier(model)
    outer.partial_fit(X, Y[:, None], classes=[[0, 1]], sample_weight=WEIGHT)
    alone = classifier().partial_fit(X, Y, classes=[0, 1], sample_weight=WEIGHT)
    assert_same_model(outer.estimators_[0], alone)


def test_cross_validated_predictions_come_from_weighted_fits():
    folds = KFold(2)
    params = {"sample_weight": WEIGHT}
    found = cross_val_predict(weighted(), X, Y, cv=folds, params=params, method="predict_proba")
    for seen, unseen in folds.split(X):
        alone = classifier().fit(X[seen], Y[seen], sample_weight=WEIGHT[seen])
        np.testing.assert_allclose(found[unseen], alone.predict_proba(X[unseen]), rtol=1e-9)


# Validation data


def validated(model=None):
    """A pipeline that scales X_val and hands it to the model with y_val."""
    model = (model or classifier()).set_fit_request(X_val=True, y_val=True)
    steps = [("scale", StandardScaler()), ("mlp", model)]
    return Pipeline(steps, transform_input=["X_val"])


def test_validation_data_reaches_the_model_scaled_by_the_pipeline():
    pipeline = validated().fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    by_hand = classifier().fit(
        scaled(X_TRAIN, X_TRAIN), Y_TRAIN, X_val=scaled(X_VAL, X_TRAIN), y_val=Y_VAL
    )
    history = pipeline[-1].history_
    assert len(history["validation_loss"]) == pipeline[-1].n_iter_
    for name in ("loss", "validation_loss", "validation_score"):
        np.testing.assert_allclose(history[name], by_hand.history_[name], rtol=1e-9)
    # The loss of the model that was kept is one of them.
    final = log_loss(Y_VAL, pipeline.predict_proba(X_VAL))
    assert np.isclose(history["validation_loss"], final, rtol=1e-6).any()
    # Unscaled, the same data has quite another loss.
    unscaled = log_loss(Y_VAL, pipeline[-1].predict_proba(X_VAL))
    assert abs(unscaled - final) > 0.1


def test_validation_data_of_a_regressor_reaches_it_too():
    target = scaled(X) @ [1.0, 2.0, 3.0]
    model = MLPRegressor((), optimizer=Adam(0.05), max_iter=60, tol=0.0, random_state=0)
    pipeline = validated(model)
    pipeline.fit(X_TRAIN, target[TRAIN], X_val=X_VAL, y_val=target[HELD_OUT])
    final = mean_squared_error(target[HELD_OUT], pipeline.predict(X_VAL)) / 2
    assert np.isclose(pipeline[-1].history_["validation_loss"], final, rtol=1e-6).any()


def test_validation_data_does_not_change_what_is_trained_on():
    model = validated().fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)[-1]
    plain = classifier().fit(scaled(X_TRAIN, X_TRAIN), Y_TRAIN)
    n = min(model.n_iter_, plain.n_iter_)
    np.testing.assert_allclose(model.loss_curve_[:n], plain.loss_curve_[:n], rtol=1e-9)
    assert "validation_loss" not in plain.history_


def test_validation_data_reaches_every_fit_of_a_search_whole():
    search = GridSearchCV(
        validated(), {"mlp__optimizer__learning_rate": [1e-6, 0.05]}, cv=3, error_score="raise"
    )
    search.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    assert search.best_params_ == {"mlp__optimizer__learning_rate": 0.05}
    model = search.best_estimator_
    final = log_loss(Y_VAL, model.predict_proba(X_VAL))
    assert np.isclose(model[-1].history_["validation_loss"], final, rtol=1e-6).any()


def test_early_stopping_watches_the_validation_data_that_was_given():
    model = classifier(early_stopping=True, max_iter=300, n_iter_no_change=3, tol=0.01)
    pipeline = validated(model).fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    model = pipeline[-1]
    assert model.n_iter_ < 300
    assert model.best_validation_score_ == max(model.validation_scores_)
    np.testing.assert_allclose(pipeline.score(X_VAL, Y_VAL), model.best_validation_score_)
    # Nothing is held out of the training data.
    assert model.t_ == model.n_iter_ * len(X_TRAIN)


def test_validation_data_and_weights_go_together():
    model = classifier().set_fit_request(X_val=True, y_val=True, sample_weight=True)
    pipeline = Pipeline(
        [("scale", StandardScaler().set_fit_request(sample_weight=False)), ("mlp", model)],
        transform_input=["X_val"],
    ).fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL, sample_weight=WEIGHT[TRAIN])
    by_hand = classifier().fit(scaled(X_TRAIN, X_TRAIN), Y_TRAIN, sample_weight=WEIGHT[TRAIN])
    n = min(pipeline[-1].n_iter_, by_hand.n_iter_)
    np.testing.assert_allclose(pipeline[-1].loss_curve_[:n], by_hand.loss_curve_[:n], rtol=1e-9)
    assert "validation_loss" in pipeline[-1].history_


def test_validation_data_without_a_request_is_an_error():
    pipeline = make_pipeline(StandardScaler(), classifier(), transform_input=["X_val"])
    with pytest.raises(UnsetMetadataPassedError, match="X_val"):
        pipeline.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)


@pytest.mark.parametrize("given", [{"X_val": X_VAL}, {"y_val": Y_VAL}])
def test_half_of_the_validation_data_is_refused(given):
    with pytest.raises(ValueError, match=r"X_val and y_val"):
        classifier().fit(X_TRAIN, Y_TRAIN, **given)
