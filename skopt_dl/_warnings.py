"""Warnings that point at the user's line, however deep inside the library they arise."""

from __future__ import annotations

import sys
import warnings
from contextvars import ContextVar
from types import FrameType
from typing import NamedTuple

# Frames of these packages are not the user's: a pipeline, a search or a thread may lie between.
_INSIDE = ("skopt_dl.", "sklearn.", "joblib.", "concurrent.", "threading.")


class Line(NamedTuple):
    """A line of the user's code."""

    filename: str
    lineno: int
    module: str

    def warn(self, message: str, category: type[Warning]) -> None:
        """Warn as if this line had done so."""
        warnings.warn_explicit(message, category, self.filename, self.lineno, self.module, {})


# The line that began a search, for tasks of it: they run in threads, where no frame is the user's.
origin: ContextVar[Line | None] = ContextVar("skopt_dl_origin", default=None)


def user_line() -> Line | None:
    """The nearest line outside this library and what it works through; None if there is none."""
    frame, _ = _user_frame()
    if frame is None:
        return origin.get()
    return Line(frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", ""))


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn as if the line outside this library that led here had done so."""
    frame, level = _user_frame()
    line = origin.get()
    if frame is None and line is not None:
        line.warn(message, category)
    else:
        warnings.warn(message, category, stacklevel=level)


def _user_frame() -> tuple[FrameType | None, int]:
    """The nearest frame of the user's, and its ``stacklevel`` for whoever asks."""
    level = 2
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    return frame, level
