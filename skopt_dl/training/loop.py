"""The training loop: the only place that applies an update."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from skopt_dl.backends import Backend, backend_of
from skopt_dl.objectives import Objective
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.schedules import Progress
from skopt_dl.training.averaging import Averages
from skopt_dl.training.batches import Batches
from skopt_dl.training.checkpoints import Checkpoints
from skopt_dl.training.clipping import clip_norm
from skopt_dl.training.full_batch import run_minimizer
from skopt_dl.training.recording import Recorder
from skopt_dl.training.run import ModelRun, Stopping
from skopt_dl.training.snapshots import Snapshot
from skopt_dl.training.updates import UpdateGroup, group_rows

Array = Any
Validate = Callable[[Array, Sequence[int]], Mapping[str, np.ndarray]]
OnEpoch = Callable[[Sequence[ModelRun]], None]
OnLeave = Callable[[Sequence[ModelRun], Sequence[ModelRun]], None]


def minimise(
    objective: Objective,
    optimizers: Optimizer | Minimizer | Sequence[Optimizer | Minimizer],
    params: Array,
    *,
    max_epochs: int | Sequence[int] = 100,
    batches: Batches | None = None,
    stopping: Stopping | Sequence[Stopping | None] | None = None,
    validate: Validate | None = None,
    on_epoch_begin: OnEpoch | None = None,
    on_epoch_end: OnEpoch | None = None,
    resume: Sequence[dict[str, Any]] | None = None,
    horizon: int | Sequence[int] | None = None,
    max_grad_norm: float | Sequence[float] = math.inf,
    ema_decay: float | Sequence[float] = 0.0,
    snapshots: Sequence[Snapshot | None] | None = None,
    on_leave: OnLeave | None = None,
    recorder: Recorder | None = None,
) -> list[ModelRun]:
    """Minimise an objective for K models at once.

    Parameters
    ----------
    objective : Objective
    optimizers : Optimizer, Minimizer or sequence of K of them
        Neighbours of one class share an update.
    params : array of shape (K, P)
        Where to start; overwritten. Its library and device are those of the training.
    max_epochs : int or sequence of K, default=100
    batches : Batches, default=None
        None makes one step an epoch, over everything.
    stopping : Stopping or sequence of K, default=None
        None runs all epochs.
    validate : callable, default=None
        ``validate(params, models)`` gives more history columns, a value for each of `models`. Its
        `params` are those to predict with, followed by ``objective.statistics`` where there are
        any: ``(K, P + S)``. So are ``ModelRun.params``.
    on_epoch_begin, on_epoch_end : callable, default=None
        Called with the `ModelRun` of every model still training; one may set
        ``stop_requested``.
    resume : sequence of K dicts, default=None
        ``ModelRun.state`` of an earlier call, to go on from.
    horizon : int or sequence of K, default=None
        Epochs that the learning rate schedules are laid out for; None means `max_epochs`.
    max_grad_norm : float or sequence of K, default=inf
        Longer gradients are scaled down to this length (Pascanu et al., 2013, arXiv:1211.5063).
    ema_decay : float or sequence of K, default=0.0
        Where positive, models end with, and are validated with, an average of their parameters
        over the steps; see `Averages`.
    snapshots : sequence of K (Snapshot or None), default=None
        Where models were in an earlier call that was cut short, to end as it would have. Their
        rows of `params`, statistics and generators are the snapshots' already.
    on_leave : callable, default=None
        Called with those that have just left, whose runs are complete and whose generators are
        up to date, and those that go on, in the end of every epoch; not after an interrupt.
    recorder : Recorder, default=None
        Is shown every step, and every iteration of a `Minimizer`.

    Returns
    -------
    runs : list of K ModelRun
        Parameters, history and reason to stop of each model, in order.

    Notes
    -----
    A model that stops leaves the stack, which goes on with the others. A model whose loss or
    parameters are no longer finite gets back its last good parameters. An interrupt (Ctrl-C)
    stops all models and keeps what they have.
    """
    n_models, b = params.shape[0], backend_of(params)
    batches = batches or Batches(objective.n_samples, objective.n_samples)
    runs = []
    for k in range(n_models):
        state = resume[k] if resume else {}
        progress = Progress()
        vars(progress).update(state.get("progress", {}))
        epochs = _of(max_epochs, k)
        progress.n_epochs = epochs if horizon is None else _of(horizon, k)
        progress.n_steps = progress.n_epochs * batches.n_batches
        rule = _of(stopping, k)
        run = ModelRun(
            k,
            _of(optimizers, k),
            rule,
            progress,
            epochs,
            _of(max_grad_norm, k),
            _of(ema_decay, k),
            (progress.step, progress.n_samples_seen),
            state=state,
        )
        monitor, *patience = state.get("patience", [""])
        if rule is not None and rule.monitor == monitor:
            run.best, run.n_iter_without_improvement = patience
        snapshot = snapshots[k] if snapshots else None
        if snapshot is not None:
            snapshot.restore(run)
        runs.append(run)
    for run in runs:
        if run.optimizer.full_batch:
            block = batches.select([run.index]).everything()
            run_minimizer(
                objective, run, params, block, validate, on_epoch_begin, on_epoch_end, recorder
            )
            if run.stop_reason == "interrupted":
                _interrupt_before_start(runs, b.to_numpy(with_statistics(objective, params)))
                return runs
            if on_leave is not None:
                on_leave([run], [])
    stochastic = [run for run in runs if not run.stop_reason]
    if stochastic:
        stack = Stack(objective, batches, params, stochastic, snapshots, recorder)
        with b.quiet():
            stack.train(validate, on_epoch_begin, on_epoch_end, on_leave)
    return runs


def _of(value: Any, k: int) -> Any:
    """What belongs to model `k`, of a value for all or a sequence with one for each."""
    return value[k] if isinstance(value, Sequence) else value


def _averages_itself(run: ModelRun) -> bool:
    """Whether the optimizer predicts with other parameters than it trains."""
    return type(run.optimizer).eval_params is not Optimizer.eval_params


def with_statistics(objective: Objective, params: Array) -> Array:
    """Put an objective's statistics beside parameters, ``(K, P + S)``."""
    statistics = objective.statistics
    if statistics is None:
        return params
    return backend_of(params).xp.concat([params, statistics], axis=1)


