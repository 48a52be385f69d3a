"""What a training tells the user: progress lines and warnings."""

from __future__ import annotations

import copy
import math

from sklearn.exceptions import ConvergenceWarning

from skopt_dl._printing import print_line
from skopt_dl._warnings import warn_user
from skopt_dl.backends import cuda_problem
from skopt_dl.training import ModelRun

# Times its first value that the loss of a training may rise to before that is called divergence.
EXPLOSION = 10.0


def print_unused_gpu(device: str) -> None:
    """Say that there is a GPU, where ``device="auto"`` leaves it alone."""
    if device == "auto" and cuda_problem() is None:
        print(
            "A GPU is present; device='cuda' trains on it, untested so far. "
            "device='auto' takes the CPU."
        )


def print_epoch(run: ModelRun) -> None:
    """Print a model's last epoch; before the first, what makes all of them slower."""
    if run.n_epochs == 1 and run.untraced:
        name = type(run.optimizer).__name__
        print_line(f"The update of {name} is not traced, and takes longer: {run.untraced}.")
    line = f"Epoch {run.n_epochs}, loss = {run.history['loss'][-1]:.8f}"
    if "validation_score" in run.history:
        line += f", validation score = {run.history['validation_score'][-1]:.6f}"
    print_line(line)
    if run.out_of_patience and not run.optimizer.full_batch:
        print_line(_plateau(run))


def _plateau(run: ModelRun) -> str:
    """What the stopping rule is about to do, in words."""
    assert run.stopping is not None
    line = (
        f"{run.stopping.monitor.replace('_', ' ').capitalize()} did not improve more than "
        f"tol={run.stopping.tol:f} for {run.stopping.n_iter_no_change} consecutive epochs."
    )
    schedule = run.optimizer.learning_rate_schedule
    if schedule.continues_after_plateau(run.progress):
        progress = copy.copy(run.progress)
        progress.n_plateaus += 1
        return f"{line} Setting learning rate to {schedule.value(progress):.3g}."
    return f"{line} {'Learning rate too small. ' if run.progress.n_plateaus else ''}Stopping."


def _went_to_plan(run: ModelRun) -> bool:
    """Whether the rate was laid out to end at the last epoch."""
    schedule = getattr(run.optimizer, "learning_rate_schedule", None)
    return schedule is not None and schedule.spans_training


def _exploded(run: ModelRun) -> bool:
    """Whether the loss has risen far without becoming infinite."""
    losses = run.history.get("loss", [0.0])
    return losses[-1] > EXPLOSION * abs(losses[0]) > 0


def _warn_of_scores(run: ModelRun) -> None:
    """Warn of a monitored figure that was not a number, though the model was."""
    if run.stopping is None or run.stop_reason in ("diverged", "interrupted"):
        return
    values = run.history.get(run.stopping.monitor, [])
    n_nan = sum(map(math.isnan, values))
    if not n_nan:
        return
    name = run.stopping.monitor.replace("_", " ")
    if n_nan == len(values):
        warn_user(
            f"The {name} was never a number in {run.n_epochs} epochs: there was nothing to choose "
            "the best epoch by. Look at `scoring` and the validation data."
        )
    else:
        warn_user(
            f"The {name} was not a number in {n_nan} of {run.n_epochs} epochs, which count as no "
            "improvement. Look at `scoring` and the validation data."
        )


def warn_of_outcome(run: ModelRun, max_iter: int, target_advice: str = "") -> None:
    """Warn of a training that did not end as it should.

    `target_advice` says what to do about targets, where they are why it got nowhere.
    """
    _warn_of_scores(run)
    if run.stop_reason == "diverged" or _exploded(run):
        rates = run.history.get("learning_rate")
        rate = f" at learning rate {rates[-1]:.3g}" if rates else ""
        remedy = "Scale"
        if rate:
            remedy = (
                "Lower the learning rate (optimizer__learning_rate; "
                "skopt_dl.learning_rate_range(model, X, y) shows which are stable), or scale"
            )
        what = (
            "the loss or the weights are no longer finite. The model keeps the last finite weights."
            if run.stop_reason == "diverged"
            else f"the loss has risen from {run.history['loss'][0]:.3g} to "
            f"{run.history['loss'][-1]:.3g}."
        )
        warn_user(
            f"Training diverged in epoch {max(1, run.n_epochs)}{rate}: {what} {remedy} the "
            "features (StandardScaler) and the targets (standardize_target=True).",
            ConvergenceWarning,
        )
    elif run.stop_reason == "interrupted":
        warn_user(
            f"Training interrupted by user in epoch {run.n_epochs + 1}; the model keeps the "
            "weights it had."
        )
    elif run.stop_reason == "max_iter" and run.n_epochs < max_iter:
        warn_user(
            f"{type(run.optimizer).__name__} stopped after {run.n_epochs} iterations, before it "
            f"converged: {run.message}. Scale the features, or raise the limit that it names "
            "(optimizer__max_fun).",
            ConvergenceWarning,
        )
    elif run.stop_reason == "max_iter" and not _went_to_plan(run):
        remedy = "Increase max_iter"
        if "learning_rate" in run.history:
            remedy += " or the learning rate"
        warn_user(
            f"Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet. "
            f"{target_advice or remedy + '.'}",
            ConvergenceWarning,
        )
    elif target_advice and run.stop_reason in ("max_iter", "no_improvement"):
        warn_user(
            f"Training got nowhere in {run.n_epochs} epochs. {target_advice}", ConvergenceWarning
        )
