"""`minimise`: the training of K models, by epochs or by the iterations of a `Minimizer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from skopt_dl.backends import backend_of
from skopt_dl.objectives import Objective
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.programs import engine_of
from skopt_dl.training.batches import Batches
from skopt_dl.training.config import TrainingConfig
from skopt_dl.training.full_batch import run_minimizer
from skopt_dl.training.noise import seed_of
from skopt_dl.training.recording import Recorder
from skopt_dl.training.result import TrainingResult
from skopt_dl.training.snapshots import Snapshot
from skopt_dl.training.stack import OnEpoch, OnLeave, Stack, Validate, with_statistics
from skopt_dl.training.state import TrainingState

Array = Any
AnyConfig = TrainingConfig | Optimizer | Minimizer


def minimise(
    objective: Objective,
    configs: AnyConfig | Sequence[AnyConfig],
    params: Array,
    *,
    batches: Batches | None = None,
    validate: Validate | None = None,
    on_epoch_begin: OnEpoch | None = None,
    on_epoch_end: OnEpoch | None = None,
    on_leave: OnLeave | None = None,
    interrupted: Callable[[], bool] | None = None,
    stops: Callable[[int], bool] | None = None,
    resume: Sequence[dict[str, Any] | Snapshot | None] | None = None,
    recorder: Recorder | None = None,
    **options: Any,
) -> list[TrainingResult]:
    """Minimise an objective for K models at once.

    Parameters
    ----------
    objective : Objective
    configs : TrainingConfig, Optimizer, Minimizer or sequence of K of them
        How each model is trained; an optimizer stands for ``TrainingConfig(optimizer, **options)``.
        Neighbours whose optimizers are of one class share an update.
    params : array of shape (K, P)
        Where to start; overwritten. Its library and device are those of the training.
    batches : Batches, default=None
        None makes one step an epoch, over everything.
    validate : callable, default=None
        ``validate(params, models)`` gives more history columns, a value for each of `models`. Its
        `params` are those to predict with, followed by ``objective.statistics`` where there are
        any: ``(K, P + S)``. So are ``TrainingResult.params``. If it has a method
        ``of_epochs(ends, models)``, this yields the columns of epochs that were run together, one
        after the other, from what they have ended with, ``(n_epochs, K, P + S)``.
    on_epoch_begin, on_epoch_end : callable, default=None
        Called with the `TrainingState` of every model still training; one may set
        ``stop_requested``.
    on_leave : callable, default=None
        Called with the results of those that have just left, whose generators are up to date, and
        the states of those that go on, in the end of every epoch; not after an interrupt.
    interrupted : callable, default=None
        Asked between epochs, at least every few hundredths of a second where these are shorter;
        true ends all trainings as Ctrl-C does.
    stops : callable, default=None
        Asked with the number of a model whenever it was validated, and between epochs, of which
        several may be run at once without `validate`; true stops it, as ``stop_requested``. Asked
        again, it has to answer alike.
    resume : sequence of K (dict, Snapshot or None), default=None
        ``TrainingResult.state`` of an earlier call, to go on from. Or where a model was in one that
        was cut short, to end as it would have: its row of `params`, statistics and generators are
        the snapshot's already.
    recorder : Recorder, default=None
        Is shown every step, and every iteration of a `Minimizer`.
    **options
        Of `TrainingConfig`, for models that are given by their optimizers: ``max_epochs`` and the
        like.

    Returns
    -------
    results : list of K TrainingResult
        Parameters, history and reason to stop of each model, in order.

    Raises
    ------
    TypeError
        If there are options besides a `TrainingConfig`, or of other names than it has.

    Notes
    -----
    A model that stops leaves the stack, which goes on with the others. A model whose loss or
    parameters are no longer finite gets back its last good parameters. An interrupt (Ctrl-C)
    stops all models and keeps what they have.

    Where nobody looks between them, who is a recorder, `on_leave` or another function for epochs,
    several short epochs are run at once. Results are the same; the history gives each of them the
    same share of their time.
    """
    n_models, b = params.shape[0], backend_of(params)
    batches = batches or Batches(objective.n_samples, objective.n_samples)
    states = [
        _begin(k, config, batches, resume[k] if resume else None)
        for k, config in enumerate(_configs(configs, n_models, options))
    ]
    for state in states:
        state.engine = engine_of(b).name
    results: dict[int, TrainingResult] = {}
    for state in states:
        if not state.config.optimizer.full_batch:
            continue
        block = batches.select([state.index]).everything()
        result = run_minimizer(
            objective,
            state,
            params,
            block,
            validate,
            on_epoch_begin,
            on_epoch_end,
            recorder,
            interrupted,
            stops,
        )
        results[state.index] = result
        if result.stop_reason == "interrupted":
            rows = b.to_numpy(with_statistics(objective, params))
            for other in states:
                if other.index not in results:
                    other.stop_reason = "interrupted"
                    row = rows[other.index].copy()
                    results[other.index] = TrainingResult.of(other, row, other.resume)
            break
        if on_leave is not None:
            on_leave([result], [])
    stochastic = [state for state in states if state.index not in results]
    if stochastic:
        stack = Stack(objective, batches, params, stochastic, recorder)
        with b.quiet():
            stack.train(validate, on_epoch_begin, on_epoch_end, on_leave, interrupted, stops)
        results |= stack.results
    return [results[k] for k in range(n_models)]


def _configs(
    given: AnyConfig | Sequence[AnyConfig], n_models: int, options: dict[str, Any]
) -> list[TrainingConfig]:
    """One for each model."""
    each = list(given) if isinstance(given, Sequence) else [given] * n_models
    if options and any(isinstance(one, TrainingConfig) for one in each):
        raise TypeError(
            f"minimise got {', '.join(options)} besides a TrainingConfig, which says all of a "
            "model's training. Put them into it, or pass its optimizer alone."
        )
    return [
        one if isinstance(one, TrainingConfig) else TrainingConfig(one, **options) for one in each
    ]


def _begin(
    index: int, config: TrainingConfig, batches: Batches, resume: dict[str, Any] | Snapshot | None
) -> TrainingState:
    """The state that a model's training goes on from."""
    kept = {} if resume is None or isinstance(resume, Snapshot) else resume
    state = TrainingState.begin(index, config, batches.n_batches, kept)
    if isinstance(resume, Snapshot):
        resume.restore(state)
    optimizer = config.optimizer
    if state.seed is None and not optimizer.full_batch and "noise" in optimizer.needs:
        state.seed = seed_of(batches.rngs[index] if batches.rngs else None)
    return state
