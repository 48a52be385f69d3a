"""The interpreter's numbers for operations, functions and dtypes: those of ``interpreter.h``."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl_native._interpreter import TILE_BYTES

__all__ = ["TILE_BYTES"]

RUN, REDUCE, MATMUL, TAKE, ADD_AT, CONVOLVE, CONVOLVE_WEIGHTS, SPARSE, SPARSE_TN = range(1, 10)
IN_MEMORY, NUMBER, SLOT = range(3)
SUM, MAXIMUM, MINIMUM, DOT = range(4)

DTYPES = {np.dtype(name): i for i, name in enumerate(("float32", "float64", "bool", "int64"))}
SIZES = (4, 8, 1, 8)

NAMES = [
    "copy",
    "negative", "abs", "sign", "sqrt", "square", "reciprocal", "exp", "expm1", "log", "log1p",
    "tanh", "erf", "floor", "relu",
    "isfinite", "logical_not",
    "add", "subtract", "multiply", "divide", "power", "maximum", "minimum",
    "greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and",
    "logical_or",
    "relu_gradient", "root_add",
    "where", "multiply_condition", "clip", "multiply_add", "multiply_add_square", "divide_by_root",
]  # fmt: skip
FUNCTIONS = {name: number for number, name in enumerate(NAMES)}
COPY = FUNCTIONS["copy"]
# Those whose first input is of bool, whatever the others are.
OF_CONDITIONS = {FUNCTIONS["where"], FUNCTIONS["multiply_condition"]}

_OF_BOOL = {"logical_not", "logical_and", "logical_or"}
_OF_ALL = {"equal", "not_equal", "where"}
_OF_NUMBERS = {
    "negative", "abs", "square", "add", "subtract", "multiply", "maximum", "minimum",
    "greater", "greater_equal", "less", "less_equal",
}  # fmt: skip


def has_function(name: str, dtype: np.dtype[Any]) -> bool:
    """Whether the interpreter has a function for a dtype."""
    if name in _OF_BOOL:
        return dtype.kind == "b"
    if name in _OF_ALL:
        return True
    return dtype.kind == "f" or (name in _OF_NUMBERS and dtype == np.int64)
