"""What holds for every layer: gradient, stacks, precision, kinds of samples, other libraries."""

import numpy as np
import pytest
from strict_backend import StrictBackend
from traced_layers import NUMPY, Traced

from skopt_dl.backends import _tiles
from skopt_dl.backends._blas import Helpers
from skopt_dl.layers import (
    Attention,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool1d,
    GlobalAveragePool2d,
    LayerNorm,
    MaxPool2d,
    Parallel,
    PositionalEmbedding,
    Residual,
)
from skopt_dl.layers.activations import ReLU, Tanh
from skopt_dl.networks import Block
from skopt_dl.networks.initializers import GlorotUniform, LecunNormal, Orthogonal
from skopt_dl.programs import convolving

H = 1e-4
# A convolution in front, so that what comes in depends on parameters.
FIRST = Conv2d(4, 2)
LAYERS = {
    "convolution": ((4, 5, 2), [FIRST, Conv2d(3, (2, 3), stride=(1, 2), padding=1)]),
    "convolution in groups": ((4, 4, 2), [FIRST, Conv2d(6, 2, groups=2, padding="same")]),
    "depthwise convolution": ((4, 4, 2), [FIRST, Conv2d(4, 3, groups=4, bias=False)]),
    "pointwise convolution": ((4, 4, 2), [FIRST, Conv2d(3, 1)]),
    "maximum": ((5, 6, 2), [FIRST, MaxPool2d(2)]),
    "overlapping maximum": ((5, 5, 2), [FIRST, MaxPool2d(3, stride=1, padding="same")]),
    "average": ((5, 6, 2), [FIRST, AveragePool2d((2, 3), stride=1)]),
    "padded average": ((5, 5, 2), [FIRST, AveragePool2d(3, padding="same")]),
    "average of images": ((4, 4, 2), [FIRST, GlobalAveragePool2d()]),
    "average of sequences": ((4, 5), [Dense(3), GlobalAveragePool1d()]),
    "residual": ((4, 4, 2), [FIRST, Residual([Conv2d(4, 3, padding="same"), Tanh()])]),
    "empty residual": ((4, 4, 2), [FIRST, Residual([])]),
    "added branches": ((4, 4, 2), [FIRST, Parallel([[Conv2d(4, 1)], []])]),
    "concatenated branches": (
        (4, 4, 2),
        [Parallel([[Conv2d(2, 1)], [Conv2d(3, 3, padding="same"), Tanh()], []], "concatenate")],
    ),
    "branches within branches": (
        (6,),
        [Dense(4), Parallel([[Residual([Dense(4), Tanh()])], [Dense(4)]])],
    ),
    "layer norm": ((4, 5), [Dense(3), LayerNorm()]),
    "layer norm of rows": ((5,), [Dense(3), LayerNorm(), Dense(2)]),
    "batch norm of images": ((4, 4, 2), [FIRST, BatchNorm()]),
    "embedding": ((4,), [Embedding(5, 3), Tanh()]),
    "averaged embedding": ((4,), [Embedding(5, 3), GlobalAveragePool1d()]),
    "positions": ((4, 5), [PositionalEmbedding(), Dense(3)]),
    "attention": ((4, 6), [Dense(6), Attention(n_heads=2)]),
    "causal attention": ((4, 6), [Dense(6), Attention(n_heads=3, causal=True, bias=False)]),
    "flat images": ((3, 4, 2), [Flatten(), Dense(3)]),
}


def traced(name, dtype=np.float64, n_samples=4, **options):
    shape, layers = LAYERS[name]
    rng = np.random.default_rng(7)
    tokens = isinstance(layers[0], Embedding)
    x = (
        rng.integers(5, size=(n_samples, *shape))
        if tokens
        else rng.normal(size=(n_samples, *shape))
    )
    return Traced(layers, x.astype(dtype), **options)


def drawn_delta(network):
    return np.random.default_rng(8).normal(size=(len(network.x), *network.shape))


@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_gradient_is_that_of_central_differences(name, n_models):
    case = traced(name)
    objective = case.objective(n_models, drawn_delta(case))
    starts = case.random_params(n_models)
    grad = objective.value_and_grad(starts)[1].copy()
    moved = starts.copy()
    for i in range(starts.shape[1]):
        values = []
        for steps in (-2, -1, 1, 2):
            # In place: an array that is new would be bound anew.
            moved[...] = starts
            moved[:, i] += steps * H
            values.append(objective.value_and_grad(moved)[0].copy())
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * H)
        np.testing.assert_allclose(grad[:, i], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYERS)
