"""Optimizers on functions that are completely known, and what they do there."""

from skopt_dl import objectives
from skopt_dl.lab.comparing import Comparison, compare

__all__ = ["Comparison", "compare", "objectives"]
