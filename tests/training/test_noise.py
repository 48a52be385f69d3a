"""What optimizers draw is each model's own, and the same however it is trained."""

import copy

import numpy as np
import pytest

from skopt_dl import MLPClassifier, fit_many
from skopt_dl.objectives import GivenGradients, Layout, Quadratic
from skopt_dl.optimizers import SGD, Optimizer, PartialOptimizer
from skopt_dl.testing import check_optimizer
from skopt_dl.training import Batches, minimise, updates

N_EPOCHS = 4
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")
LAYOUT = Layout.from_shapes([("w", "hidden", (2, 3)), ("b", "bias", (1, 3))])


class Langevin(Optimizer):
    """Stochastic gradient Langevin dynamics (Welling & Teh, 2011)."""

    needs = ("noise",)

    def __init__(self, learning_rate=0.01, temperature=1.0):
        self.learning_rate = learning_rate
        self.temperature = temperature

    def coefficients(self, number, learning_rate):
        return {"spread": (2 * learning_rate * self.temperature) ** 0.5}

    def update(self, grad, state, params, step):
        return step.coefficients["spread"] * step.noise - step.learning_rate * grad


class Drawn(Optimizer):
    """Moves by what it draws alone."""

    needs = ("noise",)

    def __init__(self, learning_rate=1.0):
        self.learning_rate = learning_rate

    def update(self, grad, state, params, step):
        return step.learning_rate * step.noise


@pytest.fixture(params=["program", "code"])
def way(request, monkeypatch):
    if request.param == "code":
        monkeypatch.setattr(updates, "update_program", lambda case: "of a test")
    return request.param


def train(optimizers, seeds, *, dtype=float, n_epochs=N_EPOCHS, resume=None):
    """Results of a stack that starts at zero, on gradients of zero, each model with a generator."""
    shape = len(optimizers), LAYOUT.size
    gradients = GivenGradients(np.zeros((n_epochs, LAYOUT.size)), LAYOUT)
    batches = Batches(1, 1, rngs=[np.random.default_rng(seed) for seed in seeds])
    options = {"batches": batches, "max_epochs": n_epochs, "resume": resume}
    starts = np.zeros(shape, dtype=dtype)
    for row, kept in zip(starts, resume or [], strict=False):
        row[:] = kept["params"]
    return minimise(gradients, optimizers, starts, **options)


def philox(seed, number, dtype=float):
    """What a model draws in a step, from the definition."""
    key = int(np.random.default_rng(seed).integers(2**63))
    counting = np.random.Philox(key=key, counter=number * 2**64)
    return np.random.Generator(counting).standard_normal(LAYOUT.size, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_those_of_seed_and_step_in_any_stack(way, dtype):
    seeds = [5, 6, 5]
    runs = train([Drawn(), Drawn(0.5), Drawn()], seeds, dtype=dtype)
    for seed, rate, run in zip(seeds, [1.0, 0.5, 1.0], runs, strict=True):
        expected = np.zeros(LAYOUT.size, dtype)
        for number in range(1, N_EPOCHS + 1):
            expected += dtype(rate) * philox(seed, number, dtype)
        np.testing.assert_array_equal(run.params, expected)
        (alone,) = train([Drawn(rate)], [seed], dtype=dtype)
        np.testing.assert_array_equal(run.params, alone.params)
        assert run.params.dtype == dtype
        assert bool(run.untraced) == (way == "code")


def test_models_that_do_not_draw_share_the_stack_and_keep_their_generators():
    rng = np.random.default_rng(3)
    before = copy.deepcopy(rng.bit_generator.state)
    gradients = GivenGradients(np.ones((2, 3)))
    start, batches = np.zeros((2, 3)), Batches(1, 1, rngs=[rng, np.random.default_rng(4)])
    mixed = minimise(gradients, [Drawn(), SGD(0.5)], start, batches=batches, max_epochs=2)
    assert rng.bit_generator.state == before
    np.testing.assert_array_equal(mixed[1].params, -1.0)
    assert "seed" not in mixed[1].state


def test_training_goes_on_with_the_numbers_that_come_next(way):
    (whole,) = train([Drawn()], [7])
    (begun,) = train([Drawn()], [7], n_epochs=1)
    kept = {**begun.state, "params": begun.params}
    (ended,) = train([Drawn()], [8], n_epochs=N_EPOCHS - 1, resume=[kept])
    np.testing.assert_array_equal(whole.params, ended.params)


def test_part_of_the_tensors_gets_the_noise_of_those_tensors():
    class WeightsStay(PartialOptimizer):
        needs = ("noise",)

        def __init__(self, learning_rate=1.0):
            self.learning_rate = learning_rate

        def treats(self, spec):
            return spec.role == "hidden"

        def rest(self):
            return Drawn()

        def update(self, grad, state, params, step):
            self.update_rest(grad, state, params, step)
            return grad

    (run,) = train([WeightsStay()], [2], n_epochs=1)
    np.testing.assert_array_equal(run.params[:6], 0.0)
    np.testing.assert_array_equal(run.params[6:], philox(2, 1)[6:])


def test_langevin_dynamics_keeps_the_rules_and_samples_a_gaussian():
    check_optimizer(Langevin())
    many, rate = 400, 0.1
    (run,) = minimise(Quadratic(np.ones(many)), Langevin(rate), np.zeros((1, many)), max_epochs=60)
    # The stationary spread of x - rate x + sqrt(2 rate) noise.
    assert np.std(run.params) == pytest.approx((1 - rate / 2) ** -0.5, rel=0.1)


X = np.random.default_rng(0).normal(size=(40, 5))
Y = (X[:, 0] > 0).astype(int)


def model(seed, **params):
    optimizer = Langevin(1e-3, temperature=1e-3)
    fixed = {"hidden_layer_sizes": 4, "batch_size": 8, "max_iter": 3, "dropout": 0.2}
    return MLPClassifier(**{**fixed, **params}, optimizer=optimizer, random_state=seed)


def weights(fitted):
    return np.concatenate([each.ravel() for each in fitted.coefs_])


def test_stacked_models_have_the_bits_of_single_ones_dropout_and_all():
    stacked = fit_many([model(seed) for seed in (0, 1, 0)], X, Y)
    for fitted, seed in zip(stacked, (0, 1, 0), strict=True):
        np.testing.assert_array_equal(weights(fitted), weights(model(seed).fit(X, Y)))
    assert not np.array_equal(weights(stacked[0]), weights(stacked[1]))


def test_noise_changes_neither_batches_nor_masks():
    """Without a temperature there is none, and training is that of gradient descent."""
    still = model(0).set_params(optimizer=Langevin(0.1, temperature=0.0)).fit(X, Y)
    plain = model(0).set_params(optimizer=SGD(0.1)).fit(X, Y)
    np.testing.assert_allclose(weights(still), weights(plain), rtol=1e-12)
