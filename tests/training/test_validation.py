import naive
import numpy as np
import pytest
from problems import LOSSES, NUMPY, Problem

from skopt_dl.networks import Block, DensePool
from skopt_dl.optimizers import Adam
from skopt_dl.training import Validation, validation


def distance(raw, y):
    return np.abs(raw - y).sum()


def validation_on(problem, sample_weight=None, network=None):
    return Validation(
        NUMPY,
        network or problem.network,
        DensePool(NUMPY, problem.x),
        problem.y,
        sample_weight,
        lambda raw, params, model: distance(raw, problem.y) + params[0],
    )


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("loss", LOSSES)
def test_figures_are_those_of_the_held_out_samples(loss, weighted):
    problem, held_out = Problem(loss), Problem(loss, seed=1, n_samples=11)
    weight = held_out.sample_weight if weighted else None
    columns = validation_on(held_out, weight)(problem.starts(3), [0, 1, 2])
    for k, row in enumerate(problem.starts(3)):
        expected = held_out.naive_loss(row, weighted=weighted)
        assert columns["validation_loss"][k] == pytest.approx(expected, rel=1e-12)
        sizes = problem.network.layer_sizes
        _, raw = naive.forward(row, sizes, problem.activation, held_out.x)
        expected = distance(raw, held_out.y) + row[0]
        assert columns["validation_score"][k] == pytest.approx(expected, rel=1e-12)


def test_every_epoch_adds_a_figure_of_the_parameters_it_ended_with():
    problem, held_out = Problem(), Problem(seed=1)
    runs = problem.train([Adam(0.1)] * 2, validate=validation_on(held_out))
    for run in runs:
        assert len(run.history["validation_loss"]) == 4
        last = held_out.naive_loss(run.params)
        assert run.history["validation_loss"][-1] == pytest.approx(last, rel=1e-12)


def test_what_is_folded_is_validated_by_calls_that_are_prepared_once(monkeypatch):
    problem, held_out, prepared = Problem(batch_norm=True), Problem(seed=1), []
    params, prepare = problem.with_statistics(problem.starts(2)), Validation._prepare

    def noted(self, *given):
        prepared.append(self)
        prepare(self, *given)

    monkeypatch.setattr(Validation, "_prepare", noted)
    validation = validation_on(held_out, network=problem.network)
    # Everybody, everybody again, and one who is left.
    for n_models in (2, 2, 1):
        params += 0.01
        given = params[:n_models], range(n_models)
        anew = validation_on(held_out, network=problem.network)(*given)
        for name, values in validation(*given).items():
            np.testing.assert_array_equal(values, anew[name])
    assert prepared.count(validation) == 2


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "folded"])
@pytest.mark.parametrize("is_cut", [False, True], ids=["together", "one by one"])
def test_epochs_that_are_seen_together_have_the_bits_of_each_alone(
    is_cut, batch_norm, weighted, monkeypatch
):
    if is_cut:
        monkeypatch.setattr(validation, "PASS_SIZE", 1)
    problem, held_out = Problem(batch_norm=batch_norm), Problem(seed=1, n_samples=11)
    together = validation_on(
        held_out, held_out.sample_weight if weighted else None, problem.network
    )
    alone = validation_on(held_out, held_out.sample_weight if weighted else None, problem.network)
    ends = [problem.starts(3) + 0.01 * epoch for epoch in range(2 * validation.MOST_TOGETHER + 3)]
    if batch_norm:
        ends = [problem.with_statistics(each) for each in ends]
    # Everybody, fewer epochs of everybody, and some who are left.
    for n_epochs, models in ((len(ends), [0, 1, 2]), (3, [0, 1, 2]), (len(ends), [2, 0])):
        given = np.stack(ends[:n_epochs])[:, models]
        found = list(together.of_epochs(given, models))
        assert len(found) == n_epochs
        for columns, end in zip(found, given, strict=True):
            for name, values in alone(end, models).items():
                np.testing.assert_array_equal(columns[name], values)


def test_scores_are_asked_for_when_their_epoch_is():
    problem, asked = Problem(), []
    pool = DensePool(NUMPY, problem.x)
    found = Validation(
        NUMPY, problem.network, pool, problem.y, None, lambda *_: asked.append(1) or 0.0
    ).of_epochs(np.stack([problem.starts(1)] * 3), [0])
    next(found)
    assert len(asked) == 1


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("orders", [None, (0, 1, 1, 2)], ids=["own rows", "shared rows"])
def test_models_with_rows_of_their_own_have_the_bits_of_each_alone(orders, weighted):
    problem = Problem("multiclass", seed=1, n_samples=40)
    rng, n_rows, params = np.random.default_rng(0), 11, problem.starts(4)
    rows = np.array([rng.permutation(40)[:n_rows] for _ in range(4 if orders is None else 3)])
    weight = problem.sample_weight if weighted else None

    def validation_of(block):
        samples = DensePool(NUMPY, problem.x), problem.y
        return Validation(
            NUMPY, problem.network, *samples, weight, lambda raw, *_: float(raw.sum()), block
        )

    stack = validation_of(Block(rows, (n_rows,), orders))
    # Everybody, everybody again, and some who are left.
    for models in ([0, 1, 2, 3], [0, 1, 2, 3], [3, 1]):
        params *= 1.01
        given = params if len(models) == 4 else params[models]
        together = stack(given, models)
        for place, model in enumerate(models):
            own = rows[model if orders is None else orders[model]]
            alone = validation_of(Block(own[None], (n_rows,)))(params[model : model + 1], [0])
            for name, values in alone.items():
                assert together[name][place] == values[0]
        # Two epochs seen together, of which this is the last.
        *_, last = stack.of_epochs(np.stack([given + 1.0, given]), models)
        for name, values in together.items():
            np.testing.assert_array_equal(last[name], values)
