"""Batch normalisation, dropout, input scaling and label smoothing, against plain formulas."""

import naive
import numpy as np
import pytest
from central_differences import slopes_of_losses
from problems import ACTIVATIONS, LOSSES, NUMPY, Problem

from skopt_dl.layers import Dropout
from skopt_dl.layers.batch_norm import EPSILON, WINDOW
from skopt_dl.layers.input_scaling import SPEED
from skopt_dl.networks import (
    Block,
    DenseNetwork,
    DensePool,
    NetworkObjective,
    TargetPool,
    fold,
    raw_output,
)
from skopt_dl.networks.draws import Draws

HIDDEN = (4, 3)


def case(loss="multiclass", **options):
    return Problem(loss, "Softplus", HIDDEN, **options)


def naive_raw(network, row, x, shares):
    """The raw output in training, and the mean and variance of each hidden layer."""
    parts = network.parts(row[None])
    a = x if parts.input_scale is None else x * (1 + SPEED * parts.input_scale[0, :, 0])
    moments = []
    for i in range(len(HIDDEN)):
        z = a @ parts.weights[i][0]
        if network.batch_norm:
            mean = shares @ z
            variance = shares @ (z - mean) ** 2
            moments.append((mean, variance))
            z = (z - mean) / np.sqrt(variance + EPSILON) * (1 + parts.norms[i][0])
        a = naive.ACTIVATIONS["Softplus"](z + parts.biases[i][0])
    return a @ parts.weights[-1][0] + parts.biases[-1][0], moments


def check_gradient(objective, starts):
    slopes = slopes_of_losses(objective, starts)
    _, grad = objective.value_and_grad(starts)
    np.testing.assert_allclose(grad, slopes, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"batch_norm": True},
        {"input_scaling": True},
        {"batch_norm": True, "input_scaling": True},
    ],
    ids=" and ".join,
)
def test_value_and_gradient_follow_the_formulas(options, n_models, weighted, is_sparse):
    problem = case(**options)
    objective = problem.objective(n_models, weighted=weighted, sparse=is_sparse)
    starts = problem.starts(n_models)
    shares = problem.sample_weight if weighted else np.ones(len(problem.x))
    shares = shares / shares.sum()
    for loss, row in zip(objective.value_and_grad(starts)[0], starts, strict=True):
        raw, _ = naive_raw(problem.network, row, problem.x, shares)
        np.testing.assert_allclose(loss, shares @ naive.LOSSES["multiclass"](raw, problem.y))
    check_gradient(objective, starts)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradient_with_dropout_equals_central_differences_for_the_same_draws(batch_norm):
    problem = case(batch_norm=batch_norm)
    objective = problem.objective(3, dropout=[[0.5, 0.2], [0.0, 0.0], [0.3, 0.0]])
    check_gradient(objective, problem.starts(3))


def test_dropout_leaves_out_its_share_and_keeps_the_expectation():
    network = DenseNetwork([1, 1000, 1], [ACTIVATIONS["Identity"]], LOSSES["squared_error"])
    params = np.zeros((1, network.layout.size))
    parts = network.parts(params)
    parts.weights[0][...] = 1.0
    parts.weights[1][...] = 1.0
    x, y = np.ones((400, 1)), np.zeros((400, 1))
    objective = NetworkObjective(
        NUMPY,
        network,
        DensePool(NUMPY, x),
        TargetPool(NUMPY, y),
        per_model=[[0.3]],
        rngs=[np.random.default_rng(0)],
    )
    (batch,) = objective.load(Block(slice(0, 400), (400,)))
    objective.grad(params, batch)
    kept = batch.arrays["rest"][0, :, 0] * 0.7
    # Each sum counts 1000 units kept with probability 0.7: standard deviation 14.5, of 400 sums 0.7
    assert abs(kept.mean() - 700) < 4
    assert 12 < kept.std() < 17


def test_model_in_a_stack_draws_the_dropout_it_would_draw_alone():
    problem = case()
    rates = [[0.5, 0.2], [0.0, 0.0], [0.3, 0.4]]
    starts = problem.starts(3)
    together = problem.objective(3, dropout=rates)
    expected = [together.value_and_grad(starts)[0] for _ in range(3)]
    for k, rate in enumerate(rates):
        alone = problem.objective(1, dropout=rate)
        alone.rngs[0].bit_generator.state = np.random.default_rng(k).bit_generator.state
        for losses in expected:
            np.testing.assert_allclose(
                alone.value_and_grad(starts[k : k + 1])[0], losses[k], rtol=1e-12
            )


def test_statistics_average_samples_until_the_window_is_full_and_then_decay():
    problem = case(batch_norm=True, n_samples=30)
    size = 2
    objective = problem.objective(1, window=WINDOW * size)
    starts = problem.starts(1)
    kept, n_seen = None, 0
    rows = np.random.default_rng(0).permutation(30)[None]
    sizes = (size,) * 14 + (1,) + (1,)
    batches = objective.load(Block(rows[:, : sum(sizes)], sizes))
    stop = 0
    for batch, n_rows in zip(batches, sizes, strict=True):
        objective.grad(starts, batch)
        part = problem.x[rows[0, stop : stop + n_rows]]
        stop += n_rows
        _, moments = naive_raw(problem.network, starts[0], part, np.full(n_rows, 1 / n_rows))
        flat = np.concatenate([np.concatenate(pair) for pair in moments])
        n_seen = min(n_seen + n_rows, WINDOW * size)
        share = n_rows / n_seen
        kept = flat if kept is None else (1 - share) * kept + share * flat
    np.testing.assert_allclose(objective.statistics[0], [*kept, n_seen], rtol=1e-12)


