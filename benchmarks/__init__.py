"""Speed, memory and import time of skopt_dl against its peers: ``python -m benchmarks``."""

import os

# BLAS and OpenMP libraries read these when they load, so before NumPy is imported.
for _variable in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
):
    os.environ[_variable] = "1"
