"""Fits as jobs, and jobs that are trained together."""

from skopt_dl.jobs.grouping import share_data, spread, stacks
from skopt_dl.jobs.job import FitJob, StackState, StackWatcher, ValidationSet
from skopt_dl.jobs.journal import Journal, JournalWarning
from skopt_dl.jobs.keeping import Keeper, train_journalled
from skopt_dl.jobs.training import Outcome, train

__all__ = [
    "FitJob",
    "Journal",
    "JournalWarning",
    "Keeper",
    "Outcome",
    "StackState",
    "StackWatcher",
    "ValidationSet",
    "share_data",
    "spread",
    "stacks",
    "train",
    "train_journalled",
]
