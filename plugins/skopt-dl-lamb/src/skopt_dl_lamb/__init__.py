"""The optimizers LAMB and LARS, as a plugin of skopt_dl.

This module only says what there is; a class is imported when its name is first used.
"""

from skopt_dl import hookimpl


@hookimpl
def skopt_dl_optimizers() -> dict[str, str]:
    """Name the optimizers."""
    return {
        "lamb": "skopt_dl_lamb.optimizers:LAMB",
        "lars": "skopt_dl_lamb.optimizers:LARS",
    }
