"""From what a user writes for a network to a `Network`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from skopt_dl.layers import Activation, Dense, Layer
from skopt_dl.layers.base import Shape, shape_out
from skopt_dl.networks.losses import Loss
from skopt_dl.networks.network import Network, place_of_branch
from skopt_dl.plugins import MissingPluginError, available, find, find_among


def build(spec: Any, input_shape: Shape, n_outputs: int, loss: Loss) -> Network:
    """Make a network of what a user has written.

    Parameters
    ----------
    spec : list, str, callable or Network
        Layers and names of activations and layers, one after the other; a ``Dense(n_outputs)`` is
        put at their end. Or a registered name, or a function ``(input_shape, n_outputs) -> layers``
        whose last layer returns `n_outputs` numbers. Or a network.
    input_shape : tuple of int
        Of one sample.
    n_outputs : int
    loss : Loss
        In its form for the targets.

    Returns
    -------
    network : Network
        Its layers are copies where something had to be filled in; the given ones are as they were.

    Raises
    ------
    ValueError, TypeError
        If there is no such network; where in the list something is wrong is in the message.

    Examples
    --------
    >>> from skopt_dl.layers import Conv2d, Dense, Flatten, MaxPool2d
    >>> from skopt_dl.networks.building import build
    >>> from skopt_dl.networks.losses import SoftmaxLogLoss
    >>> layers = [Conv2d(16, 3), "relu", MaxPool2d(2), Flatten(), Dense(64), "relu"]
    >>> network = build(layers, (8, 8, 1), 10, SoftmaxLogLoss())
    >>> network.layers[-1]
    Dense(gain=1.0, n_units=10)
    >>> network.describe()
    '64-576-64-10'
    """
    input_shape = tuple(input_shape)
    if isinstance(spec, Network):
        return _fitting(spec, input_shape, n_outputs, loss)
    is_list = isinstance(spec, list | tuple)
    given, place = (spec, "network") if is_list else _called(spec, input_shape, n_outputs)
    layers = _resolved(given, place)
    shape = _check_shapes(layers, input_shape, place)
    if is_list:
        if len(shape) != 1:
            raise ValueError(
                f"network ends with samples of shape {shape}; what predicts needs one axis. Put "
                f"Flatten() or a global pooling at its end{_after(layers)}."
            )
        layers.append(Dense(n_outputs))
    elif shape != (n_outputs,):
        raise ValueError(
            f"{place} returns samples of shape {shape}; the data need {(n_outputs,)}. Its last "
            "layer must be Dense(n_outputs), with what it is called with."
        )
    return Network(_with_gains(layers), input_shape, loss)


def _after(layers: Sequence[Layer]) -> str:
    return f", after {layers[-1]!r}" if layers else ""


def _fitting(network: Network, input_shape: Shape, n_outputs: int, loss: Loss) -> Network:
    """A network that was given as such, with this loss."""
    _resolved(network.layers, "network.layers")
    needed = {"input_shape": input_shape, "n_outputs": n_outputs}
    for name, value in needed.items():
        if getattr(network, name) != value:
            raise ValueError(
                f"network is a Network with {name}={getattr(network, name)}; the data have "
                f"{value}. Give its layers as a list, which is fitted to the data."
            )
    return Network(network.layers, network.input_shape, loss)


def _called(spec: Any, input_shape: Shape, n_outputs: int) -> tuple[list[Any], str]:
    """The layers that a name or a function stands for, and what to call them in messages."""
    function: Callable[..., Any] = spec
    place = f"network={spec!r}"
    if isinstance(spec, str):
        if spec in {*available("layer"), *available("activation")} - {*available("network")}:
            raise ValueError(f"{place} is one layer; a list of layers is network=[{spec!r}].")
        found: Any = find("network", spec)
        function = found() if isinstance(found, type) else found
    elif inspect.isfunction(spec):
        place = f"network={spec.__name__}"
    if isinstance(function, type) or not callable(function):
        hint = ""
        if isinstance(spec, Layer) or (isinstance(spec, type) and issubclass(spec, Layer)):
            hint = f" Write [{_call_of(spec) if isinstance(spec, type) else repr(spec)}]."
        elif isinstance(spec, type):
            hint = f" Write {_call_of(spec)}."
        raise TypeError(
            "network must be a list of layers and names of layers, the name of a network, a "
            f"function (input_shape, n_outputs) -> layers, or a Network; got {spec!r}.{hint}"
        )
    if hasattr(function, "check_params"):
        function.check_params()
    try:
        layers = function(input_shape, n_outputs)
    except Exception as error:
        raise ValueError(
            f"{place} is called with input_shape={input_shape} and n_outputs={n_outputs}, and must "
            f"return layers; it raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(layers, list | tuple) or not layers:
        raise TypeError(f"{place} must return a list of layers; it returned {layers!r}.")
    return list(layers), place


def _resolved(layers: Sequence[Any], place: str) -> list[Layer]:
    """Layers in the place of their names, within branches too."""
    found = []
    for i, each in enumerate(layers):
        where = f"{place}[{i}]"
        layer = as_layer(each, where)
        try:
            layer.get_params(deep=False)
        except (AttributeError, RuntimeError) as error:
            raise TypeError(
                f"{where}: {type(layer).__name__}.__init__ must store each of its arguments under "
                f"its name, self.n = n, without *args. {error}"
            ) from error
        try:
            layer.check_params()
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        branches = layer.branches
        if branches:
            resolved = [
                _with_gains(_resolved(branch, place_of_branch(where, layer, b)))
                for b, branch in enumerate(branches)
            ]
            layer = layer.with_branches(resolved)
        found.append(layer)
    return found


def as_layer(value: Any, where: str) -> Layer:
    """The layer that stands at a place of a list, by its name or as it is.

    Raises
    ------
    ValueError, TypeError
        If there is none; `where` is in the message.
    """
    if isinstance(value, str):
        return _layer_named(value, where)
    if isinstance(value, Layer):
        return value
    hint = ""
    if isinstance(value, type) and issubclass(value, Layer):
        hint = f" Write {_call_of(value)}."
    elif isinstance(value, list | tuple):
        hint = " Branches belong into Residual([...]) or Parallel([[...], [...]])."
    raise TypeError(f"{where} must be a layer or the name of one; got {value!r}.{hint}")


def _layer_named(name: str, where: str) -> Layer:
    try:
        cls = find_among(("activation", "layer"), name)
    except (ValueError, MissingPluginError) as error:
        if name in available("network"):
            raise ValueError(
                f"{where}: {name!r} is the name of a whole network. Write network={name!r}."
            ) from None
        raise type(error)(f"{where}: {error}") from error
    try:
        return cls()
    except TypeError as error:
        raise ValueError(
            f"{where}: the layer {name!r} needs arguments. Write {_call_of(cls)}."
        ) from error


def _call_of(cls: type[Any]) -> str:
    """How an object of a class is made: its required arguments."""
    parameters = inspect.signature(cls).parameters.values()
    return f"{cls.__name__}({', '.join(p.name for p in parameters if p.default is p.empty)})"


def _with_gains(layers: Sequence[Layer]) -> list[Layer]:
    """Layers whose initial weights suit the activations behind them.

    The last ones, behind which there is none, get the gain of the last that there is.
    """
    found: list[Layer] = []
    behind = [layer.glorot_gain for layer in layers if isinstance(layer, Activation)]
    gain, found = (behind or [1.0])[-1], []
    for layer in reversed(layers):
        if isinstance(layer, Activation):
            gain = layer.glorot_gain
        elif getattr(layer, "gain", gain) is None:
            layer = type(layer)(**{**layer.get_params(deep=False), "gain": gain})
        found.append(layer)
    return found[::-1]


def _check_shapes(layers: Sequence[Layer], shape: Shape, place: str) -> Shape:
    """Follow the shape of a sample from layer to layer, and return the last.

    Raises
    ------
    ValueError
        If a layer cannot take what comes in; where it is, is in the message.
    """
    for i, layer in enumerate(layers):
        where = f"{place}[{i}]"
        for b, branch in enumerate(layer.branches):
            _check_shapes(branch, shape, place_of_branch(where, layer, b))
        try:
            shape = shape_out(layer, shape)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    return shape
