"""From lists, names and functions to networks, and what is said where one is wrong."""

import re

import numpy as np
import pytest

from skopt_dl.layers import (
    Attention,
    BatchNorm,
    Conv2d,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePool1d,
    MaxPool2d,
    Parallel,
    PositionalEmbedding,
    Residual,
)
from skopt_dl.layers.activations import Logistic, ReLU, Tanh
from skopt_dl.networks import DenseNetwork, Network
from skopt_dl.networks.building import build
from skopt_dl.networks.initializers import GlorotUniform
from skopt_dl.networks.known import LeNet
from skopt_dl.networks.losses import SoftmaxLogLoss, SquaredError

LOSS = SoftmaxLogLoss()


def made(spec, input_shape=(8, 8, 1), n_outputs=10):
    return build(spec, input_shape, n_outputs, LOSS)


def test_list_gets_its_last_layer():
    spec = [Conv2d(16, 3), "relu", MaxPool2d(2), Flatten(), Dense(64), "relu"]
    network = made(spec)
    names = [type(layer).__name__ for layer in network.layers]
    assert names == ["Conv2d", "ReLU", "MaxPool2d", "Flatten", "Dense", "ReLU", "Dense"]
    assert network.n_outputs == 10
    assert [type(each) for each in spec] == [Conv2d, str, MaxPool2d, Flatten, Dense, str]


def test_empty_list_is_a_linear_model():
    assert made([], (3,), 2).layout.size == 8


def test_names_are_those_of_activations_and_layers():
    network = made(["flatten", Dense(5), "layer_norm", "skopt-dl/tanh"])
    assert [type(each).__name__ for each in network.layers[:4]] == [
        "Flatten",
        "Dense",
        "LayerNorm",
        "Tanh",
    ]


def test_names_within_branches_are_understood():
    block = Residual([Conv2d(1, 3, padding="same"), "relu"])
    network = made([block, Parallel([["relu"], [Residual(["tanh"])]]), "flatten"])
    assert isinstance(network.layers[0].layers[1], ReLU)
    assert isinstance(network.layers[1].branches[1][0].layers[0], Tanh)
    assert block.layers[1] == "relu"


def test_weights_have_the_gain_of_the_activation_behind_them():
    layers = [Dense(4), BatchNorm(), "logistic", Dense(4), "relu", Dense(4, gain=3.0), "logistic"]
    low = Logistic.glorot_gain
    assert made(layers, (3,)).gains == [low, 1.0, 3.0, low]
    assert made([Residual([Dense(3), "logistic"]), Dense(2), "relu"], (3,)).gains == [low, 1.0, 1.0]


@pytest.mark.parametrize("name", ["relu", "logistic"])
def test_list_of_dense_layers_begins_as_a_multilayer_perceptron(name):
    activation = {"relu": ReLU(), "logistic": Logistic()}[name]
    networks = [
        made([Dense(5), name, Dense(4), name], (3,), 2),
        DenseNetwork([3, 5, 4, 2], [activation] * 2, LOSS),
    ]
    rows = [np.empty(network.layout.size) for network in networks]
    for network, row in zip(networks, rows, strict=True):
        GlorotUniform().fill(network.layout, row, np.random.default_rng(0), network.gains)
    assert networks[0].layout == networks[1].layout
    assert np.array_equal(*rows)


def test_network_has_the_key_of_its_like():
    assert made([Dense(5), "relu"], (3,)).key == made([Dense(5), ReLU()], (3,)).key
    assert made([Dense(5), "relu"], (3,)).key != made([Dense(5), "tanh"], (3,)).key


def test_sequences_of_tokens_have_a_transformer():
    block = [
        Residual(["layer_norm", Attention(n_heads=2)]),
        Residual(["layer_norm", Dense(16), "gelu", Dense(8)]),
    ]
    first = [Embedding(30, 8), PositionalEmbedding()]
    network = made([*first, *block, "layer_norm", GlobalAveragePool1d()], (12,))
    assert network.n_outputs == 10
    with pytest.raises(ValueError, match="whole numbers from 0 to 29; X has 30"):
        network.check_samples(np.full((1, 12), 30))


