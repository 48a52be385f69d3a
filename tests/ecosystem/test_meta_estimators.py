"""Inside scikit-learn's meta-estimators: what they hand over arrives, what they ask for is there.

Where a meta-estimator's arithmetic can be repeated by hand, it is, and the members must be equal.
"""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_iris, make_blobs, make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.optimizers import Adam

# Members are trained for a few iterations only.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

X, Y = make_classification(240, 6, n_informative=4, n_redundant=0, flip_y=0.1, random_state=0)
IRIS, SPECIES = load_iris(return_X_y=True, as_frame=False)
IRIS = StandardScaler().fit_transform(IRIS)
INPUT = np.random.default_rng(0).uniform(-1, 1, (240, 2))
TARGET = np.sin(3 * INPUT[:, 0]) + INPUT[:, 1] ** 2


def classifier(**params):
    given = {"hidden_layer_sizes": 8, "optimizer": "lbfgs", "max_iter": 25, "random_state": 0}
    return MLPClassifier(**{**given, **params})


def regressor(**params):
    given = {"hidden_layer_sizes": 8, "optimizer": "lbfgs", "max_iter": 60, "random_state": 0}
    return MLPRegressor(**{**given, **params})


def assert_same_model(one, other):
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    for mine, its in pairs:
        np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-12)


def differ(one, other):
    return not np.allclose(one.coefs_[0], other.coefs_[0])


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("prefit", [False, True])
def test_calibration_mends_an_overconfident_classifier(method, prefit):
    train, held_out, test = slice(0, 80), slice(80, 160), slice(160, None)
    model = classifier(hidden_layer_sizes=64, alpha=0.0, max_iter=200).fit(X[train], Y[train])
    if prefit:
        calibrated = CalibratedClassifierCV(FrozenEstimator(model), method=method)
        calibrated.fit(X[held_out], Y[held_out])
    else:
        calibrated = CalibratedClassifierCV(model, method=method, cv=3, ensemble=False)
        calibrated.fit(X[train], Y[train])
    p, before = calibrated.predict_proba(X[test]), model.predict_proba(X[test])
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert log_loss(Y[test], before) > 1.5, "nothing to mend"
    assert log_loss(Y[test], p) < 0.75 * log_loss(Y[test], before)


@pytest.mark.parametrize(
    ("ensemble", "member", "x", "y"),
    [(BaggingClassifier, classifier, X, Y), (BaggingRegressor, regressor, INPUT, TARGET)],
)
def test_bagging_trains_its_members_on_bootstraps_and_averages_them(ensemble, member, x, y):
    bagging = ensemble(member(), n_estimators=30, oob_score=True, random_state=0).fit(x, y)
    for trained, rows in zip(bagging.estimators_[:2], bagging.estimators_samples_[:2], strict=True):
        counts = np.bincount(rows, minlength=len(y))
        assert_same_model(trained, clone(trained).fit(x, y, sample_weight=counts))
        assert differ(trained, clone(trained).fit(x, y))
    ask = "predict_proba" if ensemble is BaggingClassifier else "predict"
    each = [getattr(trained, ask)(x) for trained in bagging.estimators_]
    np.testing.assert_allclose(getattr(bagging, ask)(x), np.mean(each, axis=0))
    assert bagging.oob_score_ > 0.8


def test_boosting_gives_each_member_the_weights_of_its_turn():
    boosted = AdaBoostClassifier(classifier(max_iter=5), n_estimators=3, random_state=0)
    boosted.fit(IRIS, SPECIES)
    weights = np.full(len(SPECIES), 1 / len(SPECIES))
    for member, importance in zip(boosted.estimators_, boosted.estimator_weights_, strict=True):
        assert_same_model(member, clone(member).fit(IRIS, SPECIES, sample_weight=weights))
        wrong = member.predict(IRIS) != SPECIES
        assert wrong.any()
        weights = weights * np.exp(importance * wrong)
        weights /= weights.sum()
    assert differ(boosted.estimators_[1], clone(boosted.estimators_[1]).fit(IRIS, SPECIES))
    assert boosted.score(IRIS, SPECIES) > boosted.estimators_[0].score(IRIS, SPECIES)


def test_boosted_regressor_beats_its_first_member():
    boosted = AdaBoostRegressor(regressor(max_iter=15), n_estimators=10, random_state=0)
    boosted.fit(INPUT, TARGET)
    assert boosted.score(INPUT, TARGET) > boosted.estimators_[0].score(INPUT, TARGET) + 0.02


def column(index, model):
    return make_pipeline(make_column_transformer(("passthrough", [index])), model)


