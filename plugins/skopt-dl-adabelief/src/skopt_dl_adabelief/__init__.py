"""The optimizers AdaBelief and RAdam, as a plugin of skopt_dl.

This module only says what there is; a class is imported when its name is first used.
"""

from skopt_dl import hookimpl


@hookimpl
def skopt_dl_optimizers() -> dict[str, str]:
    """Name the optimizers."""
    return {
        "adabelief": "skopt_dl_adabelief.optimizers:AdaBelief",
        "radam": "skopt_dl_adabelief.optimizers:RAdam",
    }
