"""Files that each belong to one process, by their names: nothing has to be locked."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

RECORDS, SNAPSHOTS, UNFINISHED = ".journal", ".snapshots", ".part"

# Seconds without a change after which a file of another machine is nobody's any more.
ABANDONED = 86_400.0


@cache
def _machine() -> str:
    """What process numbers are unique on: a machine since it was started, or a container."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def new_name(suffix: str) -> str:
    """Return a file name that nobody else has."""
    return f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


def may_be_written(path: Path) -> bool:
    """Whether the process that a file belongs to may still be at work; yes where in doubt."""
    machine, _, rest = path.name.partition("-")
    number = rest.partition("-")[0]
    if machine == _machine() and number.isdigit() and os.name == "posix":
        return _is_running(int(number))
    try:
        return time.time() - path.stat().st_mtime < ABANDONED
    except FileNotFoundError:
        return False


def _is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_all(file: int, content: bytes) -> None:
    """Write to a descriptor, however many calls it takes."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync_folder(folder: Path) -> None:
    """Have the names of new files survive a power cut, where the system can say so."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(folder: Path, suffix: str, content: Iterable[bytes]) -> Path:
    """Write a file that is there with all its content, or not at all."""
    path = folder / new_name(suffix)
    beside = path.with_name(path.name + UNFINISHED)
    try:
        with beside.open("xb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    sync_folder(folder)
    return path
