"""scikit-learn's callbacks, told of each epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.callback import CallbackContext

from skopt_dl.training import TrainingResult, TrainingState


class EpochTasks:
    """The epochs of one fit, each a task below the fit's own.

    Parameters
    ----------
    estimator : BaseEstimator
    context : CallbackContext
        Of the fit.
    X, y, sample_weight
        As the user passed them to ``fit``.
    """

    def __init__(
        self, estimator: Any, context: CallbackContext, X: Any, y: Any, sample_weight: Any
    ):
        self._fit, self.estimator = context, estimator
        self._arguments = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self._epoch: CallbackContext | None = None
        # Returns the fitted attributes of the model as it is now; set before training.
        self.attributes: Callable[[TrainingResult], dict[str, Any]]

    def fit_begins(self) -> None:
        """Tell of the fit itself."""
        self._fit.call_on_fit_task_begin(**self._arguments)

    def fit_ended(self) -> None:
        """Tell of its end."""
        self._fit.call_on_fit_task_end(**self._arguments, reconstruction_attributes={})

    def epoch_begins(self, state: TrainingState) -> None:
        """Tell that an epoch begins."""
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._arguments)

    def epoch_ended(self, state: TrainingState) -> None:
        """Tell that it is over; a callback may answer that training is to stop."""
        assert self._epoch is not None
        stop = self._epoch.call_on_fit_task_end(
            **self._arguments, reconstruction_attributes=lambda: self.attributes(state.result())
        )
        state.stop_requested = state.stop_requested or stop
