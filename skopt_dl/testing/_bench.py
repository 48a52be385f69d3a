"""Where optimizers are tried: a small layout, given gradients, and a look at every update."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from skopt_dl.backends import backend_of
from skopt_dl.objectives import Layout, Quadratic
from skopt_dl.optimizers import Optimizer
from skopt_dl.schedules import Progress
from skopt_dl.testing._inspection import Inspection
from skopt_dl.training.updates import UpdateGroup

Array = Any

LAYOUT = Layout.from_shapes(
    [
        ("coefs_0", "input", (5, 4)),
        ("intercepts_0", "bias", (1, 4)),
        ("coefs_1", "hidden", (4, 3)),
        ("intercepts_1", "bias", (1, 3)),
        # A stack of matrices: the groups of a convolution, or heads.
        ("coefs_2", "hidden", (2, 3, 2)),
        ("intercepts_2", "bias", (1, 4)),
        ("coefs_3", "output", (3, 2)),
        ("intercepts_3", "bias", (1, 2)),
    ]
)
N_STEPS = 30
# Convex, with curvatures between 0.05 and 1; shrinking the parameters does not lead to its minimum.
QUADRATIC = Quadratic(
    np.linspace(0.05, 1.0, LAYOUT.size), np.linspace(3.0, -3.0, LAYOUT.size), layout=LAYOUT
)


def draw(
    n_models: int, dtype: str, seed: int = 0, n_steps: int = N_STEPS, layout: Layout = LAYOUT
) -> tuple[np.ndarray, np.ndarray]:
    """Starting points ``(K, P)`` and gradients ``(n_steps, K, P)``; row k does not depend on K."""
    rngs, size = [np.random.default_rng([seed, k]) for k in range(n_models)], layout.size
    start = np.stack([rng.normal(size=size) for rng in rngs])
    # Every coordinate and every model has a scale of its own.
    scales = [10.0 ** rng.uniform(-2, 1) * 10.0 ** rng.uniform(-1, 1, size) for rng in rngs]
    noise = np.stack([rng.normal(size=(n_steps, size)) for rng in rngs], axis=1)
    return start.astype(dtype), (noise * np.stack(scales)).astype(dtype)


def precisions(optimizer: Optimizer) -> list[str]:
    """What the optimizer trains in."""
    return [optimizer.dtype] if optimizer.dtype is not None else ["float64", "float32"]


class Path(NamedTuple):
    """Where models went.

    Attributes
    ----------
    params : ndarray of shape (n_steps, K, P)
        To predict with, after each step.
    trained : ndarray of shape (K, P)
        Those that are trained, after the last step.
    slots : list of K dict of str to ndarray
    """

    params: np.ndarray
    trained: np.ndarray
    slots: list[dict[str, np.ndarray]]


def follow(
    optimizers: Sequence[Optimizer],
    start: np.ndarray,
    gradients: np.ndarray,
    *,
    layout: Layout = LAYOUT,
    n_done: int = 0,
    n_in_all: int = 0,
    slots: Sequence[Mapping[str, np.ndarray]] | None = None,
    watch: type[Optimizer] = Inspection,
) -> Path:
    """Update K models with given gradients, one step an epoch, and look at every update.

    Parameters
    ----------
    optimizers : sequence of K Optimizer
        Of one class.
    start : ndarray of shape (K, P)
    gradients : ndarray of shape (n_steps, K, P)
    layout : Layout
    n_done : int, default=0
        Updates before these.
    n_in_all : int, default=0
        Updates that the run was planned to have; 0 for these and those before.
    slots : sequence of K dict, default=None
        What those left; None where there were none.
    watch : type, default=Inspection
        Goes in front of the optimizers' class.
    """
    n_steps, n_models = gradients.shape[:2]
    cls, params = type(optimizers[0]), start.copy()
    b, watching = backend_of(params), type(cls.__name__, (watch, cls), {})
    inspected = [copy.copy(optimizer) for optimizer in optimizers]
    for optimizer in inspected:
        optimizer.__class__ = watching
    planned = n_in_all or n_done + n_steps
    progress = [Progress(n_epochs=planned, n_steps=planned) for _ in optimizers]
    for each in progress:
        each.step = each.epoch = n_done
    states = [None] * n_models if slots is None else [dict(each) for each in slots]
    path = np.empty((n_steps, *start.shape), start.dtype)
    with b.quiet():
        group = UpdateGroup(b, inspected, params, layout, progress, states)
        loss = b.ones((n_models,), like=params) if group.needs_loss else None
        for number, given in enumerate(gradients):
            group.set_rate()
            elsewhere = _Elsewhere(params, given) if group.needs_gradient else None
            group.apply(given.copy(), loss, elsewhere)
            path[number] = group.eval_params()
            for each in progress:
                each.epoch += 1
    rows = [{n: a.copy() for n, a in group.row_state(k).items()} for k in range(n_models)]
    return Path(path, params, rows)


class _Elsewhere:
    """``step.gradient`` of a bowl around the parameters, where the gradient is the given one.

    Every call writes to the same array, as that of a network does.
    """

    def __init__(self, params: np.ndarray, given: np.ndarray):
        self._params, self._given = params, given
        self._result = np.empty_like(given)

    def __call__(self, params: np.ndarray) -> np.ndarray:
        self._result[...] = self._given + 0.5 * (params - self._params)
        return self._result
