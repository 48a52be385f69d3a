"""The same training, written four times.

A contender is a function of a `Workload` that trains from scratch and returns an `Outcome`; all of
it is timed. Each draws its own initial weights and its own order of the samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
from sklearn.neural_network import MLPClassifier as SklearnMLP

from benchmarks.workloads import ALPHA, LEARNING_RATE, Workload
from skopt_dl import MLPClassifier
from skopt_dl.plugins.lookup import available
from skopt_dl.programs import using_engine

# All of them run all of their epochs.
NEVER_STOP = {"tol": 0.0, "n_iter_no_change": 1_000_000}


@dataclass
class Outcome:
    """Proof of work: the updates made, and what they led to.

    Attributes
    ----------
    n_steps : int
        As counted by the contender itself.
    log_proba : callable or None
        Maps samples to log-probabilities ``(n_samples, n_classes)``; None where nothing is learnt.
    """

    n_steps: int
    log_proba: Callable[[np.ndarray], np.ndarray] | None = None


def skopt_dl(work: Workload, engine: str = "numpy") -> Outcome:
    with using_engine(engine):
        return _skopt_dl(work)


def _skopt_dl(work: Workload) -> Outcome:
    X, y = work.data
    model = MLPClassifier(
        work.hidden,
        optimizer="adam",
        alpha=ALPHA,
        batch_size=work.batch_size,
        max_iter=work.epochs,
        device="cpu",
        random_state=0,
        **NEVER_STOP,
    ).fit(X, y)
    return Outcome(model.n_steps_, model.predict_log_proba)


def scikit_learn(work: Workload) -> Outcome:
    X, y = work.data
    model = SklearnMLP(
        work.hidden,
        solver="adam",
        alpha=ALPHA,
        batch_size=work.batch_size,
        learning_rate_init=LEARNING_RATE,
        max_iter=work.epochs,
        random_state=0,
        **NEVER_STOP,
    ).fit(X, y)
    return Outcome(model._optimizer.t, model.predict_log_proba)


def products(work: Workload) -> Outcome:
    """The matrix products of every step and nothing else: no gathering, no bias, no activation.

    ``np.dot`` into preallocated arrays is the fastest form NumPy has. The operands are what
    training would multiply in size and magnitude; nothing is learnt.
    """
    X, _ = work.data
    sizes = work.layer_sizes
    rng = np.random.default_rng(0)
    weights = [
        (rng.standard_normal((n, m)) / np.sqrt(n)).astype(np.float32) for n, m in pairwise(sizes)
    ]
    grads = [np.empty_like(w) for w in weights]
    # Layer by layer, the outputs and their gradients, for full batches and for the last.
    outputs = [np.empty((work.batch_size, m), np.float32) for m in sizes[1:]]
    deltas = [rng.standard_normal(z.shape).astype(np.float32) for z in outputs]
    layers = list(range(len(weights)))
    dot, n_steps = np.dot, 0
    for _ in range(work.epochs):
        for start in range(0, len(X), work.batch_size):
            x = X[start : start + work.batch_size]
            n = len(x)
            a = [x, *(z[:n] for z in outputs)]
            delta = [d[:n] for d in deltas]
            for i in layers:
                dot(a[i], weights[i], out=a[i + 1])
            for i in reversed(layers):
                dot(a[i].T, delta[i], out=grads[i])
                if i:
                    dot(delta[i], weights[i].T, out=delta[i - 1])
            n_steps += 1
    return Outcome(n_steps)


def torch(work: Workload) -> Outcome:
    """A bare loop: no DataLoader, no loss kept, one fused kernel for all of Adam."""
    import torch
    from torch import nn

    X, y = (torch.from_numpy(array) for array in work.data)
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n, m in pairwise(work.layer_sizes):
        layers += [nn.Linear(n, m), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    model.train()
    loss_of = nn.CrossEntropyLoss()
    # scikit-learn divides its penalty by the batch's samples. It spares the biases; one group of
    # parameters, biases included, is faster.
    optimizer = torch.optim.Adam(
        model.parameters(), lr=LEARNING_RATE, weight_decay=ALPHA / work.batch_size, fused=True
    )
    n_steps = 0
    for _ in range(work.epochs):
        for rows in torch.randperm(len(X)).split(work.batch_size):
            # Faster than X[rows], and than one gathering of the whole epoch.
            loss = loss_of(model(X.index_select(0, rows)), y.index_select(0, rows))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            n_steps += 1

    def log_proba(samples: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(samples)).log_softmax(1).numpy()

    return Outcome(n_steps, log_proba)


CONTENDERS: dict[str, Callable[[Workload], Outcome]] = {
    "skopt_dl": skopt_dl,
    "scikit-learn": scikit_learn,
    "products": products,
}
if "native" in available("engine"):
    CONTENDERS["native"] = partial(skopt_dl, engine="native")
if find_spec("torch") is not None:
    CONTENDERS["torch"] = torch
