"""Reverse mode: from what was traced to the instructions that compute its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skopt_dl.programs.instructions import Operand
from skopt_dl.programs.tracing import Node, Symbol, Tracer, TracingError
from skopt_dl.programs.values import Value

Rule = Callable[..., Any]


def differentiate(
    tracer: Tracer,
    seeds: Sequence[tuple[Symbol, Symbol]],
    wanted: Sequence[tuple[Symbol, Symbol | None]],
) -> list[Symbol]:
    """Record the gradient of what was traced so far.

    Parameters
    ----------
    tracer : Tracer
    seeds : sequence of (Symbol, Symbol)
        Results, and the gradient at each.
    wanted : sequence of (Symbol, Symbol or None)
        Of what the gradient is asked for, and where it is to be written.

    Returns
    -------
    gradients : list of Symbol
        Zero where nothing depends on it.

    Raises
    ------
    TracingError
        If something has no derivative that is known.
    """
    return _Reverse(tracer, wanted).run(seeds)


class _Reverse:
    def __init__(self, tracer: Tracer, wanted: Sequence[tuple[Symbol, Symbol | None]]):
        self.tracer, self.xp = tracer, tracer.xp
        self.wanted = wanted
        self.targets = {symbol.value: target for symbol, target in wanted if target is not None}
        self.deltas: dict[Value, Symbol] = {}
        # Gradients that nobody else has, which may be added to in place.
        self.own: set[Value] = set()
        self.nodes = list(tracer.tape)
        self.needed = {symbol.value for symbol, _ in wanted}
        for node in self.nodes:
            if any(value in self.needed for value in _values(node.inputs)):
                self.needed.add(node.out)

    def run(self, seeds: Sequence[tuple[Symbol, Symbol]]) -> list[Symbol]:
        with self.tracer.untaped():
            for symbol, delta in seeds:
                self.give(symbol.value, lambda delta=delta: delta)
            for node in reversed(self.nodes):
                delta = self.deltas.get(node.out)
                if delta is not None:
                    self.visit(node, delta)
            return [self.gradient(symbol, target) for symbol, target in self.wanted]

    def gradient(self, symbol: Symbol, target: Symbol | None) -> Symbol:
        found = self.deltas.get(symbol.value)
        if found is not None:
            return found
        zeros = self.xp.zeros_like(symbol)
        if target is None:
            return zeros
        target[...] = 0.0
        return target

    def visit(self, node: Node, delta: Symbol) -> None:
        """Give a node's inputs their part of the gradient at its result."""
        if node.out.buffer in self.tracer.mutated:
            raise TracingError("it writes into an array whose gradient is asked for")
        if node.backward is not None:
            out = self.symbol(node.out)
            parts = node.backward(delta, out, *map(self.symbol, node.inputs))
            for value, part in zip(node.inputs, parts, strict=True):
                if part is not None and isinstance(value, Value):
                    self.give(value, lambda part=part: part)
        elif node.op == "slice":
            self.give_part(node.inputs[0], node.attributes["argument"], delta)
        elif node.op == "concat":
            self.split(node, delta)
        else:
            self.apply(node, delta)

    def apply(self, node: Node, delta: Symbol) -> None:
        rules = RULES.get(node.op)
        if rules is None:
            if any(value in self.needed for value in _values(node.inputs)):
                raise TracingError(f"it has no derivative: {node.op}")
            return
        out = self.symbol(node.out)
        inputs = [self.symbol(each) for each in node.inputs]
        for value, rule in zip(node.inputs, rules, strict=False):
            if isinstance(value, Value) and rule is not None:
                self.give(
                    value,
                    lambda rule=rule, value=value: self.reduce_to(
                        rule(self.xp, delta, out, inputs, node.attributes), value.shape
                    ),
                )

    def symbol(self, operand: Operand) -> Any:
        return Symbol(self.tracer, operand) if isinstance(operand, Value) else operand

    def reduce_to(self, delta: Symbol, shape: tuple[int, ...]) -> Symbol:
        """Sum over the axes that broadcasting has added."""
        if delta.shape == shape:
            return delta
        front = delta.ndim - len(shape)
        axes = [i + front for i, n in enumerate(shape) if n == 1 and delta.shape[i + front] > 1]
        for axis in reversed([*range(front), *axes]):
            delta = self.xp.sum(delta, axis=axis, keepdims=True)
        return self.xp.reshape(delta, shape) if front else delta

    def give(self, value: Value, make: Callable[[], Symbol]) -> None:
        """Add to the gradient at a value."""
        if value not in self.needed:
            return
        before, target = self.deltas.get(value), self.targets.get(value)
        n_before = len(self.tracer.instructions)
        delta = make()
        if before is not None:
            if value in self.own or target is not None:
                self.tracer.emit("add", before, delta, out=before)
            else:
                self.deltas[value] = before + delta
            return
        if target is not None:
            delta = self.redirect(delta, target, n_before)
        self.deltas[value] = delta

    def redirect(self, delta: Symbol, target: Symbol, n_before: int) -> Symbol:
        """Have a gradient written where it is wanted, by the instruction that computes it."""
        instructions = self.tracer.instructions
        last = instructions[-1] if len(instructions) > n_before else None
        if last is None or last.out is not delta.value or not delta.value.is_whole:
            target[...] = delta
            return target
        self.tracer.assign(target, delta)
        return target

    def give_part(self, operand: Operand, key: Any, delta: Symbol) -> None:
        """Add to the gradient at a part of a value."""
        assert isinstance(operand, Value)
        if operand not in self.needed:
            return
        if operand not in self.own:
            before, target = self.deltas.get(operand), self.targets.get(operand)
            whole = target
            if target is None:
                whole = Symbol(self.tracer, self.tracer.temporary(operand.like))
            if before is None or before is not target:
                whole[...] = 0.0 if before is None else before
            self.deltas[operand] = whole
            self.own.add(operand)
        part = self.deltas[operand][key]
        self.tracer.emit("add", part, delta, out=part)

    def split(self, node: Node, delta: Symbol) -> None:
        axis, start = node.attributes["axis"], 0
        for value in _values(node.inputs):
            stop = start + value.shape[axis]
            key = (*[slice(None)] * axis, slice(start, stop))
            self.give(value, lambda key=key: delta[key])
            start = stop


