"""Fits as jobs, and jobs that are trained together."""

from skopt_dl.stacking.coordinator import run
from skopt_dl.stacking.jobs import FitJob, ValidationSet
from skopt_dl.stacking.stacks import Outcome, share_data, stacks, train

__all__ = ["FitJob", "Outcome", "ValidationSet", "run", "share_data", "stacks", "train"]
