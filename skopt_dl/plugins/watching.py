"""Code of a plugin, watched as it runs: how long it takes, what it prints, and how it ends."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from skopt_dl.plugins.switches import DISABLE_VARIABLE

# After so many seconds, a line says what everything waits for.
PATIENCE = 10.0

# Called with the distribution, and what its code is about to do.
listeners: list[Callable[[str, str], None]] = []


class Watched(NamedTuple):
    """What became of a call of a plugin's code.

    Attributes
    ----------
    value : object
        What it returned.
    error : BaseException or None
        What it raised.
    printed : str
        What it printed, which is kept from the output of the program.
    """

    value: Any
    error: BaseException | None
    printed: str


def watch(function: Callable[[], Any], doing: str, distribution: str) -> Watched:
    """Call a plugin's code, whatever it does.

    Parameters
    ----------
    function : callable
    doing : str
        What the call does, as in "importing 'zoo'".
    distribution : str
        Whose code it is.

    Returns
    -------
    watched : Watched

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts it; a note says what was interrupted.
    """
    for listener in listeners:
        listener(distribution, doing)
    way_out = f"{DISABLE_VARIABLE}={distribution} keeps it from being loaded."
    with _impatient(f"skopt_dl is still {doing} of {distribution}. {way_out}"), Catcher() as out:
        try:
            value, error = function(), None
        except BaseException as raised:
            # Subclasses are the plugin's own.
            if type(raised) is KeyboardInterrupt:
                raised.add_note(f"skopt_dl was {doing} of {distribution}. {way_out}")
                raise
            value, error = None, raised
    return Watched(value, error, out.printed)


def describe(error: BaseException) -> str:
    """Return an exception in one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}".rstrip(": .")


def shortened(text: str, n_characters: int = 60) -> str:
    """Return the beginning of what was printed, to be quoted."""
    text = " ".join(text.split())
    return repr(text if len(text) <= n_characters else f"{text[:n_characters]}…")


@contextmanager
def _impatient(line: str) -> Iterator[None]:
    """Print a line if this takes long."""
    timer = threading.Timer(PATIENCE, lambda: print(line, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class Catcher:
    """Stands in for ``sys.stdout``, and keeps what this thread prints; other threads' passes."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._thread: int | None = threading.get_ident()
        self._stdout = sys.stdout

    @property
    def printed(self) -> str:
        """All that was kept."""
        return "".join(self._texts)

    def __enter__(self) -> Catcher:
        sys.stdout = self
        return self

    def __exit__(self, *_: Any) -> None:
        # What has wrapped this meanwhile goes on to write to it.
        self._thread = None
        if sys.stdout is self:
            sys.stdout = self._stdout

    def write(self, text: str) -> int:
        """Keep a text, or pass it on."""
        if threading.get_ident() != self._thread:
            return self._stdout.write(text)
        self._texts.append(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)
