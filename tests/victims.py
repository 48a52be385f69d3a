"""What `violence.py` does violence to: a program of searches, in a process that was forked."""

import os
import pickle
import resource
import signal
import sys
import threading
import time
import traceback
import warnings
from concurrent.futures import wait
from contextlib import suppress
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skopt_dl import MLPClassifier
from skopt_dl.callbacks import StackProgress
from skopt_dl.jobs import Journal, JournalWarning, keeping
from skopt_dl.jobs.journal.pruning import survey
from skopt_dl.search import processes

# Seconds after which something that should have ended hangs.
PATIENCE = 120.0
N_EPOCHS = 24
# Epochs of the one model that trains long.
LONG = 600


def small(**params):
    params = {"hidden_layer_sizes": 12, "max_iter": N_EPOCHS, "tol": 0.0, **params}
    return MLPClassifier(**{"random_state": 0, "batch_size": 32, **params})


def program():
    """Fit a grid search, a nested one and an ensemble; return what was learned, by name."""
    X, y = make_classification(150, 8, n_informative=5, random_state=0)
    grid = {
        "mlpclassifier__optimizer": ["adam", "nadam", "momentum", "rmsprop"],
        "mlpclassifier__dropout": [0.0, 0.2],
        "mlpclassifier__early_stopping": [False, True],
    }
    minimised = {
        "mlpclassifier__optimizer": ["lbfgs"],
        "mlpclassifier__batch_size": ["auto"],
        "mlpclassifier__alpha": [0.01, 0.1],
    }
    search = GridSearchCV(make_pipeline(StandardScaler(), small()), [grid, minimised], cv=2)
    search.fit(X, y)
    inner = GridSearchCV(small(max_iter=15), {"alpha": [0.1, 1.0]}, cv=2)
    nested = cross_validate(inner, X, y, cv=2, return_estimator=True)
    bagging = BaggingClassifier(small(max_iter=15), n_estimators=4, random_state=0).fit(X, y)
    return {
        **_table("search", search),
        **{f"nested {k}": v for k, v in nested.items() if k == "test_score"},
        **{k: v for n, s in enumerate(nested["estimator"]) for k, v in _table(f"{n}", s).items()},
        **{
            k: v for n, m in enumerate(bagging.estimators_) for k, v in _weights(f"b{n}", m).items()
        },
    }


def long_program():
    """Fit a grid of models that train long enough for other processes to take part."""
    X, y = make_classification(300, 20, n_informative=5, random_state=0)
    grid = {"alpha": np.logspace(-4, 0, 12), "optimizer__learning_rate": [1e-3, 1e-2]}
    model = small(max_iter=60, n_iter_no_change=1000)
    return _table("search", GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, y))


def program_with_exits():
    """Fit a grid whose scorer ends the process it is called in, once each, if that is a worker."""
    X, y = make_classification(300, 20, n_informative=5, random_state=0)
    grid = {"alpha": np.logspace(-4, 0, 12), "optimizer__learning_rate": [1e-3, 1e-2]}
    model = small(max_iter=60, n_iter_no_change=1000)
    search = GridSearchCV(model, grid, cv=3, scoring=_exit_in_workers, error_score="raise")
    return _table("search", search.fit(X, y))


def _exit_in_workers(model, X, y):
    if os.getpid() != os.getpgid(0):
        os._exit(3)
    return model.score(X, y)


def wide_program():
    """Fit a grid of networks whose stacks take some 100 MB."""
    X, y = make_classification(2000, 50, n_informative=5, random_state=0)
    model = small(hidden_layer_sizes=(200, 100), max_iter=2, batch_size=200)
    search = GridSearchCV(model, {"alpha": np.logspace(-4, 0, 6)}, cv=3)
    return _table("search", search.fit(X, y))


class _Epochs(StackProgress):
    """Writes when each epoch of a stack was over, as a float64."""

    def after_stack_epoch(self, stack):
        if stack.n_training:
            with open(os.environ["VIOLENCE_EPOCHS"], "ab") as file:
                file.write(np.float64(time.monotonic()).tobytes())


def long_training():
    """Fit one model for many epochs."""
    X, y = make_classification(300, 20, n_informative=5, random_state=0)
    model = small(max_iter=LONG, n_iter_no_change=LONG, dropout=0.2)
    return _weights("model", model.set_callbacks(_Epochs()).fit(X, y))


def _table(name, search):
    best = search.best_estimator_
    best = best[-1] if hasattr(best, "steps") else best
    results = search.cv_results_.items()
    table = {f"{name} {k}": v for k, v in results if "time" not in k and "param_" not in k}
    return table | _weights(name, best)


def _weights(name, model):
    arrays = {f"coefs {k}": each for k, each in enumerate(model.coefs_)}
    arrays |= {f"intercepts {k}": each for k, each in enumerate(model.intercepts_)}
    arrays["losses"] = np.array(model.loss_curve_)
    return {f"{name} {what}": values for what, values in arrays.items()}


def differences(found, expected):
    """What is not equal to the last bit, by name."""
    if found.keys() != expected.keys():
        return sorted(found.keys() ^ expected.keys())
    return [name for name in expected if not _is_equal(found[name], expected[name])]


def _is_equal(a, b):
    with suppress(TypeError):
        return np.array_equal(a, b, equal_nan=True)
    return np.array_equal(a, b)


