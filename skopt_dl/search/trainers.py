"""Groups what tasks bring into stacks, and trains these: here, or on a cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from skopt_dl.jobs import (
    FitJob,
    Outcome,
    StackState,
    StackWatcher,
    share_data,
    spread,
    stacks,
    train,
    train_journalled,
)
from skopt_dl.jobs.training import OnLeave
from skopt_dl.search.cluster import Cluster
from skopt_dl.search.scheduler import Event, Grouped, Trained
from skopt_dl.search.state import AbortedError, Search
from skopt_dl.search.tasks import Task, job_of, numbers_of
from skopt_dl.search.threads import Threads

# Work of a stack's step above which NumPy leaves the interpreter free for another thread.
PARALLEL_FLOPS = 2.5e7


class Trainers:
    """Trains what tasks have brought, in threads of its own.

    Parameters
    ----------
    search : Search
    happens : callable
        Is told of what happens.
    cluster : Cluster, default=None
        Trains the stacks it can; the others are trained here.
    """

    def __init__(
        self, search: Search, happens: Callable[[Event], None], cluster: Cluster | None = None
    ):
        self._search, self._happens, self._cluster = search, happens, cluster
        self.n_remote = 0 if cluster is None else cluster.n_threads
        self._threads = Threads("skopt_dl-stack")
        self._one_fallback = threading.Lock()
        self._watchers: dict[int, _Informed] = {}

    def informed(self, watcher: StackWatcher) -> StackWatcher:
        """A watcher of stacks who hears of the whole search too; the same for the same."""
        return self._watchers.setdefault(id(watcher), _Informed(watcher, self._search))

    def begin(self) -> None:
        """Have the first thread: where no more can be had later, it trains all."""
        self._threads.begin()

    def group(self, tasks: Sequence[Task]) -> None:
        """Sort what these tasks have to train into stacks."""
        self._threads.call(self._group, tasks)

    def train(self, tasks: Sequence[Task]) -> None:
        """Train a stack."""
        self._threads.call(self._train, tasks)

    def close(self, wait: bool) -> None:
        """End the threads."""
        self._threads.close(wait)

    def _group(self, tasks: Sequence[Task]) -> None:
        try:
            share_data([job_of(task) for task in tasks])
            found = spread(stacks(tasks, job_of), self.n_remote)
            if self._search.tell is not None:
                self._search.tell(_summary([[job_of(task) for task in stack] for stack in found]))
        except BaseException as error:
            self._finish(tasks, [error] * len(tasks))
            return
        self._happens(Grouped([(numbers_of(stack), _is_large(stack)) for stack in found]))

    def _train(self, tasks: Sequence[Task]) -> None:
        jobs = [job_of(task) for task in tasks]
        results: list[Outcome | BaseException]
        # A model alone gives up where it began; so may the only one that the journal has not.
        starts = [(job.params, job.rng.bit_generator.state) for job in jobs if len(jobs) > 1]
        try:
            results = list(self._outcomes(jobs))
        except BaseException as error:
            results = [error] * len(jobs)
            if starts and not self._search.aborted:
                results = [self._alone(*pair) for pair in zip(jobs, starts, strict=True)]
        self._finish(tasks, results)

    def _alone(self, job: FitJob, start: tuple[Any, Any]) -> Outcome | BaseException:
        """Train one job of a stack that failed, as if it had never been in it."""
        job.params, job.rng.bit_generator.state = start
        try:
            return self._outcomes([job])[0]
        except BaseException as error:
            return error

    def _outcomes(self, jobs: Sequence[FitJob]) -> list[Outcome]:
        """Train one stack, but for what the journal has."""
        if self._search.aborted:
            raise AbortedError
        return train_journalled(
            jobs, self._search.journal, lambda: self._search.aborted, self._outcomes_somewhere
        )

    def _outcomes_somewhere(
        self,
        jobs: Sequence[FitJob],
        interrupted: Callable[[], bool] | None,
        on_leave: OnLeave | None,
    ) -> Sequence[Outcome]:
        """Train one stack, on the cluster if there is one and it can."""
        if self._cluster is None:
            return train(jobs, interrupted, on_leave)
        outcomes, problem = self._cluster.train(jobs, lambda: self._search.aborted)
        if problem:
            self._search.warn(problem)
        if outcomes is None:
            with self._one_fallback:
                outcomes = train(jobs, interrupted, on_leave)
        return outcomes

    def _finish(self, tasks: Sequence[Task], results: Sequence[Outcome | BaseException]) -> None:
        for task, result in zip(tasks, results, strict=True):
            task.outcome = result
        self._search.count(trained=len(tasks))
        self._happens(Trained(numbers_of(tasks)))


class _Informed:
    """A watcher of stacks, who hears of the search they belong to."""

    def __init__(self, watcher: StackWatcher, search: Search):
        self._watcher, self._search = watcher, search

    def after_stack_epoch(self, stack: StackState) -> None:
        """Pass an epoch of a stack on."""
        self._watcher.after_stack_epoch(stack._replace(**self._search.progress._asdict()))


def _is_large(stack: Sequence[Task]) -> bool:
    job = job_of(stack[0])
    return len(stack) * job.network.flops(job.batch_size) >= PARALLEL_FLOPS


def _summary(found: Sequence[Sequence[FitJob]]) -> str:
    """How jobs were grouped, and why some train alone, in words."""
    groups: dict[str, list[int]] = {}
    for jobs in found:
        job = jobs[0]
        sizes = job.network.describe()
        what = f"{sizes}, {job.params.dtype}, batches of {job.batch_size}"
        if job.config.optimizer.full_batch:
            what += f"; {type(job.config.optimizer).__name__} minimises one model at a time"
        elif len(jobs) == 1:
            what += "; no other like it, or too large to share a cache"
        groups.setdefault(what, []).append(len(jobs))
    parts = [
        f"{sum(sizes)} in stacks of {', '.join(map(str, sizes))} ({what})"
        if max(sizes) > 1
        else f"{len(sizes)} alone ({what})"
        for what, sizes in groups.items()
    ]
    total = sum(map(len, found))
    return f"[skopt_dl] {total} models: {'; '.join(parts)}"
