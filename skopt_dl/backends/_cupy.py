"""CuPy on an NVIDIA GPU, through its NumPy-compatible calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cupy
import cupyx
import numpy as np
from cupyx.scipy.special import erf

from skopt_dl.backends._base import Array, Backend


class CuPyBackend(Backend):
    """CuPy arrays on the current device."""

    device = "cuda"
    # Few and large products, rather than what stays in a cache.
    patch_bytes = 1 << 27
    xp: Any = cupy

    @property
    def edition(self) -> str:  # type: ignore[override]
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())
        return f"cupy {cupy.__version__}, {properties['name'].decode()}"

    def sparse(self, matrix: Any) -> Any:
        from cupyx.scipy.sparse import csr_matrix

        return csr_matrix(matrix)

    def to_numpy(self, array: Array) -> np.ndarray:
        return cupy.asnumpy(array)

    def contiguous(self, array: Array) -> Array:
        return cupy.ascontiguousarray(array)

    def take(self, array: Array, indices: np.ndarray, out: Array, axis: int = 0) -> None:
        cupy.take(array, cupy.asarray(indices), axis=axis, out=out)

    def product(self, a: Array, b: Array, out: Array) -> Callable[[], Any]:
        # A single matrix keeps its transpose as a BLAS flag; a 3-D operand would be copied.
        if a.shape[0] == b.shape[0] == 1:
            a, b, out = a[0], b[0], out[0]
        return self.prepare(cupy.matmul, a, b, out=out)

    def copy(self, out: Array, array: Array) -> None:
        cupy.copyto(out, array, casting="unsafe")

    def add_at(self, table: Array, indices: Array, rows: Array) -> None:
        cupyx.scatter_add(table, indices, rows)

    def memory(self, n_bytes: int, like: Array) -> Any:
        return cupy.empty(n_bytes, cupy.uint8)

    def cut(self, memory: Any, start: int, shape: tuple[int, ...], dtype: Any) -> Array:
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        return memory[start : start + n_bytes].view(dtype).reshape(shape)

    def rectify_gradient(
        self, delta: Array, rectified: Array, out: Array
    ) -> list[Callable[[], Any]]:
        return [lambda: cupy.multiply(delta, rectified > 0, out=out)]

    def row_dot(self, a: Array, b: Array, out: Array = None) -> Array:
        # CuPy 14 has no vecdot.
        return cupy.sum(a * b, axis=-1, out=out)

    def erf(self, x: Array, out: Array) -> None:
        erf(x, out=out)
