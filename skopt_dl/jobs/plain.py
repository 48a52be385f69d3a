"""Plain data as bytes: numbers, texts, containers and NumPy arrays, and nothing that could act."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

# What the pickles of arrays and NumPy's numbers are made with, under its names of today and before.
_ALLOWED = {
    (module.replace("_core", core), name)
    for core in ("_core", "core")
    for module, name in (
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    )
}


class _PlainUnpickler(pickle.Unpickler):
    """Loads no class or function but NumPy's arrays: foreign bytes cannot run anything."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED and not _is_dtype(module, name):
            raise pickle.UnpicklingError(f"{module}.{name} is no plain data")
        return super().find_class(module, name)


def _is_dtype(module: str, name: str) -> bool:
    return module == "numpy.dtypes" and isinstance(getattr(np.dtypes, name, None), type)


def dumps(value: Any) -> bytes:
    """Return plain data as bytes."""
    return pickle.dumps(value, protocol=5)


def loads(content: bytes) -> Any:
    """Return the data again.

    Raises
    ------
    Exception
        Of any class, if `content` is something else.
    """
    return _PlainUnpickler(io.BytesIO(content)).load()