@pytest.mark.parametrize("final", [None, regressor(hidden_layer_sizes=(), alpha=0.0)])
def test_stacked_regressors_learn_what_each_alone_cannot(final):
    members = [(f"column {i}", column(i, regressor())) for i in (0, 1)]
    stack = StackingRegressor(members, final, cv=3).fit(INPUT, TARGET)
    assert stack.score(INPUT, TARGET) > 0.95
    assert max(model.fit(INPUT, TARGET).score(INPUT, TARGET) for _, model in members) < 0.9


@pytest.mark.parametrize("final", [None, classifier()])
def test_stacked_classifiers_learn_what_each_alone_cannot(final):
    quadrant = 2 * (INPUT[:, 0] > 0) + (INPUT[:, 1] > 0)
    members = [(f"column {i}", column(i, classifier())) for i in (0, 1)]
    stack = StackingClassifier(members, final, cv=3).fit(INPUT, quadrant)
    assert set(stack.stack_method_) == {"predict_proba"}
    assert stack.final_estimator_.n_features_in_ == 8
    assert stack.score(INPUT, quadrant) > 0.9
    assert max(model.fit(INPUT, quadrant).score(INPUT, quadrant) for _, model in members) < 0.7


@pytest.mark.parametrize(
    ("ensemble", "member", "ask", "x", "y"),
    [
        (VotingRegressor, regressor, "predict", INPUT, TARGET),
        (VotingClassifier, classifier, "predict_proba", X, Y),
    ],
)
def test_votes_are_means_of_members_that_saw_the_sample_weights(ensemble, member, ask, x, y):
    soft = {"voting": "soft"} if ensemble is VotingClassifier else {}
    weight = np.random.default_rng(1).exponential(size=len(y))
    members = [(str(seed), member(random_state=seed)) for seed in range(3)]
    vote = ensemble(members, **soft).fit(x, y, sample_weight=weight)
    alone = [clone(model).fit(x, y, sample_weight=weight) for _, model in members]
    each = [getattr(model, ask)(x) for model in alone]
    np.testing.assert_allclose(getattr(vote, ask)(x), np.mean(each, axis=0), rtol=1e-9)


def test_one_against_the_rest_trains_a_classifier_of_each_class():
    outer = OneVsRestClassifier(classifier()).fit(IRIS, SPECIES)
    for k, member in enumerate(outer.estimators_):
        assert_same_model(member, classifier().fit(IRIS, k == SPECIES))
    np.testing.assert_allclose(outer.predict_proba(IRIS).sum(axis=1), 1.0)
    assert outer.score(IRIS, SPECIES) > 0.95


def test_one_against_the_rest_passes_partial_fits_on():
    outer = OneVsRestClassifier(classifier(optimizer=Adam(0.05)))
    for _ in range(30):
        outer.partial_fit(IRIS, SPECIES, classes=[0, 1, 2])
    assert {member.n_steps_ for member in outer.estimators_} == {30}
    assert outer.score(IRIS, SPECIES) > 0.9


@pytest.mark.parametrize("scheme", [OneVsOneClassifier, OutputCodeClassifier])
def test_schemes_of_binary_classifiers_reach_the_accuracy_of_the_whole(scheme):
    code = {"code_size": 3, "random_state": 0} if scheme is OutputCodeClassifier else {}
    names = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
    outer = scheme(classifier(), **code).fit(IRIS, names)
    assert len(outer.estimators_) > 2
    assert outer.score(IRIS, names) > 0.95


def test_several_targets_of_several_classes_take_a_classifier_each():
    both = np.column_stack([SPECIES, SPECIES[::-1]])
    outer = MultiOutputClassifier(classifier()).fit(IRIS, both)
    for k, member in enumerate(outer.estimators_):
        assert_same_model(member, classifier().fit(IRIS, both[:, k]))
    assert [p.shape for p in outer.predict_proba(IRIS)] == [(150, 3)] * 2


def test_several_numbers_take_a_regressor_each():
    both = np.column_stack([TARGET, -TARGET])
    outer = MultiOutputRegressor(regressor()).fit(INPUT, both, sample_weight=INPUT[:, 0] ** 2)
    for k, member in enumerate(outer.estimators_):
        alone = regressor().fit(INPUT, both[:, k], sample_weight=INPUT[:, 0] ** 2)
        assert_same_model(member, alone)


