"""NumPy on the CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from skopt_dl.backends._base import Array, Backend


class NumPyBackend(Backend):
    """NumPy arrays; products run on NumPy's BLAS."""

    device = "cpu"
    xp = np

    def take(self, rows: Array, indices: np.ndarray, out: Array) -> None:
        # mode="clip" writes straight into `out`; the default checks bounds through a buffer.
        np.take(rows, indices, axis=0, out=out, mode="clip")

    def rectify(self, x: Array, out: Array) -> None:
        # NumPy's clip loop is vectorised; its maximum, which orders NaNs, is three times slower.
        x.clip(0.0, np.inf, out=out)

    def mask(self, x: Array, mask: Array) -> None:
        np.multiply(x, mask, out=x)

    def erf(self, x: Array, out: Array) -> None:
        from scipy.special import erf

        erf(x, out=out)

    def quiet(self) -> AbstractContextManager[Any]:
        return np.errstate(all="ignore")
