"""Whole fits of a convolutional network, one and a stack of them: ``benchmarks networks``."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from importlib.util import find_spec
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks import report
from benchmarks.workloads import ENGINES, LEVEL, Floor
from skopt_dl import NeuralNetClassifier
from skopt_dl.layers import Conv2d, Dense, Flatten, MaxPool2d
from skopt_dl.programs import using_engine

N_MODELS = 16
BATCH_SIZE = 64
CHANNELS, UNITS, N_CLASSES = (16, 32), 64, 10
# Relative difference of losses where all start with the same weights and see the same batches.
LOSS_TOLERANCE = 1e-3
ONE, STACK = "one", f"stack of {N_MODELS}"


@dataclass(frozen=True)
class Images:
    """Square images of one channel, and for how long to train on them."""

    name: str
    make_data: Callable[[], tuple[np.ndarray, np.ndarray]]
    epochs: dict[str, int]
    floors: dict[str, Floor] = field(default_factory=dict)

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Images ``(n, side, side, 1)`` and labels; whole batches only."""
        X, y = self.make_data()
        n_rows = len(X) - len(X) % BATCH_SIZE
        return np.ascontiguousarray(X[:n_rows, :, :, None], dtype=np.float32), y[:n_rows]

    @property
    def side(self) -> int:
        return self.data[0].shape[1]

    def n_steps(self, what: str) -> int:
        """Updates of a model."""
        return self.epochs[what] * len(self.data[0]) // BATCH_SIZE


def _digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X.reshape(-1, 8, 8) / 16, y


def _generated() -> tuple[np.ndarray, np.ndarray]:
    """Images of 28 by 28: a coarse pattern for each class, and noise."""
    rng = np.random.default_rng(0)
    patterns = np.kron(rng.standard_normal((N_CLASSES, 7, 7)), np.ones((4, 4)))
    y = rng.integers(N_CLASSES, size=15 * BATCH_SIZE)
    return patterns[y] + 2 * rng.standard_normal((len(y), 28, 28)), y


# Of issue 12: the native engine is level with torch.
FLOORS = {STACK: Floor(LEVEL)}
WORKLOADS = [
    Images("digits, 8x8", _digits, {ONE: 10, STACK: 2}, FLOORS),
    Images("generated, 28x28", _generated, {ONE: 2, STACK: 1}, FLOORS),
]


def rates(what: str) -> np.ndarray:
    """The learning rates of the models, as those of a search."""
    return np.array([1e-3]) if what == ONE else np.logspace(-4, -2.5, N_MODELS)


def _model(images: Images, rate: float, epochs: int, shuffle: bool) -> NeuralNetClassifier:
    layers: list[Any] = []
    for n_channels in CHANNELS:
        layers += [Conv2d(n_channels, 3, padding="same"), "relu", MaxPool2d(2)]
    model = NeuralNetClassifier(
        [*layers, Flatten(), Dense(UNITS), "relu"],
        input_shape=images.data[0].shape[1:],
        alpha=0.0,
        batch_size=BATCH_SIZE,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=1_000_000,
        shuffle=shuffle,
        device="cpu",
        random_state=0,
    )
    return model.set_params(optimizer__learning_rate=float(rate))


def skopt_dl(engine: str, images: Images, what: str, shuffle: bool = True) -> list[float]:
    """Loss of the last epoch of each model."""
    models = [_model(images, rate, images.epochs[what], shuffle) for rate in rates(what)]
    # `fit_many` in one process.
    with using_engine(engine), joblib.parallel_config(backend="skopt_dl", n_processes=1):
        fits = (joblib.delayed(model.fit)(*images.data) for model in models)
        models = (
            joblib.Parallel(n_jobs=-1)(fits) if what == STACK else [models[0].fit(*images.data)]
        )
    if any(model.n_steps_ != images.n_steps(what) for model in models):
        raise RuntimeError(f"{images.name}: the number of updates is not {images.n_steps(what)}.")
    return [model.loss_ for model in models]