def test_regressor_chain_learns_a_target_from_the_one_before():
    noisy = TARGET + np.random.default_rng(2).normal(size=len(TARGET))
    both = np.column_stack([noisy, 3 * noisy])
    chain = RegressorChain(regressor(), order=[0, 1]).fit(INPUT, both)
    assert [member.n_features_in_ for member in chain.estimators_] == [2, 3]
    first, second = chain.predict(INPUT).T
    np.testing.assert_allclose(second, 3 * first, atol=0.3)


def test_classifier_chain_learns_a_label_from_the_one_before():
    coin = np.random.default_rng(2).integers(0, 2, len(X))
    chain = ClassifierChain(classifier(max_iter=60), order=[0, 1])
    chain.fit(X, np.column_stack([coin, 1 - coin]))
    first, second = chain.predict(X[::-1] + 0.1).T
    assert (first + second == 1).mean() > 0.97
    assert 0.2 < first.mean() < 0.8


def test_self_training_spreads_a_few_labels_over_their_clusters():
    points, cluster = make_blobs(200, centers=3, cluster_std=0.8, random_state=1)
    labels = np.full(200, -1)
    for k in range(3):
        labels[np.flatnonzero(cluster == k)[:3]] = k
    model = SelfTrainingClassifier(make_pipeline(StandardScaler(), classifier()), threshold=0.9)
    model.fit(points, labels)
    assert (labels == -1).sum() == 191
    assert (model.transduction_ == cluster).mean() > 0.97


def test_tuned_threshold_finds_a_rare_class():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1200, 2))
    rare = (x[:, 0] + x[:, 1] + rng.normal(size=1200) > 2.5).astype(int)
    model = classifier(hidden_layer_sizes=())
    tuned = TunedThresholdClassifierCV(model, cv=3).fit(x[:600], rare[:600])
    assert tuned.best_threshold_ < 0.3
    model.fit(x[:600], rare[:600])
    after, before = (
        balanced_accuracy_score(rare[600:], m.predict(x[600:])) for m in (tuned, model)
    )
    assert after > before + 0.05


def test_scaled_targets_make_large_targets_learnable():
    dollars = 1e6 + 1e5 * TARGET
    plain = regressor(optimizer=Adam(0.02), max_iter=150, tol=0.0)
    scaled = TransformedTargetRegressor(plain, transformer=StandardScaler()).fit(INPUT, dollars)
    plain.fit(INPUT, dollars)
    assert plain.score(INPUT, dollars) < 0 < 0.7 < scaled.score(INPUT, dollars)


@pytest.mark.parametrize("resource", ["n_samples", "mlpclassifier__max_iter"])
def test_halving_keeps_the_learning_rate_that_learns(resource):
    model = make_pipeline(StandardScaler(), classifier(optimizer="adam"))
    rates = [1e-7, 1e-6, 1e-5, 0.05]
    search = HalvingGridSearchCV(
        model,
        {"mlpclassifier__optimizer__learning_rate": rates},
        resource=resource,
        min_resources=30,
        max_resources=120,
        factor=2,
        cv=3,
        random_state=0,
        error_score="raise",
    ).fit(IRIS, SPECIES)
    assert search.n_resources_ == [30, 60, 120][: len(search.n_resources_)]
    assert search.n_candidates_[:2] == [4, 2]
    assert search.best_params_["mlpclassifier__optimizer__learning_rate"] == 0.05
    if resource != "n_samples":
        assert 60 < search.best_estimator_[-1].n_iter_ <= 120


def test_search_scores_by_probability_as_well_as_by_label():
    search = GridSearchCV(
        classifier(),
        {"alpha": [1.0, 1e5]},
        scoring={"log loss": "neg_log_loss", "auc": "roc_auc_ovr", "accuracy": "accuracy"},
        refit="log loss",
        cv=3,
    ).fit(IRIS, SPECIES)
    assert search.best_params_ == {"alpha": 1.0}
    assert search.cv_results_["mean_test_auc"][0] > 0.98
    # Without weights the intercepts are left: the probability of each class is its share.
    np.testing.assert_allclose(search.cv_results_["mean_test_log loss"][1], -np.log(3), atol=1e-2)


@pytest.mark.parametrize("ask", ["predict", "predict_proba", "predict_log_proba"])
def test_cross_validated_predictions_are_those_of_models_that_did_not_see_them(ask):
    folds = KFold(3, shuffle=True, random_state=0)
    found = cross_val_predict(classifier(), IRIS, SPECIES, cv=folds, method=ask)
    for seen, unseen in folds.split(IRIS):
        model = classifier().fit(IRIS[seen], SPECIES[seen])
        np.testing.assert_allclose(found[unseen], getattr(model, ask)(IRIS[unseen]), rtol=1e-9)
