"""Scorers of scikit-learn that are computed from raw outputs, without its checks of each call."""

import numpy as np
import pytest
import sklearn
from sklearn.metrics import get_scorer

from skopt_dl import MLPClassifier
from skopt_dl.estimators import scoring as scoring_of

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 6))
LABELS = {
    "binary": np.where(X[:, 0] > 0, "yes", "no"),
    "multiclass": np.digitize(X[:, 0], [-0.5, 0.5]) * 10,
}
# A few epochs show it.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def trained(y, scoring, kind=MLPClassifier, weight=None, **options):
    given = {"max_iter": 4, "early_stopping": True, "random_state": 0} | options
    return kind(8, scoring=scoring, **given).fit(X, y, sample_weight=weight)


@pytest.fixture
def asked(monkeypatch):
    """How often scikit-learn's scorers are asked."""
    times, snapshot = [], MLPClassifier._snapshot

    def counting(self, *arguments):
        times.append(1)
        return snapshot(self, *arguments)

    monkeypatch.setattr(MLPClassifier, "_snapshot", counting)
    return times


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["accuracy", "neg_log_loss"])
@pytest.mark.parametrize("kind", LABELS)
def test_score_is_that_of_the_scorer_which_is_not_asked(kind, name, weighted, dtype, asked):
    weight = rng.uniform(0.5, 2, len(X)) if weighted else None
    model = trained(LABELS[kind], name, weight=weight, dtype=dtype)
    assert not asked
    same = trained(LABELS[kind], get_scorer(name), weight=weight, dtype=dtype)
    assert len(asked) == len(same.validation_scores_)
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(model.validation_scores_, same.validation_scores_, rtol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_of_zero_and_one_count_as_scikit_learn_counts_them(dtype):
    y = LABELS["binary"]
    model = trained(y, "neg_log_loss", dtype=dtype)
    targets = (y == "yes")[:, None].astype(dtype)
    # Far beyond what a probability tells apart, on the right side and on the wrong one.
    for raw in (400.0 * (2 * targets - 1), 400.0 * (1 - 2 * targets)):
        quick = model._raw_score("neg_log_loss", targets, None)(raw.astype(dtype))
        p = model._labels.probabilities(raw.astype(dtype))
        want = -sklearn.metrics.log_loss(y, p)
        assert quick == pytest.approx(want, rel=1e-5 if dtype == "float32" else 1e-12, abs=1e-15)


def test_what_scikit_learn_complains_of_is_left_to_it(asked):
    y = LABELS["multiclass"]
    model = trained(y, "accuracy")
    one_class = np.zeros((5, 3))
    one_class[:, 1] = 1
    assert model._raw_score("neg_log_loss", one_class, None) is None
    assert model._raw_score("roc_auc_ovr", np.eye(3), None) is None
    several = MLPClassifier(4, max_iter=1, random_state=0).fit(X, np.column_stack([y, y]))
    assert several._raw_score("accuracy", np.eye(6), None) is None


class Cautious(MLPClassifier):
    def predict_proba(self, X):
        return 0.5 * super().predict_proba(X) + 0.5 / len(self.classes_)


def test_class_that_predicts_otherwise_is_asked(asked):
    y = LABELS["binary"]
    model = trained(y, "neg_log_loss", Cautious)
    assert len(asked) == len(model.validation_scores_)
    assert model.validation_scores_ != trained(y, "neg_log_loss").validation_scores_


def test_scorer_is_asked_where_metadata_is_routed(asked):
    with sklearn.config_context(enable_metadata_routing=True):
        model = trained(LABELS["binary"], "accuracy")
    assert len(asked) == len(model.validation_scores_)


def test_raw_outputs_that_are_not_finite_have_no_score():
    model = trained(LABELS["binary"], "neg_log_loss")
    targets = np.zeros((len(X), 1))
    score = scoring_of.validation_score(
        model, get_scorer("neg_log_loss"), X, LABELS["binary"], targets, None, None
    )
    assert np.isnan(score(np.full((len(X), 1), np.inf), None))
