"""Networks as programs: a step's gradient, and predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any

from skopt_dl.layers import Activation, Layer, Pass
from skopt_dl.networks.network import LayerError, Network, form_of
from skopt_dl.networks.pools import OUTPUT_MAJOR
from skopt_dl.objectives import Layout
from skopt_dl.programs import Program, Symbol, Tracer, differentiate
from skopt_dl.programs.values import host_dtype, pattern

Array = Any


@dataclass(frozen=True)
class Case:
    """What a program is made for.

    Attributes
    ----------
    network : Network
    n_models, n_rows : int
        Of the stack, and of a batch.
    dtype : str
    x_models, y_models, weight_models : int
        K, or 1 where all models have the same; ``weight_models`` is 0 without sample weights.
    penalty : str
        ``""``, ``"number"`` for one L2 penalty, ``"column"`` for one of each model, or ``"each"``
        for one of each parameter.
    draws : tuple of bool
        Of the network's ``per_model``: whether any model has something to draw.
    window : int
        Samples that statistics are averaged over.
    sums : bool
        Whether sums of rows are faster than products with equal shares.
    """

    network: Network = field(hash=False, compare=False)
    key: Any
    n_models: int
    n_rows: int
    dtype: str
    x_models: int = 1
    y_models: int = 1
    weight_models: int = 0
    penalty: str = ""
    draws: tuple[bool, ...] = ()
    window: int = 1
    sums: bool = False


class _Tracing(Pass):
    """The pass of a network that is traced."""

    def __init__(self, tracer: Tracer, case: Case, training: bool):
        self.tracer, self.case = tracer, case
        self.xp, self.training = tracer.xp, training
        self._moves: Array = None
        self._n_samples: Any = None
        self._draws = iter(enumerate(case.draws))

    def begin(
        self,
        tensors: dict[str, Symbol],
        shares: Symbol | None = None,
        share: Symbol | None = None,
    ) -> None:
        self.shares, self.share, self._n_samples = shares, share, tensors.get("n_samples")

    def custom(self, forward: Any, backward: Any, *inputs: Array) -> Array:
        where = self.where

        def checked(delta: Array, out: Array, *given: Array) -> Any:
            try:
                found = backward(delta, out, *given)
            except Exception as error:
                raise LayerError(
                    f"The derivative of {where} raises {type(error).__name__}: {error}. It is "
                    "called as backward(delta, out, *inputs), and is array code as forward is."
                ) from error
            is_list = isinstance(found, list | tuple)
            shapes = [getattr(each, "shape", None) for each in (found if is_list else [found])]
            wanted = [each.shape for each in given]
            if not is_list or [s and s[1:] for s in shapes] != [s[1:] for s in wanted]:
                raise LayerError(
                    f"The derivative of {where} must return a tuple with an array for each input, "
                    f"of shapes {wanted}; it returned {'' if is_list else 'no tuple, '}{shapes}."
                )
            return found

        return self.tracer.custom(forward, checked, *inputs)

    def mask(self, layer: Layer, x: Array) -> Array | None:
        number, draws = next(self._draws)
        if not draws:
            return None
        shape = (self.case.n_models, *x.shape[1:])
        with self.tracer.untaped():
            stays = self.tracer.write(
                "external", pattern(shape, bool), (), None, {"name": f"mask {number}"}
            )
            scale = self.tracer.given(f"scale {number}", (shape[0], 1))
            scale = self.xp.reshape(scale, (shape[0], *[1] * (len(shape) - 1)))
            return self.xp.multiply(self.xp.astype(stays, x.dtype), scale)

    def share_of(self, rows: Array) -> Array:
        share, n_places = self.share, rows.shape[1] // self.case.n_rows
        if n_places == 1:
            return share
        share = share / float(n_places)
        if not share.ndim:
            return share
        spread = self.xp.broadcast_to(share, (*share.shape[:2], n_places))
        return self.xp.reshape(spread, (share.shape[0], -1, 1))

    def mean(self, rows: Array) -> Array:
        share = self.share_of(rows)
        if share.ndim:
            return share.mT @ rows
        if self.case.sums or rows.shape[1] > self.case.n_rows:
            return self.xp.sum(rows, axis=1, keepdims=True) * share
        return self.shares @ rows

    def keep(self, average: Array, value: Array) -> None:
        if self._moves is None:
            self._moves = self._moving()
        average += self._moves * (value - average)

    def _moving(self) -> Array:
        """By how much a batch moves averages.

        It counts as much as it has samples; until the window is full, all count equally.
        """
        xp, seen = self.xp, self._n_samples
        n_rows, window = float(self.case.n_rows), float(self.case.window)
        if not self.case.weight_models:
            return n_rows / xp.minimum(seen + n_rows, max(n_rows, window), out=seen)
        counted = n_rows * xp.sum(self.shares, axis=2, keepdims=True)
        xp.minimum(seen + counted, xp.maximum(counted, window), out=seen)
        return counted / xp.maximum(seen, 1.0)


def views(layout: Layout, buffer: Symbol) -> dict[str, Symbol]:
    """The tensors in a buffer ``(K, P)``, by name."""
    return {tensor.name: tensor.array for tensor in layout.tensors(buffer)}


def _samples(tracer: Tracer, case: Case) -> Symbol:
    """The input ``x``, rows of a table, in the shape that the network's samples have."""
    shape = case.network.input_shape
    rows = tracer.given("x", (case.x_models, case.n_rows, math.prod(shape)))
    if len(shape) == 1:
        return rows
    return tracer.xp.reshape(rows, (case.x_models, case.n_rows, *shape))


