"""A loss, a layer, an activation and a schedule for tables, as a plugin of skopt_dl.

This module only says what there is; a class is imported when its name is first used.
"""

from skopt_dl import hookimpl


@hookimpl
def skopt_dl_losses() -> dict[str, str]:
    """Name the loss."""
    return {"tweedie": "skopt_dl_tabular.losses:Tweedie"}


@hookimpl
def skopt_dl_layers() -> dict[str, str]:
    """Name the layer."""
    return {"feature_embedding": "skopt_dl_tabular.layers:FeatureEmbedding"}


@hookimpl
def skopt_dl_activations() -> dict[str, str]:
    """Name the activation."""
    return {"squared_relu": "skopt_dl_tabular.layers:SquaredReLU"}


@hookimpl
def skopt_dl_schedules() -> dict[str, str]:
    """Name the schedule."""
    return {"stable_decay": "skopt_dl_tabular.schedules:StableDecay"}
