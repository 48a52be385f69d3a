"""L-BFGS, SciPy's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skopt_dl._params import COUNT
from skopt_dl.optimizers.base import Minimizer, MinimizerResult
from skopt_dl.optimizers.spaces import Choice


class LBFGS(Minimizer):
    """Limited-memory BFGS over the whole data (Liu & Nocedal, 1989), run by SciPy.

    For small data sets, where it often needs far fewer passes than a stochastic method. The
    estimator's ``max_iter`` bounds the iterations and ``tol`` is the largest absolute gradient
    component at which to stop; ``batch_size`` and ``shuffle`` have no effect.

    Parameters
    ----------
    memory : int, default=10
        Gradient differences kept.
    max_fun : int, default=15000
        Largest number of evaluations of the loss.
    """

    constraints = {
        "memory": COUNT,
        "max_fun": COUNT,
    }
    search_space = {"memory": Choice(5, 10, 20)}

    def __init__(self, memory: int = 10, max_fun: int = 15000):
        self.memory = memory
        self.max_fun = max_fun

    def minimize(
        self,
        value_and_grad: Callable[[np.ndarray], tuple[float, np.ndarray]],
        params: np.ndarray,
        *,
        max_iter: int,
        tol: float,
        callback: Callable[[np.ndarray, float], bool],
    ) -> MinimizerResult:
        from scipy.optimize import minimize

        def after_iteration(intermediate_result: object) -> None:
            result = intermediate_result
            if callback(result.x, float(result.fun)):  # type: ignore[attr-defined]
                raise StopIteration

        result = minimize(
            value_and_grad,
            params,
            jac=True,
            method="L-BFGS-B",
            callback=after_iteration,
            options={
                "maxcor": self.memory,
                "maxfun": self.max_fun,
                "maxiter": max_iter,
                "gtol": tol,
            },
        )
        return MinimizerResult(result.x, result.status == 0, str(result.message))
