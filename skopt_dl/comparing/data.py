"""The table that optimizers are compared on: where it is found, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skopt_dl._params import did_you_mean

# What scikit-learn ships, and the name of its function.
SHIPPED = {
    "iris": "load_iris",
    "wine": "load_wine",
    "breast_cancer": "load_breast_cancer",
    "digits": "load_digits",
    "diabetes": "load_diabetes",
}
TASKS = ("classification", "regression")
# Whole numbers are classes up to so many different ones.
MAX_CLASSES = 20


class TableError(ValueError):
    """Raised for a table that optimizers cannot be compared on; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Data:
    """A table of numbers, and what is to be predicted.

    Attributes
    ----------
    name : str
    X : ndarray of shape (n_samples, n_features)
        float64, finite.
    y : ndarray of shape (n_samples,)
        Class numbers from 0, or float64 targets.
    task : {"classification", "regression"}
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    task: str

    @property
    def n_classes(self) -> int:
        """How many classes there are; 0 for a regression."""
        return len(np.unique(self.y)) if self.task == "classification" else 0


def load(source: Any, target: str | None = None, task: str | None = None) -> Data:
    """Return the table to compare on.

    Parameters
    ----------
    source : str, path-like, or tuple of X and y
        A name of `SHIPPED`, a CSV or parquet file, or arrays.
    target : str, default=None
        The column to predict, of a file.
    task : {"classification", "regression"}, default=None
        None means classification for texts, booleans, and up to twenty different whole numbers.

    Raises
    ------
    TableError
        If there is no such table, or it has no use here; the message says what to do.
    ImportError
        If reading it needs a package that is missing.

    Examples
    --------
    >>> from skopt_dl.comparing.data import load
    >>> load("wine").X.shape
    (178, 13)
    """
    if task is not None and task not in TASKS:
        raise TableError(f"task must be {' or '.join(map(repr, TASKS))}; got {task!r}.")
    if isinstance(source, tuple):
        if len(source) != 2:
            raise TableError(f"Pass arrays as (X, y); got a tuple of {len(source)}.")
        X, y = source
        frame = _as_columns(X)
        return _checked("data", frame, np.asarray(y), task, "y")
    if isinstance(source, str) and source in SHIPPED:
        if target is not None:
            raise TableError(
                f"{source!r} of scikit-learn has its target already: leave out --target. A file of "
                f"that name is {'./' + source!r}."
            )
        from sklearn import datasets

        bunch = getattr(datasets, SHIPPED[source])()
        return _checked(source, _as_columns(bunch.data), bunch.target, task, "target")
    return _from_file(Path(source), target, task)


def _from_file(path: Path, target: str | None, task: str | None) -> Data:
    readers = {".csv": "read_csv", ".parquet": "read_parquet"}
    if not path.is_file():
        raise TableError(
            f"There is no file {str(path)!r}.{did_you_mean(str(path), SHIPPED)} Pass a CSV or "
            f"parquet file, or one of scikit-learn's data sets: {', '.join(SHIPPED)}."
        )
    if path.suffix not in readers:
        raise TableError(f"{path} must end in .csv or .parquet, to say what it is.")
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            f"Reading {path} needs pandas. Run `pip install 'skopt-dl[compare]'`."
        ) from error
    try:
        frame = getattr(pd, readers[path.suffix])(path)
    except ImportError as error:
        raise ImportError(
            f"Reading {path} needs pyarrow besides pandas. Run `pip install pyarrow`."
        ) from error
    except Exception as error:
        raise TableError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from error
    columns = [str(name) for name in frame.columns]
    if target is None:
        last = columns[-1] if columns else "name"
        raise TableError(
            f"Which column of {path} is to be predicted? Say --target, for example "
            f"--target {last!r}. It has {_listed(columns)}."
        )
    if target not in columns:
        raise TableError(
            f"{path} has no column {target!r}.{did_you_mean(target, columns)} It has "
            f"{_listed(columns)}."
        )
    table = {name: frame.iloc[:, i] for i, name in enumerate(columns) if name != target}
    values = frame.iloc[:, columns.index(target)]
    missing = int(values.isna().sum())
    if missing:
        raise TableError(
            f"The target {target!r} is missing in {_rows(missing)} of {path}. Drop them: "
            f"table.dropna(subset=[{target!r}])."
        )
    arrays = {name: _numbers(column) for name, column in table.items()}
    return _checked(path.stem, arrays, values.to_numpy(), task, target)


def _numbers(column: Any) -> np.ndarray:
    """A pandas column as floats, missing values as NaN; as it is if it has no numbers."""
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=float, na_value=np.nan)
    return column.to_numpy()


def _as_columns(X: Any) -> dict[str, np.ndarray]:
    names = [str(name) for name in getattr(X, "columns", ())]
    X = np.asarray(X)
    if X.ndim != 2:
        raise TableError(f"X must be a table, (n_samples, n_features); got shape {X.shape}.")
    names = names or [f"column {i}" for i in range(X.shape[1])]
    return dict(zip(names, X.T, strict=True))


def _checked(
    name: str, columns: dict[str, np.ndarray], y: np.ndarray, task: str | None, target: str
) -> Data:
    """Data of which everything that can be wrong has been asked."""
    if not columns:
        raise TableError(
            f"{name} has no column besides {target!r}: there is nothing to learn from."
        )
    columns = {name: _as_floats(column) for name, column in columns.items()}
    texts = [each for each, column in columns.items() if column.dtype.kind != "f"]
    if texts:
        raise TableError(
            f"{name} has columns that are no numbers: {_listed(texts)}. Encode them, "
            f"pandas.get_dummies(table, columns={texts[:3]!r}, dtype=float), or drop them."
        )
    X = np.column_stack(list(columns.values()))
    if y.ndim != 1 or len(y) != len(X):
        raise TableError(f"y must be one value for each of {len(X)} samples; got shape {y.shape}.")
    for what, bad in (("missing values (NaN)", np.isnan(X)), ("infinite values", np.isinf(X))):
        if bad.any():
            counts = {each: int(n) for each, n in zip(columns, bad.sum(axis=0), strict=True) if n}
            told = [f"{each} ({n})" for each, n in counts.items()]
            raise TableError(
                f"{name} has {what} in {_listed(told, quoted=False)}. Fill them, "
                "table.fillna(table.median(numeric_only=True)), or drop those "
                f"{_rows(int(bad.any(axis=1).sum()))} of {len(X)}: table.dropna()."
            )
    task = task or _task_of(y)
    encode = _as_classes if task == "classification" else _as_targets
    return Data(name, X, encode(y, name, target), task)


def _as_floats(column: np.ndarray) -> np.ndarray:
    if column.dtype.kind in "biuf":
        return column.astype(float)
    if column.dtype.kind == "O":
        try:
            return column.astype(float) if not any(isinstance(v, str) for v in column) else column
        except (TypeError, ValueError):
            pass
    return column


def _task_of(y: np.ndarray) -> str:
    numeric = _as_floats(y)
    if numeric.dtype.kind != "f" or y.dtype.kind == "b":
        return "classification"
    whole = bool((numeric == np.round(numeric)).all())
    return TASKS[0] if whole and len(np.unique(numeric)) <= MAX_CLASSES else TASKS[1]


def _as_classes(y: np.ndarray, name: str, target: str) -> np.ndarray:
    classes, numbers, counts = np.unique(
        y.astype(str) if y.dtype.kind == "O" else y, return_inverse=True, return_counts=True
    )
    if len(classes) < 2:
        raise TableError(
            f"The target {target!r} of {name} has one class, {classes[0]!s}: there is nothing to "
            "tell apart. Choose another column, or a table that has the other classes too."
        )
    if 2 * len(classes) > len(y):
        raise TableError(
            f"The target {target!r} of {name} has {len(classes)} classes for {len(y)} samples. If "
            "it is a number to predict, say --task regression."
        )
    if counts.min() < 2:
        rare = [str(each) for each, n in zip(classes, counts, strict=True) if n < 2]
        raise TableError(
            f"The target {target!r} of {name} has a single sample of {_listed(rare)}, which cannot "
            "be both learnt and tested. Drop it, or join it with another class."
        )
    return numbers


def _as_targets(y: np.ndarray, name: str, target: str) -> np.ndarray:
    numbers = _as_floats(y)
    if numbers.dtype.kind != "f":
        raise TableError(
            f"The target {target!r} of {name} is no number, such as {y[0]!r}: a regression cannot "
            "predict it. Leave out --task regression, or choose another column."
        )
    if not np.isfinite(numbers).all():
        bad = int((~np.isfinite(numbers)).sum())
        raise TableError(
            f"The target {target!r} of {name} is not finite in {_rows(bad)}: drop them."
        )
    if np.ptp(numbers) == 0:
        raise TableError(
            f"The target {target!r} of {name} is {numbers[0]:g} throughout: there is nothing to "
            "predict. Choose another column."
        )
    return numbers


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"


def _listed(names: list[str], *, quoted: bool = True, most: int = 12) -> str:
    """Names with commas between, the first dozen."""
    shown = [repr(each) if quoted else each for each in names[:most]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
