"""Random searches, stacked, beside their plain form: the same answer, and the process as it was.

Run as ``python tests/stress/searches.py --searches 1000 --seed 0``. A search that fails is run
again by ``--only SEED``.
"""

import argparse
import faulthandler
import gc
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_info

from skopt_dl import MLPClassifier, fit_many
from skopt_dl.callbacks import EarlyStopping, EpochCallback
from skopt_dl.optimizers import Momentum
from skopt_dl.schedules import Cosine
from skopt_dl.search.backend import StackingBackend
from skopt_dl.search.coordinator import active
from skopt_dl.search.isolation import current
from skopt_dl.search.processes import shared_processes

# Seconds that only a hang takes.
LONG = 90
ALPHAS = np.logspace(-5, 0, 6)

# What pipelines and scorers do; at the top, so that they travel to other processes.


def noisy(X):
    warnings.warn(f"noisy over {len(X)} samples", UserWarning, stacklevel=1)
    return X


def silent(X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("never seen", UserWarning, stacklevel=1)
    return X


def recording(X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            warnings.warn("recorded", UserWarning, stacklevel=1)
    if len(caught) != 3:
        raise AssertionError(f"{len(caught)} of 3 warnings were recorded")
    return X


def strict(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            warnings.warn("raised", UserWarning, stacklevel=1)
        except UserWarning:
            return X
    raise AssertionError("a warning was not raised")


def drawing(X):
    np.random.rand(3)  # noqa: NPY002 (the global one)
    return X


def sleepy(X):
    time.sleep(0.002)
    return X


def picky(X):
    if X[0, 0] > 0.3:
        raise ZeroDivisionError("picky")
    return X


def plain_score(estimator, X, y):
    return accuracy_score(y, estimator.predict(X))


def noisy_score(estimator, X, y):
    warnings.warn("scored", RuntimeWarning, stacklevel=1)
    return plain_score(estimator, X, y)


def sleepy_score(estimator, X, y):
    time.sleep(0.003)
    return plain_score(estimator, X, y)


def picky_score(estimator, X, y):
    if X[0, 1] > 0.3:
        raise ZeroDivisionError("picky score")
    return plain_score(estimator, X, y)


def drawing_score(estimator, X, y):
    np.random.rand(3)  # noqa: NPY002 (the global one)
    return plain_score(estimator, X, y)


def deadly_score(estimator, X, y):
    if multiprocessing.parent_process() is not None:
        os._exit(3)
    return plain_score(estimator, X, y)


class Watch(EpochCallback):
    """A callback of the user's, which keeps its models in this process."""

    def after_epoch(self, model, memory):
        return False


STEPS = [noisy, silent, recording, strict, drawing, sleepy]
SCORES = [None, None, None, noisy_score, sleepy_score, drawing_score]


class Case:
    """One search, drawn from a seed.

    Attributes
    ----------
    fails : bool
        Whether it may raise.
    """

    def __init__(self, rng, bits=False):
        self.rng = rng
        # Where folds are of one size, a stack has no rows of weight zero.
        n = rng.randrange(45, 75) if bits else 60
        numbers = np.random.default_rng(rng.randrange(1000))
        self.y = np.arange(n) % 3
        self.X = numbers.normal(size=(n, 4)) + 0.5 * self.y[:, None]
        self.fails = self.dies = False
        self.scoring = rng.choice(SCORES)
        self.error_score = rng.choice([np.nan, "raise"])
        trouble = rng.random()
        if trouble < 0.1:
            self.scoring, self.fails = picky_score, True
        elif trouble < 0.12:
            self.scoring, self.dies = deadly_score, True
        self.n_jobs = rng.choice([1, 2, 3, 8, 8, 16, 64, 64, 64, -1])
        self.n_processes = rng.choice([1, 1, 2])
        self.model = self.draw_model()
        self.estimator, self.prefix = self.draw_pipeline()
        kinds = [name for name in dir(self) if name.startswith("kind_")]
        self.kind = rng.choice(kinds).removeprefix("kind_")
        self.cv = rng.choice([2, 4]) if not bits else rng.choice([2, 3, 4])
        self.function = getattr(self, f"kind_{self.kind}")()

    def __str__(self):
        return (
            f"{self.kind}, n_jobs={self.n_jobs}, n_processes={self.n_processes}, cv={self.cv}, "
            f"{getattr(self.scoring, '__name__', None)}, error_score={self.error_score}, "
            f"{' '.join(str(self.estimator).split())}"
        )

    def draw_model(self):
        rng = self.rng
        params = {
            "hidden_layer_sizes": rng.choice([(), (3,), (4,), (3, 2)]),
            "max_iter": rng.choice([1, 2, 3]),
            "batch_size": rng.choice([8, 16, "auto"]),
            "optimizer": rng.choice(["adam", "sgd", "lbfgs", Momentum(0.05), "adagrad"]),
            "random_state": rng.randrange(5),
        }
        some = {
            "dropout": 0.2,
            "batch_norm": True,
            "input_scaling": True,
            "label_smoothing": 0.1,
            "class_weight": "balanced",
            "early_stopping": True,
            "dtype": "float32",
            "activation": "tanh",
            "shuffle": False,
        }
        if params["optimizer"] != "lbfgs":
            some |= {"ema_decay": 0.9, "max_grad_norm": 1.0}
        params |= {name: some[name] for name in rng.sample(sorted(some), rng.choice([0, 0, 1, 2]))}
        if isinstance(params["optimizer"], Momentum) and rng.random() < 0.3:
            params["optimizer"] = Momentum(Cosine(0.05, 20))
        if params["optimizer"] == "lbfgs":
            params.pop("batch_size")
        if params.get("early_stopping"):
            params["scoring"] = rng.choice([None, noisy_score, "accuracy"])
        found = MLPClassifier(**params)
        callback = rng.choice([None] * 8 + [Watch(), EarlyStopping("loss", patience=1)])
        return found if callback is None else found.set_callbacks(callback)

    def draw_pipeline(self):
        rng = self.rng
        if rng.random() < 0.4:
            return self.model, ""
        steps = [FunctionTransformer(each) for each in rng.sample(STEPS, rng.choice([1, 2]))]
        if rng.random() < 0.5:
            steps.append(StandardScaler())
        if rng.random() < 0.1:
            steps.append(FunctionTransformer(picky))
            self.fails = True
        return make_pipeline(*steps, self.model), "mlpclassifier__"

    @property
    def grid(self):
        found = {f"{self.prefix}alpha": ALPHAS[: self.rng.choice([2, 3, 6])]}
        if self.rng.random() < 0.3:
            found[f"{self.prefix}activation"] = ["relu", "tanh"]
        return found

    # What is searched; each returns a function whose result is arrays only.

    def kind_grid(self, make=GridSearchCV, **params):
        grid, X, y = self.grid, self.X, self.y
        refit = self.rng.choice([True, False])
        params |= {"cv": self.cv, "scoring": self.scoring, "error_score": self.error_score}

        def function():
            found = make(clone(self.estimator), grid, refit=refit, **params).fit(X, y)
            table = {
                name: column
                for name, column in found.cv_results_.items()
                if not (name.endswith("_time") or name.startswith("param"))
            }
            return table | ({"predicted": found.predict(X)} if refit else {})

        return function

    def kind_randomized(self):
        return self.kind_grid(RandomizedSearchCV, n_iter=2, random_state=0)

    def kind_halving(self):
        return self.kind_grid(HalvingGridSearchCV, min_resources=24, random_state=0)

    def kind_cross_validate(self, estimator=None):
        params = {"cv": self.rng.choice([2, 4, 12]), "scoring": self.scoring}
        estimator = estimator or self.estimator
        models = self.rng.choice([True, False])

        def function():
            found = cross_validate(
                clone(estimator),
                self.X,
                self.y,
                error_score=self.error_score,
                return_estimator=models,
                **params,
            )
            result = {"scores": found["test_score"]}
            if models and not np.isnan(found["test_score"]).any():
                result["predicted"] = [
                    each.predict_proba(self.X) if hasattr(each, "predict_proba") else 0
                    for each in found["estimator"]
                ]
            return result

        return function

    def kind_nested(self):
        inner = GridSearchCV(self.estimator, self.grid, cv=2, error_score=self.error_score)
        inner.set_params(n_jobs=self.rng.choice([None, 2, 8]))
        return self.kind_cross_validate(inner)

    def ensemble(self, estimator):
        def function():
            fitted = clone(estimator).fit(self.X, self.y)
            # scikit-learn adds up an ensemble's probabilities by jobs, so they round by `n_jobs`.
            with joblib.parallel_config(backend="sequential"):
                return {"predicted": fitted.predict_proba(self.X)}

        return function

    def kind_bagging(self):
        return self.ensemble(
            BaggingClassifier(self.estimator, self.rng.choice([3, 10]), random_state=0)
        )

    def kind_one_against_the_rest(self):
        return self.ensemble(OneVsRestClassifier(self.estimator))

    def members(self):
        return [("one", self.estimator), ("other", self.draw_model()), ("third", self.draw_model())]

    def kind_voting(self):
        return self.ensemble(VotingClassifier(self.members(), voting="soft"))

    def kind_stacking(self):
        # The last step would make much of a last bit.
        final = LogisticRegression(C=1e-3)
        return self.ensemble(StackingClassifier(self.members(), final, cv=2))

    def kind_bagged_search(self):
        search = GridSearchCV(self.estimator, self.grid, cv=2, error_score="raise")
        return self.ensemble(BaggingClassifier(search, 3, bootstrap=False, random_state=0))

    def kind_fit_many(self):
        models = [clone(self.estimator) for _ in range(self.rng.choice([2, 12]))]
        for model, alpha in zip(models, np.logspace(-5, 0, len(models)), strict=True):
            model.set_params(**{f"{self.prefix}alpha": alpha})
        stacked_too = self.rng.random() < 0.5

        def function():
            copies = [clone(each) for each in models]
            many = is_stacked() and stacked_too
            # Warnings point at the line, whoever fits.
            X, y, n_jobs = self.X, self.y, self.n_jobs
            _ = fit_many(copies, X, y, n_jobs=n_jobs) if many else [m.fit(X, y) for m in copies]
            return {"predicted": [each.predict_proba(self.X) for each in copies]}

        return function

    def kind_generator(self):
        way = self.rng.choice(["generator", "generator_unordered"])
        number, dropped_after = self.rng.choice([5, 20]), self.rng.choice([None, None, 2])

        def function():
            found = joblib.Parallel(return_as=way)(
                joblib.delayed(fit_and_predict)(clone(self.estimator), self.X, self.y, k)
                for k in range(number)
            )
            if dropped_after is not None:
                # joblib tells how many tasks were in vain, which depends on how many were begun.
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for _ in range(dropped_after):
                        next(found)
                    del found
                    gc.collect()
                return {}
            return {"predicted": [each for _, each in sorted(found, key=lambda pair: pair[0])]}

        self.drops = dropped_after is not None
        return function


def fit_and_predict(estimator, X, y, k):
    last = estimator if isinstance(estimator, MLPClassifier) else estimator[-1]
    last.set_params(alpha=10.0**-k)
    return k, estimator.fit(X, y).predict_proba(X)


def is_stacked():
    return isinstance(get_active_backend()[0], StackingBackend)


def plainly():
    return joblib.parallel_config(backend="sequential")


# What becomes of a search


def outcome(function):
    """What a function returns, or raises."""
    try:
        return function(), None
    except Exception as error:
        return None, error


def same(one, other, bits):
    if one.keys() != other.keys():
        return False
    for name in one:
        a, b = np.asarray(one[name]), np.asarray(other[name])
        if a.shape != b.shape:
            return False
        if bits or a.dtype.kind not in "fc":
            if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
                return False
        else:
            single = name == "predicted"
            if not np.allclose(a, b, rtol=1e-9, atol=1e-6 if single else 1e-9, equal_nan=True):
                return False
    return True


def text_of(warning):
    """A warning's text, without a traceback, which tells of threads."""
    text = re.split(r"\n-{5,}|Details: ", str(warning.message))[0]
    return text.strip()


def counted(caught):
    return Counter(
        (each.category.__name__, text_of(each), Path(each.filename).name, each.lineno)
        for each in caught
        if not text_of(each).startswith("A process that ran")
    )


def run(cases, contexts, begun=lambda: None):
    """Run searches, each in a thread of its own if there are two; warnings are recorded."""
    found = [(None, None)] * len(cases)

    def one(i):
        with contexts[i]():
            found[i] = outcome(cases[i].function)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        others = [threading.Thread(target=one, args=(i,)) for i in range(1, len(cases))]
        for each in others:
            each.start()
        try:
            begun()
            one(0)
        finally:
            for each in others:
                each.join()
    return found, counted(caught)


class Interrupt:
    """One Ctrl-C after some time, that reaches nothing but what is inside."""

    def __init__(self, seconds, way):
        self.seconds, self.way = seconds, way
        self.armed = False

    def send(self):
        if self.way == "raise":
            signal.raise_signal(signal.SIGINT)
        elif self.way == "kill":
            os.kill(os.getpid(), signal.SIGINT)
        else:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    def handle(self, *_):
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt

    def arm(self):
        self.armed = True

    def call(self, function):
        """Call a function; return whether it was interrupted, and what it returned."""
        before = signal.signal(signal.SIGINT, self.handle)
        timer = threading.Timer(self.seconds, self.send)
        timer.start()
        try:
            result = function()
            self.armed = False
        except KeyboardInterrupt:
            return True, None
        else:
            return False, result
        finally:
            self.armed = False
            timer.cancel()
            timer.join()
            signal.signal(signal.SIGINT, before)


# What is left of a search


def state():
    """What a search has to leave as it was."""
    return {
        "filters": (id(warnings.filters), list(warnings.filters)),
        "shown by": (warnings.showwarning, warnings._showwarnmsg_impl, warnings._showwarnmsg),
        "module": (type(warnings), sorted(vars(warnings))),
        "blas": {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"},
        "signals": [signal.getsignal(each) for each in signal.valid_signals()],
        "environment": dict(os.environ),
        "backend": type(get_active_backend()[0]),
        "context": (active.get(), current()),
        "files": sorted(map(str, Path(tempfile.gettempdir()).glob("skopt_dl-*"))),
    }


# Threads that were there before: of processes that joblib keeps for itself, say.
_before = set()


def our_threads():
    return [
        each.name
        for each in threading.enumerate()
        if each not in _before
        # The last: the other of two searches, where the first was interrupted.
        and (each.name.startswith(("skopt_dl", "QueueFeederThread")) or each.name.endswith("(one)"))
    ]


def held():
    """How many threads, processes, descriptors and shared memories there are."""
    gc.collect()
    processes = [
        each
        for each in Path("/proc").glob("[0-9]*/stat")
        if f") S {os.getpid()} " in _read(each) or f") R {os.getpid()} " in _read(each)
    ]
    return {
        "threads": threading.active_count(),
        "processes": len(processes),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "shared memory": sum(str(os.getpid()) in name for name in os.listdir("/dev/shm")),
    }


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return ""


def settled(condition, seconds=10):
    """Whether a condition becomes true; tasks of a search that was ended take a moment."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def end_processes():
    found = shared_processes(2)
    if found is not None:
        found.end()


# A stress


@contextmanager
def watched(seed, seconds=LONG):
    """Fail with all stacks where something takes for ever."""
    over = threading.Event()

    def watch():
        if not over.wait(seconds):
            sys.stderr.write(f"--only {seed}: hangs\n")
            faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
            os._exit(1)

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def search(seed, bits=False):
    """Run one search, or two at a time; return what it was, and what is wrong with it."""
    rng = random.Random(seed)
    cases = [Case(rng, bits) for _ in range(rng.choice([1, 1, 1, 2]))]
    # Another search in the first one's tasks would be counted there.
    contexts = [
        lambda case=case: joblib.parallel_config(
            backend="skopt_dl", n_jobs=case.n_jobs, n_processes=case.n_processes
        )
        for case in cases
    ]
    if rng.random() < 0.3 and any(case.n_processes > 1 for case in cases):
        found = shared_processes(2, start=True)
        settled(lambda: found.ready or not found.usable, LONG)
    interrupt = None
    if rng.random() < 0.2:
        interrupt = Interrupt(rng.choice([0.01, 0.1, 0.4]) * rng.random(), rng.choice("rkp"))
        interrupt.way = {"r": "raise", "k": "kill", "p": "pthread"}[interrupt.way]
    draws = any("drawing" in str(case) for case in cases)
    began = time.monotonic()
    plain, expected = run(cases, [plainly] * len(cases))
    between = time.monotonic()
    before, numbers = state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    if interrupt is None:
        interrupted, result = False, run(cases, contexts)
    else:
        interrupted, result = interrupt.call(lambda: run(cases, contexts, interrupt.arm))
    over = time.monotonic()
    kinds = Counter(["interrupted"] * interrupted + ["two at a time"] * (len(cases) > 1))
    kinds.update(case.kind for case in cases)
    kinds.update(raised=sum(error is not None for _, error in plain))
    problems = []
    if not interrupted:
        found, shown = result
        # A model that is fitted here takes a Ctrl-C for itself.
        taken = any("interrupted by user" in text for _, text, *_ in shown)
        for (one, error), (other, expected_error) in zip(found, plain, strict=True):
            if type(error) is not type(expected_error):
                problems.append(f"raised {error!r}, not {expected_error!r}")
                if error is not None:
                    problems[-1] += "".join(traceback.format_exception(error))[-1500:]
            elif error is None and not taken and not same(one, other, bits):
                problems.append(f"wrong result: {one}, not {other}")
        ends_early = any(error is not None for _, error in plain)
        ends_early |= any(getattr(case, "drops", False) for case in cases)
        if shown != expected and not ends_early and not taken:
            problems.append(f"lost warnings {expected - shown}, new ones {shown - expected}")
    if not settled(lambda: not our_threads() or shared_is_there(our_threads())):
        problems.append(f"threads are left: {our_threads()}")
    # What an interrupt kept from leaving whole does so when it is collected.
    gc.collect()
    after = state()
    problems += [
        f"{name} changed: {before[name]} -> {after[name]}"
        for name in before
        if before[name] != after[name]
    ]
    if not draws and numbers != np.random.get_state()[1].tolist():  # noqa: NPY002
        problems.append("the global generator was used")
    what = f"[{'; '.join(map(str, cases))}; interrupt {interrupt and vars(interrupt)}]"
    seconds = f"plain {between - began:.2f} s, stacked {over - between:.2f} s"
    return kinds, [f"{each} {what} {seconds}" for each in problems]


def shared_is_there(names):
    """Whether all these threads belong to processes that wait for the next search."""
    return set(names) == {"QueueFeederThread"} and shared_processes(2) is not None


def stress(n_searches, seed=0, bits=False, seconds=float("inf"), tell=None):
    """Run searches, in a temporary folder of their own; return counts, and what failed, by seed."""
    outside = tempfile.tempdir
    with tempfile.TemporaryDirectory() as tempfile.tempdir:
        try:
            return _stress(n_searches, seed, bits, seconds, tell)
        finally:
            tempfile.tempdir = outside


def _stress(n_searches, seed, bits, seconds, tell):
    counts, failures, began = Counter(), {}, time.monotonic()
    with watched("the first"):
        end_processes()
        _before.update(threading.enumerate())
        shared_processes(2, start=True)
        end_processes()
        search(seed, bits)
        end_processes()
        before = held()
    for each in range(seed, seed + n_searches):
        if time.monotonic() - began > seconds:
            break
        with watched(each):
            kinds, problems = search(each, bits)
        counts["searches"] += 1
        counts.update(kinds)
        if problems:
            failures[each] = problems
            if tell is not None:
                tell(f"--only {each}: {problems}")
    with watched("the end"):
        end_processes()
        left = {}

        def as_before():
            left.update(held())
            return all(left[name] <= before[name] for name in left)

        if not settled(as_before):
            failures["the end"] = [f"left {left}, where there were {before}"]
            if tell is not None:
                tell(failures["the end"])
    return counts, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--only", type=int, help="the seed of one search")
    parser.add_argument("--bits", action="store_true", help="equal to the last bit")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if given.only is not None:
        given.searches, given.seed = 1, given.only
    began = time.monotonic()
    counts, failures = stress(
        given.searches, given.seed, given.bits, 60 * given.minutes, lambda line: print(line)
    )
    print(", ".join(f"{number} {name}" for name, number in counts.items()))
    print(f"{len(failures)} failed in {time.monotonic() - began:.0f} s: {list(failures)}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    # Functions of a script travel without the name of its file, which warnings tell.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from stress import searches

    searches.main()
