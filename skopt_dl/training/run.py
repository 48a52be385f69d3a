"""One model's way through a training: when it stops, what it leaves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skopt_dl.schedules import Progress

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


@dataclass(frozen=True)
class Stopping:
    """Stop when a quantity has not improved for some time, as scikit-learn's estimators do.

    Parameters
    ----------
    tol : float, default=1e-4
        An improvement is a gain above this.
    n_iter_no_change : int, default=10
        Epochs without improvement that are put up with.
    monitor : str, default="loss"
        A history column.
    larger_is_better : bool, default=False
    restore_best : bool, default=False
        Whether the model ends with the parameters of its best epoch.
    """

    tol: float = 1e-4
    n_iter_no_change: int = 10
    monitor: str = "loss"
    larger_is_better: bool = False
    restore_best: bool = False


@dataclass
class ModelRun:
    """Where one model of a stack stands.

    Attributes
    ----------
    index : int
        Its place in the stack that the training began with.
    optimizer : Optimizer or Minimizer
    stopping : Stopping or None
    progress : Progress
    max_epochs, max_grad_norm, ema_decay : int, float, float
        As for `minimise`.
    start : tuple of int
        Steps and samples seen before.
    history : dict of str to list of float
        One value an epoch in each column.
    best : float
        The best value of the monitored column.
    stop_requested : bool
        Set by a callback to stop this model after the epoch.
    stop_reason : str
        ``"max_iter"``, ``"no_improvement"``, ``"converged"``, ``"diverged"``, ``"requested"`` or
        ``"interrupted"``.
    message : str
        More about the reason, where there is more.
    params : ndarray of shape (P + S,)
        What to predict with, at the end: parameters and statistics.
    current : callable or None
        While training, returns what to predict with now.
    current_state : callable or None
        While training, after an epoch, returns what `state` would be if it were the last.
    snapshot : callable or None
        While training, between two epochs, returns the `Snapshot` to go on from.
    untraced : str
        Why the optimizer's ``update`` is called at every step, after the first epoch; empty where
        it runs as a program.
    seconds_before : float
        What the training had taken when it was cut short, if it goes on from a snapshot.
    state : dict
        What `minimise` needs to go on from here, at the end; empty after a divergence, when
        there is nothing to go on from but the parameters. Where the model was trained with other
        parameters than it predicts with, those, and statistics, are ``state["params"]``.
    """

    index: int
    optimizer: Any
    stopping: Stopping | None
    progress: Progress
    max_epochs: int = 1
    max_grad_norm: float = math.inf
    ema_decay: float = 0.0
    start: tuple[int, int] = (0, 0)
    history: History = field(default_factory=dict)
    first_loss: float = np.nan
    best: float = np.nan
    n_iter_without_improvement: int = 0
    stop_requested: bool = False
    stop_reason: str = ""
    message: str = ""
    params: np.ndarray | None = None
    current: Callable[[], np.ndarray] | None = None
    current_state: Callable[[], dict[str, Any]] | None = None
    snapshot: Callable[[], Any] | None = None
    untraced: str = ""
    seconds_before: float = 0.0
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def n_steps(self) -> int:
        """Updates of this run, those of an earlier one not counted."""
        return self.progress.step - self.start[0]

    @property
    def n_samples(self) -> int:
        """Samples seen in this run."""
        return self.progress.n_samples_seen - self.start[1]

    @property
    def n_epochs(self) -> int:
        """Epochs of this run, those of an earlier one not counted."""
        return len(self.history["loss"]) if self.history else 0

    @property
    def standing(self) -> dict[str, Any]:
        """The part of `state` that is no array: progress, and what the stopping rule has seen."""
        standing: dict[str, Any] = {"progress": dict(vars(self.progress))}
        if self.stopping is not None:
            patience = [self.stopping.monitor, self.best, self.n_iter_without_improvement]
            standing["patience"] = patience
        return standing

    def record(self, **columns: float) -> None:
        """Append one epoch to the history."""
        for name, value in columns.items():
            self.history.setdefault(name, []).append(float(value))

    def judge(self) -> bool:
        """Compare the last epoch with the best so far; true when it is the new best."""
        if self.stopping is None:
            return False
        value = self.history[self.stopping.monitor][-1]
        sign = 1.0 if self.stopping.larger_is_better else -1.0
        best = -np.inf if np.isnan(self.best) else sign * self.best
        # A figure that is not a number is no improvement.
        if sign * value >= best + self.stopping.tol:
            self.n_iter_without_improvement = 0
        else:
            self.n_iter_without_improvement += 1
        if sign * value > best:
            self.best = value
            return True
        return False

    @property
    def out_of_patience(self) -> bool:
        """Whether the last epoch was one too many without an improvement."""
        rule = self.stopping
        return rule is not None and self.n_iter_without_improvement > rule.n_iter_no_change

    def should_stop(self) -> bool:
        """Whether the rule ends the training; a schedule may lower the rate and go on instead."""
        if not self.out_of_patience:
            return False
        schedule = self.optimizer.learning_rate_schedule
        if not schedule.continues_after_plateau(self.progress):
            self.stop_reason = "no_improvement"
            return True
        self.progress.n_plateaus += 1
        self.n_iter_without_improvement = 0
        return False
