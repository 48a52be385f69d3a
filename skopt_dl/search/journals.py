"""Which journal keeps what is trained here, where nobody says so in a call."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

from joblib.parallel import get_active_backend

from skopt_dl.jobs import Journal

# A folder: trained models are kept there, by programs that do not know of journals.
VARIABLE = "SKOPT_DL_JOURNAL"


def folder_of_environment() -> str | None:
    """The folder that the environment names, if it does."""
    return os.environ.get(VARIABLE) or None


def journal_of_environment(tell: Callable[[str], None] | None = None) -> Journal:
    """The journal in that folder; `tell` is as for `Journal`."""
    folder = folder_of_environment()
    assert folder is not None
    try:
        return Journal(folder, tell)
    except ValueError as error:
        raise ValueError(f"The environment variable {VARIABLE}: {error}") from None


def journal_here() -> Journal | None:
    """The journal of a model that is trained alone: joblib's configuration, or the environment."""
    backend, _ = get_active_backend()
    found: Journal | None = getattr(backend, "journal", None)
    folder = folder_of_environment()
    return found if found is not None or folder is None else _opened(folder)


@cache
def _opened(folder: str) -> Journal:
    return journal_of_environment()
