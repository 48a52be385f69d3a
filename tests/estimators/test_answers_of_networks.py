"""What bad layers, networks and samples are answered with: the input, and words of the answer."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skopt_dl import MLPClassifier, NeuralNetClassifier, NeuralNetRegressor
from skopt_dl.layers import (
    Activation,
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
    Layer,
    LayerNorm,
    MaxPool2d,
    Parallel,
    Parameter,
    PositionalEmbedding,
    Residual,
)
from skopt_dl.layers.activations import ELU, LeakyReLU, ReLU
from skopt_dl.networks import Network
from skopt_dl.networks.known import LeNet
from skopt_dl.networks.losses import SoftmaxLogLoss
from skopt_dl.optimizers import Adam

pytestmark = pytest.mark.filterwarnings("ignore:Maximum iterations")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 16))
Y = np.arange(40) % 3
IMAGES = X.reshape(-1, 4, 4, 1)
TOKENS = RNG.integers(0, 5, (40, 6)).astype(float)
TABLE, IMAGE, SEQUENCE = (X, None), (X, (4, 4, 1)), (TOKENS, None)
NAN = float("nan")


def classifier(network=("dropout",), **params):
    return NeuralNetClassifier(network, **{"max_iter": 2, "random_state": 0, **params})


def check_answer(call, words):
    with pytest.raises((ValueError, TypeError, MemoryError)) as caught:
        call()
    assert all(each in str(caught.value) for each in words.split(" … ")), str(caught.value)


def layer(base=Layer, **methods):
    """A layer of somebody's own."""
    return type("Own", (base,), methods)()


def learning(*parameters):
    return layer(tensors=lambda self, shape: list(parameters), forward=lambda self, x, t, run: x)


def computing(function):
    return layer(forward=lambda self, x, tensors, run: function(x, run))


def shaping(result):
    return layer(forward=lambda self, x, t, run: x, output_shape=lambda self, shape: result)


def differentiating(backward):
    function = computing(lambda x, run: run.custom(lambda x: x * 2.0, backward, x))
    return [Dense(16), function]


class Forgetful(Layer):
    def __init__(self, n):
        self.m = n


FLAT = ["flatten", Dense(3)]
ANY = "network must be a list of layers … or a Network; got "
ONE = "network[0] must be a layer or the name of one; got "
SIDES = "must be an int of at least 1, or two of them (height, width); got "
COUNT = "must be an int in [1, inf); got "
END = "what predicts needs one axis. Put Flatten() or a global pooling at its end"
ARRAY_CODE = "A forward pass is array code"
RETURNS = "output_shape says (1, 40, 16)"
NUMBERS = "Embedding takes numbers of tokens"
E5 = Embedding(5, 4)

