"""For authors: a component is held against all rules of its kind, at once or each as a test."""

from skopt_dl.testing._check import (
    CheckResult,
    check_component,
    component_check_results,
    parametrize_with_component_checks,
)
from skopt_dl.testing._checks import Check
from skopt_dl.testing._kits import component_checks
from skopt_dl.testing._optimizers import (
    OptimizerCheckResult,
    check_optimizer,
    optimizer_check_results,
    optimizer_checks,
    parametrize_with_optimizer_checks,
)
from skopt_dl.testing._traces import GoldenTrace, golden_traces

__all__ = [
    "Check",
    "CheckResult",
    "GoldenTrace",
    "OptimizerCheckResult",
    "check_component",
    "check_optimizer",
    "component_check_results",
    "component_checks",
    "golden_traces",
    "optimizer_check_results",
    "optimizer_checks",
    "parametrize_with_component_checks",
    "parametrize_with_optimizer_checks",
]
