import copy

import numpy as np
import pytest
from problems import LOSSES, NUMPY, OPTIMIZERS, Problem
from simple_objectives import BOWL, Bowls, Recorder

from skopt_dl.networks import DensePool, NetworkObjective, TargetPool
from skopt_dl.optimizers import LBFGS, SGD, Adam, Momentum, Optimizer
from skopt_dl.schedules import Cosine
from skopt_dl.training import HISTORY_COLUMNS, Batches, TrainingConfig, minimise

STILL = SGD(1e-300)


def test_history_has_a_value_an_epoch_in_each_column():
    (run,) = Problem().train(
        [Adam()],
        max_epochs=5,
        validate=lambda params, models: {
            "validation_loss": np.ones(1),
            "validation_score": np.zeros(1),
        },
    )
    assert set(run.history) == set(HISTORY_COLUMNS)
    assert {len(column) for column in run.history.values()} == {5}
    assert all(type(value) is float for column in run.history.values() for value in column)
    assert run.history["seconds"] == sorted(run.history["seconds"])
    assert run.stop_reason == "max_iter"
    assert run.n_epochs == 5


def test_columns_without_values_are_absent():
    (run,) = Problem().train([Adam()])
    assert set(run.history) == {"loss", "learning_rate", "grad_norm", "seconds"}


@pytest.mark.parametrize("batch_size", [8, 23, 200])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("loss", LOSSES)
def test_loss_of_an_epoch_is_the_mean_of_its_batches_by_their_size(loss, weighted, batch_size):
    problem = Problem(loss)
    runs = problem.train(
        [STILL] * 2,
        weighted=weighted,
        alpha=0.3,
        batch_size=batch_size,
        shuffle=False,
        max_epochs=1,
    )
    for run, start in zip(runs, problem.starts(2), strict=True):
        expected = 0.0
        for first in range(0, 23, batch_size):
            part = Problem(loss)
            rows = slice(first, first + batch_size)
            part.x, part.y, part.sample_weight = (
                problem.x[rows],
                problem.y[rows],
                problem.sample_weight[rows],
            )
            expected += len(part.x) / 23 * part.naive_loss(start, 0.3, weighted)
        assert run.history["loss"] == [pytest.approx(expected, rel=1e-12)]


@pytest.mark.parametrize("needs", [(), ("loss",)], ids=["losses at the end", "losses each step"])
def test_full_batch_losses_are_those_before_each_update(needs):
    class Descent(SGD):
        pass

    Descent.needs = needs
    problem, seen = Problem(), []
    (run,) = problem.train(
        [Descent(0.1)],
        batch_size=23,
        alpha=0.1,
        validate=lambda params, models: seen.append(params[0].copy()) or {},
    )
    points = [problem.starts()[0], *seen[:-1]]
    expected = [problem.naive_loss(point, 0.1) for point in points]
    np.testing.assert_allclose(run.history["loss"], expected, rtol=1e-12)
    np.testing.assert_array_equal(run.params, seen[-1])


def test_gradient_norm_is_that_of_the_first_batch():
    problem = Problem()
    (run,) = problem.train([STILL], batch_size=23, weighted=True)
    _, grad = problem.objective(weighted=True).value_and_grad(problem.starts())
    np.testing.assert_allclose(run.history["grad_norm"], [np.linalg.norm(grad)] * 4, rtol=1e-13)


def test_optimizer_that_needs_the_loss_gets_that_of_its_rows():
    seen = {}

    class Curious(Optimizer):
        needs = ("loss",)
        stackable = False
        traceable = False

        def __init__(self, learning_rate=0.01, name=""):
            self.learning_rate, self.name = learning_rate, name

        def update(self, grad, state, params, step):
            seen.setdefault(self.name, []).append(step.loss.copy())
            return -step.learning_rate * grad

    problem = Problem()
    runs = problem.train([SGD(), Curious(name="a"), Curious(name="b")], batch_size=23)
    assert seen["a"][0].shape == (1,)
    np.testing.assert_allclose(np.ravel(seen["a"]), runs[1].history["loss"], rtol=1e-15)
    np.testing.assert_allclose(np.ravel(seen["b"]), runs[2].history["loss"], rtol=1e-15)


def test_optimizer_sees_params_it_may_not_have_changed_and_the_layout():
    problem, seen = Problem(), []

    class Layered(Optimizer):
        slots = ("memory",)

        def __init__(self, learning_rate=0.1):
            self.learning_rate = learning_rate

        def init_state(self, state, params, xp):
            xp.add(state["memory"], params, out=state["memory"])

        def update(self, grad, state, params, step):
            seen.append([t.array.shape for t in step.layout.tensors(grad)])
            np.testing.assert_allclose(params, state["memory"], rtol=1e-15)
            change = -step.learning_rate * grad
            state["memory"] += change
            return change

    problem.train([Layered(), Layered()])
    assert seen[0] == [(2, 5, 4), (2, 4, 3), (2, 1, 4), (2, 1, 3)]


