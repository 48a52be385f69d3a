"""Many models, fitted together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import joblib
import numpy as np

from skopt_dl.search.sharing import SharedData


def fit_many(
    estimators: Sequence[Any],
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    n_jobs: int = -1,
    client: Any = None,
    journal: Any = None,
) -> list[Any]:
    """Fit many models; those of skopt_dl in stacks.

    The results are those of ``[each.fit(X, y) for each in estimators]``.

    Parameters
    ----------
    estimators : sequence of estimators
        Models, or whatever contains some, such as pipelines; fitted in place.
    X : array-like of shape (n_samples, n_features), or list of such arrays
        One data set for all, or a list with one for each estimator.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), or list of such arrays
        As `X`.
    sample_weight : array-like of shape (n_samples,), or list of such arrays, default=None
        As `X`.
    n_jobs : int, default=-1
        How many may be under way at once; -1 means 64 for each core.
    client : dask.distributed.Client, default=None
        Trains the stacks; None trains them here.
    journal : str or path-like, default=None
        A folder that keeps every model as soon as it is trained: the same call, made again after a
        crash, takes from there what it can.

    Returns
    -------
    estimators : list
        The same objects, in order.

    Raises
    ------
    TypeError
        If `estimators` is no sequence of objects with a ``fit``.
    ValueError
        If the same object is there twice, or lists of data are not as long as `estimators`, or
        some data are lists and others are not.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, fit_many
    >>> X, y = load_iris(return_X_y=True)
    >>> models = [MLPClassifier(10, optimizer="lbfgs", random_state=seed) for seed in range(5)]
    >>> [model.score(X, y) > 0.9 for model in fit_many(models, X, y)]
    [True, True, True, True, True]
    """
    estimators = _checked(estimators)
    given = {"X": X, "y": y, "sample_weight": sample_weight}
    columns = {name: value for name, value in given.items() if value is not None}
    shared: SharedData | None = None
    if _is_list_of_tables(X):
        for name, value in columns.items():
            _check_list(name, value, len(estimators))
        rows = zip(*columns.values(), strict=True)
        data = [dict(zip(columns, values, strict=True)) for values in rows]
    else:
        if _is_list_of_arrays(y) and len(y) == len(estimators) != len(X):
            raise ValueError(
                f"y is a list of {len(y)} arrays, and X is one table. Pass X as a list too, "
                "[X] * len(estimators) for the same samples."
            )
        data = [columns] * len(estimators)
        if all(getattr(each, "_leaves_data_alone", False) for each in estimators):
            shared = SharedData(columns)
    with joblib.parallel_config(backend="skopt_dl", n_jobs=n_jobs, client=client, journal=journal):
        fitted = joblib.Parallel()(
            joblib.delayed(_fit)(*pair, shared) for pair in zip(estimators, data, strict=True)
        )
    for estimator, found in zip(estimators, fitted, strict=True):
        # What another process has fitted is a copy.
        if found is not estimator:
            vars(estimator).update(vars(found))
    return estimators


def _checked(estimators: Any) -> list[Any]:
    """The estimators as a list of different objects that can be fitted."""
    if hasattr(estimators, "fit") or not np.iterable(estimators):
        raise TypeError(
            "estimators must be a list of estimators; got "
            f"{'a single one, ' if hasattr(estimators, 'fit') else ''}{estimators!r}."
        )
    estimators = list(estimators)
    first: dict[int, int] = {}
    for place, each in enumerate(estimators):
        if isinstance(each, type) or not hasattr(each, "fit"):
            raise TypeError(f"estimators[{place}] must be an object with a fit; got {each!r}.")
        if id(each) in first:
            raise ValueError(
                f"estimators[{place}] is the same object as estimators[{first[id(each)]}]: it can "
                "be fitted once. Pass copies, such as [clone(model) for _ in range(5)], with a "
                "random_state each."
            )
        first[id(each)] = place
    return estimators


def _check_list(name: str, value: Any, n_estimators: int) -> None:
    """See that data of a call with a list of tables are a list too, one for each estimator."""
    if not _is_list_of_arrays(value):
        raise ValueError(
            f"X is a list of tables, one for each estimator, so {name} must be a list of arrays "
            f"too; got {type(value).__name__} of shape {np.shape(value)}."
        )
    if len(value) != n_estimators:
        raise ValueError(
            f"{name} is a list of {len(value)} arrays for {n_estimators} estimators: "
            "pass one array for all, or one for each."
        )


def _is_list_of_arrays(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(np.ndim(each) > 0 for each in value)


def _is_list_of_tables(X: Any) -> bool:
    """Whether `X` is a list of data sets, and not one written as a list of rows."""
    return isinstance(X, list | tuple) and len(X) > 0 and all(len(np.shape(t)) == 2 for t in X)


def _fit(estimator: Any, data: dict[str, Any], shared: SharedData | None) -> Any:
    with nullcontext() if shared is None else shared.in_use():
        return estimator.fit(**data)
