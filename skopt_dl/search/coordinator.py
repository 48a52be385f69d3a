"""Carries out what the scheduler of a search decides, in threads, processes and on a cluster."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from skopt_dl.backends import get_backend
from skopt_dl.jobs import (
    FitJob,
    Journal,
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
from skopt_dl.optimizers import Minimizer
from skopt_dl.search import scheduler as decided
from skopt_dl.search.cluster import Cluster
from skopt_dl.search.journals import journal_here
from skopt_dl.search.processes import Processes, shared_processes
from skopt_dl.search.tasks import Call, Lot, Progress, Report, Task
from skopt_dl.training import ModelRun

# Seconds between two ticks of the scheduler.
TICK = 0.25
# The share of a tick that a process has to compute for not to be idle.
IDLE = 0.05
# Seconds that tasks of a search that was ended early are waited for.
GRACE = 5.0
# Work of a stack's step above which NumPy leaves the interpreter free for another thread.
PARALLEL_FLOPS = 2.5e7


class Active(NamedTuple):
    """A task that runs, and who runs it."""

    coordinator: Coordinator
    task: Task


# The task whose code runs here.
active: ContextVar[Active | None] = ContextVar("skopt_dl_task", default=None)


def run(job: FitJob) -> tuple[ModelRun, str]:
    """Train a job: in a stack where its task belongs to a stacked search, else alone.

    Returns
    -------
    run : ModelRun
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
    run_lot : callable, default=None
        What these call with a `Lot`, to return a `Report`.
    journal : Journal, default=None
        Keeps what is trained.
    works_for : Lot, default=None
        The tasks, where they are those of another process's search.
    """

    def __init__(
        self,
        n_tasks: int,
        n_cores: int,
        tell: Callable[[str], None] | None = None,
        cluster: Cluster | None = None,
        n_processes: int = 0,
        run_lot: Callable[[Lot], Report] | None = None,
        journal: Journal | None = None,
        works_for: Lot | None = None,
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
        here = Path(tempfile.gettempdir(), f"skopt_dl-{uuid4()}")
        self._cancelled = str(here) if works_for is None else works_for.cancelled
        self._journal = journal
        self._began = time.monotonic()
        self._before = Progress(0, 0, 0.0) if works_for is None else works_for.progress
        self._n_trained = 0
        self._watchers: dict[int, StackWatcher] = {}
        self._processes: Processes | None = None
        self._run_lot = run_lot
        self._tasks: dict[int, Task] = {}
        self._n_tasks = 0
        self._aborted = threading.Event()
        self._closed = threading.Event()
        self._task_threads = _worker_threads() if self._is_worker else _task_threads()
        n_threads = max(n_cores, n_remote) + n_processes + 2
        self._trainers = ThreadPoolExecutor(n_threads, thread_name_prefix="skopt_dl-stack")
        self._one_fallback = threading.Lock()
        self._clock: threading.Thread | None = None
        # What the user is to be warned of when the search is over.
        self.news: list[tuple[str, type[Warning]]] = []
        self._look_for_processes()

    # What happens

    def submit(self, function: Callable[[], Any], call: Call) -> Future[Any]:
        """Have a task run as soon as there is room for it."""
        with self._lock:
            number = self._n_tasks = self._n_tasks + 1
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
        if self._is_worker and job.stays_here:
            # The other process did not know of this job.
            raise StaysHereError
        # Callbacks and scorers belong to the task, but run while it waits.
        job.context = copy_context()
        job.context.run(active.set, None)
        job.watchers = [self._informed(each) for each in job.watchers]
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

    def _informed(self, watcher: StackWatcher) -> StackWatcher:
        """A watcher of stacks that hears of the whole search too; the same for the same."""
        return self._watchers.setdefault(id(watcher), _Informed(watcher, self))

    @property
    def progress(self) -> Progress:
        """How far the search is, as far as is known here."""
        before = self._before
        n_trained = before.n_trained + self._n_trained
        n_known = max(before.n_known, self._n_tasks, n_trained)
        return Progress(n_trained, n_known, before.seconds + time.monotonic() - self._began)

    def _may_leave(self, job: FitJob) -> bool:
        """Whether a task like this one's may run elsewhere: nothing keeps it here, and no GPU."""
        return not job.stays_here and get_backend(job.device).device == "cpu"

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
        _call_in(self._task_threads, self._run, self._tasks[number])

    def _run(self, task: Task) -> None:
        context = task.call.context.copy()
        context.run(active.set, Active(self, task))
        context.run(task.run)
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
        tasks = [self._tasks[number] for number in numbers]
        _call_in(self._trainers, self._group_now, tasks)

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
        tasks = [self._tasks[number] for number in numbers]
        _call_in(self._trainers, self._train_now, tasks)

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
        """Train one stack, but for what the journal has; on the cluster if there is one."""
        if self.aborted:
            raise AbortedError
        jobs = [_job(task) for task in tasks]
        return train_journalled(jobs, self._journal, lambda: self.aborted, self._trainer)

    def _trainer(
        self,
        jobs: Sequence[FitJob],
        interrupted: Callable[[], bool] | None,
        on_leave: OnLeave | None,
    ) -> Sequence[Outcome]:
        if self._cluster is None:
            return train(jobs, interrupted, on_leave)
        outcomes, problem = self._cluster.train(jobs, lambda: self.aborted)
        if problem:
            self.news.append((problem, RuntimeWarning))
        if outcomes is None:
            with self._one_fallback:
                outcomes = train(jobs, interrupted, on_leave)
        return outcomes

    def _finish(self, tasks: Sequence[Task], results: Sequence[Outcome | BaseException]) -> None:
        for task, result in zip(tasks, results, strict=True):
            task.outcome = result
        with self._lock:
            self._n_trained += len(tasks)
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
        tasks = [self._tasks[number] for number in numbers]
        _call_in(self._trainers, self._send_now, lot, tasks)

    def _send_now(self, lot: int, tasks: list[Task]) -> None:
        """Have tasks run by another process; where it cannot, they stay here, and all others."""
        assert self._processes is not None
        assert self._run_lot is not None
        functions = [(task.function, task.call.filters, task.call.line) for task in tasks]
        folder = None if self._journal is None else str(self._journal.folder)
        verbose = self._tell_user is not None
        sent = Lot(functions, verbose, self._cancelled, folder, self.progress)
        try:
            report = self._processes.run(self._run_lot, sent)
        except BaseException as error:
            if not (self.aborted or self._processes.usable):
                self.news.append((_died(len(tasks), error), RuntimeWarning))
            self._happens(decided.Settled(lot, _numbers(tasks)))
            return
        self._happens(decided.Answered(lot))
        staying = []
        self.news += [each for each in report.problems if each not in self.news]
        for task, answer in zip(tasks, report.answers, strict=True):
            if isinstance(answer.error, StaysHereError):
                staying.append(task)
            else:
                del self._tasks[task.number]
                task.finish(*answer)
        self._happens(decided.Settled(lot, _numbers(staying)))
        with self._lock:
            self._n_trained += len(tasks) - len(staying)
        for line in report.lines:
            self._tell_user(line)  # type: ignore[misc]

    # The clock

    def _start_clock(self) -> None:
        with self._lock:
            if self._clock is None:
                clock = threading.Thread(target=self._tick, name="skopt_dl-clock", daemon=True)
                clock.start()
                # The one that there has to be, if no more can be had when there is work.
                self._trainers.submit(int)
                self._clock = clock

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


class _Informed:
    """A watcher of stacks, who hears of the search they belong to."""

    def __init__(self, watcher: StackWatcher, coordinator: Coordinator):
        self._watcher, self._coordinator = watcher, coordinator

    def after_stack_epoch(self, stack: StackState) -> None:
        """Pass an epoch of a stack on."""
        self._watcher.after_stack_epoch(stack._replace(**self._coordinator.progress._asdict()))


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


def _call_in(threads: ThreadPoolExecutor, function: Callable[..., None], *args: Any) -> None:
    """Have a thread call a function; where the system gives no more threads, one that there is."""
    try:
        threads.submit(function, *args)
    except RuntimeError:
        # The call is in the queue already. Those who wait are trained after a while, go on, and
        # take it.
        if threads._shutdown or not threads._threads:
            raise


def _died(n_tasks: int, error: BaseException) -> str:
    reason = str(error).partition("\n")[0]
    return (
        f"A process that ran {n_tasks} tasks of this search died, and they were run again by this "
        "one. It may have needed more memory than there is: a smaller n_jobs needs less, and "
        "n_processes=1 starts no processes. Or an interrupt of another search ended it. "
        f"{type(error).__name__}: {reason}"
    )


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
