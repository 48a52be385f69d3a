"""A look at layers and losses while they are recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skopt_dl.layers import Layer, Pass
from skopt_dl.layers.base import shape_out
from skopt_dl.networks import Loss
from skopt_dl.testing._rules import broken

Array = Any


class Same:
    """An object as a key of a cache: itself, and as it is configured now."""

    def __init__(self, component: Any):
        self.component, self._form = component, repr(component)

    def __hash__(self) -> int:
        return hash((id(self.component), self._form))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Same)
            and self.component is other.component
            and self._form == other._form
        )


def watched(component: Any) -> Any:
    """A copy that is looked at when it is called; of a class of its own, so recorded anew."""
    cls = type(component)
    if isinstance(component, Layer):
        watch: type[Any] = _WatchedLayer
    else:
        watch = _WatchedGradient if component.knows_gradient else _WatchedLoss
    found = copy.copy(component)
    found.__class__ = type(cls.__name__, (watch, cls), {"__module__": cls.__module__})
    return found


def check_self(component: Any, before: dict[str, Any], method: str) -> None:
    """See that a method has left the attributes alone."""
    changed = sorted(
        name
        for name in before.keys() | vars(component).keys()
        if not _same(before.get(name), vars(component).get(name))
    )
    if changed:
        raise broken(
            component,
            f"{method} changes nothing in self, which is configuration and may be many models'.",
            f"{method} sets self.{', self.'.join(changed)}",
            "Compute what it is in the method itself; what depends on parameters alone is a "
            "property.",
            owner="check_self_is_left_alone",
        )


def attributes(component: Any) -> dict[str, Any]:
    """The attributes of an object, as they are now."""
    return {
        name: copy.copy(value) if isinstance(value, np.ndarray | list | dict | set) else value
        for name, value in vars(component).items()
    }


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and a.tobytes() == b.tobytes()
    return a is b or (type(a) is type(b) and isinstance(a, list | dict | set) and a == b)


class _WatchedLayer(Layer):
    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        before, given = attributes(self), x.value if hasattr(x, "value") else None
        result = super().forward(x, tensors, _WatchedPass(self, run))
        check_self(self, before, "forward")
        if given is not None and x.value is not given:
            raise broken(
                self,
                "forward changes nothing that it is given.",
                "x was written to",
                "Write y = x * 2, not x *= 2.",
                owner="check_input_is_left_alone",
            )
        wanted = (x.shape[1], *shape_out(self, tuple(x.shape[2:])))
        shape = getattr(result, "shape", None)
        if shape is None or tuple(shape[1:]) != wanted:
            came = repr(result) if shape is None else f"an array of shape {tuple(shape)}"
            raise broken(
                self,
                "What comes out has the shape that output_shape says, behind models and samples.",
                f"{came} for an x of shape {tuple(x.shape)}; output_shape says "
                f"{(x.shape[0], *wanted)}",
                "Correct output_shape, or keep the first two axes in forward.",
                owner="check_output_shape",
            )
        # Rows that a scaling has not multiplied yet are no arrays.
        _check_dtype(self, "forward", getattr(result, "dtype", x.dtype), x.dtype)
        return result


class _WatchedPass(Pass):
    """The pass, with a look at what `custom` is given."""

    def __init__(self, layer: Layer, run: Pass):
        self._layer, self._run = layer, run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def custom(self, forward: Any, backward: Any, *inputs: Array) -> Array:
        def watched_backward(delta: Array, out: Array, *given: Array) -> Sequence[Array]:
            found = backward(delta, out, *given)
            for gradient, each in zip(found, given, strict=False):
                dtype = getattr(gradient, "dtype", each.dtype)
                _check_dtype(self._layer, "the derivative", dtype, each.dtype)
            return found

        return self._run.custom(forward, watched_backward, *inputs)

    def mask(self, layer: Layer, x: Array) -> Array | None:
        return self._run.mask(layer, x)

    def share_of(self, rows: Array) -> Array:
        return self._run.share_of(rows)

    def mean(self, rows: Array) -> Array:
        return self._run.mean(rows)

    def keep(self, average: Array, value: Array) -> None:
        self._run.keep(average, value)


def _check_dtype(component: Any, method: str, came: Any, given: Any) -> None:
    if came != given:
        raise broken(
            component,
            "What comes out has the precision of what goes in.",
            f"{method} returns {came} for {given}",
            "Find the float64 array that came in: constants made with NumPy are such. Use Python "
            "floats, or xp.asarray(constant, dtype=x.dtype).",
            owner="check_precision",
        )


class _WatchedLoss(Loss):
    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        return _call(self, "value", super().value, xp, raw, y, raw.shape[:2])


class _WatchedGradient(_WatchedLoss):
    def gradient(self, xp: Any, raw: Array, y: Array) -> Array:
        return _call(self, "gradient", super().gradient, xp, raw, y, raw.shape)

    def gradient_and_rest(self, xp: Any, raw: Array, y: Array) -> tuple[Array, Array]:
        kept: list[Array] = []

        def gradient(*arguments: Any) -> Array:
            found, rest = super(_WatchedGradient, self).gradient_and_rest(*arguments)
            kept.append(rest)
            return found

        found = _call(self, "gradient", gradient, xp, raw, y, raw.shape)
        return found, kept[0]


def _call(
    loss: Loss,
    name: str,
    method: Callable[..., Array],
    xp: Any,
    raw: Array,
    y: Array,
    wanted: tuple[int, ...],
) -> Array:
    before, given = attributes(loss), [getattr(each, "value", None) for each in (raw, y)]
    found = method(xp, raw, y)
    check_self(loss, before, name)
    if [getattr(each, "value", None) for each in (raw, y)] != given:
        raise broken(
            loss,
            f"{name} changes nothing that it is given.",
            "raw or y was written to",
            "Write error = raw - y, not raw -= y.",
            owner="check_arrays_are_left_alone",
        )
    shape = getattr(found, "shape", None)
    if shape is None or tuple(shape) != tuple(wanted):
        raise broken(
            loss,
            "value returns one number a sample, (K, n_samples), and gradient an array like raw.",
            f"{name} returns {found!r}" * (shape is None)
            + f"{name} returns shape {shape} for raw outputs of shape {raw.shape}"
            * (shape is not None),
            "Sum over the last axis, that of a sample's outputs, and over no other.",
            owner="check_what_value_returns",
        )
    _check_dtype(loss, name, getattr(found, "dtype", raw.dtype), raw.dtype)
    return found
