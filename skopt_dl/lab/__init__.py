"""The lab: optimizers on objectives that are completely known, to look at."""

from skopt_dl.lab.reducing import reductions
from skopt_dl.lab.unified import Rule, Rules, rule, rules

__all__ = ["Rule", "Rules", "reductions", "rule", "rules"]
