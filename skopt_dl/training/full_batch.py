"""Methods that run a whole minimisation themselves, over all the data at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.objectives import Block, Objective
from skopt_dl.plugins.blame import blame
from skopt_dl.training.recording import Recorder
from skopt_dl.training.result import TrainingResult
from skopt_dl.training.state import TrainingState

Array = Any


def run_minimizer(
    objective: Objective,
    state: TrainingState,
    params: Array,
    block: Block,
    validate: Callable[[Array, Sequence[int]], Mapping[str, np.ndarray]] | None,
    on_epoch_begin: Callable[[Sequence[TrainingState]], None] | None,
    on_epoch_end: Callable[[Sequence[TrainingState]], None] | None,
    recorder: Recorder | None = None,
    interrupted: Callable[[], bool] | None = None,
    stops: Callable[[int], bool] | None = None,
) -> TrainingResult:
    """Run a `Minimizer` for one model; its iterations take the place of epochs.

    Parameters
    ----------
    objective : Objective
    state : TrainingState
    params : array of shape (K, P)
        Where models start, this one in its row.
    block : Block
        All of the model's samples as one batch.
    validate, on_epoch_begin, on_epoch_end, recorder, interrupted, stops
        As for `minimise`; an iteration is known only when it is over, so both are called then. A
        recorder is shown the start, and where each iteration has come to.

    Returns
    -------
    result : TrainingResult
    """
    b, config, rule = backend_of(params), state.config, state.config.stopping
    if objective.n_models > 1:
        objective = objective.select([state.index])
    (batch,) = objective.load(block)
    row = b.xp.asarray(params[state.index : state.index + 1, :], copy=True)
    best = last_good = b.to_numpy(row[0, :]).astype(np.float64)
    last_norm = 0.0
    started = time.perf_counter()

    def value_and_grad(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal last_norm
        row[0, :] = b.asarray(x, dtype=row.dtype)
        loss, grad = objective.value_and_grad(row, batch)
        host_loss, host_grad = b.fetch(loss[0], grad[0, :])
        gradient = host_grad.astype(np.float64)
        last_norm = float(np.linalg.norm(gradient))
        if np.isnan(state.first_loss):
            state.first_loss = float(host_loss)
        return float(host_loss), gradient

    def predictor(x: np.ndarray) -> Array:
        """What to predict with at `x`, ``(1, P + S)``; statistics are those of all samples."""
        row[0, :] = b.asarray(x, dtype=row.dtype)
        if objective.statistics is None:
            return row
        objective.value_and_grad(row, batch)
        return b.xp.concat([row, objective.statistics], axis=1)

    def ending_with(x: np.ndarray, message: str = "") -> TrainingResult:
        left = {"progress": dict(vars(state.progress)), "slots": {}}
        return TrainingResult.of(state, b.to_numpy(predictor(x)[0, :]).copy(), left, message)

    def show(x: np.ndarray) -> None:
        if recorder is not None:
            row[0, :] = b.asarray(x, dtype=row.dtype)
            recorder.see(np.array([state.index]), row, *objective.value_and_grad(row, batch))

    def callback(x: np.ndarray, loss: float) -> bool:
        nonlocal best, last_good
        show(x)
        if interrupted is not None and interrupted():
            raise KeyboardInterrupt
        if on_epoch_begin is not None:
            on_epoch_begin([state])
        state.progress.epoch += 1
        state.progress.step += 1
        state.progress.n_samples_seen += block.sizes[0]
        columns: Mapping[str, np.ndarray] = {}
        if validate is not None:
            columns = validate(predictor(x), [state.index])
        state.record(
            loss=[loss],
            **columns,
            grad_norm=[last_norm],
            seconds=[time.perf_counter() - started],
        )
        if not (np.isfinite(loss) and np.isfinite(x).all()):
            state.stop_reason = "diverged"
        else:
            last_good = x.copy()
            if state.judge():
                best = last_good
            # For the loss the method has a criterion of its own; the rule judges validation
            # figures.
            monitored = rule is not None and rule.monitor != "loss"
            if monitored and state.out_of_patience:
                state.stop_reason = "no_improvement"
        if on_epoch_end is not None:
            state.result = lambda: ending_with(x)
            on_epoch_end([state])
        if state.stop_requested or (stops is not None and stops(state.index)):
            state.stop_reason = state.stop_reason or "requested"
        return bool(state.stop_reason)

    # Exceptions that pass through the method, which is not to be blamed for them.
    others: list[BaseException] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            try:
                return function(*args)
            except BaseException as error:
                others.append(error)
                raise

        return call

    message = ""
    tol = rule.tol if rule is not None else 1e-4
    with b.quiet():
        show(last_good)
        try:
            result = config.optimizer.minimize(
                noting(value_and_grad),
                last_good.copy(),
                max_iter=config.max_epochs,
                tol=tol,
                callback=noting(callback),
            )
            message, final = result.message, result.params
            if not state.stop_reason:
                state.stop_reason = "converged" if result.converged else "max_iter"
            if not np.isfinite([last_norm, *final]).all():
                state.stop_reason = "diverged"
        except KeyboardInterrupt:
            final, state.stop_reason = last_good, "interrupted"
        except BaseException as error:
            if any(error is each for each in others):
                raise
            blame(error, type(config.optimizer), "minimize")
    if state.stop_reason == "diverged":
        final = last_good
    if rule is not None and rule.restore_best and state.history:
        final = best
    with b.quiet():
        return ending_with(final, message)
