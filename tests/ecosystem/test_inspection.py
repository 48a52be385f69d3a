"""Inspected by scikit-learn: importances, dependences, curves and selected features are true."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.feature_selection import RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import (
    LearningCurveDisplay,
    StratifiedKFold,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.optimizers import Adam

matplotlib.use("Agg")

# Many short trainings.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

RNG = np.random.default_rng(0)
# Labels follow three of six columns, numbers three of four.
X = RNG.normal(size=(240, 6))
Y = (X[:, :3].sum(axis=1) + 0.5 * RNG.normal(size=240) > 0).astype(int)
INPUT = RNG.uniform(-1, 1, (200, 4))
SLOPES = np.array([3.0, -1.0, 0.5, 0.0])
LINE = INPUT @ SLOPES


def classifier(**params):
    given = {"hidden_layer_sizes": 8, "optimizer": "lbfgs", "max_iter": 25, "random_state": 0}
    return MLPClassifier(**{**given, **params})


def regressor(**params):
    given = {"hidden_layer_sizes": 8, "optimizer": "lbfgs", "max_iter": 80, "random_state": 0}
    return MLPRegressor(**{**given, **params})


def first_weights(model):
    """Importances for selectors: an MLP has neither ``coef_`` nor ``feature_importances_``."""
    return np.abs(model.coefs_[0]).sum(axis=1)


def test_permutation_importance_ranks_features_by_what_they_explain():
    model = regressor().fit(INPUT, LINE)
    found = permutation_importance(model, INPUT, LINE, n_repeats=30, random_state=0)
    # A permuted feature brings the variance that it explained twice over.
    explained = SLOPES**2 * INPUT.var(axis=0) / LINE.var()
    np.testing.assert_allclose(found.importances_mean, 2 * explained, rtol=0.1, atol=1e-3)
    assert list(np.argsort(-found.importances_mean)) == [0, 1, 2, 3]


def test_permutation_importance_takes_probability_scorers_and_sample_weights():
    model = classifier().fit(X, Y)
    found = permutation_importance(
        model, X, Y, scoring="neg_log_loss", sample_weight=np.arange(240.0), random_state=0
    ).importances_mean
    assert found[:3].min() > 2 * found[3:].max()


@pytest.mark.parametrize("model", [regressor(), make_pipeline(StandardScaler(), regressor())])
@pytest.mark.parametrize("feature", [0, 1, 3])
def test_partial_dependence_of_a_line_has_its_slope(model, feature):
    model.fit(INPUT, LINE)
    found = partial_dependence(model, INPUT, [feature], kind="both", grid_resolution=10)
    (grid,) = found["grid_values"]
    assert found["individual"].shape == (1, 200, 10)
    slope = np.polyfit(grid, found["average"][0], 1)[0]
    np.testing.assert_allclose(slope, SLOPES[feature], atol=0.1)


def test_partial_dependence_of_classes_is_a_probability_that_rises_with_the_feature():
    model = classifier(hidden_layer_sizes=()).fit(INPUT, np.digitize(LINE, [-1, 1]))
    p = partial_dependence(model, INPUT, [0], grid_resolution=8)["average"]
    np.testing.assert_allclose(p.sum(axis=0), 1.0)
    assert (np.diff(p[2]) > 0).all()
    assert (np.diff(p[0]) < 0).all()


def test_calibration_curve_of_a_fitting_model_is_the_diagonal():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3000, 1))
    y = rng.random(3000) < 1 / (1 + np.exp(-2 * x[:, 0]))
    model = classifier(hidden_layer_sizes=4).fit(x[:1500], y[:1500])
    share, p = calibration_curve(y[1500:], model.predict_proba(x[1500:])[:, 1], n_bins=5)
    assert len(p) == 5
    np.testing.assert_allclose(share, p, atol=0.08)


def test_learning_curve_rises_with_the_samples():
    sizes, train, test, fit_times, _ = learning_curve(
        classifier(), X, Y, train_sizes=[6, 40, 160], cv=3, shuffle=True, random_state=0,
        return_times=True,
    )  # fmt: skip
    assert list(sizes) == [6, 40, 160]
    assert train.shape == test.shape == fit_times.shape == (3, 3)
    few, _, many = test.mean(axis=1)
    assert few + 0.08 < many
    # What was learnt by heart, and what from many samples.
    assert train[0].mean() - few > 1.3 * (train[2].mean() - many)


def test_incremental_learning_curve_goes_on_from_the_same_model():
    steps = []

    def score(model, X, y):
        steps.append(model.n_steps_)
        return model.score(X, y)

    model = classifier(optimizer=Adam(0.05))
    cv = StratifiedKFold(2)
    learning_curve(
        model,
        X,
        Y,
        train_sizes=[20, 60, 100],
        cv=cv,
        scoring=score,
        exploit_incremental_learning=True,
    )
    # Scored on the test and on the training part, at each of the sizes, in each of the folds.
    assert steps == [1, 1, 2, 2, 3, 3] * 2


@pytest.mark.parametrize(
    ("parameter", "values", "better"),
    [
        ("optimizer__learning_rate", [1e-6, 0.05], 1),
        ("alpha", [1e-3, 1e5], 0),
        ("hidden_layer_sizes", [(1,), (16, 8)], 1),
    ],
)
def test_validation_curve_tells_a_good_value_from_a_bad_one(parameter, values, better):
    labels = (X[:, 0] * X[:, 1] > 0).astype(int)
    model = classifier(optimizer=Adam(0.05), max_iter=100)
    _, test = validation_curve(
        model, X[:, :2], labels, param_name=parameter, param_range=values, cv=3
    )
    means = test.mean(axis=1)
    assert means[better] > means[1 - better] + 0.1


def test_permuted_labels_cannot_be_predicted():
    score, permuted, p_value = permutation_test_score(
        classifier(max_iter=10), X, Y, cv=3, n_permutations=19, random_state=0
    )
    assert score > 0.8 > 0.62 > permuted.mean()
    assert p_value == 1 / 20


def test_recursive_elimination_and_threshold_keep_what_is_informative():
    model = classifier(hidden_layer_sizes=4, alpha=3.0, max_iter=50)
    chosen = RFECV(model, importance_getter=first_weights, cv=3, min_features_to_select=2).fit(X, Y)
    assert chosen.support_[:3].all()
    assert chosen.n_features_ < 6
    above_mean = SelectFromModel(model, importance_getter=first_weights).fit(X, Y)
    assert above_mean.get_support().tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("model", "x", "y"), [(classifier(max_iter=10), X, Y), (regressor(max_iter=20), INPUT, LINE)]
)
def test_sequential_selection_finds_the_informative_features(model, x, y):
    selector = SequentialFeatureSelector(model, n_features_to_select=3, cv=2).fit(x, y)
    assert set(np.flatnonzero(selector.get_support())) == {0, 1, 2}


def test_learning_curve_display_draws_the_curve():
    display = LearningCurveDisplay.from_estimator(
        classifier(max_iter=5), X, Y, train_sizes=[30, 100], cv=2, score_type="test"
    )
    np.testing.assert_allclose(display.lines_[0].get_ydata(), display.test_scores.mean(axis=1))
    plt.close(display.figure_)
