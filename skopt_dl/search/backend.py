"""The joblib backend: ``joblib.parallel_config(backend="skopt_dl", n_jobs=-1)``.

With ``client=Client(...)`` the stacks are trained by a Dask cluster.
"""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from queue import Empty, SimpleQueue
from typing import Any

import joblib
from joblib.parallel import ParallelBackendBase

from skopt_dl._interrupts import uninterrupted
from skopt_dl._params import did_you_mean
from skopt_dl._printing import print_line
from skopt_dl._warnings import user_line, warn_user
from skopt_dl.backends import one_blas_thread
from skopt_dl.jobs import Journal, JournalWarning
from skopt_dl.search.cluster import Cluster
from skopt_dl.search.coordinator import Coordinator, active
from skopt_dl.search.isolation import isolated_warnings
from skopt_dl.search.journals import folder_of_environment, journal_of_environment
from skopt_dl.search.state import Search
from skopt_dl.search.tasks import Call
from skopt_dl.search.worker import run_lot

# Models that train at once where nobody says how many.
DEFAULT_N_JOBS = 64
# Seconds after which whoever waits looks for an interrupt that another thread was told of.
LOOK = 0.01


class StackingBackend(ParallelBackendBase):
    """Runs tasks in threads; what they train with skopt_dl is trained in stacks.

    Parameters
    ----------
    nesting_level : int, default=0
    n_processes : int, default=None
        How many processes share the tasks of a search that trains on the CPU for longer than half
        a second; None means one for each core. 1 leaves all tasks here, in threads. What tasks
        change in their process (lists that callbacks or scorers of yours fill) stays there, as
        with every ``n_jobs`` of scikit-learn; models with ``verbose``, or with an `EpochCallback`
        that does not say otherwise, are not moved.
    client : dask.distributed.Client, default=None
        Where stacks are trained; None means here. The tasks themselves, all that is no training,
        run here in any case, and so do the trainings of models with callbacks or ``verbose``.
        Workers need skopt_dl, and plugins and modules that the models use; those with one thread
        each are best.
    journal : str or path-like, default=None
        A folder. Every model is written there as soon as it is trained, and none is trained that
        is there: a search that was cut short, run again, goes on. None means what the environment
        variable ``SKOPT_DL_JOURNAL`` says, if it does.
    """

    uses_threads = True
    supports_retrieve_callback = True
    default_n_jobs = DEFAULT_N_JOBS

    def __init__(
        self,
        nesting_level: int | None = None,
        n_processes: int | None = None,
        client: Any = None,
        journal: Any = None,
        **unknown: Any,
    ):
        for name in unknown:
            known = ("n_jobs", "n_processes", "client", "journal", "verbose")
            raise TypeError(
                f"The joblib backend 'skopt_dl' has no option {name!r}.{did_you_mean(name, known)} "
                f"joblib.parallel_config(backend='skopt_dl', ...) takes {', '.join(known)}."
            )
        super().__init__(nesting_level=nesting_level)
        self._cluster = None if client is None else Cluster(client)
        if n_processes is None:
            # Processes of processes would be more than there are cores.
            alone = client is not None or multiprocessing.parent_process() is not None
            n_processes = 1 if alone else joblib.cpu_count()
        if isinstance(n_processes, bool) or not isinstance(n_processes, int) or n_processes < 1:
            raise ValueError(
                f"n_processes must be an int of at least 1, or None; got {n_processes!r}."
            )
        if client is not None and n_processes > 1:
            raise ValueError(
                f"n_processes={n_processes} and client were both given: the cluster trains the "
                "stacks. Leave out one of them."
            )
        self._n_processes = n_processes
        self._journal = None if journal is None else Journal(journal, self._tell_of_journal)
        self.supports_sharedmem = self._n_processes == 1
        self._coordinator: Coordinator | None = None
        self._call: Call
        self._is_nested = False
        self._around: ExitStack | None = None
        self._submitting: ExitStack | None = None
        # Tasks that are over, where their results are wanted all at once.
        self._over: SimpleQueue[Future[Any]] | None = None

    @property
    def journal(self) -> Journal | None:
        """What keeps the models that are trained; the environment may name a folder for it."""
        if self._journal is None and folder_of_environment():
            self._journal = journal_of_environment(self._tell_of_journal)
        return self._journal

    def _tell_of_journal(self, text: str) -> None:
        if self._around is None or self._coordinator is None:
            warn_user(text, JournalWarning)
        else:
            # Threads that train have no line of the user's.
            self._coordinator.search.warn(text, JournalWarning)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many tasks may be under way; negative numbers mean 64 a process."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return DEFAULT_N_JOBS * self._n_processes if n_jobs < 0 else n_jobs

    def configure(self, n_jobs: int = 1, parallel: Any = None, **kwargs: Any) -> int:
        """Prepare for a call of ``joblib.Parallel``."""
        self.parallel = parallel
        self._n_jobs = self.effective_n_jobs(n_jobs)
        return self._n_jobs

    def start_call(self) -> None:
        """Begin a call; what has to be undone is done by the first task.

        joblib calls `stop_call` from then on, whatever happens.
        """
        self._call = Call(warnings.filters, user_line())
        one_by_one = self.parallel.return_generator or self.parallel.timeout
        self._over = None if one_by_one else SimpleQueue()
        here = active.get()
        self._is_nested = here is not None
        self._coordinator = None if here is None else here.coordinator

    def _begin(self) -> Coordinator:
        """Make a coordinator; tasks of tasks share that of the outer call."""
        with uninterrupted(), ExitStack() as around:
            # Stacks are trained side by side: a BLAS with threads of its own would be in the way.
            around.enter_context(one_blas_thread())
            around.enter_context(isolated_warnings())
            tell = print_line if getattr(self.parallel, "verbose", 0) else None
            self._coordinator = coordinator = Coordinator(
                Search(tell, self.journal),
                self._n_jobs,
                joblib.cpu_count(),
                self._cluster,
                self._n_processes,
                run_lot,
            )
            around.callback(coordinator.close)
            self._submitting = ExitStack()
            self._submitting.enter_context(coordinator.submitting())
            self._around = around.pop_all()
        return coordinator

    def stop_call(self) -> None:
        """End a call."""
        try:
            with uninterrupted():
                self._end()
        except KeyboardInterrupt:
            # It may have come before anything was done.
            self._end()
            raise

    def _end(self) -> None:
        if self._submitting is not None:
            self._submitting.close()
        around, self._around = self._around, None
        if around is not None:
            around.close()
        self._call.end()
        if around is not None and self._coordinator is not None:
            for text, category in self._coordinator.search.problems:
                warn_user(text, category)

    def submit(
        self, func: Callable[[], Any], callback: Callable[[Future[Any]], None] | None = None
    ) -> Future[Any]:
        """Schedule a task."""
        coordinator = self._coordinator or self._begin()
        future = coordinator.submit(func, self._call)
        if callback is not None:
            future.add_done_callback(callback)
        if self._over is not None:
            # After joblib, which takes the result and may submit the next task.
            future.add_done_callback(self._over.put)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """Return what a task returned, or raise what it raised."""
        return out.result()

    @contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """While results are waited for, tasks may train."""
        here = active.get()
        if self._is_nested and here is not None and here.coordinator is self._coordinator:
            with self._coordinator.awaiting_tasks(here.task):
                self._wait()
                yield
        else:
            if self._submitting is not None:
                with uninterrupted():
                    self._submitting.close()
            self._wait()
            yield

    def _wait(self) -> None:
        """Wait until all tasks are over, or one has failed: joblib would sleep in between."""
        n_over = 0
        while self._over is not None and n_over < self._call.n_tasks:
            try:
                task = self._over.get(timeout=LOOK)
            except Empty:
                continue
            if task.exception() is not None:
                break
            n_over += 1

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End the tasks: one has raised, or the user has interrupted."""
        if not self._is_nested and self._coordinator is not None:
            interrupted = isinstance(sys.exception(), KeyboardInterrupt)
            with uninterrupted():
                self._coordinator.abort(interrupted)

    def get_nested_backend(self) -> tuple[ParallelBackendBase, int]:
        """Tasks of tasks share the coordinator, and so their stacks."""
        return StackingBackend((self.nesting_level or 0) + 1, self._n_processes), self._n_jobs

    def __reduce__(self) -> Any:
        # Tasks that go to another process take the nested backend along.
        return StackingBackend, (self.nesting_level, 1)