# Networks that cannot be made, for samples of a table, images or sequences.
BAD_NETWORKS = [
    # what a network may be
    (TABLE, None, ANY + "None"),
    (TABLE, 5, ANY + "5"),
    (TABLE, 2.5, ANY),
    (TABLE, True, ANY),
    (TABLE, {"a": 1}, ANY),
    (TABLE, {"relu"}, ANY),
    (TABLE, b"relu", ANY),
    (TABLE, np.array([3, 4]), ANY),
    (TABLE, Dense, ANY + "<class … Write [Dense(n_units)]."),
    (TABLE, LeNet, "Write LeNet()."),
    (TABLE, Network, "Write Network(layers, input_shape, loss)."),
    (TABLE, Dense(3), "got Dense(n_units=3). Write [Dense(n_units=3)]."),
    (TABLE, ReLU(), "Write [ReLU()]."),
    (TABLE, LogisticRegression(), ANY),
    (TABLE, "", "Unknown network '' … lenet, … resnet"),
    (TABLE, "lennet", "Did you mean 'lenet'?"),
    (TABLE, "resnet50", "Did you mean 'resnet'?"),
    (TABLE, "relu", "network='relu' is one layer … network=['relu']"),
    (TABLE, "dense", "network='dense' is one layer"),
    # what may be in a list
    (TABLE, [None], ONE + "None"),
    (TABLE, [5], ONE + "5"),
    (TABLE, [[Dense(3)]], ONE + "[Dense(n_units=3)]. Branches belong into Residual"),
    (TABLE, [(Dense(3), "relu")], "Branches belong into Residual([...]) or Parallel"),
    (TABLE, [Dense], "Write Dense(n_units)."),
    (TABLE, [np.maximum], ONE + "<ufunc 'maximum'>"),
    (TABLE, [abs], ONE),
    (TABLE, [b"relu"], ONE),
    (TABLE, [Adam()], ONE + "Adam()"),
    (TABLE, [LogisticRegression()], ONE),
    (TABLE, [Dense(3), ReLU], "network[1] must be … Write ReLU()."),
    (TABLE, ["dense"], "network[0]: the layer 'dense' needs arguments. Write Dense(n_units)."),
    (TABLE, ["conv2d"], "Write Conv2d(n_channels, size)."),
    (TABLE, ["rellu"], "network[0]: Unknown activation or layer 'rellu'. Did you mean 'relu'?"),
    (TABLE, ["Relu"], "Did you mean 'relu'?"),
    (TABLE, ["ReLU"], "Did you mean 'relu'?"),
    (TABLE, ["swish"], "Did you mean 'silu'?"),
    (TABLE, ["sigmoid"], "Did you mean 'logistic'?"),
    (TABLE, ["batchnorm"], "Did you mean 'batch_norm'?"),
    (TABLE, ["maxpool2d"], "Did you mean 'max_pool2d'?"),
    (TABLE, ["dropout(0.5)"], "Did you mean 'dropout'?"),
    (TABLE, [""], "Unknown activation or layer '' … relu, "),
    (TABLE, ["lenet"], "network[0]: 'lenet' is the name of a whole network. Write network='lenet'"),
    # functions
    (TABLE, lambda shape, n: None, "network=<lambda> must return a list of layers; it returned N"),
    (TABLE, lambda shape, n: [], "it returned []"),
    (TABLE, lambda shape, n: "relu", "it returned 'relu'"),
    (TABLE, lambda shape, n: Dense(n), "it returned Dense(n_units=3)"),
    (TABLE, lambda shape: [], "is called with input_shape=(16,) and n_outputs=3 … TypeError"),
    (TABLE, lambda shape, n, k: [], "is called with input_shape=(16,) and n_outputs=3"),
    (TABLE, lambda shape, n: [Dense(shape[2])], "raised IndexError: tuple index out of range"),
    (TABLE, lambda shape, n: 1 / 0, "raised ZeroDivisionError"),
    (TABLE, lambda shape, n: [Dense(5)], "shape (5,); the data need (3,) … Dense(n_outputs)"),
    (TABLE, lambda shape, n: ["rellu", Dense(n)], "network=<lambda>[0]: Unknown … 'relu'"),
    (IMAGE, lambda shape, n: [Dense(n)], "shape (4, 4, 3); the data need (3,)"),
    # networks
    (TABLE, Network([Dense(3)], (15,), SoftmaxLogLoss()), "input_shape=(15,); the data have (16,)"),
    (TABLE, Network([Dense(4)], (16,), SoftmaxLogLoss()), "n_outputs=4; the data have 3"),
    (
        TABLE,
        Network([Dense(3, gain=-1.0)], (16,), SoftmaxLogLoss()),
        "network.layers[0]: gain of Dense must be a float in (0, inf), or None; got -1.0",
    ),
    # shapes
    (TABLE, [Conv2d(3, 3), Flatten()], "network[0]: Conv2d takes images … input_shape=(height"),
    (IMAGE, [Conv2d(3, 5), Flatten()], "(5, 5) … do not fit into images … (4, 4) … 'same'"),
    (IMAGE, [Conv2d(3, 3), Conv2d(3, 3), Flatten()], "network[1]: Conv2d … (2, 2)"),
    (IMAGE, [Conv2d(3, 3), Dense(5)], "shape (2, 2, 5) … " + END + ", after Dense(n_units=5)"),
    (IMAGE, [Conv2d(3, 3)], END + ", after Conv2d"),
    (IMAGE, [], "shape (4, 4, 1) … " + END),
    (IMAGE, [Flatten(), Conv2d(3, 3)], "network[1]: Conv2d takes images"),
    (IMAGE, [MaxPool2d(5), Flatten()], "MaxPool2d has windows of size (5, 5)"),
    (IMAGE, [Flatten(), MaxPool2d(2)], "network[1]: MaxPool2d takes images"),
    (IMAGE, [MaxPool2d(2, padding=2)], "padding=2, more than half … Use a smaller padding"),
    (TABLE, [GlobalAveragePool2d()], "GlobalAveragePool2d takes images"),
    (IMAGE, [GlobalAveragePool1d()], "takes sequences … GlobalAveragePool2d()"),
    (IMAGE, [Conv2d(3, 3, groups=2)], "groups=2, which does not divide the 1 channels"),
    (IMAGE, [Conv2d(4, 1), Conv2d(3, 1, groups=2)], "network[1]: … the 3 channels that n_channels"),
    ((IMAGES[..., 0], None), [Conv2d(2, 3)], "(4, 4) come in … X[..., None] … (4, 4, 1)"),
    ((X, (1, 4, 4)), [Conv2d(2, 3)], "height and width (1, 4) … channels come last"),
    # numbers out of range
    *[
        (IMAGE, [Conv2d(3, 3, stride)], f"stride of Conv2d {SIDES}{stride!r}")
        for stride in (-1, 0, "2")
    ],
    *[(IMAGE, [Conv2d(3, s)], f"size of Conv2d {SIDES}{s!r}") for s in (0, -3, "3", (3,), NAN)],
    *[
        (IMAGE, [Conv2d(3, 3, padding=p)], "padding of Conv2d must be 'valid' or 'same', or an int")
        for p in (-1, 1.5, None, (1, 1), "SAME")
    ],
    *[(IMAGE, [Conv2d(n, 3)], f"n_channels of Conv2d {COUNT}{n!r}") for n in (0, -1, 16.0, None)],
    (IMAGE, [Conv2d(3, 3, groups=0)], "groups of Conv2d " + COUNT),
    (IMAGE, [Conv2d(3, 3, bias="no")], "bias of Conv2d must be True or False"),
    (IMAGE, [Conv2d(3, 3, gain=-1.0)], "gain of Conv2d must be a float in (0, inf), or None"),
    (IMAGE, [Conv2d(10**12, 3), Flatten()], "22,000,000,000,003 parameters … Use smaller layers"),
    (IMAGE, [MaxPool2d(0)], "size of MaxPool2d " + SIDES),
    (IMAGE, [AveragePool2d(2, -1)], "stride of AveragePool2d … None, which means size; got -1"),
    *[
        (TABLE, [Dense(n)], f"network[0]: n_units of Dense {COUNT}{n!r}")
        for n in (0, -1, 2.5, "3", None, (3, 4), NAN)
    ],
    (TABLE, [Dense(3, "relu")], "bias of Dense must be True or False; got 'relu'"),
    (TABLE, [Dense(10**12)], "20,000,000,000,003 parameters"),
    *[
        (TABLE, [Dropout(rate)], f"rate of Dropout must be a float in [0, 1); got {rate!r}")
        for rate in (1.0, -0.1, 50, "0.5", None, NAN)
    ],
    (TABLE, [LeakyReLU(-1)], "negative_slope of LeakyReLU must be"),
    (TABLE, [ELU(0)], "alpha of ELU must be"),
    (TABLE, [LayerNorm(-1)], "epsilon of LayerNorm must be"),
    # branches
    (TABLE, [Residual([Dense(3)])], "Residual adds its input, of shape (16,) … (3,)"),
    (TABLE, [Residual(Dense(16))], "layers of Residual must be a list; got Dense(n_units=16)"),
    (TABLE, [Residual([])], "layers of Residual must be a list of at least one layer"),
    (TABLE, [Residual(["rellu"])], "network[0][0]: Unknown … Did you mean 'relu'?"),
    (TABLE, [Residual([Dense(0)])], "network[0][0]: n_units of Dense"),
    (TABLE, [Residual([[Dense(16)]])], "network[0][0] must be a layer"),
    (TABLE, [Residual([Dense(16), Residual([Dense(8)])])], "network[0][1]: Residual adds"),
    (TABLE, [Residual([Conv2d(3, 3)])], "network[0][0]: Conv2d takes images"),
    (IMAGE, [Residual([Conv2d(1, 3, 2, "same")])], "(2, 2, 1): they must be equal … Parallel"),
    (TABLE, [Parallel([Dense(3)])], "branches of Parallel must be a list with a list of layers"),
    (TABLE, [Parallel([])], "branches of Parallel must be"),
    (TABLE, [Parallel(None)], "branches of Parallel must be a list; got None"),
    (TABLE, [Parallel([[Dense(3)], [Dense(4)]])], "join='add' … (3,), (4,): they must be equal"),
    (TABLE, [Parallel([[], []], "sum")], "join of Parallel must be 'add' or 'concatenate'"),
    (TABLE, [Parallel([[], ["rellu"]])], "network[0][1][0]: Unknown … 'relu'"),
    (TABLE, [Parallel([[Dense(3)], [Conv2d(3, 3)]])], "network[0][1][0]: Conv2d takes images"),
    # sequences
    (SEQUENCE, [Embedding(4, 3), Flatten()], NUMBERS + " … from 0 to 3; X has 4"),
    ((TOKENS + 0.5, None), [E5, Flatten()], NUMBERS + " … X has 0.5 … OrdinalEncoder"),
    ((TOKENS - 1, None), [E5, Flatten()], NUMBERS + " … X has -1"),
    (TABLE, [E5, Flatten()], "network[0]: " + NUMBERS),
    (
        SEQUENCE,
        [Flatten(), Embedding(3, 3), Flatten()],
        "network[1]: " + NUMBERS + " … from 0 to 2",
    ),
    (SEQUENCE, [E5], "shape (6, 4) … " + END),
    *[
        (SEQUENCE, [before, E5, Flatten()], f"network[1]: {NUMBERS} … Put it first")
        for before in (Dense(3), "relu", Dropout(0.5), "identity", E5)
    ],
    (SEQUENCE, [Parallel([["relu", E5], []]), Flatten()], "join='add' … (6, 4), (6,)"),
    (SEQUENCE, [Parallel(2 * [["relu", E5]]), Flatten()], "network[0][0][1]: Embedding"),
    (SEQUENCE, [Embedding(0, 3)], "n_tokens of Embedding must be an int in [1, "),
    (SEQUENCE, [Embedding(10**9, 3)], "n_tokens of Embedding must be"),
    (SEQUENCE, [Embedding(5, 0)], "n_units of Embedding " + COUNT),
    (TABLE, [Attention()], "Attention takes sequences … Put Embedding(n_tokens, n_units) before"),
    (IMAGE, [Attention()], "Attention takes sequences"),
    (SEQUENCE, [E5, Attention(3)], "network[1]: Attention has n_heads=3 … the 4 units"),
    (SEQUENCE, [E5, Attention(0)], "n_heads of Attention " + COUNT),
    (SEQUENCE, [E5, Attention(1, "yes")], "causal of Attention must be True or False"),
    (SEQUENCE, [E5, Attention()], END + ", after Attention()"),
    (TABLE, [PositionalEmbedding()], "PositionalEmbedding takes sequences"),
    # layers of one's own
    (TABLE, [computing(lambda x, run: None)], "network[0]: Own returns None … " + RETURNS),
    (TABLE, [computing(lambda x, run: x[:, :, :3])], "Own returns an array of shape (1, 40, 3)"),
    (TABLE, [computing(lambda x, run: x[:, :1])], "Own returns an array of shape (1, 1, 16)"),
    (TABLE, [computing(lambda x, run: run.xp.sum(x, axis=2))], "shape (1, 40) … " + RETURNS),
    (TABLE, [computing(lambda x, run: 1 / 0)], "ZeroDivisionError: division by zero"),
    (TABLE, [computing(lambda x, run: float(x))], "asks for the values … " + ARRAY_CODE),
    (TABLE, [computing(lambda x, run: np.exp(x))], "functions of run.xp (not NumPy's own)"),
    (TABLE, [computing(lambda x, run: run.xp.expp(x))], "xp.expp, which cannot be traced"),
    (TABLE, [computing(lambda x, run: x if x[0, 0, 0] > 0 else -x)], "a branch on values"),
    (TABLE, [Residual([computing(lambda x, run: None)])], "network[0][0]: Own returns None"),
    (TABLE, [layer()], "Own does not implement forward"),
    (TABLE, [layer(Activation)], "Own does not implement value"),
    (TABLE, [layer(Activation, value=lambda self, xp, z: None)], "Own returns None"),
    (
        TABLE,
        [learning(Parameter("a", (16, 16), "weights"))],
        "role of 'a' … 'weight'?",
    ),
    (TABLE, [learning(Parameter("a", (-1, 16), "bias"))], "shape of 'a' must be a tuple of ints"),
    (TABLE, [learning(Parameter("a", 16, "bias"))], "shape of 'a' must be a tuple … got 16"),
    (TABLE, [learning(("a", (1, 16)))], "Own.tensors must return a list of Parameter; got [('a'"),
    (TABLE, [learning(*2 * [Parameter("a", (1, 16), "bias")])], "two tensors of the name 'a'"),
    (TABLE, [layer(tensors=lambda self, shape: None)], "Own.tensors must return a list … got None"),
    (TABLE, [layer(statistics=lambda self, shape: None)], "Own.statistics must return a list"),
    *[
        (TABLE, [shaping(shape)], f"Own.output_shape((16,)) must return the shape … got {shape!r}")
        for shape in (None, 16, (0,), (16.0,), ())
    ],
    (TABLE, [shaping((8,))], "output_shape says (1, 40, 8)"),
    (
        TABLE,
        [layer(output_shape=lambda self, s: s + 1)],
        "output_shape((16,)) raised TypeError",
    ),
    (TABLE, [Forgetful(3)], "Forgetful.__init__ must store each of its arguments under its name"),
    (TABLE, differentiating(lambda d, out, x: None), "network[1]: Own must return a tuple"),
    (TABLE, differentiating(lambda d, out, x: d), "it returned no tuple, [(1, 40, 16)]"),
    (
        TABLE,
        differentiating(lambda d, out, x: (d, d)),
        "it returned [(1, 40, 16), (",
    ),
    (TABLE, differentiating(lambda d, out, x: (d[:, :, :2],)), "it returned [(1, 40, 2)]"),
    (TABLE, differentiating(lambda d: (d,)), "called as backward(delta, out, *inputs)"),
]