@lru_cache(maxsize=256)
def gradient_program(case: Case) -> Program:
    """The gradient of a batch's loss, and what remains to be computed of the loss itself.

    Inputs
    ------
    params, grad : array of shape (K, P)
    statistics : array of shape (K, S)
    x : rows of samples, (K or 1, n_rows, n)
    y, rest : array of shape (K or 1, n_rows, n_outputs)
        Targets; and what `Loss.value_of_rest` needs, which is written.
    weight : array of shape () or (K or 1, n_rows, 1)
        Each sample's share in the batch.
    shares : array of shape (K or 1, 1, n_rows)
        The same, along the other axis.
    weight_sum : array of shape (K or 1, 1)
    alpha : array of shape () or (K, 1) or (K, P)
    l2 : array of shape (K,)
        Twice the penalty, which is written.
    scale 0, scale 1, … : array of shape (K, 1)
        What units that stay are multiplied with, by layers that draw; which stay is external,
        ``mask 0`` and so on.
    """
    network, loss = case.network, case.network.loss
    n_models, n_rows = case.n_models, case.n_rows
    tracer = Tracer(case.dtype)
    xp = tracer.xp
    params = tracer.given("params", (n_models, network.layout.size))
    grad = tracer.given("grad", (n_models, network.layout.size))
    tensors, gradients = views(network.layout, params), views(network.layout, grad)
    if network.statistics.size:
        statistics = tracer.given("statistics", (n_models, network.statistics.size))
        tensors |= views(network.statistics, statistics)
    x = _samples(tracer, case)
    like_y = (n_rows, network.n_outputs)
    y = tracer.given("y", (case.y_models, *like_y), order=OUTPUT_MAJOR)
    rest = tracer.given("rest", (n_models, *like_y), order=OUTPUT_MAJOR)
    weights = case.weight_models or 1
    weight = tracer.given("weight", (weights, n_rows, 1) if case.weight_models else ())
    run = _Tracing(tracer, case, training=True)
    run.begin(tensors, tracer.given("shares", (weights, 1, n_rows)), weight)
    raw: Any = network.forward(x, tensors, run)
    tracer.lay_out(raw, OUTPUT_MAJOR)
    if loss.knows_gradient:
        with tracer.untaped():
            delta: Any
            delta, left = loss.gradient_and_rest(xp, raw, y)
            _check(loss, "gradient", delta, raw.shape)
            tracer.assign(rest, left)
            seed = raw, delta * weight
    else:
        value = loss.value(xp, raw, y)
        _check(loss, "value", value, raw.shape[:2])
        with tracer.untaped():
            tracer.assign(rest, raw)
            each = xp.reshape(weight, weight.shape[:2]) if case.weight_models else weight
            seed = value, xp.broadcast_to(each, value.shape)
    differentiate(tracer, [seed], [(tensors[name], gradients[name]) for name in gradients])
    if case.penalty:
        with tracer.untaped():
            _penalise(tracer, case, params, grad)
    return tracer.program()


_MUST_RETURN = {
    "value": "the loss of each sample, summed over outputs (axis=-1) alone",
    "gradient": "the derivative by each raw output",
}


