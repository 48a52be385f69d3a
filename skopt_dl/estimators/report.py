"""What a training tells the user: progress lines and warnings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from sklearn.exceptions import ConvergenceWarning

from skopt_dl.training import ModelRun


def print_epoch(runs: Sequence[ModelRun]) -> None:
    """Print the last epoch of each model."""
    for run in runs:
        line = f"Epoch {run.n_epochs}, loss = {run.history['loss'][-1]:.8f}"
        if "validation_score" in run.history:
            line += f", validation score = {run.history['validation_score'][-1]:.6f}"
        print(line)


def warn_of_outcome(run: ModelRun, max_iter: int) -> None:
    """Warn of a training that did not end as it should."""
    if run.stop_reason == "diverged":
        rates = run.history.get("learning_rate")
        rate = f" at learning rate {rates[-1]:.3g}" if rates else ""
        warnings.warn(
            f"Training diverged in epoch {run.n_epochs}{rate}: the loss or the weights are no "
            "longer finite. The model keeps the last finite weights. Lower the learning rate "
            "(optimizer__learning_rate) or scale the features, with StandardScaler for one.",
            ConvergenceWarning,
            stacklevel=6,
        )
    elif run.stop_reason == "interrupted":
        warnings.warn(
            f"Training interrupted by user in epoch {run.n_epochs + 1}; the model keeps the "
            "weights it had.",
            stacklevel=6,
        )
    elif run.stop_reason == "max_iter":
        detail = f" ({run.message})" if run.message else ""
        warnings.warn(
            f"Maximum iterations ({max_iter}) reached and the optimization hasn't "
            f"converged yet{detail}. Increase max_iter or the learning rate.",
            ConvergenceWarning,
            stacklevel=6,
        )