@pytest.mark.parametrize(("data", "network", "words"), BAD_NETWORKS, ids=range(len(BAD_NETWORKS)))
def test_bad_network_is_named_with_its_place(data, network, words):
    samples, shape = data
    model = NeuralNetClassifier(network, input_shape=shape, max_iter=2, random_state=0)
    check_answer(lambda: model.fit(samples, Y), words)
    assert not hasattr(model, "network_")


SHAPE = "input_shape of NeuralNetClassifier must be None or the shape of one sample"


@pytest.mark.parametrize(
    ("shape", "samples", "words"),
    [
        ((5, 4), X, "X has 16 features; input_shape=(5, 4) needs 20"),
        (15, X, "input_shape=(15,) needs 15"),
        ((40, 4, 4), X, "needs 640"),
        *[
            (shape, X, f"{SHAPE} … got {shape!r}")
            for shape in ((4, 0, 1), (-1, 4), -1, (4.0, 4.0), "44", (), (None, 4), (True, 16), {4})
        ],
        ((2, 8, 1), IMAGES, "(4, 4, 1); input_shape is (2, 8, 1)"),
        ((4, 4, 1), IMAGES[..., 0], "write X.reshape(-1, 4, 4, 1)"),
        ((40, 4, 4, 1), IMAGES, "write X[None]"),
        (None, IMAGES[:0], "0 sample(s)"),
        (None, np.where(IMAGES > 1, NAN, IMAGES), "Input X contains NaN"),
        (None, X[:, 0], "Expected 2D array"),
    ],
)
def test_shape_of_samples_that_does_not_fit_is_named(shape, samples, words):
    check_answer(lambda: classifier(["flatten"], input_shape=shape).fit(samples, Y), words)


