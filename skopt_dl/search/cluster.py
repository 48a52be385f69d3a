"""Stacks as tasks of a Dask cluster, for ``parallel_config(backend="skopt_dl", client=...)``.

Dask is asked for only when it is used: whoever has a client has Dask.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from skopt_dl.backends import one_blas_thread
from skopt_dl.jobs import FitJob, Outcome, train

# Seconds between two looks at whether the search still goes on.
INTERVAL = 0.1

# Dask's settings belong to the process: one thread at a time changes them.
_settings = threading.Lock()


class Cluster:
    """Trains stacks on the workers of a Dask cluster, each as one task.

    A task carries all it needs, the samples too. So one whose worker dies is simply run again by
    another, from the beginning, with the same result.

    Parameters
    ----------
    client : dask.distributed.Client

    Raises
    ------
    TypeError
        If `client` is something else.
    """

    def __init__(self, client: Any):
        methods = (getattr(client, name, None) for name in ("submit", "ncores"))
        if not all(map(callable, methods)) or getattr(client, "asynchronous", False):
            raise TypeError(
                "client must be a dask.distributed.Client that is not asynchronous, such as "
                f"Client('tcp://scheduler:8786'); got {client!r}."
            )
        self._client = client

    @property
    def n_threads(self) -> int:
        """How many stacks the workers train at the same time."""
        return sum(self._client.ncores().values())

    def train(
        self, jobs: Sequence[FitJob], interrupted: Callable[[], bool]
    ) -> tuple[list[Outcome] | None, str]:
        """Train models of one kind as one stack, as `skopt_dl.search.train` does.

        Parameters
        ----------
        jobs : sequence of K FitJob
        interrupted : callable
            Asked now and then; true ends the training of all.

        Returns
        -------
        outcomes : list of K Outcome, or None
            None where the stack has to be trained here, and `jobs` are as they were: callbacks
            belong to this process, and a cluster may fail.
        problem : str
            What went wrong with the cluster, if something did.
        """
        if any(job.on_epoch_begin or job.on_epoch_end or job.watchers for job in jobs):
            return None, ""
        try:
            import cloudpickle

            answer = self._answer(cloudpickle.dumps(jobs), interrupted)
            outcomes, states = pickle.loads(answer)
        except Exception as error:
            return None, (
                f"The cluster could not train a stack of {len(jobs)} models, which was therefore "
                f"trained here. {type(error).__name__}: {error}"
            )
        if isinstance(outcomes, Exception):
            raise outcomes
        for job, state in zip(jobs, states, strict=True):
            job.rng.bit_generator.state = state
        return outcomes, ""

    def _answer(self, payload: bytes, interrupted: Callable[[], bool]) -> bytes:
        """What a worker makes of a task."""
        import dask

        # Dask would warn of samples inside a task, which are there on purpose.
        quiet = {"distributed.admin.large-graph-warning-threshold": sys.maxsize}
        with _settings, dask.config.set(quiet):
            future = self._client.submit(train_stack, payload, pure=False)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        # The event comes at once, but never from a client that has been closed.
        while not (done.wait(INTERVAL) or future.done()):
            if interrupted():
                future.cancel()
                raise KeyboardInterrupt
        return future.result()


def train_stack(payload: bytes) -> bytes:
    """Train a stack, on a worker.

    Parameters
    ----------
    payload : bytes
        The pickled jobs.

    Returns
    -------
    answer : bytes
        Pickled, here too, since a scheduler need not understand what passes through it: the
        outcomes, or the error that ended them all, and the states of the jobs' generators.
    """
    import cloudpickle
    from distributed import get_worker

    jobs = pickle.loads(payload)
    worker = get_worker()
    key = worker.get_current_task()

    def cancelled() -> bool:
        # Dask forgets a task that is cancelled, but cannot end its thread.
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    outcomes: list[Outcome] | Exception
    with one_blas_thread():
        try:
            outcomes = train(jobs, cancelled)
        except Exception as error:
            outcomes = error
    return cloudpickle.dumps((outcomes, [job.rng.bit_generator.state for job in jobs]))
