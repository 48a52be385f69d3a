"""Reverse mode: from what was traced to the instructions that compute its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skopt_dl.programs.instructions import Operand
from skopt_dl.programs.symbols import Symbol, TracingError
from skopt_dl.programs.tracing import Node, Tracer
from skopt_dl.programs.values import VIEWS, Buffer, Value

Rule = Callable[..., Any]
LOST = (
    "it writes to an array that it sees in another way, and that the gradient goes through; "
    "xp.concat makes one array of parts"
)


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
        # Values whose gradient is put together in memory of its own, or where it is wanted.
        self.own: set[Value] = set()
        self.nodes = list(tracer.tape)
        self.needed = {symbol.value for symbol, _ in wanted}
        # When values were computed, and where arrays that were there were written to.
        self.since: dict[Value, int] = {}
        self.written: dict[Buffer, list[tuple[int, Value]]] = {}
        self.lost = {node for number, node in enumerate(self.nodes) if self.follow(number, node)}

    def follow(self, number: int, node: Node) -> bool:
        """Find whether the gradient goes through a node, and whether it is lost on the way."""
        values = _values(node.inputs)
        is_lost = any(map(self.is_lost, values))
        depends = is_lost or any(value in self.needed for value in values)
        if depends and node.out.dtype.kind == "f":
            self.needed.add(node.out)
        if node.out.buffer in self.tracer.writes and node.op not in VIEWS:
            self.written.setdefault(node.out.buffer, []).append((number, node.out))
        self.since[node.out] = number
        return is_lost

    def is_lost(self, value: Value) -> bool:
        """Whether an array was written to, seen in another way, since a value was computed."""
        return any(
            number > self.since.get(value, -1)
            and other is not value
            and (other in self.needed or value in self.needed)
            and other.may_overlap(value)
            for number, other in self.written.get(value.buffer, ())
        )

    def run(self, seeds: Sequence[tuple[Symbol, Symbol]]) -> list[Symbol]:
        with self.tracer.untaped():
            for symbol, delta in seeds:
                if self.is_lost(symbol.value):
                    raise TracingError(LOST)
                self.give(symbol.value, lambda delta=delta: delta)
            for node in reversed(self.nodes):
                found = self.deltas.get(node.out)
                if found is not None:
                    self.visit(node, found)
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
        if node.op not in VIEWS and node.out.buffer in self.tracer.writes:
            # Before it was written to, the array was another one.
            del self.deltas[node.out]
        if node in self.lost:
            raise TracingError(LOST)
        n_before = len(self.tracer.instructions)
        if node.backward is not None:
            out, inputs = self.symbol(node.out), [self.symbol(each) for each in node.inputs]
            parts = node.backward(self.symbol(delta.value), out, *inputs)
            for value, part in zip(node.inputs, parts, strict=True):
                if part is not None and isinstance(value, Value):
                    self.give(
                        value,
                        lambda part=part, value=value: self.like(self.tracer.symbol(part), value),
                    )
            self.check_unchanged(node, delta, n_before)
        elif node.op == "slice":
            self.give_part(node.inputs[0], node.attributes["argument"], delta)
        elif node.op == "concat":
            self.split(node, delta)
        else:
            self.apply(node, delta)
        self.check_read(node, n_before)

    def check_read(self, node: Node, n_before: int) -> None:
        """Refuse derivatives that read what the node has read, and is another by now."""
        given = {each.buffer for each in _values(node.inputs)}
        # A node that writes into its own input has it no more.
        since = node.number - (node.out.buffer in given)
        given.add(node.out.buffer)
        changed = {
            buffer for buffer in given if since <= self.tracer.writes.get(buffer, -1) < n_before
        }
        for instruction in self.tracer.instructions[n_before:]:
            if any(value.buffer in changed for value in instruction.values):
                raise TracingError(
                    f"the derivative of {node.op} needs an array that is written to afterwards"
                )

    def check_unchanged(self, node: Node, delta: Symbol, n_before: int) -> None:
        """Refuse a component's derivative that writes into what it was given."""
        given = {delta.value.buffer, *(each.buffer for each in (node.out, *_values(node.inputs)))}
        if any(self.tracer.writes.get(buffer, -1) >= n_before for buffer in given):
            raise TracingError("its derivative writes into an array that it was given")

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
                    lambda rule=rule, value=value: self.like(
                        rule(self.xp, delta, out, inputs, node.attributes), value
                    ),
                )

    def like(self, delta: Symbol, value: Value) -> Symbol:
        """A gradient with the shape and the dtype of what it is the gradient of."""
        delta = self.reduce_to(delta, value.shape)
        return delta if delta.dtype == value.dtype else self.tracer.cast(delta, value.dtype)

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

    def give(self, value: Value, make: Callable[..., Symbol]) -> None:
        """Add to the gradient at a value."""
        if value not in self.needed:
            return
        before, target = self.deltas.get(value), self.targets.get(value)
        n_before = len(self.tracer.instructions)
        delta = make()
        if before is None:
            self.deltas[value] = delta if target is None else self.redirect(delta, target, n_before)
        elif value in self.own or target is not None:
            self.tracer.emit("add", before, delta, out=before)
        else:
            self.deltas[value] = self.xp.add(before, delta)

    def redirect(self, delta: Symbol, target: Symbol, n_before: int) -> Symbol:
        """Have a gradient written where it is wanted, by the instruction that computes it."""
        instructions = self.tracer.instructions
        if len(instructions) > n_before and instructions[-1].out is delta.value:
            self.tracer.assign(target, delta)
        else:
            target[...] = delta
        return target

    def give_part(self, operand: Operand, key: Any, delta: Symbol) -> None:
        """Add to the gradient at a part of a value."""
        assert isinstance(operand, Value)
        if operand not in self.needed:
            return
        if operand not in self.own:
            before, target = self.deltas.get(operand), self.targets.get(operand)
            whole: Any = target
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
            self.give(value, lambda key=key, value=value: self.like(delta[key], value))
            start = stop


