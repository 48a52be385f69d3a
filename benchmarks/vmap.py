"""Many models at once, against ``jax.vmap`` over the same training: ``benchmarks vmap``."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import report
from benchmarks.workloads import WORKLOADS
from skopt_dl import MLPClassifier, fit_many

N_MODELS = 64
EPOCHS = (20, 200)
# Whole batches only, since shapes are fixed in a compiled program.
N_SAMPLES = 960
# Relative difference of final losses where both see the samples in the same order.
LOSS_TOLERANCE = 1e-3


def _settings() -> tuple[np.ndarray, np.ndarray]:
    """Learning rates and penalties, each of shape (N_MODELS,)."""
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
    X: np.ndarray, y: np.ndarray, hidden: int, batch: int, epochs: int, shuffle: bool = True
) -> list[float]:
    models = [
        _model(hidden, batch, epochs, *pair).set_params(shuffle=shuffle)
        for pair in zip(*_settings(), strict=True)
    ]
    return [model.loss_ for model in fit_many(models, X, y)]


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


def _initial_params(X: np.ndarray, y: np.ndarray, hidden: int, batch: int) -> list[np.ndarray]:
    """Where our models start, once for each."""
    model = _model(hidden, batch, 1, 1e-30, 0.0).fit(X, y)
    (w1, w2), (b1, b2) = model.coefs_, model.intercepts_
    return [np.repeat(array[None], N_MODELS, axis=0) for array in (w1, b1, w2, b2)]


def _jax(
    fit: Any, params: list[np.ndarray], X: np.ndarray, y: np.ndarray, epochs: int, shuffle: bool
) -> Any:
    orders = np.tile(np.arange(len(X)), (epochs, 1))
    if shuffle:
        orders = np.random.default_rng(0).permuted(orders, axis=1)
    labels = np.eye(params[-1].shape[1], dtype=np.float32)[y]
    return np.asarray(fit(params, *_settings(), X, labels, orders))


def run(rounds: int, save: bool = False) -> bool:
    """Time `N_MODELS` models with rates and penalties of their own, the two interleaved."""
    import jax

    work = next(work for work in WORKLOADS if work.name == "tiny")
    X, y = (array[:N_SAMPLES] for array in work.data)
    (hidden,), batch = work.hidden, work.batch_size
    rows, saved = [], {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        params = _initial_params(X, y, hidden, batch)
        theirs = _jax(_jax_fit(batch, 3), params, X, y, 3, shuffle=False)
        np.testing.assert_allclose(
            _ours(X, y, hidden, batch, 3, shuffle=False), theirs, rtol=LOSS_TOLERANCE
        )
        for epochs in EPOCHS:
            times: dict[str, list[float]] = {"ours": [], "compiled": [], "compiling": []}
            for _ in range(rounds):
                jax.clear_caches()
                fit = _jax_fit(batch, epochs)
                for name in ("compiling", "compiled"):
                    start = time.perf_counter()
                    _jax(fit, params, X, y, epochs, shuffle=True)
                    times[name].append(time.perf_counter() - start)
                start = time.perf_counter()
                _ours(X, y, hidden, batch, epochs)
                times["ours"].append(time.perf_counter() - start)
            best = {name: min(seconds) for name, seconds in times.items()}
            saved[f"{epochs} epochs"] = times
            rows.append(
                [
                    f"tiny, {N_MODELS} models, {epochs} epochs",
                    f"{best['ours']:.2f}",
                    f"{best['compiling']:.2f}",
                    f"{best['compiling'] / best['ours']:.1f}",
                    f"{best['compiled']:.2f}",
                    f"{best['compiled'] / best['ours']:.1f}",
                ]
            )
    header = ["", "fit_many, s", "vmap with compiling, s", "ratio", "vmap compiled, s", "ratio"]
    print(f"jax {jax.__version__}")
    report.print_table(header, rows)
    if save:
        report.save("vmap", {"seconds": saved})
    return True
