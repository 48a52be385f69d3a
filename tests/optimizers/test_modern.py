"""Slots of any shape, the gradient elsewhere, parameters handed on: what modern methods need."""

import numpy as np
import pytest
from modern import MODERN, SAM, SOAP, Muon, ScheduleFree
from problems import Problem

from skopt_dl.objectives import GivenGradients, Layout, Quadratic
from skopt_dl.optimizers import SGD, Adam, AdamW, Optimizer
from skopt_dl.testing import check_optimizer
from skopt_dl.training import minimise

TRACED = {
    "Muon": "traced",
    "ScheduleFree": "traced",
    "SOAP": "not traced: it asks for the number of the step",
    "SAM": "not traced: it asks for the gradient elsewhere",
}
LAYOUT = Layout.from_shapes(
    [("w", "input", (4, 3)), ("v", "output", (3, 5)), ("b", "bias", (1, 3)), ("c", "bias", (1, 5))]
)


@pytest.mark.parametrize("name", MODERN)
def test_modern_method_keeps_the_rules_and_says_whether_it_is_traced(name):
    assert check_optimizer(MODERN[name]()).startswith(TRACED[name])


@pytest.mark.parametrize("name", MODERN)
def test_models_of_a_stack_with_hyperparameters_of_their_own_train_as_alone(name):
    problem = Problem(n_samples=40)
    optimizers = [MODERN[name](learning_rate=0.01 * 2**k) for k in range(3)]
    together = problem.train(optimizers, max_epochs=5)
    for k, run in enumerate(together):
        (alone,) = problem.train([optimizers[k]], [k], max_epochs=5)
        np.testing.assert_allclose(run.params, alone.params, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(run.history["loss"], alone.history["loss"], rtol=1e-9)


def test_models_with_modern_and_old_methods_share_a_stack():
    problem = Problem(n_samples=40)
    optimizers = [SAM(), Adam(), Muon(), SAM(rho=0.5), SOAP()]
    together = problem.train(optimizers, max_epochs=3)
    for k, run in enumerate(together):
        (alone,) = problem.train([optimizers[k]], [k], max_epochs=3)
        np.testing.assert_allclose(run.params, alone.params, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MODERN)
def test_a_model_leaves_the_stack_and_the_others_go_on_with_their_slots(name):
    problem, seen = Problem(n_samples=40), []

    def stop_the_first(runs):
        seen.append(len(runs))
        runs[0].stop_requested = len(seen) == 2

    optimizers = [MODERN[name](learning_rate=0.01 * 2**k) for k in range(3)]
    runs = problem.train(optimizers, max_epochs=5, on_epoch_end=stop_the_first)
    assert seen == [3, 3, 2, 2, 2]
    for k in (1, 2):
        (alone,) = problem.train([optimizers[k]], [k], max_epochs=5)
        np.testing.assert_allclose(runs[k].params, alone.params, rtol=1e-9, atol=1e-12)


def run_on(start, optimizers, n_epochs, **options):
    """Train on a quadratic, one step an epoch."""
    curvatures = np.linspace(0.1, 1.0, LAYOUT.size)
    objective = Quadratic(curvatures, layout=LAYOUT)
    params = np.array(start)
    return minimise(objective, optimizers, params, max_epochs=n_epochs, **options)


@pytest.mark.parametrize("name", MODERN)
def test_training_in_two_halves_ends_with_the_bits_of_one(name):
    starts = np.random.default_rng(0).normal(size=(2, LAYOUT.size))
    optimizers = [MODERN[name](), MODERN[name](learning_rate=0.05)]
    whole = run_on(starts, optimizers, 24)
    half = run_on(starts, optimizers, 12)
    trained = [run.state.get("params", run.params) for run in half]
    rest = run_on(trained, optimizers, 12, resume=[run.state for run in half])
    for run, other in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(run.params, other.params)
        assert run.state["slots"].keys() == other.state["slots"].keys()
        for slot, array in run.state["slots"].items():
            np.testing.assert_array_equal(array, other.state["slots"][slot])


@pytest.mark.parametrize("name", MODERN)
def test_snapshot_of_any_epoch_ends_with_the_same_bits(name):
    start, taken = np.random.default_rng(1).normal(size=(1, LAYOUT.size)), []
    optimizer = MODERN[name]()
    (whole,) = run_on(
        start,
        optimizer,
        14,
        on_leave=lambda left, staying: taken.extend(run.snapshot() for run in staying),
    )
    for snapshot in (taken[0], taken[10]):
        (run,) = run_on(snapshot.params[None], optimizer, 14, resume=[snapshot])
        np.testing.assert_array_equal(run.params, whole.params)
        assert run.history["loss"] == whole.history["loss"]


def test_slots_hold_what_they_are_said_to_hold():
    (run,) = run_on(np.ones((1, LAYOUT.size)), ScheduleFree(learning_rate=0.5), 3)
    shapes = {slot: array.shape for slot, array in run.state["slots"].items()}
    assert shapes == {"base": (35,), "squares": (35,), "weight_sum": (1,)}
    assert run.state["slots"]["weight_sum"] == 3 * 0.5**2
    (run,) = run_on(np.ones((1, LAYOUT.size)), SOAP(), 3)
    shapes = {slot: array.shape for slot, array in run.state["slots"].items()}
    assert shapes == {
        **{"mean": (35,), "squares": (35,), "rest.mean": (8,), "rest.squares": (8,)},
        **{"factor_0": (16 + 9,), "factor_1": (9 + 25,)},
        **{"basis_0": (16 + 9,), "basis_1": (9 + 25,)},
    }


def test_slot_of_a_shape_is_given_for_each_model():
    seen = []

    class Remembers(SGD):
        slots = {"pairs": (2, 3), "by_layout": lambda layout: (layout.size, 2)}
        traceable = False

        def init_state(self, state, params, xp, layout):
            assert layout is LAYOUT
            state["pairs"][...] = 7.0

        def update(self, grad, state, params, step):
            seen.append({slot: array.shape for slot, array in state.items()})
            assert (state["pairs"] == 7.0).all()
            return -step.learning_rate * grad

        def coefficients(self, number, learning_rate):
            return {}

    run_on(np.ones((2, LAYOUT.size)), Remembers(), 1)
    assert seen == [{"pairs": (2, 2, 3), "by_layout": (2, 35, 2)}]


def test_slot_that_is_no_shape_is_named_with_what_is_allowed():
    class Wrong(SGD):
        slots = {"memory": "matrix"}

    with pytest.raises(ValueError, match=r"slots of Wrong says 'matrix' of 'memory'.*'scalar'"):
        Wrong().slot_shapes(LAYOUT)
    with pytest.raises(AssertionError, match="`slots` says what each state array holds"):
        check_optimizer(Wrong())


def given_gradients(n_steps=12, n_models=1):
    return np.random.default_rng(3).normal(size=(n_steps, n_models, LAYOUT.size))


def follow(optimizer, gradients, start):
    path = []
    minimise(
        GivenGradients(gradients, LAYOUT),
        optimizer,
        start.copy(),
        max_epochs=len(gradients),
        validate=lambda params, models: path.append(params[0].copy()) or {},
    )
    return np.array(path)


def matrices_of(row):
    return row[:12].reshape(4, 3), row[12:27].reshape(3, 5)


@pytest.mark.parametrize("optimizer", [Muon(weight_decay=0.1), SOAP()], ids=["Muon", "SOAP"])
def test_biases_follow_the_other_method_as_if_there_were_no_matrices(optimizer):
    gradients, start = given_gradients(), np.random.default_rng(4).normal(size=(1, LAYOUT.size))
    path = follow(optimizer, gradients, start)
    other = optimizer.rest()
    other.learning_rate = optimizer.rest_rate(optimizer.learning_rate)
    expected = []
    minimise(
        GivenGradients(gradients[:, :, 27:]),
        other,
        start[:, 27:].copy(),
        max_epochs=len(gradients),
        validate=lambda params, models: expected.append(params[0].copy()) or {},
    )
    np.testing.assert_array_equal(path[:, 27:], expected)


def test_muon_moves_matrices_by_orthogonal_ones():
    gradients, start = given_gradients(), np.random.default_rng(4).normal(size=(1, LAYOUT.size))
    optimizer = Muon(learning_rate=0.02, momentum=0.95, weight_decay=0.1)
    path = np.concatenate([start, follow(optimizer, gradients, start)])
    momenta = [np.zeros((4, 3)), np.zeros((3, 5))]
    for step, gradient in enumerate(gradients[:, 0]):
        befores, afters = matrices_of(path[step]), matrices_of(path[step + 1])
        for i, (before, after) in enumerate(zip(befores, afters, strict=True)):
            g = matrices_of(gradient)[i]
            momenta[i] = 0.95 * momenta[i] + 0.05 * g
            direction = -(after - before) / 0.02 - 0.1 * before
            direction /= max(1, before.shape[1] / before.shape[0]) ** 0.5
            left, _, right = np.linalg.svd(0.05 * g + 0.95 * momenta[i], full_matrices=False)
            # The singular vectors of what it is told, with singular values near 1.
            inner = left.T @ direction @ right.T
            np.testing.assert_allclose(inner - np.diag(np.diag(inner)), 0, atol=1e-6)
            assert ((np.diag(inner) > 0.6) & (np.diag(inner) < 1.3)).all()


def test_soap_follows_its_authors_algorithm_for_one_matrix_at_a_time():
    gradients, start = given_gradients(25), np.random.default_rng(4).normal(size=(1, LAYOUT.size))
    path = follow(SOAP(learning_rate=0.01, weight_decay=0.1), gradients, start)
    for i in (0, 1):
        expected = naive_soap(matrices_of(start[0])[i], [matrices_of(g[0])[i] for g in gradients])
        got = np.array([matrices_of(row)[i] for row in path])
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)