def test_validation_is_asked_about_the_models_still_training():
    asked = []

    def validate(params, models):
        asked.append((params.shape[0], list(models)))
        return {"validation_score": np.zeros(len(models))}

    def stop_the_second(runs):
        for run in runs:
            run.stop_requested = run.index == 1 and run.n_epochs == 2

    Problem().train([Adam()] * 3, validate=validate, on_epoch_end=stop_the_second)
    assert asked == [(3, [0, 1, 2])] * 2 + [(2, [0, 2])] * 2


def test_parameters_to_predict_with_can_differ_from_those_trained():
    class Averaged(SGD):
        slots = ("sum",)

        def update(self, grad, state, params, step):
            change = super().update(grad, state, params, step)
            state["sum"] += params + change
            return change

        def eval_params(self, params, state):
            return state["sum"] / 8

    validated, trained = [], []
    problem = Problem()

    class Watching(Averaged):
        traceable = False

        def update(self, grad, state, params, step):
            change = super().update(grad, state, params, step)
            trained.append(params + change)
            return change

    (run,) = problem.train(
        [Watching(0.1)],
        batch_size=12,
        max_epochs=4,
        validate=lambda params, models: validated.append(params.copy()) or {},
    )
    np.testing.assert_allclose(run.params, np.mean(trained, axis=0)[0], rtol=1e-14)
    np.testing.assert_array_equal(run.params, validated[-1][0])


def test_objective_without_batches_takes_one_step_an_epoch():
    log = []
    (run,) = minimise(BOWL, Recorder(0.5, log), np.ones((1, 3)), max_epochs=3)
    assert [number for number, _ in log] == [1, 2, 3]
    np.testing.assert_array_equal(run.params, 0.125)
    assert run.history["loss"] == [1.5, 0.375, 0.09375]


def test_objective_that_cannot_drop_models_says_so():
    class Whole(Bowls):
        def select(self, models):
            return super(Bowls, self).select(models)

    def stop_one(runs):
        runs[0].stop_requested = True

    with pytest.raises(NotImplementedError, match="Whole cannot drop models from its stack"):
        minimise(Whole([1.0, 2.0]), SGD(), np.ones((2, 3)), on_epoch_end=stop_one)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(name):
    optimizers = [OPTIMIZERS[name](learning_rate=Cosine(0.05)), OPTIMIZERS[name]()]
    problem, objective = Problem(), Problem().objective(2, 0.1)
    batches = problem.batches(range(2))
    whole = minimise(
        objective, optimizers, problem.starts(2), max_epochs=7, batches=problem.batches(range(2))
    )
    first = minimise(
        objective, optimizers, problem.starts(2), max_epochs=4, batches=batches, horizon=7
    )
    rngs = copy.deepcopy(batches.rngs)
    states = [run.state for run in first]
    for _ in range(2):
        batches.rngs = copy.deepcopy(rngs)
        second = minimise(
            objective,
            optimizers,
            np.stack([run.params for run in first]),
            max_epochs=3,
            batches=batches,
            resume=states,
            horizon=7,
        )
        for k in range(2):
            np.testing.assert_array_equal(second[k].params, whole[k].params)
            for column in ("loss", "learning_rate", "grad_norm"):
                pieces = first[k].history[column] + second[k].history[column]
                assert pieces == whole[k].history[column]


def test_models_resumed_at_different_steps_keep_their_own_count():
    problem = Problem()
    optimizers = [Adam(0.1), Adam(0.1)]
    early, late = (problem.train([Adam(0.1)], [k], max_epochs=n) for k, n in ((0, 1), (1, 6)))
    starts = np.stack([early[0].params, late[0].params])
    states = [early[0].state, late[0].state]
    together = minimise(
        problem.objective(2),
        optimizers,
        starts.copy(),
        max_epochs=3,
        batches=problem.batches([7, 8]),
        resume=states,
    )
    for k in range(2):
        (alone,) = minimise(
            problem.objective(),
            optimizers[k],
            starts[k : k + 1].copy(),
            max_epochs=3,
            batches=problem.batches([7 + k]),
            resume=[states[k]],
        )
        np.testing.assert_allclose(together[k].params, alone.params, rtol=1e-12)
        assert together[k].progress.step == alone.progress.step


def test_objective_can_be_minimised_again_after_models_left_it():
    problem = Problem()
    objective = problem.objective(3, alpha=0.1, weighted=True)

    def train(on_epoch_end=None):
        return minimise(
            objective,
            Momentum(0.1),
            problem.starts(3),
            max_epochs=4,
            batches=problem.batches(range(3)),
            on_epoch_end=on_epoch_end,
        )

    def stop_the_first(runs):
        runs[0].stop_requested = runs[0].index == 0

    expected = [run.params for run in train()]
    train(stop_the_first)
    np.testing.assert_array_equal([run.params for run in train()], expected)


