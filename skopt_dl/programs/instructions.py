"""Instructions as data, and the programs that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
BOOLEAN = frozenset(
    [
        "isfinite",
        "logical_not",
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "equal",
        "not_equal",
        "logical_and",
        "logical_or",
    ]
)
REDUCTIONS = frozenset({"sum", "max", "min"})
# What moves numbers and computes nothing.
MOVEMENTS = frozenset({"copy", "concat", "pad", "take", "patches"})


@dataclass(frozen=True, eq=False, slots=True)
class Instruction:
    """One operation on whole arrays.

    Attributes
    ----------
    op : str
        One of `ELEMENTWISE`, `REDUCTIONS` or `MOVEMENTS`, or ``"matmul"``, ``"vecdot"``,
        ``"add_at"``, ``"unpatches"``, ``"convolve"``, ``"convolve_weights"``, ``"external"``, ``"opaque"``.
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
