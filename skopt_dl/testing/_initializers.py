"""Rules for initializers: what they draw, and what from."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any
from unittest import SkipTest

import numpy as np

from skopt_dl.networks import Initializer, Layout
from skopt_dl.testing._rules import broken, expecting

Reference = Callable[[Any, int, int, float], "float | None"]

SHAPES = ((5, 3), (3, 5), (4, 4), (1, 1), (1, 6), (6, 1))
LARGE = (120, 80)
# Of a deviation, for as many weights as LARGE has: five standard errors and a little.
SCALE = 0.05
# Weights with more different sizes than this are taken for random ones.
FEW = 8
LAYOUT = Layout.from_shapes(
    [
        ("coefs_0", "input", (2, 5, 3)),
        ("coefs_1", "output", (6, 4)),
        ("intercepts_0", "bias", (1, 3)),
        ("layer_norm_0", "norm", (1, 6)),
        ("intercepts_1", "bias", (1, 4)),
    ]
)


def _draw(
    initializer: Initializer, shape: tuple[int, int], seed: int = 0, gain: float = 1.0
) -> np.ndarray:
    """Weights, of the shape and precision that they have to have."""
    rule = "draw returns finite float64 weights (n_in, n_out)."
    fix = "Write rng.normal(0.0, scale, (n_in, n_out)), or another method of the generator."
    with expecting(initializer, rule, fix, "check_what_draw_returns"):
        found: Any = initializer.draw(np.random.default_rng(seed), *shape, gain)
    came = getattr(found, "shape", None), getattr(found, "dtype", type(found))
    seen = ""
    if came[0] != shape:
        seen = f"shape {came[0]} for n_in, n_out = {shape}"
    elif came[1] != np.float64:
        seen = f"{came[1]}"
    elif not np.isfinite(found).all():
        seen = f"numbers that are not finite, for n_in, n_out = {shape}"
    if seen:
        raise broken(initializer, rule, seen, fix, "check_what_draw_returns")
    return found


def _fill(initializer: Initializer, seed: int = 0) -> np.ndarray:
    """A row that held nonsense before, filled."""
    row = np.full(LAYOUT.size, np.nan)
    with expecting(
        initializer,
        "fill writes all initial parameters of a model.",
        "Leave fill to the base class, which calls draw for each matrix.",
        "check_fill",
    ):
        initializer.fill(LAYOUT, row, np.random.default_rng(seed), [1.0, 1.0])
    return row


def _is_random(weights: np.ndarray) -> bool:
    return len(np.unique(np.abs(weights).round(12))) > FEW


def check_what_draw_returns(initializer: Initializer) -> None:
    """``draw`` returns finite float64 weights of the shape that is asked for."""
    for shape in (*SHAPES, LARGE):
        for gain in (1.0, 0.5):
            _draw(initializer, shape, gain=gain)


def check_fill(initializer: Initializer) -> None:
    """``fill`` draws every weight; biases and scales start at zero."""
    row = _fill(initializer)
    tensors = {tensor.name: tensor for tensor in LAYOUT.tensors(row[None])}
    rule = "fill draws every matrix of weights for itself; what is no weight starts at zero."
    fix = "Leave fill to the base class, which calls draw for each matrix."
    for tensor in tensors.values():
        if not np.isfinite(tensor.array).all():
            raise broken(initializer, rule, f"{tensor.name} is not filled", fix)
        if tensor.role in ("bias", "norm") and tensor.array.any():
            raise broken(initializer, rule, f"{tensor.name} ({tensor.role}) is not zero", fix)
    first, second = tensors["coefs_0"].array[0]
    if _is_random(first) and np.array_equal(first, second):
        raise broken(initializer, rule, "two groups have the same weights", fix)


def check_same_seed_same_weights(initializer: Initializer) -> None:
    """Equal generators give equal weights, whatever became of those drawn before."""
    first = _draw(initializer, LARGE)
    kept = first.copy()
    if first.flags.writeable:
        first += 1.0
    is_kept = np.array_equal(_draw(initializer, LARGE), kept)
    if first.flags.writeable:
        first[...] = kept
    if not is_kept:
        raise broken(
            initializer,
            "Equal generators give equal weights, in an array of their own.",
            "drawn twice with the same seed, weights differ",
            "Draw from the generator that is given, and from no other; keep no array.",
        )
    if not np.array_equal(_fill(initializer), _fill(copy.copy(initializer))):
        raise broken(
            initializer,
            "Equal generators give equal weights, in an array of their own.",
            "a model filled twice with the same seed has other weights",
            "Draw from the generator that is given, and from no other.",
        )


def check_other_seed_other_weights(initializer: Initializer) -> str:
    """Random weights differ from model to model."""
    first, second = (_draw(initializer, LARGE, seed=seed) for seed in (0, 1))
    if not np.array_equal(first, second):
        return "random"
    if _is_random(first):
        raise broken(
            initializer,
            "Weights that are random are others with another generator.",
            "two seeds give the same weights",
            "Draw from the generator that is given: all models would begin alike.",
        )
    return "the same for all seeds"


def check_only_its_generator(initializer: Initializer) -> None:
    """No global generator is used, nor reset."""
    before = _global_states()
    try:
        random.seed(20261126)
        np.random.seed(20261126)  # noqa: NPY002
        given = _global_states()
        _draw(initializer, LARGE)
        after = _global_states()
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
    if repr(given) != repr(after):
        raise broken(
            initializer,
            "draw uses the generator that it is given, and no global one.",
            "the state of np.random, or of random, was changed",
            "Write rng.normal(...), not np.random.normal(...); set no global seed.",
        )


def _global_states() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state()  # noqa: NPY002


def check_gain(initializer: Initializer) -> str:
    """A gain multiplies weights, or has no effect."""
    plain, scaled = _draw(initializer, LARGE), _draw(initializer, LARGE, gain=0.5)
    for factor, said in ((0.5, "multiplies weights"), (1.0, "has no effect")):
        if np.allclose(scaled, factor * plain, rtol=1e-9, atol=0):
            return said
    ratio = scaled.std() / plain.std() if plain.std() else np.inf
    raise broken(
        initializer,
        "gain multiplies the scale of weights, or has no effect.",
        f"with a gain of 0.5, weights have {ratio:.4g} times the deviation",
        "Multiply the deviation by gain, and a variance by gain**2.",
    )


def check_scale(initializer: Initializer) -> str:
    """A parameter ``scale`` multiplies weights."""
    if "scale" not in initializer.get_params(deep=False):
        raise SkipTest("it has no parameter scale")
    doubled = copy.copy(initializer)
    doubled.set_params(scale=2.0 * initializer.get_params(deep=False)["scale"])
    plain, scaled = _draw(initializer, LARGE), _draw(doubled, LARGE)
    if not np.allclose(scaled, 2.0 * plain, rtol=1e-9, atol=1e-12):
        raise broken(
            initializer,
            "scale multiplies weights.",
            f"twice the scale gives {scaled.std() / plain.std():.4g} times the deviation",
            "Read self.scale in draw; call it otherwise if it is something else.",
        )
    return "multiplies weights"


def check_reference(initializer: Initializer, reference: Reference | None = None) -> str:
    """The deviation of weights is that of the paper."""
    if reference is None:
        raise SkipTest("no reference is given")
    n_compared = 0
    for shape in (LARGE, LARGE[::-1], (300, 40)):
        for gain in (1.0, 0.5):
            with expecting(
                initializer, "The reference runs.", "reference(initializer, n_in, n_out, gain)"
            ):
                expected = reference(initializer, *shape, gain)
            if expected is None:
                continue
            n_compared += 1
            found = float(np.sqrt(np.mean(_draw(initializer, shape, gain=gain) ** 2)))
            if not abs(found - expected) <= SCALE * expected:
                raise broken(
                    initializer,
                    "Weights have the deviation of the reference.",
                    f"{found:.4g} instead of {expected:.4g} for {shape[0]} inputs and {shape[1]} "
                    f"outputs, with a gain of {gain:g}",
                    "Look at what is a variance and what a deviation, a bound or a half of it, and "
                    "which of n_in and n_out counts.",
                )
    if not n_compared:
        raise SkipTest("the reference has no values for it")
    return f"deviations within {SCALE:g}"
