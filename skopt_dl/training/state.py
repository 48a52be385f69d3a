"""Where one model is in its training: when it stops, and what it goes on from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skopt_dl.schedules import Progress
from skopt_dl.training.config import TrainingConfig
from skopt_dl.training.log import TrainingLog
from skopt_dl.training.result import TrainingResult


@dataclass
class TrainingState(TrainingLog):
    """Where one model of a stack stands; what callbacks see.

    Attributes
    ----------
    stop_requested : bool
        Set by a callback to stop this model after the epoch.
    result : callable
        Returns the `TrainingResult` if the epoch that is over were the last.
    snapshot : callable
        Between two epochs, returns the `Snapshot` to go on from; models of a `Minimizer` have none.
    seconds_before : float
        What the training had taken when it was cut short, if it goes on from a snapshot.
    resume : dict
        What it goes on from, as ``TrainingResult.state``; empty where it begins.
    checkpoints : dict of str to ndarray of shape (P + S,), or None
        What it may have to go back to, if it goes on from a snapshot.
    seed : int or None
        What the optimizer draws follows from, where it draws.

    See Also
    --------
    TrainingLog : The other attributes.
    """

    n_iter_without_improvement: int = 0
    stop_requested: bool = False
    seconds_before: float = 0.0
    resume: dict[str, Any] = field(default_factory=dict)
    checkpoints: dict[str, np.ndarray] | None = None
    seed: int | None = None
    result: Callable[[], TrainingResult] = field(init=False, repr=False)
    snapshot: Callable[[], Any] = field(init=False, repr=False)

    @classmethod
    def begin(
        cls, index: int, config: TrainingConfig, n_batches: int, resume: dict[str, Any]
    ) -> TrainingState:
        """Return the state before the first epoch, of `n_batches` steps.

        `resume` is what an earlier training has left, if this goes on from one.
        """
        progress = Progress()
        vars(progress).update(resume.get("progress", {}))
        progress.n_epochs = config.max_epochs if config.horizon is None else config.horizon
        progress.n_steps = progress.n_epochs * n_batches
        start = progress.step, progress.n_samples_seen
        state = cls(index, config, progress, start, resume=resume, seed=resume.get("seed"))
        monitor, *patience = resume.get("patience", [""])
        if config.stopping is not None and config.stopping.monitor == monitor:
            state.best, state.n_iter_without_improvement = patience
        return state

    @property
    def standing(self) -> dict[str, Any]:
        """What is no array of what it leaves: progress, seed, what the stopping rule has seen."""
        standing: dict[str, Any] = {"progress": dict(vars(self.progress))}
        rule = self.config.stopping
        if rule is not None:
            standing["patience"] = [rule.monitor, self.best, self.n_iter_without_improvement]
        if self.seed is not None:
            standing["seed"] = self.seed
        return standing

    def record(self, **columns: Iterable[float]) -> None:
        """Append some epochs to the history, as many in each column."""
        for name, values in columns.items():
            self.history.setdefault(name, []).extend(map(float, values))

    def judge(self, n_later: int = 0) -> bool:
        """Compare the epoch `n_later` before the last with the best so far; true where better."""
        rule = self.config.stopping
        if rule is None:
            return False
        value = self.history[rule.monitor][-1 - n_later]
        sign = 1.0 if rule.larger_is_better else -1.0
        best = -math.inf if math.isnan(self.best) else sign * self.best
        # A figure that is not a number is no improvement.
        if sign * value >= best + rule.tol:
            self.n_iter_without_improvement = 0
        else:
            self.n_iter_without_improvement += 1
        if sign * value > best:
            self.best = value
            return True
        return False

    @property
    def n_epochs_ahead(self) -> float:
        """How many epochs it takes at least until it can end, unless it diverges."""
        rule, n_left = self.config.stopping, self.config.max_epochs - self.n_epochs
        if rule is None:
            return n_left
        return min(n_left, rule.n_iter_no_change - self.n_iter_without_improvement + 1)

    @property
    def out_of_patience(self) -> bool:
        """Whether the last epoch was one too many without an improvement."""
        rule = self.config.stopping
        return rule is not None and self.n_iter_without_improvement > rule.n_iter_no_change

    def should_stop(self) -> bool:
        """Whether the rule ends the training; a schedule may lower the rate and go on instead."""
        if not self.out_of_patience:
            return False
        schedule = self.config.optimizer.learning_rate_schedule
        if not schedule.continues_after_plateau(self.progress):
            self.stop_reason = "no_improvement"
            return True
        self.progress.n_plateaus += 1
        self.n_iter_without_improvement = 0
        return False
