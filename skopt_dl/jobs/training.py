"""Training of jobs of one kind as one stack."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.backends import Backend, get_backend, one_blas_thread
from skopt_dl.jobs.job import FitJob, StackState
from skopt_dl.layers.batch_norm import WINDOW
from skopt_dl.networks import Block, DensePool, NetworkObjective, SparsePool, TargetPool
from skopt_dl.programs import using_engine
from skopt_dl.training import (
    Batches,
    TrainingLog,
    TrainingResult,
    TrainingState,
    Validation,
    minimise,
)

Columns = Mapping[str, np.ndarray]

OnEpoch = Callable[[Sequence[TrainingState]], None]
OnLeave = Callable[[Sequence["Outcome"], Sequence[TrainingState]], None]

# Numbers of the stacks that are watched.
_numbers = count(1)


class Outcome(NamedTuple):
    """What became of a job: the model's training and the device, or an error."""

    result: TrainingResult
    device: str
    error: Exception | None


def train(
    jobs: Sequence[FitJob],
    interrupted: Callable[[], bool] | None = None,
    on_leave: OnLeave | None = None,
) -> list[Outcome]:
    """Train models of one `kind` as one stack.

    Parameters
    ----------
    jobs : sequence of K FitJob
    interrupted : callable, default=None
        Asked between epochs, several times in a second where these are short; true ends the
        training of all, as Ctrl-C does.
    on_leave : callable, default=None
        Told, after each epoch, of the outcomes of models that have just left the stack, each by
        its ``result.index``, and of the states of those that go on. The generators of the former
        are where their trainings have left them.

    Returns
    -------
    outcomes : list of K Outcome
        A job's callback or score that raises ends that model alone.
    """
    with one_blas_thread():
        return _train(jobs, interrupted, on_leave)


def _train(
    jobs: Sequence[FitJob], interrupted: Callable[[], bool] | None, on_leave: OnLeave | None
) -> list[Outcome]:
    job = jobs[0]
    for each in jobs:
        if each.snapshot is not None and each.snapshot.generator is not None:
            each.rng.bit_generator.state = each.snapshot.generator
    batches = Batches(
        job.n_samples,
        job.batch_size,
        shuffle=job.shuffle,
        sampling=job.sampling,
        rngs=[each.rng for each in jobs],
        rows=_rows(jobs),
        leaders=_leaders(jobs),
    )
    b = get_backend(job.device)
    initial = b.asarray(
        np.stack([each.params if each.snapshot is None else each.snapshot.params for each in jobs])
    )
    dtype, n_params = initial.dtype, job.network.layout.size
    params = b.empty((len(jobs), n_params), like=initial)
    params[...] = initial[:, :n_params]
    statistics = b.xp.asarray(initial[:, n_params:], copy=True)
    del initial
    if len(jobs) == 1:
        # Nobody goes back to where a model alone began.
        job.params = params[0, :0]
    errors: dict[int, Exception] = {}
    watch = _Watch(jobs)

    def outcomes(results: Sequence[TrainingResult]) -> list[Outcome]:
        return [Outcome(result, b.device, errors.get(result.index)) for result in results]

    with using_engine(job.engine):
        results = minimise(
            NetworkObjective(
                b,
                job.network,
                _pool(b, [each.X for each in jobs], dtype),
                _targets(b, [each.y for each in jobs], dtype),
                n_models=len(jobs),
                alpha=[each.alpha for each in jobs],
                sample_weight=_weights(b, jobs, dtype),
                label_smoothing=[each.label_smoothing for each in jobs],
                per_model=[each.network.per_model for each in jobs],
                rngs=[each.rng for each in jobs],
                statistics=statistics,
                window=_window(job),
            ),
            [each.config for each in jobs],
            params,
            batches=batches,
            validate=None if job.validation is None else _Validations(b, jobs, errors),
            on_epoch_begin=_guarded(jobs, "on_epoch_begin", errors),
            on_epoch_end=watch.after(_guarded(jobs, "on_epoch_end", errors)),
            interrupted=interrupted,
            stops=errors.__contains__,
            resume=[each.snapshot or each.resume for each in jobs],
            on_leave=None
            if on_leave is None
            else lambda left, staying: on_leave(outcomes(left), staying),
        )
    watch.tell(results, 0)
    return outcomes(results)


