"""Carries out what the scheduler of a search decides."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from typing import Any, NamedTuple

from skopt_dl._interrupts import uninterrupted
from skopt_dl.backends import get_backend
from skopt_dl.jobs import FitJob, Outcome, train_journalled
from skopt_dl.search import scheduler as decided
from skopt_dl.search.cluster import Cluster
from skopt_dl.search.elsewhere import Elsewhere, StaysHereError
from skopt_dl.search.journals import journal_here
from skopt_dl.search.state import AbortedError, Search
from skopt_dl.search.tasks import Call, Lot, Report, Task
from skopt_dl.search.threads import Thread, Threads
from skopt_dl.search.trainers import Trainers
from skopt_dl.training import TrainingResult

# Seconds between two ticks of the scheduler.
TICK = 0.25
# The share of the time between them that a process has to compute for not to be idle.
IDLE = 0.05
# The share of what all cores can do in it that a process has to do for processes to be of no use.
BUSY = 0.9
# Seconds that tasks of a search that was ended early are waited for.
GRACE = 5.0


class Active(NamedTuple):
    """A task that runs, and who runs it."""

    coordinator: Coordinator
    task: Task


# The task whose code runs here.
active: ContextVar[Active | None] = ContextVar("skopt_dl_task", default=None)


def run(job: FitJob) -> tuple[TrainingResult, str]:
    """Train a job: in a stack where its task belongs to a stacked search, else alone.

    Returns
    -------
    result : TrainingResult
    device : str
        Where it was trained: ``"cpu"`` or ``"cuda"``.
    """
    here = active.get()
    if here is None:
        (outcome,) = train_journalled([job], journal_here())
    else:
        outcome = here.coordinator.train(job, here.task)
    if outcome.error is not None:
        raise outcome.error
    return outcome.result, outcome.device


class Coordinator:
    """Runs the tasks of one search, and has what they bring trained.

    Parameters
    ----------
    search : Search
    n_tasks : int
        How many tasks may be under way at once: the most models that wait together.
    n_cores : int
        How many tasks compute, and stacks train, at the same time.
    cluster : Cluster, default=None
        Trains the stacks it can; the others are trained here.
    n_processes : int, default=0
        How many processes run tasks that take long, besides this one.
    run_lot : callable, default=None
        What these call with a `Lot`, to return a `Report`.
    """

    def __init__(
        self,
        search: Search,
        n_tasks: int,
        n_cores: int,
        cluster: Cluster | None = None,
        n_processes: int = 0,
        run_lot: Callable[[Lot], Report] | None = None,
    ):
        self.search = search
        self._n_cores = n_cores
        self._tasks: dict[int, Task] = {}
        self._lock = threading.Condition()
        self._closed = threading.Event()
        self._clock: threading.Thread | None = None
        self._threads = _worker_threads() if self.search.is_worker else _task_threads()
        self._trainers = Trainers(self.search, self._happens, cluster)
        self._scheduler = decided.Scheduler(
            n_tasks, n_cores, n_processes, self._trainers.n_remote, memory=decided.MEMORY
        )
        self._elsewhere = Elsewhere(
            self.search, self._happens, self._forget, self._scheduler.n_processes, run_lot
        )
        self._elsewhere.look()

    # What happens

    def submit(self, function: Callable[[], Any], call: Call) -> Future[Any]:
        """Have a task run as soon as there is room for it."""
        with uninterrupted():
            number = self.search.count(tasks=1)
            task = self._tasks[number] = Task(number, call.number(), function, call)
            self._start_clock()
            self._happens(decided.Submitted(number))
        return task.future

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Nothing is trained early while somebody is about to submit tasks."""
        self._happens(decided.Held())
        try:
            yield
        finally:
            self._happens(decided.Released())

    @contextmanager
    def awaiting_tasks(self, task: Task) -> Iterator[None]:
        """A task that waits for tasks of its own leaves its room to them."""
        self._happens(decided.Awaits(task.number))
        try:
            yield
        finally:
            self._happens(decided.GoesOn(task.number))
            task.turn.wait()

    def train(self, job: FitJob, task: Task) -> Outcome:
        """Wait until a job of this task, whose thread calls, has been trained."""
        if self.search.is_worker and job.stays_here:
            # The other process did not know of this job.
            raise StaysHereError
        # Callbacks and scorers belong to the task, but run while it waits.
        job.context = copy_context()
        job.context.run(active.set, None)
        job.watchers = [self._trainers.informed(each) for each in job.watchers]
        task.job, task.outcome = job, None
        self._happens(decided.Arrived(task.number, _size(job), _may_leave(job)))
        task.turn.wait()
        outcome, task.job, task.outcome = task.outcome, None, None
        if self.search.aborted:
            raise AbortedError
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None
        return outcome

    def abort(self, interrupted: bool = False) -> None:
        """End everything: nothing new begins, what trains stops after its epoch.

        Parameters
        ----------
        interrupted : bool, default=False
            By the user, who does not want to wait: processes at work for this search end at once.
        """
        self.search.abort()
        self._happens(decided.Aborted())
        if self._scheduler.n_away and not interrupted:
            self.search.cancel_elsewhere()
        elif self._scheduler.n_away:
            self._elsewhere.end()

    def close(self) -> None:
        """End the threads; tasks of a search that was ended early have some time to notice."""
        with self._lock:
            at_rest = self._lock.wait_for(lambda: self._scheduler.at_rest, timeout=GRACE)
        self._closed.set()
        if self._clock is not None:
            self._clock.join()
        self.search.forget()
        if not self.search.is_worker:
            self._threads.close(wait=at_rest)
        self._trainers.close(wait=at_rest)
        self._elsewhere.close(wait=at_rest)

    # What is done

    def _happens(self, event: decided.Event) -> None:
        """Tell the scheduler, and do what it says; not under the lock, since joblib has one too."""
        with self._lock:
            instructions = self._scheduler.handle(event)
            if self._scheduler.at_rest:
                self._lock.notify_all()
        for each in instructions:
            _DEEDS[type(each)](self, *each)

    def _start(self, number: int) -> None:
        self._threads.call(self._run, self._tasks[number])

    def _run(self, task: Task) -> None:
        context = task.call.context.copy()
        context.run(active.set, Active(self, task))
        context.run(task.run)
        # Whoever heard of the result may have submitted the next task before this one is over.
        self._forget(task)
        self._happens(decided.Ended(task.number))

    def _resume(self, number: int) -> None:
        self._tasks[number].turn.come()

    def _group(self, numbers: Sequence[int]) -> None:
        self._trainers.group([self._tasks[number] for number in numbers])

    def _train(self, numbers: Sequence[int]) -> None:
        self._trainers.train([self._tasks[number] for number in numbers])

    def _start_processes(self) -> None:
        self._elsewhere.start()

    def _send(self, lot: int, numbers: Sequence[int]) -> None:
        self._elsewhere.send(lot, [self._tasks[number] for number in numbers])

    def _give_up(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._tasks.pop(number).finish(None, AbortedError(), ())

    def _forget(self, task: Task) -> None:
        del self._tasks[task.number]

    # The clock

    def _start_clock(self) -> None:
        with self._lock:
            if self._clock is None:
                self._trainers.begin()
                clock = Thread("skopt_dl-clock", self._tick)
                clock.start()
                self._clock = clock

    def _tick(self) -> None:
        computed, passed = time.process_time(), time.monotonic()
        while not self._closed.wait(TICK):
            if self.search.is_worker and self.search.aborted:
                self.abort()
            now, clock = time.process_time(), time.monotonic()
            share = (now - computed) / (clock - passed)
            self._happens(decided.Tick(share < IDLE, share > BUSY * self._n_cores))
            computed, passed = now, clock


_DEEDS: dict[type, Callable[..., None]] = {
    decided.Start: Coordinator._start,
    decided.Resume: Coordinator._resume,
    decided.Group: Coordinator._group,
    decided.Train: Coordinator._train,
    decided.StartProcesses: Coordinator._start_processes,
    decided.Send: Coordinator._send,
    decided.GiveUp: Coordinator._give_up,
}


def _task_threads() -> Threads:
    return Threads("skopt_dl-task")


# Threads of a worker process, which runs many lots of tasks: making them takes longer than waking.
_worker_threads = cache(_task_threads)


def _may_leave(job: FitJob) -> bool:
    """Whether a task like this one's may run elsewhere: nothing keeps it here, and no GPU."""
    return not job.stays_here and get_backend(job.device).device == "cpu"


def _size(job: FitJob) -> int:
    """About how much a task with this job holds, in bytes: the samples, and a fold to score on."""
    data = job.X.data if hasattr(job.X, "tocsr") else job.X
    return int(1.25 * (data.nbytes + job.n_bytes_given))
