"""The hooks a plugin may implement: one for each kind of thing that has a name.

Each returns a dictionary from names to classes, or to strings ``"package.module:Class"``, which
are imported when the name is first used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy

PROJECT = "skopt_dl"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

HOOKS = {
    "optimizer": "skopt_dl_optimizers",
    "schedule": "skopt_dl_schedules",
    "loss": "skopt_dl_losses",
    "activation": "skopt_dl_activations",
    "initializer": "skopt_dl_initializers",
}

Names = Mapping[str, str | type[Any]]


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
    def skopt_dl_activations(self) -> Names:  # type: ignore[empty-body]
        """Names of `skopt_dl.networks.Activation` classes."""

    @hookspec
    def skopt_dl_initializers(self) -> Names:  # type: ignore[empty-body]
        """Names of `skopt_dl.networks.Initializer` classes."""
