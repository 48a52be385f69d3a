import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier

from skopt_dl.layers.activations import Logistic, ReLU
from skopt_dl.networks import DenseNetwork, FromFitted, Layout, initializers
from skopt_dl.networks.losses import LogisticLogLoss

SHAPE = N_IN, N_OUT = 300, 200

VARIANCES = {
    "GlorotUniform": 2 / (N_IN + N_OUT),
    "GlorotNormal": 2 / (N_IN + N_OUT),
    "HeUniform": 2 / N_IN,
    "HeNormal": 2 / N_IN,
    "LecunUniform": 1 / N_IN,
    "LecunNormal": 1 / N_IN,
    "Uniform": 0.05**2 / 3,
    "Normal": 0.05**2,
}


def draw(name, seed=0, **options):
    initializer = getattr(initializers, name)()
    return initializer.draw(np.random.default_rng(seed), *SHAPE, **options)


@pytest.mark.parametrize("name", VARIANCES)
def test_weights_have_the_distribution_of_their_paper(name):
    weights = draw(name)
    assert weights.shape == SHAPE
    assert weights.dtype == np.float64
    deviation = np.sqrt(VARIANCES[name])
    standard = weights.ravel() / deviation
    if name.endswith("Normal"):
        assert stats.kstest(standard, stats.norm().cdf).pvalue > 0.01
    else:
        bound = np.sqrt(3)
        assert np.abs(standard).max() <= bound
        assert stats.kstest(standard, stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.01


def test_logistic_activation_has_scikit_learns_bound():
    network = DenseNetwork([N_IN, N_OUT], [], LogisticLogLoss())
    assert network.gains == [1.0]
    network = DenseNetwork([N_IN, N_OUT, 1], [Logistic()], LogisticLogLoss())
    bound = np.sqrt(2 / (N_IN + N_OUT))
    weights = draw("GlorotUniform", gain=network.gains[0])
    assert 0.999 * bound < np.abs(weights).max() <= bound
    assert network.gains[0] == network.gains[1]


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5)])
def test_orthogonal_rows_or_columns(shape):
    weights = initializers.Orthogonal().draw(np.random.default_rng(0), *shape)
    assert weights.shape == shape
    product = weights.T @ weights if shape[0] >= shape[1] else weights @ weights.T
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-14)


def test_orthogonal_matrices_are_uniformly_distributed():
    rng = np.random.default_rng(0)
    traces = [np.trace(initializers.Orthogonal().draw(rng, 3, 3)) for _ in range(4000)]
    # Over the uniform distribution the trace has mean 0 and variance 1.
    assert np.mean(traces) == pytest.approx(0.0, abs=0.05)
    assert np.var(traces) == pytest.approx(1.0, abs=0.05)


def test_zeros_are_zero():
    np.testing.assert_array_equal(draw("Zeros"), 0.0)


@pytest.mark.parametrize("name", [*VARIANCES, "Orthogonal"])
def test_same_seed_draws_same_weights(name):
    np.testing.assert_array_equal(draw(name, seed=3), draw(name, seed=3))
    assert (draw(name, seed=3) != draw(name, seed=4)).any()


def test_fill_starts_biases_at_zero_and_weights_layer_by_layer():
    network = DenseNetwork([3, 4, 2], [ReLU()], LogisticLogLoss())
    row = np.full(network.layout.size, np.nan)
    initializers.HeNormal().fill(network.layout, row, np.random.default_rng(0), network.gains)
    first, second, first_bias, second_bias = (t.array[0] for t in network.layout.tensors(row[None]))
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(first, rng.normal(0.0, np.sqrt(2 / 3), (3, 4)))
    np.testing.assert_array_equal(second, rng.normal(0.0, np.sqrt(2 / 4), (4, 2)))
    np.testing.assert_array_equal([*first_bias[0], *second_bias[0]], 0.0)


@pytest.fixture(scope="module")
def fitted():
    X, y = make_classification(n_samples=40, n_features=5, random_state=0)
    return MLPClassifier((3,), solver="lbfgs", max_iter=5, random_state=0, tol=1.0).fit(X, y)


def fill(initializer, layer_sizes):
    network = DenseNetwork(layer_sizes, [ReLU()], LogisticLogLoss())
    row = np.empty(network.layout.size)
    initializer.fill(network.layout, row, np.random.default_rng(0), network.gains)
    return [t.array[0] for t in network.layout.tensors(row[None])]


def test_from_fitted_copies_the_weights_of_scikit_learns_model(fitted):
    weights = fill(FromFitted(fitted), [5, 3, 1])
    for ours, theirs in zip(weights[:2], fitted.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(weights[2:], fitted.intercepts_, strict=True):
        np.testing.assert_array_equal(ours[0], theirs)


def test_from_fitted_survives_clone(fitted):
    copy = clone(FromFitted(fitted))
    assert copy.estimator is fitted
    assert len(fill(copy, [5, 3, 1])) == 4


def test_from_fitted_says_which_shapes_differ(fitted):
    with pytest.raises(ValueError, match=r"weights of shapes \[\(5, 3\).*needs \[\(5, 4\)"):
        fill(FromFitted(fitted), [5, 4, 1])


def test_initializers_of_the_package_are_all_tried():
    public = {
        name
        for name, cls in vars(initializers).items()
        if isinstance(cls, type) and issubclass(cls, initializers.Initializer)
        if not name.startswith("_")
    }
    assert public == {*VARIANCES, "Orthogonal", "Zeros", "FromFitted", "Initializer"}


def test_roles_without_weights_are_not_drawn():
    layout = Layout.from_shapes([("w", "output", (2, 2)), ("b", "bias", (1, 2))])
    row = np.ones(6)
    initializers.Zeros().fill(layout, row, np.random.default_rng(0), [1.0])
    np.testing.assert_array_equal(row, 0.0)
