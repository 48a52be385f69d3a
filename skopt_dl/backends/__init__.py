"""Array backends: the only package that knows which array library is in use.

Everything above takes its functions from ``backend.xp``; the few operations that libraries
do differently, or that deserve a tuned form on one of them, are methods of `Backend`.
"""

from skopt_dl.backends._base import Backend, corners, run_all
from skopt_dl.backends._blas import Helpers, helpers, one_blas_thread
from skopt_dl.backends._numpy import NumPyBackend
from skopt_dl.backends._select import (
    backend_for_prediction,
    backend_of,
    cuda_problem,
    get_backend,
    like_input,
    register_backend,
    to_host,
)

__all__ = [
    "Backend",
    "Helpers",
    "NumPyBackend",
    "backend_for_prediction",
    "backend_of",
    "corners",
    "cuda_problem",
    "get_backend",
    "helpers",
    "like_input",
    "one_blas_thread",
    "register_backend",
    "run_all",
    "to_host",
]