def _window(job: FitJob) -> int:
    """Samples that statistics of batch normalisation are averaged over."""
    return job.n_samples if job.config.optimizer.full_batch else WINDOW * job.batch_size


def _guarded(jobs: Sequence[FitJob], name: str, errors: dict[int, Exception]) -> OnEpoch | None:
    """Call each job's function with its state, and keep its error; None where no job has one."""
    functions = [getattr(job, name) for job in jobs]
    if not any(functions):
        return None

    def call(states: Sequence[TrainingState]) -> None:
        for state in states:
            function = functions[state.index]
            if function is not None and state.index not in errors:
                try:
                    jobs[state.index].call(function, state)
                except Exception as error:
                    errors[state.index] = error

    return call


class _Watch:
    """Tells those who watch a stack how far it is."""

    def __init__(self, jobs: Sequence[FitJob]):
        self._watchers = list({id(each): each for job in jobs for each in job.watchers}.values())
        self._name = f"{os.getpid()}-{next(_numbers)}" if self._watchers else ""
        self._n_models, self._max_epochs = len(jobs), max(job.config.max_epochs for job in jobs)

    def tell(self, models: Sequence[TrainingLog], n_training: int) -> None:
        epoch = max(model.n_epochs for model in models)
        state = StackState(self._name, self._n_models, n_training, epoch, self._max_epochs)
        for watcher in self._watchers:
            watcher.after_stack_epoch(state)

    def after(self, function: OnEpoch | None) -> OnEpoch | None:
        """Call `function` after each epoch, then tell."""
        if not self._watchers:
            return function

        def call(states: Sequence[TrainingState]) -> None:
            if function is not None:
                function(states)
            self.tell(states, len(states))

        return call


