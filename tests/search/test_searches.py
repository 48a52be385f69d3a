"""A stacked search gives the results of one that trains model by model."""

import joblib
import numpy as np
import pytest
from searched import DIGITS, LABELS, both_ways, model
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skopt_dl import MLPRegressor, available_optimizers, fit_many
from skopt_dl.optimizers import Momentum
from skopt_dl.schedules import Cosine
from skopt_dl.search import trainers

# Most of these trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Maximum iterations", "ignore:LBFGS stopped", "ignore:batch_size=.* has no effect"
)

DIABETES, PROGRESSION = load_diabetes(return_X_y=True)


def stacked(n_jobs=64):
    return joblib.parallel_config(backend="skopt_dl", n_jobs=n_jobs, n_processes=1)


def assert_same_models(ours, others):
    for one, other in zip(ours, others, strict=True):
        assert one.n_iter_ == other.n_iter_
        assert one.t_ == other.t_
        assert one.history_.keys() == other.history_.keys()
        for name in one.history_.keys() - {"seconds"}:
            np.testing.assert_array_equal(one.history_[name], other.history_[name])
        for a, b in zip(
            [*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True
        ):
            np.testing.assert_array_equal(a, b)


def check(estimator, X, y, cv=5, **kwargs):
    results = both_ways(
        stacked, lambda: cross_validate(estimator, X, y, cv=cv, return_estimator=True, **kwargs)
    )
    assert_same_models(*(each["estimator"] for each in results))
    np.testing.assert_array_equal(*(each["test_score"] for each in results))


FEATURES = {
    "plain": {},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 30},
    "by loss": {"early_stopping": True, "scoring": "neg_log_loss", "max_iter": 20},
    "dropout": {"dropout": 0.3},
    "batch norm": {"batch_norm": True, "input_scaling": True},
    "averaged": {"ema_decay": 0.9, "max_grad_norm": 0.5, "label_smoothing": 0.1},
    "weights": {"class_weight": "balanced"},
    "several layers": {"hidden_layer_sizes": (12, 8), "activation": ["mish", "tanh"]},
    "replacement": {"sampling": "replacement"},
    "in order": {"shuffle": False},
    "one batch": {"batch_size": "full"},
    "sooner": {"tol": 1e-1, "n_iter_no_change": 1, "max_iter": 40},
}


@pytest.mark.parametrize("features", FEATURES)
def test_models_of_folds_equal_those_trained_alone(features):
    # 203 samples in 5 folds: 162 or 163 to train on, in batches of which the last is short.
    check(model(**FEATURES[features]), DIGITS, LABELS)


@pytest.mark.parametrize("name", available_optimizers())
def test_every_optimizer_gives_the_models_it_gives_alone(name):
    check(model(optimizer=name), DIGITS, LABELS, cv=3)


def test_single_precision_has_the_same_bits_too():
    check(model(dtype="float32"), DIGITS, LABELS)


def test_regressors_and_sample_weights():
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(PROGRESSION))
    regressor = MLPRegressor(10, max_iter=6, standardize_target=True, random_state=0)
    check(regressor, DIABETES, PROGRESSION, params={"sample_weight": weight})


def test_sparse_samples():
    from scipy import sparse

    check(model(), sparse.csr_matrix(DIGITS), LABELS, cv=3)


GRIDS = {
    "numbers": {
        "mlpclassifier__alpha": [1e-4, 1e-1],
        "mlpclassifier__optimizer__learning_rate": [1e-3, 1e-1],
        "mlpclassifier__dropout": [0.0, 0.2],
        "mlpclassifier__random_state": [0, 1],
    },
    "optimizers": {"mlpclassifier__optimizer": ["adam", "sgd", "lbfgs", Momentum(Cosine(0.1))]},
    "architectures": {
        "mlpclassifier__hidden_layer_sizes": [(5,), (8, 4), ()],
        "mlpclassifier__batch_size": [16, 64],
        "mlpclassifier__max_iter": [3, 5],
    },
}


