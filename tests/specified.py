"""Programs run by the letter of `Instruction` and `Program`: another engine, as simple as can be.

It knows shapes, dtypes, strides and places, and nothing of the engine that is tested.
"""

import itertools

import numpy as np
import scipy.special

from skopt_dl.programs.instructions import ELEMENTWISE, IN_PLACE, REDUCTIONS
from skopt_dl.programs.memory import ALIGNMENT
from skopt_dl.programs.values import Value


def run(program, arrays, functions=None):
    """Run a program once on the arrays that are given, by name."""
    block = np.full(program.n_bytes + ALIGNMENT, 255, np.uint8)
    block = block[-block.ctypes.data % ALIGNMENT :]
    for instruction in program.instructions:
        out = view(program, block, arrays, instruction.out)
        inputs = [
            view(program, block, arrays, each) if isinstance(each, Value) else each
            for each in instruction.inputs
        ]
        check(instruction, out, inputs)
        attributes = dict(instruction.attributes)
        with np.errstate(all="ignore"):
            if instruction.op == "external":
                functions[attributes["name"]](out)
            else:
                out[...] = compute(instruction.op, out, inputs, **attributes)


def view(program, block, arrays, value):
    """The array that a value is."""
    buffer = value.buffer
    if buffer.name:
        array = arrays[buffer.name]
    elif buffer.array is not None:
        array = np.asarray(buffer.array, buffer.like.dtype)
    else:
        array = np.ndarray(
            buffer.like.shape, buffer.like.dtype, block, program.places[buffer], buffer.like.strides
        )
        assert program.places[buffer] % ALIGNMENT == 0
    for name, argument in value.steps:
        if name == "slice":
            assert all(each is None or isinstance(each, int | slice) for each in argument)
            assert sum(each is not None for each in argument) == array.ndim
            array = array[argument]
        elif name == "reshape":
            array = array.reshape(argument, copy=False)
        elif name == "permute":
            array = array.transpose(argument)
        else:
            assert name == "broadcast"
            array = np.broadcast_to(array, argument)
    assert array.shape == value.shape
    assert array.dtype == value.dtype
    return array


def check(instruction, out, inputs):
    """What the specification promises of dtypes and of overlap."""
    op = instruction.op
    arrays = [each for each in inputs if isinstance(each, np.ndarray)]
    assert 0 not in [stride for n, stride in zip(out.shape, out.strides, strict=True) if n > 1]
    kinds = {each.dtype for each in (arrays[1:] if op in ("where", "add_at") else arrays)}
    kinds = {each.dtype for each in arrays[:1]} if op == "take" else kinds
    if op not in ("copy", "opaque"):
        assert len(kinds) <= 1
        to_bool = ELEMENTWISE - {"where"} if out.dtype == bool else ()
        assert not kinds or op in to_bool or kinds == {out.dtype}
    if op == "matmul":
        for each in arrays:
            pairs = zip(each.shape[-2:], each.strides[-2:], strict=True)
            assert any(n == 1 or stride == each.itemsize for n, stride in pairs)
    for number, each in enumerate(inputs):
        if isinstance(each, np.ndarray) and np.shares_memory(each, out):
            assert number in IN_PLACE.get(op, ())
            assert each.__array_interface__ == out.__array_interface__


def compute(op, out, inputs, **attributes):
    """The result of an operation."""
    if op in ("relu", "erf", "where", "clip", "relu_gradient"):
        return {
            "relu": lambda x: np.maximum(x, 0),
            "erf": scipy.special.erf,
            "where": np.where,
            "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
            "relu_gradient": lambda d, y: np.where(y > 0, d, 0),
        }[op](*inputs)
    if op in ELEMENTWISE:
        return getattr(np, op)(*inputs)
    if op in REDUCTIONS:
        (x,), axes = inputs, attributes["axes"]
        function = {"sum": np.sum, "max": np.max, "min": np.min}[op]
        return function(x, axis=axes, keepdims=out.ndim == x.ndim)
    return OTHERS[op](out, *inputs, **attributes)


def concat(out, *arrays, axis):
    parts = [
        np.broadcast_to(each, (*out.shape[:axis], each.shape[axis], *out.shape[axis + 1 :]))
        for each in arrays
    ]
    return np.concatenate(parts, axis)


def take(out, table, indices):
    result = np.empty_like(out)
    for place in np.ndindex(out.shape[:-1]):
        k, *rest = place
        row = indices[(k % len(indices), *rest)]
        result[place] = table[k % len(table), row]
    return result


def add_at(out, indices, rows):
    result = np.zeros_like(out)
    for k, *rest in np.ndindex(rows.shape[:-1]):
        result[k, indices[(k % len(indices), *rest)]] += rows[(k, *rest)]
    return result


def corners(images, patches, stride):
    down, across, high, wide = patches.shape[-5:-1]
    for i, j, p, q in itertools.product(range(down), range(across), range(high), range(wide)):
        yield (
            (..., i, j, p, q, slice(None)),
            (..., i * stride[0] + p, j * stride[1] + q, slice(None)),
        )


def patches(out, x, stride):
    result = np.empty_like(out)
    for patch, place in corners(x, out, stride):
        result[patch] = x[place]
    return result


def unpatches(out, x, stride):
    result = np.zeros_like(out)
    for patch, place in corners(out, x, stride):
        result[place] += x[patch]
    return result


OTHERS = {
    "matmul": lambda out, a, b: np.matmul(a, b),
    "vecdot": lambda out, a, b: np.sum(a * b, axis=-1),
    "copy": lambda out, x: np.asarray(x).astype(out.dtype),
    "concat": concat,
    "pad": lambda out, x, widths, value: np.pad(x, widths, constant_values=value),
    "take": take,
    "add_at": add_at,
    "patches": patches,
    "unpatches": unpatches,
    "opaque": lambda out, *inputs, function: function(*inputs),
}
