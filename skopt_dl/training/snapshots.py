"""A model in mid-training, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skopt_dl.training.log import History
from skopt_dl.training.state import TrainingState


@dataclass(frozen=True)
class Snapshot:
    """Where a model is after an epoch: everything needed to end as if nothing had happened.

    All is on the host, and copied: arrays, numbers, texts, and lists and dicts of them. To go on,
    start `minimise` with `params` and a generator in the state `generator`, and hand it this.

    Attributes
    ----------
    params : ndarray of shape (P + S,)
        The parameters that are trained, and statistics.
    state : dict
        As ``TrainingResult.state``: slots, averages, progress and patience. What ``partial_fit``
        needs.
    generator : dict or None
        State of the bit generator that batches, and dropout, are drawn from.
    checkpoints : dict of str to ndarray of shape (P + S,)
        What the model may have to go back to.
    start : tuple of int
        Steps and samples seen before this training.
    history : dict of str to list of float
    first_loss : float
    """

    params: np.ndarray
    state: dict[str, Any]
    generator: dict[str, Any] | None
    checkpoints: dict[str, np.ndarray]
    start: tuple[int, int]
    history: History
    first_loss: float

    @classmethod
    def of(
        cls,
        training: TrainingState,
        arrays: dict[str, Any],
        params: np.ndarray,
        checkpoints: dict[str, np.ndarray],
        generator: dict[str, Any] | None,
    ) -> Snapshot:
        """Put together where a training is, and the arrays of its row."""
        slots = {name: array.copy() for name, array in arrays["slots"].items()}
        state = {**training.standing, **arrays, "slots": slots}
        history = {name: list(values) for name, values in training.history.items()}
        start, first_loss = training.start, training.first_loss
        return cls(params, state, generator, checkpoints, start, history, first_loss)

    @property
    def n_epochs(self) -> int:
        """Epochs of this training that are done."""
        return len(self.history["loss"])

    def restore(self, training: TrainingState) -> None:
        """Bring the training of an equal model to where this one was."""
        vars(training.progress).update(self.state["progress"])
        if training.config.stopping is not None:
            _, training.best, training.n_iter_without_improvement = self.state["patience"]
        training.start, training.first_loss = self.start, self.first_loss
        training.seed = self.state.get("seed")
        training.resume, training.checkpoints = self.state, self.checkpoints
        training.history = {name: list(values) for name, values in self.history.items()}
        training.seconds_before = self.history["seconds"][-1]
