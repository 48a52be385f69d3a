"""A folder that keeps what was trained, whatever happens to the program."""

from skopt_dl.jobs.journal.folder import Journal, JournalWarning
from skopt_dl.jobs.journal.pruning import Pruned, Survey, prune, survey
from skopt_dl.jobs.journal.records import OUTCOME, SNAPSHOT, Record

__all__ = [
    "OUTCOME",
    "SNAPSHOT",
    "Journal",
    "JournalWarning",
    "Pruned",
    "Record",
    "Survey",
    "prune",
    "survey",
]
