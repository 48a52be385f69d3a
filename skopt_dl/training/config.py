"""What one model's training is to be: its configuration, which training does not change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True)
class TrainingConfig:
    """How one model of a stack is to be trained.

    Parameters
    ----------
    optimizer : Optimizer or Minimizer
    max_epochs : int, default=100
    stopping : Stopping, default=None
        None runs all epochs.
    horizon : int, default=None
        Epochs that the learning rate schedule is laid out for; None means `max_epochs`.
    max_grad_norm : float, default=inf
        Longer gradients are scaled down to this length (Pascanu et al., 2013, arXiv:1211.5063).
    ema_decay : float, default=0.0
        Where positive, the model ends with, and is validated with, an average of its parameters
        over the steps; see `Averages`.

    Examples
    --------
    >>> from skopt_dl.optimizers import SGD
    >>> from skopt_dl.training import Stopping, TrainingConfig
    >>> TrainingConfig(SGD(0.5), 20, Stopping(n_iter_no_change=3)).max_epochs
    20
    """

    optimizer: Any
    max_epochs: int = 100
    stopping: Stopping | None = None
    horizon: int | None = None
    max_grad_norm: float = math.inf
    ema_decay: float = 0.0