def _check(loss: Any, method: str, found: Any, shape: tuple[int, ...]) -> None:
    """See that what a method of a loss has returned has the shape it must have."""
    came = getattr(found, "shape", ())
    if came != shape:
        name = type(loss).__name__
        raise ValueError(
            f"{method} of {name} returned an array of shape {came} for {shape[0]} models and "
            f"{shape[1]} samples. It must return {_MUST_RETURN[method]}: {shape}. "
            f"skopt_dl.testing.check_component({name}()) examines all the rules."
        )


def _penalise(tracer: Tracer, case: Case, params: Symbol, grad: Symbol) -> None:
    """Add the gradient of the L2 penalty, and keep (twice) its value."""
    xp, n_models = tracer.xp, case.n_models
    n_weights, n_params = case.network.n_weights, case.network.layout.size
    of_each = case.penalty == "each"
    if of_each:
        factor = tracer.given("alpha", (n_models, n_params))
        weights = params
    else:
        factor = tracer.given("alpha", () if case.penalty == "number" else (n_models, 1))
        weights, grad = params[:, :n_weights], grad[:, :n_weights]
    penalty = xp.multiply(weights, factor)
    value: Any = xp.vecdot(weights, penalty if of_each else weights)
    if not of_each:
        # The penalty itself is then read once, by the sum: it need not be anywhere.
        value *= factor if case.penalty == "number" else factor[:, 0]
    if case.weight_models:
        weight_sum = tracer.given("weight_sum", (case.weight_models, 1))
        penalty /= weight_sum
        value = xp.divide(value, weight_sum[:, 0])
    tracer.assign(tracer.given("l2", (n_models,)), value)
    grad += penalty


@lru_cache(maxsize=256)
def prediction_program(case: Case, hidden: bool = False) -> Program:
    """The raw output, or the results of the hidden layers' activations.

    Inputs
    ------
    params : array of shape (K, P)
    statistics : array of shape (K, S)
    x : rows of samples, (1, n_rows, n)
    raw : array of shape (K, n_rows, n_outputs)
        Written.
    hidden 0, hidden 1, … : array of shape (K, n_rows, …)
        Written instead, if asked for.
    """
    network, tracer = case.network, Tracer(case.dtype)
    n_models = case.n_models
    params = tracer.given("params", (n_models, network.layout.size))
    tensors = views(network.layout, params)
    if network.statistics.size:
        statistics = tracer.given("statistics", (n_models, network.statistics.size))
        tensors |= views(network.statistics, statistics)
    x = _samples(tracer, case)
    run = _Tracing(tracer, case, training=False)
    run.begin(tensors)
    if not hidden:
        raw = network.forward(x, tensors, run)
        tracer.assign(tracer.given("raw", raw.shape), raw)
        return tracer.program()
    numbers = count()
    for place, layer in enumerate(network.layers):
        x = network.layer_forward((place,), layer, x, tensors, run)
        if isinstance(layer, Activation):
            tracer.copy(x, tracer.given(f"hidden {next(numbers)}", x.shape))
    return tracer.program()


def value_program(loss: Any, shape: Sequence[int], y_models: int, dtype: Any) -> Program:
    """The loss of each sample, ``value``, of ``raw`` outputs and targets ``y``."""
    name = host_dtype(dtype).name
    return _value_program(_LossCase(loss, form_of(loss), tuple(shape), y_models, name))


@dataclass(frozen=True)
class _LossCase:
    """What a program of losses is made for; `shape` is that of the raw outputs."""

    loss: Any = field(hash=False, compare=False)
    key: Any
    shape: tuple[int, ...]
    y_models: int
    dtype: str
    sizes: tuple[int, ...] = ()
    weight_models: int = 0

    def begin(self) -> tuple[Tracer, Symbol, Symbol]:
        """A tracer, and the inputs."""
        tracer = Tracer(self.dtype)
        raw = tracer.given("raw", self.shape, order=OUTPUT_MAJOR)
        return tracer, raw, tracer.given("y", (self.y_models, *self.shape[1:]), order=OUTPUT_MAJOR)


@lru_cache(maxsize=256)
def _value_program(case: _LossCase) -> Program:
    tracer, raw, y = case.begin()
    value = case.loss.value(tracer.xp, raw, y)
    _check(case.loss, "value", value, case.shape[:2])
    tracer.assign(tracer.given("value", case.shape[:2]), value)
    return tracer.program()