def naive_soap(weights, gradients, rate=0.01, beta=0.95, epsilon=1e-8, decay=0.1):
    weights, path = weights.copy(), []
    mean, squares = np.zeros_like(weights), np.zeros_like(weights)
    factors, bases = [np.zeros((n, n)) for n in weights.shape], []
    for number, g in enumerate(gradients):
        if number > 0:
            mean = beta * mean + (1 - beta) * g
            squares = beta * squares + (1 - beta) * (bases[0].T @ g @ bases[1]) ** 2
            direction = (bases[0].T @ mean @ bases[1]) / (np.sqrt(squares) + epsilon)
            size = rate * np.sqrt(1 - beta ** (number + 1)) / (1 - beta ** (number + 1))
            weights = weights - size * bases[0] @ direction @ bases[1].T - rate * decay * weights
        factors = [
            beta * f + (1 - beta) * outer
            for f, outer in zip(factors, (g @ g.T, g.T @ g), strict=True)
        ]
        if number == 0:
            bases = [np.linalg.eigh(f)[1][:, ::-1] for f in factors]
        elif (number + 1) % 10 == 0:
            for axis, factor in enumerate(factors):
                order = np.argsort(-np.diag(bases[axis].T @ factor @ bases[axis]))
                squares = np.take(squares, order, axis=axis)
                bases[axis] = np.linalg.qr(factor @ bases[axis][:, order])[0]
        path.append(weights)
    return np.array(path)


