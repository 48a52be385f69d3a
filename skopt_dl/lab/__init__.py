"""Optimizers on functions that are completely known, and what they do there."""

from skopt_dl import objectives
from skopt_dl.lab.comparing import Comparison, compare
from skopt_dl.lab.reducing import reductions
from skopt_dl.lab.unified import Rule, Rules, rule, rules

__all__ = [
    "Comparison",
    "Rule",
    "Rules",
    "compare",
    "objectives",
    "reductions",
    "rule",
    "rules",
]
