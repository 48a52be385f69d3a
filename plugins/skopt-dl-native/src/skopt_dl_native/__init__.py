"""A native engine for skopt_dl: programs in one C call."""

import scipy.linalg.cython_blas as _blas

from skopt_dl_native import _interpreter

_interpreter.use_blas(_blas.__pyx_capi__["sgemm"], _blas.__pyx_capi__["dgemm"])
