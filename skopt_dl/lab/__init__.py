"""Optimizers on functions that are completely known, and what they do there."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skopt_dl import objectives

if TYPE_CHECKING:
    from skopt_dl.lab.comparing import Comparison, compare
    from skopt_dl.lab.fitted import parameters
    from skopt_dl.lab.fitted_convexity import (
        EstimatorConvexity,
        convexity_of_estimator,
        linear_beside_network,
    )
    from skopt_dl.lab.hessians import Curvature, curvature
    from skopt_dl.lab.reducing import reductions
    from skopt_dl.lab.slices import Landscape, Line, between, landscape
    from skopt_dl.lab.slots import Slots, slots_of_run, slots_of_steps
    from skopt_dl.lab.unified import Rule, Rules, rule, rules

__all__ = [
    "Comparison",
    "Curvature",
    "EstimatorConvexity",
    "Landscape",
    "Line",
    "Rule",
    "Rules",
    "Slots",
    "between",
    "compare",
    "convexity_of_estimator",
    "curvature",
    "landscape",
    "linear_beside_network",
    "objectives",
    "parameters",
    "reductions",
    "rule",
    "rules",
    "slots_of_run",
    "slots_of_steps",
]

# Imported when first used: what looks at fitted estimators imports scikit-learn.
_HOMES = {
    "Comparison": "comparing",
    "Curvature": "hessians",
    "EstimatorConvexity": "fitted_convexity",
    "Landscape": "slices",
    "Line": "slices",
    "Rule": "unified",
    "Rules": "unified",
    "Slots": "slots",
    "between": "slices",
    "compare": "comparing",
    "convexity_of_estimator": "fitted_convexity",
    "curvature": "hessians",
    "landscape": "slices",
    "linear_beside_network": "fitted_convexity",
    "parameters": "fitted",
    "reductions": "reducing",
    "rule": "unified",
    "rules": "unified",
    "slots_of_run": "slots",
    "slots_of_steps": "slots",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
