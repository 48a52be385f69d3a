"""Methods that run a whole minimisation themselves, over all the data at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.objectives import Block, Objective
from skopt_dl.training.recording import Recorder
from skopt_dl.training.run import ModelRun

Array = Any


def run_minimizer(
    objective: Objective,
    run: ModelRun,
    params: Array,
    block: Block,
    validate: Callable[[Array, Sequence[int]], Mapping[str, np.ndarray]] | None,
    on_epoch_begin: Callable[[Sequence[ModelRun]], None] | None,
    on_epoch_end: Callable[[Sequence[ModelRun]], None] | None,
    recorder: Recorder | None = None,
) -> None:
    """Run a `Minimizer` for one model; its iterations take the place of epochs.

    Parameters
    ----------
    objective : Objective
    run : ModelRun
        The model; its row of `params` is overwritten.
    params : array of shape (K, P)
    block : Block
        All of the model's samples as one batch.
    validate, on_epoch_begin, on_epoch_end, recorder
        As for `minimise`; an iteration is known only when it is over, so both are called then. A
        recorder is shown the start, and where each iteration has come to.
    """
    b = backend_of(params)
    if objective.n_models > 1:
        objective = objective.select([run.index])
    (batch,) = objective.load(block)
    row = b.xp.asarray(params[run.index : run.index + 1, :], copy=True)
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
        if np.isnan(run.first_loss):
            run.first_loss = float(host_loss)
        return float(host_loss), gradient

    def predictor(x: np.ndarray) -> Array:
        """What to predict with at `x`, ``(1, P + S)``; statistics are those of all samples."""
        row[0, :] = b.asarray(x, dtype=row.dtype)
        if objective.statistics is None:
            return row
        objective.value_and_grad(row, batch)
        return b.xp.concat([row, objective.statistics], axis=1)

    def show(x: np.ndarray) -> None:
        if recorder is not None:
            row[0, :] = b.asarray(x, dtype=row.dtype)
            recorder.see(np.array([run.index]), row, *objective.value_and_grad(row, batch))

    def callback(x: np.ndarray, loss: float) -> bool:
        nonlocal best, last_good
        show(x)
        if on_epoch_begin is not None:
            on_epoch_begin([run])
        run.progress.epoch += 1
        run.progress.step += 1
        run.progress.n_samples_seen += block.sizes[0]
        columns: Mapping[str, np.ndarray] = {}
        if validate is not None:
            columns = validate(predictor(x), [run.index])
        run.record(
            loss=loss,
            **{name: values[0] for name, values in columns.items()},
            grad_norm=last_norm,
            seconds=time.perf_counter() - started,
        )
        if not (np.isfinite(loss) and np.isfinite(x).all()):
            run.stop_reason = "diverged"
        else:
            last_good = x.copy()
            if run.judge():
                best = last_good
            # For the loss the method has a criterion of its own; the rule judges validation
            # figures.
            monitored = run.stopping is not None and run.stopping.monitor != "loss"
            if monitored and run.out_of_patience:
                run.stop_reason = "no_improvement"
        if on_epoch_end is not None:
            run.current = lambda: b.to_numpy(predictor(x)[0, :])
            run.current_state = lambda: _state(run)
            on_epoch_end([run])
            run.current = run.current_state = None
        if run.stop_requested:
            run.stop_reason = run.stop_reason or "requested"
        return bool(run.stop_reason)

    tol = run.stopping.tol if run.stopping is not None else 1e-4
    with b.quiet():
        show(last_good)
        try:
            result = run.optimizer.minimize(
                value_and_grad,
                last_good.copy(),
                max_iter=run.max_epochs,
                tol=tol,
                callback=callback,
            )
            run.message = result.message
            final = result.params
            if not run.stop_reason:
                run.stop_reason = "converged" if result.converged else "max_iter"
            if not np.isfinite([last_norm, *final]).all():
                run.stop_reason = "diverged"
        except KeyboardInterrupt:
            final, run.stop_reason = last_good, "interrupted"
    if run.stop_reason == "diverged":
        final = last_good
    if run.stopping is not None and run.stopping.restore_best and run.history:
        final = best
    with b.quiet():
        run.params = b.to_numpy(predictor(final)[0, :])
    run.state = _state(run)


def _state(run: ModelRun) -> dict[str, Any]:
    return {"progress": dict(vars(run.progress)), "slots": {}}
