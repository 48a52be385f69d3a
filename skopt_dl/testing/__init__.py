"""For authors of optimizers: one is held against all rules, at once or each as a test."""

from skopt_dl.testing._check import (
    CheckResult,
    check_optimizer,
    optimizer_check_results,
    parametrize_with_optimizer_checks,
)
from skopt_dl.testing._checks import Check, optimizer_checks
from skopt_dl.testing._traces import GoldenTrace, golden_traces

__all__ = [
    "Check",
    "CheckResult",
    "GoldenTrace",
    "check_optimizer",
    "golden_traces",
    "optimizer_check_results",
    "optimizer_checks",
    "parametrize_with_optimizer_checks",
]