def loss_program(
    loss: Any,
    shape: Sequence[int],
    sizes: Sequence[int],
    y_models: int,
    weight_models: int,
    dtype: Any,
) -> Program:
    """The losses of batches, of what gradients have left.

    Inputs
    ------
    raw, y : array of shape (K or 1, n_rows, n_outputs)
        What `gradient_program` has left as ``rest``, for all batches, and targets.
    shares : array of shape (K or 1, n_rows, 1)
        Each sample's share in its batch, where there are weights.
    sizes : array of shape (1, n_batches)
        Where there are none.
    l2 : array of shape (K, n_batches)
        Twice the penalties.
    losses : array of shape (K, n_batches)
        Written.
    """
    name = host_dtype(dtype).name
    key = form_of(loss)
    return _loss_program(
        _LossCase(loss, key, tuple(shape), y_models, name, tuple(sizes), weight_models)
    )


@lru_cache(maxsize=256)
def _loss_program(case: _LossCase) -> Program:
    tracer, raw, y = case.begin()
    xp, (n_models, n_rows, _) = tracer.xp, case.shape
    n_batches, size, last = len(case.sizes), case.sizes[0], case.sizes[-1]
    values: Any = case.loss.value_of_rest(xp, raw, y)
    _check(case.loss, "value", values, case.shape[:2])
    if case.weight_models:
        shares = tracer.given("shares", (case.weight_models, n_rows, 1))
        values = values * xp.reshape(shares, (case.weight_models, n_rows))
    sums = [_sums(xp, values[:, n_rows - last :], 1, last)]
    if n_batches > 1:
        sums.insert(0, _sums(xp, values[:, : n_rows - last], n_batches - 1, size))
    losses: Any = xp.concat(sums, axis=1) if n_batches > 1 else sums[0]
    if not case.weight_models:
        losses = losses / tracer.given("sizes", (1, n_batches))
    penalties: Any = tracer.given("l2", (n_models, n_batches))
    tracer.assign(tracer.given("losses", (n_models, n_batches)), losses + 0.5 * penalties)
    return tracer.program()


def _sums(xp: Any, values: Array, n_batches: int, size: int) -> Array:
    """The sum of each batch, ``(K, n_batches)``, of values ``(K, n_batches * size)``.

    A batch's is the same alone and among others: over the last of four axes, since the last of
    three is a row's, whose outputs are added up one after the other where there is one row.
    """
    n_models = values.shape[0]
    each = xp.reshape(values, (n_models, n_batches, 1, size))
    return xp.reshape(xp.sum(each, axis=3), (n_models, n_batches))


@lru_cache(maxsize=64)
def weight_program(shape: tuple[int, int, int], sizes: tuple[int, ...], dtype: str) -> Program:
    """The shares of samples in their batches.

    Inputs
    ------
    weight : array of shape (K or 1, n_rows, 1)
        Of all batches.
    shares : array of shape (K or 1, n_rows, 1)
        Written.
    weight_sum : array of shape (K or 1, n_batches)
        Written: of each batch, 1 where all weights are zero.
    """
    tracer = Tracer(dtype)
    xp, (n_models, n_rows, _), (size, last) = tracer.xp, shape, (sizes[0], sizes[-1])
    weight = tracer.given("weight", shape)
    shares, weight_sum = (
        tracer.given("shares", shape),
        tracer.given("weight_sum", (n_models, len(sizes))),
    )
    full = n_rows - last
    parts = [(slice(0, full), slice(0, -1), full // size, size)] if full else []
    parts.append((slice(full, n_rows), slice(-1, None), 1, last))
    for rows, batches, n_batches, n_each in parts:
        each: Any = xp.reshape(weight[:, rows, 0], (n_models, n_batches, n_each))
        total: Any = _sums(xp, weight[:, rows, 0], n_batches, n_each)
        # A batch whose weights are all zero has no loss and no gradient.
        total = xp.where(total > 0, total, 1.0)
        weight_sum[:, batches] = total
        shares[:, rows, 0] = xp.reshape(each / total[:, :, None], (n_models, -1))
    return tracer.program()


def case_of(network: Network, n_models: int, n_rows: int, dtype: Any, **options: Any) -> Case:
    """A case, with the network's key."""
    name = host_dtype(dtype).name
    return Case(network, network.key, n_models, n_rows, name, **options)
