"""What one model's training leaves."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from skopt_dl.training.log import TrainingLog


@dataclass(kw_only=True)
class TrainingResult(TrainingLog):
    """What became of one model.

    Attributes
    ----------
    params : ndarray of shape (P + S,)
        What to predict with: parameters and statistics.
    message : str
        More about the reason to stop, where there is more.
    state : dict
        What `minimise` needs to go on from here; empty after a divergence, when there is nothing
        to go on from but the parameters. Where the model was trained with other parameters than
        it predicts with, those, and statistics, are ``state["params"]``.

    See Also
    --------
    TrainingLog : The other attributes.
    """

    params: np.ndarray
    message: str = ""
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, log: TrainingLog, params: np.ndarray, state: dict[str, Any], message: str = ""
    ) -> TrainingResult:
        """End a training here; one that goes on changes nothing in the result."""
        known = {each.name: getattr(log, each.name) for each in fields(TrainingLog)}
        known["progress"] = copy.copy(log.progress)
        known["history"] = {name: list(values) for name, values in log.history.items()}
        return cls(**known, params=params, message=message, state=state)