def test_two_objectives_can_share_their_data():
    problem = Problem()
    x, y = DensePool(NUMPY, problem.x), TargetPool(NUMPY, problem.y)
    stacks = [
        NetworkObjective(NUMPY, problem.network, x, y, n_models=n_models) for n_models in (3, 2)
    ]
    for _ in range(2):
        for n_models, objective in zip((3, 2), stacks, strict=True):
            runs = minimise(
                objective,
                SGD(0.1),
                problem.starts(n_models),
                max_epochs=2,
                batches=problem.batches(range(n_models)),
            )
            expected = problem.train([SGD(0.1)] * n_models, max_epochs=2)
            for run, alone in zip(runs, expected, strict=True):
                np.testing.assert_array_equal(run.params, alone.params)


def test_models_of_a_stack_can_train_on_rows_of_their_own():
    problem = Problem()
    rows = np.stack([np.arange(0, 15), np.arange(8, 23), np.arange(22, 7, -1)])
    together = minimise(
        problem.objective(3, 0.1, weighted=True),
        Adam(0.05),
        problem.starts(3),
        max_epochs=3,
        batches=Batches(15, 4, rngs=problem.batches(range(3)).rngs, rows=rows),
    )
    for k, run in enumerate(together):
        part = Problem()
        part.x, part.y, part.sample_weight = (
            a[rows[k]] for a in (problem.x, problem.y, problem.sample_weight)
        )
        (alone,) = minimise(
            part.objective(1, 0.1, weighted=True),
            Adam(0.05),
            problem.starts(3)[k : k + 1],
            max_epochs=3,
            batches=part.batches([k], batch_size=4),
        )
        np.testing.assert_allclose(run.params, alone.params, rtol=1e-12)


@pytest.mark.parametrize("shuffle", [False, True])
def test_sparse_data_trains_like_dense(shuffle):
    problem = Problem()
    problem.x[np.abs(problem.x) < 0.6] = 0.0
    runs = [
        minimise(
            problem.objective(2, 0.1, weighted=True, sparse=sparse),
            Adam(0.05),
            problem.starts(2),
            max_epochs=3,
            batches=problem.batches(range(2), shuffle=shuffle),
        )
        for sparse in (False, True)
    ]
    for dense, sparse in zip(*runs, strict=True):
        np.testing.assert_allclose(sparse.params, dense.params, rtol=1e-11)


def test_sampling_with_replacement_trains_on_what_was_drawn():
    problem = Problem()
    batches = problem.batches([0], batch_size=23, sampling="replacement")
    drawn = copy.deepcopy(batches.rngs[0]).integers(23, size=23)
    (run,) = minimise(problem.objective(), STILL, problem.starts(), max_epochs=1, batches=batches)
    resampled = Problem()
    resampled.x, resampled.y = problem.x[drawn], problem.y[drawn]
    expected = resampled.naive_loss(problem.starts()[0])
    assert run.history["loss"] == [pytest.approx(expected, rel=1e-12)]


def test_minimizers_and_optimizers_share_a_stack():
    problem = Problem()
    optimizers = [Adam(0.05), LBFGS(), SGD(0.1), LBFGS(memory=3)]
    together = problem.train(optimizers, alpha=0.1, max_epochs=6)
    for k, run in enumerate(together):
        (alone,) = problem.train([optimizers[k]], [k], alpha=0.1, max_epochs=6)
        np.testing.assert_allclose(run.params, alone.params, rtol=1e-10)
        assert run.stop_reason == alone.stop_reason


def test_without_batches_a_step_takes_all_samples():
    problem = Problem()
    starts = problem.starts(1)
    _, grad = problem.objective(1).value_and_grad(starts.copy())
    expected = starts - 0.1 * grad
    (run,) = minimise(problem.objective(1), SGD(0.1), starts.copy(), max_epochs=1)
    np.testing.assert_allclose(run.params, expected[0], rtol=1e-14)


def test_result_in_mid_training_is_that_of_a_training_that_ends_there():
    seen = []
    problem, optimizers = Problem(), [Adam(Cosine(0.1)), Adam(0.05)]
    options = {"alpha": 0.1, "horizon": 5, "ema_decay": 0.5}
    problem.train(
        optimizers,
        max_epochs=5,
        on_epoch_end=lambda states: seen.append([state.result() for state in states]),
        **options,
    )
    for k, result in enumerate(problem.train(optimizers, max_epochs=3, **options)):
        early = seen[2][k]
        assert (early.n_epochs, early.n_steps, early.n_samples) == (3, result.n_steps, 69)
        assert early.stop_reason == ""
        assert early.history["loss"] == result.history["loss"]
        np.testing.assert_array_equal(early.params, result.params)
        np.testing.assert_array_equal(early.state["params"], result.state["params"])
        assert vars(early.progress) == early.state["progress"] == result.state["progress"]
        for slot, array in result.state["slots"].items():
            np.testing.assert_array_equal(early.state["slots"][slot], array)


def test_configurations_are_complete():
    config = TrainingConfig(SGD(0.1), max_epochs=2)
    message = "minimise got max_epochs besides a TrainingConfig.*pass its optimizer alone"
    with pytest.raises(TypeError, match=message):
        minimise(BOWL, [config, SGD(0.1)], np.ones((2, 3)), max_epochs=3)
    with pytest.raises(TypeError, match="max_iter"):
        minimise(BOWL, SGD(0.1), np.ones((1, 3)), max_iter=3)
