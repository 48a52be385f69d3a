"""What `lab.compare` is asked for: checked, and made into variants, stacks and starting points."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from skopt_dl._memory import in_words, n_bytes_of_memory
from skopt_dl._params import BOOLEAN, COUNT, Constraint, Interval, Options
from skopt_dl.objectives import Function
from skopt_dl.optimizers import Minimizer, Optimizer
from skopt_dl.plugins import make_optimizer
from skopt_dl.training.batches import SAMPLING

AnyOptimizer = str | Optimizer | Minimizer

# What a run has besides its steps, as measured: arrays of parameters, and bytes of objects.
ARRAYS, RUN_BYTES = 10, 2500

ALLOWED: Mapping[str, Constraint] = {
    "sampling": SAMPLING,
    "n_steps": COUNT,
    "tol": Interval(0, np.inf, "[)"),
    "dtype": Options(("float64", "float32")),
    "record": BOOLEAN,
}


def check(name: str, value: Any, allowed: Constraint) -> None:
    """Raise a ValueError for a value that is not allowed."""
    if not allowed.accepts(value):
        raise ValueError(f"{name} must be {allowed}; got {value!r}.")


def name_of(dtype: Any) -> Any:
    """A dtype by name; what is none as it is."""
    try:
        return dtype if dtype is None else np.dtype(dtype).name
    except TypeError:
        return dtype


def listed(name: str, values: Any, example: str) -> list[Any]:
    """The values of a sequence, at least one."""
    single = not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0
    if single or isinstance(values, str | Mapping):
        raise ValueError(f"{name} must be a sequence, such as {example}; got {values!r}.")
    found = list(values)
    if not found:
        raise ValueError(f"{name} is empty; pass at least one, such as {example}.")
    return found


def stacks_of(
    variants: Sequence[tuple[str, Optimizer | Minimizer]], sizes: Iterable[int], n_samples: int
) -> dict[int, list[tuple[str, Optimizer | Minimizer]]]:
    """What runs with each batch size; methods that run themselves do with all samples."""
    stacks: dict[int, list[tuple[str, Optimizer | Minimizer]]] = {
        size: [variant for variant in variants if size == n_samples or not variant[1].full_batch]
        for size in sizes
    }
    alone = [variant for variant in variants if variant[1].full_batch]
    stacks.setdefault(n_samples, alone)
    return {size: those for size, those in stacks.items() if those}


def check_memory(
    n_variants: int, n_starts: int, n_seeds: int, n_steps: int, n_dims: int, record: bool
) -> None:
    """Refuse runs that memory has no room for, before any of them is made."""
    n_runs = n_variants * n_starts * n_seeds
    # Values, and twice as many while the table is made; and points, gradients and losses.
    of_a_step = 3 + (2 * n_dims + 1 if record else 0)
    needed = n_runs * (8 * (of_a_step * (n_steps + 1) + ARRAYS * n_dims) + RUN_BYTES)
    there_is = n_bytes_of_memory()
    if needed > there_is:
        raise MemoryError(
            f"{n_runs:,} runs ({n_variants:,} of optimizers, learning rates and batch sizes, times "
            f"{n_starts:,} starts and {n_seeds:,} seeds) of {n_steps:,} steps need "
            f"{in_words(needed)} ({needed:,} bytes); there are {in_words(there_is)}. Lower "
            f"n_steps or how many starts there are{', or leave record=False' if record else ''}."
        )


def given_starts(objective: Function, starts: Any) -> np.ndarray | int:
    """Points, or how many to draw."""
    if starts is None:
        return objective.check_points(objective.start, "start")
    if isinstance(starts, numbers.Integral):
        if not COUNT.accepts(starts):
            raise ValueError(
                f"starts must be points, or how many to draw, {COUNT}; got {starts!r}."
            )
        return int(starts)
    return objective.check_points(starts, "starts")


def drawn(objective: Function, n_starts: int, seed: int) -> np.ndarray:
    """Starting points, evenly from the domain."""
    rng = np.random.default_rng(seed)
    return rng.uniform(objective.lower, objective.upper, (n_starts, objective.n_dims))


def labelled(
    optimizers: AnyOptimizer | Sequence[AnyOptimizer] | Mapping[str, AnyOptimizer],
) -> dict[str, Optimizer | Minimizer]:
    """Optimizers by label: their name, or how they print."""
    if isinstance(optimizers, str | Optimizer | Minimizer):
        optimizers = [optimizers]
    if not isinstance(optimizers, Mapping):
        if isinstance(optimizers, type) or not isinstance(optimizers, Iterable):
            hint = f" Pass {optimizers.__name__}()." if isinstance(optimizers, type) else ""
            raise ValueError(
                "optimizers must be a name, an Optimizer, or a sequence or dict of these; got "
                f"{optimizers!r}.{hint}"
            )
        optimizers = list(optimizers)
        named = [each if isinstance(each, str) else repr(each) for each in optimizers]
        twice = [label for label in named if named.count(label) > 1]
        if twice:
            raise ValueError(f"optimizers has {twice[0]} twice.")
        optimizers = dict(zip(named, optimizers, strict=True))
    if not optimizers:
        raise ValueError("optimizers is empty; pass at least one, by name or as an object.")
    found = {}
    for label, each in optimizers.items():
        optimizer = make_optimizer(each) if isinstance(each, str) else each
        if not isinstance(optimizer, Optimizer | Minimizer):
            hint = f" Pass {each.__name__}()." if isinstance(each, type) else ""
            raise ValueError(
                f"optimizers must be names or Optimizer objects; got {each!r} for {label!r}.{hint}"
            )
        optimizer.check_params()
        found[label] = optimizer
    return found


def variants_of(
    optimizers: Mapping[str, Optimizer | Minimizer],
    learning_rates: Sequence[float] | Mapping[str, Sequence[float]] | None,
) -> list[tuple[str, Optimizer | Minimizer]]:
    """Each optimizer with each of its rates."""
    rates: Mapping[str, Any] = {}
    if isinstance(learning_rates, Mapping):
        unknown = sorted(set(learning_rates) - set(optimizers))
        if unknown:
            raise ValueError(
                f"learning_rates has {unknown[0]!r}, which is none of the optimizers: "
                f"{', '.join(map(repr, optimizers))}."
            )
        rates = {
            label: listed(f"learning_rates of {label!r}", each, "[0.01, 0.1]")
            for label, each in learning_rates.items()
        }
    elif learning_rates is not None:
        rates = dict.fromkeys(optimizers, listed("learning_rates", learning_rates, "[0.01, 0.1]"))
    variants = []
    for label, optimizer in optimizers.items():
        if label not in rates or "learning_rate" not in optimizer.get_params(deep=False):
            variants.append((label, optimizer))
            continue
        for rate in rates[label]:
            variant = copy.copy(optimizer).set_params(learning_rate=rate)
            variant.check_params()
            variants.append((label, variant))
    return variants


def batch_size_of(objective: Function, size: int | None) -> int:
    """How many terms a step takes."""
    n = objective.n_samples
    if size is None:
        return n
    if not Interval(1, n, "[]", integer=True).accepts(size):
        terms = f"a sum of {n} terms" if n > 1 else "no sum of terms (see objectives.FiniteSum)"
        raise ValueError(
            f"batch_sizes must be None, for everything, or integers from 1 to {n}, since "
            f"{objective.name} is {terms}; got {size!r}."
        )
    return int(size)
