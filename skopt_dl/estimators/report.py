"""What a training tells the user: progress lines and warnings."""

from __future__ import annotations

import copy
import math

from sklearn.exceptions import ConvergenceWarning

from skopt_dl._printing import print_line
from skopt_dl._warnings import warn_user
from skopt_dl.backends import cuda_problem
from skopt_dl.training import TrainingResult, TrainingState

# Times its first value that the loss of a training may rise to before that is called divergence.
EXPLOSION = 10.0


def print_unused_gpu(device: str) -> None:
    """Say that there is a GPU, where ``device="auto"`` leaves it alone."""
    if device == "auto" and cuda_problem() is None:
        print(
            "A GPU is present; device='cuda' trains on it, untested so far. "
            "device='auto' takes the CPU."
        )


def print_epoch(state: TrainingState) -> None:
    """Print a model's last epoch; before the first, what runs it and what makes it slower."""
    if state.n_epochs == 1 and state.engine != "numpy":
        print_line(f"Trained by the engine {state.engine!r}.")
    if state.n_epochs == 1 and state.untraced:
        name = type(state.config.optimizer).__name__
        print_line(f"The update of {name} is not traced, and takes longer: {state.untraced}.")
    line = f"Epoch {state.n_epochs}, loss = {state.history['loss'][-1]:.8f}"
    if "validation_score" in state.history:
        line += f", validation score = {state.history['validation_score'][-1]:.6f}"
    print_line(line)
    if state.out_of_patience and not state.config.optimizer.full_batch:
        print_line(_plateau(state))


def _plateau(state: TrainingState) -> str:
    """What the stopping rule is about to do, in words."""
    rule = state.config.stopping
    assert rule is not None
    line = (
        f"{rule.monitor.replace('_', ' ').capitalize()} did not improve more than "
        f"tol={rule.tol:f} for {rule.n_iter_no_change} consecutive epochs."
    )
    schedule = state.config.optimizer.learning_rate_schedule
    if schedule.continues_after_plateau(state.progress):
        progress = copy.copy(state.progress)
        progress.n_plateaus += 1
        return f"{line} Setting learning rate to {schedule.value(progress):.3g}."
    return f"{line} {'Learning rate too small. ' if state.progress.n_plateaus else ''}Stopping."


def _went_to_plan(result: TrainingResult) -> bool:
    """Whether the rate was laid out to end at the last epoch."""
    schedule = getattr(result.config.optimizer, "learning_rate_schedule", None)
    return schedule is not None and schedule.spans_training


def _exploded(result: TrainingResult) -> bool:
    """Whether the loss has risen far without becoming infinite."""
    losses = result.history.get("loss", [0.0])
    return losses[-1] > EXPLOSION * abs(losses[0]) > 0


def _warn_of_scores(result: TrainingResult) -> None:
    """Warn of a monitored figure that was not a number, though the model was."""
    rule = result.config.stopping
    if rule is None or result.stop_reason in ("diverged", "interrupted"):
        return
    values = result.history.get(rule.monitor, [])
    n_nan = sum(map(math.isnan, values))
    if not n_nan:
        return
    name = rule.monitor.replace("_", " ")
    if n_nan == len(values):
        warn_user(
            f"The {name} was never a number in {result.n_epochs} epochs: there was nothing to "
            "choose the best epoch by. Look at `scoring` and the validation data."
        )
    else:
        warn_user(
            f"The {name} was not a number in {n_nan} of {result.n_epochs} epochs, which count as "
            "no improvement. Look at `scoring` and the validation data."
        )


def warn_of_outcome(result: TrainingResult, max_iter: int, target_advice: str = "") -> None:
    """Warn of a training that did not end as it should.

    `target_advice` says what to do about targets, where they are why it got nowhere.
    """
    _warn_of_scores(result)
    if result.stop_reason == "diverged" or _exploded(result):
        rates = result.history.get("learning_rate")
        rate = f" at learning rate {rates[-1]:.3g}" if rates else ""
        remedy = "Scale"
        if rate:
            remedy = (
                "Lower the learning rate (optimizer__learning_rate; "
                "skopt_dl.learning_rate_range(model, X, y) shows which are stable), or scale"
            )
        what = (
            "the loss or the weights are no longer finite. The model keeps the last finite weights."
            if result.stop_reason == "diverged"
            else f"the loss has risen from {result.history['loss'][0]:.3g} to "
            f"{result.history['loss'][-1]:.3g}."
        )
        warn_user(
            f"Training diverged in epoch {max(1, result.n_epochs)}{rate}: {what} {remedy} the "
            "features (StandardScaler) and the targets (standardize_target=True).",
            ConvergenceWarning,
        )
    elif result.stop_reason == "interrupted":
        warn_user(
            f"Training interrupted by user in epoch {result.n_epochs + 1}; the model keeps the "
            "weights it had."
        )
    elif result.stop_reason == "max_iter" and result.n_epochs < max_iter:
        warn_user(
            f"{type(result.config.optimizer).__name__} stopped after {result.n_epochs} "
            f"iterations, before it converged: {result.message}. Scale the features, or raise the "
            "limit that it names (optimizer__max_fun).",
            ConvergenceWarning,
        )
    elif result.stop_reason == "max_iter" and not _went_to_plan(result):
        remedy = "Increase max_iter"
        if "learning_rate" in result.history:
            remedy += " or the learning rate"
        warn_user(
            f"Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet. "
            f"{target_advice or remedy + '.'}",
            ConvergenceWarning,
        )
    elif target_advice and result.stop_reason in ("max_iter", "no_improvement"):
        warn_user(
            f"Training got nowhere in {result.n_epochs} epochs. {target_advice}", ConvergenceWarning
        )
