"""Networks: graphs of layers, for a whole stack of models at once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

from skopt_dl._params import did_you_mean
from skopt_dl.layers import Activation, BatchNorm, Dense, Dropout, InputScaling, Layer, Pass
from skopt_dl.layers.base import Parameter, Shape, is_shape, shape_after, shape_out
from skopt_dl.networks.losses import Loss
from skopt_dl.objectives import Layout

Array = Any
# Places of layers and numbers of branches in turn.
Path = tuple[int, ...]

# The order of tensors in the buffer: what the L2 penalty applies to is then one slice of it.
_ORDER = ("weight", "bias", "norm")


class LayerError(ValueError):
    """A layer does not keep what `Layer` asks of it; the message names it, and what it did."""


class Network:
    """Layers, one after the other, and a loss of the raw output.

    Parameters
    ----------
    layers : sequence of Layer
        Some may hold others: branches. Names of layers are for the lists that estimators take.
    input_shape : tuple of int
        Of one sample.
    loss : Loss

    Raises
    ------
    ValueError, TypeError
        If something is no layer, layers do not fit each other, or one is not as it should be.

    Attributes
    ----------
    layout : Layout
        Weights of all layers, then their biases, then what belongs to normalisation. All zeros are
        neutral.
    statistics : Layout
        What training learns besides parameters: means and variances of batch normalisation, and
        how many samples they come from.
    n_weights : int
        Parameters that are weights: the first of each row.
    gains : list of float
        What the initializer multiplies the scale of each tensor of weights by.
    n_outputs : int
    """

    def __init__(self, layers: Sequence[Layer], input_shape: Shape, loss: Loss):
        if not isinstance(layers, list | tuple):
            raise TypeError(f"layers of a Network must be a list of layers; got {layers!r}.")
        if not is_shape(input_shape):
            raise ValueError(
                "input_shape of a Network must be the shape of one sample, such as (8, 8, 1); got "
                f"{input_shape!r}."
            )
        self.layers, self.input_shape, self.loss = tuple(layers), tuple(input_shape), loss
        found = list(_walk(self.layers, self.input_shape, ()))
        parameters, kept = [], []
        for path, layer, shape in found:
            tensors, statistics = self._declared(path, layer, shape)
            parameters += [(path, each) for each in tensors]
            kept += [(path, each) for each in statistics]
        self._places = _number(parameters), _number(kept)
        ordered = sorted(parameters, key=lambda pair: _ORDER.index(pair[1].role))
        weights = [each for _, each in ordered if each.role == "weight"]
        self.gains = [each.gain for each in weights]
        roles = iter(["input", *["hidden"] * (len(weights) - 2), "output"][-len(weights) :])
        self.layout = Layout.from_shapes(
            [
                (
                    self._places[0][path, each.name],
                    next(roles) if each.role == "weight" else each.role,
                    each.shape,
                )
                for path, each in ordered
            ]
        )
        shapes = [(self._places[1][path, each.name], "norm", each.shape) for path, each in kept]
        self.statistics = Layout.from_shapes(
            [*shapes, ("n_samples", "norm", (1, 1))] if shapes else []
        )
        self.n_weights = sum(math.prod(each.shape) for each in weights)
        self._found = found
        self.output_shape = shape_after(self.layers, self.input_shape)
        if len(self.output_shape) != 1:
            raise ValueError(
                f"The last layer returns samples of shape {self.output_shape}; what predicts needs "
                "one axis. Put Flatten() or GlobalAveragePool2d() before the last Dense."
            )

    @property
    def n_outputs(self) -> int:
        """Numbers that a sample's raw output has."""
        return self.output_shape[0]

    def forward(self, x: Array, tensors: dict[str, Array], run: Pass) -> Array:
        """Return the raw output, ``(K, n_rows, n_outputs)``, in array code.

        Parameters
        ----------
        x : array of shape (K or 1, n_rows, *input_shape)
        tensors : dict of str to array
            Views of parameters and statistics, by their names in the layouts.
        run : Pass
        """
        for place, layer in enumerate(self.layers):
            x = self.layer_forward((place,), layer, x, tensors, run)
        return x

    def layer_forward(
        self, path: Path, layer: Layer, x: Array, tensors: dict[str, Array], run: Pass
    ) -> Array:
        """Return what comes out of one layer, which may hold others."""
        own = SimpleNamespace()
        for places in self._places:
            for (owner, name), full in places.items():
                if owner == path:
                    setattr(own, name, tensors[full])
        branches = layer.branches
        if branches:
            own.branches = [
                lambda x, branch=branch, b=b: self._branch((*path, b), branch, x, tensors, run)
                for b, branch in enumerate(branches)
            ]
        where = self._called(path, layer)
        outer, run.where = run.where, where
        try:
            result = layer.forward(x, own, run)
        except (LayerError, MemoryError):
            raise
        except Exception as error:
            raise LayerError(
                f"{where} cannot be recorded with an x of shape {tuple(x.shape)}; it raises "
                f"{type(error).__name__}: {error}. A forward pass is array code: functions of "
                "run.xp (not NumPy's own), operators, slices and reshape, without a branch on "
                "values."
            ) from error
        finally:
            run.where = outer
        wanted = (x.shape[1], *shape_out(layer, tuple(x.shape[2:])))
        shape = getattr(result, "shape", None)
        if shape is None or tuple(shape[1:]) != wanted:
            came = f"{result!r}" if shape is None else f"an array of shape {tuple(shape)}"
            raise LayerError(
                f"{where} returns {came} for an x of shape {tuple(x.shape)}; output_shape says "
                f"{(x.shape[0], *wanted)}. Keep models and samples apart, the first two axes, and "
                "have output_shape return what the others become."
            )
        return result

    def place_of(self, path: Path) -> str:
        """What the layer at a path is called in messages: ``network[2][0]``."""
        where, layers = "network", self.layers
        for place, b in zip(path[:-1:2], path[1::2], strict=True):
            where = place_of_branch(f"{where}[{place}]", layers[place], b)
            layers = tuple(layers[place].branches[b])
        return f"{where}[{path[-1]}]"

    def _declared(
        self, path: Path, layer: Layer, shape: Shape
    ) -> tuple[Sequence[Parameter], Sequence[Parameter]]:
        """What a layer says that it learns, and that it keeps; checked."""
        try:
            found = layer.tensors(shape), layer.statistics(shape)
        except Exception as error:
            # A parameter may be the reason.
            layer.check_params()
            raise LayerError(
                f"{self._called(path, layer)}: what it learns for samples of shape {shape} cannot "
                f"be asked, {type(error).__name__}: {error}"
            ) from error
        for given, method in zip(found, ("tensors", "statistics"), strict=True):
            if not _are_parameters(given):
                raise LayerError(
                    f"{self._called(path, layer)}.{method} must return a list of Parameter; got "
                    f"{given!r}."
                )
            for each in given:
                if each.role not in _ORDER:
                    raise LayerError(
                        f"{self._called(path, layer)}.{method}: the role of {each.name!r} must be "
                        f"one of {', '.join(_ORDER)}; got {each.role!r}."
                        f"{did_you_mean(str(each.role), _ORDER)}"
                    )
                if not is_shape(each.shape):
                    raise LayerError(
                        f"{self._called(path, layer)}.{method}: the shape of {each.name!r} must be "
                        f"a tuple of ints, all at least 1; got {each.shape!r}."
                    )
        names = [each.name for given in found for each in given]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise LayerError(
                f"{self._called(path, layer)} has two tensors of the name {twice[0]!r}. Rename one."
            )
        return found

    def _called(self, path: Path, layer: Layer) -> str:
        return f"{self.place_of(path)}: {type(layer).__name__}"

    def _branch(
        self, path: Path, branch: Sequence[Layer], x: Array, tensors: dict[str, Array], run: Pass
    ) -> Array:
        for place, layer in enumerate(branch):
            x = self.layer_forward((*path, place), layer, x, tensors, run)
        return x

    def check_samples(self, x: Any) -> None:
        """Let the layers look at the samples, ``(n_samples, n)``.

        Raises
        ------
        ValueError
            If a layer can do nothing with them: an `Embedding` with what are no tokens.
        """
        _check_samples(self.layers, x, "network")

    def flops(self, n_rows: int) -> float:
        """Floating-point operations of the products of one step over `n_rows` rows."""
        first, *rest = [layer.flops(shape) for _, layer, shape in self._found] or [0.0]
        return n_rows * (3 * (first + sum(rest)) - first)

    @property
    def n_numbers(self) -> int:
        """Numbers in the results of all layers with weights, for one sample."""
        return sum(
            math.prod(layer.output_shape(shape))
            for _, layer, shape in self._found
            if layer.tensors(shape)
        )

    @property
    def n_widest(self) -> int:
        """Numbers in the largest result of a layer, for one sample."""
        return max(math.prod(layer.output_shape(shape)) for _, layer, shape in self._found)

    @cached_property
    def key(self) -> Hashable:
        """Equal for networks that can share a stack."""
        layers = tuple((path, *form_of(layer)) for path, layer, _ in self._found)
        return layers, self.input_shape, form_of(self.loss)

    @property
    def per_model(self) -> list[float]:
        """The values of parameters in which models of a stack may differ."""
        return [
            float(getattr(layer, name)) for _, layer, _ in self._found for name in layer.per_model
        ]

    @property
    def drawing(self) -> list[Layer]:
        """The layer of each value in `per_model`."""
        return [layer for _, layer, _ in self._found for _ in layer.per_model]

    @property
    def is_random(self) -> bool:
        """Whether a step draws anything."""
        pairs = zip(self.drawing, self.per_model, strict=True)
        return any(layer.draws(rate) for layer, rate in pairs)

    def __repr__(self) -> str:
        return f"Network({list(self.layers)!r}, input_shape={self.input_shape})"

    def describe(self) -> str:
        """What it is in a few words, for lists and progress."""
        sizes = [math.prod(self.input_shape)]
        sizes += [
            math.prod(layer.output_shape(shape))
            for _, layer, shape in self._found
            if layer.tensors(shape) and layer.flops(shape)
        ]
        return "-".join(map(str, sizes))

    @property
    def is_plain(self) -> bool:
        """Whether what predicts has the parameters that are trained, and no others."""
        return True

    @property
    def plain(self) -> Network:
        """The network that predicts."""
        return self


