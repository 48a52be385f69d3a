"""Threads, forks, Ctrl-C and several interpreters: fits with the native engine bear them."""

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from skopt_dl_native import sequences

from skopt_dl import MLPClassifier, fit_many, make_optimizer
from skopt_dl.programs import chosen_engine
from skopt_dl.schedules import Cosine

ENVIRONMENT = os.environ | {
    "SKOPT_DL_ENGINE": "native",
    "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
}


@pytest.fixture(autouse=True)
def native(monkeypatch):
    monkeypatch.setenv("SKOPT_DL_ENGINE", "native")


def started(code):
    """A Python process of its own, with the native engine."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def printed(code):
    """What code prints in a process of its own."""
    process = started(code)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    return out.split()


DATA = np.random.default_rng(0)
X = DATA.normal(size=(120, 7)).astype("f4")
Y = DATA.integers(0, 3, 120)
WEIGHT = DATA.uniform(0.5, 2, 120)
SPARSE = scipy.sparse.csr_matrix(np.where(np.abs(X) < 0.7, 0, X))


def plain(**options):
    given = {"max_iter": 6, "batch_size": 16, "n_iter_no_change": 100, "device": "cpu"}
    return MLPClassifier((9, 5), **(given | options))


def with_rate(rate):
    return make_optimizer("adam", learning_rate=rate)


# For each kind of fit: what the models have in common, what each of a stack has for itself, X and
# weights.
ALPHAS = [{"alpha": a, "random_state": i} for i, a in enumerate((1e-4, 1e-2, 0.3))]
KINDS = {
    "plain": ({}, ALPHAS, X, None),
    "dropout and batch norm": ({"dropout": 0.3, "batch_norm": True}, ALPHAS, X, None),
    "class weights": ({"class_weight": "balanced", "early_stopping": True}, ALPHAS, X, None),
    "sample weights": ({"dtype": "float32", "activation": "gelu"}, ALPHAS, X, WEIGHT),
    "sparse X": ({"max_grad_norm": 0.5}, ALPHAS, SPARSE, None),
    "schedules": (
        {"ema_decay": 0.9},
        [{"optimizer": with_rate(Cosine(r)), "random_state": 3} for r in (1e-3, 1e-2, 0.05)],
        X, None,
    ),
    "one that diverges": (
        {},
        [{"optimizer": make_optimizer("sgd", learning_rate=r), "random_state": 3}
         for r in (1e-3, 1e30, 0.1)],
        X, None,
    ),
}  # fmt: skip


def bits(model):
    """All weights and the history, to the last bit."""
    return [each.tobytes() for each in (*model.coefs_, *model.intercepts_)] + [
        repr(model.loss_curve_)
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_has_the_same_bits_alone_in_a_stack_and_in_a_thread(kind):
    common, each, x, weight = KINDS[kind]

    def models(order=(0, 1, 2)):
        return [plain(**common, **each[i]) for i in order]

    alone = [bits(model.fit(x, Y, weight)) for model in models()]
    assert [bits(model.fit(x, Y, weight)) for model in models()] == alone
    for order in ([0, 1, 2], [2, 0], [1]):
        found = fit_many(models(order), x, Y, weight)
        assert [bits(model) for model in found] == [alone[i] for i in order]
    with ThreadPoolExecutor(4) as pool:
        fits = [pool.submit(model.fit, x, Y, weight) for model in (*models(), *models())]
        assert [bits(each.result()) for each in fits] == 2 * alone
    assert chosen_engine().name == "native"


@pytest.mark.filterwarnings("ignore")
def test_ten_threads_that_fit_at_once_get_the_same_bits():
    x = np.tile(X, (8, 1))
    y = np.tile(Y, 8)

    def fit(_):
        return bits(plain(random_state=1, dropout=0.2).fit(x, y))

    want = fit(0)
    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(fit, range(20))) == 20 * [want]


FIT = """
import os, sys, warnings, hashlib
import numpy as np
warnings.simplefilter("ignore")
from skopt_dl import MLPClassifier
rng = np.random.default_rng(0)
X, y = rng.normal(size=(400, 20)).astype("f4"), rng.integers(0, 3, 400)
def fit(n=5, **options):
    found = MLPClassifier((32,), max_iter=n, random_state=0, device="cpu", n_iter_no_change=10**9,
                          tol=0, **options)
    return found.fit(X, y)
def bits(model):
    return hashlib.sha256(b"".join(w.tobytes() for w in model.coefs_)).hexdigest()
"""


INTERRUPTED = """
import signal, threading, time
from skopt_dl_native import sequences