def _distinct(arrays: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """The different arrays, and which of them each was."""
    numbers: dict[int, int] = {}
    found: list[Any] = []
    for array in arrays:
        if id(array) not in numbers:
            numbers[id(array)] = len(found)
            found.append(array)
    return found, [numbers[id(array)] for array in arrays]


def _rows(jobs: Sequence[FitJob]) -> list[np.ndarray] | None:
    """Where each job's samples are; None where all have all samples of the same arrays."""
    arrays = {(id(each.X), id(each.y), id(each.sample_weight)) for each in jobs}
    if len(arrays) == 1 and all(each.rows is None for each in jobs):
        return None
    return [np.arange(each.n_samples) if each.rows is None else each.rows for each in jobs]


def _leaders(jobs: Sequence[FitJob]) -> list[int]:
    """The first job that each draws the same batches as."""
    first: dict[Hashable, int] = {}
    leaders = []
    for k, job in enumerate(jobs):
        draws = job.sampling == "replacement" or (job.shuffle and job.n_batches > 1)
        # Dropout draws from the same generator, between the batches, and callbacks may look at it.
        if draws and (job.network.is_random or job.on_epoch_end is not None):
            key: Hashable = k
        else:
            state = pickle.dumps(job.rng.bit_generator.state) if draws else None
            key = state, id(job.rows)
        leaders.append(first.setdefault(key, k))
    return leaders


def _pool(b: Backend, arrays: Sequence[Any], dtype: Any) -> DensePool | SparsePool:
    distinct, sources = _distinct(arrays)
    if len(distinct) == 1:
        sources = []
    if hasattr(distinct[0], "tocsr"):
        return SparsePool(*map(b.sparse, distinct), sources=sources)
    return DensePool(b, *(b.asarray(array, dtype=dtype) for array in distinct), sources=sources)


def _targets(b: Backend, arrays: Sequence[np.ndarray], dtype: Any) -> TargetPool:
    distinct, sources = _distinct(arrays)
    if len(distinct) == 1:
        return TargetPool(b, b.asarray(distinct[0], dtype=dtype))
    starts = np.cumsum([0, *(len(array) for array in distinct)])[:-1]
    together = np.concatenate(distinct).astype(dtype, copy=False)
    return TargetPool(b, b.asarray(together), starts[sources][:, None])


def _weights(b: Backend, jobs: Sequence[FitJob], dtype: Any) -> TargetPool | None:
    weights = [each.sample_weight for each in jobs if each.sample_weight is not None]
    if not weights:
        return None
    return _targets(b, weights, dtype)


class _Validations:
    """The ``validate`` of a stack: models with as many held-out samples are validated together."""

    def __init__(self, b: Backend, jobs: Sequence[FitJob], errors: dict[int, Exception]):
        self._b, self._jobs, self._errors = b, jobs, errors
        groups: dict[Hashable, list[int]] = {}
        for k, job in enumerate(jobs):
            held_out = job.validation
            assert held_out is not None
            n_rows = None if held_out.rows is None else len(held_out.rows)
            arrays = held_out.X, held_out.y, held_out.sample_weight
            groups.setdefault((n_rows, *map(id, arrays)), []).append(k)
        # By the number of each model, which of those that are validated together it is.
        self._groups = [
            ({model: place for place, model in enumerate(members)}, self._validation(members))
            for members in groups.values()
        ]

    def _validation(self, members: Sequence[int]) -> Validation:
        jobs = [self._jobs[k] for k in members]
        held_out = [job.validation for job in jobs]
        dtype, first = jobs[0].params.dtype, held_out[0]
        assert first is not None
        rows, orders = _distinct([each.rows for each in held_out if each is not None])
        block = None
        if rows[0] is not None:
            n_rows = len(rows[0])
            block = Block(np.stack(rows), (n_rows,), tuple(orders) if len(rows) > 1 else None)
        weight = first.sample_weight
        return Validation(
            self._b,
            jobs[0].network,
            _pool(self._b, [first.X], dtype),
            first.y,
            None if weight is None else weight[:, 0],
            partial(_score, self._jobs, self._errors),
            block,
        )

    def __call__(self, params: Any, models: Sequence[int]) -> Columns:
        parts = self._parts(params, models, axis=0)
        return _side_by_side([(places, validation(*given)) for places, validation, given in parts])

    def of_epochs(self, ends: Any, models: Sequence[int]) -> Iterator[Columns]:
        """Yield the same for each of several epochs, which have ended with these parameters."""
        parts = list(self._parts(ends, models, axis=1))
        each = [validation.of_epochs(*given) for _, validation, given in parts]
        for found in zip(*each, strict=True):
            yield _side_by_side([(part[0], one) for part, one in zip(parts, found, strict=True)])

    def _parts(
        self, params: Any, models: Sequence[int], axis: int
    ) -> Iterator[tuple[list[int], Validation, tuple[Any, list[int], list[int]]]]:
        """Which of some models are validated together, by what, and what it is given."""
        for members, validation in self._groups:
            places = [place for place, model in enumerate(models) if model in members]
            if places:
                own = params
                if len(places) < len(models):
                    own = self._b.xp.take(params, self._b.asarray(np.array(places)), axis=axis)
                known = [models[place] for place in places]
                yield places, validation, (own, known, [members[model] for model in known])


def _side_by_side(parts: Sequence[tuple[list[int], Columns]]) -> Columns:
    """Columns of models at some places, and at others, as columns of all."""
    if len(parts) == 1:
        return parts[0][1]
    n_models = sum(len(places) for places, _ in parts)
    columns: dict[str, np.ndarray] = {}
    for places, found in parts:
        for name, values in found.items():
            columns.setdefault(name, np.empty(n_models))[places] = values
    return columns


def _score(
    jobs: Sequence[FitJob],
    errors: dict[int, Exception],
    raw: np.ndarray,
    params: np.ndarray,
    model: int,
) -> float:
    """Score a model; one whose score fails stops, and the others do not."""
    job = jobs[model]
    assert job.validation is not None
    if model in errors:
        return np.nan
    try:
        return job.call(job.validation.score, raw, params)
    except Exception as error:
        errors[model] = error
        return np.nan
