"""Methods for some of the tensors, which hand the others to another method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from skopt_dl.objectives import Layout
from skopt_dl.objectives.layout import TensorSpec
from skopt_dl.optimizers.base import Column, Optimizer, Step, fill_state

Array = Any

# What the names of the other method's slots and coefficients begin with.
PREFIX = "rest."


class PartialOptimizer(Optimizer):
    """Base class of methods that treat some tensors, and hand the rest to another optimizer.

    The other one sees a model that has no other tensors. A subclass says which tensors it
    `treats`, makes the other one in `rest`, and calls `update_rest` in its ``update``. Its
    ``slots`` are those of its own; a method that it overrides besides calls ``super()``.

    Examples
    --------
    Matrices follow the sign of the gradient, and biases follow AdamW:

    >>> from skopt_dl.optimizers import AdamW, PartialOptimizer
    >>> class SignedMatrices(PartialOptimizer):
    ...     def __init__(self, learning_rate=0.01, beta_1=0.9, beta_2=0.999):
    ...         self.learning_rate = learning_rate
    ...         self.beta_1 = beta_1
    ...         self.beta_2 = beta_2
    ...
    ...     def treats(self, spec):
    ...         return spec.role in ("input", "hidden", "output")
    ...
    ...     def rest(self):
    ...         return AdamW(beta_1=self.beta_1, beta_2=self.beta_2)
    ...
    ...     def update(self, grad, state, params, step):
    ...         self.update_rest(grad, state, params, step)
    ...         for tensor in self.treated(grad, step.layout):
    ...             tensor[...] = -step.learning_rate * step.xp.sign(tensor)
    ...         return grad
    >>> from skopt_dl.objectives import Layout
    >>> layout = Layout.from_shapes([("w", "hidden", (3, 4)), ("b", "bias", (1, 4))])
    >>> SignedMatrices().slot_shapes(layout)
    {'rest.mean': (4,), 'rest.squares': (4,)}
    """

    def treats(self, spec: TensorSpec) -> bool:
        """Whether a tensor, with ``name``, ``role`` and ``shape``, is this method's own."""
        raise NotImplementedError(f"{type(self).__name__} does not implement treats.")

    def rest(self) -> Optimizer:
        """The optimizer of all other tensors, with hyperparameters of this one.

        It needs nothing that this one does not list in ``needs``, and predicts with the parameters
        that it trains.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement rest.")

    def rest_rate(self, learning_rate: Any) -> Any:
        """The learning rate of the others; a float or an array ``(K, 1)``, as it comes."""
        return learning_rate

    def treated(self, array: Array, layout: Layout) -> list[Array]:
        """Views ``(K, *shape)`` of the tensors that are this method's, in ``(K, P)``."""
        pairs = zip(layout.specs, layout.tensors(array), strict=True)
        return [tensor.array for spec, tensor in pairs if self.treats(spec)]

    def update_rest(
        self, grad: Array, state: Mapping[str, Array], params: Array, step: Step
    ) -> None:
        """Write the changes of all other tensors where their gradients are."""
        layout, cuts = self._rest_of(step.layout)
        if not cuts:
            return
        inner, n_prefix = Step(), len(PREFIX)
        inner.xp, inner.number, inner.layout = step.xp, step.number, layout
        inner.learning_rate = self.rest_rate(step.learning_rate)
        inner.coefficients, rest_state = (
            {name[n_prefix:]: each for name, each in found.items() if name.startswith(PREFIX)}
            for found in (step.coefficients, state)
        )
        inner.scratch = step.scratch[:, : layout.size]
        for name in ("loss", "epoch", "n_steps"):
            setattr(inner, name, getattr(step, name, None))
        noise = getattr(step, "noise", None)
        inner.noise = None if noise is None else _gather(step.xp, noise, cuts)
        gathered = _gather(step.xp, grad, cuts)
        change = self.rest().update(gathered, rest_state, _gather(step.xp, params, cuts), inner)
        start = 0
        for cut in cuts:
            stop = start + cut.stop - cut.start
            grad[:, cut] = change[:, start:stop]
            start = stop

    def slot_shapes(self, layout: Layout) -> dict[str, tuple[int, ...]]:
        rest, _ = self._rest_of(layout)
        others = self.rest().slot_shapes(rest) if rest.specs else {}
        own = super().slot_shapes(layout)
        return {**own, **{PREFIX + name: shape for name, shape in others.items()}}

    def init_state(
        self, state: dict[str, Array], params: Array, xp: Any, layout: Layout | None = None
    ) -> None:
        assert layout is not None
        rest, cuts = self._rest_of(layout)
        if cuts:
            n_prefix = len(PREFIX)
            theirs = {name[n_prefix:]: a for name, a in state.items() if name.startswith(PREFIX)}
            fill_state(self.rest().init_state, theirs, _gather(xp, params, cuts), xp, rest)

    def coefficients(self, number: int, learning_rate: Column) -> dict[str, Column]:
        others = self.rest().coefficients(number, self.rest_rate(learning_rate))
        return {PREFIX + name: value for name, value in others.items()}

    def _rest_of(self, layout: Layout) -> tuple[Layout, list[slice]]:
        """The layout of what is handed on, and where that is in a row."""
        specs = [spec for spec in layout.specs if not self.treats(spec)]
        cuts: list[slice] = []
        for spec in specs:
            if cuts and cuts[-1].stop == spec.offset:
                cuts[-1] = slice(cuts[-1].start, spec.offset + spec.size)
            else:
                cuts.append(slice(spec.offset, spec.offset + spec.size))
        return Layout.from_shapes([spec[:3] for spec in specs]), cuts


def _gather(xp: Any, array: Array, cuts: Sequence[slice]) -> Array:
    """The columns of an array, without gaps."""
    parts = [array[:, cut] for cut in cuts]
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)
