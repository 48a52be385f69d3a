"""Training: the loop, batches, stopping, history and checkpoints."""

from skopt_dl.training.batches import Batches
from skopt_dl.training.loop import minimise
from skopt_dl.training.recording import Recorder, Trajectory
from skopt_dl.training.run import HISTORY_COLUMNS, History, ModelRun, Stopping
from skopt_dl.training.snapshots import Snapshot
from skopt_dl.training.validation import Validation

__all__ = [
    "HISTORY_COLUMNS",
    "Batches",
    "History",
    "ModelRun",
    "Recorder",
    "Snapshot",
    "Stopping",
    "Trajectory",
    "Validation",
    "minimise",
]
