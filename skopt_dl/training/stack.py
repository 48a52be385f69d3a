"""The training loop: the models of a stack, epoch by epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.backends import Backend, backend_of
from skopt_dl.objectives import Objective
from skopt_dl.optimizers import Optimizer
from skopt_dl.training.averaging import Averages
from skopt_dl.training.batches import Batches
from skopt_dl.training.checkpoints import Checkpoints
from skopt_dl.training.config import TrainingConfig
from skopt_dl.training.ends import Ends
from skopt_dl.training.recording import Recorder
from skopt_dl.training.result import TrainingResult
from skopt_dl.training.snapshots import Snapshot
from skopt_dl.training.state import TrainingState
from skopt_dl.training.steps import Steps
from skopt_dl.training.updates import UpdateGroup, group_rows

Array = Any
Validate = Callable[[Array, Sequence[int]], Mapping[str, np.ndarray]]
OnEpoch = Callable[[Sequence[TrainingState]], None]
OnLeave = Callable[[Sequence[TrainingResult], Sequence[TrainingState]], None]
Call = Callable[[], Any]
Columns = Mapping[str, Sequence[float]]

# The share of a stack's rows whose models have to be done for it to be compacted.
DONE = 1 / 8
# How many epochs are run at once where nobody looks between them, of how many steps together, and
# for how many seconds.
MOST_EPOCHS = 32
MOST_STEPS = 1024
PATIENCE = 0.02
# Parameters of a stack up to which those of several epochs are kept to be validated.
FEW = 1 << 18


def _averages_itself(config: TrainingConfig) -> bool:
    """Whether the optimizer predicts with other parameters than it trains."""
    return type(config.optimizer).eval_params is not Optimizer.eval_params


def with_statistics(objective: Objective, params: Array) -> Array:
    """Put an objective's statistics beside parameters, ``(K, P + S)``."""
    statistics = objective.statistics
    if statistics is None:
        return params
    return backend_of(params).xp.concat([params, statistics], axis=1)


class _Figures(NamedTuple):
    """What epochs have come to, for each of them and each row of the stack.

    Whether all of a row is finite is known of the last.
    """

    losses: list[list[float]]
    first_losses: list[list[float]]
    norms: list[list[float]]
    finite: list[bool]

    def are_finite(self, rows: Sequence[int]) -> bool:
        """Whether nothing in some rows has diverged."""
        return all(
            self.finite[row] and all(math.isfinite(losses[row]) for losses in self.losses)
            for row in rows
        )


