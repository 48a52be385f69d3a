"""What a training tells the user: progress lines and warnings."""

from __future__ import annotations

from sklearn.exceptions import ConvergenceWarning

from skopt_dl._warnings import warn_user
from skopt_dl.training import ModelRun


def print_epoch(run: ModelRun) -> None:
    """Print a model's last epoch."""
    line = f"Epoch {run.n_epochs}, loss = {run.history['loss'][-1]:.8f}"
    if "validation_score" in run.history:
        line += f", validation score = {run.history['validation_score'][-1]:.6f}"
    print(line)


def warn_of_outcome(run: ModelRun, max_iter: int) -> None:
    """Warn of a training that did not end as it should."""
    if run.stop_reason == "diverged":
        rates = run.history.get("learning_rate")
        rate = f" at learning rate {rates[-1]:.3g}" if rates else ""
        remedy = "Scale"
        if rate:
            remedy = (
                "Lower the learning rate (optimizer__learning_rate; "
                "skopt_dl.learning_rate_range(model, X, y) shows which are stable), or scale"
            )
        warn_user(
            f"Training diverged in epoch {max(1, run.n_epochs)}{rate}: the loss or the weights are "
            f"no longer finite. The model keeps the last finite weights. {remedy} the features "
            "(StandardScaler) and the targets (TransformedTargetRegressor, "
            "standardize_target=True).",
            ConvergenceWarning,
        )
    elif run.stop_reason == "interrupted":
        warn_user(
            f"Training interrupted by user in epoch {run.n_epochs + 1}; the model keeps the "
            "weights it had."
        )
    elif run.stop_reason == "max_iter":
        remedy = "Increase max_iter"
        if "learning_rate" in run.history:
            remedy += " or the learning rate"
        warn_user(
            f"Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet. "
            f"{remedy}.",
            ConvergenceWarning,
        )
