"""One model and many, against the same training compiled by JAX: ``benchmarks vmap``."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import report
from benchmarks.workloads import ENGINES, WORKLOADS, Floor
from skopt_dl import MLPClassifier, fit_many
from skopt_dl.programs import using_engine

# How many at once, and how often a round times what is short.
N_MODELS = {1: 7, 64: 1}
EPOCHS = (20, 200)
# Whole batches only, since shapes are fixed in a compiled program.
N_SAMPLES = 960
# Relative difference of final losses where both see the samples in the same order.
LOSS_TOLERANCE = 1e-3
# Of issue 12: the native engine against a training that is compiled already.
FLOOR = Floor(1.0)


def _settings(n_models: int) -> tuple[np.ndarray, np.ndarray]:
    """Learning rates and penalties, each of shape (n_models,)."""
    if n_models == 1:
        return np.full(1, 1e-3, np.float32), np.full(1, 1e-4, np.float32)
    rates, alphas = np.meshgrid(np.logspace(-4, -2, 8), np.logspace(-5, -1, 8))
    return rates.ravel().astype(np.float32), alphas.ravel().astype(np.float32)


def _model(hidden: int, batch: int, epochs: int, rate: float, alpha: float) -> MLPClassifier:
    model = MLPClassifier(
        hidden,
        alpha=float(alpha),
        batch_size=batch,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs,
        random_state=0,
    )
    return model.set_params(optimizer__learning_rate=float(rate))


def _ours(
    engine: str,
    n_models: int,
    X: np.ndarray,
    y: np.ndarray,
    hidden: int,
    batch: int,
    epochs: int,
    shuffle: bool = True,
) -> list[float]:
    models = [
        _model(hidden, batch, epochs, *pair).set_params(shuffle=shuffle)
        for pair in zip(*_settings(n_models), strict=True)
    ]
    with using_engine(engine):
        fitted = fit_many(models, X, y) if n_models > 1 else [models[0].fit(X, y)]
    return [model.loss_ for model in fitted]


def _jax_fit(batch: int, epochs: int) -> Any:
    """A compiled training of all models: Adam, ReLU, cross-entropy and an L2 penalty."""
    import jax
    import jax.numpy as jnp

    def loss(params: Any, x: Any, labels: Any, alpha: Any) -> Any:
        w1, b1, w2, b2 = params
        raw = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        data = -jnp.mean(jnp.sum(jax.nn.log_softmax(raw) * labels, axis=1))
        return data + 0.5 * alpha / batch * (jnp.sum(w1**2) + jnp.sum(w2**2))

    def fit(params: Any, rate: Any, alpha: Any, X: Any, Y: Any, orders: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            params, mean, square, number = state
            value, grad = jax.value_and_grad(loss)(params, X[rows], Y[rows], alpha)
            number = number + 1
            mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grad)
            square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, grad)
            scale = rate * jnp.sqrt(1 - 0.999**number) / (1 - 0.9**number)
            params = jax.tree.map(
                lambda p, m, s: p - scale * m / (jnp.sqrt(s) + 1e-8), params, mean, square
            )
            return (params, mean, square, number), value

        zeros = jax.tree.map(jnp.zeros_like, params)
        state = (params, zeros, zeros, jnp.float32(0))
        _, values = jax.lax.scan(step, state, orders.reshape(-1, batch))
        return values.reshape(epochs, -1)[-1].mean()

    together = jax.vmap(fit, in_axes=(0, 0, 0, None, None, None))
    return jax.jit(together)


def _initial_params(
    n_models: int, X: np.ndarray, y: np.ndarray, hidden: int, batch: int
) -> list[np.ndarray]:
    """Where our models start, once for each."""
    model = _model(hidden, batch, 1, 1e-30, 0.0).fit(X, y)
    (w1, w2), (b1, b2) = model.coefs_, model.intercepts_
    return [np.repeat(array[None], n_models, axis=0) for array in (w1, b1, w2, b2)]


def _jax(
    fit: Any, params: list[np.ndarray], X: np.ndarray, y: np.ndarray, epochs: int, shuffle: bool
) -> Any:
    orders = np.tile(np.arange(len(X)), (epochs, 1))
    if shuffle:
        orders = np.random.default_rng(0).permuted(orders, axis=1)
    labels = np.eye(params[-1].shape[1], dtype=np.float32)[y]
    return np.asarray(fit(params, *_settings(len(params[0])), X, labels, orders))


def _time(call: Callable[[], Any], repeats: int = 1) -> float:
    """Seconds of the fastest call."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _n_cores() -> int:
    """What both may use: the cores that this process was given."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(rounds: int, save: bool = False) -> bool:
    """Time models with rates and penalties of their own, JAX and our engines interleaved."""
    import jax

    work = next(work for work in WORKLOADS if work.name == "tiny")
    X, y = (array[:N_SAMPLES] for array in work.data)
    (hidden,), batch = work.hidden, work.batch_size
    ok, rows, saved = True, [], {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for n_models, repeats in N_MODELS.items():
            params = _initial_params(n_models, X, y, hidden, batch)
            theirs = _jax(_jax_fit(batch, 3), params, X, y, 3, shuffle=False)
            for engine in ENGINES:
                mine = _ours(engine, n_models, X, y, hidden, batch, 3, shuffle=False)
                np.testing.assert_allclose(mine, theirs, rtol=LOSS_TOLERANCE)
            for epochs in EPOCHS:
                times: dict[str, list[float]] = {
                    name: [] for name in (*ENGINES, "compiling", "compiled")
                }
                for _ in range(rounds):
                    jax.clear_caches()
                    fit = _jax_fit(batch, epochs)

                    def train(fit: Any = fit, params: Any = params, epochs: int = epochs) -> Any:
                        return _jax(fit, params, X, y, epochs, shuffle=True)

                    times["compiling"].append(_time(train))
                    times["compiled"].append(_time(train, repeats))
                    for engine in ENGINES:
                        ours = partial(_ours, engine, n_models, X, y, hidden, batch, epochs)
                        times[engine].append(_time(ours, repeats))
                what = f"tiny, {n_models} model{'s' * (n_models > 1)}, {epochs} epochs"
                saved[what] = times
                best = {name: min(seconds) for name, seconds in times.items()}
                for engine in ENGINES:
                    ratio = best["compiled"] / best[engine]
                    floor = FLOOR if engine == "native" else None
                    ok &= floor is None or floor.holds(ratio)
                    rows.append(
                        [
                            what,
                            engine,
                            f"{best[engine] * 1e3:.0f}",
                            f"{best['compiling'] * 1e3:.0f}",
                            f"{best['compiling'] / best[engine]:.1f}",
                            f"{best['compiled'] * 1e3:.0f}",
                            f"{ratio:.2f}",
                            floor or "",
                            "" if floor is None else report.verdict(floor.holds(ratio)),
                        ]
                    )
    print(f"jax {jax.__version__}, all on {_n_cores()} of {os.cpu_count()} cores")
    header = ["", "engine", "ours, ms", "JAX, compiling, ms", "ratio"]
    report.print_table([*header, "compiled before, ms", "ratio", "floor", ""], rows)
    if save:
        report.save("vmap", {"seconds": saved, "cores": _n_cores()})
    return ok
