"""Optimizers compared on a function that is completely known."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skopt_dl._params import Interval
from skopt_dl.backends import backend_of, one_blas_thread
from skopt_dl.lab.asking import (
    ALLOWED,
    AnyOptimizer,
    batch_size_of,
    check,
    check_memory,
    drawn,
    given_starts,
    labelled,
    listed,
    name_of,
    stacks_of,
    variants_of,
)
from skopt_dl.lab.tables import Table
from skopt_dl.objectives import Function
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.training import (
    Batches,
    Recorder,
    Stopping,
    TrainingConfig,
    TrainingResult,
    Trajectory,
    minimise,
)

Array = Any

# The share of the steps at the end of a run in which it has to come nearer, for not to be stalled,
# and by which share of the gap it has left, or of the way it has come.
LAST, NEARER = 0.1, 0.01
# The gradient component at which methods that run themselves end.
GRADIENT_TOL = 1e-10
# How near a minimum a run ends for having reached it, as a share of the domain's diagonal.
NEAR = 0.01


class _Run(NamedTuple):
    """One of those that are compared."""

    label: str
    optimizer: Optimizer | Minimizer
    start: int
    seed: int
    batch_size: int


@dataclass(eq=False)
class Comparison:
    """What became of R runs.

    Attributes
    ----------
    objective : Function
    n_steps : int
        T, the steps that each run made, if it did not end by itself.
    tol : float
        The gap at which a run has arrived.
    starts : ndarray of shape (S, P)
    optimizers : list of R Optimizer
        What made each run.
    table : dict of str to ndarray of shape (R,)
        One column each: ``optimizer``, its label; ``learning_rate``, NaN where it has none or
        changes; ``start``, a row of `starts`; ``seed``; ``batch_size``; ``steps_to_tolerance``,
        the first step after which the gap was at most `tol`, infinite if there was none;
        ``final_value`` and ``best_value`` of the function; ``final_gap`` to its smallest value;
        ``minimum``, the number of the one of ``objective.minima`` that the run ended near, -1
        for none of these, which are not all minima where there are very many (see
        ``Function.minima``); ``outcome``, one of ``"reached"``, ``"diverged"``, ``"stalled"`` (in
        the end it came no nearer worth speaking of) and ``"moving"``; ``state_numbers``, which the
        optimizer keeps besides the parameters.

        Where the smallest value is not known (``objective.minimum`` is NaN), gaps, and so
        ``steps_to_tolerance``, are to the best value of all these runs, and ``"reached"`` is who
        rests there. Where there is none (-inf), ``final_gap`` is NaN, and nothing is reached.
    ends : ndarray of shape (R, P)
        Where each run ended; not finite where it diverged.
    values : ndarray of shape (R, T + 1)
        The function at the start and after each step; NaN after a run's end.
    paths : ndarray of shape (R, T + 1, P) or None
        The points themselves. Only where recorded.
    gradients : ndarray of shape (R, T, P) or None
        What the optimizers were given: of a batch, where there are batches.
    """

    objective: Function
    n_steps: int
    tol: float
    starts: np.ndarray
    optimizers: list[Optimizer | Minimizer]
    table: dict[str, np.ndarray]
    ends: np.ndarray
    values: np.ndarray
    paths: np.ndarray | None = None
    gradients: np.ndarray | None = None

    def __len__(self) -> int:
        """Return R."""
        return len(self.optimizers)

    def to_frame(self) -> Any:
        """Return the table as a pandas frame.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        return Table(self.table).to_frame()

    def __repr__(self) -> str:
        outcomes, counts = np.unique(self.table["outcome"], return_counts=True)
        ends = ", ".join(f"{n} {outcome}" for outcome, n in zip(outcomes, counts, strict=True))
        return f"<Comparison on {self.objective.name}: {len(self)} runs, {ends}>"