@pytest.mark.parametrize("grid", GRIDS)
def test_grid_search_over_a_pipeline_gives_the_same_table(grid):
    search = GridSearchCV(make_pipeline(StandardScaler(), model()), GRIDS[grid], cv=3)
    serial = clone(search).fit(DIGITS, LABELS)
    with stacked():
        search.fit(DIGITS, LABELS)
    for column in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(search.cv_results_[column], serial.cv_results_[column])
    assert search.best_params_ == serial.best_params_
    assert_same_models([search.best_estimator_[-1]], [serial.best_estimator_[-1]])


@pytest.mark.parametrize("n_jobs", [1, 2, 7, -1])
def test_number_of_jobs_does_not_matter(n_jobs):
    search = GridSearchCV(model(), {"alpha": np.logspace(-4, 0, 5)}, cv=3)
    with stacked(n_jobs):
        scores = search.fit(DIGITS, LABELS).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(
        scores, clone(search).fit(DIGITS, LABELS).cv_results_["mean_test_score"]
    )


META = {
    "bagging": BaggingClassifier(model(), n_estimators=8, random_state=0),
    "one against the rest": OneVsRestClassifier(model()),
    "voting": VotingClassifier([("a", model()), ("b", model(alpha=1.0))], voting="soft"),
    "stacking": StackingClassifier(
        [("a", model()), ("b", SVC())], LogisticRegression(max_iter=500), cv=3
    ),
    "random search": RandomizedSearchCV(
        model(), {"alpha": np.logspace(-4, 0, 9)}, n_iter=4, random_state=0
    ),
    "halving search": HalvingGridSearchCV(
        model(),
        {"alpha": np.logspace(-4, 0, 4)},
        resource="max_iter",
        max_resources=8,
        random_state=0,
        cv=3,
    ),
}


@pytest.mark.parametrize("name", META)
def test_meta_estimators_gain_without_knowing(name):
    serial = clone(META[name]).fit(DIGITS, LABELS)
    with stacked():
        together = clone(META[name]).fit(DIGITS, LABELS)
    np.testing.assert_array_equal(together.predict_proba(DIGITS), serial.predict_proba(DIGITS))


def test_several_outputs_and_learning_curves():
    Y = np.column_stack([LABELS % 3, LABELS % 2])
    with stacked():
        together = MultiOutputClassifier(model()).fit(DIGITS, Y).predict(DIGITS)
        curve = learning_curve(model(), DIGITS, LABELS, cv=3, train_sizes=[0.3, 1.0])
    np.testing.assert_array_equal(
        together, MultiOutputClassifier(model()).fit(DIGITS, Y).predict(DIGITS)
    )
    expected = learning_curve(model(), DIGITS, LABELS, cv=3, train_sizes=[0.3, 1.0])
    np.testing.assert_array_equal(curve[2], expected[2])


def test_nested_searches_share_their_stacks():
    search = GridSearchCV(model(), {"alpha": [1e-4, 1.0]}, cv=3)
    serial = cross_validate(search, DIGITS, LABELS, cv=3)["test_score"]
    with stacked():
        together = cross_validate(search, DIGITS, LABELS, cv=3)["test_score"]
    np.testing.assert_array_equal(together, serial)


def test_models_really_train_together(monkeypatch):
    sizes, train = [], trainers.train

    def recorded(jobs, *args):
        sizes.append(len(jobs))
        return train(jobs, *args)

    monkeypatch.setattr(trainers, "train", recorded)
    with stacked():
        GridSearchCV(model(), {"alpha": np.logspace(-4, 0, 8)}, cv=4, refit=False).fit(
            DIGITS, LABELS
        )
    assert max(sizes) >= 16


