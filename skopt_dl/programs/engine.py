"""The engine that is always there: one prepared call of the array library for each instruction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Protocol

import numpy as np

from skopt_dl.backends import Backend, corners
from skopt_dl.programs.convolving import convolve, convolve_weights
from skopt_dl.programs.instructions import Instruction, Operand, Program
from skopt_dl.programs.values import Array, Buffer, Value, order_of, resolve

Call = Callable[[], Any]
HostFunction = Callable[..., None]


class Memory:
    """Memory for programs that run one after the other; it grows with what they need.

    Parameters
    ----------
    b : Backend
    like : array
        Gives the device.
    """

    def __init__(self, b: Backend, like: Array):
        self._b, self._like = b, like
        self._block: Any = None
        self.n_bytes = 0
        self._scratch: dict[str, tuple[int, Any]] = {}

    def reserve(self, n_bytes: int) -> Any:
        """Return memory of this size at least; the same as before where that is large enough."""
        if self._block is None or n_bytes > self.n_bytes:
            self._block = self._b.memory(n_bytes, self._like)
            self.n_bytes = n_bytes
        return self._block

    def scratch(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array that an instruction may use while it runs."""
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes > self._scratch.get(name, (-1, None))[0]:
            self._scratch[name] = n_bytes, self._b.memory(n_bytes, self._like)
        return self._b.cut(self._scratch[name][1], 0, shape, _dtype(self._b, dtype))


class Bound(Protocol):
    """A program, bound to arrays."""

    program: Program

    def calls(self, **arrays: Any) -> Sequence[Call]:
        """The program as calls without arguments, for inputs that are given now.

        Parameters
        ----------
        **arrays
            By name; rows of samples may be `DenseRows` or `SparseRows`.
        """

    def calls_of_each(self, batches: Sequence[Mapping[str, Any]]) -> Sequence[Sequence[Call]]:
        """The `calls` for each of several batches, given by what differs between them.

        Arrays of one name are alike, and as far from those of the batch before in memory as these
        are from those before them.
        """
        return [self.calls(**arrays) for arrays in batches]


class Binding(Bound):
    """A program, bound to arrays of any library.

    Parameters
    ----------
    b : Backend
    program : Program
    arrays : dict of str to array
        The inputs that are the same in every run, by name. Those missing are given to `calls`.
    memory : Memory
        Where the program's own buffers are.
    host : callable, default=None
        ``host(names, n_steps, *tables)`` writes what ``external`` instructions of these names
        result in, in the next steps: tables have an axis of steps before the others.
    """

    def __init__(
        self,
        b: Backend,
        program: Program,
        arrays: Mapping[str, Any],
        memory: Memory,
        host: HostFunction | None = None,
    ):
        self._b, self.program, self.host = b, program, host
        self._block = memory.reserve(program.n_bytes)
        self._like, self.scratch = memory._like, memory.scratch
        self._arrays: dict[Buffer, Any] = {}
        # Rows of samples, and memory for those that are in no array until they are written to it.
        self.rows: dict[Buffer, Any] = {}
        self._dense: dict[Buffer, Any] = {}
        self._before: list[Call] = []
        self._give(arrays)
        self._varying = {buffer for buffer in program.inputs.values() if buffer not in self._arrays}
        # Views of what is the same in every run.
        self._found: dict[Value, Any] = {}
        self._ones: dict[Any, Any] = {}
        # What prepares an instruction whose inputs vary, and the calls of those that do not. None
        # refers to this object: its memory goes when the last reference to it does.
        self._parts: list[Callable[[Binding], list[Call]] | list[Call]] = []
        for instruction in program.instructions:
            prepare = _PREPARE.get(instruction.op, _elementwise)
            if self._varies(instruction):
                self._parts.append(partial(prepare, instruction=instruction))
            else:
                self._parts.append(prepare(self, instruction))

    def _give(self, arrays: Mapping[str, Any]) -> None:
        inputs = self.program.inputs
        for name, array in arrays.items():
            if name in inputs:
                buffer = inputs[name]
                self.rows.pop(buffer, None)
                if hasattr(array, "product"):
                    self.rows[buffer] = array
                    array = array.values
                self._arrays[buffer] = array

    def _varies(self, instruction: Instruction) -> bool:
        buffers = [value.buffer for value in instruction.values]
        return not self._varying.isdisjoint([instruction.out.buffer, *buffers])

    def calls(self, **arrays: Any) -> list[Call]:
        always = self._before
        self._before = []
        self._give(arrays)
        calls: list[Call] = []
        for part in self._parts:
            calls += part if isinstance(part, list) else part(self)
        before, self._before = self._before, always
        return [*always, *before, *calls]

    def array(self, value: Operand, dtype: Any = None) -> Any:
        """The array, or the view of one, that an operand is."""
        if not isinstance(value, Value):
            return self._b.asarray(value, dtype=dtype or self._like.dtype)
        array = self._found.get(value)
        if array is None:
            buffer = value.buffer
            array = self._arrays.get(buffer)
            if array is None:
                array = self._arrays[buffer] = self._make(buffer)
            if value.steps:
                array = resolve(self._b.xp, value.steps, array)
            if buffer not in self._varying:
                self._found[value] = array
        return array

    def _make(self, buffer: Buffer) -> Array:
        """The array of a buffer for which none is given."""
        if buffer not in self.rows:
            return self._own(buffer)
        # Rows that are in no array: they are written to one before anything else is done.
        if buffer not in self._dense:
            self._dense[buffer] = self._b.empty(buffer.like.shape, like=self._like)
        self._before.append(partial(self.rows[buffer].write, self._dense[buffer]))
        return self._dense[buffer]

    def ones(self, shape: tuple[int, ...], like: Array) -> Array:
        """Ones, the same for all instructions that need as many."""
        key = shape, like.dtype
        if key not in self._ones:
            self._ones[key] = self._b.ones(shape, like=like)
        return self._ones[key]

    def _own(self, buffer: Buffer) -> Array:
        like = buffer.like
        if buffer.array is not None:
            return self._b.asarray(buffer.array, dtype=_dtype(self._b, like.dtype))
        start, dtype = self.program.places[buffer], _dtype(self._b, like.dtype)
        if like.flags.c_contiguous:
            return self._b.cut(self._block, start, like.shape, dtype)
        order = order_of(like)
        shape = tuple(like.shape[axis] for axis in order)
        array = self._b.cut(self._block, start, shape, dtype)
        return self._b.xp.permute_dims(array, tuple(np.argsort(order).tolist()))


