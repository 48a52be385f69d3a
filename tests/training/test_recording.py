"""A recorder sees every step of a training, as it is taken."""

import numpy as np
import pytest
from simple_objectives import Bowls

from skopt_dl.optimizers import LBFGS, SGD, Adam
from skopt_dl.training import (
    Batches,
    Recorder,
    Stopping,
    TrainingConfig,
    Trajectory,
    minimise,
)

START = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])


def run(optimizers, n_steps, **options):
    objective = Bowls((1.0, 2.0))
    trajectory = Trajectory(2, n_steps + 1, 3)
    runs = minimise(objective, optimizers, START.copy(), recorder=trajectory, **options)
    return runs, trajectory


@pytest.mark.parametrize(
    "options",
    [{"max_epochs": 5}, {"max_epochs": 1, "batches": Batches(1, 1, steps=5)}],
    ids=["an epoch each", "one epoch"],
)
def test_points_values_and_gradients_are_those_before_each_step(options):
    runs, seen = run(SGD(0.1), 5, **options)
    factors = 1.0 - 0.1 * np.array([[1.0], [2.0]])
    expected = [START * factors**t for t in range(6)]
    np.testing.assert_allclose(seen.params[:5], expected[:5], rtol=1e-14)
    np.testing.assert_allclose(np.stack([r.params for r in runs]), expected[5], rtol=1e-14)
    curvatures = np.array([1.0, 2.0])
    np.testing.assert_allclose(
        seen.losses[:5], 0.5 * curvatures * (seen.params[:5] ** 2).sum(axis=2)
    )
    np.testing.assert_allclose(seen.gradients[:5], curvatures[:, None] * seen.params[:5])
    assert np.isnan(seen.params[5]).all()
    assert seen.n_seen.tolist() == [5, 5]


def test_models_that_have_left_are_seen_no_more():
    _, seen = run([TrainingConfig(SGD(0.1), 2), TrainingConfig(Adam(0.1), 6)], 6)
    assert seen.n_seen.tolist() == [2, 6]
    assert np.isnan(seen.params[2:, 0]).all()
    np.testing.assert_allclose(seen.params[1, 1], START[1] - 0.1 * np.sign(START[1]), rtol=1e-6)


def test_methods_that_run_themselves_show_their_start_and_every_iteration():
    runs, seen = run(LBFGS(), 9, max_epochs=9, stopping=Stopping(1e-10))
    for k, each in enumerate(runs):
        assert seen.n_seen[k] == each.n_epochs + 1
        np.testing.assert_array_equal(seen.params[0, k], START[k])
        np.testing.assert_array_equal(seen.params[each.n_epochs, k], each.params)
        np.testing.assert_array_equal(seen.losses[1 : each.n_epochs + 1, k], each.history["loss"])


def test_looking_changes_nothing():
    class Nothing(Recorder):
        def see(self, models, params, loss, grad):
            pass

    plain = minimise(Bowls((1.0, 2.0)), Adam(), START.copy(), max_epochs=20)
    looked_at = minimise(Bowls((1.0, 2.0)), Adam(), START.copy(), max_epochs=20, recorder=Nothing())
    for a, b in zip(plain, looked_at, strict=True):
        np.testing.assert_array_equal(a.params, b.params)
        assert a.history["loss"] == b.history["loss"]


@pytest.mark.parametrize(("steps", "seen"), [(3, 9), (4, 10), (5, 13), (9, 23)])
def test_an_epoch_of_so_many_batches_goes_round_as_often_as_it_takes(steps, seen):
    """Passes over 10 samples in batches of 3, 3, 3 and 1."""
    rng = np.random.default_rng(0)
    batches = Batches(10, 3, rngs=[rng], steps=steps)
    blocks = list(batches.epoch(2))
    assert sum(len(block.sizes) for block in blocks) == steps == batches.n_batches
    assert sum(block.n_rows for block in blocks) == seen == batches.epoch_size
    rows = np.concatenate([block.rows[0] for block in blocks])
    assert sorted(rows[:10]) == list(range(min(seen, 10))) or steps == 3
    again = np.random.default_rng(0)
    drawn = np.concatenate([again.permutation(10) for _ in range(3)])
    np.testing.assert_array_equal(rows, drawn[:seen])