def fitted(network=FLAT, samples=IMAGES, **params):
    return classifier(network, **params).fit(samples, Y)


AFTER_A_FIT = [
    (lambda: fitted().predict(IMAGES[:, :2]), "was fitted on samples of shape (4, 4, 1)"),
    (lambda: fitted().predict(X.reshape(40, 2, 8, 1)), "write X.reshape(-1, 4, 4, 1)"),
    (lambda: fitted().predict(IMAGES[0]), "was fitted on samples of shape (4, 4, 1)"),
    (lambda: fitted(samples=X).predict(IMAGES), "on samples of shape (16,) … X.reshape(-1, 16)"),
    (lambda: fitted().predict(X[:, :8]), "X has 8 features"),
    (lambda: fitted().partial_fit(X.reshape(40, 2, 8, 1), Y), "fitted on samples of shape (4, 4"),
    (
        lambda: fitted().set_params(input_shape=(2, 8, 1)).partial_fit(X, Y),
        "input_shape is (2, 8, 1); this model was fitted on samples of shape (4, 4, 1)",
    ),
    (
        lambda: classifier(["flatten"]).fit(IMAGES, Y, X_val=IMAGES[:, :2], y_val=Y),
        "X_val and y_val do not fit X and y: X has samples of shape (2, 4, 1)",
    ),
    (
        lambda: classifier([E5, Flatten()]).fit(TOKENS, Y, X_val=TOKENS + 1, y_val=Y),
        "X_val and y_val do not fit X and y: network[0]: Embedding takes numbers … X has 5",
    ),
    (lambda: fitted([E5, Flatten()], TOKENS).predict(TOKENS + 1), NUMBERS + " … X has 5"),
    (lambda: fitted([E5, Flatten()], TOKENS).partial_fit(TOKENS + 0.5, Y), "X has 0.5"),
    (
        lambda: fitted().set_params(network__1__n_units=4).partial_fit(IMAGES, Y),
        "coefs_0 is of shape (16, 4), and was of shape (16, 3)",
    ),
    (
        lambda: (
            fitted([Dense(16)], X, warm_start=True)
            .set_params(network=[Dense(16), LayerNorm()])
            .fit(X, Y)
        ),
        "need other weights than the fitted",
    ),
    (lambda: classifier(early_stopping=True).partial_fit(X, Y), "partial_fit does not support"),
    (
        lambda: classifier([Dropout()], optimizer="lbfgs").fit(X, Y),
        "Dropout() makes the loss",
    ),
    (lambda: classifier([BatchNorm()], batch_size=1).fit(X, Y), "Make batches larger"),
    (
        lambda: MLPClassifier(4, layer(Activation, value=lambda self, xp, z: None)).fit(X, Y),
        "Own returns None",
    ),
]


