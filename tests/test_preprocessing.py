import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skopt_dl.preprocessing import SmoothRobustScaler


@pytest.fixture
def table():
    """Skewed features on scales from 1e-3 to 1e3, an offset, and an outlier."""
    rng = np.random.default_rng(0)
    X = rng.lognormal(size=(101, 5)) * 10.0 ** rng.uniform(-3, 3, 5) + [0, 1e3, -5, 0, 0]
    X[7, 2] = 1e9
    return X


def missing(X, share=0.2, seed=1):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


@parametrize_with_checks([SmoothRobustScaler(), SmoothRobustScaler(max_value=None)])
def test_transformer_passes_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("change", [np.asarray, missing], ids=["complete", "missing"])
def test_without_bound_it_is_the_robust_scaler_of_scikit_learn(table, dtype, change):
    X = change(table).astype(dtype)
    ours, theirs = SmoothRobustScaler(max_value=None).fit(X), RobustScaler().fit(X)
    rtol = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(ours.center_, theirs.center_, rtol)
    np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol)
    result = ours.transform(X)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, theirs.transform(X), rtol, atol=rtol)


@pytest.mark.parametrize("max_value", [3.0, 0.5, 10])
def test_bound_is_the_closed_form_of_the_paper(table, max_value):
    linear = RobustScaler().fit_transform(table)
    expected = linear / np.sqrt(1 + (linear / max_value) ** 2)
    result = SmoothRobustScaler(max_value).fit_transform(table)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)
    assert np.abs(result).max() == pytest.approx(max_value)


def test_where_quartiles_coincide_half_the_range_is_the_scale():
    X = np.zeros((9, 1))
    X[0], X[-1] = -1.0, 5.0
    result = SmoothRobustScaler(max_value=None).fit_transform(X)
    np.testing.assert_allclose(result.ravel(), [-1 / 3, *[0] * 7, 5 / 3])


@pytest.mark.parametrize("value", [0.0, -7.5, 1e300])
def test_constant_feature_becomes_zero_for_other_values_too(value):
    scaler = SmoothRobustScaler().fit(np.full((5, 1), value))
    transformed = scaler.transform([[value], [1.0], [np.nan]])
    np.testing.assert_array_equal(transformed, [[0], [0], [np.nan]])
    np.testing.assert_array_equal(scaler.inverse_transform([[0.0]]), [[value]])


def test_feature_that_is_constant_but_for_rounding_becomes_zero():
    X = np.array([[0.3], [0.1 + 0.2], [0.3], [0.1 + 0.2]])
    assert np.ptp(X) > 0
    assert not SmoothRobustScaler().fit_transform(X).any()


def test_outlier_does_not_make_the_rest_look_constant():
    X = np.array([[1.0], [2.0], [3.0], [4.0], [1e300]])
    np.testing.assert_allclose(
        SmoothRobustScaler(max_value=None).fit_transform(X)[:4, 0], [-1, -0.5, 0, 0.5]
    )


def test_feature_without_values_stays_missing_and_becomes_zero_later():
    X = np.array([[1.0, np.nan], [2.0, np.nan]])
    scaler = SmoothRobustScaler().fit(X)
    assert np.isnan(scaler.transform(X)[:, 1]).all()
    assert scaler.transform([[1.0, 5.0]])[0, 1] == 0


def test_missing_values_stay_where_they_are(table):
    X = missing(table)
    np.testing.assert_array_equal(np.isnan(SmoothRobustScaler().fit_transform(X)), np.isnan(X))


def test_data_of_the_caller_is_left_alone(table):
    before = table.copy()
    scaler = SmoothRobustScaler().fit(table)
    scaler.inverse_transform(scaler.transform(table))
    np.testing.assert_array_equal(table, before)


def test_values_beyond_the_range_of_the_dtype_reach_the_bound():
    X = np.array([[0.0], [1e-30], [2e-30], [3e-30], [1e30]], dtype="float32")
    bounded, linear = (SmoothRobustScaler(bound).fit_transform(X) for bound in (3.0, None))
    assert bounded[-1, 0] == 3
    assert linear[-1, 0] == np.finfo("float32").max


def test_data_frames_go_in_and_come_out(table):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(table, columns=list("abcde"), index=range(100, 201))
    scaler = SmoothRobustScaler().set_output(transform="pandas")
    result = scaler.fit_transform(frame)
    assert list(result.columns) == list(scaler.get_feature_names_out()) == list("abcde")
    assert result.index.equals(frame.index)
    np.testing.assert_array_equal(result, SmoothRobustScaler().fit_transform(table))


def test_sparse_data_are_refused():
    with pytest.raises(TypeError, match="dense data is required"):
        SmoothRobustScaler().fit(sparse.eye_array(3))


@pytest.mark.parametrize("max_value", [0, -1.0, "3", np.nan])
def test_bound_that_is_none_is_refused(max_value):
    with pytest.raises(ValueError, match="max_value of SmoothRobustScaler must be"):
        SmoothRobustScaler(max_value).fit([[1.0]])


def test_fitted_transformer_pickles_and_clones_within_a_pipeline(table):
    pipeline = make_pipeline(SmoothRobustScaler(2.0)).fit(table)
    again = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(again.transform(table), pipeline.transform(table))
    assert clone(pipeline).set_params(smoothrobustscaler__max_value=None)[0].max_value is None


# Rounded, since quotients of numbers next to zero overflow.
tables = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 30), st.integers(1, 3)), elements=st.floats(-1e6, 1e6)
).map(lambda X: np.round(X, 6))
PROPERTY = settings(deadline=None, max_examples=60)


@PROPERTY
@given(X=tables, bound=st.floats(0.1, 100))
def test_result_is_bounded_and_keeps_the_order_of_values(X, bound):
    result = SmoothRobustScaler(bound).fit_transform(X)
    assert np.isfinite(result).all()
    assert (np.abs(result) <= bound * (1 + 1e-15)).all()
    for before, after in zip(X.T, result.T, strict=True):
        assert (np.diff(after[np.argsort(before)]) >= -4e-16 * bound).all()


@PROPERTY
@given(X=tables, factor=st.floats(1e-3, 1e3), offset=st.integers(-1000, 1000))
def test_result_does_not_depend_on_units(X, factor, offset):
    X = np.round(X)  # coarser than what adding an offset rounds off
    scaler = SmoothRobustScaler()
    np.testing.assert_allclose(
        scaler.fit_transform(X * factor + offset), scaler.fit_transform(X), atol=1e-5
    )


@PROPERTY
@given(X=tables, bound=st.sampled_from([None, 0.5, 3.0]))
def test_inverse_leads_back_except_where_the_bound_was_reached(X, bound):
    scaler = SmoothRobustScaler(bound).fit(X)
    # The slope of the inverse magnifies rounding.
    linear = SmoothRobustScaler(None).fit(X).transform(X)
    slope = np.hypot(1, linear / bound) ** 3 if bound else np.ones_like(X)
    back = scaler.inverse_transform(scaler.transform(X))
    tolerance = 1e-14 * (slope * scaler.scale_ * (bound or 1) + np.abs(X) + np.abs(scaler.center_))
    usable = slope < 1e9
    assert (np.abs(back - X) <= tolerance + 1e-300)[usable & (scaler.scale_ > 0)].all()
    assert np.isfinite(back).all()
