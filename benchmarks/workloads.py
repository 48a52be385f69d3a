"""What is trained, for how long, and the floors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from sklearn.datasets import load_digits, make_classification
from sklearn.preprocessing import StandardScaler

from skopt_dl.programs import installed_engines

# What trains: NumPy's engine, and skopt-dl-native where it is installed.
ENGINES = [name for name in ("numpy", "native") if name in installed_engines()]

ALPHA = 1e-4
LEARNING_RATE = 1e-3

# "Level" with a peer, where a floor says so: not slower by more than runs differ.
LEVEL = 0.97


@dataclass(frozen=True)
class Floor:
    """A bound on ``peer's time / our time``, or, for the products, on its inverse."""

    bound: float
    at_most: bool = False

    def holds(self, ratio: float) -> bool:
        return ratio <= self.bound if self.at_most else ratio >= self.bound

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.bound:g}"


@dataclass(frozen=True)
class Workload:
    """A data set, an architecture and a number of epochs; see `WORKLOADS`."""

    name: str
    make_data: Callable[[], tuple[np.ndarray, np.ndarray]]
    hidden: tuple[int, ...]
    batch_size: int
    epochs: int
    floors: dict[str, Floor]
    native_floors: dict[str, Floor] = field(default_factory=dict)

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Samples ``(n_samples, n_features)`` float32 and labels ``(n_samples,)`` int."""
        X, y = self.make_data()
        return np.ascontiguousarray(X, dtype=np.float32), y

    @property
    def n_classes(self) -> int:
        return int(self.data[1].max()) + 1

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        return (self.data[0].shape[1], *self.hidden, self.n_classes)

    @property
    def n_params(self) -> int:
        """Weights and biases of the network."""
        sizes = self.layer_sizes
        return sum((n + 1) * m for n, m in pairwise(sizes))

    @property
    def n_steps(self) -> int:
        """Updates in the whole training; the short last batch of an epoch counts."""
        return self.epochs * -(-len(self.data[0]) // self.batch_size)


def _synthetic(n_samples: int, n_features: int, n_classes: int):
    def make() -> tuple[np.ndarray, np.ndarray]:
        return make_classification(
            n_samples,
            n_features,
            n_informative=min(n_features // 2, 40),
            n_classes=n_classes,
            n_clusters_per_class=2,
            random_state=0,
        )

    return make


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Standardised, as the example's pipeline has them."""
    X, y = load_digits(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def _digits_from_0_to_1() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


def _floors(scikit_learn: float, products: float) -> dict[str, Floor]:
    """Of the native engine."""
    return {
        "scikit-learn": Floor(scikit_learn),
        "torch": Floor(1.0),
        "products": Floor(products, at_most=True),
    }


WORKLOADS = [
    Workload(
        "tiny",
        _synthetic(1000, 20, 3),
        hidden=(32,),
        batch_size=32,
        epochs=100,
        floors={"scikit-learn": Floor(4.5), "torch": Floor(1.0)},
        native_floors=_floors(30, 0.8),
    ),
    Workload(
        "digits",
        _digits,
        hidden=(100,),
        batch_size=200,
        epochs=100,
        floors={
            "scikit-learn": Floor(2.5),
            "torch": Floor(1.0),
            "products": Floor(2.3, at_most=True),
        },
        native_floors=_floors(4.5, 1.5),
    ),
    # The same work for us, but less for scikit-learn: it assigns to the inactive units by a boolean
    # index, whose cost depends on how predictable they are.
    Workload(
        "digits/16", _digits_from_0_to_1, hidden=(100,), batch_size=200, epochs=100, floors={}
    ),
    Workload(
        "mid",
        _synthetic(20_000, 100, 10),
        hidden=(256, 256),
        batch_size=200,
        epochs=5,
        floors={
            "scikit-learn": Floor(1.5),
            "torch": Floor(1.0),
            "products": Floor(1.35, at_most=True),
        },
        native_floors=_floors(2.1, 1.25),
    ),
    Workload(
        "big",
        _synthetic(20_000, 784, 10),
        hidden=(512, 256),
        batch_size=256,
        epochs=3,
        floors={
            "scikit-learn": Floor(1.15),
            "torch": Floor(LEVEL),
            "products": Floor(1.25, at_most=True),
        },
        native_floors=_floors(1.5, 1.2),
    ),
]
