"""Where each weight lies in the flat buffer of a stack."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from skopt_dl.backends import backend_of

Array = Any

ROLES = ("input", "hidden", "output", "bias", "norm")


class TensorSpec(NamedTuple):
    """One tensor of a model: its name, role, shape and place in the buffer."""

    name: str
    role: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Tensor(NamedTuple):
    """A view ``(K, *shape)`` of one tensor of every model, with its name and role."""

    name: str
    role: str
    array: Array


@dataclass(frozen=True)
class Layout:
    """The order of a model's tensors in its row of the ``(K, P)`` buffer.

    Parameters
    ----------
    specs : tuple of TensorSpec
        The tensors, in the order of their offsets, without gaps.

    Examples
    --------
    >>> import numpy as np
    >>> from skopt_dl.objectives import Layout
    >>> layout = Layout.from_shapes([("w", "output", (3, 2)), ("b", "bias", (1, 2))])
    >>> layout.size
    8
    >>> [(t.name, t.array.shape) for t in layout.tensors(np.zeros((5, 8)))]
    [('w', (5, 3, 2)), ('b', (5, 1, 2))]
    """

    specs: tuple[TensorSpec, ...]

    @classmethod
    def from_shapes(cls, tensors: Iterable[tuple[str, str, tuple[int, ...]]]) -> Layout:
        """Lay out ``(name, role, shape)`` triples one after the other."""
        specs: list[TensorSpec] = []
        offset = 0
        for name, role, shape in tensors:
            if role not in ROLES:
                raise ValueError(f"Tensor {name!r} has role {role!r}; allowed are {ROLES}.")
            specs.append(TensorSpec(name, role, shape, offset))
            offset += specs[-1].size
        return cls(tuple(specs))

    @property
    def size(self) -> int:
        """P, the number of parameters of one model."""
        return self.specs[-1].offset + self.specs[-1].size if self.specs else 0

    def tensors(self, array: Array) -> list[Tensor]:
        """Views ``(K, *shape)`` into `array`, ``(K, P)``: writing to one writes the buffer."""
        xp, n_models = _functions_of(array), array.shape[0]
        return [
            Tensor(
                spec.name,
                spec.role,
                xp.reshape(
                    array[:, spec.offset : spec.offset + spec.size], (n_models, *spec.shape)
                ),
            )
            for spec in self.specs
        ]


def _functions_of(array: Array) -> Any:
    """The array functions for an array, those that record for one that stands for others."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    return backend_of(array).xp
