"""The hooks a plugin may implement: one for each kind of thing that has a name.

Each returns a dictionary from names to classes, or to strings ``"package.module:Class"``, which
are imported when the name is first used. A network may be a function instead of a class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pluggy

PROJECT = "skopt_dl"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Kind(NamedTuple):
    """A kind of thing that has a name: its hook, and the base classes, one of which it has.

    Without base classes, it is anything that can be called.
    """

    hook: str
    bases: tuple[str, ...]


KINDS = {
    "optimizer": Kind(
        "skopt_dl_optimizers", ("skopt_dl.optimizers:Optimizer", "skopt_dl.optimizers:Minimizer")
    ),
    "schedule": Kind("skopt_dl_schedules", ("skopt_dl.schedules:Schedule",)),
    "loss": Kind("skopt_dl_losses", ("skopt_dl.networks:Loss",)),
    "layer": Kind("skopt_dl_layers", ("skopt_dl.layers:Layer",)),
    "network": Kind("skopt_dl_networks", ()),
    "activation": Kind("skopt_dl_activations", ("skopt_dl.layers:Activation",)),
    "initializer": Kind("skopt_dl_initializers", ("skopt_dl.networks:Initializer",)),
    "engine": Kind("skopt_dl_engines", ("skopt_dl.programs:Engine",)),
}
KIND_OF_HOOK = {kind.hook: name for name, kind in KINDS.items()}

Names = Mapping[str, str | Callable[..., Any]]


class HookSpecs:
    """The hooks, one a kind."""

    @hookspec
    def skopt_dl_optimizers(self) -> Names:  # type: ignore[empty-body]
        """Names of `skopt_dl.optimizers.Optimizer` or ``Minimizer`` classes."""

    @hookspec
    def skopt_dl_schedules(self) -> Names:  # type: ignore[empty-body]
        """Names of `skopt_dl.schedules.Schedule` classes."""

    @hookspec
    def skopt_dl_losses(self) -> Names:  # type: ignore[empty-body]
        """Names of `skopt_dl.networks.Loss` classes."""

    @hookspec
    def skopt_dl_layers(self) -> Names:  # type: ignore[empty-body]
        """Names of `skopt_dl.layers.Layer` classes."""

    @hookspec
    def skopt_dl_networks(self) -> Names:  # type: ignore[empty-body]
        """Names of what makes layers of ``(input_shape, n_outputs)``.

        Functions, or classes whose objects are called.
        """

    @hookspec
    def skopt_dl_activations(self) -> Names:  # type: ignore[empty-body]
        """Names of `skopt_dl.layers.Activation` classes."""

    @hookspec
    def skopt_dl_initializers(self) -> Names:  # type: ignore[empty-body]
        """Names of `skopt_dl.networks.Initializer` classes."""

    @hookspec
    def skopt_dl_engines(self) -> Names:  # type: ignore[empty-body]
        """Names of `skopt_dl.programs.Engine` classes."""
