"""Rules for methods that run a whole minimisation themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.optimizers import Minimizer
from skopt_dl.testing._bench import LAYOUT, QUADRATIC
from skopt_dl.testing._rules import broken, expecting

MAX_ITER = 15


def check_minimize(minimizer: Minimizer) -> None:
    """What ``minimize`` returns, tells and leaves alone."""
    _Attempt(minimizer)


def check_minimize_repeats(minimizer: Minimizer) -> None:
    """Equal runs give equal results."""
    first, second = _Attempt(minimizer), _Attempt(minimizer)
    if not np.array_equal(first.result.params, second.result.params):
        raise broken(
            minimizer,
            "Equal runs give equal results.",
            "two runs from the same start differ",
            "Keep nothing in self; draw no random numbers from a global generator.",
        )


def check_minimize_keeps_to_max_iter(minimizer: Minimizer) -> None:
    """It makes at most ``max_iter`` iterations."""
    n_calls = _Attempt(minimizer).n_calls
    if n_calls > MAX_ITER:
        raise broken(
            minimizer,
            "minimize makes at most max_iter iterations.",
            f"the callback was called {n_calls} times with max_iter={MAX_ITER}",
            "Stop after max_iter iterations, with converged=False.",
        )


def check_minimize_stops_when_told(minimizer: Minimizer) -> None:
    """It ends when the callback says so."""
    stopped = _Attempt(minimizer, stop=True)
    if stopped.n_calls != 1:
        raise broken(
            minimizer,
            "minimize stops when the callback returns true.",
            f"the callback was called {stopped.n_calls} times, the first time returning True",
            "Call `callback(params, loss)` after each iteration, and return if it is true.",
        )


class _Attempt:
    """One call of ``minimize`` on a quadratic, checked on the way."""

    def __init__(self, minimizer: Minimizer, stop: bool = False):
        self._minimizer, self._stop = minimizer, stop
        self.n_calls = 0
        start = np.random.default_rng(0).normal(size=LAYOUT.size)
        before = start.copy()
        with expecting(
            minimizer, "minimize runs.", "The exception above says where.", owner="check_minimize"
        ):
            self.result: Any = minimizer.minimize(
                self._value_and_grad, start, max_iter=MAX_ITER, tol=1e-8, callback=self._callback
            )
        self._check_result(before)
        if not np.array_equal(start, before):
            raise broken(
                minimizer,
                "minimize does not change the array it starts from.",
                "`params` changed",
                "Copy it first.",
                owner="check_minimize",
            )

    def _value_and_grad(self, params: np.ndarray) -> tuple[float, np.ndarray]:
        loss, grad = QUADRATIC.value_and_grad(np.asarray(params)[None])
        return float(loss[0]), grad[0]

    def _callback(self, params: np.ndarray, loss: float) -> bool:
        self.n_calls += 1
        value = QUADRATIC.value(np.asarray(params))
        if not np.isclose(loss, value):
            raise broken(
                self._minimizer,
                "callback gets the parameters of an iteration and their loss.",
                f"the loss {loss:.6g} with parameters whose loss is {value:.6g}",
                "Call `callback(params, loss)` with the newest of both.",
                owner="check_minimize",
            )
        return self._stop

    def _check_result(self, start: np.ndarray) -> None:
        params = getattr(self.result, "params", None)
        parts = all(hasattr(self.result, name) for name in ("converged", "message"))
        if not (parts and isinstance(params, np.ndarray) and params.shape == start.shape):
            raise broken(
                self._minimizer,
                "minimize returns a MinimizerResult with parameters (P,).",
                f"{self.result!r}",
                "End with `return MinimizerResult(params, converged, message)`.",
                owner="check_minimize",
            )
        before, after = QUADRATIC.value(start), QUADRATIC.value(params)
        if not after < before:
            raise broken(
                self._minimizer,
                "minimize makes a convex quadratic smaller.",
                f"from {before:.6g} to {after:.6g}",
                "Return the best parameters found; `value_and_grad` gives the uphill direction.",
                owner="check_minimize",
            )