def _walk(layers: Sequence[Layer], shape: Shape, path: Path) -> Iterator[tuple[Path, Layer, Shape]]:
    """Each layer, with where it is and the shape of what goes in."""
    for place, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"layers of a Network must be objects of class Layer; got {layer!r}. Names of "
                "layers are understood where an estimator is given a list, network=[...]."
            )
        yield (*path, place), layer, shape
        for b, branch in enumerate(layer.branches):
            yield from _walk(branch, shape, (*path, place, b))
        shape = shape_out(layer, shape)


def place_of_branch(where: str, layer: Layer, b: int) -> str:
    """What a branch of a layer is called in messages."""
    return where if len(layer.branches) == 1 else f"{where}[{b}]"


def _check_samples(layers: Sequence[Layer], x: Any, place: str) -> None:
    for i, layer in enumerate(layers):
        where = f"{place}[{i}]"
        try:
            layer.check_samples(x)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        for b, branch in enumerate(layer.branches):
            _check_samples(branch, x, place_of_branch(where, layer, b))
        x = None if x is None else layer.selected(x)


def _are_parameters(given: Any) -> bool:
    """Whether a layer has returned what it should: a list of `Parameter`, empty as a rule."""
    return isinstance(given, list | tuple) and all(isinstance(each, Parameter) for each in given)


