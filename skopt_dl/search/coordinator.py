"""Tasks in threads whose trainings are collected and run as stacks.

A task runs until it has something to train, and waits. When every task that may run waits, or has
ended, all that is waiting is sorted into stacks and trained; then the tasks go on. So the searches
of scikit-learn, which know nothing of stacks, train in stacks. In a search that takes long, tasks
go to other processes, each with a coordinator of its own, so that no core is idle.
"""

from __future__ import annotations

import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from skopt_dl.backends import get_backend
from skopt_dl.jobs import FitJob, Outcome, share_data, spread, stacks, train
from skopt_dl.optimizers import Minimizer
from skopt_dl.search.cores import Cores, Turn
from skopt_dl.search.processes import Processes, shared_processes
from skopt_dl.training import ModelRun

if TYPE_CHECKING:
    from skopt_dl.search.cluster import Cluster

# The coordinator of the tasks that this thread's belongs to.
_active: ContextVar[Coordinator | None] = ContextVar("skopt_dl_coordinator", default=None)

# Seconds without any news after which what waits is trained, whatever the others do: a task may
# take long over something else, or wait for one that waits.
PATIENCE = 1.0
# Seconds that tasks of a search that was ended early are waited for. scikit-learn's tasks put the
# filters of warnings back when they end, which should not happen under the user's feet.
GRACE = 5.0
# Bytes of samples that tasks may hold, all together, where there are more than one for each core.
MEMORY = 1 << 30
# Work of a stack's step above which NumPy leaves the interpreter free for another thread.
PARALLEL_FLOPS = 2.5e7
# Seconds after which a search is worth starting processes for, which takes about as long.
START = 0.5
# Tasks that are worth a process of their own: fewer models hardly gain by being a stack.
SHARE = 4


def active_coordinator() -> Coordinator | None:
    """Return the coordinator of the task that this thread runs, if it runs one."""
    return _active.get()


def run(job: FitJob) -> tuple[ModelRun, str]:
    """Train a job: in a stack if it belongs to a stacked search, else alone.

    Returns
    -------
    run : ModelRun
    device : str
        Where it was trained: ``"cpu"`` or ``"cuda"``.
    """
    coordinator = _active.get()
    outcome = train([job])[0] if coordinator is None else coordinator.train(job)
    if outcome.error is not None:
        raise outcome.error
    return outcome.run, outcome.device


class AbortedError(RuntimeError):
    """The search that a task belongs to has ended, because of an error or an interrupt."""

    def __init__(self, message: str = "The search was ended."):
        super().__init__(message)


class StaysHereError(BaseException):
    """A task that another process has begun belongs to this one; no `except Exception` is meant."""


@dataclass(eq=False)
class _Task:
    """A function that waits to be called."""

    function: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


@dataclass(eq=False)
class _Ticket:
    """A job that waits for its training."""

    job: FitJob
    turn: Turn
    outcome: Outcome | None = None
    error: BaseException | None = None