def test_models_of_a_stack_have_the_bits_of_single_ones(name, dtype):
    case = traced(name, dtype, n_samples=9)
    delta, params = drawn_delta(case), case.random_params(3)
    loss, together = case.objective(3, delta).value_and_grad(params)
    outputs = None if case.network.statistics.size else case.outputs(params)
    assert loss.dtype == together.dtype == dtype
    for k in range(3):
        alone = case.objective(1, delta).value_and_grad(params[k : k + 1])
        assert np.array_equal(alone[0][0], loss[k])
        assert np.array_equal(alone[1][0], together[k])
        if outputs is not None:
            assert np.array_equal(case.outputs(params[k : k + 1])[0], outputs[k])


@pytest.mark.parametrize("name", LAYERS)
def test_single_precision_is_double_precision_rounded(name):
    grads = []
    for dtype in (np.float64, np.float32):
        case = traced(name, dtype)
        objective = case.objective(2, drawn_delta(case))
        grads.append(objective.value_and_grad(case.random_params(2))[1])
    np.testing.assert_allclose(grads[1], grads[0], rtol=0, atol=2e-5 * np.abs(grads[0]).max())


@pytest.mark.parametrize("name", LAYERS)
def test_sparse_samples_are_dense_ones_with_zeros(name):
    case = traced(name)
    case.x[np.abs(case.x) < 0.5] = 0.0
    delta, params = drawn_delta(case), case.random_params(2)
    dense = case.objective(2, delta).value_and_grad(params)
    sparse = case.objective(2, delta, sparse=True).value_and_grad(params)
    for ours, theirs in zip(sparse, dense, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["convolution", "attention", "embedding", "flat images"])
