"""Many models, fitted together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np


def fit_many(
    estimators: Sequence[Any],
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    n_jobs: int = -1,
    client: Any = None,
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

    Returns
    -------
    estimators : list
        The same objects, in order.

    Raises
    ------
    ValueError
        If lists of data are not as long as `estimators`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skopt_dl import MLPClassifier, fit_many
    >>> X, y = load_iris(return_X_y=True)
    >>> models = [MLPClassifier(10, optimizer="lbfgs", random_state=seed) for seed in range(5)]
    >>> [model.score(X, y) > 0.9 for model in fit_many(models, X, y)]
    [True, True, True, True, True]
    """
    estimators = list(estimators)
    given = {"X": X, "y": y, "sample_weight": sample_weight}
    columns = {name: value for name, value in given.items() if value is not None}
    if _is_list_of_tables(X):
        for name, value in columns.items():
            if len(value) != len(estimators):
                raise ValueError(
                    f"{name} is a list of {len(value)} arrays for {len(estimators)} estimators: "
                    "pass one array for all, or one for each."
                )
    else:
        columns = {name: [value] * len(estimators) for name, value in columns.items()}
    tasks = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    with joblib.parallel_config(backend="skopt_dl", n_jobs=n_jobs, client=client):
        fitted = joblib.Parallel()(
            joblib.delayed(_fit)(estimator, data)
            for estimator, data in zip(estimators, tasks, strict=True)
        )
    for estimator, found in zip(estimators, fitted, strict=True):
        # What another process has fitted is a copy.
        if found is not estimator:
            vars(estimator).update(vars(found))
    return estimators


def _is_list_of_tables(X: Any) -> bool:
    """Whether `X` is a list of data sets, and not one written as a list of rows."""
    return isinstance(X, list | tuple) and len(X) > 0 and all(len(np.shape(t)) == 2 for t in X)


def _fit(estimator: Any, data: dict[str, Any]) -> Any:
    return estimator.fit(**data)