@cache
def _dtype(b: Backend, dtype: np.dtype[Any]) -> Any:
    """A NumPy dtype as this library's own."""
    return getattr(b.xp, "bool" if dtype.kind == "b" else dtype.name)


def _elementwise(binding: Binding, instruction: Instruction) -> list[Call]:
    b, inputs, number_dtype = binding._b, instruction.inputs, instruction.number_dtype
    dtype = None if number_dtype is None else _dtype(b, number_dtype)
    operands = [binding.array(each, dtype) for each in inputs]
    function = b.function(instruction.op)
    return [b.prepare(function, *operands, out=binding.array(instruction.out))]


def _copy(binding: Binding, instruction: Instruction) -> list[Call]:
    (given,), out = instruction.inputs, binding.array(instruction.out)
    if not isinstance(given, Value):
        return [partial(out.__setitem__, ..., given)]
    return [partial(binding._b.copy, out, binding.array(given))]


def _matmul(binding: Binding, instruction: Instruction) -> list[Call]:
    first, second = instruction.inputs
    b, out = binding._b, binding.array(instruction.out)
    assert isinstance(first, Value)
    right = binding.array(second)
    rows = binding.rows.get(first.buffer)
    if rows is not None:
        if not first.steps:
            return [rows.product(right, out)]
        if first.steps == (("permute", (0, 2, 1)),):
            return [rows.transposed_product(right, out)]
    left = binding.array(first)
    if left.ndim == right.ndim == out.ndim == 3:
        return [b.product(left, right, out)]
    return [b.prepare(b.xp.matmul, left, right, out=out)]


def _sum(binding: Binding, instruction: Instruction) -> list[Call]:
    b, axes = binding._b, instruction.attributes["axes"]
    x, out = binding.array(instruction.inputs[0]), _kept(binding, instruction)
    if x.ndim == 3 and axes == (1,) and instruction.out.dtype.kind == "f":
        # A product with ones: in a fraction of the time that a sum over such an axis takes.
        return [b.product(binding.ones((x.shape[0], 1, x.shape[1]), x), x, out)]
    if x.ndim == 3 and axes == (2,):
        return [b.row_sum(x, out)]
    return [partial(b.xp.sum, x, axis=axes, keepdims=True, out=out)]


def _extreme(binding: Binding, instruction: Instruction) -> list[Call]:
    b, axes, op = binding._b, instruction.attributes["axes"], instruction.op
    x, out = binding.array(instruction.inputs[0]), _kept(binding, instruction)
    if x.dtype == b.xp.bool:
        op = {"max": "any", "min": "all"}[op]
    elif op == "max" and axes == (x.ndim - 1,):
        return [partial(b.row_max, x, out)]
    return [partial(getattr(b.xp, op), x, axis=axes, keepdims=True, out=out)]


def _kept(binding: Binding, instruction: Instruction) -> Array:
    """The result of a reduction, with the axes that are summed over of length 1."""
    out, (x,) = binding.array(instruction.out), instruction.values
    if out.ndim == x.like.ndim:
        return out
    for axis in instruction.attributes["axes"]:
        out = binding._b.xp.expand_dims(out, axis=axis)
    return out