def _interrupt_before_start(runs: Sequence[ModelRun], params: np.ndarray) -> None:
    for run in runs:
        if not run.stop_reason:
            run.stop_reason, run.params = "interrupted", params[run.index].copy()


class Stack:
    """The models still in training, and their arrays."""

    def __init__(
        self,
        objective: Objective,
        batches: Batches,
        params: Array,
        runs: Sequence[ModelRun],
        snapshots: Sequence[Snapshot | None] | None = None,
        recorder: Recorder | None = None,
    ):
        self.b = backend_of(params)
        self.recorder = recorder
        self.objective, self.batches = objective, batches
        self.params = params
        self.runs = list(runs)
        if len(runs) < params.shape[0]:
            self._keep([run.index for run in runs])
            self.batches = batches.select([run.index for run in runs])
        self._prepare([run.state for run in runs])
        self.checkpoints = Checkpoints(self.b, self._eval_params())
        if snapshots is not None and any(snapshots):
            found = [snapshots[run.index] for run in runs]
            kept = [None if each is None else each.checkpoints for each in found]
            self.checkpoints.restore(self._eval_params(), kept)

    def _prepare(self, states: Sequence[dict[str, Any]]) -> None:
        """Make what goes with the present rows, to go on from `states`."""
        self.models = np.array([run.index for run in self.runs])
        self._make_groups([state.get("slots") for state in states])
        limits = np.array([[run.max_grad_norm] for run in self.runs])
        clips = bool(np.isfinite(limits).any())
        self.limits = self.b.asarray(limits, dtype=self.params.dtype) if clips else None
        self.averages: Averages | None = None
        decays = [run.ema_decay for run in self.runs]
        if any(decays):
            averages = [state.get("average") for state in states]
            self.averages = Averages(self.b, decays, self._predictors(), averages)
        for row, run in enumerate(self.runs):
            run.current = partial(self._current, row)
            run.current_state = partial(self._current_state, row)
            run.snapshot = partial(self._snapshot, row)

    def _make_groups(self, states: Sequence[dict[str, np.ndarray] | None]) -> None:
        self.groups: list[tuple[slice, UpdateGroup]] = []
        optimizers = [run.optimizer for run in self.runs]
        progress = [run.progress for run in self.runs]
        for rows in group_rows(optimizers, progress, states):
            group = UpdateGroup(
                self.b,
                optimizers[rows],
                self.params[rows, :],
                self.objective.layout,
                progress[rows],
                states[rows],
                rows,
            )
            self.groups.append((rows, group))
        self.objective.keeps_draws = any(group.needs_gradient for _, group in self.groups)
        needed = any(group.needs_loss for _, group in self.groups)
        self.needs_loss = needed or self.recorder is not None

    def _keep(self, rows: Sequence[int]) -> None:
        """Go on with some rows of the stack only."""
        index = self.b.asarray(np.asarray(rows))
        self.params = self.b.xp.take(self.params, index, axis=0)
        self.objective = self.objective.select(rows)

    def train(
        self,
        validate: Validate | None,
        on_epoch_begin: OnEpoch | None,
        on_epoch_end: OnEpoch | None,
        on_leave: OnLeave | None = None,
    ) -> None:
        """Run epochs until every model has stopped."""
        started = time.perf_counter()
        try:
            while self.runs:
                if on_epoch_begin is not None:
                    on_epoch_begin(self.runs)
                self.checkpoints.begin_epoch(self._eval_params())
                for _, group in self.groups:
                    group.set_rate()
                figures = self._epoch()
                self._end_epoch(figures, validate, started)
                if on_epoch_end is not None:
                    on_epoch_end(self.runs)
                left = self._leave()
                if on_leave is not None:
                    on_leave(left, self.runs)
        except KeyboardInterrupt:
            for _, group in self.groups:
                group.tell_progress()
            for run in self.runs:
                run.stop_reason = run.stop_reason or "interrupted"
            self._leave()

    def _epoch(self) -> dict[str, np.ndarray]:
        """One pass over the data; returns figures of shape (K,), fetched from the device once."""
        objective, params, groups = self.objective, self.params, self.groups
        xp = self.b.xp
        total = first = norm = None
        batches, recorder = self.batches, self.recorder
        per_block = objective.batches_per_block(batches.batch_size, batches.n_orders)
        for block in batches.epoch(per_block):
            seen = []
            for batch in objective.load(block):
                loss = None
                if self.needs_loss:
                    loss, grad = objective.value_and_grad(params, batch)
                    seen.append(loss)
                else:
                    grad = objective.grad(params, batch)
                if norm is None:
                    norm = self.b.row_dot(grad, grad)
                if recorder is not None:
                    recorder.see(self.models, params, loss, grad)
                if self.limits is not None:
                    clip_norm(self.b, grad, self.limits)
                for rows, group in groups:
                    elsewhere = None
                    if group.needs_gradient:
                        elsewhere = partial(self._gradient_at, batch, rows)
                    group.apply(grad, loss, elsewhere)
                if self.averages is not None:
                    self.averages.update(self._predictors())
            losses = xp.stack(seen) if seen else objective.losses()
            first = losses[0, :] if first is None else first
            sizes = self.b.asarray(np.array(block.sizes)[:, None], dtype=losses.dtype)
            total = self.b.sum_on(sizes * losses, total)
        finite = xp.all(xp.isfinite(with_statistics(objective, params)), axis=1)
        names = ("loss", "first_loss", "squared_norm", "finite")
        figures = dict(zip(names, self.b.fetch(total, first, norm, finite), strict=True))
        figures["loss"] = figures["loss"] / self.batches.epoch_size
        return figures

    def _gradient_at(self, batch: Any, rows: slice, params: Array) -> Array:
        """A batch's gradient for the models of a group, where they are not."""
        if params.shape[0] < self.params.shape[0]:
            everywhere = self.b.xp.asarray(self.params, copy=True)
            everywhere[rows, :] = params
            params = everywhere
        grad = self.objective.gradient_at(params, batch)
        if self.limits is not None:
            clip_norm(self.b, grad, self.limits)
        return grad[rows, :]

    def _end_epoch(
        self, figures: dict[str, np.ndarray], validate: Validate | None, started: float
    ) -> None:
        """Write the history, keep the best, notice what diverged."""
        rates = [rate for _, group in self.groups for rate in group.rates]
        for rows, group in self.groups:
            group.tell_progress()
            for run in self.runs[rows]:
                run.untraced = group.untraced
        eval_params = self._eval_params()
        self._check_predictors(eval_params, figures["finite"])
        columns = {} if validate is None else validate(eval_params, [r.index for r in self.runs])
        seconds = time.perf_counter() - started
        # Python's numbers: with NumPy's own, the history of many small models would take long.
        history = {
            "loss": figures["loss"].tolist(),
            **{name: values.tolist() for name, values in columns.items()},
            "learning_rate": rates,
            "grad_norm": np.sqrt(figures["squared_norm"]).tolist(),
        }
        first_loss, finite = figures["first_loss"].tolist(), figures["finite"].tolist()
        for row, run in enumerate(self.runs):
            run.progress.epoch += 1
            run.progress.n_samples_seen += self.batches.epoch_size
            figures_of_row = {name: each[row] for name, each in history.items()}
            run.record(**figures_of_row, seconds=run.seconds_before + seconds)
            if not (math.isfinite(history["loss"][row]) and finite[row]):
                run.stop_reason = "diverged"
                if not math.isfinite(first_loss[row]):
                    self.checkpoints.reject(row)
            elif run.judge() and run.stopping is not None and run.stopping.restore_best:
                self.checkpoints.keep_best(eval_params, row)

    def _predictors(self) -> list[Array]:
        """What models predict with, averages apart: parameters, and statistics if there are any."""
        parts = [group.eval_params() for _, group in self.groups]
        params = parts[0] if len(parts) == 1 else self.b.xp.concat(parts)
        statistics = self.objective.statistics
        return [params] if statistics is None else [params, statistics]

    def _eval_params(self) -> Array:
        """What models predict with, ``(K, P + S)``."""
        parts = self._predictors() if self.averages is None else self.averages.values
        return parts[0] if len(parts) == 1 else self.b.xp.concat(parts, axis=1)

    def _check_predictors(self, eval_params: Array, finite: np.ndarray) -> None:
        """See that finite parameters give finite ones to predict with."""
        if not any(map(_averages_itself, self.runs)):
            return
        xp = self.b.xp
        (good,) = self.b.fetch(xp.all(xp.isfinite(eval_params), axis=1))
        for run, trained, predicts in zip(self.runs, finite, good, strict=True):
            if trained and not predicts:
                raise ValueError(
                    f"eval_params of {type(run.optimizer).__name__} returned values that are not "
                    f"finite, in epoch {run.n_epochs + 1}, for parameters that are: there is "
                    "nothing to predict with."
                )

    def _current(self, row: int) -> np.ndarray:
        return self.b.to_numpy(self._eval_params()[row, :])

    def _current_state(self, row: int) -> dict[str, Any]:
        run = copy.copy(self.runs[row])
        if run.stop_reason == "diverged":
            return {}
        run.progress = copy.copy(run.progress)
        # What the rule is about to change, a rate that falls for one, comes before what follows.
        run.should_stop()
        return {**run.standing, **self._state(row)}

    def _leave(self) -> list[ModelRun]:
        """Let the models that are done go, and close the ranks; returns those that left."""
        for run in self.runs:
            if run.stop_reason or run.should_stop():
                continue
            if run.stop_requested:
                run.stop_reason = "requested"
            elif run.n_epochs >= run.max_epochs:
                run.stop_reason = "max_iter"
        staying = [row for row, run in enumerate(self.runs) if not run.stop_reason]
        if len(staying) == len(self.runs):
            return []
        eval_params = self._eval_params()
        for row, run in enumerate(self.runs):
            if run.stop_reason:
                self._finish(row, run, eval_params[row, :])
        left = [run for run in self.runs if run.stop_reason]
        # Where they are: nothing passes through the host.
        states = [self._row_state(row) for row in staying]
        self.batches = self.batches.select(staying)
        self.runs = [self.runs[row] for row in staying]
        if staying:
            self._keep(staying)
            self._prepare(states)
            self.checkpoints.select(staying)
        return left

    def _finish(self, row: int, run: ModelRun, params: Array) -> None:
        """Give a model that leaves what it ends with."""
        final = self.checkpoints.best(row)
        if final is None:
            final = self.b.to_numpy(params)
            # Parameters that are finite can be beyond use, and an interrupt can hide a divergence.
            if run.stop_reason == "diverged" or not np.isfinite(final).all():
                final = self.checkpoints.last_good(row)
        # One model alone may keep the buffer; several must not keep each other's.
        run.params = final if self.params.shape[0] == 1 else final.copy()
        run.current = run.current_state = run.snapshot = None
        run.state = {}
        if run.stop_reason != "diverged":
            run.state = {**run.standing, **self._state(row, is_training=False)}

    def _state(self, row: int, is_training: bool = True) -> dict[str, Any]:
        """What is needed to go on with one model, on the host.

        A model alone that trains no more may keep the buffers.
        """
        state = _on_host(self.b, self._row_state(row), copy=self.params.shape[0] > 1 or is_training)
        if self.averages is not None or _averages_itself(self.runs[row]):
            state["params"] = self._trained(row)
        return state

    def _row_state(self, row: int) -> dict[str, Any]:
        """The optimizer's state of one model, and its averages, as views."""
        for rows, group in self.groups:
            if rows.start <= row < rows.stop:
                state: dict[str, Any] = {"slots": group.row_state(row - rows.start)}
        if self.averages is not None:
            state["average"] = self.averages.row_state(row)
        return state

    def _trained(self, row: int) -> np.ndarray:
        """The parameters that one model trains with, and its statistics, ``(P + S,)``; a copy."""
        arrays = [self.params, self.objective.statistics]
        parts = [self.b.to_numpy(array[row, :]) for array in arrays if array is not None]
        return np.concatenate(parts)

    def _snapshot(self, row: int) -> Snapshot:
        run, checkpoints = self.runs[row], self.checkpoints.row_state(row)
        generator = self.batches.generator_state(row)
        return Snapshot.of(run, self._state(row), self._trained(row), checkpoints, generator)


def _on_host(b: Backend, state: Any, copy: bool) -> Any:
    """Numbers as they are, and arrays as NumPy's, in dicts and lists."""
    if isinstance(state, dict):
        return {name: _on_host(b, value, copy) for name, value in state.items()}
    if isinstance(state, list):
        return [_on_host(b, value, copy) for value in state]
    if isinstance(state, float):
        return state
    array = b.to_numpy(state)
    return array.copy() if copy else array