def compare(
    objective: Function,
    optimizers: AnyOptimizer | Sequence[AnyOptimizer] | Mapping[str, AnyOptimizer],
    *,
    learning_rates: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    starts: int | Sequence[Any] | np.ndarray | None = None,
    seeds: Sequence[int] = (0,),
    batch_sizes: Sequence[int | None] = (None,),
    sampling: str = "shuffle",
    n_steps: int = 1000,
    tol: float = 1e-6,
    dtype: Any = "float64",
    record: bool = False,
) -> Comparison:
    """Run optimizers from the same points on the same function, all at once.

    Every combination of optimizer, learning rate, starting point, seed and batch size is one run;
    all runs of a batch size are one stack, trained by the loop that trains the estimators.

    Methods that run a whole minimisation themselves, such as L-BFGS, have no learning rate and no
    batches: `learning_rates` does not concern them, and they take part once, with all terms, be
    that among `batch_sizes` or not.

    Parameters
    ----------
    objective : Function
        For example one of `skopt_dl.objectives`.
    optimizers : str, Optimizer, sequence of these, or dict of label to one of these
        Names as for an estimator, those of plugins included.
    learning_rates : sequence of float, or dict of label to such, default=None
        What to set each optimizer's ``learning_rate`` to; None leaves it as it is. Names of
        schedules and schedules are rates too.
    starts : array-like of shape (S, P), or int, default=None
        Points; or how many to draw evenly from the domain, by the first of `seeds`; None means
        ``objective.start``.
    seeds : sequence of int, default=(0,)
        For the order of batches; without batches, all runs of a start are alike.
    batch_sizes : sequence of int or None, default=(None,)
        For a `FiniteSum`: terms in a step; None means all of them. The same twice counts once.
    sampling : {"shuffle", "replacement"}, default="shuffle"
        Whether batches go through all terms in turn, or are drawn independently.
    n_steps : int, default=1000
        Updates of each run, whatever the batch size.
    tol : float, default=1e-6
        The gap to the smallest value at which a run has arrived; where that value is not known,
        to the best of all runs (see `Comparison`).
    dtype : {"float64", "float32"}, default="float64"
    record : bool, default=False
        Keep every point of every run.

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    TypeError
        If `objective` is no `Function`.
    ValueError
        If an optimizer, a rate, a starting point or a batch size cannot be, or one of the other
        arguments; the message says which.
    MemoryError
        If there is no room for so many runs of so many steps.

    Examples
    --------
    >>> from skopt_dl import lab
    >>> from skopt_dl.objectives import Rosenbrock
    >>> found = lab.compare(
    ...     Rosenbrock(), ["sgd", "momentum"], learning_rates=[1e-3, 1e-2], n_steps=2000
    ... )
    >>> for row in zip(*(found.table[c] for c in ("optimizer", "learning_rate", "outcome"))):
    ...     print(*row)
    sgd 0.001 moving
    sgd 0.01 diverged
    momentum 0.001 reached
    momentum 0.01 diverged
    """
    if not isinstance(objective, Function):
        raise TypeError(
            "objective must be a Function, as those of skopt_dl.objectives are; got "
            f"{type(objective).__name__}. objectives.from_callable makes one of any function in "
            "array code."
        )
    dtype = name_of(dtype)
    for name, value in (
        ("sampling", sampling),
        ("n_steps", n_steps),
        ("tol", tol),
        ("dtype", dtype),
        ("record", record),
    ):
        check(name, value, ALLOWED[name])
    seeds = listed("seeds", seeds, "(0, 1)")
    for seed in seeds:
        check("Each of seeds", seed, Interval(0, np.inf, "[)", integer=True))
    sizes = [
        batch_size_of(objective, size) for size in listed("batch_sizes", batch_sizes, "(8, None)")
    ]
    variants = variants_of(labelled(optimizers), learning_rates)
    stacks = stacks_of(variants, dict.fromkeys(sizes), objective.n_samples)
    n_variants = sum(map(len, stacks.values()))
    given = given_starts(objective, starts)
    n_starts = given if isinstance(given, int) else len(given)
    check_memory(n_variants, n_starts, len(seeds), int(n_steps), objective.n_dims, record)
    points = drawn(objective, given, seeds[0]) if isinstance(given, int) else given
    runs = [
        _Run(label, optimizer, start, seed, size)
        for size, those in stacks.items()
        for label, optimizer in those
        for start in range(len(points))
        for seed in seeds
    ]
    n_runs, n_dims = len(runs), objective.n_dims
    of_size = np.array([run.batch_size for run in runs])
    values = _Values(objective, n_runs, n_steps)
    trajectory = Trajectory(n_runs, n_steps + 1, n_dims, dtype) if record else None
    recorders = [each for each in (values, trajectory) if each is not None]
    ends = np.empty((n_runs, n_dims))
    for size in stacks:
        models = np.flatnonzero(of_size == size)
        stack = [runs[model] for model in models]
        shown = _Shown(models, recorders)
        with one_blas_thread():
            trained = _train(objective, stack, points, sampling, n_steps, dtype, shown)
        for model, run in zip(models, trained, strict=True):
            ends[model] = np.nan if run.stop_reason == "diverged" else run.params
    went_all_the_way = values.n_seen == n_steps
    # Finite points may be so far away that values there are not.
    with backend_of(ends).quiet():
        values.array[-1, went_all_the_way] = objective.value(ends[went_all_the_way])
        table = _table(objective, runs, values.array, ends, tol)
    comparison = Comparison(
        objective,
        int(n_steps),
        tol,
        points,
        [run.optimizer for run in runs],
        table,
        ends,
        values.array.T,
    )
    if trajectory is not None:
        trajectory.params[-1, went_all_the_way] = ends[went_all_the_way]
        comparison.paths = np.swapaxes(trajectory.params, 0, 1)
        comparison.gradients = np.swapaxes(trajectory.gradients[:-1], 0, 1)
    return comparison


class _Shown(Recorder):
    """Shows some recorders a stack whose models have other numbers among all runs."""

    def __init__(self, models: np.ndarray, recorders: Sequence[Recorder]):
        self._models, self._recorders = models, recorders

    def see(self, models: np.ndarray, params: Array, loss: Array, grad: Array) -> None:
        for recorder in self._recorders:
            recorder.see(self._models[models], params, loss, grad)


