"""Instructions as data, and the programs that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from skopt_dl.programs.values import Buffer, Value

Operand = Value | float | int | bool

# Element by element; ``where`` and ``clip`` have three operands.
UNARY = frozenset(
    [
        "negative",
        "abs",
        "sign",
        "sqrt",
        "square",
        "reciprocal",
        "exp",
        "expm1",
        "log",
        "log1p",
        "tanh",
        "erf",
        "floor",
        "relu",
        "isfinite",
        "logical_not",
    ]
)
BINARY = frozenset(
    [
        "add",
        "subtract",
        "multiply",
        "divide",
        "power",
        "maximum",
        "minimum",
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "equal",
        "not_equal",
        "logical_and",
        "logical_or",
        "relu_gradient",
    ]
)
ELEMENTWISE = UNARY | BINARY | {"where", "clip"}
# Those that are no ufunc of NumPy's.
_OWN = {"erf", "relu", "relu_gradient", "clip"}
# Which inputs the result may lie in the place of, seen in the same way. NumPy's sign takes ten
# times as long there.
IN_PLACE: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(ELEMENTWISE - {"where", "sign"}, (0, 1, 2)),
    "relu_gradient": (1,),
}
REDUCTIONS = frozenset({"sum", "max", "min"})
# What moves numbers and computes nothing.
MOVEMENTS = frozenset({"copy", "concat", "pad", "take", "patches"})


def dtypes(op: str, kinds: Sequence[Any]) -> tuple[np.dtype[Any], ...]:
    """Dtypes of the inputs of an elementwise operation, after conversion, and of its result.

    Parameters
    ----------
    op : str
    kinds : sequence of dtype or number
        Of the inputs; a number takes the dtype of the arrays that it meets, as in NumPy.

    Raises
    ------
    TypeError
        If NumPy has no such operation for them.
    """
    if op == "where":
        common = np.result_type(*kinds[1:])
        return np.dtype(bool), common, common, common
    if op in _OWN:
        common = np.result_type(*kinds, *([] if op == "clip" else [1.0]))
        return (common,) * (len(kinds) + 1)
    given = [each if isinstance(each, np.dtype) else type(each) for each in kinds]
    given = [np.dtype(bool) if each is bool else each for each in given]
    return getattr(np, op).resolve_dtypes((*given, None))


@dataclass(frozen=True, eq=False)
class Instruction:
    """One operation on whole arrays.

    Attributes
    ----------
    op : str
        What is done; all operations are listed below.
    out : Value
        What is written: all of its elements, and nothing else.
    inputs : tuple of Value or number
        Numbers of Python stand for arrays of shape () in the dtype of the arrays they meet.
    attributes : dict
        What else the operation takes.

    Notes
    -----
    **Arrays.** Axes are ``(K, …)``, but for arrays of shape (), which hold a number of the host.
    Inputs have any strides, 0 where they are broadcast and negative where they are turned; those
    of `out` are never 0.

    **Dtypes.** All inputs of an operation have one dtype, which is that of `out`, where nothing
    else is said; there is a ``copy`` before where they had not. They are float32, float64, int64
    and bool; others if a program's code asks for them.

    **Overlap.** `out` has no memory in common with an input, except that of an elementwise
    operation it may be the very elements, in the same order, of an input that `IN_PLACE` lists.

    **Elementwise** (`ELEMENTWISE`): `out` has the shape of the inputs broadcast, as NumPy does it.
    They are what the array API means by the name, and

    ==================================  ========================================================
    ``relu(x)``                         the larger of x and 0; nan where x is nan
    ``relu_gradient(d, y)``             d where y > 0, else 0; y is a result of ``relu``
    ``erf(x)``                          the error function
    ``where(c, x, y)``                  x where c, else y; c is bool
    ``clip(x, low, high)``              the smaller of high and the larger of x and low
    ``greater``, ``less``, …            of two inputs of one dtype; `out` is bool
    ``equal``, ``not_equal``            the same
    ``logical_and``, ``…_or``           of bools
    ``isfinite``, ``logical_not``       `out` is bool
    ``maximum``, ``minimum``            nan where one of them is
    ==================================  ========================================================

    **Reductions** (`REDUCTIONS`), of one input over ``attributes["axes"]``, a sorted tuple of axes:
    ``sum``, ``max``, ``min``. `out` has the input's shape where these axes are of length 1, or are
    left out. Of bools ``max`` is *any* and ``min`` is *all*. The order of a sum is free, but for
    one model must not depend on how many others there are.

    **Products.** ``matmul(a, b)``, of shapes ``(…, n, k)`` and ``(…, k, m)``, whose other axes are
    broadcast, gives ``(…, n, m)``. Of the last two axes of a factor one has no gaps between its
    elements, so that BLAS can read it, transposed or not. ``vecdot(a, b)``, of shapes that are
    broadcast, sums their product over the last axis, which `out` has not. In ``matmul(x, w)`` and
    ``matmul(x.mT, d)`` a given ``x`` may be sparse.

    **Movements** (`MOVEMENTS`) compute nothing:

    ``copy(x)``
        x, a number or an array, broadcast to the shape of `out` and converted to its dtype.
        Floats to integers drop the fraction; to bool, all but zero is true.
    ``concat(a, b, …)``, ``axis``
        One after the other along an axis; the others are broadcast.
    ``pad(x)``, ``widths``, ``value``
        x with a number around it: ``widths`` has a pair for each axis, before and after.
    ``take(table, indices)``
        ``out[k, …, :] = table[k, indices[k, …], :]``, of shapes ``(K or 1, n, m)`` and
        ``(K or 1, …)``. Indices are int64, and in range.
    ``patches(x)``, ``stride``
        Of images ``(…, height, width, channels)`` the patches ``(…, i, j, p, q, channels)``:
        ``out[…, i, j, p, q, c] = x[…, i * stride[0] + p, j * stride[1] + q, c]``.

    And their transposes, which add up, from zero on:

    ``add_at(indices, rows)``
        ``out[k, indices[k, …], :] += rows[k, …, :]``.
    ``unpatches(x)``, ``stride``
        ``out[…, i * stride[0] + p, j * stride[1] + q, c] += x[…, i, j, p, q, c]``.
    ``convolve(images, weights)``, ``geometry``
        The patches that a `Geometry` cuts from images ``(K or 1, …, n_rows, height, width, c)``, as
        rows ``(n_rows · n_vertical · n_horizontal, high · wide · c)``, times weights of each model.
    ``convolve_weights(images, rows)``, ``geometry``
        These rows, transposed, times others.

    **What is no array code.** ``external()``, ``name``: the host writes `out`, by the function
    that a binding is given, which is told this name. ``opaque(a, …)``, ``function``: a function of
    real arrays, which returns a new one like `out`.

    No instruction needs memory besides, but convolutions for patches of as many images as suits.
    """

    op: str
    out: Value
    inputs: tuple[Operand, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def values(self) -> list[Value]:
        """The arrays among its inputs."""
        return [each for each in self.inputs if isinstance(each, Value)]

    @cached_property
    def number_dtype(self) -> np.dtype[Any] | None:
        """The dtype of numbers among its inputs: that of the arrays they meet."""
        kinds = [each.dtype for each in self.values if each.dtype.kind != "b"]
        return np.result_type(*kinds) if kinds and len(self.values) < len(self.inputs) else None

    @property
    def replaceable(self) -> list[Value]:
        """The arrays among its inputs in whose place the result may lie."""
        places = [i for i in IN_PLACE.get(self.op, ()) if i < len(self.inputs)]
        return [each for each in map(self.inputs.__getitem__, places) if isinstance(each, Value)]


@dataclass(frozen=True, eq=False)
class Program:
    """A straight-line list of instructions over buffers.

    Attributes
    ----------
    instructions : tuple of Instruction
        Done one after the other. Each writes what is given, or what a later one reads.
    inputs : dict of str to Buffer
        What is handed in, and may be written to, by name.
    places : dict of Buffer to int
        Where its own buffers begin in its memory, in bytes.
    n_bytes : int
        How much memory that is; it may be used for other things between two runs.
    scalars : dict of str to callable
        The inputs of shape () that are computed on the host before each step, of its number, from
        1 on, in floats of Python.
    opaque : tuple of str
        What could not be traced, and is called as it is.
    spent : frozenset of Buffer
        Inputs that nobody reads afterwards: what is written to them need not get there.

    Notes
    -----
    There are three kinds of buffers:

    - **Own** ones, ``buffer.is_own``, lie at ``places[buffer]`` in the program's memory: a block of
      ``n_bytes`` that begins at a multiple of `memory.ALIGNMENT`, as each of them does. They have
      the shape, dtype and strides of ``buffer.like``, without gaps. Each is written before it is
      read. Two of them overlap only if they do not live at the same time, or if the second is the
      result of the elementwise instruction that the first dies in.
    - **Given** ones, with a ``buffer.name``, are handed in with the shape and dtype of
      ``buffer.like``, and its order of axes in memory, though there may be gaps between their rows:
      ``grad`` is written to in parts, and rows of a batch lie in those of a block. What is given is
      the same in all runs, or varies between them, as a batch does. What is written to has no
      memory in common with anything else.
    - **Constants**, with a ``buffer.array``: an array that was met while tracing, and is read in
      each run, or a number, whose buffer is of shape ().

    A `Value` is a buffer or a view of one: ``value.steps`` leads from the one to the other, and
    ``value.like`` has the shape and strides that come of it where there are no gaps. The steps are

    ==================================  ========================================================
    ``("slice", key)``                  for each axis an index that is not negative, or a slice
                                        within bounds (its stop is None where it goes down to the
                                        first element); None for a new axis
    ``("reshape", shape)``              the same elements in the same order, in C order
    ``("permute", axes)``               axis ``i`` is the given one's axis ``axes[i]``
    ``("broadcast", shape)``            repeated along new axes, and along those of length 1
    ==================================  ========================================================

    Examples
    --------
    >>> from skopt_dl.programs import Tracer, differentiate
    >>> tracer = Tracer("float64")
    >>> x, w = tracer.given("x", (1, 20, 4)), tracer.given("w", (3, 4, 2))
    >>> h = tracer.xp.tanh(x @ w)
    >>> seed = tracer.given("seed", h.shape)
    >>> gradients = differentiate(tracer, [(h, seed)], [(w, tracer.given("grad", w.shape))])
    >>> program = tracer.program()
    >>> [each.op for each in program.instructions]
    ['matmul', 'tanh', 'multiply', 'subtract', 'multiply', 'matmul']

    All results but the last lie in the same place, and that is written where it is wanted.

    >>> set(program.places.values()), program.n_bytes == 3 * 20 * 2 * 8
    ({0}, True)
    >>> program.instructions[-1].out.buffer.name
    'grad'
    """

    instructions: tuple[Instruction, ...]
    inputs: Mapping[str, Buffer]
    places: Mapping[Buffer, int]
    n_bytes: int
    scalars: Mapping[str, Callable[[int], float]] = field(default_factory=dict)
    opaque: tuple[str, ...] = ()
    spent: frozenset[Buffer] = frozenset()
