"""Layers whose units see all of a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from skopt_dl._params import BOOLEAN, COUNT, POSITIVE, InstanceOf
from skopt_dl.layers.base import FOLLOWS, Array, Layer, Parameter, Pass, Shape


class Dense(Layer):
    """A product with weights and a sum with biases, over the last axis.

    Parameters
    ----------
    n_units : int
    bias : bool, default=True
    gain : float, default=None
        What the initializer multiplies the scale of the weights by; None leaves it to the
        activation that follows.
    """

    constraints = {
        "n_units": COUNT,
        "bias": BOOLEAN,
        "gain": (POSITIVE, InstanceOf(type(None), "None")),
    }
    elsewhere = {
        "activation": 'a layer of its own: [Dense(64), "relu"]',
        **dict.fromkeys(("in_features", "input_dim", "input_shape"), FOLLOWS),
    }

    def __init__(self, n_units: int, bias: bool = True, gain: float | None = None):
        self.n_units = n_units
        self.bias = bias
        self.gain = gain

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        gain = 1.0 if self.gain is None else self.gain
        weights = Parameter("coefs", (shape[-1], self.n_units), "weight", gain)
        return [weights, Parameter("intercepts", (1, self.n_units), "bias")][: 1 + self.bias]

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.n_units)

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        rows = x
        if x.ndim > 3:
            rows = run.xp.reshape(x, (x.shape[0], -1, x.shape[-1]))
        product = rows @ tensors.coefs
        if self.bias:
            product = product + tensors.intercepts
        return run.xp.reshape(product, (product.shape[0], *x.shape[1:-1], self.n_units))

    def flops(self, shape: Shape) -> float:
        return 2.0 * math.prod(shape) * self.n_units


class Flatten(Layer):
    """All numbers of a sample in one row."""

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def selected(self, x: Any) -> Any:
        return x

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        return run.xp.reshape(x, (*x.shape[:2], math.prod(x.shape[2:])))