def _number(parameters: Sequence[tuple[Path, Parameter]]) -> dict[tuple[Path, str], str]:
    """A name of its own for each tensor, such as ``coefs_0``."""
    counts: Counter[str] = Counter()
    names = {}
    for path, each in parameters:
        alone = each.name == "input_scale"
        names[path, each.name] = each.name if alone else f"{each.name}_{counts[each.name]}"
        counts[each.name] += 1
    return names


def form_of(component: Any) -> tuple[type[Any], str]:
    """What makes two layers or losses the same; much faster than scikit-learn's ``repr``."""
    params = component.get_params(deep=False)
    differing = getattr(component, "per_model", ())
    if getattr(component, "branches", ()):
        # The layers that it holds speak for themselves.
        params = {k: v for k, v in params.items() if not isinstance(v, list | tuple)}
    return type(component), repr({k: v for k, v in params.items() if k not in differing})


class Parts(NamedTuple):
    """Views of a buffer ``(K, P)``, by what they are; a list has one for each layer.

    Attributes
    ----------
    weights : list of array of shape (K, n_in, n_out)
    biases : list of array of shape (K, 1, n_out)
    norms : list of array of shape (K, 1, n_out)
        Scales of batch normalisation, as their difference from 1; one for each hidden layer, or
        none.
    input_scale : array of shape (K, n_features, 1) or None
        See `skopt_dl.layers.input_scaling`.
    """

    weights: list[Array]
    biases: list[Array]
    norms: list[Array]
    input_scale: Array | None


