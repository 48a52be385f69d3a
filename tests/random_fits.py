"""Random families of fits that could share stacks, and what has to be equal of each to the bit."""

import copy
import hashlib
import pickle
from dataclasses import replace

import numpy as np
from scipy import sparse
from sklearn.base import clone

from skopt_dl import MLPClassifier, MLPRegressor, available_optimizers, make_optimizer
from skopt_dl.backends import get_backend, one_blas_thread
from skopt_dl.estimators.preparing import prepare
from skopt_dl.jobs import share_data, stacks, train
from skopt_dl.networks import DensePool, fold, raw_output
from skopt_dl.schedules import (
    Cosine,
    CosLog4,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
)

SCHEDULES = [
    lambda rate: rate,
    lambda rate: Cosine(rate),
    lambda rate: CosLog4(rate),
    lambda rate: ExponentialDecay(rate),
    lambda rate: InverseScaling(rate),
    lambda rate: OneCycle(rate),
    lambda rate: ReduceOnPlateau(rate),
    lambda rate: StepDecay(rate),
    lambda rate: WarmUp(Cosine(rate)),
]
ACTIVATIONS = [
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
]
REGRESSION = [
    "squared_error",
    "absolute_error",
    "huber",
    "log_cosh",
    "poisson",
    "gamma",
    "quantile",
]


# Fits of a family where many are asked for.
MANY = 16