@pytest.mark.parametrize("name", ["lenet", "resnet", "skopt-dl/lenet"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 27, 3), (1, 1, 1)])
def test_registered_networks_fit_any_image(name, shape):
    network = build(name, shape, 3, LOSS)
    assert network.n_outputs == 3
    assert network.input_shape == shape


def test_network_may_be_a_function_or_an_object_that_is_called():
    def two_layers(input_shape, n_outputs):
        return ["flatten", Dense(2 * input_shape[0]), "relu", Dense(n_outputs)]

    assert made(two_layers).describe() == "64-16-10"
    assert made(LeNet(n_channels=2, n_units=5)).describe() == "64-128-64-5-10"


def test_network_that_is_given_gets_the_loss():
    network = Network([Dense(2)], (3,), SquaredError())
    built = build(network, (3,), 2, LOSS)
    assert built.loss is LOSS
    assert built.layers == network.layers
    with pytest.raises(ValueError, match=r"Network with input_shape=\(3,\); the data have \(4,\)"):
        build(network, (4,), 2, LOSS)
    with pytest.raises(ValueError, match="Network with n_outputs=2; the data have 5"):
        build(network, (3,), 5, LOSS)


def wrong_size(input_shape, n_outputs):
    return ["flatten", Dense(n_outputs + 1)]


WRONG = {
    "misspelled name": (
        ["flatten", "rleu"],
        "network[1]: Unknown activation or layer 'rleu'. Did you mean 'relu'? Available: elu,",
    ),
    "misspelled layer": (["flaten"], "network[0]: Unknown activation or layer 'flaten'. Did you"),
    "name of a layer that needs arguments": (
        [Flatten(), "dense"],
        "network[1]: the layer 'dense' needs arguments. Write Dense(n_units).",
    ),
    "a class": ([Flatten(), Dense], "got <class 'skopt_dl.layers.dense.Dense'>. Write Dense(n_un"),
    "a list in the list": (
        [[Dense(3)]],
        "network[0] must be a layer or the name of one; got [Dense(n_units=3)]. Branches belong",
    ),
    "a number": ([64], "network[0] must be a layer or the name of one; got 64."),
    "a parameter": ([Flatten(), Dense(0)], "network[1]: n_units of Dense must be an int in [1,"),
    "a shape": (
        [Conv2d(4, 3), "relu", Conv2d(4, 7)],
        "network[2]: Conv2d has windows of size (7, 7), which do not fit",
    ),
    "a convolution of rows": (["flatten", Conv2d(4, 3)], "network[1]: Conv2d takes images"),
    "a shape within a residual": (
        [Residual(["relu", MaxPool2d(9)])],
        "network[0][1]: MaxPool2d has windows of size (9, 9)",
    ),
    "a shape within a branch": (
        [Parallel([[], ["relu", MaxPool2d(9)]])],
        "network[0][1][1]: MaxPool2d has windows of size (9, 9)",
    ),
    "a residual": ([Residual([MaxPool2d(2)])], "network[0]: Residual adds its input, of shape (8"),
    "a name within a branch": ([Parallel([["rleu"], []])], "network[0][0][0]: Unknown activation"),
    "no flatten": (
        [Conv2d(4, 3), "relu"],
        "network ends with samples of shape (6, 6, 4); what predicts needs one axis. Put Flatten()"
        " or a global pooling at its end, after ReLU().",
    ),
    "images without layers": ([], "network ends with samples of shape (8, 8, 1); what predicts"),
    "an unknown network": ("lenett", "Unknown network 'lenett'. Did you mean 'lenet'?"),
    "a class of networks": (LeNet, "got <class 'skopt_dl.networks.known.LeNet'>. Write LeNet()."),
    "nothing": (None, "network must be a list of layers and names of layers, the name of a netw"),
    "a function of nothing": (
        lambda shape, n: None,
        "network=<lambda> must return a list of layers; it returned None.",
    ),
    "a function of another size": (
        wrong_size,
        "network=wrong_size returns samples of shape (11,); the data need (10,).",
    ),
    "a parameter of a network": (LeNet(n_units=0), "n_units of LeNet must be an int in [1, inf)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_place(name):
    spec, message = WRONG[name]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        made(spec)
