"""What a fit needs of the process: itself alone on an estimator, and memory."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from skopt_dl._memory import in_words, n_bytes_of_memory
from skopt_dl.jobs import FitJob
from skopt_dl.networks import Network

F = TypeVar("F", bound=Callable[..., Any])

# Parameters, gradient and the work array of a step: what every training has besides slots.
ARRAYS_OF_PARAMS = 3


class NetworkTooLargeError(MemoryError):
    """Raised for a network that there is no memory for."""


_being_fitted: set[int] = set()
_lock = threading.Lock()


def one_at_a_time(method: F) -> F:
    """Refuse a second fit of an estimator while the first is under way, and leave that alone."""

    @functools.wraps(method)
    def alone(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        key = id(estimator)
        with _lock:
            if key in _being_fitted:
                raise RuntimeError(
                    f"This {type(estimator).__name__} is being fitted already, by another thread "
                    "or by the fit that called this one. Fit a copy, sklearn.base.clone(model), "
                    "or wait for the first fit."
                )
            _being_fitted.add(key)
        try:
            return method(estimator, *args, **kwargs)
        finally:
            _being_fitted.discard(key)

    return alone  # type: ignore[return-value]


def n_bytes_of_params(network: Network, optimizer: Any, dtype: Any) -> int:
    """Bytes of the parameters and of all that is as large while they are trained."""
    n_numbers = ARRAYS_OF_PARAMS * network.layout.size
    if not optimizer.full_batch:
        n_numbers += sum(map(math.prod, optimizer.slot_shapes(network.layout).values()))
    return n_numbers * dtype.itemsize


def check_memory(estimator: Any, network: Network, optimizer: Any, dtype: Any) -> None:
    """Refuse a network that memory cannot hold, before anything of it is made.

    Raises
    ------
    NetworkTooLargeError
        Naming the layers and the bytes.
    """
    needed, there_is = n_bytes_of_params(network, optimizer, dtype), n_bytes_of_memory()
    # The parameters of a model on the GPU are made here all the same.
    if estimator.device == "cuda":
        needed = network.layout.size * dtype.itemsize
    if needed > there_is:
        raise NetworkTooLargeError(
            f"{estimator._describe_network()} of {type(estimator).__name__} "
            f"gives {network.layout.size:,} parameters, which with their gradient and the "
            f"optimizer's slots take {in_words(needed)} ({needed:,} bytes); there are "
            f"{in_words(there_is)}. Use smaller layers, or dtype='float32'."
        )


def out_of_memory(estimator: Any, job: FitJob | None, error: MemoryError) -> MemoryError:
    """The error to raise for a fit that found too little memory, with what it takes and why."""
    given = f"{estimator._describe_network()} and batch_size={estimator.batch_size!r}"
    takes = ""
    if job is not None:
        dtype = job.params.dtype
        params = n_bytes_of_params(job.network, job.config.optimizer, dtype)
        units = math.prod(job.network.input_shape) + 2 * job.network.n_numbers
        batch = job.batch_size * units * dtype.itemsize
        samples = math.prod(job.X.shape) * job.X.dtype.itemsize
        takes = (
            f" Parameters, gradient and the optimizer's slots take {in_words(params)} "
            f"({params:,} bytes), a batch of {job.batch_size} samples {in_words(batch)} "
            f"({batch:,} bytes)"
        )
        takes += "." if hasattr(job.X, "tocsr") else f", all samples {in_words(samples)}."
    return MemoryError(
        f"Memory ran out while {type(estimator).__name__} was "
        f"{'prepared' if job is None else 'trained'}, with {given}: {error or 'no details'}."
        f"{takes} Make these smaller, or set dtype='float32'."
    )
