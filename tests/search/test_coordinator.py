"""No lost wake-up, no deadlock: random tasks that compute, train, nest, and raise."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pytest

import skopt_dl  # noqa: F401  (registers the joblib backend)
from skopt_dl.jobs import Outcome
from skopt_dl.search import coordinator as module
from skopt_dl.search import run, scheduler, threads, trainers
from skopt_dl.search.state import AbortedError

# Long enough for any schedule here; only a deadlock takes it.
LONG = 60


class FakeJob:
    """Is trained at once, in stacks of at most five, and tells what it was trained with."""

    def __init__(self, value, fails=False):
        self.value, self.fails = value, fails
        self.X = np.zeros(1)
        self.context = self.params = None
        self.watchers = ()
        self.n_bytes_given = 0
        self.batch_size = 1
        self.network = SimpleNamespace(flops=lambda n: 0.0)
        self.stays_here, self.device = False, "cpu"
        self.rng = SimpleNamespace(bit_generator=SimpleNamespace(state=value))


@pytest.fixture
def stacks_seen(monkeypatch):
    """Fake trainings, and impatience switched off: what is forgotten would wait for ever."""
    seen = []

    def train(jobs, *_):
        seen.append(len(jobs))
        if any(job.fails for job in jobs):
            raise RuntimeError("cannot train this")
        return [Outcome(job.value, "cpu", None) for job in jobs]

    def stacks(tickets, job_of):
        return [tickets[i : i + 5] for i in range(0, len(tickets), 5)]

    # Alone, and in a search.
    monkeypatch.setattr(module, "train_journalled", lambda jobs, journal: train(jobs))
    monkeypatch.setattr(trainers, "train", train)
    monkeypatch.setattr(trainers, "stacks", stacks)
    monkeypatch.setattr(trainers, "share_data", lambda jobs: None)
    monkeypatch.setattr(scheduler, "PATIENCE", 1e9)
    return seen


@pytest.fixture
def impatience(stacks_seen, monkeypatch):
    """Tasks that block others are noticed at once."""
    monkeypatch.setattr(scheduler, "PATIENCE", 2)
    monkeypatch.setattr(module, "TICK", 0.02)


def script(rng, depth=0):
    """A random task: what it does, one after the other."""
    kinds = ["train"] * 4 + ["compute"] * 2 + ["sleep"] + ["raise", "fail"] * (rng.random() < 0.1)
    actions = []
    for _ in range(rng.randrange(4)):
        kind = rng.choice(kinds)
        if depth < 2 and rng.random() < 0.1:
            n_jobs = rng.choice([1, 2, 5])
            actions.append(
                ("nest", n_jobs, [script(rng, depth + 1) for _ in range(rng.randrange(5))])
            )
        else:
            actions.append((kind, rng.randrange(10**6)))
    return actions


def perform(actions):
    results = []
    for kind, value, *rest in actions:
        if kind == "train":
            results.append(run(FakeJob(value))[0])
        elif kind == "compute":
            results.append(sum(range(value % 500)))
        elif kind == "sleep":
            time.sleep(value % 4 * 1e-4)
        elif kind == "nest":
            (scripts,) = rest
            results.append(joblib.Parallel(n_jobs=value)(map(joblib.delayed(perform), scripts)))
        elif kind == "fail":
            try:
                run(FakeJob(value, fails=True))
            except RuntimeError as error:
                results.append(str(error))
        else:
            results.append(raise_and_catch())
    return results


def raise_and_catch():
    try:
        raise ValueError("caught by the task itself")
    except ValueError as error:
        return str(error)


def expected(actions):
    results = []
    for kind, value, *rest in actions:
        if kind == "train":
            results.append(value)
        elif kind == "compute":
            results.append(sum(range(value % 500)))
        elif kind == "nest":
            results.append([expected(each) for each in rest[0]])
        elif kind == "fail":
            results.append("cannot train this")
        elif kind == "raise":
            results.append("caught by the task itself")
    return results


def within(seconds, function):
    """Call a function in a thread of its own; fail where it does not return."""
    outcome = []

    def call():
        try:
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "deadlock"
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def assert_no_threads_are_left():
    deadline = time.monotonic() + 5
    while any(t.name.startswith("skopt_dl") for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_parallel(scripts, n_jobs, function=perform):
    with joblib.parallel_config(backend="skopt_dl", n_jobs=n_jobs, n_processes=1):
        return joblib.Parallel()(map(joblib.delayed(function), scripts))


@pytest.mark.usefixtures("results_are_looked_for_often")
@pytest.mark.parametrize("first", range(0, 300, 100))
def test_random_tasks_end_with_the_results_they_have_alone(stacks_seen, first):
    for seed in range(first, first + 100):
        rng = random.Random(seed)
        scripts = [script(rng) for _ in range(rng.randrange(1, 25))]
        n_jobs = rng.choice([1, 2, 3, 8, 64])
        results = within(LONG, lambda scripts=scripts, n=n_jobs: in_parallel(scripts, n))
        assert results == [expected(each) for each in scripts], seed


def test_all_tasks_wait_for_each_other_before_anything_is_trained(stacks_seen):
    def task(value):
        time.sleep(0.001 * (value % 3))
        return run(FakeJob(value))[0]

    assert within(LONG, lambda: in_parallel(range(40), 64, task)) == list(range(40))
    # The first tasks, one for each core, show how large they are; then all others come in.
    assert sum(stacks_seen) == 40
    assert max(stacks_seen) == 5
    assert len(stacks_seen) == 8


def test_no_more_tasks_are_under_way_than_asked_for(stacks_seen):
    active, most = [], []

    def task(value):
        active.append(value)
        most.append(len(active))
        run(FakeJob(value))
        active.remove(value)

    within(LONG, lambda: in_parallel(range(30), 6, task))
    assert max(most) == 6


def test_large_samples_limit_the_tasks_under_way(stacks_seen, monkeypatch):
    monkeypatch.setattr(scheduler, "MEMORY", 10 * 10)
    most, active = [], []

    def task(value):
        active.append(value)
        most.append(len(active))
        run(FakeJob(value))
        active.remove(value)

    within(LONG, lambda: in_parallel(range(30), 64, task))
    assert max(most) == max(10, joblib.cpu_count())


def test_error_of_a_task_reaches_the_caller_and_the_others_end(stacks_seen):
    def task(value):
        run(FakeJob(value))
        if value == 7:
            raise ZeroDivisionError("seven")
        return run(FakeJob(value))[0]

    with pytest.raises(ZeroDivisionError, match="seven"):
        within(LONG, lambda: in_parallel(range(20), 64, task))
    # The backend works on.
    assert within(LONG, lambda: in_parallel([1, 2], 4, lambda v: run(FakeJob(v))[0])) == [1, 2]


def test_tasks_that_wait_for_tasks_of_their_own_end_with_a_search_that_fails(impatience):
    begun = threading.Event()

    def inner(value):
        begun.set()
        return run(FakeJob(value))[0]

    def task(value):
        if value == 0:
            assert begun.wait(LONG)
            raise ZeroDivisionError("seven")
        return joblib.Parallel(n_jobs=2)(joblib.delayed(inner)(i) for i in range(50))

    with pytest.raises(ZeroDivisionError):
        within(LONG, lambda: in_parallel(range(6), 64, task))
    assert_no_threads_are_left()


def test_stack_that_fails_is_trained_one_by_one(stacks_seen):
    def task(value):
        return run(FakeJob(value, fails=value == 3))[0]

    def guarded(value):
        try:
            return task(value)
        except RuntimeError:
            return "failed"

    results = within(LONG, lambda: in_parallel(range(8), 64, guarded))
    assert results == [0, 1, 2, "failed", 4, 5, 6, 7]


@pytest.mark.parametrize("n_cores", [1, 2])
def test_task_that_waits_for_another_that_trains_is_not_waited_for(
    impatience, monkeypatch, n_cores
):
    monkeypatch.setattr(joblib, "cpu_count", lambda: n_cores)
    trained = threading.Event()

    def task(value):
        if value:
            assert trained.wait(LONG)
            return value
        result = run(FakeJob(value))[0]
        trained.set()
        return result

    assert within(2 * LONG, lambda: in_parallel([0, 1], 2, task)) == [0, 1]


def test_interrupt_ends_what_waits(impatience):
    endings = []

    def task(value):
        if value == 0:
            # All others that may come in wait for their training by now, or will.
            signal.raise_signal(signal.SIGINT)
            assert ended.wait(LONG)
            return
        try:
            run(FakeJob(value))
        except AbortedError:
            endings.append(value)
            ended.set()
            raise

    ended = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        in_parallel([1, 0, *range(2, 10)], 64, task)
    assert endings
    assert_no_threads_are_left()


def interrupted_after(n_lines, function):
    """Call a function; send a Ctrl-C once so many lines of searches were run by this thread."""
    n_seen = 0

    def see(frame, event, arg):
        nonlocal n_seen
        n_seen += 1
        if n_seen == n_lines:
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)
        return see

    def trace(frame, *_):
        # What comes before the first step of the last function of a call reaches joblib alone.
        ours = Path(frame.f_code.co_filename).parent == Path(module.__file__).parent
        return see if ours and frame.f_code.co_name != "stop_call" else None

    sys.settrace(trace)
    try:
        return function(), n_seen
    finally:
        sys.settrace(None)


@pytest.mark.usefixtures("results_are_looked_for_often")
@pytest.mark.parametrize("first", range(1, 14, 4))
def test_interrupt_at_any_line_leaves_the_process_as_it_was(stacks_seen, monkeypatch, first):
    rested, close = [], module.Coordinator.close

    def close_and_look(coordinator):
        close(coordinator)
        rested.append(coordinator._scheduler.at_rest)

    # All tasks come to their end; none is left to itself after some time.
    monkeypatch.setattr(module.Coordinator, "close", close_and_look)
    monkeypatch.setattr(module, "GRACE", 1.0)

    def state():
        return type(warnings), warnings._showwarnmsg, signal.getsignal(signal.SIGINT)

    def search():
        return in_parallel(range(4), 8, lambda v: run(FakeJob(v))[0])

    before = state()
    for n_lines in range(first, 10_000, 13):
        try:
            results, n_seen = interrupted_after(n_lines, search)
        except KeyboardInterrupt:
            assert_no_threads_are_left()
            assert state() == before, n_lines
            assert all(rested), n_lines
            continue
        assert results == [0, 1, 2, 3]
        assert n_seen < n_lines
        break


@pytest.mark.parametrize("n_jobs", [2, 64])
def test_nobody_sleeps_while_results_are_waited_for(stacks_seen, monkeypatch, n_jobs):
    naps: list[float] = []
    wakeful = SimpleNamespace(**{**vars(time), "sleep": naps.append})
    monkeypatch.setattr(joblib.parallel, "time", wakeful)
    results = within(LONG, lambda: in_parallel(range(20), n_jobs, lambda v: run(FakeJob(v))[0]))
    assert results == list(range(20))
    assert not naps


def test_failure_is_heard_of_while_others_are_under_way(monkeypatch):
    heard, abort = threading.Event(), module.Coordinator.abort

    def hear(*args):
        heard.set()
        abort(*args)

    def task(value):
        if value == 0:
            raise ValueError("the first")
        assert heard.wait(LONG)

    monkeypatch.setattr(module.Coordinator, "abort", hear)
    with pytest.raises(ValueError, match="the first"):
        within(LONG / 2, lambda: in_parallel(range(2), 2, task))


def test_results_come_as_a_generator_too(stacks_seen):
    def consume():
        with joblib.parallel_config(backend="skopt_dl", n_jobs=8, n_processes=1):
            tasks = (joblib.delayed(lambda v: run(FakeJob(v))[0])(v) for v in range(20))
            return list(joblib.Parallel(return_as="generator")(tasks))

    assert within(LONG, consume) == list(range(20))


def test_threads_end_with_the_call(stacks_seen):
    within(LONG, lambda: in_parallel(range(20), 64, lambda v: run(FakeJob(v))[0]))
    assert_no_threads_are_left()


# Two programs, of which one is forked by the other.
SCRIPT = """
import os
import threading