def test_diverging_model_does_not_touch_its_neighbours():
    rates = [1e-3, 1e200, 1e-2]
    search = GridSearchCV(
        model(optimizer="sgd", dropout=0.1), {"optimizer__learning_rate": rates}, cv=3, refit=False
    )
    with stacked(), pytest.warns(Warning, match="Training diverged"):
        together = search.fit(DIGITS, LABELS).cv_results_["mean_test_score"]
    with pytest.warns(Warning, match="Training diverged"):
        serial = clone(search).fit(DIGITS, LABELS).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(together, serial)


def test_scorers_see_the_configuration_of_the_user():
    seen = set()

    def score(model, X, y):
        seen.add(get_config()["transform_output"])
        return 0.5

    with stacked(), config_context(transform_output="pandas"):
        cross_validate(model(early_stopping=True, scoring=score), DIGITS, LABELS, cv=3)
    assert seen == {"pandas"}


def test_failing_scorer_ends_its_own_model_only():
    def fails(model, X, y):
        raise LookupError("no such figure")

    search = GridSearchCV(
        model(early_stopping=True),
        {"scoring": [None, fails]},
        cv=3,
        refit=False,
        error_score=np.nan,
    )
    with stacked(), pytest.warns(Warning, match="no such figure|non-finite"):
        scores = search.fit(DIGITS, LABELS).cv_results_["mean_test_score"]
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1])


def test_verbose_says_how_models_were_grouped_and_why_some_train_alone(capsys):
    grid = [{"alpha": [1e-4, 1e-2], "hidden_layer_sizes": [(5,), (7,)]}, {"optimizer": ["lbfgs"]}]
    with joblib.parallel_config(backend="skopt_dl", n_jobs=64, verbose=1):
        GridSearchCV(model(), grid, cv=3, refit=False).fit(DIGITS, LABELS)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[skopt_dl]")]
    assert sum(int(line.split()[1]) for line in lines) == 15
    text = " ".join(lines)
    assert "in stacks of" in text
    assert "(64-5-10, float64, batches of 32)" in text
    assert "LBFGS minimises one model at a time" in text


def test_many_models_are_fitted_in_place_and_in_order():
    models = [model(random_state=seed, alpha=0.1 * seed) for seed in range(7)]
    alone = [clone(each).fit(DIGITS, LABELS) for each in models]
    together = fit_many(models, DIGITS, LABELS)
    assert all(a is b for a, b in zip(together, models, strict=True))
    assert_same_models(together, alone)


def test_models_of_one_seed_that_stop_one_by_one_go_on_as_if_alone():
    params = [{"max_iter": n, "dropout": 0.2 * (n == 4)} for n in (2, 5, 3, 4, 6, 5)]
    together = fit_many([model(**each) for each in params], DIGITS, LABELS)
    alone = [model(**each).fit(DIGITS, LABELS) for each in params]
    for one in [*together, *alone]:
        one.partial_fit(DIGITS, LABELS)
    assert_same_models(together, alone)


def test_many_models_may_have_data_of_their_own():
    parts = [slice(0, 120), slice(60, 203), slice(0, 120)]
    weights = [np.linspace(1, 2, part.stop - part.start) for part in parts]
    pipelines = [make_pipeline(StandardScaler(), model(random_state=seed)) for seed in range(3)]
    alone = [
        clone(each).fit(DIGITS[part], LABELS[part])
        for each, part in zip(pipelines, parts, strict=True)
    ]
    together = fit_many(
        pipelines, [DIGITS[part] for part in parts], [LABELS[part] for part in parts]
    )
    assert_same_models([each[-1] for each in together], [each[-1] for each in alone])
    models = [model(random_state=seed) for seed in range(3)]
    expected = clone(models[1]).fit(DIGITS[parts[1]], LABELS[parts[1]], weights[1])
    fit_many(models, [DIGITS[p] for p in parts], [LABELS[p] for p in parts], weights)
    assert_same_models([models[1]], [expected])


def test_lists_of_data_have_to_be_as_many_as_the_models():
    with pytest.raises(ValueError, match="X is a list of 2 arrays for 3 estimators"):
        fit_many([model() for _ in range(3)], [DIGITS] * 2, [LABELS] * 2)
