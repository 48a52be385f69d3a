"""Warnings that point at the user's line, however deep inside the library they arise."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# Frames of these packages are not the user's: a pipeline or a search may lie between.
_INSIDE = ("skopt_dl.", "sklearn.", "joblib.")


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn as if the line outside this library that led here had done so."""
    level = 2
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
