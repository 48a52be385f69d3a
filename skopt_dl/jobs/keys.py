"""Keys of jobs: equal keys, equal results, on any day and in any process."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
import scipy
import sklearn
from threadpoolctl import threadpool_info

from skopt_dl import __version__
from skopt_dl.backends import get_backend
from skopt_dl.jobs.content import Digester, UnstableError
from skopt_dl.jobs.job import FitJob, ValidationSet
from skopt_dl.programs import edition_of

# Fields of `FitJob` that no result depends on: who is told, where it is trained, what it takes.
WITHOUT_EFFECT = frozenset(
    {
        "on_epoch_begin",
        "on_epoch_end",
        "only_prints",
        "context",
        "watchers",
        "stays_here",
        "n_bytes_given",
        "reproducible",
        "snapshot",
    }
)


def keys_of(jobs: Sequence[FitJob]) -> list[bytes | UnstableError]:
    """Return the key of each job, or why it has none.

    Data that several share is read once, which is right as long as nobody changes it in the
    meantime: the jobs wait to be trained on it.
    """
    digester = Digester()
    keys: list[bytes | UnstableError] = []
    for job in jobs:
        try:
            keys.append(key_of(job, digester))
        except UnstableError as error:
            keys.append(error)
    return keys


def key_of(job: FitJob, digester: Digester | None = None) -> bytes:
    """Return 32 bytes: equal for jobs whose results are equal bit by bit, different for others.

    Parameters
    ----------
    job : FitJob
    digester : Digester, default=None
        Remembers the data of other jobs.

    Raises
    ------
    UnstableError
        If something in the job cannot be recognised when it comes again.
    """
    content = [_content(name, getattr(job, name)) for name in _fields()]
    graphics = "" if job.device == "cpu" else _graphics()
    try:
        parts = _environment(), edition_of(job.engine), graphics, content
        return (digester or Digester()).digest(*parts)
    except RecursionError as error:
        raise UnstableError("something that is nested too deeply") from error


def _content(name: str, value: Any) -> Any:
    """What matters of a field."""
    if name == "network":
        return type(value), value.layers, value.input_shape, value.loss
    if name == "rng":
        return type(value), value.bit_generator.state
    if isinstance(value, ValidationSet):
        score = value.score if value.scored_by is None else value.scored_by
        return value.X, value.y, value.sample_weight, value.rows, score
    return value


@cache
def _fields() -> tuple[str, ...]:
    """The fields of a job that results depend on."""
    return tuple(field.name for field in fields(FitJob) if field.name not in WITHOUT_EFFECT)


@cache
def _environment() -> bytes:
    return Digester().digest(_fields(), environment())


def environment() -> tuple[str, ...]:
    """What the last bit of a result may depend on, besides the job: versions and the processor.

    Of libraries for linear algebra, NumPy's alone: which others are there depends on what else a
    program has imported. SciPy's comes with its version.
    """
    configuration: Any = np.show_config(mode="dicts")
    blas = configuration.get("Build Dependencies", {}).get("blas", {})
    kernels = (
        str(each.get("architecture"))
        for each in threadpool_info()
        if each["user_api"] == "blas" and "numpy" in each["filepath"].replace("\\", "/")
    )
    return (
        *versions(),
        sys.platform,
        platform.machine(),
        *platform.libc_ver(),
        f"{blas.get('name')} {blas.get('version')}",
        *sorted(kernels),
        *configuration.get("SIMD Extensions", {}).get("found", ()),
    )


@cache
def versions() -> tuple[str, ...]:
    """The versions that a result depends on, for people too."""
    return (
        f"skopt_dl {__version__}",
        f"numpy {np.__version__}",
        f"scipy {scipy.__version__}",
        f"scikit-learn {sklearn.__version__}",
        "python {}.{}".format(*sys.version_info),
    )


@cache
def _graphics() -> str:
    """The GPU that a job may be trained on, if there is one, and what runs on it."""
    try:
        return get_backend("cuda").edition
    except RuntimeError:
        return ""
