"""Layers that hold others, whose results are joined."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, ClassVar, Self

from skopt_dl._params import Constraints, InstanceOf, Options
from skopt_dl.layers.base import Array, Layer, Pass, Shape, shape_after

_LISTS = InstanceOf((list, tuple), "a list")


class Residual(Layer):
    """What some layers make of the input, added to it (He et al., 2016, arXiv:1512.03385).

    Parameters
    ----------
    layers : list of layers
        One after the other; what comes out must have the shape of what goes in. Where a network is
        given as a list, names of activations and layers are understood here too.

    Examples
    --------
    >>> from skopt_dl.layers import Conv2d, Residual
    >>> Residual([Conv2d(16, 3, padding="same")]).output_shape((8, 8, 16))
    (8, 8, 16)
    """

    constraints: ClassVar[Constraints] = {"layers": _LISTS}

    def __init__(self, layers: Sequence[Any]):
        self.layers = layers

    def check_params(self) -> None:
        super().check_params()
        if not self.layers:
            raise ValueError(
                f"layers of {type(self).__name__} must be a list of at least one layer, whose "
                f"result is added to the input; got {self.layers!r}."
            )

    @property
    def branches(self) -> Sequence[Sequence[Layer]]:
        return (self.layers,)

    def with_branches(self, branches: Sequence[Sequence[Layer]]) -> Self:
        return type(self)(branches[0])

    def output_shape(self, shape: Shape) -> Shape:
        comes_out = shape_after(self.layers, shape)
        if comes_out != shape:
            raise ValueError(
                f"{type(self).__name__} adds its input, of shape {tuple(shape)}, to what its "
                f"layers return, which has shape {comes_out}: they must be equal. Use "
                "padding='same' and as many channels or units as come in, or Parallel with a "
                "branch that changes the shape."
            )
        return shape

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        (branch,) = tensors.branches
        return branch(x) + x


class Parallel(Layer):
    """Branches that all get the input, and whose results are added or put beside each other.

    As in GoogLeNet (Szegedy et al., 2015, arXiv:1409.4842).

    Parameters
    ----------
    branches : list of lists of layers
        An empty one passes the input on.
    join : {"add", "concatenate"}, default="add"
        Whether results are added, or concatenated along their last axis.

    Examples
    --------
    >>> from skopt_dl.layers import Conv2d, Parallel
    >>> inception = Parallel([[Conv2d(8, 1)], [Conv2d(4, 3, padding="same")]], join="concatenate")
    >>> inception.output_shape((8, 8, 3))
    (8, 8, 12)
    """

    branches: Any = ()
    constraints: ClassVar[Constraints] = {
        "branches": _LISTS,
        "join": Options(("add", "concatenate")),
    }

    def __init__(self, branches: Sequence[Sequence[Any]], join: str = "add"):
        self.branches = branches
        self.join = join

    def check_params(self) -> None:
        super().check_params()
        if not self.branches or not all(isinstance(each, list | tuple) for each in self.branches):
            raise ValueError(
                f"branches of {type(self).__name__} must be a list with a list of layers for each "
                f"branch; got {self.branches!r}."
            )

    def with_branches(self, branches: Sequence[Sequence[Layer]]) -> Self:
        return type(self)(list(branches), self.join)

    def output_shape(self, shape: Shape) -> Shape:
        shapes = [shape_after(branch, shape) for branch in self.branches]
        compared = [each[:-1] if self.join == "concatenate" else each for each in shapes]
        if any(each != compared[0] for each in compared):
            but = " but for the last number" if self.join == "concatenate" else ""
            raise ValueError(
                f"{type(self).__name__} has join={self.join!r}, and branches that return shapes "
                f"{', '.join(map(str, shapes))}: they must be equal{but}."
            )
        if self.join == "add":
            return shapes[0]
        return (*shapes[0][:-1], sum(each[-1] for each in shapes))

    def forward(self, x: Array, tensors: Any, run: Pass) -> Array:
        results = [branch(x) for branch in tensors.branches]
        if self.join == "add":
            return reduce(lambda a, b: a + b, results)
        return run.xp.concat(results, axis=-1)
