"""Training data: what is accepted, and which part is held out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import BaseShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import column_or_1d
from sklearn.utils.validation import _check_sample_weight, validate_data

from skopt_dl._warnings import warn_user
from skopt_dl.backends import to_host


def training_data(
    estimator: Any, X: Any, y: Any, sample_weight: Any, dtypes: list[Any], reset: bool
) -> tuple[Any, Any, np.ndarray | None]:
    """Check the arguments of a fit.

    Parameters
    ----------
    estimator : BaseMLP
        Remembers features, where `reset`, or is compared with them.
    X, y, sample_weight
        As `fit` got them.
    dtypes : list of dtype
        What `X` may stay; it becomes the first if it is none of them.
    reset : bool

    Returns
    -------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : ndarray or sparse matrix of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples, 1) or None
    """
    X, y = samples_and_targets(estimator, X, y, dtypes, reset)
    if sample_weight is not None:
        sample_weight = _checked_weights(sample_weight, X)[:, None]
    return X, y, sample_weight


def _checked_weights(sample_weight: Any, X: Any) -> np.ndarray:
    """Weights of samples in their precision, ``(n_samples,)``."""
    try:
        with np.errstate(over="ignore"):
            weights = _check_sample_weight(
                to_host(sample_weight), X, dtype=X.dtype, ensure_non_negative=True
            )
            finite = np.isfinite(weights.sum())
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"sample_weight must be {X.shape[0]} numbers, one for each sample, finite and not "
            f"negative; got {_shortened(sample_weight)}. {error}"
        ) from error
    if not finite:
        raise ValueError(f"The sum of sample_weight is beyond the range of {X.dtype}. Scale it.")
    return weights


def _shortened(value: Any) -> str:
    """A value, or what it is where it is long."""
    text = repr(value)
    if len(text) <= 60:
        return text
    shape = getattr(value, "shape", None)
    size = f" of shape {shape}" if shape is not None else ""
    return f"a {type(value).__name__}{size}"


def n_bytes_copied(given: Any, X: Any) -> int:
    """What samples as they came take, in bytes, if `X` is a copy of them; else 0."""
    if given is X or (isinstance(given, np.ndarray) and np.may_share_memory(given, X)):
        return 0
    # A data frame holds about a float64 for each number.
    return int(getattr(given, "nbytes", 8 * math.prod(X.shape)))


def samples_and_targets(
    estimator: Any, X: Any, y: Any, dtypes: list[Any], reset: bool = False
) -> tuple[Any, Any]:
    """Check samples and targets alone; parameters are as for `training_data`."""
    if np.float32 in dtypes and _is_single_precision(X):
        # scikit-learn sees the dtypes of pandas frames only; others would become float64.
        dtypes = [np.float32]
    X, y = to_host(X), to_host(y)
    if _are_plain(X, y, dtypes) and not hasattr(estimator, "feature_names_in_"):
        if reset:
            estimator.n_features_in_ = X.shape[1]
        if estimator.n_features_in_ == X.shape[1]:
            return X, y
    check_indices(X)
    check_indices(y, "y")
    _check_form(estimator, y)
    X, y = validate_data(
        estimator,
        X,
        y,
        accept_sparse=["csr", "csc"],
        multi_output=True,
        y_numeric=is_regressor(estimator),
        dtype=dtypes,
        order="C",
        reset=reset,
    )
    if sparse.issparse(X):
        X = X.tocsr()
    if not sparse.issparse(y) and y.ndim == 2 and y.shape[1] == 1:
        warn_user(
            f"A column-vector y was passed, of shape {y.shape}, where a 1d array was expected. "
            "Pass y.ravel().",
            DataConversionWarning,
        )
        y = column_or_1d(y)
    return X, y


def _are_plain(X: Any, y: Any, dtypes: list[Any]) -> bool:
    """Whether scikit-learn would return these as they are, which takes it longer to find out."""
    if not (type(X) is type(y) is np.ndarray and X.ndim == 2 and y.ndim == 1):
        return False
    if not (X.dtype in dtypes and X.flags.c_contiguous and y.dtype.kind in "biuf"):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(X.sum()) and np.isfinite(y.sum())
    return bool(finite) and len(X) == len(y) and X.size > 0


def _check_form(estimator: Any, y: Any) -> None:
    """Refuse targets that are sparse and no indicators, or that lack values."""
    if sparse.issparse(y):
        if is_regressor(estimator) or y.ndim != 2 or y.shape[1] < 2:
            raise ValueError(
                f"y is sparse, of shape {y.shape}: only indicators of several labels may be. Pass "
                "y.toarray()."
            )
        return
    try:
        values = np.asarray(y)
    except ValueError:
        return  # scikit-learn says what is wrong with it
    if values.dtype == object and values.ndim > 0:
        places = np.argwhere(np.frompyfunc(_is_missing, 1, 1)(values).astype(bool))
        if len(places):
            raise ValueError(
                f"y contains None or NaN: {len(places)} missing values, the first in row "
                f"{places[0][0]}. Leave these samples out."
            )


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # what pandas.NA says to every question
        return True
    except ValueError:  # an array
        return False


def check_indices(array: Any, name: str = "X") -> None:
    """See that the indices of a sparse array lie within it.

    Nothing that works with one looks at them: an index out of range ends the process.

    Raises
    ------
    ValueError
        Naming the array and what is wrong with it. Arrays of other kinds pass.
    """
    if not sparse.issparse(array):
        return
    try:
        if array.format in ("csr", "csc", "bsr"):
            array.check_format(full_check=True)
        elif array.format == "coo":
            for indices, length in zip(array.coords, array.shape, strict=True):
                if len(indices) and not 0 <= indices.min() <= indices.max() < length:
                    raise ValueError(f"indices must be from 0 to {length - 1}")
    except ValueError as error:
        raise ValueError(
            f"{name} is a sparse {array.format.upper()} array of shape {array.shape} whose indices "
            f"are not valid: {error}. Something has changed {name}.indices or {name}.indptr: build "
            "the array anew."
        ) from None


def _is_single_precision(X: Any) -> bool:
    """Whether `X` is a data frame of single precision columns."""
    dtypes = getattr(X, "dtypes", None)
    return np.iterable(dtypes) and all(str(dtype).lower() == "float32" for dtype in dtypes)


def split(
    strata: np.ndarray | None,
    n_samples: int,
    validation_fraction: float,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows to train on and rows to validate on.

    Strata keep their shares in both where each has enough samples.

    Raises
    ------
    ValueError
        If that leaves fewer than two samples to validate on, or none to train on.
    """
    n_validation = math.ceil(validation_fraction * n_samples)
    n_train = n_samples - n_validation
    if n_validation < 2 or n_train < 1:
        raise ValueError(
            f"validation_fraction={validation_fraction} of {n_samples} samples makes "
            f"{n_validation} to validate on and {n_train} to train on; early stopping needs at "
            "least 2 and 1. Change validation_fraction, pass X_val and y_val, or set "
            "early_stopping=False."
        )
    if strata is not None:
        _, counts = np.unique(strata, return_counts=True)
        if counts.min() < 2 or len(counts) > min(n_validation, n_train):
            strata = None
    # As train_test_split, which takes half as long again: it looks for data frames.
    shuffle = ShuffleSplit if strata is None else StratifiedShuffleSplit
    splitter = shuffle(1, train_size=n_train, test_size=n_validation, random_state=random_state)
    # The split of all shuffles: that of stratified ones looks through the strata once more.
    rows, validation_rows = next(BaseShuffleSplit.split(splitter, np.arange(n_samples), strata))
    return rows, validation_rows
