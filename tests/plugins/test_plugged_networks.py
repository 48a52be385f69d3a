"""An installed distribution with a layer and networks: they are used by name, like built-ins."""

import re

import numpy as np
import pytest

from skopt_dl.networks.building import build
from skopt_dl.networks.losses import SoftmaxLogLoss
from skopt_dl.plugins import PluginWarning, available, find

HOOKS = """\
from skopt_dl import hookimpl

@hookimpl
def skopt_dl_layers():
    return {"scale": "zoo.layers:Scale", "wide": "zoo.layers:Wide", "no_layer": "zoo.layers:Tall"}

@hookimpl
def skopt_dl_networks():
    return {
        "squares": "zoo.networks:squares",
        "tower": "zoo.networks:Tower",
        "no_network": "zoo.networks:WIDTH",
    }
"""
LAYERS = """\
from skopt_dl.layers import Dense, Layer, Parameter

class Scale(Layer):
    '''A factor for each feature.'''

    def tensors(self, shape):
        return [Parameter("scale", (1, shape[-1]), "norm")]

    def forward(self, x, tensors, run):
        return x * (1.0 + tensors.scale)

class Wide(Dense):
    pass

class Tall:
    pass
"""
NETWORKS = """\
from skopt_dl._params import Configurable
from skopt_dl.layers import Dense

WIDTH = 7

def squares(input_shape, n_outputs):
    return ["flatten", "scale", Dense(WIDTH), "zoo-layers/scale", "relu", Dense(n_outputs)]

class Tower(Configurable):
    def __init__(self, n_floors=2):
        self.n_floors = n_floors

    def __call__(self, input_shape, n_outputs):
        return [*[Dense(3), "tanh"] * self.n_floors, Dense(n_outputs)]
"""


@pytest.fixture
def zoo(site):
    files = {"zoo/__init__.py": HOOKS, "zoo/layers.py": LAYERS, "zoo/networks.py": NETWORKS}
    site.install("zoo-layers", files)
    return site


def made(spec, input_shape=(2, 3)):
    return build(spec, input_shape, 4, SoftmaxLogLoss())


def test_layer_is_used_by_its_name(zoo):
    network = made(["flatten", "scale"])
    assert type(network.layers[1]) is find("layer", "scale")
    assert [spec.name for spec in network.layout.specs] == ["coefs_0", "intercepts_0", "scale_0"]
    assert "scale" in available("layer")


def test_network_is_a_function_or_a_class(zoo):
    assert made("squares").describe() == "6-7-4"
    assert made("zoo-layers/squares").describe() == "6-7-4"
    assert made("tower", (5,)).describe() == "5-3-3-4"
    assert made(find("network", "tower")(n_floors=1), (5,)).describe() == "5-3-4"
    assert {"squares", "tower", "lenet"} <= set(available("network"))


def test_layer_of_a_plugin_trains(zoo):
    from skopt_dl.backends import get_backend
    from skopt_dl.networks import DensePool, NetworkObjective, TargetPool
    from skopt_dl.optimizers import Adam
    from skopt_dl.training import minimise

    b, network = get_backend("cpu"), made("squares")
    x = np.random.default_rng(0).normal(size=(20, 6))
    y = np.eye(4)[np.arange(20) % 4]
    objective = NetworkObjective(b, network, DensePool(b, x), TargetPool(b, y), n_models=2)
    starts = np.random.default_rng(1).normal(0.0, 0.3, (2, network.layout.size))
    runs = minimise(objective, [Adam(0.01), Adam(0.02)], starts, max_epochs=20)
    assert all(run.history["loss"][-1] < 0.8 * run.history["loss"][0] for run in runs)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (["flatten", "wide"], "network[1]: the layer 'wide' needs arguments. Write Wide(n_units)."),
        (["scal"], "network[0]: Unknown activation or layer 'scal'. Did you mean 'scale'?"),
        (["no_layer"], "'zoo.layers:Tall' is not a subclass of skopt_dl.layers.Layer."),
        ("no_network", "'zoo.networks:WIDTH' is neither a class nor a function."),
        ("squars", "Unknown network 'squars'. Did you mean 'squares'?"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(zoo, spec, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        made(spec)


def test_names_of_built_in_layers_load_no_plugin(zoo):
    import sys

    made(["flatten", "relu", "layer_norm"])
    assert "zoo" not in sys.modules


def test_function_can_be_a_network_but_no_layer(site):
    code = """\
        from skopt_dl import hookimpl

        def broken(*arguments):
            pass

        @hookimpl
        def skopt_dl_layers():
            return {"broken": broken}

        @hookimpl
        def skopt_dl_networks():
            return {"broken": broken, "number": 1.5}
        """
    site.install("broken", {"broken.py": code})
    with pytest.warns(PluginWarning) as warned:
        assert "broken" in available("network")
    assert "broken" not in available("layer")
    text = str(warned[0].message)
    assert "'skopt_dl_layers' names 'broken' for <function broken" in text
    assert "It must be a class, or a str" in text
    assert "'number' for 1.5. It must be a class or a function, or a str" in text