@pytest.mark.parametrize("n_models", [2, 10])
def test_models_may_see_different_samples(name, n_models):
    """Ten models see two orders of the samples, in runs of five; two see one each."""
    case = traced(name, n_samples=6)
    rows = np.array([[0, 1, 2, 3, 4], [5, 4, 0, 2, 1]])
    orders = tuple(k * 2 // n_models for k in range(n_models))
    delta, params = drawn_delta(case), case.random_params(n_models)
    objective = case.objective(n_models, delta)
    (batch,) = objective.load(Block(rows, (5,), orders))
    together = objective.value_and_grad(params, batch)
    for k, order in enumerate(orders):
        single = case.objective(1, delta)
        (batch,) = single.load(Block(rows[order : order + 1], (5,)))
        for ours, theirs in zip(
            together, single.value_and_grad(params[k : k + 1], batch), strict=True
        ):
            np.testing.assert_allclose(ours[k], theirs[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("device", ["device1", "no_float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_runs_on_the_array_api(name, device, monkeypatch):
    strict = StrictBackend(device)
    strict.register(monkeypatch)
    dtype = {"device1": np.float64, "no_float64": np.float32}[device]
    results = []
    for b in (NUMPY, strict):
        case = traced(name, dtype, b=b)
        objective = case.objective(2, drawn_delta(case))
        value, grad = objective.value_and_grad(b.asarray(case.random_params(2)))
        results.append([b.to_numpy(value), b.to_numpy(grad)])
    scale = np.abs(results[0][1]).max()
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=30 * np.finfo(dtype).eps * scale)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_threads_that_help_change_no_bits_of_a_convolution(padding, monkeypatch):
    monkeypatch.setattr(NUMPY, "patch_bytes", 4000)
    monkeypatch.setattr(convolving, "PART_SIZE", 1)
    x = np.random.default_rng(0).normal(size=(9, 8, 8, 3))
    case = Traced([Conv2d(4, 3, padding=padding), ReLU(), Conv2d(3, 3, padding=padding)], x)
    delta, params = drawn_delta(case), case.random_params(2)
    alone = case.objective(2, delta).value_and_grad(params)
    pool = Helpers(3)
    monkeypatch.setattr(_tiles, "helpers", lambda: pool)
    for _ in range(5):
        helped = case.objective(2, delta).value_and_grad(params)
        assert all(np.array_equal(a, b) for a, b in zip(alone, helped, strict=True))
    pool.shutdown()


def test_patches_of_a_large_batch_take_the_memory_of_a_few_images():
    peaks = []
    for n_samples in (20, 200):
        x = np.ones((n_samples, 28, 28, 4), np.float32)
        case = Traced([Conv2d(4, 3), ReLU(), Conv2d(4, 3), GlobalAveragePool2d()], x)
        objective = case.objective(1, np.ones((n_samples, 4)))
        objective.value_and_grad(case.random_params())
        memory = objective._memory
        peaks.append(memory.n_bytes + sum(n_bytes for n_bytes, _ in memory._scratch.values()))
    # Patches alone would be nine times as large as the images.
    assert peaks[1] < 6 * x.nbytes
    assert peaks[1] < 12 * peaks[0]


def test_flattened_images_are_multiplied_as_rows_of_a_table_are():
    images = traced("flat images")
    table = Traced([Dense(3)], images.x.reshape(len(images.x), -1))
    params = images.random_params(2)
    assert np.array_equal(images.outputs(params), table.outputs(params))
    assert np.array_equal(images.outputs(params, sparse=True), table.outputs(params, sparse=True))


def test_embedding_counts_a_token_as_often_as_it_is_there():
    case = Traced([Embedding(4, 2)], np.array([[1.0, 1.0, 3.0]]))
    gradient = case.gradients(np.zeros((1, 8)), np.ones((1, 3, 2)))["coefs_0"]
    assert gradient[0, :, 0, 0].tolist() == [0.0, 2.0, 0.0, 1.0]


def test_causal_attention_does_not_see_what_comes_later():
    case = traced("causal attention")
    params = case.random_params()
    before = case.outputs(params)
    case.x[:, 2:] += 1.0
    assert np.array_equal(case.outputs(params)[:, :, :2], before[:, :, :2])
    assert (case.outputs(params)[:, :, 2:] != before[:, :, 2:]).any()


def test_dropout_within_a_branch_is_drawn_for_each_model():
    case = Traced([Residual([Dense(6), Dropout(0.5)])], np.ones((2, 6)))
    rngs = [np.random.default_rng(k) for k in range(2)]
    params = np.ones((2, case.network.layout.size))
    objective = case.objective(2, np.ones((2, 6)), rngs=rngs, per_model=[[0.0], [0.9]])
    _, grad = objective.value_and_grad(params)
    first, second = case.network.layout.tensors(grad)[1].array
    assert (first == 1.0).all()
    assert (second == 0.0).any()
    rates = [Traced([Residual([Dense(6), Dropout(rate)])], np.ones((2, 6))) for rate in (0.1, 0.2)]
    assert rates[0].network.key == rates[1].network.key


def test_networks_that_differ_within_a_branch_have_different_keys():
    def key(*layers):
        return Traced(list(layers), np.ones((2, 6))).network.key

    assert key(Residual([Dense(6)])) == key(Residual([Dense(6)]))
    different = [
        key(Residual([Dense(6)])),
        key(Residual([Dense(6, bias=False)])),
        key(Residual([]), Dense(6)),
        key(Residual([Dense(6), Tanh()])),
        key(Residual([Dense(6)]), Tanh()),
        key(Parallel([[Dense(6)], []])),
        key(Parallel([[], [Dense(6)]])),
        key(Parallel([[], [Dense(6)]], "concatenate")),
    ]
    assert len(set(different)) == len(different)


def test_initial_weights_have_the_scale_of_what_a_unit_sees():
    network = Traced([Conv2d(64, 3, groups=4), ReLU()], np.ones((1, 4, 4, 32))).network
    row = np.empty(network.layout.size)
    LecunNormal().fill(network.layout, row, np.random.default_rng(0), network.gains)
    weights = network.layout.tensors(row[None])[0].array
    assert weights.shape == (1, 4, 72, 16)
    assert weights.std() == pytest.approx(np.sqrt(1 / 72), rel=0.05)
    Orthogonal().fill(network.layout, row, np.random.default_rng(0), network.gains)
    for matrix in network.layout.tensors(row[None])[0].array[0]:
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(16), atol=1e-12)


def test_initial_vectors_of_tokens_do_not_depend_on_how_many_there_are():
    for n_tokens in (50, 500):
        network = Traced([Embedding(n_tokens, 15)], np.ones((1, 4))).network
        row = np.empty(network.layout.size)
        GlorotUniform().fill(network.layout, row, np.random.default_rng(0), network.gains)
        assert row.std() == pytest.approx(np.sqrt(2 / 16), rel=0.05)


BAD = {
    "rows into a convolution": (
        Conv2d(4, 3),
        (64,),
        r"Conv2d takes images, \(height, width, channels\); here samples of shape \(64,\) come in",
    ),
    "images that are too small": (
        Conv2d(4, 5),
        (4, 9, 1),
        r"windows of size \(5, 5\), which do not fit into images of height and width \(4, 9\)",
    ),
    "padded images that are too small": (Conv2d(4, 9, padding=1), (4, 9, 1), "with padding=1"),
    "groups that do not divide what comes in": (
        Conv2d(4, 3, groups=2),
        (8, 8, 3),
        "groups=2, which does not divide the 3 channels that come in",
    ),
    "groups that do not divide what comes out": (
        Conv2d(5, 3, groups=2),
        (8, 8, 4),
        "groups=2, which does not divide the 5 channels that n_channels asks for",
    ),
    "windows outside of the image": (
        MaxPool2d(2, padding=2),
        (8, 8, 1),
        r"MaxPool2d has padding=2, more than half of its windows of size \(2, 2\)",
    ),
    "rows into pooling": (AveragePool2d(2), (8, 8), "AveragePool2d takes images"),
    "rows into global pooling": (GlobalAveragePool2d(), (8,), "GlobalAveragePool2d takes images"),
    "images into pooling of sequences": (
        GlobalAveragePool1d(),
        (8, 8, 1),
        r"takes sequences, \(length, units\); here samples of shape \(8, 8, 1\)",
    ),
    "a residual of another shape": (
        Residual([Conv2d(8, 3)]),
        (8, 8, 4),
        r"input, of shape \(8, 8, 4\), to what its layers return, which has shape \(6, 6, 8\)",
    ),
    "branches of different shapes": (
        Parallel([[Dense(3)], [Dense(4)], []]),
        (3,),
        r"join='add', and branches that return shapes \(3,\), \(4,\), \(3,\): they must be equal\.",
    ),
    "branches that cannot be concatenated": (
        Parallel([[Conv2d(3, 3)], []], "concatenate"),
        (5, 5, 1),
        r"shapes \(3, 3, 3\), \(5, 5, 1\): they must be equal but for the last number",
    ),
    "tokens into attention": (Attention(), (20,), r"Put Embedding\(n_tokens, n_units\) before it"),
    "tokens with positions": (PositionalEmbedding(), (20,), "PositionalEmbedding takes sequences"),
    "heads that do not divide": (
        Attention(n_heads=4),
        (20, 6),
        "n_heads=4, which does not divide the 6 units",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_samples_that_do_not_fit_are_refused(name):
    layer, shape, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        layer.output_shape(shape)


WRONG = {
    "n_channels of Conv2d must be an int in [1, inf); got 0.": Conv2d(0, 3),
    "size of Conv2d must be an int of at least 1, or two of them (height, width); got (3, 3, 3).": (
        Conv2d(4, (3, 3, 3))
    ),
    "size of Conv2d must be an int of at least 1, or two of them (height, width); got 2.5.": (
        Conv2d(4, 2.5)
    ),
    "stride of Conv2d must be an int of at least 1, or two of them (height, width); got None.": (
        Conv2d(4, 3, stride=None)
    ),
    "padding of Conv2d must be 'valid' or 'same', or an int in [0, inf); got 'smae'. Did you mean "
    "'same'?": Conv2d(4, 3, padding="smae"),
    "groups of Conv2d must be an int in [1, inf); got True.": Conv2d(4, 3, groups=True),
    "stride of MaxPool2d must be an int of at least 1, or two of them (height, width), or None, "
    "which means size; got 'x'.": MaxPool2d(2, stride="x"),
    "layers of Residual must be a list; got 'relu'.": Residual("relu"),
    "join of Parallel must be 'add' or 'concatenate'; got 'concat'. Did you mean 'concatenate'?": (
        Parallel([[]], join="concat")
    ),
    "branches of Parallel must be a list with a list of layers for each branch; got [].": (
        Parallel([])
    ),
    "n_tokens of Embedding must be an int in [1, 1.67772e+07]; got 0.": Embedding(0, 4),
    "n_heads of Attention must be an int in [1, inf); got 1.0.": Attention(n_heads=1.0),
    "causal of Attention must be True or False; got 1.": Attention(causal=1),
    "epsilon of LayerNorm must be a float in (0, inf); got 0.": LayerNorm(epsilon=0),
}


@pytest.mark.parametrize("message", WRONG)
def test_parameters_that_are_not_allowed_are_refused(message):
    with pytest.raises(ValueError, match=" must be ") as error:
        WRONG[message].check_params()
    assert str(error.value) == message


@pytest.mark.parametrize("wrong", [-1.0, 5.0, 1.5, np.nan, np.inf])
@pytest.mark.parametrize("first", [[Embedding(5, 3)], [Parallel([[], [Embedding(5, 3)]])]])
def test_numbers_that_are_no_tokens_are_refused(wrong, first):
    network = Traced([Embedding(5, 3)], np.ones((2, 4))).network
    network.layers = first
    x = np.array([[0.0, 4.0], [wrong, 1.0]])
    with pytest.raises(ValueError, match=f"whole numbers from 0 to 4; X has {wrong:g}"):
        network.check_samples(x)
    network.check_samples(np.array([[0, 4], [3, 1]]))


def test_tokens_in_a_sparse_matrix_are_looked_at():
    import scipy.sparse

    layer = Embedding(5, 3)
    layer.check_samples(scipy.sparse.csr_array([[0.0, 4.0]]))
    with pytest.raises(ValueError, match="X has 7"):
        layer.check_samples(scipy.sparse.csr_array([[0.0, 7.0]]))
