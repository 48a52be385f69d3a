"""What has happened in one model's training."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from skopt_dl.schedules import Progress
from skopt_dl.training.config import TrainingConfig

# In the order of a table; a column appears when there is something to put into it.
HISTORY_COLUMNS = (
    "loss",
    "validation_loss",
    "validation_score",
    "learning_rate",
    "grad_norm",
    "seconds",
)

History = dict[str, list[float]]


@dataclass
class TrainingLog:
    """What is known of one model's training, while it lasts and afterwards.

    Attributes
    ----------
    index : int
        Its place in the stack that the training began with.
    config : TrainingConfig
    progress : Progress
    start : tuple of int
        Steps and samples seen before.
    history : dict of str to list of float
        One value an epoch in each column.
    first_loss : float
        Where a `Minimizer` began.
    best : float
        The best value of the monitored column.
    engine : str
        What ran the programs: ``"numpy"``, or the name of another `skopt_dl.programs.Engine`.
    untraced : str
        Why the optimizer's ``update`` is called at every step, after the first epoch; empty where
        it runs as a program.
    stop_reason : str
        ``"max_iter"``, ``"no_improvement"``, ``"converged"``, ``"diverged"``, ``"requested"`` or
        ``"interrupted"``; empty while it goes on.
    """

    index: int
    config: TrainingConfig
    progress: Progress
    start: tuple[int, int] = (0, 0)
    history: History = field(default_factory=dict)
    first_loss: float = np.nan
    best: float = np.nan
    engine: str = ""
    untraced: str = ""
    stop_reason: str = ""

    @property
    def n_steps(self) -> int:
        """Updates of this training, those of an earlier one not counted."""
        return self.progress.step - self.start[0]

    @property
    def n_samples(self) -> int:
        """Samples seen in this training."""
        return self.progress.n_samples_seen - self.start[1]

    @property
    def n_epochs(self) -> int:
        """Epochs of this training, those of an earlier one not counted."""
        return len(self.history["loss"]) if self.history else 0
