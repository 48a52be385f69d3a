"""One convolution, forward and backward, against torch's: ``benchmarks convolutions``."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import report
from skopt_dl.backends import NumPyBackend
from skopt_dl.layers import Conv2d, Pass
from skopt_dl.programs import Binding, Memory, Tracer, differentiate

# Of the largest element: results that are sums of up to 50,000 products.
TOLERANCE = 1e-4
# A measurement repeats what is shorter, and takes the mean.
MIN_SECONDS = 0.02
OURS, FORWARD, BOTH = "skopt_dl", "forward", "and backward"


class Convolution(NamedTuple):
    """A batch of square images with as much padding as keeps their size, and square kernels."""

    n_rows: int
    side: int
    n_in: int
    n_out: int
    size: int

    def __str__(self) -> str:
        n_rows, side, n_in, n_out, size = self
        return f"batch {n_rows}, {side}x{side}, {n_in} to {n_out}, {size}x{size}"

    def arrays(self) -> dict[str, np.ndarray]:
        """What is given, channels last: images, weights, biases, and the gradient of the result."""
        n_rows, side, n_in, n_out, size = self
        shapes = {
            "x": (n_rows, side, side, n_in),
            "coefs": (size * size * n_in, n_out),
            "intercepts": (1, n_out),
            "delta": (n_rows, side, side, n_out),
        }
        rng = np.random.default_rng(0)
        return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


SHAPES = [
    Convolution(64, 28, 16, 32, 3),
    Convolution(64, 28, 1, 16, 3),
    Convolution(200, 8, 16, 32, 3),
    Convolution(64, 14, 32, 64, 3),
    Convolution(64, 14, 64, 64, 1),
    Convolution(32, 32, 32, 32, 5),
]


def ours(shape: Convolution, backward: bool) -> Callable[[], list[np.ndarray]]:
    """A program of `Conv2d`, as networks have it: one of the result, and one of the gradients too.

    Returns
    -------
    compute : callable
        Returns the result, and the gradients at images, weights and biases if asked for.
    """
    b, tracer, run = NumPyBackend(), Tracer("float32"), Pass()
    run.xp = tracer.xp
    arrays = {name: array[None] for name, array in shape.arrays().items()}
    given = {name: tracer.given(name, array.shape) for name, array in arrays.items()}
    layer = Conv2d(shape.n_out, shape.size, padding="same")
    result = layer.forward(given["x"], SimpleNamespace(**given), run)
    wanted = ("x", "coefs", "intercepts") if backward else ()
    gradients = {name: np.empty_like(arrays[name]) for name in wanted}
    places = {f"gradient at {name}": array for name, array in gradients.items()}
    pairs = zip(wanted, places.items(), strict=True)
    targets = [(given[name], tracer.given(key, each.shape)) for name, (key, each) in pairs]
    if backward:
        differentiate(tracer, [(result, given["delta"])], targets)
    # The memory of the result is handed in, which spares a copy of it.
    buffer = result.value.buffer
    buffer.name, tracer.inputs["result"] = "result", buffer
    places["result"] = np.empty(buffer.like.shape, np.float32)
    binding = Binding(b, tracer.program(), arrays | places, Memory(b, arrays["x"]))
    calls, results = binding.calls(), [places["result"].reshape(result.shape), *gradients.values()]

    def compute() -> list[np.ndarray]:
        for call in calls:
            call()
        return [array[0] for array in results]

    return compute


def torchs(shape: Convolution, backward: bool, channels_last: bool) -> Callable[[], Any]:
    """The same in torch, in one of the two layouts that it has for images."""
    import torch
    from torch.nn.functional import conv2d

    layout = torch.channels_last if channels_last else torch.contiguous_format
    arrays = {name: torch.from_numpy(array) for name, array in shape.arrays().items()}

    def images(array: Any) -> Any:
        return array.permute(0, 3, 1, 2).contiguous(memory_format=layout)

    kernels = arrays["coefs"].reshape(shape.size, shape.size, shape.n_in, shape.n_out)
    weights = kernels.permute(3, 2, 0, 1).contiguous(memory_format=layout)
    inputs = [images(arrays["x"]), weights, arrays["intercepts"][0]]
    inputs = [each.requires_grad_(backward) for each in inputs]
    delta = images(arrays["delta"])

    def compute() -> list[Any]:
        result = conv2d(*inputs, padding=shape.size // 2)
        return [result, *(torch.autograd.grad(result, inputs, delta) if backward else ())]

    return compute


def _as_ours(found: list[Any]) -> list[np.ndarray]:
    """What torch found, in our layout."""
    result, *gradients = (each.detach().numpy() for each in found)
    result = result.transpose(0, 2, 3, 1)
    if not gradients:
        return [result]
    x, weights, biases = gradients
    coefs = weights.transpose(2, 3, 1, 0).reshape(-1, weights.shape[0])
    return [result, x.transpose(0, 2, 3, 1), coefs, biases[None]]


def _contenders(shape: Convolution, backward: bool) -> dict[str, Callable[[], Any]]:
    """Every contender, after it was seen to compute the same."""
    found = {OURS: ours(shape, backward)}
    expected = found[OURS]()
    if find_spec("torch") is not None:
        for name, channels_last in (("torch", False), ("torch, channels last", True)):
            found[name] = torchs(shape, backward, channels_last)
            for mine, theirs in zip(expected, _as_ours(found[name]()), strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=0, atol=TOLERANCE * abs(mine).max())
    return found


def _time(compute: Callable[[], Any]) -> float:
    """Seconds of a call."""
    number, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < MIN_SECONDS:
        compute()
        number += 1
    return elapsed / number


def run(rounds: int, save: bool = False) -> bool:
    """Time both on one thread, taking turns, and print minima and ratios."""
    rows, saved = [], {}
    has_torch = find_spec("torch") is not None
    with threadpool_limits(1):
        if has_torch:
            import torch

            torch.set_num_threads(1)
        for shape in SHAPES:
            contenders = {
                (what, name): compute
                for what in (FORWARD, BOTH)
                for name, compute in _contenders(shape, what == BOTH).items()
            }
            times: dict[tuple[str, str], list[float]] = {key: [] for key in contenders}
            for _ in range(rounds):
                for key, compute in contenders.items():
                    times[key].append(_time(compute))
            best = {key: min(seconds) for key, seconds in times.items()}
            row = [str(shape)]
            for what in (FORWARD, BOTH):
                mine = best.pop((what, OURS))
                row.append(f"{mine * 1e3:.2f}")
                if has_torch:
                    # The layout that suits it better.
                    theirs = min(seconds for key, seconds in best.items() if key[0] == what)
                    row += [f"{theirs * 1e3:.2f}", f"{mine / theirs:.2f}"]
            rows.append(row)
            saved[str(shape)] = {f"{name}, {what}": s for (what, name), s in times.items()}
    header = ["images, channels, kernel"]
    for what in (FORWARD, BOTH):
        header += [f"{what}, ms", "torch", "ratio"][: 3 if has_torch else 1]
    report.print_table(header, rows)
    if save:
        report.save("convolutions", {"seconds": saved})
    return True
