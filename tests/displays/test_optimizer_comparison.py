"""A finished search over optimizers is drawn, whoever searched."""

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier
from skopt_dl.displays import OptimizerComparisonDisplay
from skopt_dl.displays._style import OF_OPTIMIZERS
from skopt_dl.optimizers import SGD, Adam

pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

X, Y = load_iris(return_X_y=True)
MODEL = MLPClassifier(4, max_iter=3, n_iter_no_change=3, random_state=0)
from_cv_results = OptimizerComparisonDisplay.from_cv_results


def results(candidates, means, **columns):
    """What a search leaves behind, with the same deviation everywhere."""
    n = len(candidates)
    return {
        "params": candidates,
        "mean_test_score": np.array(means, dtype=float),
        "std_test_score": np.full(n, 0.01),
        **columns,
    }


def pair(optimizer, rate, prefix=""):
    return {f"{prefix}optimizer": optimizer, f"{prefix}optimizer__learning_rate": rate}


def as_dict(display):
    """Means by optimizer and rate."""
    return {
        (curve.optimizer, float(rate)): mean
        for curve in display.curves
        for rate, mean in zip(curve.learning_rates, curve.mean, strict=True)
    }


def expected(search, prefix=""):
    found = search.cv_results_
    return {
        (candidate[f"{prefix}optimizer"], candidate[f"{prefix}optimizer__learning_rate"]): mean
        for candidate, mean in zip(found["params"], found["mean_test_score"], strict=True)
    }


def test_grid_in_a_pipeline_is_shown():
    prefix = "mlpclassifier__"
    grid = {
        f"{prefix}optimizer": ["adam", "sgd"],
        f"{prefix}optimizer__learning_rate": [0.1, 0.001, 0.01],
    }
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MODEL), grid, cv=2, scoring="accuracy", refit=False
    ).fit(X, Y)
    display = from_cv_results(search)
    assert as_dict(display) == expected(search, prefix)
    assert display.ax_.get_ylabel() == "Cross-validated accuracy"
    for curve in display.curves:
        np.testing.assert_array_equal(curve.learning_rates, [0.001, 0.01, 0.1])
    assert display.ranking[0].mean.max() == search.cv_results_["mean_test_score"].max()


def test_list_of_grids_and_bare_results_are_shown():
    grid = [
        {"optimizer": ["adam"], "optimizer__learning_rate": [0.01, 0.1]},
        {"optimizer": ["sgd"], "optimizer__learning_rate": [0.1]},
        {"optimizer": ["lbfgs"]},
    ]
    search = GridSearchCV(MODEL, grid, cv=2, refit=False).fit(X, Y)
    display = from_cv_results(search.cv_results_)
    found = as_dict(display)
    assert [name for name, _ in found] == ["adam", "adam", "sgd", "lbfgs"]
    # Without a learning rate, its score is a level.
    level = display.lines_[[curve.optimizer for curve in display.ranking].index("lbfgs")]
    assert set(level.get_ydata()) == {search.cv_results_["mean_test_score"][-1]}
    assert list(level.get_xdata()) == [0, 1]


def test_random_rates_are_shown_in_order():
    space = {"optimizer": ["adam", "sgd"], "optimizer__learning_rate": loguniform(1e-3, 1e-1)}
    search = RandomizedSearchCV(MODEL, space, n_iter=6, cv=2, random_state=0, refit=False)
    display = from_cv_results(search.fit(X, Y))
    assert as_dict(display) == expected(search)
    assert all((np.diff(curve.learning_rates) > 0).all() for curve in display.curves)


def test_halving_search_shows_the_last_round_of_each_candidate():
    grid = {"optimizer": ["adam", "sgd"], "optimizer__learning_rate": [0.001, 0.01, 0.1]}
    search = HalvingGridSearchCV(MODEL, grid, cv=2, factor=2, random_state=0, refit=False)
    display = from_cv_results(search.fit(X, Y))
    found = search.cv_results_
    last = {}
    for row in np.argsort(found["iter"], kind="stable"):
        candidate = found["params"][row]
        last[tuple(candidate.values())] = found["mean_test_score"][row], found["iter"][row]
    for curve in display.curves:
        for rate, mean, final in zip(curve.learning_rates, curve.mean, curve.final, strict=True):
            assert (mean, final) == (
                last[curve.optimizer, rate][0],
                last[curve.optimizer, rate][1] == found["iter"].max(),
            )
    assert 0 < sum(curve.final.sum() for curve in display.curves) < 6