def _values(operands: Sequence[Operand]) -> list[Value]:
    return [each for each in operands if isinstance(each, Value)]


def _spread(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    return xp.broadcast_to(d, i[0].shape)


def _share_of_extreme(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    """The gradient at the largest, or smallest, shared by those that are equal."""
    at = xp.astype(i[0] == y, d.dtype)
    return at * (d / xp.sum(at, axis=a["axes"], keepdims=True))


def _unpermute(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    return xp.permute_dims(d, np.argsort(a["argument"]).tolist())


def _unpad(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    pairs = zip(a["widths"], i[0].shape, strict=True)
    return d[tuple(slice(before, before + n) for (before, _), n in pairs)]


def _convolved_images(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    """The gradient at images: a convolution too, or the patches' gradients, added up."""
    (images, weights), geometry = i, a["geometry"]
    *front, n_in, n_out = weights.shape
    n_rows, height, width, n = images.shape[-4:]
    size, number = geometry.size, geometry.number(height, width)
    # To add up patches takes about eight times as long as to copy them.
    transposed = geometry.transposed if n_out <= 8 * n else None
    if transposed is not None:
        axes = len(front)
        window = xp.reshape(weights, (*front, *size, n, n_out))[..., ::-1, ::-1, :, :]
        turned = xp.permute_dims(window, (*range(axes + 2), axes + 3, axes + 2))
        turned = xp.reshape(turned, (*front, math.prod(size) * n_out, n))
        rows = xp.convolve(xp.reshape(d, (*front, n_rows, *number, n_out)), turned, transposed)
        return xp.reshape(rows, (*front, n_rows, height, width, n))
    patches = xp.reshape(d @ weights.mT, (*front, n_rows, *number, *size, n))
    (above, below), (left, right) = geometry.padding
    shape = (*front, n_rows, height + above + below, width + left + right, n)
    whole = xp.unpatches(patches, shape, geometry.stride)
    return whole[..., above : above + height, left : left + width, :]


def _same(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    return d


# For each input of an operation: its gradient, of the gradient d at the result y, the inputs i and
# the attributes a. An input without has a derivative that is zero wherever there is one.
RULES: dict[str, tuple[Rule | None, ...]] = {
    "negative": (lambda xp, d, y, i, a: -d,),
    "abs": (lambda xp, d, y, i, a: d * xp.sign(i[0]),),
    "sqrt": (lambda xp, d, y, i, a: d * 0.5 / y,),
    "square": (lambda xp, d, y, i, a: d * i[0] * 2.0,),
    "reciprocal": (lambda xp, d, y, i, a: -d * y * y,),
    "exp": (lambda xp, d, y, i, a: d * y,),
    "expm1": (lambda xp, d, y, i, a: d * (y + 1.0),),
    "log": (lambda xp, d, y, i, a: d / i[0],),
    "log1p": (lambda xp, d, y, i, a: d / (i[0] + 1.0),),
    "tanh": (lambda xp, d, y, i, a: d * (1.0 - y * y),),
    "erf": (
        lambda xp, d, y, i, a: d * xp.exp(xp.square(i[0]) * -1.0) * (2.0 / math.sqrt(math.pi)),
    ),
    "relu": (lambda xp, d, y, i, a: xp.relu_gradient(d, y),),
    "sign": (None,),
    "floor": (None,),
    "isfinite": (None,),
    "logical_not": (None,),
    **dict.fromkeys(
        [
            "greater",
            "greater_equal",
            "less",
            "less_equal",
            "equal",
            "not_equal",
            "logical_and",
            "logical_or",
        ],
        (None, None),
    ),
    "add": (_same, _same),
    "subtract": (_same, lambda xp, d, y, i, a: -d),
    "multiply": (lambda xp, d, y, i, a: d * i[1], lambda xp, d, y, i, a: d * i[0]),
    "divide": (lambda xp, d, y, i, a: d / i[1], lambda xp, d, y, i, a: -(d * y / i[1])),
    "power": (
        lambda xp, d, y, i, a: d * i[1] * xp.pow(i[0], i[1] - 1.0),
        lambda xp, d, y, i, a: d * y * xp.log(i[0]),
    ),
    "maximum": (
        lambda xp, d, y, i, a: xp.where(_at_least(xp, i[0], i[1]), d, 0.0),
        lambda xp, d, y, i, a: xp.where(_at_least(xp, i[0], i[1]), 0.0, d),
    ),
    "minimum": (
        lambda xp, d, y, i, a: xp.where(_at_least(xp, i[1], i[0]), d, 0.0),
        lambda xp, d, y, i, a: xp.where(_at_least(xp, i[1], i[0]), 0.0, d),
    ),
    "where": (
        None,
        lambda xp, d, y, i, a: xp.where(i[0], d, 0.0),
        lambda xp, d, y, i, a: xp.where(i[0], 0.0, d),
    ),
    "clip": (lambda xp, d, y, i, a: xp.where(y == i[0], d, 0.0), None, None),
    "matmul": (lambda xp, d, y, i, a: d @ i[1].mT, lambda xp, d, y, i, a: i[0].mT @ d),
    "vecdot": (
        lambda xp, d, y, i, a: xp.expand_dims(d, -1) * i[1],
        lambda xp, d, y, i, a: xp.expand_dims(d, -1) * i[0],
    ),
    "sum": (_spread,),
    "max": (_share_of_extreme,),
    "min": (_share_of_extreme,),
    "copy": (_same,),
    "pad": (_unpad,),
    "take": (lambda xp, d, y, i, a: xp.add_at(i[0], i[1], d), None),
    "patches": (lambda xp, d, y, i, a: xp.unpatches(d, i[0].shape, a["stride"]),),
    "unpatches": (lambda xp, d, y, i, a: xp.patches(d, y_size(y, i, a), a["stride"]),),
    "convolve": (
        _convolved_images,
        lambda xp, d, y, i, a: xp.convolve_weights(i[0], d, a["geometry"]),
    ),
    "reshape": (lambda xp, d, y, i, a: xp.reshape(d, i[0].shape),),
    "permute": (_unpermute,),
    "broadcast": (_same,),
}


def y_size(y: Any, i: Any, a: Any) -> tuple[int, int]:
    """The size of the patches that were added up."""
    return i[0].shape[-3:-1]


def _at_least(xp: Any, a: Any, b: Any) -> Any:
    """Whether `a` is not below `b`; either may be a number."""
    return a >= b if isinstance(a, Symbol) else b <= a
