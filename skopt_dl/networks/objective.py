"""The loss of a network over data, for each model of a stack."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from skopt_dl.backends import Backend, run_all
from skopt_dl.networks.draws import Draws
from skopt_dl.networks.network import Network
from skopt_dl.networks.passes import Case, case_of, gradient_program, loss_program, weight_program
from skopt_dl.networks.pools import DensePool, SparsePool, TargetPool
from skopt_dl.networks.rows import DenseRows, SparseRows
from skopt_dl.objectives import Block, Objective, Prepared
from skopt_dl.programs import Bound, HostFunction, Memory, engine_of
from skopt_dl.programs.values import host_dtype

Array = Any
Call = Callable[[], Any]

# Parameters of a model up to which the penalty takes them all, biases by a factor of zero: rows
# without gaps are one loop, where those of the weights alone would be a short one for each model.
FEW = 4096
# Several small batches are gathered at once, up to about the size of a second-level cache.
BLOCK_BYTES = 1024 * 1024


@dataclass(slots=True, eq=False)
class _Batch:
    """One step's samples, the places for what is left of its loss, and its calls.

    Attributes
    ----------
    arrays : dict of str to array
        Inputs of `gradient_program` that belong to this batch.
    x : DenseRows or SparseRows
    binding : Bound or None
        What `calls` were made by.
    calls, value : list of callable
        What computes the gradient; and then the loss of each sample.
    elsewhere : tuple of (list of callable, _Batch) or None
        For the gradient at other parameters: the same samples, and the `calls` they belonged to.
    """

    n_rows: int
    arrays: dict[str, Array]
    x: DenseRows | SparseRows
    is_weighted: bool = False
    binding: Bound | None = None
    calls: Sequence[Call] = field(default_factory=list)
    losses: Array = None
    loss_calls: list[Call] = field(default_factory=list)
    elsewhere: tuple[list[Call], _Batch] | None = None

    @property
    def inputs(self) -> dict[str, Any]:
        """All that its program is given."""
        return {"x": self.x, **self.arrays}


class _Loaded:
    """The same for all the batches of a block, one after the other.

    Attributes
    ----------
    sizes : tuple of int
    arrays : dict of str to array
        Of all batches; their own parts are inputs of `gradient_program`.
    xs : sequence of DenseRows or SparseRows
    calls : list of list of callable
        Of each batch; made by `bindings`.
    """

    def __init__(self, block: Block, xs: Sequence[DenseRows | SparseRows], **arrays: Array):
        self.sizes, self._slices = block.sizes, block.slices
        self.arrays, self.xs = arrays, xs
        self.calls: list[Sequence[Call]] = []
        self.bindings: dict[int, Bound] | None = None
        self.weight: Array = None
        self.weight_calls: Sequence[Call] = ()
        self.losses: Array = None
        self.loss_calls: list[Call] = []
        self._batches: list[_Batch] = []

    @property
    def batches(self) -> list[_Batch]:
        """All batches, for who looks at one after the other."""
        if not self._batches:
            self._batches = [self.batch(number) for number in range(len(self.sizes))]
        return self._batches

    def batch(self, number: int) -> _Batch:
        """One batch."""
        rows, n = self._slices[number], slice(number, number + 1)
        arrays = {name: self.arrays[name][:, rows, :] for name in ("y", "rest")}
        arrays["l2"] = self.arrays["l2"][:, number]
        is_weighted = self.weight is not None
        if is_weighted:
            weight = self.arrays["weight"][:, rows, :]
            arrays |= {"weight": weight, "shares": weight.mT}
            arrays["weight_sum"] = self.arrays["weight_sum"][:, n]
        return _Batch(self.sizes[number], arrays, self.xs[number], is_weighted)


class _Inputs(Sequence[Mapping[str, Any]]):
    """What the programs of some batches of a block are given, from one batch on."""

    def __init__(self, loaded: _Loaded, first: int, n_batches: int):
        self._loaded, self._first, self._n_batches = loaded, first, n_batches

    def __len__(self) -> int:
        return self._n_batches

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < self._n_batches:
            raise IndexError(number)
        return self._loaded.batch(self._first + number).inputs


class NetworkObjective(Objective):
    """The mean loss of a network over a batch, plus the L2 penalty, for K models.

    The loss of a batch is ``sum(w * loss) / sum(w) + alpha / 2 * ||coefs||² / sum(w)``, with the
    samples' weights ``w`` (1 when there are none): scikit-learn's.

    Parameters
    ----------
    b : Backend
    network : Network
    x : DensePool or SparsePool
        The samples.
    y : TargetPool
        Targets, ``(n_samples, n_outputs)``; class labels as indicators. Gives the dtype.
    n_models : int, default=1
    alpha : float or sequence of K floats, default=0.0
        L2 penalty of the weights, not of the biases.
    sample_weight : TargetPool, default=None
        Weights, ``(n_samples, 1)``.
    label_smoothing : float or sequence of K floats, default=0.0
        The share of each target that goes to all classes equally (Szegedy et al., 2016,
        arXiv:1512.00567).
    per_model : array-like of shape (K, n), default=None
        `Network.per_model` of each model; None means that of `network` for all.
    rngs : sequence of K numpy.random.Generator, default=()
        What dropout is drawn from.
    statistics : array of shape (K, S), default=None
        Statistics of batch normalisation to go on from.
    window : int, default=None
        How many samples they are averaged over; None means all.
    """

    def __init__(
        self,
        b: Backend,
        network: Network,
        x: DensePool | SparsePool,
        y: TargetPool,
        *,
        n_models: int = 1,
        alpha: float | Sequence[float] | np.ndarray = 0.0,
        sample_weight: TargetPool | None = None,
        label_smoothing: float | Sequence[float] | np.ndarray = 0.0,
        per_model: Sequence[Sequence[float]] | np.ndarray | None = None,
        rngs: Sequence[np.random.Generator] = (),
        statistics: Array = None,
        window: int | None = None,
    ):
        super().__init__(network.layout, n_models)
        self.network = network
        self.n_samples = y.n_rows
        self.alpha = np.broadcast_to(np.asarray(alpha, dtype=np.float64), (n_models,))
        self.label_smoothing = np.broadcast_to(
            np.asarray(label_smoothing, dtype=np.float64), (n_models,)
        )
        own = [network.per_model] * n_models if per_model is None else per_model
        self.per_model = np.asarray(own, dtype=np.float64).reshape(n_models, -1)
        self.rngs = list(rngs)
        self._window = y.n_rows if window is None else window
        self._b = b
        self._x, self._y, self._weight = x, y, sample_weight
        self._grad = y.empty((n_models, self.layout.size))
        if network.statistics.size:
            shape = n_models, network.statistics.size
            fresh = b.zeros(shape, like=self._grad) if statistics is None else statistics
            self.statistics = fresh
        self._smoothing = self._make_smoothing()
        self._params: Array = None
        self._has_own_params = False
        self._memory = Memory(b, self._grad)
        self._engine = engine_of(b)
        self._bindings: dict[int, Bound] = {}
        self._prepared: dict[Hashable, _Loaded] = {}
        self._loaded: _Loaded
        self._elsewhere: _Elsewhere | None = None
        self._draws = Draws(b, network.drawing, self.per_model, self.rngs)
        self._write_masks: HostFunction = self._draws

    def select(self, models: Sequence[int]) -> NetworkObjective:
        return NetworkObjective(
            self._b,
            self.network,
            self._x.select(models),
            self._y.select(models),
            n_models=len(models),
            alpha=self.alpha[list(models)],
            sample_weight=None if self._weight is None else self._weight.select(models),
            label_smoothing=self.label_smoothing[list(models)],
            per_model=self.per_model[list(models)],
            rngs=[self.rngs[k] for k in models] if self.rngs else [],
            statistics=None
            if self.statistics is None
            else self._b.xp.take(self.statistics, self._b.asarray(np.asarray(models)), axis=0),
            window=self._window,
        )

    def _make_smoothing(self) -> tuple[Array, Array] | None:
        """What targets are multiplied with, and what is added to them."""
        if not self.label_smoothing.any():
            return None
        share = self.label_smoothing[:, None, None]
        shift = share * self.network.loss.uniform_target(self._y.n_columns)
        dtype = self._grad.dtype
        return self._b.asarray(1.0 - share, dtype=dtype), self._b.asarray(shift, dtype=dtype)

    def batches_per_block(self, batch_size: int, n_orders: int = 1) -> int:
        n_selections = min(self.n_models, n_orders * self._x.n_sources)
        row_bytes = n_selections * self._x.row_bytes + 2 * self.n_models * self._y.row_bytes
        return max(1, BLOCK_BYTES // (batch_size * row_bytes))

    def load(self, block: Block) -> list[_Batch]:
        """Gather the samples of a block of batches."""
        self._loaded, gathering = self._ready(block)
        run_all(gathering)
        return self._loaded.batches

    def _ready(self, block: Block) -> tuple[_Loaded, list[Call]]:
        """A block's batches, and what gathers their samples."""
        lies: bool = False
        key: Hashable = None, block.sizes
        if isinstance(block.rows, slice):
            lies, key = True, ((block.rows.start, block.rows.stop), block.sizes)
        found = self._prepared.get(key)
        if found is not None and lies:
            return found, []
        gathering, xs = self._x.gather(block)
        more, y = self._y.gather(block, self._smoothing)
        gathering += more
        # Blocks of the same sizes use the same buffers, and so the same views of them.
        loaded = found
        if loaded is None or loaded.arrays["y"] is not y or loaded.xs is not xs:
            loaded = self._prepared[key] = self._prepare(block, y, xs)
        if self._weight is not None:
            more, weight = self._weight.gather(block)
            self._weigh(loaded, weight)
            gathering += [*more, *loaded.weight_calls]
        if lies:
            run_all(gathering)
            gathering = []
        return loaded, gathering

    def _prepare(self, block: Block, y: Array, xs: Sequence[DenseRows | SparseRows]) -> _Loaded:
        """Make the places for a block's results."""
        b, n_models = self._b, self.n_models
        rest = b.empty((n_models, self._y.n_columns, block.n_rows), like=self._grad).mT
        l2 = b.zeros((n_models, len(block.sizes)), like=self._grad)
        return _Loaded(block, xs, y=y, rest=rest, l2=l2)

    def _weigh(self, loaded: _Loaded, weight: Array) -> None:
        """Give a block's samples weights, ``(K or 1, n_rows, 1)``: their shares in the batches."""
        if loaded.weight is weight:
            return
        b, like, n_models = self._b, self._grad, weight.shape[0]
        shares = b.empty((*weight.shape[:2], 1), like=like)
        sums = b.empty((n_models, len(loaded.sizes)), like=like)
        program = weight_program(tuple(weight.shape), loaded.sizes, host_dtype(like.dtype).name)
        arrays = {"weight": weight, "shares": shares, "weight_sum": sums}
        loaded.weight_calls = self._engine.bind(b, program, arrays, self._memory).calls()
        loaded.weight = weight
        loaded.arrays |= {"weight": shares, "weight_sum": sums}

    @cached_property
    def _any_case(self) -> Case:
        """What programs for batches are made for, but for what differs between these."""
        alpha = self.alpha
        penalty = ""
        if alpha.any() and self.layout.size < FEW and not self._engine.by_model:
            penalty = "each"
        elif alpha.any():
            penalty = "number" if (alpha == alpha[0]).all() else "column"
        return case_of(
            self.network,
            self.n_models,
            self.n_samples,
            self._grad.dtype,
            penalty=penalty,
            draws=self._draws.any(),
            window=self._window,
            sums=self._engine.by_model,
        )

    def _case(self, batch: _Batch) -> Case:
        """What a program for this batch is made for."""
        return replace(
            self._any_case,
            n_rows=batch.n_rows,
            x_models=batch.x.n_models(self.n_models),
            y_models=batch.arrays["y"].shape[0],
            weight_models=batch.arrays["weight"].shape[0] if batch.is_weighted else 0,
        )

    def _bind(self, params: Array, loaded: _Loaded) -> None:
        """Bind the calls of batches to these parameters and to the memory of their sizes."""
        loaded.calls, loaded.bindings, first = [], self._bindings, 0
        for _, group in groupby(loaded.sizes):
            n_batches = len(list(group))
            binding = self._binding(params, loaded.batch(first))
            loaded.calls += binding.calls_of_each(_Inputs(loaded, first, n_batches))
            first += n_batches

    def _binding(self, params: Array, batch: _Batch) -> Bound:
        """What makes the calls of batches of this size."""
        binding = self._bindings.get(batch.n_rows)
        if binding is None:
            arrays = {"params": params, "grad": self._grad, "statistics": self.statistics}
            arrays |= self._draws.scales(like=self._grad)
            if self.alpha.any():
                arrays["alpha"] = self._alpha(batch)
            if not batch.is_weighted:
                n_rows, like = batch.n_rows, self._grad
                arrays["weight"] = self._b.scalar(1.0 / n_rows, like=like)
                arrays["shares"] = self._b.ones((1, 1, n_rows), like=like) / n_rows
            binding = self._bindings[batch.n_rows] = self._engine.bind(
                self._b,
                gradient_program(self._case(batch)),
                arrays,
                self._memory,
                self._write_masks,
            )
        return binding

    def _alpha(self, batch: _Batch) -> Array:
        """What weights are multiplied with for the gradient of the penalty."""
        b, alpha, n_weights = self._b, self.alpha, self.network.n_weights
        equal = bool((alpha == alpha[0]).all())
        factor = alpha[0] if equal else alpha[:, None]
        factor = b.asarray(
            factor if batch.is_weighted else factor / batch.n_rows, dtype=self._grad.dtype
        )
        if self._any_case.penalty != "each":
            return factor
        factors = b.zeros((self.n_models, self.layout.size), like=self._grad)
        factors[:, :n_weights] = factor
        return factors

    @property
    def keeps_draws(self) -> bool:
        return self._draws.are_kept

    @keeps_draws.setter
    def keeps_draws(self, value: bool) -> None:
        self._draws.are_kept = value

    def prepare(self, params: Array, block: Block) -> Prepared:
        if self._params is not params:
            self._params, self._has_own_params, self._bindings = params, False, {}
        loaded, gathering = self._ready(block)
        if loaded.bindings is not self._bindings:
            self._bind(params, loaded)
        self._prepare_losses(loaded, loaded.sizes)
        return Prepared(gathering, loaded.calls, self._grad, loaded.loss_calls, loaded.losses)

    def grad(self, params: Array, batch: Any = None) -> Array:
        batch = self._everything() if batch is None else batch
        if self._params is not params:
            params = self._take(params)
        if batch.binding is None or batch.binding is not self._bindings.get(batch.n_rows):
            batch.binding = self._binding(params, batch)
            batch.calls = batch.binding.calls(**batch.inputs)
        run_all(batch.calls)
        return self._grad

    def gradient_at(self, params: Array, batch: Any) -> Array:
        if self._elsewhere is None:
            self._elsewhere = _Elsewhere(self)
        return self._elsewhere.grad(params, batch)

    def _take(self, params: Array) -> Array:
        """The parameters to compute with: the given ones, copied where they keep changing place."""
        if self._params is None:
            self._params = params
        else:
            if not self._has_own_params:
                self._params, self._has_own_params = self._b.xp.empty_like(self._grad), True
                self._bindings = {}
            self._params[...] = params
        return self._params

    def _prepare_losses(self, place: _Batch | _Loaded, sizes: tuple[int, ...]) -> None:
        """Prepare the losses of batches, ``(K, n_batches)``, of what gradients leave."""
        if place.loss_calls:
            return
        rest, y, like = place.arrays["rest"], place.arrays["y"], self._grad
        weights = 0 if self._weight is None else place.arrays["weight"].shape[0]
        program = loss_program(
            self.network.loss, rest.shape, sizes, y.shape[0], weights, like.dtype
        )
        place.losses = self._b.empty((self.n_models, len(sizes)), like=like)
        l2 = place.arrays["l2"]
        l2 = l2 if l2.ndim == 2 else l2[:, None]
        arrays = {"raw": rest, "y": y, "l2": l2, "losses": place.losses}
        if weights:
            arrays["shares"] = place.arrays["weight"]
        else:
            arrays["sizes"] = self._b.asarray(np.array([sizes]), dtype=like.dtype)
        bound = self._engine.bind(self._b, program, arrays, self._memory)
        place.loss_calls = list(bound.calls())

    def _losses_of(self, place: _Batch | _Loaded, sizes: tuple[int, ...]) -> Array:
        """The losses of batches, ``(n_batches, K)``, of what gradients have left."""
        self._prepare_losses(place, sizes)
        run_all(place.loss_calls)
        return self._b.xp.asarray(place.losses.mT, copy=True)

    def losses(self) -> Array:
        # `grad` has kept what is left of the losses, so those of all batches are computed at once.
        return self._losses_of(self._loaded, self._loaded.sizes)

    def value_and_grad(self, params: Array, batch: Any = None) -> tuple[Array, Array]:
        batch = self._everything() if batch is None else batch
        grad = self.grad(params, batch)
        return self._losses_of(batch, (batch.n_rows,))[0, :], grad

    def _everything(self) -> _Batch:
        return self.load(Block.of_all(self.n_samples))[0]


class _Elsewhere(NetworkObjective):
    """The same batches, with what was drawn for them, at other parameters.

    What it writes has places of its own.
    """

    def __init__(self, objective: NetworkObjective):
        vars(self).update(vars(objective))
        self._statistics_there = objective.statistics
        self._write_masks = self._draws.repeat
        empty_like = self._b.xp.empty_like
        self._grad = empty_like(objective._grad)
        if objective.statistics is not None:
            self.statistics = empty_like(objective.statistics)
        self._params, self._has_own_params = None, False
        self._bindings = {}

    def grad(self, params: Array, batch: Any = None) -> Array:
        if self.statistics is not None:
            self.statistics[...] = self._statistics_there
        if batch.elsewhere is None or batch.elsewhere[0] is not batch.calls:
            rest, l2 = batch.arrays["rest"], batch.arrays["l2"]
            places = {
                "rest": self._b.empty(rest.mT.shape, like=rest).mT,
                "l2": self._b.empty(l2.shape, like=l2),
            }
            own = replace(batch, arrays={**batch.arrays, **places}, binding=None, elsewhere=None)
            batch.elsewhere = batch.calls, own
        return super().grad(params, batch.elsewhere[1])