def _initial(images: Images) -> list[np.ndarray]:
    """Where our models start, in the order and layout of torch's parameters."""
    tensors = _model(images, 1e-30, 1, False).fit(*images.data).tensors_
    found: list[np.ndarray] = []
    n_in, side = 1, images.side
    for i in range(len(tensors) // 2):
        coefs = tensors[f"coefs_{i}"]
        if len(found) < 2 * len(CHANNELS):
            coefs = coefs.reshape(3, 3, n_in, -1).transpose(3, 2, 0, 1)
            n_in, side = len(coefs), side // 2
        elif len(found) == 2 * len(CHANNELS):
            # torch flattens channels first.
            coefs = coefs.reshape(side, side, n_in, UNITS).transpose(3, 2, 0, 1).reshape(UNITS, -1)
        else:
            coefs = coefs.T
        # Biases start at zero, where a ReLU has no gradient; after a step they are a little more.
        found += [np.ascontiguousarray(coefs), np.zeros(len(coefs), np.float32)]
    return found


def _torch_model(images: Images, initial: Sequence[np.ndarray] | None, layout: Any) -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n_in, n_out in zip((1, *CHANNELS), CHANNELS, strict=False):
        layers += [nn.Conv2d(n_in, n_out, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)]
    n_numbers = CHANNELS[-1] * (images.side // 2 ** len(CHANNELS)) ** 2
    layers += [nn.Flatten(), nn.Linear(n_numbers, UNITS), nn.ReLU(), nn.Linear(UNITS, N_CLASSES)]
    model = nn.Sequential(*layers)
    if initial is not None:
        with torch.no_grad():
            for mine, theirs in zip(initial, model.parameters(), strict=True):
                theirs.copy_(torch.from_numpy(mine))
    return model.to(memory_format=layout).train()


def _batches(n_rows: int, epochs: int, shuffle: bool) -> Any:
    """Epoch by epoch the rows of every batch."""
    import torch

    for _ in range(epochs):
        rows = torch.randperm(n_rows) if shuffle else torch.arange(n_rows)
        yield rows.split(BATCH_SIZE)


def _torch_images(images: Images, layout: Any) -> tuple[Any, Any]:
    import torch

    X, y = (torch.from_numpy(array) for array in images.data)
    return X.permute(0, 3, 1, 2).contiguous(memory_format=layout), y


def torch_loop(
    layout: str,
    images: Images,
    what: str,
    shuffle: bool = True,
    initial: Sequence[np.ndarray] | None = None,
) -> list[float]:
    """One training after another, each a bare loop with a fused Adam."""
    import torch

    X, y = _torch_images(images, getattr(torch, layout))
    loss_of, found = torch.nn.CrossEntropyLoss(), []
    for rate in rates(what):
        model = _torch_model(images, initial, getattr(torch, layout))
        optimizer = torch.optim.Adam(model.parameters(), lr=float(rate), fused=True)
        for batches in _batches(len(X), images.epochs[what], shuffle):
            total = torch.zeros(())
            for rows in batches:
                loss = loss_of(model(X.index_select(0, rows)), y.index_select(0, rows))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.detach()
        found.append(float(total) / len(batches))
    return found


def torch_vmap(
    images: Images,
    what: str,
    shuffle: bool = True,
    initial: Sequence[np.ndarray] | None = None,
) -> list[float]:
    """All trainings at once, with an Adam that has a learning rate for each."""
    import torch
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap
    from torch.nn.functional import cross_entropy

    X, y = _torch_images(images, torch.contiguous_format)
    every = rates(what)
    model = _torch_model(images, initial, torch.contiguous_format)
    models = [_torch_model(images, initial, torch.contiguous_format) for _ in every]
    params, _ = stack_module_state(models)
    names, tensors = list(params), [each.detach() for each in params.values()]
    steps = [
        torch.from_numpy(every.astype(np.float32)).reshape(-1, *[1] * (each.ndim - 1))
        for each in tensors
    ]
    means = [torch.zeros_like(each) for each in tensors]
    squares = [torch.zeros_like(each) for each in tensors]

    def loss(params: Any, x: Any, labels: Any) -> Any:
        return cross_entropy(functional_call(model, params, (x,)), labels)

    together = vmap(grad_and_value(loss), in_dims=(0, None, None))
    number = 0
    for batches in _batches(len(X), images.epochs[what], shuffle):
        total = torch.zeros(len(every))
        for rows in batches:
            gradients, losses = together(
                dict(zip(names, tensors, strict=True)),
                X.index_select(0, rows),
                y.index_select(0, rows),
            )
            number += 1
            found = [gradients[name] for name in names]
            torch._foreach_lerp_(means, found, 0.1)
            torch._foreach_mul_(squares, 0.999)
            torch._foreach_addcmul_(squares, found, found, 0.001)
            below = torch._foreach_sqrt(squares)
            torch._foreach_mul_(below, (1 - 0.999**number) ** -0.5)
            torch._foreach_add_(below, 1e-8)
            changes = torch._foreach_div(means, below)
            torch._foreach_mul_(changes, steps)
            torch._foreach_sub_(tensors, changes, alpha=1 / (1 - 0.9**number))
            total += losses
    return (total / len(batches)).tolist()


def _contenders(what: str) -> dict[str, Callable[..., list[float]]]:
    found: dict[str, Callable[..., list[float]]] = {
        engine: partial(skopt_dl, engine) for engine in ENGINES
    }
    if find_spec("torch") is not None:
        found["torch"] = partial(torch_loop, "contiguous_format")
        found["torch, channels last"] = partial(torch_loop, "channels_last")
        if what == STACK:
            found["torch, vmap"] = torch_vmap
    return found


def check_honesty(images: Images, what: str, contenders: dict[str, Any]) -> None:
    """For an epoch, the same weights and batches lead to the same losses, of every model."""
    images, losses = replace(images, epochs={what: 1}), {}
    for name, contender in contenders.items():
        options = {} if name in ENGINES else {"initial": _initial(images)}
        losses[name] = contender(images, what, shuffle=False, **options)
        np.testing.assert_allclose(losses[name], losses[ENGINES[0]], rtol=LOSS_TOLERANCE)


def run(rounds: int, names: Sequence[str] | None = None, save: bool = False) -> bool:
    """Time all contenders on one thread, taking turns, and print minima and ratios."""
    times: dict[str, dict[str, list[float]]] = {}
    ok, rows = True, []
    with threadpool_limits(1), warnings.catch_warnings():
        # All of them are told to stop before they have converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if find_spec("torch") is not None:
            import torch

            torch.set_num_threads(1)
        for images in WORKLOADS:
            if names and images.name not in names:
                continue
            for what in (ONE, STACK):
                contenders = _contenders(what)
                check_honesty(images, what, contenders)
                found: dict[str, list[float]] = {name: [] for name in contenders}
                for number in range(rounds):
                    order = list(contenders)
                    for name in order[number % len(order) :] + order[: number % len(order)]:
                        gc.collect()
                        start = time.perf_counter()
                        contenders[name](images, what)
                        found[name].append(time.perf_counter() - start)
                times[f"{images.name}, {what}"] = found
                holds, these = _compare(images, what, found)
                ok &= holds
                rows += these
    report.print_table(HEADER, rows)
    if save:
        report.save("networks", {"seconds": times})
    return ok


HEADER = ("network", "contender", "fit, ms", "median", "torch / ours", "by round", "floor", "")


def _compare(
    images: Images, what: str, times: dict[str, list[float]]
) -> tuple[bool, list[list[str]]]:
    """Minima, how far medians lie above them, and torch's fastest form over each of ours."""
    best = {name: min(seconds) for name, seconds in times.items()}
    peer = min((name for name in best if name not in ENGINES), key=best.__getitem__, default=None)
    ok, rows = True, []
    for name, seconds in best.items():
        above = 100 * (np.median(times[name]) / seconds - 1)
        row = [f"{images.name}, {what}", name, f"{seconds * 1e3:.0f}", f"+{above:.0f} %"]
        if peer is not None and name in ENGINES:
            ratio = best[peer] / seconds
            by_round = np.median(np.divide(times[peer], times[name]))
            floor = images.floors.get(what) if name == "native" else None
            row += [f"{ratio:.2f}", f"{by_round:.2f}", str(floor or "")]
            row.append("" if floor is None else report.verdict(floor.holds(ratio)))
            ok &= floor is None or floor.holds(ratio)
        rows.append([*row, *[""] * (len(HEADER) - len(row))])
    return ok, rows
