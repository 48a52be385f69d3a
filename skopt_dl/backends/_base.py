"""The operations that differ between array libraries."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

Array = Any


class Backend:
    """Operations written with the array API, plus ``out=``.

    A subclass names its namespace and overrides what its library does better or differently.

    Attributes
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``; what estimators report as ``device_``.
    xp : namespace
        The array functions: ``multiply``, ``matmul``, … all taking ``out=``.
    """

    device: str = "cpu"
    xp: Any

    def asarray(self, array: Array, dtype: Any = None) -> Array:
        """Return `array` on this backend's device; no copy where none is needed."""
        return self.xp.asarray(array, dtype=dtype)

    def empty(self, shape: tuple[int, ...], like: Array) -> Array:
        """Return an uninitialised array with the dtype and device of `like`."""
        return self.xp.empty(shape, dtype=like.dtype)

    def zeros(self, shape: tuple[int, ...], like: Array) -> Array:
        """Return zeros with the dtype and device of `like`."""
        return self.xp.zeros(shape, dtype=like.dtype)

    def ones(self, shape: tuple[int, ...], like: Array) -> Array:
        """Return ones with the dtype and device of `like`."""
        return self.xp.ones(shape, dtype=like.dtype)

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return `array` as a NumPy array; waits for the device."""
        return np.asarray(array)

    def fetch(self, *arrays: Array) -> list[np.ndarray]:
        """Bring small results to the host: the loop's one synchronisation an epoch."""
        return [self.to_numpy(array) for array in arrays]

    def take(self, rows: Array, indices: np.ndarray, out: Array) -> None:
        """Gather ``rows[indices]`` along the first axis into `out`; `indices` is 1-D, in range."""
        out[...] = self.xp.take(rows, self.asarray(indices), axis=0)

    def matmul_tn(self, a: Array, b: Array, out: Array) -> None:
        """Product of each ``a[k].T`` with ``b[k]``."""
        self.xp.matmul(a.mT, b, out=out)

    def matmul_nt(self, a: Array, b: Array, out: Array) -> None:
        """Product of each ``a[k]`` with ``b[k].T``."""
        self.xp.matmul(a, b.mT, out=out)

    def rectify(self, x: Array, out: Array) -> None:
        """Maximum of `x` and zero."""
        self.xp.maximum(x, 0.0, out=out)

    def mask(self, x: Array, mask: Array) -> None:
        """Multiply `x` by a boolean array, in place."""
        self.xp.multiply(x, self.xp.astype(mask, x.dtype), out=x)

    def erf(self, x: Array, out: Array) -> None:
        """Error function, which the array API lacks."""
        raise NotImplementedError(f"{type(self).__name__} has no error function.")

    def update(
        self, optimizer: Any, grad: Array, state: Mapping[str, Array], params: Array, step: Any
    ) -> None:
        """Apply one optimizer step to `params`, in place.

        The place where a device may run the whole update as one fused kernel.
        """
        xp = self.xp
        xp.add(params, optimizer.update(grad, state, params, step), out=params)

    def quiet(self) -> AbstractContextManager[Any]:
        """Silence floating-point warnings: overflow is found, and reported, once an epoch."""
        return nullcontext()