@pytest.mark.parametrize(("call", "words"), AFTER_A_FIT, ids=range(len(AFTER_A_FIT)))
def test_bad_samples_and_changes_after_a_fit_are_named(call, words):
    check_answer(call, words)


PLACES = "is a list of 3 layers, which are set as network__0 to network__2"
RESIDUAL = (Dense(3), "relu", Residual([Dense(3)]))


@pytest.mark.parametrize(
    ("network", "name", "words"),
    [
        (RESIDUAL, "network__9__n_units", "network__9__n_units: network … " + PLACES),
        (RESIDUAL, "network__9", PLACES),
        (RESIDUAL, "network__-1__n_units", PLACES),
        (RESIDUAL, "network__n_units", PLACES),
        (RESIDUAL, "network__", PLACES),
        (RESIDUAL, "network__0__n_unit", "Did you mean 'n_units'?"),
        (RESIDUAL, "network__0__units", "Did you mean 'n_units'?"),
        (RESIDUAL, "network__1__slope", "Invalid parameter 'slope' for ReLU. It has none."),
        (RESIDUAL, "network__2__layers__0__n_units", "is a list … Set layers to another list"),
        (RESIDUAL, "layers", 'Here it is network=[Dense(100), "relu"]'),
        (RESIDUAL, "hidden_layer_sizes", 'Here it is network=[Dense(100), "relu"]'),
        (RESIDUAL, "activation", 'Here it is network=[Dense(100), "relu"]'),
        (RESIDUAL, "dropout", "Here it is a layer … Dropout(0.5)"),
        (RESIDUAL, "batch_norm", "Here it is a layer … BatchNorm()"),
        ([], "network__0__n_units", "is an empty list"),
        ([Dense], "network__0__n_units", "network[0] must be a layer … Write Dense(n_units)."),
        (["dense"], "network__0__n_units", "Write Dense(n_units)."),
        ([None], "network__0__n_units", "network[0] must be a layer"),
        ([[Dense(3)]], "network__0__n_units", "Branches belong into"),
        (
            "lenet",
            "network__n_unit",
            "'n_unit' for LeNet. Did you mean 'n_units'?",
        ),
        ("lennet", "network__n_units", "Did you mean 'lenet'?"),
        (5, "network__0", "network__0 cannot be set: network of NeuralNetClassifier is 5"),
    ],
)
def test_parameter_that_is_not_there_is_named(network, name, words):
    check_answer(lambda: classifier(network).set_params(**{name: 3}), words)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Dense(), "n_units"),
        (lambda: Dense(units=3), "Did you mean 'n_units'?"),
        (lambda: Dense(3, activation="relu"), 'Here it is a layer of its own: [Dense(64), "relu"]'),
        (lambda: Dense(3, in_features=2), "Here it is left out: it follows from what comes in"),
        (lambda: Conv2d(filters=3, size=3), "Did you mean 'n_channels'?"),
        (lambda: Conv2d(3, kernel_size=3), "Did you mean 'size'?"),
        (lambda: Conv2d(3, 3, strides=3), "Did you mean 'stride'?"),
        (lambda: Conv2d(3, 3, in_channels=1), "it follows from what comes in"),
        (lambda: MaxPool2d(pool_size=2), "Did you mean 'size'?"),
        (lambda: Dropout(p=0.5), "Did you mean 'rate'?"),
        (lambda: Embedding(5, embedding_dim=3), "Did you mean 'n_units'?"),
        (lambda: Attention(num_heads=3), "Did you mean 'n_heads'?"),
        (lambda: BatchNorm(16), "BatchNorm takes at most 0 positional arguments; got 1"),
        (lambda: Residual(Dense(3), "relu"), "Residual takes at most 1 positional … layers"),
        (lambda: NeuralNetClassifier([Dense(3)], (8, 8, 1)), "Name them: network, input_shape"),
        (lambda: NeuralNetRegressor(hidden_layer_sizes=3), "Here it is network=[Dense(100)"),
        (lambda: NeuralNetClassifier(shape=3), "Did you mean 'input_shape'?"),
        (lambda: Network([None], (16,), SoftmaxLogLoss()), "objects of class Layer; got None"),
        (lambda: Network(["relu"], (16,), SoftmaxLogLoss()), "Names of layers are understood"),
        (lambda: Network(Dense(3), (16,), SoftmaxLogLoss()), "layers of a Network must be a list"),
        (lambda: Network([Dense(3)], 16, SoftmaxLogLoss()), "input_shape of a Network must be"),
        (lambda: Network([Dense(0)], (16,), SoftmaxLogLoss()), "n_units of Dense " + COUNT),
    ],
)
def test_bad_arguments_of_layers_and_networks_are_named(call, words):
    check_answer(call, words)


def test_layer_that_selects_may_stand_before_an_embedding():
    first = layer(
        selected=lambda self, x: x[:, :3],
        output_shape=lambda self, shape: (3,),
        forward=lambda self, x, tensors, run: x[:, :, :3],
    )
    tokens = TOKENS.copy()
    tokens[:, 4] = 0.5
    model = fitted([first, E5, Flatten()], tokens)
    check_answer(lambda: model.predict(tokens + 1), "network[1]: " + NUMBERS)