# Where a shell runs tests in the background, Python starts with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
X = np.random.default_rng(0).normal(size=(4000, 20)).astype("f4")
run = sequences.run
for number in (0, 3):
    # From another thread, soon after the call of this number has gone to C.
    numbers, sent = iter(range(10**9)), []
    def interrupt():
        time.sleep(0.02)
        sent.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)
    def running(*arguments):
        if next(numbers) == number:
            threading.Thread(target=interrupt).start()
        run(*arguments)
    sequences.run = running
    model = MLPClassifier((300, 300), max_iter=10**7, batch_size=4, random_state=0, device="cpu")
    model.fit(X, (X[:, 0] > 0).astype(int))
    print(time.process_time() - sent[0], all(np.isfinite(w).all() for w in model.coefs_))
"""


@pytest.mark.skipif(os.name == "nt", reason="there os.kill ends the process")
def test_ctrl_c_ends_a_fit_within_a_fifth_of_a_second_of_its_own():
    found = printed(FIT + INTERRUPTED)
    assert found[1::2] == ["True", "True"]
    assert max(map(float, found[::2])) < 0.2


def test_a_ctrl_c_that_is_heard_after_c_keeps_the_epochs_that_were_over(monkeypatch):
    run = sequences.run

    def running(tasks, first, last, *arguments):
        run(tasks, first, last, *arguments)
        # Not within an epoch, which is not kept.
        if last - first > 100:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sequences, "run", running)
        with pytest.warns(UserWarning, match="interrupted"):
            model = plain(max_iter=10**4, tol=0, random_state=0).fit(X, Y)
    assert model.n_iter_ > 3
    with pytest.warns(ConvergenceWarning):
        whole = plain(max_iter=model.n_iter_, tol=0, random_state=0).fit(X, Y)
    assert bits(model) == bits(whole)


SHARED = """
import os, signal, threading, time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
import numpy as np
from skopt_dl_native import sequences

signal.signal(signal.SIGINT, signal.default_int_handler)
class Helper(ThreadPoolExecutor):
    number = 1
helper, begun, may_end, ended = Helper(1), threading.Event(), threading.Event(), threading.Event()
sequences.helpers = lambda: helper
def running(*arguments):
    if threading.current_thread() is not threading.main_thread():
        begun.set()
        may_end.wait()
        ended.set()
def interrupt():
    # While the main thread waits for the other; twice, as somebody impatient does.
    begun.wait()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
    may_end.set()
sequences.run = running
stretch = object.__new__(sequences._Stretch)
tables = SimpleNamespace(tasks=None, n_tasks=1)
vars(stretch).update(_tables=tables, _scratch=np.zeros(8), _others=[], _seconds=1.0, _n_places=0,
                     _n_models=[3])
threading.Thread(target=interrupt).start()
try:
    stretch._run(0, 1, 0, 3, 3, bytearray(1))
except KeyboardInterrupt:
    print(ended.is_set())
"""


@pytest.mark.skipif(os.name == "nt", reason="there os.kill ends the process")
def test_nobody_writes_any_more_when_ctrl_c_has_ended_a_stack():
    assert printed(SHARED) == ["True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_a_fork_trains_to_the_same_bits():
    found = printed(
        FIT
        + """
import threading
print(bits(fit()), flush=True)
running = threading.Thread(target=fit, args=(300,))
running.start()
for _ in range(2):
    child = os.fork()
    if not child:
        print(bits(fit()), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
running.join()
print(bits(fit()), flush=True)
"""
    )
    assert len(found) == 4
    assert len(set(found)) == 1


def test_another_interpreter_of_the_process_can_load_the_extension():
    names = ("concurrent.interpreters", "_interpreters", "_xxsubinterpreters")
    name = next((each for each in names if importable(each)), None)
    if name is None:
        pytest.skip("this Python has no module for several interpreters")
    from skopt_dl_native import _interpreter

    loading = (
        "import importlib.util as u, sys;"
        f"s = u.spec_from_file_location('_interpreter', {_interpreter.__file__!r});"
        "m = u.module_from_spec(s); s.loader.exec_module(m); assert m.N_SLOTS;"
        "import array\n"
        "try: m.check(array.array('q', [1]))\n"
        "except ValueError: pass\n"
        "else: raise AssertionError('not refused')\n"
    )
    printed(
        f"""
import {name} as several
for _ in range(3):
    other = several.create()
    if hasattr(several, "run_string"):
        failed = several.run_string(other, {loading!r})
    else:
        failed = other.exec({loading!r})
    assert failed is None, failed
    several.destroy(other) if hasattr(several, "destroy") else other.close()
{loading}
"""
    )


def importable(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
