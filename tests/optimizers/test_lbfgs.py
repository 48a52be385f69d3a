import numpy as np
import pytest
from problems import Problem
from scipy.optimize import minimize

from skopt_dl.objectives import Rosenbrock
from skopt_dl.optimizers import LBFGS, Adam
from skopt_dl.training import Stopping, minimise


class Counted(Rosenbrock):
    """Rosenbrock's function of five variables, which counts its evaluations."""

    def __init__(self):
        super().__init__(5)
        self.n_calls = 0

    def value_and_grad(self, params, batch=None):
        self.n_calls += 1
        return super().value_and_grad(params)


FUNCTION = Rosenbrock(5)
START = np.array([0.2, 1.6, 0.5, 1.3, 2.0])


@pytest.mark.parametrize("tol", [1.0, 1e-8])
def test_path_on_rosenbrock_is_scipys(tol):
    (run,) = minimise(
        FUNCTION, LBFGS(), START[None].copy(), max_epochs=500, stopping=Stopping(tol=tol)
    )
    values = []
    result = minimize(
        FUNCTION.value,
        START,
        jac=FUNCTION.gradient,
        method="L-BFGS-B",
        options={"maxcor": 10, "maxfun": 15000, "maxiter": 500, "gtol": tol},
        callback=lambda x: values.append(FUNCTION.value(x)),
    )
    np.testing.assert_array_equal(run.params, result.x)
    np.testing.assert_array_equal(run.history["loss"], values)
    np.testing.assert_allclose(run.params, 1.0, atol=tol**0.5)
    assert run.stop_reason == "converged"
    assert run.message == result.message
    assert run.n_epochs == result.nit


def test_path_on_a_network_is_scipys():
    problem = Problem(loss="multiclass", n_samples=60)
    objective = problem.objective(alpha=0.1, weighted=True)
    start = problem.starts()
    (run,) = minimise(
        objective, LBFGS(memory=5), start.copy(), max_epochs=40, stopping=Stopping(tol=1e-6)
    )

    def value_and_grad(x):
        loss, grad = objective.value_and_grad(x[None])
        return loss[0], grad[0].copy()

    result = minimize(
        value_and_grad,
        start[0],
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 5, "maxfun": 15000, "maxiter": 40, "gtol": 1e-6},
    )
    np.testing.assert_array_equal(run.params, result.x)
    assert problem.naive_loss(run.params, 0.1, weighted=True) == pytest.approx(result.fun)
    assert run.history["loss"][-1] == result.fun


def test_max_epochs_bounds_the_iterations():
    (run,) = minimise(FUNCTION, LBFGS(), START[None].copy(), max_epochs=3)
    assert run.n_epochs == len(run.history["loss"]) == 3
    assert run.stop_reason == "max_iter"


def test_max_fun_bounds_the_evaluations():
    objective = Counted()
    (run,) = minimise(objective, LBFGS(max_fun=5), START[None].copy(), max_epochs=100)
    assert objective.n_calls <= 5 + 20
    assert run.stop_reason == "max_iter"


def test_stack_runs_each_model_as_if_it_were_alone():
    starts = np.stack([START, -START, START + 1])
    optimizers = [LBFGS(), LBFGS(memory=2), LBFGS()]
    stacked = minimise(FUNCTION, optimizers, starts.copy(), max_epochs=20)
    for k, run in enumerate(stacked):
        (alone,) = minimise(FUNCTION, optimizers[k], starts[k : k + 1].copy(), max_epochs=20)
        np.testing.assert_array_equal(run.params, alone.params)
        assert run.history["loss"] == alone.history["loss"]
        assert run.index == k


def test_float32_network_ends_in_float32():
    problem = Problem(dtype=np.float32, n_samples=60)
    (run,) = minimise(problem.objective(), LBFGS(), problem.starts(), max_epochs=30)
    assert run.params.dtype == np.float32
    assert problem.naive_loss(run.params) < 0.7 * problem.naive_loss(problem.starts()[0])


