"""Which jobs can be trained together, and how many at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from skopt_dl.jobs.job import FitJob
from skopt_dl.training.updates import structure

T = TypeVar("T")

# Bytes that the models of a stack work on in a step, all together: about what stays in a cache.
WORKING_SET = 4 << 20
# Arrays like the parameters: themselves, gradient, scratch, two slots.
ARRAYS_OF_PARAMS = 5


def kind(job: FitJob) -> Hashable:
    """What must be equal for jobs to share a stack, and have the same bits in it as alone."""
    network = job.network
    alone = object() if job.config.optimizer.full_batch else None
    return (
        network.key,
        job.params.dtype,
        # A sum over more rows, or with weights of 1, may round otherwise.
        job.n_samples,
        job.sample_weight is None,
        min(job.batch_size, job.n_samples),
        job.shuffle,
        job.sampling,
        # Models without would be given zeros to add, and an average of one step.
        job.alpha > 0,
        job.config.ema_decay > 0,
        hasattr(job.X, "tocsr"),
        job.validation is None,
        job.device,
        job.engine,
        alone,
    )


def width(job: FitJob) -> int:
    """How many models like this one a stack should have."""
    rows = 2 * job.network.n_numbers + math.prod(job.network.input_shape)
    numbers = ARRAYS_OF_PARAMS * len(job.params) + job.batch_size * rows
    return max(1, WORKING_SET // (numbers * job.params.dtype.itemsize))


def stacks(jobs: Sequence[T], job_of: Callable[[T], FitJob]) -> list[list[T]]:
    """Sort what has jobs into stacks: of one kind, no wider than is good, evenly filled."""
    kinds: dict[Hashable, list[T]] = {}
    for each in jobs:
        kinds.setdefault(kind(job_of(each)), []).append(each)
    found = []
    for members in kinds.values():
        # Neighbours with one optimizer share an update, those with the same data a gathering.
        members.sort(key=lambda each: _order(job_of(each)))
        n_stacks = -(-len(members) // width(job_of(members[0])))
        edges = np.linspace(0, len(members), n_stacks + 1).astype(int)
        found += [members[start:stop] for start, stop in pairwise(edges)]
    return found


def spread(found: Sequence[list[T]], number: int) -> list[list[T]]:
    """Halve the largest stacks until there are as many as asked for, so that nobody is idle."""
    found = list(found)
    while len(found) < number:
        largest = max(range(len(found)), key=lambda place: len(found[place]))
        stack = found[largest]
        middle = len(stack) // 2
        if not middle:
            break
        found[largest : largest + 1] = [stack[:middle], stack[middle:]]
    return found


def _order(job: FitJob) -> tuple[str, int]:
    if job.config.optimizer.full_batch:
        return "", 0
    return str(structure(job.config.optimizer)), id(job.X)


def share_data(jobs: Sequence[FitJob]) -> None:
    """Let jobs whose arrays are equal hold the same ones."""
    known: list[np.ndarray] = []
    for job in jobs:
        job.X, job.y = _known(job.X, known), _known(job.y, known)
        job.sample_weight = _known(job.sample_weight, known)
        job.rows = _known(job.rows, known)
        if job.validation is not None:
            held_out = job.validation
            held_out.X, held_out.y = _known(held_out.X, known), _known(held_out.y, known)
            held_out.rows = _known(held_out.rows, known)
            held_out.sample_weight = _known(held_out.sample_weight, known)


def _known(array: Any, known: list[Any]) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    for other in known:
        if other is array:
            return other
        alike = (other.shape, other.dtype, other.strides) == (
            array.shape,
            array.dtype,
            array.strides,
        )
        # The first rows tell most folds apart.
        if alike and np.array_equal(other[:8], array[:8]) and np.array_equal(other, array):
            return other
    known.append(array)
    return array