def searching(
    journal,
    result,
    function=program,
    before=None,
    interval=0.05,
    room=None,
    file_size=None,
    own_files=False,
    **options,
):
    """Run a program of searches, and write what it has learned and what the journal has said."""
    keeping.INTERVAL, keeping.SHARE = interval, 1.0
    if before is not None:
        before()
    if room is not None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
    if file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    if own_files:
        _close_after_each_write()
    options = {"n_jobs": -1, **({} if "client" in options else {"n_processes": 1}), **options}
    if options.get("n_processes", 1) > 1:
        # They take longer to start than the search to end.
        shared = processes.shared_processes(options["n_processes"], start=True)
        wait(shared._first_calls)
        Path(f"{result}.ready").touch()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with joblib.parallel_config(backend="skopt_dl", journal=journal, **options):
            learned = function()
    said = [str(each.message) for each in seen if each.category is JournalWarning]
    said_else = [str(each.message) for each in seen if each.category is RuntimeWarning]
    beside = Path(f"{result}.part")
    beside.write_bytes(pickle.dumps((learned, said, said_else)))
    beside.replace(result)


def jumping_clocks():
    """Have `time.time` and `time.monotonic` jump by hours, back and forth."""
    rng, lock = np.random.default_rng(), threading.Lock()

    def jumping(clock):
        offset = 0.0

        def now():
            nonlocal offset
            with lock:
                if rng.random() < 0.2:
                    offset = rng.uniform(-5, 5) * 3600
            return clock() + offset

        return now

    time.time, time.monotonic = jumping(time.time), jumping(time.monotonic)


def _close_after_each_write():
    """Have journals leave no file open, so that their disk can be made read-only."""
    append = Journal._append

    def append_and_close(journal, content):
        append(journal, content)
        journal._close()
        time.sleep(0.01)

    Journal._append = append_and_close


def searching_on_a_cluster(journal, result, **options):
    """Run a program of searches whose stacks a cluster of two processes trains."""
    import dask
    from distributed import Client, LocalCluster

    with (
        # One that was killed twice comes back as well.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        Path(f"{result}.ready").touch()
        searching(journal, result, client=client, **options)


def searching_in_threads(journal, result, n_threads=2, **options):
    """Run searches in threads of one process, on one journal; all have to learn the same."""
    paths = [f"{result}-{k}" for k in range(n_threads)]
    threads = [
        threading.Thread(target=searching, args=(journal, path), kwargs=options) for path in paths
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    answers = [pickle.loads(Path(path).read_bytes()) for path in paths]
    for other in answers[1:]:
        assert not differences(other[0], answers[0][0])
    Path(paths[0]).replace(result)


class Victim:
    """A process of its own, with a group of its own, that calls a function.

    Forked, so that it need not import: a life takes what its search takes.

    Parameters
    ----------
    folder : Path
        For the result and what is printed.
    work : callable
        Called with the journal, the path of the result and the options.
    """

    def __init__(self, folder, journal, work, options):
        self.result = folder / f"result-{time.perf_counter_ns()}"
        self.log = folder / "log"
        self.began = time.perf_counter()
        self.code = None
        self.pid = os.fork()
        if not self.pid:
            self._live(work, journal, options)
        # Whoever is first: nobody kills a group that is not there yet.
        with suppress(PermissionError):
            os.setpgid(self.pid, self.pid)

    def _live(self, work, journal, options):
        code = 1
        try:
            with suppress(PermissionError):
                os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(log, 1)
            os.dup2(log, 2)
            work(journal, self.result, **options)
            code = 0
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(BaseException):
                for each in processes._shared.values():
                    each.end()
                sys.stderr.flush()
            os._exit(code)

    def wait(self, seconds=PATIENCE):
        """Wait for the end; whether it came in time. What the process has started ends then."""
        end = time.perf_counter() + seconds
        while not self.is_over():
            if time.perf_counter() > end:
                return False
            time.sleep(0.002)
        return True

    def is_over(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.signal(signal.SIGKILL)
        return self.code is not None

    def signal(self, number, group=True):
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def kill(self, group=True):
        self.signal(signal.SIGKILL, group)
        self.wait()

    def wait_until_ready(self):
        """Wait until it says that what comes first is there, or is over."""
        ready = Path(f"{self.result}.ready")
        while not (ready.exists() or self.is_over()):
            time.sleep(0.01)

    def children(self):
        """Processes of the group, but for the first."""
        found = []
        for each in Path("/proc").iterdir():
            if each.name.isdigit() and int(each.name) != self.pid:
                with suppress(OSError, ValueError):
                    # After the name, which may hold spaces: state, parent, group.
                    fields = (each / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[2]) == self.pid and fields[0] != "Z":
                        found.append(int(each.name))
        return found

    def answer(self):
        """What was learned, what the journal said, and other warnings of what went wrong."""
        return pickle.loads(self.result.read_bytes()) if self.result.exists() else None

    def names_memory(self):
        """Whether what it ended with says that memory was short."""
        words = ("memory", "can't start new thread", "allocate")
        return any(word in self.log.read_text().lower() for word in words)

    def last_line(self):
        lines = self.log.read_text().strip().splitlines()
        return lines[-1] if lines else ""


def n_models(journal):
    """How many models a journal holds."""
    return survey(Path(journal)).n_models if Path(journal).is_dir() else 0