def test_callback_can_ask_to_stop():
    def stop_at_four(runs):
        runs[0].stop_requested = runs[0].n_epochs == 4

    (run,) = minimise(FUNCTION, LBFGS(), START[None].copy(), on_epoch_end=stop_at_four)
    assert run.stop_reason == "requested"
    assert run.n_epochs == 4
    assert FUNCTION.value(run.params) == run.history["loss"][-1]


@pytest.mark.parametrize("monitor", ["loss", "validation_loss"])
def test_restore_best_returns_the_best_iterate(monitor):
    iterates = []

    def validate(params, models):
        iterates.append(params[0].copy())
        return {"validation_loss": np.abs(params[:, 0] + 0.5)}

    stopping = Stopping(monitor=monitor, restore_best=True, n_iter_no_change=1000)
    (run,) = minimise(FUNCTION, LBFGS(), START[None].copy(), validate=validate, stopping=stopping)
    best = np.argmin(run.history[monitor])
    np.testing.assert_array_equal(run.params, iterates[best])
    assert run.best == run.history[monitor][best]


def test_validation_figure_without_improvement_stops():
    stopping = Stopping(monitor="validation_score", larger_is_better=True, n_iter_no_change=2)
    (run,) = minimise(
        FUNCTION,
        LBFGS(),
        START[None].copy(),
        validate=lambda params, models: {"validation_score": np.ones(1)},
        stopping=stopping,
    )
    assert run.stop_reason == "no_improvement"
    assert run.n_epochs == 4


def test_loss_without_improvement_is_left_to_the_methods_own_criterion():
    impatient = Stopping(tol=1.0, n_iter_no_change=0)
    (run,) = minimise(FUNCTION, LBFGS(), START[None].copy(), stopping=impatient)
    improvements = -np.diff(run.history["loss"])
    assert improvements[:-1].min() < impatient.tol
    assert run.stop_reason == "converged"


class TurnsNaN(Counted):
    """Rosenbrock's function until a number of calls, then not a number."""

    def value_and_grad(self, params, batch=None):
        loss, grad = super().value_and_grad(params)
        return (loss, grad) if self.n_calls < 8 else (loss * np.nan, grad * np.nan)


def test_divergence_keeps_finite_parameters():
    (run,) = minimise(TurnsNaN(), LBFGS(), START[None].copy())
    assert run.stop_reason == "diverged"
    assert FUNCTION.value(run.params) == run.history["loss"][-1] < FUNCTION.value(START)


def test_loss_that_was_never_finite_gives_back_the_start():
    objective = TurnsNaN()
    objective.n_calls = 100
    (run,) = minimise(objective, LBFGS(), START[None].copy())
    assert run.stop_reason == "diverged"
    np.testing.assert_array_equal(run.params, START)


class Interrupted(Counted):
    """Ctrl-C at the tenth call."""

    def value_and_grad(self, params, batch=None):
        if self.n_calls == 10:
            raise KeyboardInterrupt
        return super().value_and_grad(params)


def test_interrupt_keeps_the_last_iterate():
    (run,) = minimise(Interrupted(), LBFGS(), START[None].copy())
    assert run.stop_reason == "interrupted"
    assert FUNCTION.value(run.params) == run.history["loss"][-1] < FUNCTION.value(START)


def test_interrupt_stops_the_models_that_come_after():
    starts = np.stack([START, START + 1, START - 1])
    optimizers = [LBFGS(), Adam(), LBFGS()]
    runs = minimise(Interrupted(), optimizers, starts.copy(), max_epochs=100)
    assert [run.stop_reason for run in runs] == ["interrupted"] * 3
    assert FUNCTION.value(runs[0].params) < FUNCTION.value(START)
    for k in (1, 2):
        np.testing.assert_array_equal(runs[k].params, starts[k])
        assert runs[k].history == {}