class DenseNetwork(Network):
    """Dense layers, with an activation after each hidden one: a multilayer perceptron.

    Parameters
    ----------
    layer_sizes : sequence of int
        Features, hidden units of each layer, outputs.
    activations : sequence of Activation
        One for each hidden layer.
    loss : Loss
    batch_norm : bool, default=False
        Whether each hidden layer normalises its pre-activations.
    input_scaling : bool, default=False
        Whether each feature has a factor that is learnt.
    dropout : sequence of float, default=()
        The share of units that each hidden layer leaves out; empty for none.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activations: Sequence[Activation],
        loss: Loss,
        *,
        batch_norm: bool = False,
        input_scaling: bool = False,
        dropout: Sequence[float] = (),
    ):
        self.layer_sizes = tuple(layer_sizes)
        self.activations = tuple(activations)
        self.batch_norm = batch_norm and bool(self.activations)
        self.input_scaling = input_scaling
        rates = dropout or [0.0] * len(self.activations)
        layers: list[Layer] = [InputScaling()] if input_scaling else []
        gain = 1.0
        for n_units, activation, rate in zip(
            self.layer_sizes[1:-1], activations, rates, strict=True
        ):
            gain = activation.glorot_gain
            layers.append(Dense(n_units, bias=not self.batch_norm, gain=gain))
            layers += [BatchNorm()] if self.batch_norm else []
            layers += [activation, Dropout(rate)]
        # The output layer has the gain of the last hidden one.
        layers.append(Dense(self.layer_sizes[-1], gain=gain))
        super().__init__(layers, self.layer_sizes[:1], loss)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but weights, biases and activations."""
        return not (self.batch_norm or self.input_scaling)

    @property
    def plain(self) -> DenseNetwork:
        """The same layers without anything else; dropout is none of what predicts."""
        return self if self.is_plain else self._folded

    @cached_property
    def _folded(self) -> DenseNetwork:
        return DenseNetwork(self.layer_sizes, self.activations, self.loss)

    def flops(self, n_rows: int) -> float:
        products = sum(n * m for n, m in pairwise(self.layer_sizes))
        return 2.0 * n_rows * (3 * products - self.layer_sizes[0] * self.layer_sizes[1])

    def parts(self, array: Array) -> Parts:
        """Cut parameters, a gradient or the like, ``(K, P)``, into views."""
        views = {tensor.name: tensor.array for tensor in self.layout.tensors(array)}
        weights, biases, norms = (
            [view for key, view in views.items() if key.rpartition("_")[0] == name]
            for name in ("coefs", "intercepts", "batch_norm")
        )
        return Parts(weights, biases, norms, views.get("input_scale"))
