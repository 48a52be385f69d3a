"""Optimizers on functions that are completely known, and what they do there."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skopt_dl import objectives
from skopt_dl.lab.comparing import Comparison, compare

if TYPE_CHECKING:
    from skopt_dl.lab.fitted import FittedLoss, parameters
    from skopt_dl.lab.fitted_convexity import (
        EstimatorConvexity,
        convexity_of_estimator,
        linear_beside_network,
    )
    from skopt_dl.lab.hessians import Curvature, curvature
    from skopt_dl.lab.slices import Landscape, Line, between, landscape

__all__ = [
    "Comparison",
    "Curvature",
    "EstimatorConvexity",
    "FittedLoss",
    "Landscape",
    "Line",
    "between",
    "compare",
    "convexity_of_estimator",
    "curvature",
    "landscape",
    "linear_beside_network",
    "objectives",
    "parameters",
]

# What looks at fitted estimators, imported when first used: scikit-learn takes a while.
_HOMES = {
    "Curvature": "hessians",
    "EstimatorConvexity": "fitted_convexity",
    "FittedLoss": "fitted",
    "Landscape": "slices",
    "Line": "slices",
    "between": "slices",
    "convexity_of_estimator": "fitted_convexity",
    "curvature": "hessians",
    "landscape": "slices",
    "linear_beside_network": "fitted_convexity",
    "parameters": "fitted",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
