"""CuPy on an NVIDIA GPU, through its NumPy-compatible calls."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np
from cupyx.scipy.special import erf

from skopt_dl.backends._base import Array, Backend


class CuPyBackend(Backend):
    """CuPy arrays on the current device."""

    device = "cuda"
    xp: Any = cupy

    def to_numpy(self, array: Array) -> np.ndarray:
        return cupy.asnumpy(array)

    def take(self, rows: Array, indices: np.ndarray, out: Array) -> None:
        cupy.take(rows, cupy.asarray(indices), axis=0, out=out)

    def matmul_tn(self, a: Array, b: Array, out: Array) -> None:
        # A single matrix keeps its transpose as a BLAS flag; a 3-D operand would be copied.
        if a.shape[0] == 1:
            cupy.matmul(a[0].T, b[0], out=out[0])
        else:
            cupy.matmul(a.swapaxes(1, 2), b, out=out)

    def matmul_nt(self, a: Array, b: Array, out: Array) -> None:
        if a.shape[0] == 1:
            cupy.matmul(a[0], b[0].T, out=out[0])
        else:
            cupy.matmul(a, b.swapaxes(1, 2), out=out)

    def mask(self, x: Array, mask: Array) -> None:
        cupy.multiply(x, mask, out=x)

    def erf(self, x: Array, out: Array) -> None:
        erf(x, out=out)
