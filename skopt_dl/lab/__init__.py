"""Optimizers on functions that are completely known, and what they do there."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skopt_dl import objectives

if TYPE_CHECKING:
    from skopt_dl.lab.brute_force import (
        GridSearch,
        LinearModel,
        cost_of_accuracy,
        grid_cost,
        grid_search,
        normal_equations,
    )
    from skopt_dl.lab.chords import Counterexample
    from skopt_dl.lab.comparing import Comparison, compare
    from skopt_dl.lab.convex import Convexity, convexity
    from skopt_dl.lab.fitted import FittedLoss, parameters
    from skopt_dl.lab.fitted_convexity import (
        Beside,
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
    "Beside",
    "Comparison",
    "Convexity",
    "Counterexample",
    "Curvature",
    "EstimatorConvexity",
    "FittedLoss",
    "GridSearch",
    "Landscape",
    "Line",
    "LinearModel",
    "Rule",
    "Rules",
    "Slots",
    "between",
    "compare",
    "convexity",
    "convexity_of_estimator",
    "cost_of_accuracy",
    "curvature",
    "grid_cost",
    "grid_search",
    "landscape",
    "linear_beside_network",
    "normal_equations",
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
    "Beside": "fitted_convexity",
    "Comparison": "comparing",
    "Convexity": "convex",
    "Counterexample": "chords",
    "Curvature": "hessians",
    "EstimatorConvexity": "fitted_convexity",
    "FittedLoss": "fitted",
    "GridSearch": "brute_force",
    "Landscape": "slices",
    "Line": "slices",
    "LinearModel": "brute_force",
    "Rule": "unified",
    "Rules": "unified",
    "Slots": "slots",
    "between": "slices",
    "compare": "comparing",
    "convexity": "convex",
    "convexity_of_estimator": "fitted_convexity",
    "cost_of_accuracy": "brute_force",
    "curvature": "hessians",
    "grid_cost": "brute_force",
    "grid_search": "brute_force",
    "landscape": "slices",
    "linear_beside_network": "fitted_convexity",
    "normal_equations": "brute_force",
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