class Family:
    """Fits of one data set that differ in some parameters, folds, weights and seeds.

    Parameters
    ----------
    seed : int
    large : bool, default=False
        Whether products are so large that threads share them.
    """

    def __init__(self, seed, large=False):
        self.rng = rng = np.random.default_rng(seed)
        n_features = 300 if large else int(rng.choice([1, 2, 5, 8, 13, 30]))
        self.n = 420 if large else int(rng.choice([9, 17, 33, 50, 65, 101, 130]))
        task = rng.choice(["binary", "classes", "many", "labels", "one", "targets"])
        X = rng.normal(size=(self.n, n_features))
        X[rng.random(X.shape) < 0.3] = 0.0
        self.dtype = str(rng.choice(["float64", "float32"]))
        dtype = np.float32 if self.dtype == "float32" else np.float64
        self.X = sparse.csr_matrix(X, dtype=dtype) if rng.random() < 0.2 else X.astype(dtype)
        self.is_classifier = task not in ("one", "targets")
        n_outputs = {"binary": 2, "classes": 3, "many": 11, "labels": 4, "targets": 9}.get(task, 1)
        if task == "labels":
            self.y = (rng.random((self.n, n_outputs)) < 0.4).astype(int)
        elif self.is_classifier:
            self.y = np.arange(self.n) % min(n_outputs, self.n // 3)
        else:
            self.y = rng.gamma(2.0, size=(self.n, n_outputs) if n_outputs > 1 else self.n) + 0.1
        loss = ["log_loss", "focal"] if self.is_classifier else REGRESSION
        sizes = [(), (1,), (4,), (9,), (16,), (32,), (6, 5), (17, 8, 3)]
        hidden = (330, 200) if large else sizes[rng.integers(len(sizes))]
        self.common = {
            "hidden_layer_sizes": hidden,
            "activation": str(rng.choice(ACTIVATIONS)),
            "loss": str(rng.choice(loss, p=None if len(loss) > 2 else [0.7, 0.3])),
            "batch_size": 210 if large else [1, 7, 8, 16, 25, "auto", "full"][rng.integers(7)],
            "batch_norm": bool(rng.random() < 0.25),
            "input_scaling": bool(rng.random() < 0.2),
            "shuffle": bool(rng.random() < 0.8),
            "sampling": str(rng.choice(["shuffle", "replacement"], p=[0.8, 0.2])),
            "dtype": self.dtype,
            "early_stopping": bool(rng.random() < 0.3),
            "validation_fraction": 0.25,
            "device": "cpu",
        }
        if self.common["batch_size"] == 1:
            self.common["batch_norm"] = False
        if self.is_classifier and rng.random() < 0.2:
            self.common["scoring"] = "f1_macro"
        if not self.common["early_stopping"]:
            self.common.pop("scoring", None)
        self.weighted = rng.random() < 0.3
        self.max_iter = 3 if large else 6
        rows = np.arange(self.n)
        # Folds: some of unequal sizes, some the same for several.
        k = int(rng.choice([3, 4, 5]))
        self.folds = [None, *(np.delete(rows, rows[i::k]) for i in range(k))]

    def _optimizer(self):
        rng = self.rng
        names = [name for name in available_optimizers() if name != "lbfgs" or rng.random() < 0.3]
        optimizer = make_optimizer(str(rng.choice(names)))
        if hasattr(optimizer, "learning_rate"):
            rate = float(rng.choice([1e-3, 1e-2, 0.1, 3.0], p=[0.3, 0.4, 0.25, 0.05]))
            optimizer.set_params(learning_rate=SCHEDULES[rng.integers(len(SCHEDULES))](rate))
        for name in ("beta_1", "momentum"):
            if name in optimizer.get_params() and rng.random() < 0.4:
                optimizer.set_params(**{name: float(rng.choice([0.8, 0.9, 0.97]))})
        return optimizer

    def job(self, optimizers):
        """A random fit of the family, as a job."""
        rng = self.rng
        params = dict(self.common)
        params |= {
            "optimizer": clone(optimizers[rng.integers(len(optimizers))]),
            "alpha": float(rng.choice([0.0, 1e-4, 1e-4, 0.1])),
            "random_state": int(rng.integers(4)),
            "max_iter": int(rng.integers(1, self.max_iter + 1)),
            "tol": float(rng.choice([0.0, 1e-4, 1e-2])),
            "n_iter_no_change": int(rng.choice([1, 3])),
        }
        is_full = type(params["optimizer"]).__name__ == "LBFGS"
        if not is_full:
            if rng.random() < 0.2:
                params["ema_decay"] = float(rng.choice([0.5, 0.9]))
            if rng.random() < 0.2:
                params["max_grad_norm"] = float(rng.choice([0.01, 1.0]))
        if self.common["hidden_layer_sizes"] and not is_full and rng.random() < 0.3:
            params["dropout"] = float(rng.choice([0.1, 0.5]))
        if self.is_classifier and rng.random() < 0.3:
            params["label_smoothing"] = 0.1
        if is_full:
            params["batch_size"] = "auto"
        rows = self.folds[rng.integers(len(self.folds))]
        X, y = (self.X, self.y) if rows is None else (self.X[rows], self.y[rows])
        weight = None
        if self.weighted and rng.random() < 0.6:
            # Some are zero, but not all of those that early stopping holds out.
            weight = rng.choice([0.0, 0.5, 1.0, 1.5], p=[0.1, 0.3, 0.3, 0.3], size=len(y))
            weight[0] = 1.0
        cls = MLPClassifier if self.is_classifier else MLPRegressor
        return prepare(cls(**params), X, y, weight)[1]

    def jobs(self, number):
        """Some random fits, of a few optimizers."""
        optimizers = [self._optimizer() for _ in range(self.rng.integers(1, 4))]
        return [self.job(optimizers) for _ in range(number)]


def fresh(job):
    """The same job, to be trained once more."""
    again = copy.copy(job)
    again.params, again.rng = job.params.copy(), copy.deepcopy(job.rng)
    again.config = replace(job.config, optimizer=clone(job.config.optimizer))
    again.resume = copy.deepcopy(job.resume)
    if job.validation is not None:
        again.validation = copy.copy(job.validation)
    return again


def result(job, outcome):
    """What must not depend on anything but the job: all that a training leaves, times apart."""
    if outcome.error is not None:
        raise outcome.error
    run = outcome.result
    history = {name: values for name, values in run.history.items() if name != "seconds"}
    found = {
        "params": run.params,
        "history": {name: np.array(values) for name, values in history.items()},
        "ending": (run.stop_reason, run.message, run.n_epochs, run.n_steps, run.n_samples),
        "best": np.array([run.best, run.first_loss]),
        "state": run.state,
        "generator": job.rng.bit_generator.state,
        "raw": _predict(job, run.params),
    }
    return list(_flat("", found))


def _predict(job, params):
    b = get_backend("cpu")
    network, plain = fold(b, job.network, params[None].astype(job.params.dtype, copy=False))
    X = job.X.toarray() if sparse.issparse(job.X) else job.X
    with one_blas_thread(), np.errstate(all="ignore"):
        return raw_output(b, network, plain, DensePool(b, X))


def _flat(name, value):
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _flat(f"{name}.{key}", value[key])
    elif isinstance(value, list | tuple):
        for i, each in enumerate(value):
            yield from _flat(f"{name}.{i}", each)
    else:
        yield name, value


def differences(one, other):
    """The names of what is not equal, to the bit."""
    names = [name for name, _ in one]
    if names != [name for name, _ in other]:
        return ["names"]
    return [name for (name, a), (_, b) in zip(one, other, strict=True) if not _equal(a, b)]


def _equal(a, b):
    if isinstance(a, np.ndarray | np.floating | float):
        a, b = np.asarray(a), np.asarray(b)
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    return bool(np.all(a == b))


def digest(found):
    """A short name of a result, to compare processes by."""
    parts = [
        (name, np.asarray(v).tobytes() if isinstance(v, np.ndarray) else v) for name, v in found
    ]
    return hashlib.sha256(pickle.dumps(parts)).hexdigest()


def alone(jobs):
    """Each job's result, trained by itself."""
    found = []
    for job in map(fresh, jobs):
        found.append(result(job, *train([job])))
    return found


def grouped(jobs, members, widest):
    """The results of some of the jobs, trained in the stacks that they make."""
    chosen = {k: fresh(jobs[k]) for k in members}
    share_data(list(chosen.values()))
    found = {}
    for stack in stacks(list(chosen), chosen.get):
        for first in range(0, len(stack), widest):
            part = stack[first : first + widest]
            outcomes = train([chosen[k] for k in part])
            for k, outcome in zip(part, outcomes, strict=True):
                found[k] = result(chosen[k], outcome), len(part)
    return found


def resumed(jobs):
    """Jobs that go on where these end; those that diverge have no end to go on from."""
    again = []
    for job in map(fresh, jobs):
        dtype = job.params.dtype
        run = train([job])[0].result
        if run.state:
            job.params = np.array(run.state.get("params", run.params), dtype=dtype)
            job.resume = run.state
            again.append(job)
    return again
