"""The optimizer Newcomer, as a plugin of skopt_dl.

This module only says what there is; the class is imported when its name is first used.
"""

from skopt_dl import hookimpl


@hookimpl
def skopt_dl_optimizers() -> dict[str, str]:
    """Name the optimizer."""
    return {"newcomer": "skopt_dl_newcomer.optimizer:Newcomer"}