def _values(operands: Sequence[Operand]) -> list[Value]:
    return [each for each in operands if isinstance(each, Value)]


def _kept(xp: Any, d: Any, i: Any, a: Any) -> Any:
    """The result of a reduction, or the gradient at it, with the axes that it has lost."""
    shape = tuple(1 if axis in a["axes"] else n for axis, n in enumerate(i[0].shape))
    return d if d.shape == shape else xp.reshape(d, shape)


def _spread(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    return xp.broadcast_to(_kept(xp, d, i, a), i[0].shape)


def _share_of_extreme(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    """The gradient at the largest, or smallest, shared by those that are equal."""
    at = xp.astype(i[0] == _kept(xp, y, i, a), d.dtype)
    return at * (_kept(xp, d, i, a) / xp.sum(at, axis=a["axes"], keepdims=True))


def _unpermute(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    return xp.permute_dims(d, np.argsort(a["argument"]).tolist())


def _unpad(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    pairs = zip(a["widths"], i[0].shape, strict=True)
    return d[tuple(slice(before, before + n) for (before, _), n in pairs)]


def _convolved_images(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    """The gradient at images: a convolution too, or the patches' gradients, added up."""
    (images, weights), geometry = i, a["geometry"]
    front, n_out = weights.shape[:-2], weights.shape[-1]
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


def _of_power(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    base, exponent = i
    if not isinstance(exponent, Symbol) and exponent == 0:
        # Without the product of zero and infinity.
        return xp.zeros_like(d)
    return d * exponent * xp.pow(base, exponent - 1.0)


def _of_exponent(xp: Any, d: Any, y: Any, i: Any, a: Any) -> Any:
    # Of zero the logarithm is infinite, and the power zero for all exponents.
    base = i[0]
    if not isinstance(base, Symbol):
        return d * y * (math.log(base) if base else 0.0)
    return d * y * xp.log(xp.where(base == 0, 1.0, base))


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
    "relu_gradient": (lambda xp, d, y, i, a: xp.relu_gradient(d, i[1]), None),
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
    "power": (_of_power, _of_exponent),
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
    "clip": (
        lambda xp, d, y, i, a: xp.where(y == i[0], d, 0.0),
        lambda xp, d, y, i, a: xp.where(y > i[0], d, 0.0),
        lambda xp, d, y, i, a: xp.where(y < i[0], d, 0.0),
    ),
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
    "add_at": (None, lambda xp, d, y, i, a: xp.take(d, i[0], axis=1)),
    "patches": (lambda xp, d, y, i, a: xp.unpatches(d, i[0].shape, a["stride"]),),
    "unpatches": (lambda xp, d, y, i, a: xp.patches(d, i[0].shape[-3:-1], a["stride"]),),
    "convolve": (
        _convolved_images,
        lambda xp, d, y, i, a: xp.convolve_weights(i[0], d, a["geometry"]),
    ),
    "reshape": (lambda xp, d, y, i, a: xp.reshape(d, i[0].shape),),
    "permute": (_unpermute,),
    "broadcast": (_same,),
}


def _at_least(xp: Any, a: Any, b: Any) -> Any:
    """Whether `a` is not below `b`; either may be a number."""
    return a >= b if isinstance(a, Symbol) else b <= a
