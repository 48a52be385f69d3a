"""The one limit of BLAS threads for the process: counted, restored, cheap."""

import os
import signal
import subprocess
import sys
import threading
import types
from contextlib import suppress

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skopt_dl.backends import one_blas_thread


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture(params=[1, 2])
def given(request):
    """What the user has set."""
    with threadpool_limits(request.param, user_api="blas"):
        yield blas_threads()


def test_blas_has_one_thread_inside_and_what_it_had_afterwards(given):
    with one_blas_thread():
        assert set(blas_threads()) == {1}
        with one_blas_thread():
            pass
        assert set(blas_threads()) == {1}
    assert blas_threads() == given


def test_limit_is_taken_back_after_an_error(given):
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        _ = 1 / 0
    assert blas_threads() == given


def test_threads_that_overlap_leave_what_the_first_found():
    first_inside, second_inside, first_left = (threading.Event() for _ in range(3))
    seen = []

    def first():
        with one_blas_thread():
            first_inside.set()
            assert second_inside.wait(10)
        first_left.set()

    def second():
        assert first_inside.wait(10)
        with one_blas_thread():
            second_inside.set()
            assert first_left.wait(10)
            seen.append(set(blas_threads()))

    with threadpool_limits(2, user_api="blas"):
        threads = [threading.Thread(target=each) for each in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [{1}]
        assert set(blas_threads()) == {2}


def test_threads_that_come_and_go_together_leave_the_limit_as_found():
    wrong = []

    def come_and_go():
        for _ in range(200):
            with one_blas_thread():
                if set(blas_threads()) != {1}:
                    wrong.append(blas_threads())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with threadpool_limits(2, user_api="blas"):
            threads = [threading.Thread(target=come_and_go) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert set(blas_threads()) == {2}
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_user_can_go_on_to_set_limits_from_any_thread():
    left, done = threading.Event(), threading.Event()

    def enter_and_live_on():
        with one_blas_thread():
            pass
        left.set()
        assert done.wait(10)

    thread = threading.Thread(target=enter_and_live_on)
    thread.start()
    try:
        assert left.wait(10)
        for n_threads in (1, 2):
            with threadpool_limits(n_threads, user_api="blas"):
                assert set(blas_threads()) == {n_threads}
    finally:
        done.set()
        thread.join()


class Library:
    """A BLAS library that has a number of threads for each caller, as MKL does."""

    user_api, internal_api = "blas", "mkl"

    def __init__(self):
        self._local = threading.local()

    def get_num_threads(self):
        return getattr(self._local, "number", 4)

    def set_num_threads(self, number):
        self._local.number = number


def test_library_that_counts_threads_by_caller_is_limited_for_each_that_enters(monkeypatch):
    library = Library()
    controller = types.SimpleNamespace(lib_controllers=[library])
    module = sys.modules["skopt_dl.backends._blas"]
    monkeypatch.setattr(module, "ThreadpoolController", lambda: controller)
    limit = module._OneThread()
    seen = []

    def enter():
        with module._Inside(limit):
            seen.append(library.get_num_threads())
        seen.append(library.get_num_threads())

    with module._Inside(limit):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        seen.append(library.get_num_threads())
    assert seen == [1, 4, 1]
    assert library.get_num_threads() == 4


def test_entering_is_cheap_and_new_libraries_are_looked_for_when_a_module_has_come(monkeypatch):
    looked = []
    module = sys.modules["skopt_dl.backends._blas"]
    controller = module.ThreadpoolController
    monkeypatch.setattr(module, "ThreadpoolController", lambda: looked.append(1) or controller())
    with one_blas_thread():
        pass
    looked.clear()
    for _ in range(3):
        with one_blas_thread():
            pass
    assert not looked
    monkeypatch.setitem(sys.modules, "a_module_that_came", types.ModuleType("a_module_that_came"))
    with one_blas_thread():
        pass
    assert looked == [1]


@pytest.mark.parametrize("first", range(3))
def test_limit_is_taken_back_wherever_an_interrupt_comes(given, first):
    """Python raises KeyboardInterrupt wherever a function begins: also in what leaves."""
    count = 0

    def interrupt(frame, event, argument):
        nonlocal count
        collected = frame.f_code.co_name == "__del__" or frame.f_back.f_code.co_name == "__del__"
        ours = frame.f_code.co_filename.endswith("_blas.py") and "test" not in frame.f_code.co_name
        # Python looks for signals where a function begins; never between a lock and its block.
        if ours and not collected and event == "call":
            count += 1
            if count == at:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return interrupt

    def enter_and_leave():
        with one_blas_thread():
            pass

    with one_blas_thread():
        pass
    for at in range(1 + first, 30, 3):
        count = 0
        with suppress(KeyboardInterrupt):
            sys.settrace(interrupt)
            try:
                enter_and_leave()
            finally:
                sys.settrace(None)
        assert blas_threads() == given, at
    # Nobody holds the lock: another thread gets in.
    thread = threading.Thread(target=enter_and_leave, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


FORK = """
import os, threading
from skopt_dl.backends import _blas, one_blas_thread

begun, forked = threading.Event(), threading.Event()
def look(self, look=_blas._OneThread._look_for_libraries):
    # Within the lock, until the fork waits for it.
    begun.set()
    forked.wait()
    look(self)
def enter_and_leave():
    with one_blas_thread():
        pass
_blas._OneThread._look_for_libraries = look
other = threading.Thread(target=enter_and_leave)
other.start()
begun.wait()
os.register_at_fork(before=forked.set)
child = os.fork()
if not child:
    enter_and_leave()
    os._exit(0)
other.join()
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_a_fork_can_enter_though_another_thread_was_about_to():
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["0"], done.stderr
