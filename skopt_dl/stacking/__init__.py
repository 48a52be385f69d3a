"""Fits as jobs, and jobs that are trained together."""

from skopt_dl.stacking.coordinator import run
from skopt_dl.stacking.jobs import FitJob, StackState, ValidationSet
from skopt_dl.stacking.stacks import Outcome, share_data, stacks, train

__all__ = [
    "FitJob",
    "Outcome",
    "StackState",
    "ValidationSet",
    "run",
    "share_data",
    "stacks",
    "train",
]
