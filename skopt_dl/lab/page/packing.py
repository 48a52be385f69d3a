"""Traces in few bytes: integers, differences along the steps, deflated.

Points are kept as multiples of the domain's width, all else as logarithms. The page undoes this:
`data.js`.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np

from skopt_dl.lab.page.traces import Traces
from skopt_dl.objectives import Function

POINTS_PER_DOMAIN = 1024
# For vectors; and for values and rates, where coarse ones would be seen in a curve.
LEVELS_PER_OCTAVE = 8
FINE_LEVELS_PER_OCTAVE = 16
# Where values have no lower end: levels for one unit of the inverse hyperbolic sine.
LEVELS_PER_ASINH = 32
# The octave of what is as good as zero.
NOTHING = -60
NEVER = -1
OUTCOMES = ("diverged", "moving", "reached", "stalled")


def pack(traces: Traces, function: Function, best: np.ndarray) -> str:
    """Return traces as base64 text.

    Each column is an array ``(R, channels, length)`` of 16-bit numbers: of each row the first
    number and then the differences, zigzag coded, first the low byte of all and then the high one.
    """
    span = function.upper - function.lower
    places = np.round((traces.points - function.lower) / span * POINTS_PER_DOMAIN)
    gradients, directions = (
        _signed(vectors, LEVELS_PER_OCTAVE) for vectors in (traces.gradients, traces.directions)
    )
    learning_rates = np.where(np.isnan(traces.learning_rates), 1.0, traces.learning_rates)
    columns = (
        traces.n_steps,
        np.searchsorted(OUTCOMES, traces.outcomes),
        np.where(np.isfinite(traces.arrived), traces.arrived, NEVER),
        traces.follows_rule,
        best,
        places,
        _levels(traces.values, function),
        gradients,
        # Many directions are the gradient itself, and many rates the learning rate: nothing is
        # left to store.
        directions - gradients,
        _signed(traces.rates / learning_rates[:, None, None], FINE_LEVELS_PER_OCTAVE),
    )
    return text(b"".join(_column(column) for column in columns))


def text(data: bytes) -> str:
    """Return bytes deflated, in base64."""
    return base64.b64encode(zlib.compress(data, 6)).decode("ascii")


def _levels(values: np.ndarray, function: Function) -> np.ndarray:
    """Return values of a function as integers."""
    if not np.isfinite(function.minimum):
        return np.round(np.arcsinh(values) * LEVELS_PER_ASINH)
    return _logarithm(values - function.minimum, FINE_LEVELS_PER_OCTAVE)


def _signed(numbers: np.ndarray, per_octave: int) -> np.ndarray:
    """Return logarithms in levels, doubled; odd: the number is negative.

    What is below `NOTHING` is no number.
    """
    sizes = _logarithm(np.abs(numbers), per_octave)
    sizes = np.where(np.isnan(numbers), (NOTHING - 1) * per_octave, sizes)
    return 2 * sizes + (numbers < 0)


def _logarithm(positive: np.ndarray, per_octave: int) -> np.ndarray:
    """Return logarithms in levels, those of nothing for zero."""
    return np.round(np.log2(np.maximum(positive, 2.0**NOTHING)) * per_octave)


def _column(numbers: np.ndarray) -> bytes:
    """Code ``(R,)``, ``(R, length)`` or ``(R, length, channels)``."""
    numbers = np.asarray(numbers).astype(np.int64)
    if numbers.ndim == 3:
        numbers = np.swapaxes(numbers, 1, 2)
    elif numbers.ndim == 1:
        numbers = numbers[:, None]
    differences = np.diff(numbers, axis=-1, prepend=0)
    coded = np.where(differences < 0, -2 * differences - 1, 2 * differences).astype(np.uint16)
    return (coded & 255).astype(np.uint8).tobytes() + (coded >> 8).astype(np.uint8).tobytes()
