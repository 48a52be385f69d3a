"""Instructions as data, and the programs that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, eq=False, slots=True)
class Instruction:
    """One operation on whole arrays.

    Attributes
    ----------
    op : str
        One of `ELEMENTWISE`, `REDUCTIONS` or `MOVEMENTS`, or ``"matmul"``, ``"vecdot"``,
        ``"add_at"``, ``"unpatches"``, ``"convolve"``, ``"convolve_weights"``, ``"external"``,
        ``"opaque"``.
    out : Value
        What is written; where an opaque call has several results, the first of ``also``.
    inputs : tuple of Value or number
    attributes : dict
        What else it takes, such as the axes of a reduction.
    """

    op: str
    out: Value
    inputs: tuple[Operand, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> list[Value]:
        """The arrays among its inputs."""
        return [each for each in self.inputs if isinstance(each, Value)]

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
    inputs : dict of str to Buffer
        What is handed in, and may be written to, by name.
    places : dict of Buffer to int
        Where its own buffers lie in its memory, in bytes.
    n_bytes : int
        How much memory that is.
    scalars : dict of str to callable
        Inputs of shape () that are computed on the host, of the number of a step.
    opaque : tuple of str
        What could not be traced, and is called as it is.
    """

    instructions: tuple[Instruction, ...]
    inputs: Mapping[str, Buffer]
    places: Mapping[Buffer, int]
    n_bytes: int
    scalars: Mapping[str, Callable[[int], float]] = field(default_factory=dict)
    opaque: tuple[str, ...] = ()
