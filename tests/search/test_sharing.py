"""Data that many fits have in common are checked once, and nobody can tell."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from skopt_dl import MLPClassifier, MLPRegressor, NeuralNetClassifier, fit_many
from skopt_dl.callbacks import EpochCallback
from skopt_dl.estimators import preparing
from skopt_dl.search import elsewhere
from skopt_dl.search.sharing import SharedData, shared_data

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(30, 4))
LABELS = np.arange(30) % 3
SMALL = {"hidden_layer_sizes": 3, "max_iter": 1}
# More than run at the same time, each of which may check the data.
N_MODELS = 5


def several(make, **params):
    return [make(**params, max_iter=1, random_state=seed) for seed in range(N_MODELS)]


@pytest.fixture
def checks(monkeypatch):
    """The models that data were checked for."""
    found = []

    def training_data(model, *args):
        found.append(type(model))
        return original(model, *args)

    original = preparing.training_data
    monkeypatch.setattr(preparing, "training_data", training_data)
    # Those of an earlier test would check data too, and nobody would see it here.
    monkeypatch.setattr(elsewhere, "shared_processes", lambda number, start=False: None)
    return found


CASES = {
    "list": (several(MLPClassifier, hidden_layer_sizes=3), X.tolist(), LABELS.tolist()),
    "other precision": (several(MLPClassifier, dtype="float32", hidden_layer_sizes=3), X, LABELS),
    "texts": (several(MLPClassifier, hidden_layer_sizes=3), X, np.array(["a", "b", "c"])[LABELS]),
    "several labels": (
        several(MLPClassifier, hidden_layer_sizes=3),
        X,
        np.stack([LABELS, LABELS[::-1]], 1),
    ),
    "early stopping": (
        several(MLPClassifier, early_stopping=True, hidden_layer_sizes=3),
        X,
        LABELS,
    ),
    "standardised": (
        several(MLPRegressor, standardize_target=True, hidden_layer_sizes=3),
        X,
        X[:, 0],
    ),
    "shaped": (several(NeuralNetClassifier, input_shape=[2, 2], network=["flatten"]), X, LABELS),
    "images": (several(NeuralNetClassifier, network=["flatten"]), X.reshape(30, 2, 2), LABELS),
}


@pytest.mark.parametrize("case", CASES)
def test_fits_that_share_data_check_them_once_and_leave_what_single_fits_do(case, checks):
    models, x, y = CASES[case]
    weight = np.linspace(1, 2, len(x))
    alone = [clone(model).fit(x, y, weight) for model in models]
    checks.clear()
    together = fit_many([clone(model) for model in models], x, y, weight)
    assert len(checks) < N_MODELS
    for one, other in zip(together, alone, strict=True):
        assert vars(one).keys() == vars(other).keys()
        assert one.n_features_in_ == other.n_features_in_
        assert repr(getattr(one, "classes_", None)) == repr(getattr(other, "classes_", None))
        np.testing.assert_array_equal(one.predict(x), other.predict(x))
        assert one.loss_curve_ == other.loss_curve_


def test_what_a_model_has_learnt_of_shared_data_is_its_own():
    one, *others = fit_many(several(MLPClassifier, hidden_layer_sizes=3), X, LABELS)
    one.classes_[:] = 7
    for other in others:
        np.testing.assert_array_equal(other.classes_, [0, 1, 2])
        np.testing.assert_array_equal(np.unique(other._labels.classes), [0, 1, 2])
    assert one._labels.classes is one.classes_


def test_names_of_features_are_those_of_the_last_data():
    pd = pytest.importorskip("pandas")
    models = fit_many(
        several(MLPClassifier, hidden_layer_sizes=3), pd.DataFrame(X, columns=list("abcd")), LABELS
    )
    assert all(list(model.feature_names_in_) == list("abcd") for model in models)
    assert len({id(model.feature_names_in_) for model in models}) == len(models)
    fit_many(models, X, LABELS)
    assert not any(hasattr(model, "feature_names_in_") for model in models)


def test_models_of_different_kinds_share_nothing():
    models = [
        MLPClassifier(**SMALL),
        MLPClassifier(dtype="float32", **SMALL),
        MLPRegressor(**SMALL),
        MLPRegressor(standardize_target=True, **SMALL),
    ] * 2
    models = [clone(model).set_params(random_state=0) for model in models]
    single = [clone(model).fit(X, LABELS) for model in models]
    for one, other in zip(fit_many(models, X, LABELS), single, strict=True):
        np.testing.assert_array_equal(one.predict(X), other.predict(X))
        assert one.coefs_[0].dtype == other.coefs_[0].dtype


def test_each_fit_warns_of_shared_data():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        fit_many(several(MLPRegressor, hidden_layer_sizes=3), X, X[:, :1])
    assert sum("column-vector y" in str(each.message) for each in shown) == N_MODELS


def test_bad_shared_data_are_refused_as_by_a_single_fit():
    bad = np.where(X > 2, np.nan, X)
    with pytest.raises(ValueError, match="contains NaN") as alone:
        MLPClassifier(**SMALL).fit(bad, LABELS)
    with pytest.raises(ValueError, match="contains NaN") as many:
        fit_many(several(MLPClassifier, hidden_layer_sizes=3), bad, LABELS)
    assert str(many.value) == str(alone.value)


class Doubling(MLPClassifier):
    def _rows(self, X, reset=False):
        return 2 * X if self.random_state else X


class Looking(EpochCallback):
    def after_epoch(self, model, memory):
        return False


@pytest.mark.parametrize(
    "odd",
    [
        Doubling(**SMALL, random_state=1),
        MLPClassifier(**SMALL, random_state=1).set_callbacks(Looking()),
        MLPClassifier(
            **SMALL, random_state=1, early_stopping=True, scoring=lambda model, X, y: 1.0
        ),
    ],
    ids=["hook", "callback", "scorer"],
)
def test_nothing_is_shared_where_code_of_the_users_gets_the_data(odd, checks):
    models = [odd, *several(MLPClassifier, hidden_layer_sizes=3)]
    fit_many(models, X, LABELS)
    assert len(checks) == len(models)


def test_data_are_shared_where_they_are_the_very_same():
    shared = SharedData({"X": X, "y": LABELS})
    assert shared_data(X=X, y=LABELS) is None
    with shared.in_use():
        assert shared_data(X=X, y=LABELS, sample_weight=None) is shared
        assert shared_data(X=X.copy(), y=LABELS, sample_weight=None) is None
        assert shared_data(X=X, y=LABELS, sample_weight=np.ones(30)) is None


def test_other_processes_find_out_for_themselves():
    shared = SharedData({"X": X, "y": LABELS})
    shared._found["key"] = "found"
    again = pickle.loads(pickle.dumps(shared))
    assert again.once("key", lambda: "found again") == "found again"