def test_schedule_free_averages_the_points_that_steps_are_taken_from():
    gradients, start = given_gradients(30), np.random.default_rng(4).normal(size=(1, LAYOUT.size))
    path = follow(ScheduleFree(learning_rate=0.1, weight_decay=0.05), gradients, start)
    # As the paper has it: z takes the steps, x averages z, and y, between both, has the gradient.
    x = z = y = start[0]
    squares = np.zeros_like(x)
    for number, g in enumerate(gradients[:, 0], start=1):
        squares = 0.999 * squares + 0.001 * g**2
        z = z - 0.1 * (g / (np.sqrt(squares / (1 - 0.999**number)) + 1e-8) + 0.05 * y)
        x = (1 - 1 / number) * x + z / number
        y = 0.1 * z + 0.9 * x
        np.testing.assert_allclose(path[number - 1], x, rtol=1e-10, atol=1e-12)


def test_sam_takes_the_gradient_from_uphill():
    curvatures = np.linspace(0.1, 1.0, LAYOUT.size)
    start = np.random.default_rng(5).normal(size=LAYOUT.size)
    (run,) = run_on(start[None], SAM(learning_rate=0.1, rho=0.3), 8)
    x, velocity = start, 0.0
    for _ in range(8):
        g = curvatures * x
        velocity = 0.9 * velocity + curvatures * (x + 0.3 * g / np.linalg.norm(g))
        x = x - 0.1 * velocity
    np.testing.assert_allclose(run.params, x, rtol=1e-10, atol=1e-12)


def test_gradient_elsewhere_is_clipped_like_the_gradient():
    start = np.random.default_rng(5).normal(size=(1, LAYOUT.size))
    (run,) = run_on(start, SAM(learning_rate=1.0, momentum=0.0), 1, max_grad_norm=0.25)
    np.testing.assert_allclose(np.linalg.norm(run.params - start[0]), 0.25, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_elsewhere_is_that_of_the_same_masks_and_leaves_everything_as_it_is(weighted):
    problem = Problem(hidden=(6, 4), n_samples=30, batch_norm=True)
    options = {"alpha": 0.1, "weighted": weighted, "dropout": 0.5}
    objective, twin, untouched = (problem.objective(2, **options) for _ in range(3))
    objective.keeps_draws = True
    here, there = problem.starts(2), problem.starts(4)[2:]
    for _ in range(3):
        (batch,) = objective.load(everything(problem))
        (of_twin,) = twin.load(everything(problem))
        (of_untouched,) = untouched.load(everything(problem))
        grad = objective.grad(here, batch)
        before, statistics = grad.copy(), objective.statistics.copy()
        elsewhere = objective.gradient_at(there, batch)
        # The twin draws the same masks for its only gradient.
        np.testing.assert_array_equal(elsewhere, twin.grad(there, of_twin))
        np.testing.assert_array_equal(objective.gradient_at(here, batch), before)
        np.testing.assert_array_equal(grad, before)
        np.testing.assert_array_equal(objective.statistics, statistics)
        np.testing.assert_array_equal(before, untouched.grad(here, of_untouched))
        np.testing.assert_array_equal(objective.losses(), untouched.losses())
        np.testing.assert_array_equal(statistics, untouched.statistics)


def everything(problem):
    return next(iter(problem.batches([0, 1], len(problem.x)).epoch(1)))


def test_old_signature_of_init_state_goes_on_working():
    class Old(Optimizer):
        slots = ("memory",)

        def __init__(self, learning_rate=0.1):
            self.learning_rate = learning_rate

        def init_state(self, state, params, xp):
            xp.add(state["memory"], params, out=state["memory"])

        def update(self, grad, state, params, step):
            state["memory"] *= 0.5
            return -step.learning_rate * state["memory"]

    (run,) = run_on(np.ones((1, LAYOUT.size)), Old(), 1)
    np.testing.assert_array_equal(run.params, 0.95)
    assert check_optimizer(AdamW()) == "traced"
