"""Lines of output."""

from __future__ import annotations


def print_line(text: str) -> None:
    """Print a line in one piece: those of other threads and processes come before or after it.

    `print` writes text and newline apart where output is not buffered.
    """
    print(f"{text}\n", end="", flush=True)
