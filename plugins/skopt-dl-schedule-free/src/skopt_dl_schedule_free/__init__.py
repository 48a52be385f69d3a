"""Schedule-Free optimizers, as a plugin of skopt_dl.

This module only says what there is; a class is imported when its name is first used.
"""

from skopt_dl import hookimpl


@hookimpl
def skopt_dl_optimizers() -> dict[str, str]:
    """Name the optimizers."""
    return {
        "schedule_free_adamw": "skopt_dl_schedule_free.optimizer:ScheduleFreeAdamW",
        "schedule_free_sgd": "skopt_dl_schedule_free.optimizer:ScheduleFreeSGD",
    }