def test_best_of_a_halving_search_is_from_the_last_round():
    candidates = [pair("adam", 0.1), pair("adam", 0.2), pair("adam", 0.2)]
    found = results(candidates, [0.99, 0.5, 0.7], iter=np.array([0, 0, 1]))
    (curve,) = from_cv_results(found).curves
    assert curve.learning_rates[curve.best] == 0.2
    np.testing.assert_array_equal(curve.mean, [0.99, 0.7])
    np.testing.assert_array_equal(curve.final, [False, True])


def test_optimizer_objects_bring_their_rates():
    found = results([{"optimizer": o} for o in (Adam(0.1), Adam(0.2), SGD(0.3))], [0.7, 0.8, 0.9])
    assert as_dict(from_cv_results(found)) == {
        ("adam", 0.1): 0.7,
        ("adam", 0.2): 0.8,
        ("sgd", 0.3): 0.9,
    }


def test_rate_beside_an_object_counts_and_not_the_objects_own():
    found = results([pair(Adam(0.1), 0.5), pair(Adam(0.1), 0.6)], [0.7, 0.8])
    assert as_dict(from_cv_results(found)) == {("adam", 0.5): 0.7, ("adam", 0.6): 0.8}


def test_optimizer_that_is_the_same_throughout_is_the_estimators():
    grid = {"optimizer__learning_rate": [0.01, 0.1]}
    search = GridSearchCV(MODEL, grid, cv=2, refit=False).fit(X, Y)
    assert [curve.optimizer for curve in from_cv_results(search).curves] == ["adam"]
    with pytest.raises(ValueError, match=r"do not say which optimizer.*Pass the search itself"):
        from_cv_results(search.cv_results_)


def test_other_parameters_are_at_their_best():
    candidates = [{**pair("adam", 0.1), "alpha": a} for a in (0.1, 0.2, 0.3)]
    (curve,) = from_cv_results(results(candidates, [np.nan, 0.5, 0.9])).curves
    np.testing.assert_array_equal(curve.mean, [0.9])


def test_metric_is_chosen_and_an_unknown_one_answered_with_those_there_are():
    found = results([pair("adam", 0.1)], [0.5])
    found = {name.replace("score", "recall"): each for name, each in found.items()}
    display = from_cv_results(found, metric="recall")
    assert display.ax_.get_ylabel() == "Cross-validated recall"
    with pytest.raises(ValueError, match=r"no metric 'score'; it has 'recall'"):
        from_cv_results(found)


def test_best_is_ringed_and_first_in_the_legend():
    found = results([pair("sgd", 0.1), pair("adam", 0.1), pair("adam", 0.2)], [0.7, 0.9, 0.8])
    display = from_cv_results(found)
    assert [curve.optimizer for curve in display.ranking] == ["adam", "sgd"]
    assert display.legend_.get_texts()[0].get_text() == "adam, 0.1: 0.900 ± 0.010"
    (ring,) = [line for line in display.ax_.lines if line.get_markerfacecolor() == "none"]
    assert ring.get_xydata().tolist() == [[0.1, 0.9]]
    assert display.lines_[0].get_color() == OF_OPTIMIZERS["adam"].color


def test_scores_far_below_do_not_squeeze_the_others():
    candidates = [pair("sgd", 0.1), pair("adam", 0.1), pair("adam", 10.0)]
    low, high = from_cv_results(results(candidates, [0.95, 0.97, 0.1])).ax_.get_ylim()
    assert 0.85 < low < 0.94
    assert high > 0.97


def test_failed_fits_leave_a_gap_and_are_never_best():
    candidates = [pair("adam", 0.1), pair("adam", 0.2), pair("sgd", 0.1)]
    display = from_cv_results(results(candidates, [np.nan, 0.8, np.nan]))
    assert [curve.optimizer for curve in display.ranking] == ["adam", "sgd"]
    assert display.ranking[0].best == 1
    display.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("search", "error", "message"),
    [
        (results([{"alpha": 0.1}], [0.5]), ValueError, "not over optimizers.*it varies 'alpha'"),
        (
            results([{"mlp__optimizer": "adam"}], [0.5]),
            ValueError,
            "no learning rates to compare: add 'mlp__optimizer__learning_rate'",
        ),
        (GridSearchCV(MODEL, {}), TypeError, "the GridSearchCV that it got has not been fitted"),
        (LogisticRegression(), TypeError, "the LogisticRegression that it got is neither"),
        ([1, 2], TypeError, "a finished search.*the list that it got is neither"),
    ],
)
def test_what_is_no_search_over_optimizers_is_refused(search, error, message):
    with pytest.raises(error, match=message):
        from_cv_results(search)