def _vecdot(binding: Binding, instruction: Instruction) -> list[Call]:
    b, out = binding._b, binding.array(instruction.out)
    return [b.prepare(b.row_dot, *map(binding.array, instruction.inputs), out=out)]


def _relu(binding: Binding, instruction: Instruction) -> list[Call]:
    x, out = binding.array(instruction.inputs[0]), binding.array(instruction.out)
    return [binding._b.rectify(x, out)]


def _relu_gradient(binding: Binding, instruction: Instruction) -> list[Call]:
    delta, rectified = (binding.array(each) for each in instruction.inputs)
    return binding._b.rectify_gradient(delta, rectified, binding.array(instruction.out))


def _where(binding: Binding, instruction: Instruction) -> list[Call]:
    out = binding.array(instruction.out)
    condition, x, y = (binding.array(each, dtype=out.dtype) for each in instruction.inputs)
    return [partial(binding._b.where, condition, x, y, out)]


def _concat(binding: Binding, instruction: Instruction) -> list[Call]:
    out, axis, start = binding.array(instruction.out), instruction.attributes["axis"], 0
    calls: list[Call] = []
    for value in instruction.values:
        stop = start + value.shape[axis]
        part = out[(*[slice(None)] * axis, slice(start, stop), ...)]
        calls.append(partial(binding._b.copy, part, binding.array(value)))
        start = stop
    return calls


def _pad(binding: Binding, instruction: Instruction) -> list[Call]:
    x, out = binding.array(instruction.inputs[0]), binding.array(instruction.out)
    pairs = zip(instruction.attributes["widths"], x.shape, strict=True)
    inner = out[tuple(slice(before, before + n) for (before, _), n in pairs)]
    around = instruction.attributes["value"]
    return [partial(out.__setitem__, ..., around), partial(binding._b.copy, inner, x)]


def _take(binding: Binding, instruction: Instruction) -> list[Call]:
    table, indices = (binding.array(each) for each in instruction.inputs)
    out, take = binding.array(instruction.out), binding._b.take
    if table.shape[0] > 1:
        return [
            partial(take, table[k, ...], indices[k % indices.shape[0], ...], out[k, ...])
            for k in range(out.shape[0])
        ]
    if order_of(instruction.values[0].like)[-1] == 1:
        # Columns without gaps: one after the other.
        return [partial(take, table[0, ...].mT, indices, binding._b.xp.moveaxis(out, -1, 0), 1)]
    return [partial(take, table[0, ...], indices, out)]


def _add_at(binding: Binding, instruction: Instruction) -> list[Call]:
    indices, rows = (binding.array(each) for each in instruction.inputs)
    out = binding.array(instruction.out)
    adding = [
        partial(binding._b.add_at, out[k, ...], indices[k % indices.shape[0], ...], rows[k, ...])
        for k in range(out.shape[0])
    ]
    return [partial(out.__setitem__, ..., 0.0), *adding]


def _patches(binding: Binding, instruction: Instruction) -> list[Call]:
    x, out = binding.array(instruction.inputs[0]), binding.array(instruction.out)
    return binding._b.cut_patches(x, out, instruction.attributes["stride"])


def _unpatches(binding: Binding, instruction: Instruction) -> list[Call]:
    b, x, out = binding._b, binding.array(instruction.inputs[0]), binding.array(instruction.out)
    places = corners(out, x, instruction.attributes["stride"])
    adding = [b.prepare(b.xp.add, image, patch, out=image) for image, patch in places]
    return [partial(out.__setitem__, ..., 0.0), *adding]


def _external(binding: Binding, instruction: Instruction) -> list[Call]:
    assert binding.host is not None
    names = (instruction.attributes["name"],)
    return [partial(binding.host, names, 1, binding.array(instruction.out)[None, ...])]


def _opaque(binding: Binding, instruction: Instruction) -> list[Call]:
    function, out = instruction.attributes["function"], binding.array(instruction.out)
    inputs: Sequence[Any] = [binding.array(each) for each in instruction.inputs]
    shape, copy = out.shape, binding._b.copy

    def call() -> None:
        result = function(*inputs)
        if getattr(result, "shape", None) != shape:
            raise ValueError(f"{function!r} returned shape {getattr(result, 'shape', None)}")
        copy(out, result)

    return [call]


# What prepares the calls of an instruction, from the arrays that there are when it runs.
_PREPARE: dict[str, Callable[..., list[Call]]] = {
    "copy": _copy,
    "matmul": _matmul,
    "vecdot": _vecdot,
    "sum": _sum,
    "max": _extreme,
    "min": _extreme,
    "relu": _relu,
    "relu_gradient": _relu_gradient,
    "where": _where,
    "concat": _concat,
    "pad": _pad,
    "take": _take,
    "add_at": _add_at,
    "patches": _patches,
    "unpatches": _unpatches,
    "convolve": convolve,
    "convolve_weights": convolve_weights,
    "external": _external,
    "opaque": _opaque,
}
