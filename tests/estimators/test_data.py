"""Plain data are taken without scikit-learn's checks, and nobody can tell."""

import warnings

import numpy as np
import pytest
from sklearn.utils import check_random_state

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.estimators import data, preparing, targets
from skopt_dl.estimators.data import samples_and_targets
from skopt_dl.estimators.targets import label_encoding

X = np.random.default_rng(0).normal(size=(24, 3))
LABELS = np.arange(24) % 3
FLOATS = [np.float64, np.float32]

SAMPLES = {
    "plain": X,
    "float32": X.astype(np.float32),
    "integers": (10 * X).astype(int),
    "swapped": X.astype(X.dtype.newbyteorder()),
    "columns": np.asfortranarray(X),
    "every other": np.repeat(X, 2, axis=1)[:, ::2],
    "read only": np.frombuffer(X.tobytes()).reshape(X.shape),
    "matrix": X.view(type("Table", (np.ndarray,), {})),
    "list": X.tolist(),
    "NaN": np.where(X > 2, np.nan, X),
    "infinite": np.where(X > 1, np.inf, np.where(X < -1, -np.inf, X)),
    "large": np.full(X.shape, 1e308),
    "flat": X[:, 0],
    "no features": X[:, :0],
    "no samples": X[:0],
    "short": X[:20],
    "wide": np.hstack([X, X]),
}
TARGETS = {
    "plain": LABELS,
    "booleans": LABELS > 1,
    "bytes": LABELS.astype(np.uint8),
    "numbers": X[:, 0],
    "whole numbers": LABELS.astype(float),
    "half": X[:, 0].astype(np.float16),
    "NaN": np.where(LABELS, X[:, 0], np.nan),
    "texts": np.array(["a", "b", "c"])[LABELS],
    "objects": LABELS.astype(object),
    "complex": LABELS + 1j,
    "column": LABELS[:, None],
    "columns": X[:, :2],
    "every other": np.repeat(LABELS, 2)[::2],
    "none": LABELS[:0],
    "different": np.arange(24),
    "list": LABELS.tolist(),
}


def _came_of(function, *args):
    """What a function returned or raised, and the warnings."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        try:
            result = function(*args)
        except (ValueError, TypeError) as error:
            result = f"{type(error).__name__}: {error}"
    return result, [(each.category, str(each.message)) for each in shown]


def _same(a, b):
    if isinstance(a, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and np.array_equal(a, b)
    return a == b


@pytest.mark.parametrize("fitted", [None, "plain", "named"])
@pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])
def test_samples_and_targets_are_what_scikit_learn_makes_of_them(make, fitted, monkeypatch):
    n_plain = 0
    pairs = [(x, LABELS) for x in SAMPLES.values()] + [(X, y) for y in TARGETS.values()]
    for reset in (True, False) if fitted else (True,):
        for x, y in pairs:
            found = []
            for is_asked in (False, True):
                model = make()
                if fitted:
                    model.n_features_in_ = 3
                if fitted == "named":
                    model.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
                with monkeypatch.context() as patch:
                    if is_asked:
                        patch.setattr(data, "_are_plain", lambda *args: False)
                    arguments = model, x, y, FLOATS, reset
                    found.append((*_came_of(samples_and_targets, *arguments), vars(model)))
            (ours, *rest), (theirs, *others) = found
            n_plain += data._are_plain(x, y, FLOATS)
            assert len(ours) == len(theirs)
            assert all(map(_same, ours, theirs)), (x, y, ours, theirs)
            if isinstance(theirs, tuple):
                assert [a is b for a, b in zip(ours, (x, y), strict=True)] == [
                    a is b for a, b in zip(theirs, (x, y), strict=True)
                ]
            assert repr(rest) == repr(others)
    assert n_plain >= 8


@pytest.mark.parametrize("classes", [None, [0, 1, 2, 3], [[0, 1], [2, 3]], []])
def test_classes_are_those_that_scikit_learn_leads_to(classes, monkeypatch):
    for y in TARGETS.values():
        ours = _came_of(label_encoding, y, classes)
        with monkeypatch.context() as patch:
            patch.setattr(targets, "_are_plain", lambda y: False)
            theirs = _came_of(label_encoding, y, classes)
        assert repr(ours[1]) == repr(theirs[1])
        assert type(ours[0]) is type(theirs[0])
        if isinstance(ours[0], str):
            assert ours[0] == theirs[0]
        else:
            assert repr(vars(ours[0])) == repr(vars(theirs[0]))


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, np.int64(7), np.uint8(7)])
def test_seed_draws_what_it_draws_in_scikit_learn(seed):
    ours, theirs = preparing._random_state(seed), check_random_state(seed)
    for draw in ("randint", "permutation"):
        found, wanted = (getattr(each, draw)(2**20) for each in (ours, theirs))
        np.testing.assert_array_equal(found, wanted)
    assert ours.normal() == theirs.normal()
