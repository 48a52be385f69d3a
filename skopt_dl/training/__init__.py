"""Training: the loop, batches, stopping, history and checkpoints."""

from skopt_dl.training.batches import Batches
from skopt_dl.training.config import Stopping, TrainingConfig
from skopt_dl.training.log import HISTORY_COLUMNS, History, TrainingLog
from skopt_dl.training.loop import minimise
from skopt_dl.training.recording import Recorder, Trajectory
from skopt_dl.training.result import TrainingResult
from skopt_dl.training.snapshots import Snapshot
from skopt_dl.training.state import TrainingState
from skopt_dl.training.validation import Validation

__all__ = [
    "HISTORY_COLUMNS",
    "Batches",
    "History",
    "Recorder",
    "Snapshot",
    "Stopping",
    "TrainingConfig",
    "TrainingLog",
    "TrainingResult",
    "TrainingState",
    "Trajectory",
    "Validation",
    "minimise",
]
