"""scikit-learn MLPs whose optimizer is a plugin.

>>> from sklearn.datasets import load_iris
>>> from skopt_dl import MLPClassifier
>>> X, y = load_iris(return_X_y=True)
>>> model = MLPClassifier(optimizer="lbfgs", random_state=0).fit(X, y)
>>> model.score(X, y) > 0.9
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from joblib import register_parallel_backend

if TYPE_CHECKING:
    from skopt_dl.estimators import (
        MLPClassifier,
        MLPRegressor,
        NeuralNetClassifier,
        NeuralNetRegressor,
        from_sklearn,
    )
    from skopt_dl.learning_rates import learning_rate_range
    from skopt_dl.optimizers.searching import search_space
    from skopt_dl.plugins import available_optimizers, hookimpl, make_optimizer
    from skopt_dl.search.many import fit_many

__version__ = "0.1.0"

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NeuralNetClassifier",
    "NeuralNetRegressor",
    "available_optimizers",
    "fit_many",
    "from_sklearn",
    "hookimpl",
    "learning_rate_range",
    "make_optimizer",
    "search_space",
]

# Imported when first used, so that `import skopt_dl` costs next to nothing.
_HOMES = {
    "MLPClassifier": "skopt_dl.estimators",
    "MLPRegressor": "skopt_dl.estimators",
    "NeuralNetClassifier": "skopt_dl.estimators",
    "NeuralNetRegressor": "skopt_dl.estimators",
    "available_optimizers": "skopt_dl.plugins",
    "fit_many": "skopt_dl.search.many",
    "from_sklearn": "skopt_dl.estimators",
    "hookimpl": "skopt_dl.plugins.hookspecs",
    "learning_rate_range": "skopt_dl.learning_rates",
    "make_optimizer": "skopt_dl.plugins",
    "search_space": "skopt_dl.optimizers.searching",
}


def _stacking_backend(**kwargs: Any) -> Any:
    from skopt_dl.search.backend import StackingBackend

    return StackingBackend(**kwargs)


register_parallel_backend("skopt_dl", _stacking_backend)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