def test_batch_without_weight_leaves_the_statistics_alone():
    problem = case(batch_norm=True)
    objective = problem.objective(1, weighted=True)
    objective.value_and_grad(problem.starts(1))
    before = objective.statistics.copy()
    problem.sample_weight[:] = 0.0
    unweighted = problem.objective(1, weighted=True, statistics=before.copy())
    with NUMPY.quiet():
        loss, grad = unweighted.value_and_grad(problem.starts(1))
    np.testing.assert_array_equal(unweighted.statistics[:, :-1], before[:, :-1])
    np.testing.assert_array_equal(loss, 0.0)
    np.testing.assert_array_equal(grad, 0.0)


@pytest.mark.parametrize("n_models", [1, 3])
def test_folded_network_predicts_what_training_over_the_whole_set_computes(n_models):
    problem = case(batch_norm=True, input_scaling=True)
    objective = problem.objective(n_models)
    starts = problem.starts(n_models)
    objective.value_and_grad(starts)
    plain, folded = fold(NUMPY, problem.network, np.hstack([starts, objective.statistics]))
    raw = raw_output(NUMPY, plain, folded, DensePool(NUMPY, problem.x))
    for k in range(n_models):
        shares = np.full(len(problem.x), 1 / len(problem.x))
        expected, _ = naive_raw(problem.network, starts[k], problem.x, shares)
        np.testing.assert_allclose(raw[k], expected, rtol=1e-12, atol=1e-12)


def test_selecting_models_keeps_their_statistics_rates_and_generators():
    problem = case(batch_norm=True)
    options = {"dropout": [[0.5, 0.2], [0.0, 0.0], [0.3, 0.4]], "label_smoothing": [0.0, 0.1, 0.2]}
    objective, same = problem.objective(3, **options), problem.objective(3, **options)
    starts = problem.starts(3)
    for each in (objective, same):
        each.value_and_grad(starts)
    kept = objective.select([0, 2])
    expected, _ = same.value_and_grad(starts)
    np.testing.assert_allclose(kept.value_and_grad(starts[[0, 2]])[0], expected[[0, 2]])
    np.testing.assert_allclose(kept.statistics, same.statistics[[0, 2]])


@pytest.mark.parametrize(
    "rows", [slice(0, 23), np.arange(23)[None], np.arange(46).reshape(2, 23) % 23]
)
@pytest.mark.parametrize(("loss", "uniform"), [("multiclass", 1 / 3), ("multilabel", 0.5)])
def test_label_smoothing_moves_targets_towards_the_uniform_ones(loss, uniform, rows):
    problem = case(loss)
    starts = problem.starts(2)
    objective = problem.objective(2, label_smoothing=[0.0, 0.2])
    for _ in range(2):
        (batch,) = objective.load(Block(rows, (23,)))
        losses, _ = objective.value_and_grad(starts, batch)
        for k, share in enumerate((0.0, 0.2)):
            raw, _ = naive_raw(problem.network, starts[k], problem.x, None)
            y = (1 - share) * problem.y + share * uniform
            np.testing.assert_allclose(losses[k], naive.LOSSES[loss](raw, y).mean(), rtol=1e-12)


def test_what_many_steps_draw_at_once_is_what_each_draws_from_words_of_16_bits():
    rates, shapes, n_steps = np.array([[0.5, 0.0], [0.2, 0.3]]), [(3, 7), (5,)], 4
    draws = Draws(NUMPY, [Dropout(), Dropout()], rates, [np.random.default_rng(k) for k in (0, 1)])
    tables = [np.zeros((n_steps, len(rates), *shape), bool) for shape in shapes]
    draws(["mask 0", "mask 1"], n_steps, *tables)
    for k, own in enumerate(rates):
        rng = np.random.default_rng(k)
        for step in range(n_steps):
            for table, shape, rate in zip(tables, shapes, own, strict=True):
                size = int(np.prod(shape))
                words = rng.integers(0, 2**64, -(-size // 4), np.uint64) if rate else None
                bits = np.zeros(size) if words is None else words.view(np.uint16)[:size]
                stays = bits.reshape(shape) >= round(rate * 2**16)
                np.testing.assert_array_equal(table[step, k], stays)
    for number, scale in draws.scales(like=np.zeros(0, "f4")).items():
        rate = rates[:, int(number[-1]), None]
        np.testing.assert_allclose(scale, 1 / (1 - rate), rtol=2**-16)


def test_generators_of_short_words_are_refused():
    rng = np.random.Generator(np.random.MT19937(0))
    with pytest.raises(ValueError, match=r"words of 64 bits; got MT19937.*default_rng"):
        Draws(NUMPY, [Dropout()], np.array([[0.5]]), [rng])
