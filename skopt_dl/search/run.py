"""Training of one job: in a stack where it belongs to a stacked search, else alone."""

from __future__ import annotations

from skopt_dl.backends import one_blas_thread
from skopt_dl.jobs import FitJob, train
from skopt_dl.search.tasks import active
from skopt_dl.training import ModelRun


def run(job: FitJob) -> tuple[ModelRun, str]:
    """Train a job.

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
