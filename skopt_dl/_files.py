"""Files that are whole at any moment, whatever happens while they are written."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def replaceable(path: Path) -> Path:
    """Return the regular file that a path leads to, through links, or where there can be one.

    Raises
    ------
    ValueError
        If something else is there, or no file can be put there; the message names the path.
    """
    try:
        target = path.resolve()
        there = target.stat() if target.exists() else None
    except (OSError, RuntimeError) as error:  # a circle of links, for one
        raise ValueError(f"{path} cannot be followed: {error}.") from None
    it = f"{path} is a link to {target}, which" if path.is_symlink() else str(path)
    if there is not None and not stat.S_ISREG(there.st_mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(there.st_mode)), "no regular file")
        raise ValueError(f"{it} is {kind}.")
    folder = target.parent
    if not folder.is_dir():
        raise ValueError(f"{it} is in {folder}, and there is no such folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{it} is in {folder}, where you may not write.")
    return target


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside `path` and put it there when it is on the disk.

    Parameters
    ----------
    path : Path
        From `replaceable`.
    write : callable
        Called with the open file. If it fails, or is interrupted, `path` stays as it was.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with beside.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            beside.chmod(stat.S_IMODE(path.stat().st_mode))
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the name on the disk too, where the system knows how."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
