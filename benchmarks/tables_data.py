"""The tables of `benchmarks.tables`: all that scikit-learn ships, and some hard on networks.

The generated ones keep what can be learnt and change how it is written down: units, skew, outliers,
irrelevant columns, noise, and targets far from zero or with long tails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn import datasets

Data = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Table:
    """A data set; ``make()`` gives the same data every time."""

    name: str
    task: str
    make: Callable[[], Data]


def in_units(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give each feature a unit and an origin: scales log-uniform over six decades."""
    scale = 10.0 ** rng.uniform(-3, 3, X.shape[1])
    return scale * (X + rng.normal(scale=3, size=X.shape[1]))


def with_outliers(X: np.ndarray, rng: np.random.Generator, share: float = 0.02) -> np.ndarray:
    """Multiply some values by a hundred to ten thousand: sensors that fail."""
    return np.where(rng.random(X.shape) < share, X * 10.0 ** rng.uniform(2, 4, X.shape), X)


def with_irrelevant(X: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Append features that say nothing, some of them skewed."""
    noise = rng.normal(size=(len(X), count))
    noise[:, ::3] = np.exp(noise[:, ::3])
    return np.hstack([X, noise])


def _blobs(seed: int, n_samples: int, n_features: int, **params: Any) -> Data:
    """scikit-learn's clusters on a hypercube."""
    params = {"n_informative": 6, "n_redundant": 2, "flip_y": 0.02, **params}
    return datasets.make_classification(n_samples, n_features, random_state=seed, **params)


def _units() -> Data:
    X, y = _blobs(11, 1000, 20, n_informative=8, n_classes=3)
    return in_units(X, np.random.default_rng(11)), y


def _skewed() -> Data:
    X, y = _blobs(12, 1500, 15)
    return np.exp(X), y


def _irrelevant() -> Data:
    X, y = _blobs(13, 1000, 8)
    rng = np.random.default_rng(13)
    return in_units(with_irrelevant(X, rng, 50), rng), y


def _outliers() -> Data:
    X, y = _blobs(14, 800, 10, n_classes=4)
    return with_outliers(X, np.random.default_rng(14)), y


def _label_noise() -> Data:
    X, y = _blobs(15, 2000, 12, flip_y=0.3)
    return in_units(X, np.random.default_rng(15)), y


def _rare_class() -> Data:
    X, y = _blobs(16, 1500, 12, weights=[0.9])
    rng = np.random.default_rng(16)
    return in_units(np.exp(0.7 * X), rng), y


def _sphere() -> Data:
    """Inside or outside a sphere in ten dimensions (Hastie et al., example 10.2)."""
    X, y = datasets.make_hastie_10_2(2000, random_state=17)
    rng = np.random.default_rng(17)
    return in_units(with_irrelevant(X, rng, 5), rng), y


def _friedman1() -> Data:
    return datasets.make_friedman1(1000, 10, noise=1.0, random_state=21)


def _friedman2() -> Data:
    return datasets.make_friedman2(1000, noise=50.0, random_state=22)


def _friedman3() -> Data:
    return datasets.make_friedman3(1000, noise=0.1, random_state=23)


def _offset_target() -> Data:
    """A target of 10,000 give or take one."""
    X, y = datasets.make_friedman1(800, 8, noise=0.5, random_state=24)
    return in_units(X, np.random.default_rng(24)), 1e4 + (y - y.mean()) / y.std()


def _large_target() -> Data:
    """A target of about a thousand, either sign; two thirds of the features say nothing."""
    X, y = datasets.make_regression(1000, 30, n_informative=10, random_state=25)
    rng = np.random.default_rng(25)
    return in_units(X, rng), 1e3 * (
        y / y.std() + 0.5 * X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=1000)
    )


def _long_tailed_target() -> Data:
    rng = np.random.default_rng(26)
    X = rng.normal(size=(1500, 10))
    log_y = 0.5 * X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + 0.3 * np.abs(X[:, 3])
    return in_units(X, rng), 500 * np.exp(log_y + 0.1 * rng.normal(size=1500))


def _skewed_features() -> Data:
    rng = np.random.default_rng(27)
    X = rng.normal(size=(2000, 10))
    y = X[:, 0] + np.sin(2 * X[:, 1]) + X[:, 2] * (X[:, 3] > 0) + 0.3 * rng.normal(size=2000)
    X[:, :5], X[:, 5:] = np.exp(1.5 * X[:, :5]), np.exp(X[:, 5:])
    return X, y


def _feature_outliers() -> Data:
    X, y = datasets.make_friedman1(1000, 8, noise=0.5, random_state=28)
    return with_outliers(X, np.random.default_rng(28)), y


def _few_samples() -> Data:
    X, y = datasets.make_regression(300, 25, n_informative=5, noise=60.0, random_state=29)
    return in_units(X, np.random.default_rng(29)), y


def _steps() -> Data:
    """A target that jumps where features cross thresholds: made for trees."""
    rng = np.random.default_rng(30)
    X = rng.uniform(size=(3000, 8))
    above = X[:, :6] > rng.uniform(0.2, 0.8, 6)
    y = above @ rng.normal(size=6) + 2 * (above[:, 0] & above[:, 1]) + 0.3 * rng.normal(size=3000)
    return in_units(with_irrelevant(X, rng, 6), rng), 100 * y


def _shipped(name: str) -> Callable[[], Data]:
    return partial(getattr(datasets, f"load_{name}"), return_X_y=True)


TABLES = [
    Table("iris", "classification", _shipped("iris")),
    Table("wine", "classification", _shipped("wine")),
    Table("breast_cancer", "classification", _shipped("breast_cancer")),
    Table("digits", "classification", _shipped("digits")),
    Table("units", "classification", _units),
    Table("skewed", "classification", _skewed),
    Table("irrelevant", "classification", _irrelevant),
    Table("outliers", "classification", _outliers),
    Table("label_noise", "classification", _label_noise),
    Table("rare_class", "classification", _rare_class),
    Table("sphere", "classification", _sphere),
    Table("diabetes", "regression", _shipped("diabetes")),
    Table("linnerud", "regression", _shipped("linnerud")),
    Table("friedman1", "regression", _friedman1),
    Table("friedman2", "regression", _friedman2),
    Table("friedman3", "regression", _friedman3),
    Table("offset_target", "regression", _offset_target),
    Table("large_target", "regression", _large_target),
    Table("long_tailed_target", "regression", _long_tailed_target),
    Table("skewed_features", "regression", _skewed_features),
    Table("feature_outliers", "regression", _feature_outliers),
    Table("few_samples", "regression", _few_samples),
    Table("steps", "regression", _steps),
]