class Stack:
    """The models still in training, and their arrays; and what became of the others.

    A model that is done is computed with the others until there are enough such rows for it to be
    worth making everything anew; nobody sees it any more.
    """

    def __init__(
        self,
        objective: Objective,
        batches: Batches,
        params: Array,
        states: Sequence[TrainingState],
        recorder: Recorder | None = None,
    ):
        self.b = backend_of(params)
        self.recorder = recorder
        self.objective, self.batches = objective, batches
        self.params = params
        self.states = list(states)
        self.results: dict[int, TrainingResult] = {}
        models = [state.index for state in states]
        if len(models) < params.shape[0]:
            self._keep(models)
            self.batches = batches.select(models)
        self.is_finite = True
        # What an epoch takes, and what the history knows of; in seconds.
        self._seconds = math.inf
        self._started = self._recorded = 0.0
        # Epochs that are run one by one.
        self._n_singly = 0
        # What brings back the state before the epochs that are being run, where these are several.
        self._undo: Callable[[], None] | None = None
        # What `validate` gave for them so far.
        self._columns: list[Columns] = []
        self._validate: Validate | None = None
        self._stops: Callable[[int], bool] | None = None
        self._is_watched = False
        # Generators of models that are done, and how they are to be left.
        self.done: list[tuple[np.random.Generator, dict[str, Any]]] = []
        self._prepare([state.resume for state in states])
        self.checkpoints = Checkpoints(self.b, self._eval_params())
        kept = [state.checkpoints for state in states]
        if any(kept):
            self.checkpoints.restore(self._eval_params(), kept)

    def _prepare(self, rows: Sequence[dict[str, Any]]) -> None:
        """Make what goes with the present rows, to go on from what was known of each."""
        self.rows = list(range(len(self.states)))
        self.models = np.array([state.index for state in self.states])
        self._make_groups([each.get("slots") for each in rows])
        configs = [state.config for state in self.states]
        limits = np.array([[config.max_grad_norm] for config in configs])
        clips = bool(np.isfinite(limits).any())
        self.limits = self.b.asarray(limits, dtype=self.params.dtype) if clips else None
        self._ends = Ends(self.b)
        self.averages: Averages | None = None
        decays = [config.ema_decay for config in configs]
        if any(decays):
            averages = [each.get("average") for each in rows]
            find = self._predictors if self.averages_itself else None
            self.averages = Averages(self.b, decays, self._predictors(), averages, find)
        self.steps = Steps(
            self.objective,
            self.batches,
            self.params,
            self.groups,
            self.limits,
            self.averages,
            self.recorder,
            self.models,
        )
        for row, state in enumerate(self.states):
            state.result = partial(self._result, row, state)
            state.snapshot = partial(self._snapshot, row, state)

    def _make_groups(self, slots: Sequence[dict[str, np.ndarray] | None]) -> None:
        self.groups: list[tuple[slice, UpdateGroup]] = []
        self.members: list[tuple[int, UpdateGroup]] = []
        optimizers = [state.config.optimizer for state in self.states]
        progress = [state.progress for state in self.states]
        seeds = [state.seed or 0 for state in self.states]
        for rows in group_rows(optimizers, progress, slots):
            group = UpdateGroup(
                self.b,
                optimizers[rows],
                self.params[rows, :],
                self.objective.layout,
                progress[rows],
                slots[rows],
                rows,
                seeds[rows],
            )
            self.groups.append((rows, group))
            # Who updates each row, and as which of theirs.
            self.members += [(place, group) for place in range(rows.stop - rows.start)]
        self.objective.keeps_draws = any(group.needs_gradient for _, group in self.groups)
        self.averages_itself = any(_averages_itself(state.config) for state in self.states)

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
        interrupted: Callable[[], bool] | None = None,
        stops: Callable[[int], bool] | None = None,
    ) -> None:
        """Run epochs until every model has stopped."""
        self._validate, self._stops = validate, stops
        self._started = time.perf_counter()
        watchers = on_epoch_begin, on_epoch_end, on_leave, self.recorder
        self._is_watched = any(watcher is not None for watcher in watchers)
        try:
            while self.states:
                if interrupted is not None and interrupted():
                    raise KeyboardInterrupt
                if on_epoch_begin is not None:
                    on_epoch_begin(self.states)
                self._record(*self._epochs(self._n_at_once()))
                if on_epoch_end is not None:
                    on_epoch_end(self.states)
                left = self._leave()
                if on_leave is not None:
                    on_leave(left, self.states)
        except KeyboardInterrupt:
            for _, group in self.groups:
                group.tell_progress()
            self._record_interrupted()
            for state in self.states:
                state.stop_reason = state.stop_reason or "interrupted"
            self._leave()

    def _record_interrupted(self) -> None:
        """Write the history of those epochs, of several, that were over; or undo what diverged.

        Where there is something to validate, those are over that were validated.
        """
        if self._undo is None:
            return
        if self._validate is not None:
            self._undo()
            if self._columns:
                self._record(self._run(len(self._columns)), self._columns)
            return
        (finite,) = self.b.fetch(self.b.rows_are_finite(self.params))
        figures = self._figures()
        is_good = figures is None or figures.are_finite(self.rows)
        if not (is_good and finite[self.rows].all()):
            self._undo()
        elif figures is not None:
            self._record(figures, [{}] * len(figures.losses))

    def _most(self) -> int:
        """How many epochs could be run at once, at most: until one can be a model's last."""
        changes = any(group.changes for _, group in self.groups)
        if self._is_watched or changes or self.averages_itself:
            return 1
        n_epochs = min(state.n_epochs_ahead for state in self.states)
        return int(max(1, min(n_epochs, MOST_EPOCHS, MOST_STEPS // self.batches.n_batches)))

    @property
    def _needs_ends(self) -> bool:
        """Whether it matters with what parameters each epoch has ended."""
        rules = [state.config.stopping for state in self.states]
        return self._validate is not None or any(rule and rule.restore_best for rule in rules)

    def _n_at_once(self) -> int:
        """How many epochs to run at once."""
        must_look = self._needs_ends and not self._ends.are_kept
        if self._n_singly or must_look or not self.steps.are_prepared:
            return 1
        return max(1, int(min(self._most(), PATIENCE / self._seconds)))

    def _epochs(self, n_epochs: int) -> tuple[_Figures, list[Columns]]:
        """Some passes over the data; returns their figures, and what `validate` gives.

        Where several show that one of them was a model's last, they are undone, and done up to it.
        """
        self._columns = []
        self._undo = self._mark() if n_epochs > 1 else None
        begun = time.perf_counter()
        figures = self._run(n_epochs)
        if self._undo is not None and not figures.are_finite(self.rows):
            self._undo()
            self._n_singly = n_epochs
            return self._epochs(1)
        self._n_singly = max(0, self._n_singly - 1)
        self._seconds = max(time.perf_counter() - begun, 1e-9) / n_epochs
        validated = self._validated(figures)
        self._seconds = max(time.perf_counter() - begun, 1e-9) / n_epochs
        if self._undo is not None and len(validated) < n_epochs:
            self._undo()
            figures = self._run(len(validated))
        self._undo = None
        return figures, validated

    def _run(self, n_epochs: int) -> _Figures:
        """Take the steps of some epochs."""
        self.checkpoints.begin()
        for _, group in self.groups:
            group.set_rate()
        self.steps.run(n_epochs, *self._around(n_epochs), self._most())
        for _, group in self.groups:
            group.tell_progress()
        finite = self.b.rows_are_finite(with_statistics(self.objective, self.params))
        figures = self._figures(finite)
        assert figures is not None
        return figures

    def _around(self, n_epochs: int) -> tuple[list[Call], list[Call]]:
        """What is done before each epoch, and after it: parameters to predict with are copied."""
        parts = self._parts()
        self._ends.begin()
        if self.averages is None and self.averages_itself:
            # They are in other arrays each time.
            self.checkpoints.copy(parts)
            return [], []
        opening = self._copying_start(parts, n_epochs)
        if not self._needs_ends or sum(each.size for each in parts) > FEW:
            return opening, []
        return opening, self._ends.calls(parts)

    def _copying_start(self, parts: list[Array], n_epochs: int) -> list[Call]:
        """What copies the parameters before each epoch, where it is not done here."""
        rules = [state.config.stopping for state in self.states]
        if n_epochs == 1 and all(rule and rule.restore_best for rule in rules):
            # Most often after one epoch, all have a best one to go back to: no more is copied, and
            # what follows is prepared without.
            self.checkpoints.copy(parts)
            return []
        return self.checkpoints.copying(parts)

    def _figures(self, finite: Array = None) -> _Figures | None:
        """Figures of the epochs that are over, fetched from the device once; None for none."""
        figures = self.steps.figures()
        if figures is None:
            return None
        if finite is None:
            finite = self.b.asarray(np.ones(self.params.shape[0], dtype=bool))
        losses, first_losses, squared_norms, finite = self.b.fetch(*figures, finite)
        # Python's numbers: with NumPy's own, the history of many small models would take long.
        return _Figures(
            (losses / self.batches.epoch_size).tolist(),
            first_losses.tolist(),
            np.sqrt(squared_norms).tolist(),
            finite.tolist(),
        )

    def _validated(self, figures: _Figures) -> list[Columns]:
        """What `validate` gives for each epoch, up to one after which a model is to stop."""
        if self._validate is None and not self.averages_itself:
            return [{} for _ in figures.losses]
        models = [state.index for state in self.states]
        for columns in self._each_validated(figures, models):
            self._columns.append({name: values.tolist() for name, values in columns.items()})
            if self._stops is not None and any(map(self._stops, models)):
                break
        return self._columns

    def _each_validated(
        self, figures: _Figures, models: Sequence[int]
    ) -> Iterator[Mapping[str, np.ndarray]]:
        """What `validate` gives for each epoch, several of which it may see together."""
        rows = None
        if len(self.rows) < self.params.shape[0]:
            rows = self.b.asarray(np.array(self.rows))
        ends, of_epochs = self._ends.of_epochs, getattr(self._validate, "of_epochs", None)
        # One alone as well where several are to follow: what is prepared then serves all.
        if of_epochs is not None and ends is not None and max(ends.shape[0], self._n_at_once()) > 1:
            found = ends if rows is None else self.b.xp.take(ends, rows, axis=1)
            yield from of_epochs(found, models)
            return
        for number in range(len(figures.losses)):
            predictors = self._eval_params() if ends is None else self._ends.of_epoch(number)
            if rows is not None:
                predictors = self.b.xp.take(predictors, rows, axis=0)
            if self.averages_itself:
                self._check_predictors(predictors, [figures.finite[row] for row in self.rows])
            yield {} if self._validate is None else self._validate(predictors, models)

    def _mark(self) -> Callable[[], None]:
        """What brings all back to how it is now, between two epochs."""
        b, averages = self.b, self.averages
        arrays = [self.params, *([] if averages is None else averages.values)]
        arrays += [] if self.objective.statistics is None else [self.objective.statistics]
        for _, group in self.groups:
            arrays += group.state.values()
        copies = [b.xp.asarray(array, copy=True) for array in arrays]
        numbers = [group.step.number for _, group in self.groups]
        totals = [] if averages is None else averages.totals.copy()
        rngs = {id(rng): rng for rng in (*self.batches.rngs, *self.objective.rngs)}.values()
        generators = [(rng, rng.bit_generator.state) for rng in rngs]

        def undo() -> None:
            for array, copy_of_it in zip(arrays, copies, strict=True):
                array[...] = copy_of_it
            for (_, group), number in zip(self.groups, numbers, strict=True):
                group.go_to(number)
            if averages is not None:
                averages.totals = totals
            for rng, state in generators:
                rng.bit_generator.state = state
            self.checkpoints.undo()

        return undo

    def _record(self, figures: _Figures, validated: Sequence[Columns]) -> None:
        """Write the history, keep the best, notice what diverged."""
        self.is_finite = all(figures.finite)
        epoch_size, n_epochs = self.batches.epoch_size, len(figures.losses)
        ends, first = self._ends.of_epochs, self._recorded
        self._recorded = time.perf_counter() - self._started
        # When each has ended: together they were seen to.
        seconds = [first + (self._recorded - first) * n / n_epochs for n in range(1, n_epochs)]
        seconds.append(self._recorded)
        for place, (row, state) in enumerate(zip(self.rows, self.states, strict=True)):
            member, group = self.members[row]
            rule, state.untraced = state.config.stopping, group.untraced
            state.progress.epoch += n_epochs
            state.progress.n_samples_seen += n_epochs * epoch_size
            losses = [each[row] for each in figures.losses]
            state.record(
                loss=losses,
                **{name: [each[name][place] for each in validated] for name in validated[0]},
                learning_rate=[group.rates[member]] * n_epochs,
                grad_norm=[each[row] for each in figures.norms],
                seconds=[state.seconds_before + each for each in seconds],
            )
            for epoch, loss in enumerate(losses):
                if not (math.isfinite(loss) and figures.finite[row]):
                    state.stop_reason = "diverged"
                    if not math.isfinite(figures.first_losses[epoch][row]):
                        self.checkpoints.reject(row)
                elif state.judge(n_epochs - 1 - epoch) and rule is not None and rule.restore_best:
                    best = self._eval_params() if ends is None else ends[epoch, ...]
                    self.checkpoints.keep_best(best, row)

    def _parts(self) -> list[Array]:
        """What models predict with, averages or not, side by side."""
        return self._predictors() if self.averages is None else self.averages.values

    def _predictors(self) -> list[Array]:
        """What models predict with, averages apart: parameters, and statistics if there are any."""
        params = self.params
        if self.averages_itself:
            params = self.b.xp.concat([group.eval_params() for _, group in self.groups])
        statistics = self.objective.statistics
        return [params] if statistics is None else [params, statistics]

    def _eval_params(self) -> Array:
        """What models predict with, ``(K, P + S)``."""
        parts = self._parts()
        return parts[0] if len(parts) == 1 else self.b.xp.concat(parts, axis=1)

    def _check_predictors(self, eval_params: Array, finite: Sequence[bool]) -> None:
        """See that finite parameters give finite ones to predict with."""
        (good,) = self.b.fetch(self.b.rows_are_finite(eval_params))
        for state, trained, predicts in zip(self.states, finite, good, strict=True):
            if trained and not predicts:
                name = type(state.config.optimizer).__name__
                raise ValueError(
                    f"eval_params of {name} returned values that are not finite, in epoch "
                    f"{state.n_epochs + 1}, for parameters that are: there is nothing to predict "
                    "with. It must return finite ones: mind what is zero at the start, and "
                    f"divided by. skopt_dl.testing.check_optimizer({name}()) examines all the "
                    "rules."
                )

    def _result(self, row: int, state: TrainingState) -> TrainingResult:
        """What one model would leave if it ended here."""
        state = copy.copy(state)
        params = self.b.to_numpy(self._eval_params()[row, :]).copy()
        if state.stop_reason == "diverged":
            return TrainingResult.of(state, params, {})
        state.progress = copy.copy(state.progress)
        # What the rule is about to change, a rate that falls for one, comes before what follows.
        state.should_stop()
        return TrainingResult.of(state, params, {**state.standing, **self._kept(row, state)})

    def _leave(self) -> list[TrainingResult]:
        """Let the models that are done go; returns what they leave."""
        for state in self.states:
            if state.stop_reason or state.should_stop():
                continue
            if state.stop_requested or (self._stops is not None and self._stops(state.index)):
                state.stop_reason = "requested"
            elif state.n_epochs >= state.config.max_epochs:
                state.stop_reason = "max_iter"
        left = []
        if any(state.stop_reason for state in self.states):
            models = list(zip(self.rows, self.states, strict=True))
            leaving = [(row, state) for row, state in models if state.stop_reason]
            staying = [(row, state) for row, state in models if not state.stop_reason]
            eval_params = self._eval_params()
            left = [self._finish(row, state, eval_params[row, :]) for row, state in leaving]
            self.results |= {result.index: result for result in left}
            for row, _ in leaving:
                self._set_aside(row)
            self.rows, self.states = [row for row, _ in staying], [state for _, state in staying]
        n_rows = self.params.shape[0]
        n_done = n_rows - len(self.rows)
        # Code that cannot be traced may raise at what is not finite, and recorders see all rows.
        at_once = self.recorder is not None or not self.is_finite
        if n_done >= DONE * n_rows or (n_done and at_once):
            self._compact()
        return left

    def _set_aside(self, row: int) -> None:
        """Leave a model's generator as it is now, and its schedule alone."""
        place, group = self.members[row]
        group.hold(place)
        state = self.batches.generator_state(row)
        if state is not None:
            generator = self.batches.rngs[row]
            generator.bit_generator.state = state
            self.done.append((generator, state))
        # An objective may have generators of its own.
        for generator in self.objective.rngs[row : row + 1]:
            if not any(generator is other for other in self.batches.rngs):
                self.done.append((generator, dict(generator.bit_generator.state)))

    def _compact(self) -> None:
        """Go on with the rows of models that are not done."""
        # Where they are: nothing passes through the host.
        rows = [self._row_state(*each) for each in zip(self.rows, self.states, strict=True)]
        self.batches = self.batches.select(self.rows)
        for generator, state in self.done:
            generator.bit_generator.state = state
        self.done = []
        if self.rows:
            self._keep(self.rows)
            self.checkpoints.select(self.rows)
            self._prepare(rows)

    def _finish(self, row: int, state: TrainingState, params: Array) -> TrainingResult:
        """What a model that leaves ends with."""
        final = self.checkpoints.best(row)
        if final is None:
            final = self.b.to_numpy(params)
            # Parameters that are finite can be beyond use, and an interrupt can hide a divergence.
            if state.stop_reason == "diverged" or not np.isfinite(final).all():
                final = self.checkpoints.last_good(row)
        # One model alone may keep the buffer; several must not keep each other's.
        final = final if self.params.shape[0] == 1 else final.copy()
        if state.stop_reason == "diverged":
            return TrainingResult.of(state, final, {})
        kept = {**state.standing, **self._kept(row, state, is_training=False)}
        return TrainingResult.of(state, final, kept)

    def _kept(self, row: int, state: TrainingState, is_training: bool = True) -> dict[str, Any]:
        """What is needed to go on with one model, on the host.

        A model alone that trains no more may keep the buffers.
        """
        copy = self.params.shape[0] > 1 or is_training
        kept = _on_host(self.b, self._row_state(row, state), copy)
        if state.config.ema_decay or _averages_itself(state.config):
            kept["params"] = self._trained(row)
        return kept

    def _row_state(self, row: int, state: TrainingState) -> dict[str, Any]:
        """The optimizer's state of one model, and its averages if it has any, as views."""
        place, group = self.members[row]
        kept: dict[str, Any] = {"slots": group.row_state(place)}
        if self.averages is not None and state.config.ema_decay:
            kept["average"] = self.averages.row_state(row)
        return kept

    def _trained(self, row: int) -> np.ndarray:
        """The parameters that one model trains with, and its statistics, ``(P + S,)``; a copy."""
        arrays = [self.params, self.objective.statistics]
        parts = [self.b.to_numpy(array[row, :]) for array in arrays if array is not None]
        return np.concatenate(parts)

    def _snapshot(self, row: int, state: TrainingState) -> Snapshot:
        checkpoints, generator = self.checkpoints.row_state(row), self.batches.generator_state(row)
        kept = self._kept(row, state)
        return Snapshot.of(state, kept, self._trained(row), checkpoints, generator)


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
