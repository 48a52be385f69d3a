"""The check that every test is followed by finds what is left behind."""

import os
import signal
import warnings

import joblib
import pytest
from process_state import differences, process_state
from threadpoolctl import ThreadpoolController, threadpool_limits

from skopt_dl import hookimpl
from skopt_dl.plugins import register, unregister

POOLS = ThreadpoolController()


def set_signal():
    return signal.signal(signal.SIGTERM, signal.SIG_IGN)


def filter_warnings():
    warnings.simplefilter("ignore", BytesWarning)


def show_warnings_elsewhere():
    warnings.showwarning = print


def register_plugin():
    class Plugin:
        @hookimpl
        def skopt_dl_optimizers(self):
            return {"left_behind": "skopt_dl.optimizers:SGD"}

    register(Plugin(), "left-behind")


# What is left behind, and how it is taken back; joblib's acts when it is made.
LEAKS = {
    "warnings.filters": (filter_warnings, lambda _: warnings.filters.pop(0)),
    "warnings.showwarning": (
        show_warnings_elsewhere,
        lambda _: setattr(warnings, "showwarning", warnings._showwarning_orig),
    ),
    "signal handlers": (set_signal, lambda before: signal.signal(signal.SIGTERM, before)),
    "os.environ": (
        lambda: os.environ.setdefault("LEFT_BEHIND", "1"),
        lambda _: os.environ.pop("LEFT_BEHIND"),
    ),
    "joblib's backend and n_jobs": (
        lambda: joblib.parallel_config(backend="threading", n_jobs=2),
        lambda config: config.unregister(),
    ),
    "plugins registered at run time": (
        register_plugin,
        lambda _: unregister("left-behind"),
    ),
    "threads of BLAS and OpenMP": (
        lambda: threadpool_limits(3),
        lambda limits: limits.restore_original_limits(),
    ),
}


@pytest.mark.parametrize("name", process_state(POOLS))
def test_what_is_left_behind_is_named(name):
    leave, take_back = LEAKS[name]
    before = process_state(POOLS)
    left = leave()
    try:
        (line,) = differences(before, process_state(POOLS))
    finally:
        take_back(left)
    assert line.startswith(f"{name}: ")
    assert " became " in line
    assert not differences(before, process_state(POOLS))