class _Values(Recorder):
    """Keeps the values of the whole function, ``(T + 1, R)``, whatever a batch's loss is."""

    def __init__(self, objective: Function, n_runs: int, n_steps: int):
        self._objective = objective
        self.array = np.full((n_steps + 1, n_runs), np.nan)
        self.n_seen = np.zeros(n_runs, dtype=int)

    def see(self, models: np.ndarray, params: Array, loss: Array, grad: Array) -> None:
        of_batch = self._objective.n_samples > 1
        value = self._objective.value(params) if of_batch else loss
        self.array[self.n_seen[models], models] = value
        self.n_seen[models] += 1


def _train(
    objective: Function,
    stack: Sequence[_Run],
    points: np.ndarray,
    sampling: str,
    n_steps: int,
    dtype: Any,
    recorder: Recorder,
) -> list[TrainingResult]:
    """Run one stack; a single epoch has all the steps."""
    seeds = [run.seed for run in stack]
    rngs = {seed: np.random.default_rng(seed) for seed in seeds}
    first: dict[int, int] = {}
    for model, seed in enumerate(seeds):
        first.setdefault(seed, model)
    batches = Batches(
        objective.n_samples,
        stack[0].batch_size,
        sampling=sampling,
        rngs=[rngs[seed] for seed in seeds],
        leaders=[first[seed] for seed in seeds],
        steps=n_steps,
    )
    return minimise(
        objective,
        [_config(run.optimizer, n_steps) for run in stack],
        points[[run.start for run in stack]].astype(dtype),
        batches=batches,
        recorder=recorder,
    )


def _config(optimizer: Optimizer | Minimizer, n_steps: int) -> TrainingConfig:
    if optimizer.full_batch:
        return TrainingConfig(optimizer, n_steps, Stopping(GRADIENT_TOL))
    return TrainingConfig(optimizer, max_epochs=1)


# What became of it


def _table(
    objective: Function,
    runs: Sequence[_Run],
    values: np.ndarray,
    ends: np.ndarray,
    tol: float,
) -> dict[str, np.ndarray]:
    """Columns of the table, from values ``(T + 1, R)``, of which there may be many."""
    seen = np.where(np.isfinite(values), values, np.inf)
    best = seen.min(axis=0)
    final = objective.value(ends)
    smallest = objective.minimum if np.isfinite(objective.minimum) else best.min()
    gap = np.full_like(final, np.nan) if objective.minimum == -np.inf else final - smallest
    arrived = (seen - smallest <= tol) & (objective.minimum != -np.inf)
    return {
        "optimizer": np.array([run.label for run in runs]),
        "learning_rate": np.array([_rate(run.optimizer) for run in runs]),
        "start": np.array([run.start for run in runs]),
        "seed": np.array([run.seed for run in runs]),
        "batch_size": np.array([run.batch_size for run in runs]),
        "steps_to_tolerance": np.where(arrived.any(axis=0), arrived.argmax(axis=0), np.inf),
        "final_value": final,
        "best_value": best,
        "final_gap": gap,
        "minimum": _minimum_reached(objective, ends),
        "outcome": _outcome(objective, seen, final, smallest, ends, tol),
        "state_numbers": np.array([_state_numbers(run.optimizer, objective) for run in runs]),
    }


def _rate(optimizer: Optimizer | Minimizer) -> float:
    rate = getattr(optimizer, "learning_rate", np.nan)
    return float(rate) if isinstance(rate, numbers.Real) else np.nan


def _state_numbers(optimizer: Optimizer | Minimizer, objective: Function) -> int:
    if optimizer.full_batch:
        return 0
    return sum(map(math.prod, optimizer.slot_shapes(objective.layout).values()))


def _minimum_reached(objective: Function, ends: np.ndarray) -> np.ndarray:
    """Return the number of the minimum that each run ended near, or -1."""
    if not objective.minima:
        return np.full(len(ends), -1)
    minima = np.stack([minimum.point for minimum in objective.minima])
    distances = np.linalg.norm(ends[:, None] - minima, axis=2)
    distances[np.isnan(distances)] = np.inf
    near = distances.min(axis=1) <= NEAR * np.linalg.norm(objective.upper - objective.lower)
    return np.where(near, distances.argmin(axis=1), -1)


def _outcome(
    objective: Function,
    seen: np.ndarray,
    final: np.ndarray,
    smallest: float,
    ends: np.ndarray,
    tol: float,
) -> np.ndarray:
    outside = ((ends < objective.lower) | (ends > objective.upper)).any(axis=1)
    diverged = ~np.isfinite(final) | (outside & (final > seen[0]))
    earlier = seen[-1 - max(1, int(LAST * (len(seen) - 1)))]
    ended_by_itself = np.isinf(seen[-1])
    known = np.isfinite(objective.minimum)
    came, left = earlier - final, earlier - smallest
    rests = ended_by_itself | (
        (came <= NEARER * (seen[0] - final)) & ((came < NEARER * left) | (not known))
    )
    # The best of all runs may be on its way, and has arrived only where it rests.
    arrived = (final - smallest <= tol) & (known | rests) & (objective.minimum != -np.inf)
    conditions = [diverged, arrived, rests]
    return np.select(conditions, ["diverged", "reached", "stalled"], "moving")
