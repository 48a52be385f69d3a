"""Hyperparameters with schedules of their own, and what an update may know of the training."""

import numpy as np
import pytest
from sklearn.base import clone

from skopt_dl import MLPClassifier
from skopt_dl.objectives import GivenGradients, Layout
from skopt_dl.optimizers import SGD, AdamW, Momentum, Optimizer, PartialOptimizer
from skopt_dl.schedules import Cosine, Schedule, StepDecay
from skopt_dl.training import Batches, TrainingConfig, minimise, updates

RATE, N_BATCHES, N_EPOCHS = 0.1, 3, 4
LAYOUT = Layout.from_shapes([("w", "hidden", (2, 3)), ("b", "bias", (1, 3))])
GRADIENTS = np.random.default_rng(0).normal(size=(N_BATCHES * N_EPOCHS, LAYOUT.size))
START = np.random.default_rng(1).normal(size=LAYOUT.size)
pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")


@pytest.fixture(params=["program", "code"])
def way(request, monkeypatch):
    if request.param == "code":
        monkeypatch.setattr(updates, "update_program", lambda case: "of a test")
    return request.param


class Line(Schedule):
    """Grows by `slope` with each step, or each epoch."""

    def __init__(self, slope=0.1, per_step=True):
        self.slope = slope
        self.per_step = per_step

    def value(self, progress):
        return self.slope * (progress.step if self.per_step else progress.epoch)


def train(optimizers, n_epochs=N_EPOCHS, resume=None, first=0):
    """Results of a stack on gradients that are given; models differ in epochs where a list is."""
    gradients = GivenGradients(GRADIENTS[first:], LAYOUT)
    starts = np.tile(START, (len(optimizers), 1))
    for row, kept in zip(starts, resume or [], strict=False):
        row[:] = kept["params"]
    n_epochs = np.broadcast_to(n_epochs, len(optimizers)).tolist()
    configs = [TrainingConfig(each, n) for each, n in zip(optimizers, n_epochs, strict=True)]
    batches = Batches(1, 1, steps=N_BATCHES)
    return minimise(gradients, configs, starts, batches=batches, resume=resume)


def decayed(values, n_steps):
    """Steps of gradient descent with decoupled decay, one value a step."""
    params = START.copy()
    for grad, decay in zip(GRADIENTS[:n_steps], values, strict=False):
        params = params - RATE * grad - RATE * decay * params
    return params


def test_decay_follows_its_schedule_between_steps(way):
    (run,) = train([SGD(RATE, weight_decay=Line(0.05))])
    expected = decayed(0.05 * np.arange(12), 12)
    np.testing.assert_allclose(run.params, expected, rtol=1e-14)
    assert bool(run.untraced) == (way == "code")


def test_decay_follows_its_schedule_between_epochs(way):
    (run,) = train([SGD(RATE, weight_decay=Line(0.2, per_step=False))])
    np.testing.assert_allclose(run.params, decayed(0.2 * (np.arange(12) // 3), 12), rtol=1e-14)


def test_momentum_follows_its_schedule(way):
    (run,) = train([Momentum(RATE, momentum=Line(0.07))])
    params, velocity = START.copy(), np.zeros(LAYOUT.size)
    for number, grad in enumerate(GRADIENTS):
        velocity = 0.07 * number * velocity + grad
        params = params - RATE * velocity
    np.testing.assert_allclose(run.params, params, rtol=1e-14)


def test_models_of_a_stack_have_the_values_of_their_own_training(way):
    optimizers = [
        AdamW(Cosine(RATE), weight_decay=Cosine(0.5)),
        AdamW(Cosine(RATE), weight_decay=Cosine(0.5)),
        AdamW(RATE, weight_decay=0.5),
        Momentum(RATE, momentum=Line(0.05)),
    ]
    n_epochs = [2, 4, 4, 3]
    together = train(optimizers, n_epochs)
    for optimizer, n, run in zip(optimizers, n_epochs, together, strict=True):
        (alone,) = train([optimizer], [n])
        np.testing.assert_array_equal(run.params, alone.params)
    assert not np.array_equal(together[0].params, together[1].params)


def test_training_goes_on_where_the_schedule_was(way):
    optimizer = SGD(RATE, weight_decay=Line(0.05))
    (whole,) = train([optimizer])
    (begun,) = train([optimizer], 1)
    kept = {**begun.state, "params": begun.params}
    (ended,) = train([optimizer], N_EPOCHS - 1, resume=[kept], first=N_BATCHES)
    np.testing.assert_array_equal(ended.params, whole.params)


def test_value_that_is_not_allowed_is_named_with_its_step():
    words = r"^momentum of Momentum is 1\.0 at step 2, by Line\(slope=0\.5\); it must be a float in"
    with pytest.raises(ValueError, match=words):
        train([Momentum(RATE, momentum=Line(0.5))])
    words = r"^weight_decay of SGD: the value of Line\(slope=-1\.0\) is -1\.0 at step 1"
    with pytest.raises(ValueError, match=words):
        train([SGD(RATE, weight_decay=Line(-1.0))])


def test_hyperparameter_that_allows_no_schedule_refuses_one():
    with pytest.raises(ValueError, match="l2 of SGD must be"):
        MLPClassifier(optimizer=SGD(l2=Cosine(0.1))).fit([[0.0], [1.0]], [0, 1])


def test_limit_of_stability_is_not_known_where_momentum_moves():
    assert np.isnan(Momentum(momentum=Cosine(0.9)).stability_limit())
    assert Momentum(momentum=0.5).stability_limit() == 3.0


def test_schedule_of_a_decay_is_tuned_as_any_parameter():
    model = MLPClassifier(2, optimizer=AdamW(weight_decay=StepDecay(0.1)), max_iter=2)
    model = clone(model).set_params(optimizer__weight_decay__drop=0.25)
    assert model.optimizer.weight_decay.drop == 0.25
    model.fit([[0.0], [1.0]], [0, 1])


class Knows(Optimizer):
    """Moves by what it is told alone."""

    needs = ("epoch", "n_steps")

    def __init__(self, learning_rate=1.0):
        self.learning_rate = learning_rate

    def update(self, grad, state, params, step):
        return 0.0 * grad + step.learning_rate * (step.epoch + 100.0 * step.n_steps)


def test_update_may_know_the_epoch_and_how_many_steps_are_planned(way):
    runs = train([Knows(), Knows(2.0)], [2, 4])
    for run, rate, n in zip(runs, [1.0, 2.0], [2, 4], strict=True):
        told = sum(N_BATCHES * (epoch + 100.0 * N_BATCHES * n) for epoch in range(n))
        np.testing.assert_allclose(run.params - START, rate * told, rtol=1e-12)


def test_part_of_the_tensors_is_told_the_same():
    class WeightsStay(PartialOptimizer):
        needs = ("epoch", "n_steps")

        def __init__(self, learning_rate=1.0):
            self.learning_rate = learning_rate

        def treats(self, spec):
            return spec.role == "hidden"

        def rest(self):
            return Knows()

        def update(self, grad, state, params, step):
            grad[...] = 0.0
            self.update_rest(grad, state, params, step)
            return grad

    (run,) = train([WeightsStay()], 2)
    moved = run.params - START
    np.testing.assert_array_equal(moved[:6], 0.0)
    np.testing.assert_allclose(moved[6:], 3 * (0 + 600.0) + 3 * (1 + 600.0), rtol=1e-12)
