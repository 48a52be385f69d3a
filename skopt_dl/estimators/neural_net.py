"""Estimators of any network: what they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skopt_dl._params import COUNT, Constraints
from skopt_dl.estimators.base import BaseNeuralNet
from skopt_dl.networks import Loss, Network
from skopt_dl.networks.building import as_layer, build
from skopt_dl.plugins import find


class BaseAnyNetwork(BaseNeuralNet):
    """A network of layers; see `NeuralNetClassifier` and `NeuralNetRegressor`."""

    constraints: ClassVar[Constraints] = BaseNeuralNet.constraints
    elsewhere: ClassVar = {
        **BaseNeuralNet.elsewhere,
        **dict.fromkeys(
            ("hidden_layer_sizes", "hidden_layers", "layers", "activation"),
            'network=[Dense(100), "relu"]',
        ),
        "batch_norm": 'a layer: network=[Dense(100), BatchNorm(), "relu"]',
        "dropout": 'a layer: network=[Dense(100), "relu", Dropout(0.5)]',
        "input_scaling": 'a layer: network=[InputScaling(), Dense(100), "relu"]',
    }
    network: Any
    input_shape: Any
    _sample_shape: tuple[int, ...] | None
    network_: Network
    params_: np.ndarray

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.three_d_array = True
        return tags

    # Parameters of layers

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get parameters, those of the layers of a list as ``network__0__n_units`` too."""
        params = super().get_params(deep=deep)
        if deep and isinstance(self.network, list | tuple):
            for i, layer in enumerate(self.network):
                params[f"network__{i}"] = layer
                if hasattr(layer, "get_params") and not isinstance(layer, type):
                    nested = layer.get_params()
                    params |= {f"network__{i}__{name}": each for name, each in nested.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters.

        ``network__0`` sets a layer of a list, and ``network__0__n_units`` a parameter of it, by its
        place in the list, counted from 0; the name of an activation or a layer becomes an object
        first. For the name of a network, ``network__width`` sets a parameter of it.

        Raises
        ------
        ValueError, TypeError
            If there is no such layer or parameter; nothing is changed then.
        """
        mine = {key: params.pop(key) for key in list(params) if key.startswith("network__")}
        if mine:
            given = params.get("network", self.network)
            if isinstance(given, list | tuple):
                params["network"] = self._with_layers(given, mine)
            else:
                found = find("network", given) if isinstance(given, str) else None
                # A function has no parameters.
                if isinstance(found, type):
                    params["network"] = found()
                params |= mine
        return super().set_params(**params)

    def _with_layers(self, given: Any, params: dict[str, Any]) -> Any:
        """The layers, with some of them, or parameters of some, replaced."""
        layers = list(given)
        # A layer comes before its parameters.
        for key, value in sorted(params.items(), key=lambda item: item[0].count("__")):
            place, _, name = key.removeprefix("network__").partition("__")
            if not place.isdecimal() or int(place) >= len(layers):
                raise ValueError(f"{key}: {self._how_to_set(layers)}")
            i = int(place)
            if name:
                layer = as_layer(layers[i], f"network[{i}]")
                layers[i] = clone(layer).set_params(**{name: value})
            else:
                layers[i] = value
        return type(given)(layers)

    def _how_to_set(self, layers: list[Any]) -> str:
        """What there is to set in a list of layers."""
        if not layers:
            return f"network of {type(self).__name__} is an empty list. Set network first."
        return (
            f"network of {type(self).__name__} is a list of {len(layers)} layers, which are set as "
            f"network__0 to network__{len(layers) - 1}, and their parameters as "
            "network__0__n_units and the like."
        )

    # Samples

    def _shape(self) -> tuple[int, ...] | None:
        """What `input_shape` says, checked."""
        shape = self.input_shape
        if shape is None:
            return None
        sizes = shape if isinstance(shape, list | tuple) else (shape,)
        if not sizes or not all(COUNT.accepts(size) for size in sizes):
            raise ValueError(
                f"input_shape of {type(self).__name__} must be None or the shape of one sample, "
                f"such as (8, 8, 1); got {shape!r}."
            )
        return tuple(int(size) for size in sizes)

    def _rows(self, X: Any, reset: bool = False) -> Any:
        shape = getattr(X, "shape", None)
        if shape is None:
            X = np.asarray(X)
            shape = X.shape
        known = self._shape() if reset else self._sample_shape or (self.n_features_in_,)
        if len(shape) > 2:
            came = tuple(shape[1:])
            if known is not None and came != known:
                said = "input_shape is" if reset else "this model was fitted on samples of shape"
                raise ValueError(
                    f"X has samples of shape {came}; {said} {known}.{_reshaped(shape, known)}"
                )
            known = came
            X = X.reshape(shape[0], math.prod(came))
        if reset:
            if known is not None and len(shape) == 2 and math.prod(known) != shape[1]:
                raise ValueError(
                    f"X has {shape[1]} features; input_shape={known} needs {math.prod(known)}."
                )
            self._sample_shape = known
        return X

    def _validated(self, X: Any) -> Any:
        check_is_fitted(self, "params_")
        X = super()._validated(X)
        self.network_.check_samples(X)
        return X

    # The network

    def _check_network(self) -> None:
        self._shape()

    def _make_network(self, X: Any, n_outputs: int, loss: Loss) -> Network:
        shape, said = self._sample_shape or (X.shape[1],), self._shape()
        if said not in (None, shape):
            raise ValueError(
                f"input_shape is {said}; this model was fitted on samples of shape {shape}. A warm "
                "start and partial_fit go on with those: set input_shape back, or fit a clone."
            )
        self.network_ = build(self.network, shape, n_outputs, loss)
        self.network_.check_samples(X)
        return self.network_

    def _describe_network(self) -> str:
        return f"network={self.network!r}"

    def _fitted(self, network: Network, weights: np.ndarray, dtype: Any) -> dict[str, Any]:
        return {
            "network_": network,
            "params_": weights.astype(dtype),
            "_shapes": _shapes_of(network),
            "_trained": None,
        }

    def _kind_of_weights(self, network: Network) -> str:
        return repr(network.key)

    @property
    def _fitted_dtype(self) -> Any:
        return self.params_.dtype

    def _plain_network(self) -> Network:
        check_is_fitted(self, "params_")
        return self.network_

    def _pack(self, network: Network, dtype: Any) -> np.ndarray:
        here = _shapes_of(network)
        there = vars(self).get("_shapes", here)
        if there != here:
            differing = next(
                name for name in {**there, **here} if there.get(name) != here.get(name)
            )
            raise ValueError(
                f"{self._describe_network()} and this data need other weights than the fitted: "
                f"{differing} is of shape {here.get(differing)}, and was of shape "
                f"{there.get(differing)}. A warm start and partial_fit need the layers, features "
                "and targets of the first fit."
            )
        return self.params_.astype(dtype)

    def _snapshot(self, params: np.ndarray, X: Any, raw: np.ndarray) -> Self:
        model = self._copy()
        model.__dict__.pop("feature_names_in_", None)
        model.params_ = params
        model._known_output = X, self._in_target_units(raw)[0]
        return model

    @property
    def tensors_(self) -> dict[str, np.ndarray]:
        """The fitted tensors by name, views of ``params_``."""
        check_is_fitted(self, "params_")
        layout = self.network_.layout
        tensors = layout.tensors(self.params_[None, : layout.size])
        return {tensor.name: tensor.array[0] for tensor in tensors}


def _reshaped(shape: Sequence[int], known: Sequence[int]) -> str:
    """What to write where `X` has the numbers that it should have, in another shape."""
    if tuple(shape) == tuple(known):
        return " For one sample, write X[None]."
    if math.prod(shape[1:]) == math.prod(known):
        sizes = ", ".join(map(str, known))
        return f" If these are their numbers, write X.reshape(-1, {sizes})."
    return ""


def _shapes_of(network: Network) -> dict[str, tuple[int, ...]]:
    """The shapes of all that a network learns and keeps, by name."""
    layouts = network.layout, network.statistics
    return {each.name: each.shape for layout in layouts for each in layout.specs}
