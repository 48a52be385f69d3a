"""pandas and polars in and out: column names, targets of all kinds, and ``set_output``."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.optimizers import Adam

# Trainings are short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

X, SPECIES = load_iris(return_X_y=True)
SCALED = StandardScaler().fit_transform(X)
NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
LABELS = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
WEIGHT = np.random.default_rng(0).exponential(size=len(X))
# How each library makes a frame and a column.
FRAMES = {
    "pandas": (lambda array: pd.DataFrame(array, columns=NAMES), pd.Series),
    "polars": (lambda array: pl.DataFrame(array, schema=NAMES), pl.Series),
}


def classifier(**params):
    given = {"hidden_layer_sizes": 5, "optimizer": Adam(0.02), "max_iter": 15, "random_state": 0}
    return MLPClassifier(**{**given, **params})


def regressor(**params):
    given = {"hidden_layer_sizes": 5, "optimizer": Adam(0.02), "max_iter": 15, "random_state": 0}
    return MLPRegressor(**{**given, **params})


@pytest.fixture(params=FRAMES)
def library(request):
    return request.param


@pytest.fixture
def frame(library):
    return FRAMES[library][0](X)


@pytest.fixture
def series(library):
    return FRAMES[library][1]


@pytest.mark.parametrize(
    ("model", "y"), [(classifier(), LABELS), (classifier(), SPECIES), (regressor(), X[:, 0] * 2.0)]
)
def test_frames_and_columns_train_the_model_of_the_same_arrays(frame, series, model, y):
    framed = clone(model).fit(frame, series(y.tolist()), sample_weight=series(WEIGHT.tolist()))
    plain = clone(model).fit(X, y, sample_weight=WEIGHT)
    assert list(framed.feature_names_in_) == NAMES
    assert not hasattr(plain, "feature_names_in_")
    for mine, its in zip(framed.coefs_, plain.coefs_, strict=True):
        np.testing.assert_array_equal(mine, its)
    prediction = framed.predict(frame)
    assert type(prediction) is np.ndarray
    np.testing.assert_array_equal(prediction, plain.predict(X))
    assert framed.score(frame, series(y.tolist())) == plain.score(X, y)


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series(LABELS, dtype="category"),
        pd.Series(LABELS, dtype="object"),
        pd.Series(LABELS, dtype="string"),
        pl.Series(LABELS, dtype=pl.Categorical),
        pl.Series(LABELS, dtype=pl.Enum(["virginica", "setosa", "versicolor"])),
        list(LABELS),
    ],
    ids=["category", "object", "string", "polars categorical", "polars enum", "list"],
)
def test_labels_of_any_kind_are_learnt_and_predicted(labels):
    model = classifier(max_iter=60).fit(SCALED, labels)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    assert model.score(SCALED, labels) > 0.8
    plain = classifier(max_iter=60).fit(SCALED, LABELS)
    np.testing.assert_array_equal(model.predict(SCALED), plain.predict(SCALED))


@pytest.mark.parametrize(
    "labels",
    [pd.Series(SPECIES > 0), pd.Series(SPECIES > 0, dtype="boolean"), pl.Series(SPECIES > 0)],
    ids=["bool", "nullable", "polars"],
)
def test_truth_values_are_labels(labels):
    model = classifier(max_iter=60).fit(SCALED, labels)
    assert set(model.predict(SCALED).tolist()) == {False, True}
    assert model.score(SCALED, labels) > 0.95


def test_several_targets_come_as_a_frame(frame, library):
    target = frame[NAMES[:2]]
    model = regressor().fit(frame, target)
    np.testing.assert_array_equal(model.predict(frame), regressor().fit(X, X[:, :2]).predict(X))
    labels = FRAMES[library][0](np.column_stack([SPECIES > 0] * 4).astype(int))
    many = classifier().fit(frame, labels)
    assert many.predict(frame).shape == (150, 4)


def test_columns_of_different_types_become_one_precision(library):
    columns = {
        "count": SPECIES.astype(np.int8),
        "flag": SPECIES > 1,
        "single": X[:, 0].astype(np.float32),
        "double": X[:, 1],
    }
    mixed = (pd if library == "pandas" else pl).DataFrame(columns)
    model = classifier().fit(mixed, LABELS)
    plain = classifier().fit(np.column_stack(list(columns.values())).astype(np.float64), LABELS)
    assert model.coefs_[0].dtype == np.float64
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])


def test_frame_of_single_precision_is_trained_in_it(library):
    single = FRAMES[library][0](X.astype(np.float32))
    assert classifier().fit(single, LABELS).coefs_[0].dtype == np.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda names: ["petal area", *names[1:]], "unseen at fit time:\n- petal area"),
        (lambda names: names[:3], "seen at fit time, yet now missing:\n- petal width"),
        (lambda names: names[::-1], "must be in the same order"),
    ],
    ids=["renamed", "missing", "reordered"],
)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "partial_fit", "transform"])
def test_other_columns_than_at_fit_time_are_refused(library, frame, change, message, method):
    model = classifier().fit(frame, LABELS)
    names = change(NAMES)
    other = frame[NAMES[: len(names)]]
    renaming = dict(zip(NAMES, names, strict=False))
    other = other.rename(columns=renaming) if library == "pandas" else other.rename(renaming)
    arguments = (other, LABELS) if method == "partial_fit" else (other,)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(*arguments)


def test_array_after_a_frame_and_frame_after_an_array_warn(frame):
    with pytest.warns(UserWarning, match="X does not have valid feature names, but MLPClassifier"):
        classifier().fit(frame, LABELS).predict(X)
    with pytest.warns(
        UserWarning, match="X has feature names, but MLPClassifier was fitted without"
    ):
        classifier().fit(X, LABELS).predict(frame)


def test_gaps_in_a_frame_are_refused(library):
    gap = X.copy()
    gap[3, 1] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        classifier().fit(FRAMES[library][0](gap), LABELS)


def test_cross_validation_and_partial_fits_take_frames(frame, series):
    model = make_pipeline(StandardScaler(), classifier(max_iter=40))
    scores = cross_val_score(model, frame, series(LABELS.tolist()), cv=3)
    np.testing.assert_array_equal(scores, cross_val_score(model, X, LABELS, cv=3))
    online = classifier()
    for _ in range(15):
        online.partial_fit(frame, series(LABELS.tolist()), classes=series(sorted(set(LABELS))))
    assert list(online.feature_names_in_) == NAMES
    np.testing.assert_array_equal(online.coefs_[0], classifier().fit(X, LABELS).coefs_[0])


def test_named_output_of_the_scaler_reaches_the_classifier(frame, library):
    pipeline = make_pipeline(StandardScaler(), classifier(max_iter=60))
    pipeline.set_output(transform=library).fit(frame, LABELS)
    assert list(pipeline[-1].feature_names_in_) == NAMES
    plain = make_pipeline(StandardScaler(), classifier(max_iter=60)).fit(X, LABELS)
    np.testing.assert_allclose(pipeline.predict_proba(frame), plain.predict_proba(X))


def test_encoded_columns_reach_the_regressor_by_name(library):
    frame = (pd if library == "pandas" else pl).DataFrame(
        {"colour": ["red", "green"] * 75, "size": X[:, 0]}
    )
    columns = ColumnTransformer(
        [
            ("kind", OneHotEncoder(sparse_output=False), ["colour"]),
            ("n", StandardScaler(), ["size"]),
        ]
    ).set_output(transform=library)
    target = X[:, 0] + 3.0 * (frame["colour"].to_numpy() == "red")
    pipeline = make_pipeline(columns, regressor(optimizer="lbfgs", max_iter=200))
    pipeline.fit(frame, target)
    names = ["kind__colour_green", "kind__colour_red", "n__size"]
    assert list(pipeline[-1].feature_names_in_) == names
    assert pipeline.score(frame, target) > 0.99


# What the last hidden layer makes of the features


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("hidden", [7, (6, 3)])
def test_transformed_features_are_the_activations_of_the_last_hidden_layer(make, hidden):
    model = make(hidden_layer_sizes=hidden, activation="tanh").fit(X, SPECIES)
    expected = X
    for weights, bias in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        expected = np.tanh(expected @ weights + bias)
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-12)
    # One layer further is the output.
    raw = model.transform(X) @ model.coefs_[-1] + model.intercepts_[-1]
    if make is classifier:
        np.testing.assert_array_equal(model.predict(X), raw.argmax(axis=1))
    else:
        np.testing.assert_allclose(model.predict(X), raw[:, 0])


def test_activations_have_names_in_the_frame_that_was_asked_for(frame, library):
    model = classifier().set_output(transform=library).fit(frame, LABELS)
    hidden = model.transform(frame)
    assert type(hidden) is type(frame)
    assert list(hidden.columns) == list(model.get_feature_names_out())
    assert len(set(hidden.columns)) == 5
    np.testing.assert_array_equal(hidden.to_numpy(), classifier().fit(X, LABELS).transform(X))
    # Predictions stay arrays.
    assert type(model.predict_proba(frame)) is np.ndarray


def test_pandas_output_keeps_the_index():
    frame = pd.DataFrame(X, columns=NAMES, index=pd.Index(np.arange(150) * 7, name="plant"))
    hidden = classifier().set_output(transform="pandas").fit(frame, LABELS).transform(frame)
    pd.testing.assert_index_equal(hidden.index, frame.index)


def test_pipeline_names_the_activations_at_its_end(frame, library):
    pipeline = make_pipeline(StandardScaler(), classifier()).set_output(transform=library)
    hidden = pipeline.fit(frame, LABELS).transform(frame)
    assert list(hidden.columns) == list(pipeline.get_feature_names_out())
    by_hand = classifier().fit(SCALED, LABELS)
    np.testing.assert_allclose(hidden.to_numpy(), by_hand.transform(SCALED))


def test_activations_are_features_for_another_model():
    ring = (np.linalg.norm(X[:, :2] - X[:, :2].mean(axis=0), axis=1) > 0.8).astype(int)
    network = classifier(optimizer="lbfgs", max_iter=200)
    features = FeatureUnion([("raw", StandardScaler()), ("hidden", network)])
    model = make_pipeline(StandardScaler(), features, LogisticRegression(max_iter=1000))
    model.set_output(transform="pandas").fit(X, ring)
    assert model[-1].n_features_in_ == 4 + 5
    assert model.score(X, ring) > 0.9
    alone = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, ring)
    assert alone.score(X, ring) < 0.85
