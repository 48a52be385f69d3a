"""Traces in few bytes: integers, differences along the steps, deflated.

Points are kept as multiples of the domain's width, vectors by angle and length; lengths, values and
rates as logarithms. The page undoes this: `data.js`.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np

from skopt_dl.lab.page.traces import Traces
from skopt_dl.objectives import Function

POINTS_PER_DOMAIN = 1024
ANGLES_PER_TURN = 128
# For lengths of vectors; and for values and rates, where a coarse one would be seen in a curve.
LEVELS_PER_OCTAVE = 4
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
    gradient, direction = _polar(traces.gradients), _polar(traces.directions)
    # Many directions are the gradient itself, and then compress to nothing.
    turned = direction - gradient
    turned[..., 0] = _wrapped(turned[..., 0])
    columns = (
        traces.n_steps,
        np.searchsorted(OUTCOMES, traces.outcomes),
        np.where(np.isfinite(traces.arrived), traces.arrived, NEVER),
        traces.follows_rule,
        best,
        places,
        levels(traces.values, function),
        gradient,
        turned,
        _relative(traces.rates, traces.learning_rates),
    )
    return text(b"".join(_column(column) for column in columns))


def text(data: bytes) -> str:
    """Return bytes deflated, in base64."""
    return base64.b64encode(zlib.compress(data, 6)).decode("ascii")


def levels(values: np.ndarray, function: Function) -> np.ndarray:
    """Return values of a function as integers."""
    if np.isnan(function.minimum):
        return np.round(np.arcsinh(values) * LEVELS_PER_ASINH)
    return _logarithm(values - function.minimum, FINE_LEVELS_PER_OCTAVE)


def _polar(vectors: np.ndarray) -> np.ndarray:
    """Return angles and logarithms of lengths of ``(R, length, 2)``, as integers."""
    x, y = vectors[..., 0], vectors[..., 1]
    angles = np.round(np.arctan2(y, x) / (2 * np.pi) * ANGLES_PER_TURN)
    # Whole turns do not matter, and small differences take less room.
    angles = np.unwrap(angles, axis=1, period=ANGLES_PER_TURN)
    return np.stack([angles, _logarithm(np.hypot(x, y))], axis=-1)


def _wrapped(angles: np.ndarray) -> np.ndarray:
    """Return the same angles, from minus half a turn to half a turn."""
    half = ANGLES_PER_TURN // 2
    return (angles + half) % ANGLES_PER_TURN - half


def _relative(rates: np.ndarray, learning_rates: np.ndarray) -> np.ndarray:
    """Return rates over the learning rate as logarithms, doubled; odd: the rate is negative.

    What is below `NOTHING` is no number.
    """
    relative = rates / np.where(np.isnan(learning_rates), 1.0, learning_rates)[:, None, None]
    sizes = _logarithm(np.abs(relative), FINE_LEVELS_PER_OCTAVE)
    sizes = np.where(np.isnan(rates), (NOTHING - 1) * FINE_LEVELS_PER_OCTAVE, sizes)
    return 2 * sizes + (rates < 0)


def _logarithm(positive: np.ndarray, per_octave: int = LEVELS_PER_OCTAVE) -> np.ndarray:
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
