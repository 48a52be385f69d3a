"""Carries out what the scheduler of a search decides, in threads, processes and on a cluster."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from skopt_dl.backends import get_backend, one_blas_thread
from skopt_dl.jobs import FitJob, Outcome, share_data, spread, stacks, train
from skopt_dl.optimizers import Minimizer
from skopt_dl.search import scheduler as decided
from skopt_dl.search.interrupts import uninterrupted
from skopt_dl.search.processes import Processes, shared_processes
from skopt_dl.search.tasks import Call, Task, active
from skopt_dl.training import ModelRun

if TYPE_CHECKING:
    from skopt_dl.search.cluster import Cluster

# Seconds between two ticks of the scheduler.
TICK = 0.25
# The share of a tick that a process has to compute for not to be idle.
IDLE = 0.05
# Seconds that tasks of a search that was ended early are waited for.
GRACE = 5.0
# Work of a stack's step above which NumPy leaves the interpreter free for another thread.
PARALLEL_FLOPS = 2.5e7


def run(job: FitJob) -> tuple[ModelRun, str]:
    """Train a job: in a stack where its task belongs to a stacked search, else alone.

    Returns
    -------
    run : ModelRun
    device : str
        Where it was trained: ``"cpu"`` or ``"cuda"``.
    """
    task = active.get()
    if task is None:
        with one_blas_thread():
            outcome = train([job])[0]
    else:
        outcome = task.coordinator.train(job)
    if outcome.error is not None:
        raise outcome.error
    return outcome.run, outcome.device


class AbortedError(RuntimeError):
    """The search that a task belongs to has ended, because of an error or an interrupt."""

    def __init__(self, message: str = "The search was ended."):
        super().__init__(message)


class StaysHereError(BaseException):
    """A task that another process has begun belongs to this one; no `except Exception` is meant."""


class Coordinator:
    """Runs the tasks of one search, and their trainings in stacks.

    Parameters
    ----------
    n_tasks : int
        How many tasks may be under way at once: the most models that wait together.
    n_cores : int
        How many tasks compute, and stacks train, at the same time.
    tell : callable, default=None
        Gets lines about what is trained.
    cluster : Cluster, default=None
        Trains the stacks it can; the others are trained here.
    n_processes : int, default=0
        How many processes run tasks that take long, besides this one.
    works_for : str, default=None
        Where the tasks are those of another process's search, a file by which that cancels them.
    """

    def __init__(
        self,
        n_tasks: int,
        n_cores: int,
        tell: Callable[[str], None] | None = None,
        cluster: Cluster | None = None,
        n_processes: int = 0,
        works_for: str | None = None,
    ):
        n_remote = 0 if cluster is None else cluster.n_threads
        self._scheduler = decided.Scheduler(
            n_tasks, n_cores, n_processes, n_remote, memory=decided.MEMORY
        )
        self._lock = threading.Condition()
        self._tell_user = tell
        self._cluster, self._n_remote = cluster, n_remote
        self._n_processes = self._scheduler.n_processes
        self._is_worker = works_for is not None
        # A file is the one thing that every process sees, on all platforms.
        self._cancelled = works_for or str(Path(tempfile.gettempdir(), f"skopt_dl-{uuid4()}"))
        self._processes: Processes | None = None
        self._tasks: dict[int, Task] = {}
        self._n_tasks = 0
        self._aborted = threading.Event()
        self._closed = threading.Event()
        self._task_threads = _worker_threads() if self._is_worker else _task_threads()
        n_threads = max(n_cores, n_remote) + n_processes + 2
        self._trainers = ThreadPoolExecutor(n_threads, thread_name_prefix="skopt_dl-stack")
        self._one_fallback = threading.Lock()
        self._clock: threading.Thread | None = None
        # What the user is to hear of when the search is over, at his line.
        self.news: list[str] = []
        self._look_for_processes()

    # What happens

    def submit(self, function: Callable[[], Any], call: Call) -> Future[Any]:
        """Have a task run as soon as there is room for it."""
        with uninterrupted():
            with self._lock:
                number = self._n_tasks = self._n_tasks + 1
                task = self._tasks[number] = Task(number, call.number(), function, call, self)
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
    def awaiting_tasks(self) -> Iterator[None]:
        """A task that waits for tasks of its own leaves its room to them."""
        task = active.get()
        assert task is not None
        self._happens(decided.Awaits(task.number))
        try:
            yield
        finally:
            self._happens(decided.GoesOn(task.number))
            task.turn.wait()

    def train(self, job: FitJob) -> Outcome:
        """Wait until a job of this thread's task has been trained."""
        if self._is_worker and job.stays_here:
            # The other process did not know of this job.
            raise StaysHereError
        task = active.get()
        assert task is not None
        # Callbacks and scorers belong to the task, but run while it waits.
        job.context = copy_context()
        job.context.run(active.set, None)
        task.job, task.outcome = job, None
        self._happens(decided.Arrived(task.number, _size(job), self._may_leave(job)))
        task.turn.wait()
        outcome, task.job, task.outcome = task.outcome, None, None
        if self.aborted:
            raise AbortedError
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None
        return outcome

    def _may_leave(self, job: FitJob) -> bool:
        """Whether a task like this one's may run elsewhere: nothing keeps it here, and no GPU."""
        if not self._n_processes:
            return False
        work = self._scheduler.n_tasks * job.network.flops(job.batch_size)
        return not job.stays_here and get_backend(job.device, work).device == "cpu"

    @property
    def aborted(self) -> bool:
        """Whether the search was ended."""
        if self._is_worker and os.path.exists(self._cancelled):
            self._aborted.set()
        return self._aborted.is_set()

    def abort(self, interrupted: bool = False) -> None:
        """End everything: nothing new begins, what trains stops after its epoch.

        Parameters
        ----------
        interrupted : bool, default=False
            By the user, who does not want to wait: processes at work for this search end at once.
        """
        self._aborted.set()
        self._happens(decided.Aborted())
        if self._processes is not None and self._scheduler.n_away:
            if interrupted:
                self._processes.end()
            else:
                Path(self._cancelled).touch()

    def close(self) -> None:
        """End the threads; tasks of a search that was ended early have some time to notice."""
        with self._lock:
            at_rest = self._lock.wait_for(lambda: self._scheduler.at_rest, timeout=GRACE)
        self._closed.set()
        if self._clock is not None:
            self._clock.join()
        if not self._is_worker:
            Path(self._cancelled).unlink(missing_ok=True)
            self._task_threads.shutdown(wait=at_rest)
        self._trainers.shutdown(wait=at_rest)

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
        self._task_threads.submit(self._run, self._tasks[number])

    def _run(self, task: Task) -> None:
        task.run()
        # Whoever heard of the result may have submitted the next task before this one is over.
        del self._tasks[task.number]
        self._happens(decided.Ended(task.number))

    def _resume(self, number: int) -> None:
        self._tasks[number].turn.come()

    def _give_up(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._tasks.pop(number).finish(None, AbortedError(), ())

    # Training

    def _group(self, numbers: Sequence[int]) -> None:
        self._trainers.submit(self._group_now, [self._tasks[number] for number in numbers])

    def _group_now(self, tasks: list[Task]) -> None:
        try:
            share_data([_job(task) for task in tasks])
            found = spread(stacks(tasks, _job), self._n_remote)
            if self._tell_user is not None:
                self._tell_user(_summary([[_job(task) for task in stack] for stack in found]))
        except BaseException as error:
            self._finish(tasks, [error] * len(tasks))
            return
        self._happens(
            decided.Grouped([(_numbers(stack), self._is_large(stack)) for stack in found])
        )

    def _is_large(self, stack: Sequence[Task]) -> bool:
        job = _job(stack[0])
        return len(stack) * job.network.flops(job.batch_size) >= PARALLEL_FLOPS

    def _train(self, numbers: Sequence[int]) -> None:
        self._trainers.submit(self._train_now, [self._tasks[number] for number in numbers])

    def _train_now(self, tasks: list[Task]) -> None:
        jobs = [_job(task) for task in tasks]
        results: list[Outcome | BaseException]
        states = [job.rng.bit_generator.state for job in jobs]
        try:
            results = list(self._train_jobs(tasks))
        except BaseException as error:
            results = [error] * len(jobs)
            if len(jobs) > 1 and not self.aborted:
                results = [self._train_alone(*pair) for pair in zip(tasks, states, strict=True)]
        self._finish(tasks, results)

    def _train_alone(self, task: Task, state: Any) -> Outcome | BaseException:
        """Train one job of a stack that failed, as if it had never been in it."""
        _job(task).rng.bit_generator.state = state
        try:
            return self._train_jobs([task])[0]
        except BaseException as error:
            return error

    def _train_jobs(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Train one stack, on the cluster if there is one and it can."""
        jobs = [_job(task) for task in tasks]
        if self.aborted:
            raise AbortedError
        if self._cluster is None:
            return train(jobs, lambda: self.aborted)
        outcomes, problem = self._cluster.train(jobs, lambda: self.aborted)
        if problem:
            self.news.append(problem)
        if outcomes is None:
            with self._one_fallback:
                outcomes = train(jobs, lambda: self.aborted)
        return outcomes

    def _finish(self, tasks: Sequence[Task], results: Sequence[Outcome | BaseException]) -> None:
        for task, result in zip(tasks, results, strict=True):
            task.outcome = result
        self._happens(decided.Trained(_numbers(tasks)))

    # Other processes

    def _look_for_processes(self) -> None:
        """Use those that are there already, from an earlier search."""
        self._processes = shared_processes(self._n_processes)
        if self._processes is not None and self._processes.ready:
            self._happens(decided.ProcessesReady())

    def _start_processes(self) -> None:
        try:
            self._processes = shared_processes(self._n_processes, start=True)
            assert self._processes is not None
            self._processes.when_ready(lambda: self._happens(decided.ProcessesReady()))
        except Exception as error:
            self._happens(decided.ProcessesLost())
            if self._tell_user is not None:
                self._tell_user(f"[skopt_dl] no other processes: {type(error).__name__}: {error}")

    def _send(self, lot: int, numbers: Sequence[int]) -> None:
        self._trainers.submit(self._send_now, lot, [self._tasks[number] for number in numbers])

    def _send_now(self, lot: int, tasks: list[Task]) -> None:
        """Have tasks run by another process; where it cannot, they stay here, and all others."""
        from skopt_dl.search.worker import Lot, run_lot

        assert self._processes is not None
        functions = [(task.function, task.call.filters, task.call.line) for task in tasks]
        lot_sent = Lot(functions, self._tell_user is not None, self._cancelled)
        try:
            answers, lines = self._processes.run(run_lot, lot_sent)
        except BaseException as error:
            if not (self.aborted or self._processes.usable):
                reason = str(error).partition("\n")[0]
                self.news.append(
                    f"A process that ran {len(tasks)} tasks of this search died, and they were run "
                    "again by this one. It may have needed more memory than there is: a smaller "
                    "n_jobs needs less, and n_processes=1 starts no processes. Or an interrupt of "
                    f"another search ended it. {type(error).__name__}: {reason}"
                )
            self._happens(decided.Settled(lot, _numbers(tasks)))
            return
        self._happens(decided.Answered(lot))
        staying = []
        for task, answer in zip(tasks, answers, strict=True):
            if isinstance(answer.error, StaysHereError):
                staying.append(task)
            else:
                del self._tasks[task.number]
                task.finish(*answer)
        self._happens(decided.Settled(lot, _numbers(staying)))
        for line in lines:
            self._tell_user(line)  # type: ignore[misc]

    # The clock

    def _start_clock(self) -> None:
        with self._lock:
            if self._clock is None:
                self._clock = threading.Thread(
                    target=self._tick, name="skopt_dl-clock", daemon=True
                )
                self._clock.start()

    def _tick(self) -> None:
        before = time.process_time()
        while not self._closed.wait(TICK):
            if self._is_worker and self.aborted:
                self.abort()
            now = time.process_time()
            self._happens(decided.Tick(idle=now - before < IDLE * TICK))
            before = now


_DEEDS: dict[type, Callable[..., None]] = {
    decided.Start: Coordinator._start,
    decided.Resume: Coordinator._resume,
    decided.Group: Coordinator._group,
    decided.Train: Coordinator._train,
    decided.StartProcesses: Coordinator._start_processes,
    decided.Send: Coordinator._send,
    decided.GiveUp: Coordinator._give_up,
}


def _job(task: Task) -> FitJob:
    assert task.job is not None
    return task.job


def _numbers(tasks: Sequence[Task]) -> tuple[int, ...]:
    return tuple(task.number for task in tasks)


def _task_threads() -> ThreadPoolExecutor:
    # More threads than ever run: the scheduler says who runs, and those that wait for tasks of
    # their own come on top.
    return ThreadPoolExecutor(10_000, thread_name_prefix="skopt_dl-task")


# Threads of a worker process, which runs many lots of tasks: making them takes longer than waking.
_worker_threads = cache(_task_threads)


def _size(job: FitJob) -> int:
    """About how much a task with this job holds, in bytes: the samples, and a fold to score on."""
    data = job.X.data if hasattr(job.X, "tocsr") else job.X
    return int(1.25 * (data.nbytes + job.n_bytes_given))


def _summary(found: Sequence[Sequence[FitJob]]) -> str:
    """How jobs were grouped, and why some train alone, in words."""
    groups: dict[str, list[int]] = {}
    for jobs in found:
        job = jobs[0]
        sizes = "-".join(map(str, job.network.layer_sizes))
        what = f"{sizes}, {job.params.dtype}, batches of {job.batch_size}"
        if isinstance(job.optimizer, Minimizer):
            what += f"; {type(job.optimizer).__name__} minimises one model at a time"
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
