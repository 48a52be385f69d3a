"""What a test, like a training, has to leave as it was in the process."""

import os
import signal
import warnings

from joblib.parallel import get_active_backend

from skopt_dl.plugins.manager import manager

SIGNALS = sorted(signal.valid_signals())


def process_state(thread_pools):
    """What there is now, by name; `thread_pools` is a ``ThreadpoolController``."""
    backend, n_jobs = get_active_backend()
    return {
        "warnings.filters": [_plain(each) for each in warnings.filters],
        "warnings.showwarning": warnings.showwarning,
        "signal handlers": {each: signal.getsignal(each) for each in SIGNALS},
        # pytest writes there what it is doing.
        "os.environ": {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"},
        "joblib's backend and n_jobs": (type(backend), n_jobs),
        "plugins registered at run time": [
            each.distribution for each in manager.plugins if not each.entry_point
        ],
        "threads of BLAS and OpenMP": {
            each["filepath"]: each["num_threads"] for each in thread_pools.info()
        },
    }


def _plain(warning_filter):
    """A filter with its expressions as text: they are compiled, or not, by who set the filter."""
    return tuple(getattr(part, "pattern", part) for part in warning_filter)


def differences(before, after):
    """A line for each thing that is no longer what it was."""
    return [
        f"{name}: {_difference(before[name], after[name])}"
        for name in before
        if before[name] != after[name]
    ]


def _difference(before, after):
    if not isinstance(before, dict):
        return f"{before!r} became {after!r}"
    changed = [key for key in before | after if before.get(key) != after.get(key)]
    return ", ".join(f"{key}: {before.get(key)!r} became {after.get(key)!r}" for key in changed)
