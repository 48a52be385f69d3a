import naive
import numpy as np
import pytest
from central_differences import slopes_of_losses
from problems import ACTIVATIONS, LOSSES, Problem

MARGIN = 0.03


def away_from_kinks(problem, starts, n_samples):
    """Keep the samples that no model has near a kink of its activations or of its loss."""
    distances = []
    for row in starts:
        pre_activations, raw = naive.forward(
            row, problem.network.layer_sizes, problem.activation, problem.x
        )
        error = np.abs(raw - problem.y)
        distances += [np.abs(z).min(axis=1) for z in pre_activations]
        distances += [error.min(axis=1), np.abs(error - naive.HUBER_DELTA).min(axis=1)]
    smooth = np.flatnonzero(np.min(distances, axis=0) > MARGIN)[:n_samples]
    assert len(smooth) == n_samples
    problem.x, problem.y = problem.x[smooth], problem.y[smooth]
    problem.sample_weight = problem.sample_weight[smooth]


def check_gradient(problem, n_models, alpha, sparse=False):
    starts = problem.starts(n_models)
    away_from_kinks(problem, starts, n_samples=9)
    objective = problem.objective(n_models, alpha, weighted=True, sparse=sparse)
    loss, grad = objective.value_and_grad(starts)
    grad = grad.copy()
    alphas = np.broadcast_to(alpha, n_models)
    expected = [
        problem.naive_loss(row, a, weighted=True) for row, a in zip(starts, alphas, strict=True)
    ]
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    slopes = slopes_of_losses(objective, starts)
    np.testing.assert_allclose(grad, slopes, rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize(
    ("n_models", "alpha"),
    [pytest.param(1, 0.1, id="one model"), pytest.param(3, [0.0, 0.1, 2.0], id="three alphas")],
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_equals_central_differences(loss, activation, n_models, alpha):
    problem = Problem(loss, activation, hidden=(4, 3), n_samples=150)
    check_gradient(problem, n_models, alpha)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize("hidden", [(), (4,)], ids=["no hidden layer", "one hidden layer"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_of_other_shapes_equals_central_differences(loss, hidden, n_models, sparse):
    problem = Problem(loss, "Softplus", hidden, n_samples=100)
    problem.x[np.abs(problem.x) < 0.5] = 0.0
    check_gradient(problem, n_models, alpha=0.1, sparse=sparse)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("loss", LOSSES)
def test_loop_sees_the_losses_and_gradients_of_direct_calls(loss, weighted, dtype):
    problem = Problem(loss, dtype=dtype)
    params = problem.starts(2)
    objective, direct = (problem.objective(2, 0.1, weighted) for _ in range(2))
    batches = problem.batches(seeds=range(2), batch_size=5)
    for block in batches.epoch(batches_per_block=3):
        pairs = list(zip(objective.load(block), direct.load(block), strict=True))
        expected = []
        for batch, same in pairs:
            grad = objective.grad(params, batch)
            loss_of_batch, grad_of_batch = direct.value_and_grad(params, same)
            np.testing.assert_array_equal(grad, grad_of_batch)
            expected.append(loss_of_batch)
        rtol = 100 * np.finfo(dtype).eps
        np.testing.assert_allclose(objective.losses(), expected, rtol=rtol)


def test_batch_without_weight_has_neither_loss_nor_gradient():
    problem = Problem()
    problem.sample_weight[:] = 0.0
    loss, grad = problem.objective(2, weighted=True).value_and_grad(problem.starts(2))
    np.testing.assert_array_equal(loss, 0.0)
    np.testing.assert_array_equal(grad, 0.0)


def test_weight_of_two_equals_the_sample_twice():
    problem, doubled = Problem(), Problem()
    problem.sample_weight[:] = 1.0
    problem.sample_weight[:4] = 2.0
    rows = np.r_[0:4, 0 : len(problem.x)]
    doubled.x, doubled.y = doubled.x[rows], doubled.y[rows]
    params = problem.starts(2)
    loss, grad = problem.objective(2, alpha=0.3, weighted=True).value_and_grad(params)
    loss_of_doubled, grad_of_doubled = doubled.objective(2, alpha=0.3).value_and_grad(params)
    np.testing.assert_allclose(loss, loss_of_doubled, rtol=1e-13)
    np.testing.assert_allclose(grad, grad_of_doubled, rtol=1e-11, atol=1e-15)


def test_biases_are_not_penalised():
    problem = Problem()
    params = problem.starts()
    _, plain = problem.objective().value_and_grad(params)
    _, penalised = problem.objective(alpha=1.0).value_and_grad(params)
    layout = problem.network.layout
    tensors = layout.tensors(penalised - plain), layout.tensors(params / len(problem.x))
    for (_, role, difference), (_, _, share) in zip(*tensors, strict=True):
        expected = 0.0 if role == "bias" else share
        np.testing.assert_allclose(difference, expected, atol=1e-15)


def test_selected_models_keep_their_alpha():
    problem = Problem()
    params = problem.starts(3)
    objective = problem.objective(3, alpha=[0.0, 1.0, 5.0], weighted=True)
    losses, grads = (a.copy() for a in objective.value_and_grad(params))
    kept = [2, 0]
    loss, grad = objective.select(kept).value_and_grad(params[kept])
    np.testing.assert_allclose(loss, losses[kept], rtol=1e-14)
    np.testing.assert_allclose(grad, grads[kept], rtol=1e-12, atol=1e-15)
