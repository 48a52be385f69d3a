"""Where layers are tried: a network of one, samples, and slopes to compare gradients with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from skopt_dl.backends import get_backend
from skopt_dl.layers import Activation, Flatten, Layer, Parameter, Pass
from skopt_dl.layers.base import Shape, shape_out
from skopt_dl.networks import DensePool, Loss, Network, NetworkObjective, TargetPool, raw_output
from skopt_dl.testing._rules import broken, expecting
from skopt_dl.testing._watching import Same, watched

Array = Any

# Of one sample: rows of a table, sequences, images. What comes in can be halved and cut in three.
SHAPES: tuple[Shape, ...] = ((6,), (4, 6), (5, 4, 6))
N_SAMPLES = 3
# Central differences: of all tensors together, so many numbers are moved, by so much.
N_MOVED, H = 24, 1e-3
# Of the largest slope. Where there is a kink within H, differences over H and 2 H are not the same.
TOLERANCE, KINK = 1e-6, 1e-4


class Given(Layer):
    """Samples that are parameters of each model, whatever comes in: so they have a gradient."""

    def __init__(self, shape: Shape):
        self.shape = shape

    def tensors(self, shape: Shape) -> Sequence[Parameter]:
        return [Parameter("given", self.shape, "bias")]

    def output_shape(self, shape: Shape) -> Shape:
        return self.shape[1:]

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        return tensors.given


class Weighed(Loss):
    """What comes out, times the targets."""

    def value(self, xp: Any, raw: Array, y: Array) -> Array:
        return xp.sum(raw * y, axis=-1)


def shapes_of(layer: Layer, input_shape: Shape | None) -> list[Shape]:
    """The shapes of samples that a layer is tried with; for an activation, one is enough."""
    if input_shape is not None:
        return [tuple(input_shape)]
    taken = shapes_taken(layer)
    if isinstance(layer, Activation) or len(taken) == 1:
        return taken[:1]
    usable = [shape for shape in taken if _can_be_recorded(layer, shape)] or taken[:1]
    # Few axes and many; those between are tried by check_other_shapes.
    return [usable[0], *usable[1:][-1:]]


def shapes_taken(layer: Layer) -> list[Shape]:
    """Those of the usual shapes that a layer takes.

    Raises
    ------
    ValueError
        If it takes none.
    """
    taken, refused = [], ""
    for shape in SHAPES:
        try:
            shape_out(layer, shape)
            taken.append(shape)
        except ValueError as error:
            refused = str(error)
    if not taken:
        raise ValueError(
            f"{layer!r} takes samples of none of the shapes {', '.join(map(str, SHAPES))}: "
            f"{refused} Give input_shape=(…), the shape of one sample."
        )
    return taken


def _can_be_recorded(layer: Layer, shape: Shape) -> bool:
    try:
        bench = bench_of(layer, shape)
        if not bench.is_recorded:
            bench.outputs(2)
            bench.is_recorded = True
    except (AssertionError, ValueError):
        return False
    return True


def samples_for(layer: Layer, shape: Shape, n_samples: int = N_SAMPLES) -> np.ndarray:
    """Samples that a layer takes: numbers around zero, or whole ones."""
    rng = np.random.default_rng([7, len(shape)])
    size = (n_samples, *shape)
    drawn = [rng.normal(scale=1.5, size=size), rng.integers(3, size=size), np.zeros(size)]
    for each in drawn[:-1]:
        try:
            layer.check_samples(each.reshape(n_samples, -1))
            return each.astype(np.float64)
        except ValueError:
            pass
    return drawn[-1]


def takes_numbers(layer: Layer) -> bool:
    """Whether a layer takes what other layers compute."""
    try:
        layer.check_samples(None)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=32)
def _known_bench(layer: Same, shape: Shape, dtype: str, given: bool) -> Bench:
    return Bench(layer.component, shape, dtype, given=given)


def bench_of(layer: Layer, shape: Shape, dtype: str = "float64", given: bool = False) -> Bench:
    """A bench, the same one for the same layer: recording takes longer than running."""
    return _known_bench(Same(layer), shape, dtype, given)


class Bench:
    """A layer as the network of K models, recorded anew for each bench.

    Parameters
    ----------
    layer : Layer or sequence of K Layer
        Several differ in what models of a stack may differ in.
    shape : tuple of int
        Of one sample.
    dtype : str, default="float64"
    samples : ndarray of shape (n_samples, *shape), default=None
        None draws them.
    given : bool, default=False
        Whether the samples are parameters of each model too, the first of each row.
    """

    def __init__(
        self,
        layer: Layer | Sequence[Layer],
        shape: Shape,
        dtype: str = "float64",
        samples: np.ndarray | None = None,
        given: bool = False,
    ):
        layers = [layer] if isinstance(layer, Layer) else list(layer)
        first = self.layer = layers[0]
        self.shape, self.dtype, self.given = shape, dtype, given
        x = samples_for(first, shape) if samples is None else samples
        self.samples = x.astype(dtype)
        self.n_samples, self._b, self.is_exercised = len(x), get_backend("cpu"), False
        self.is_recorded = False
        inner = watched(first)
        before = [Given(x.shape)] if given else []
        with expecting(
            first,
            "tensors and statistics say what there is for samples of a shape.",
            "Return lists of Parameter(name, shape, role); weights of a product are (n_in, n_out).",
            "check_declared_tensors",
        ):
            self.network = Network([*before, inner, Flatten()], (1,) if given else shape, Weighed())
        self.output_shape = shape_out(first, shape)
        self._per_model = [
            [float(getattr(each, name)) for name in first.per_model] for each in layers
        ]
        self._rows = np.zeros((self.n_samples, 1), dtype) if given else self._flat
        rng = np.random.default_rng(8)
        self.delta = rng.normal(size=(self.n_samples, self.network.n_outputs)).astype(dtype)

    @property
    def _flat(self) -> np.ndarray:
        return self.samples.reshape(self.n_samples, -1)

    @property
    def n_given(self) -> int:
        """The numbers in a row that are samples."""
        return self.samples.size if self.given else 0

    def params(self, n_models: int, samples: np.ndarray | None = None) -> np.ndarray:
        """Rows of all tensors, and of the samples; row k does not depend on K."""
        layout = self.network.layout
        rows = [
            np.random.default_rng([9, k]).normal(0.0, 0.5, layout.size) for k in range(n_models)
        ]
        stack = np.stack(rows).astype(self.dtype)
        if self.given:
            for tensor in layout.tensors(stack):
                if tensor.name == "given_0":
                    tensor.array[...] = self.samples if samples is None else samples
        return stack

    def tensors(self, params: np.ndarray) -> dict[str, np.ndarray]:
        """The layer's own tensors and statistics of the first model, by their names in it."""
        found = {}
        for tensor in self.network.layout.tensors(params[:1]):
            name = tensor.name.rpartition("_")[0] if tensor.name[-1].isdigit() else tensor.name
            if tensor.name != "given_0":
                found[name] = tensor.array[0]
        for each in self.layer.statistics(self.shape):
            found[each.name] = np.zeros(each.shape, self.dtype)
        return found

    def outputs(
        self,
        n_models: int,
        params: np.ndarray | None = None,
        samples: np.ndarray | None = None,
    ) -> np.ndarray:
        """What comes out in predictions, ``(K, n_samples, *output_shape)``."""
        params = self.params(n_models, samples) if params is None else params
        rows = self._rows
        if samples is not None and not self.given:
            rows = samples.reshape(rows.shape).astype(self.dtype)
        statistics = np.zeros((n_models, self.network.statistics.size), self.dtype)
        row = np.concatenate([params, statistics], axis=1)
        before = row.copy()
        with self._recorded(), self._b.quiet():
            raw = raw_output(self._b, self.network, row, DensePool(self._b, rows))
        self._must_be_left_alone(before, row)
        return np.asarray(raw).reshape(n_models, self.n_samples, *self.output_shape)

    def objective(self, n_models: int, seed: int = 0) -> NetworkObjective:
        """The sum of what comes out, in a step of a training, times `delta`.

        Models draw from generators of their own, seeded in turn.
        """
        own = self._per_model * (n_models if len(self._per_model) == 1 else 1)
        return NetworkObjective(
            self._b,
            self.network,
            DensePool(self._b, self._rows),
            TargetPool(self._b, self.delta),
            n_models=n_models,
            per_model=own,
            rngs=[np.random.default_rng([10, seed + k]) for k in range(n_models)],
        )

    def value_and_grad(
        self, n_models: int, params: np.ndarray | None = None, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values ``(K,)`` and gradients ``(K, P)`` in the first step of a training."""
        params = self.params(n_models) if params is None else params
        before, samples = params.copy(), self._rows.copy()
        with self._recorded(), self._b.quiet():
            value, grad = self.objective(n_models, seed).value_and_grad(params)
        self._must_be_left_alone(before, params)
        self._must_be_left_alone(samples, self._rows)
        return value, grad.copy()

    def values(self) -> Callable[[np.ndarray], float]:
        """A function of the parameters of one model, which draws the same at each call."""
        place = self.params(1)
        with self._recorded():
            objective = self.objective(1)
        rngs = objective.rngs

        def value(params: np.ndarray) -> float:
            place[...] = params
            rngs[0].bit_generator.state = np.random.default_rng([10, 0]).bit_generator.state
            if objective.statistics is not None:
                objective.statistics[...] = 0.0
            with self._recorded(), self._b.quiet():
                return float(objective.value_and_grad(place)[0][0])

        return value

    def _recorded(self) -> Any:
        return expecting(
            self.layer,
            "forward is array code.",
            "Use functions of run.xp, operators, slices and reshape; keep the first two axes, "
            "those of models and samples, and branch on no values.",
            "check_forward_is_recorded",
        )

    def _must_be_left_alone(self, before: np.ndarray, after: np.ndarray) -> None:
        if before.tobytes() != after.tobytes():
            raise broken(
                self.layer,
                "forward changes nothing that it is given.",
                f"{np.sum(before != after)} numbers of the samples or tensors were changed",
                "Write y = x * 2, not x *= 2; what is kept for predictions is moved by run.keep.",
                "check_input_is_left_alone",
            )


def compare_slopes(
    component: Any,
    value: Callable[[np.ndarray], float],
    at: np.ndarray,
    gradient: np.ndarray,
    name: Callable[[int], str],
    fix: str,
) -> str:
    """Compare a gradient ``(P,)`` with central differences at some of its places.

    Places next to a kink are left out.
    """
    rng = np.random.default_rng(11)
    places = np.sort(rng.permutation(at.size)[:N_MOVED])
    found, smooth = np.empty(len(places)), np.empty(len(places), bool)
    for number, place in enumerate(places):
        values = []
        for steps in (-2, -1, 1, 2):
            moved = at.copy()
            moved[place] += steps * H
            values.append(value(moved))
        near, far = (values[2] - values[1]) / (2 * H), (values[3] - values[0]) / (4 * H)
        found[number] = (4 * near - far) / 3
        smooth[number] = abs(near - far) <= KINK * max(1.0, abs(near))
    size = max(np.abs(found[smooth]).max(initial=0), np.abs(gradient[places]).max(initial=0), 1e-3)
    off = np.abs(gradient[places] - found)
    rule = "The gradient is that of central differences, in float64."
    if smooth.sum() < len(places) / 2:
        seen = f"at {len(places) - smooth.sum()} of {len(places)} places there is a jump or a kink"
        raise broken(component, rule, seen, fix)
    wrong = smooth & ~(off <= TOLERANCE * size)
    if wrong.any():
        number = int(np.argmax(np.where(wrong, np.nan_to_num(off, nan=np.inf), -1.0)))
        seen = (
            f"by {name(int(places[number]))} it is {gradient[places[number]]:.9g}, and the slope "
            f"{found[number]:.9g}; {wrong.sum()} of {len(places)} are wrong"
        )
        raise broken(component, rule, seen, fix)
    n_left_out = len(places) - int(smooth.sum())
    return f"{int(smooth.sum())} slopes" + f", {n_left_out} beside kinks left out" * bool(
        n_left_out
    )


def place_in(bench: Bench, place: int) -> str:
    """Which number of a row it is."""
    layout = bench.network.layout
    spec = next(each for each in reversed(layout.specs) if each.offset <= place)
    where = np.unravel_index(place - spec.offset, spec.shape)
    inside = ", ".join(str(int(each)) for each in where)
    if spec.name == "given_0":
        return f"the sample's number [{inside}]"
    return f"{spec.name.rpartition('_')[0] or spec.name}[{inside}]"
