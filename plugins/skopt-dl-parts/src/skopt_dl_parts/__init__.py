"""Parts of recent networks, as a plugin of skopt_dl.

This module only says what there is; a class is imported when its name is first used.
"""

from skopt_dl import hookimpl


@hookimpl
def skopt_dl_activations() -> dict[str, str]:
    """Name the activation."""
    return {"squared_relu": "skopt_dl_parts.activations:SquaredReLU"}


@hookimpl
def skopt_dl_initializers() -> dict[str, str]:
    """Name the initializer."""
    return {"truncated_normal": "skopt_dl_parts.initializers:TruncatedNormal"}


@hookimpl
def skopt_dl_layers() -> dict[str, str]:
    """Name the layer."""
    return {"rms_norm": "skopt_dl_parts.layers:RMSNorm"}


@hookimpl
def skopt_dl_losses() -> dict[str, str]:
    """Name the loss."""
    return {"gce": "skopt_dl_parts.losses:GCE"}


@hookimpl
def skopt_dl_networks() -> dict[str, str]:
    """Name the network."""
    return {"pre_norm": "skopt_dl_parts.networks:PreNorm"}


@hookimpl
def skopt_dl_schedules() -> dict[str, str]:
    """Name the schedule."""
    return {"wsd": "skopt_dl_parts.schedules:WSD"}
