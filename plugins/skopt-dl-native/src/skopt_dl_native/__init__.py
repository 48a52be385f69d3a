"""A native engine for skopt_dl: blocks of training steps in one C call."""

from skopt_dl import hookimpl


@hookimpl
def skopt_dl_engines() -> dict[str, str]:
    """Name the engine."""
    return {"native": "skopt_dl_native.engine:NativeEngine"}