import joblib

from skopt_dl import MLPClassifier
from searched import DIGITS, LABELS, model


def search():
    threading.main_thread().join()
    with joblib.parallel_config(backend="skopt_dl", n_jobs=8, n_processes=1):
        tasks = (joblib.delayed(model(alpha=k).fit)(DIGITS, LABELS) for k in range(6))
        print("trained", len(joblib.Parallel()(tasks)), flush=True)


forked = os.fork()
if forked:
    print("ended", os.waitpid(forked, 0)[1], flush=True)
threading.Thread(target=search, daemon=not forked).start()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="programs are forked")
def test_search_in_a_thread_ends_as_the_thread_does_when_the_program_ends():
    # Threads of concurrent.futures take no more work as soon as the main thread is over.
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=2 * LONG,
        check=True,
    )
    # The daemon's program, which is forked, ends without it.
    assert ended.stdout.splitlines() == ["ended 0", "trained 6"], ended.stderr


@pytest.mark.parametrize("lacking", ["threads", "memory"])
@pytest.mark.parametrize("kind", ["task", "stack"])
def test_a_search_ends_where_the_system_gives_no_more_threads(
    impatience, monkeypatch, kind, lacking
):
    """One thread of a kind has to do the work of many: later, and with the same results."""
    monkeypatch.setattr(threads, "BEGIN", 0.2)
    start = threading.Thread.start

    def start_one(thread):
        if thread.name.startswith(f"skopt_dl-{kind}") and not thread.name.endswith("-0"):
            if lacking == "threads":
                raise RuntimeError("can't start new thread")
            # It is over before it has said that it begins.
            thread._bootstrap = lambda: None
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)

    def search():
        with joblib.parallel_config(backend="skopt_dl", n_jobs=8, n_processes=1):
            return joblib.Parallel()(joblib.delayed(_trained)(value) for value in range(12))

    try:
        assert within(LONG, search) == list(range(12))
    finally:
        # Python counts those that never began for ever.
        for thread in list(threading._limbo):
            del threading._limbo[thread]


def _trained(value):
    return run(FakeJob(value))[0]
