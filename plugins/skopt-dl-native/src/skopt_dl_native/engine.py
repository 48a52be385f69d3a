"""The engine that `skopt_dl` finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import scipy
import scipy.linalg.cython_blas as cython_blas

from skopt_dl.backends import Backend
from skopt_dl.programs import Engine, HostFunction, Memory, Program
from skopt_dl_native import _interpreter
from skopt_dl_native.binding import Call, NativeBinding
from skopt_dl_native.sequences import Sequenced

_interpreter.use_blas(cython_blas.__pyx_capi__["sgemm"], cython_blas.__pyx_capi__["dgemm"])


class NativeEngine(Engine):
    """Runs programs in C, model by model, without the interpreter lock.

    What it has no words for is left to NumPy, for that instruction only.
    """

    name = "native"
    edition = f"{version('skopt-dl-native')} {_interpreter.INSTRUCTIONS} scipy {scipy.__version__}"
    by_model = True

    def bind(
        self,
        b: Backend,
        program: Program,
        arrays: Mapping[str, Any],
        memory: Memory,
        host: HostFunction | None = None,
    ) -> NativeBinding:
        return NativeBinding(b, program, arrays, memory, host)

    def calls(
        self, b: Backend, program: Program, arrays: Mapping[str, Any], like: Any
    ) -> list[Call]:
        return NativeBinding(b, program, arrays, Memory(b, like)).calls()

    def sequence(self, calls: Sequence[Call], n_times: int = 1) -> Callable[[int], None]:
        return Sequenced(calls, n_times)