class Coordinator:
    """Runs tasks in threads, and their trainings in stacks.

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
    n_processes : int, default=1
        How many processes run tasks that take long, besides this one; 1 leaves all tasks here.
    threads : ThreadPoolExecutor, default=None
        Runs the tasks, and lives on; None makes one for this coordinator.
    """

    def __init__(
        self,
        n_tasks: int,
        n_cores: int,
        tell: Callable[[str], None] | None = None,
        cluster: Cluster | None = None,
        n_processes: int = 1,
        threads: ThreadPoolExecutor | None = None,
    ):
        self._n_tasks, self._n_cores, self._tell = n_tasks, n_cores, tell
        self._cluster = cluster
        self._n_remote = 0 if cluster is None else cluster.n_threads
        self._lock = threading.Condition()
        self._queue: deque[_Task] = deque()
        self._waiting: list[_Ticket] = []
        # Threads that may yet bring something to train: tasks, and whoever submits them.
        self._running = 0
        self._under_way = 0
        self._training = 0
        self._limit = min(n_cores, n_tasks)
        self._began = self._news = time.monotonic()
        self._filters = list(warnings.filters)
        # Other processes: how many there may be, whether the tasks suit them, how many are at work.
        several = n_processes > 1 and n_tasks >= 2 * SHARE
        self._n_others, self._share = n_processes if several else 0, 0
        self._n_away = 0
        self._processes_started = False
        # Threads that hand over results, upon which more tasks are submitted, one by one.
        self._settling = 0
        self.aborted = False
        self._closed = False
        self._cores = Cores(n_cores)
        self._one_small_stack = threading.Lock()
        self._large_stacks = threading.Semaphore(n_cores)
        # Whoever lends threads is a worker process, which runs many lots of tasks for another.
        self._is_worker = threads is not None
        self._task_threads = threads or _task_threads()
        self._trainers = ThreadPoolExecutor(
            max(n_cores, self._n_remote) + self._n_others + 1, thread_name_prefix="skopt_dl-stack"
        )
        self._watch: threading.Thread | None = None

    # Tasks

    def submit(self, function: Callable[[], Any]) -> Future[Any]:
        """Have a task run as soon as there is room for it."""
        task = _Task(function)
        with self._lock:
            self._queue.append(task)
            self._proceed()
        return task.future

    def _perform(self, task: _Task) -> None:
        token = _active.set(self)
        try:
            if not task.future.set_running_or_notify_cancel():
                return
            try:
                result = task.function()
            except BaseException as error:
                task.future.set_exception(error)
            else:
                # Whoever hears of this may submit the next task, before this one is over.
                task.future.set_result(result)
        finally:
            _active.reset(token)
            self._cores.release()
            with self._lock:
                self._under_way -= 1
                self._running -= 1
                self._proceed()
                self._lock.notify_all()

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Nothing is trained early while somebody is about to submit tasks."""
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._proceed()

    @contextmanager
    def awaiting_tasks(self) -> Iterator[None]:
        """A task that waits for tasks of its own leaves its room to them."""
        with self._lock:
            self._running -= 1
            self._under_way -= 1
            self._proceed()
        self._cores.release()
        try:
            yield
        finally:
            self._cores.acquire()
            with self._lock:
                self._running += 1
                self._under_way += 1

    # Training

    def train(self, job: FitJob) -> Outcome:
        """Wait until a job of this thread's task has been trained."""
        if self._is_worker and job.stays_here:
            # The other process did not know of this job.
            raise StaysHereError
        ticket = _Ticket(job, Turn())
        self._cores.release()
        with self._lock:
            self._running -= 1
            self._waiting.append(ticket)
            self._start_watch()
            self._proceed()
        ticket.turn.wait()
        if ticket.error is not None:
            raise ticket.error
        assert ticket.outcome is not None
        return ticket.outcome

    def _proceed(self) -> None:
        """Admit tasks; where all wait, train. The lock is held."""
        self._news = time.monotonic()
        if self.aborted:
            self._give_up()
        if self._share:
            self._send_away()
        while self._queue and self._under_way < self._limit:
            self._admit()
        if self._running or not self._waiting:
            return
        if self._queue and self._raise_limit():
            self._proceed()
            return
        self._launch()

    def _admit(self) -> None:
        self._under_way += 1
        self._running += 1
        start = partial(self._task_threads.submit, self._perform, self._queue.popleft())
        self._cores.ask(start)

    def _raise_limit(self) -> bool:
        """Let more tasks in, now that it is known how much each holds."""
        if not self._limit:
            # Other processes take all that is new.
            return False
        largest = max(_size(ticket.job) for ticket in self._waiting)
        room = min(self._n_tasks, max(self._n_cores, MEMORY // max(1, largest)))
        if self._n_others and room == self._n_tasks and all(map(self._may_leave, self._waiting)):
            n_known = min(self._n_tasks, len(self._queue) + self._under_way)
            self._share = max(SHARE, -(-n_known // self._n_others))
            self._send_away()
            room = self._limit if self._n_away else min(room, self._share)
        if room <= self._limit:
            return False
        self._limit = room
        return True

    # Other processes

    def _may_leave(self, ticket: _Ticket) -> bool:
        """Whether a task like this one's may run elsewhere: nothing keeps it here, and no GPU."""
        job = ticket.job
        return not job.stays_here and get_backend(job.device).device == "cpu"

    def _start_processes(self) -> None:
        """Have processes start, once: where they cannot, tasks go on here."""
        if self._processes_started:
            if shared_processes(self._n_others) is None:
                self._stay_here()
            return
        self._processes_started = True
        try:
            shared_processes(self._n_others, start=True)
        except Exception as error:
            self._stay_here()
            if self._tell is not None:
                self._tell(f"[skopt_dl] no other processes: {type(error).__name__}: {error}")

    def _stay_here(self) -> None:
        """Leave all tasks to this process."""
        self._n_others = self._share = 0
        self._limit = min(self._n_cores, self._n_tasks)

    def _send_away(self) -> None:
        """Give tasks that nobody has begun to processes that are free, once they are there."""
        processes = shared_processes(self._n_others)
        if processes is None or not processes.ready:
            if not self._limit and not self._n_away:
                # They were there, and another search has lost them.
                self._stay_here()
            return
        self._limit = 0
        # One lot more than there are processes, so that none waits for its next.
        while self._queue and self._n_away <= self._n_others:
            if self._settling and len(self._queue) < self._share:
                return
            # Fewer when few are left, so that all processes end at about the same time.
            n_fair = -(-len(self._queue) // self._n_others)
            number = min(self._share, max(SHARE, n_fair), len(self._queue))
            self._n_away += 1
            self._trainers.submit(
                self._run_away, processes, [self._queue.popleft() for _ in range(number)]
            )

    def _run_away(self, processes: Processes, tasks: list[_Task]) -> None:
        """Have tasks run by another process; where it cannot, they stay here, and all others."""
        failure: BaseException | None = None
        staying: list[_Task] = []
        lines: list[str] = []
        try:
            functions = [task.function for task in tasks]
            answers, lines = processes.run(
                run_tasks, functions, self._tell is not None, self._filters
            )
        except BaseException as error:
            failure = error
        with self._lock:
            self._n_away -= 1
            self._settling += 1
            if failure is None:
                self._proceed()
        if failure is None:
            for task, (result, raised) in zip(tasks, answers, strict=True):
                if isinstance(raised, StaysHereError):
                    staying.append(task)
                    continue
                if not task.future.set_running_or_notify_cancel():
                    continue
                if raised is None:
                    task.future.set_result(result)
                else:
                    task.future.set_exception(raised)
        with self._lock:
            self._settling -= 1
            if failure is not None:
                staying = tasks
            if staying:
                self._stay_here()
                self._queue.extendleft(reversed(staying))
            self._proceed()
        if isinstance(failure, BrokenExecutor) and not self.aborted:
            warnings.warn(
                f"A process that ran {len(tasks)} tasks of this search died, and they are run "
                "again by this one. It may have needed more memory than there is: a smaller "
                f"n_jobs needs less, and n_processes=1 starts no processes. {failure}",
                RuntimeWarning,
                stacklevel=2,
            )
        for line in lines:
            cast("Callable[[str], None]", self._tell)(line)

    def _launch(self) -> None:
        tickets, self._waiting = self._waiting, []
        self._training += len(tickets)
        self._trainers.submit(self._train_all, tickets)

    def _train_all(self, tickets: list[_Ticket]) -> None:
        try:
            share_data([ticket.job for ticket in tickets])
            found = spread(stacks(tickets, lambda ticket: ticket.job), self._n_remote)
            if self._tell is not None:
                self._tell(_summary(found))
        except BaseException as error:
            self._finish(tickets, [error] * len(tickets))
            return
        for stack in found[1:]:
            self._trainers.submit(self._train_stack, stack)
        self._train_stack(found[0])

    def _train_stack(self, tickets: list[_Ticket]) -> None:
        jobs = [ticket.job for ticket in tickets]
        results: list[Outcome | BaseException]
        states = [each.rng.bit_generator.state for each in jobs]
        try:
            results = list(self._train_jobs(jobs))
        except BaseException as error:
            results = [error] * len(jobs)
            if len(jobs) > 1 and not self.aborted:
                results = [self._train_alone(*pair) for pair in zip(jobs, states, strict=True)]
        self._finish(tickets, results)

    def _train_alone(self, job: FitJob, state: Any) -> Outcome | BaseException:
        """Train one job of a stack that failed, as if it had never been in it."""
        job.rng.bit_generator.state = state
        try:
            return self._train_jobs([job])[0]
        except BaseException as error:
            return error

    def _train_jobs(self, jobs: list[FitJob]) -> list[Outcome]:
        """Train one stack, on the cluster if there is one and it can."""
        if self.aborted:
            raise AbortedError()
        outcomes = None
        if self._cluster is not None:
            outcomes = self._cluster.train(jobs, lambda: self.aborted)
        if outcomes is None:
            # Small stacks would only take turns with the interpreter.
            work = len(jobs) * jobs[0].network.flops(jobs[0].batch_size)
            in_turn = work < PARALLEL_FLOPS or self._n_away
            with self._one_small_stack if in_turn else self._large_stacks:
                outcomes = train(jobs, lambda: self.aborted)
        return outcomes

    def _finish(self, tickets: list[_Ticket], results: list[Any]) -> None:
        with self._lock:
            self._training -= len(tickets)
            self._running += len(tickets)
            self._news = time.monotonic()
            for ticket, result in zip(tickets, results, strict=True):
                if self.aborted:
                    ticket.error = AbortedError()
                elif isinstance(result, BaseException):
                    ticket.error = result
                else:
                    ticket.outcome = result
                self._cores.ask(ticket.turn.come)

    # Patience and endings

    def _start_watch(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._be_patient, daemon=True)
            self._watch.start()

    def _be_patient(self) -> None:
        """Train what waits when there has been no news for long."""
        with self._lock:
            while not self._closed:
                self._lock.wait(min(START, PATIENCE) / 2)
                if self._share and self._queue and time.monotonic() - self._began > START:
                    news = self._news
                    self._start_processes()
                    self._proceed()
                    self._news = news
                idle = not self._training and time.monotonic() - self._news > PATIENCE
                if self._waiting and idle:
                    self._launch()

    def abort(self) -> None:
        """End everything: nothing new begins, what trains stops after its epoch."""
        with self._lock:
            self.aborted = True
            self._give_up()
            processes = shared_processes(self._n_others)
            if self._n_away and processes is not None:
                processes.end()

    def _give_up(self) -> None:
        abandoned = list(self._queue)
        self._queue.clear()
        if abandoned:
            # Tasks may wait for these tasks of theirs. Not here: whoever hears of it may take
            # joblib's lock, which others hold when they come for this one.
            threading.Thread(target=_abandon, args=(abandoned,), daemon=True).start()
        tickets, self._waiting = self._waiting, []
        self._running += len(tickets)
        for ticket in tickets:
            ticket.error = AbortedError()
            self._cores.ask(ticket.turn.come)

    def close(self) -> None:
        """End the threads, once the tasks of a search that was ended early have noticed."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
            if self.aborted:
                self._lock.wait_for(lambda: self._under_way <= 0, timeout=GRACE)
        if not self._is_worker:
            self._task_threads.shutdown(wait=False)
        self._trainers.shutdown(wait=False)


def _abandon(tasks: Sequence[_Task]) -> None:
    for task in tasks:
        if task.future.set_running_or_notify_cancel():
            task.future.set_exception(AbortedError())


def _task_threads() -> ThreadPoolExecutor:
    # More threads than ever run: tasks are admitted by `_limit`, and those that wait for tasks of
    # their own come on top.
    return ThreadPoolExecutor(10_000, thread_name_prefix="skopt_dl-task")


# Threads of a worker process, which runs many lots of tasks: making them takes longer than waking.
_worker_threads = cache(_task_threads)


def run_tasks(
    functions: Sequence[Callable[[], Any]], verbose: bool, filters: Sequence[Any]
) -> tuple[list[tuple[Any, BaseException | None]], list[str]]:
    """Run tasks of another process's search.

    Parameters
    ----------
    functions : sequence of callable
    verbose : bool
    filters : sequence
        The warning filters of that process.

    Returns
    -------
    answers : list of (result, error)
        For each, one of them None.
    lines : list of str
        What there is to tell, if `verbose`.
    """
    # Tasks in threads put filters back in any order, which is no matter where all are the same.
    warnings.filters[:] = filters  # type: ignore[index]
    lines: list[str] = []
    tell = lines.append if verbose else None
    coordinator = Coordinator(len(functions), 1, tell, threads=_worker_threads())
    with coordinator.submitting():
        futures = [coordinator.submit(function) for function in functions]
    wait(futures)
    coordinator.close()
    return [_answer(future) for future in futures], lines


def _answer(future: Future[Any]) -> tuple[Any, BaseException | None]:
    error = future.exception()
    if error is None:
        return future.result(), None
    if isinstance(error, StaysHereError):
        return None, error
    # A traceback does not travel.
    error.add_note("".join(traceback.format_exception(error)))
    return None, error


def _size(job: FitJob) -> int:
    """About how much a task with this job holds, in bytes: the samples, and a fold to score on."""
    data = job.X.data if hasattr(job.X, "tocsr") else job.X
    return int(1.25 * (data.nbytes + job.n_bytes_given))


def _summary(found: list[list[_Ticket]]) -> str:
    """How jobs were grouped, and why some train alone, in words."""
    groups: dict[str, list[int]] = {}
    for tickets in found:
        job = tickets[0].job
        sizes = "-".join(map(str, job.network.layer_sizes))
        what = f"{sizes}, {job.params.dtype}, batches of {job.batch_size}"
        if isinstance(job.optimizer, Minimizer):
            what += f"; {type(job.optimizer).__name__} minimises one model at a time"
        elif len(tickets) == 1:
            what += "; no other like it, or too large to share a cache"
        groups.setdefault(what, []).append(len(tickets))
    parts = [
        f"{sum(sizes)} in stacks of {', '.join(map(str, sizes))} ({what})"
        if max(sizes) > 1
        else f"{len(sizes)} alone ({what})"
        for what, sizes in groups.items()
    ]
    total = sum(len(tickets) for tickets in found)
    return f"[skopt_dl] {total} models: {'; '.join(parts)}"
