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
        remedy = "Lower the learning rate (optimizer__learning_rate), or scale" if rate else "Scale"
        warnings.warn(
            f"Training diverged in epoch {max(1, run.n_epochs)}{rate}: the loss or the weights are "
            f"no longer finite. The model keeps the last finite weights. {remedy} the features "
            "(StandardScaler) and the targets (TransformedTargetRegressor).",
            ConvergenceWarning,
            stacklevel=5,
        )
    elif run.stop_reason == "interrupted":
        warnings.warn(
            f"Training interrupted by user in epoch {run.n_epochs + 1}; the model keeps the "
            "weights it had.",
            stacklevel=5,
        )
    elif run.stop_reason == "max_iter":
        remedy = "Increase max_iter"
        if "learning_rate" in run.history:
            remedy += " or the learning rate"
        warnings.warn(
            f"Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet. "
            f"{remedy}.",
            ConvergenceWarning,
            stacklevel=5,
        )
