"""Rules for activations, besides those for layers."""

from __future__ import annotations

import math
import numbers

import numpy as np

from skopt_dl.layers import Activation
from skopt_dl.layers.base import Shape
from skopt_dl.testing._layers import SAME, differ
from skopt_dl.testing._networks import Bench, bench_of, shapes_of
from skopt_dl.testing._rules import broken

# Slopes at this distance from where the activation is zero are compared with each other.
BESIDE = 1e-6
JUMP = 1e-3


def check_elements_are_independent(
    activation: Activation, input_shape: Shape | None = None
) -> None:
    """Each number that comes out depends on its own alone."""
    for shape in shapes_of(activation, input_shape):
        bench = bench_of(activation, shape)
        other = bench.samples.copy()
        other[..., 0] += 1.0
        before, after = bench.outputs(1), bench.outputs(1, samples=other)
        if differ(after[..., 1:], before[..., 1:], SAME):
            raise broken(
                activation,
                "An activation computes each number for itself.",
                "where the first number of a sample changes, others come out changed",
                "What sees all of a sample is a Layer: derive from that, with `forward`.",
            )


def check_kink(activation: Activation, input_shape: Shape | None = None) -> str:
    """``has_kink`` says whether the slope jumps where the activation is zero."""
    shape = shapes_of(activation, input_shape)[0]
    samples = np.zeros((2, *shape))
    samples[0], samples[1] = -BESIDE, BESIDE
    bench = Bench(activation, shape, samples=samples, given=True)
    _, grad = bench.value_and_grad(1)
    left, right = (
        grad[0, : samples.size].reshape(samples.shape)
        / bench.delta.reshape(samples.shape)
        * len(samples)
    )
    jump = float(np.abs(left - right).max())
    if (jump > JUMP) != bool(activation.has_kink):
        raise broken(
            activation,
            "has_kink says whether the slope jumps where the activation is zero.",
            f"has_kink is {activation.has_kink}, and the slope jumps by {jump:.3g} at zero",
            f"Write has_kink = {jump > JUMP}: analyses of second derivatives rely on it.",
        )
    return f"a jump of {jump:.3g}" if jump > JUMP else "smooth at zero"


def check_glorot_gain(activation: Activation) -> None:
    """``glorot_gain`` is a positive number."""
    gain = activation.glorot_gain
    if not isinstance(gain, numbers.Real) or not 0 < float(gain) < math.inf:
        raise broken(
            activation,
            "glorot_gain, which multiplies initial weights, is a positive number.",
            f"it is {gain!r}",
            "Leave it out, or say what the scale of weights is to be multiplied by.",
        )
