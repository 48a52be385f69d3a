"""What a journal holds, and how it is made smaller while others may write to it.

Files of processes that have ended are copied, but for what goes, into new ones, which are put in
place whole; then the old ones are removed. Killed in between, the journal has some records twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from skopt_dl.jobs.journal import writers
from skopt_dl.jobs.journal.records import OUTCOME, SNAPSHOT, Place, scan

_DAY = 86_400.0
# Files that nobody writes to any more, above which they are put together: models, and snapshots.
_FEW = 2


@dataclass
class Survey:
    """What there is in a folder.

    Attributes
    ----------
    n_files, n_busy_files, n_bytes : int
        Busy are those that a process may still write to.
    n_models : int
        Each counted once.
    n_snapshots, n_superseded : int
        The newest of each model that is not done; and all others, repeated models included.
    n_damaged, n_damaged_bytes : int
        Records that are not what was written, torn ones included, and the bytes lost with them.
    written : tuple of float, or None
        When the oldest and the newest model were written, in seconds since 1970.
    groups : Counter
        How many models there are of each (network, dtype, optimizer, versions).
    """

    n_files: int = 0
    n_busy_files: int = 0
    n_bytes: int = 0
    n_models: int = 0
    n_snapshots: int = 0
    n_superseded: int = 0
    n_damaged: int = 0
    n_damaged_bytes: int = 0
    written: tuple[float, float] | None = None
    groups: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)


class Pruned(NamedTuple):
    """What `prune` has removed: records for each reason, files, and bytes."""

    n_damaged: int
    n_superseded: int
    n_old: int
    n_other_versions: int
    n_files: int
    n_bytes: int


class _Entry(NamedTuple):
    """A record, by where it lies."""

    path: Path
    place: Place
    description: dict[str, Any]


class _Contents:
    """The whole records of a folder, and what is wrong with it."""

    def __init__(self, folder: Path):
        self.entries: list[_Entry] = []
        self.sizes: dict[Path, int] = {}
        self.n_damaged: Counter[Path] = Counter()
        self.n_damaged_bytes: Counter[Path] = Counter()
        suffixes = writers.RECORDS, writers.SNAPSHOTS
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(suffixes))
        # Asked before they are read: what a process writes last is then read, or its file busy.
        self.busy = {path for path in paths if writers.may_be_written(path)}
        for path in paths:
            # Somebody else may prune.
            with suppress(FileNotFoundError):
                self._read(path)
        self.busy &= self.sizes.keys()
        self._best = self._choose()

    def _read(self, path: Path) -> None:
        with path.open("rb") as file:

            def read(offset: int, n: int) -> bytes:
                file.seek(offset)
                return file.read(n)

            size = path.stat().st_size
            found = scan(read, 0, size)
            damaged = [n for _, n in found.damaged]
            if found.end < size:
                damaged.append(size - found.end)
            for place in found.places:
                record = place.load(read)
                if record is None:
                    damaged.append(place.end - place.offset)
                else:
                    self.entries.append(_Entry(path, place, record.description))
        self.sizes[path] = size
        self.n_damaged[path], self.n_damaged_bytes[path] = len(damaged), sum(damaged)

    def _choose(self) -> set[tuple[Path, int]]:
        """The records that count: one outcome of each model, else its newest snapshot."""
        best: dict[bytes, _Entry] = {}
        for entry in sorted(self.entries, key=lambda each: each.path not in self.busy):
            known = best.get(entry.place.key)
            if known is None or _rank(entry.place) > _rank(known.place):
                best[entry.place.key] = entry
        return {(entry.path, entry.place.offset) for entry in best.values()}

    def counts(self, entry: _Entry) -> bool:
        """Whether a record is the one that a search would take."""
        return (entry.path, entry.place.offset) in self._best


def _rank(place: Place) -> tuple[bool, int]:
    return place.kind == OUTCOME, place.number


def _contents(folder: Path) -> _Contents:
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is no folder, and so no journal.")
    return _Contents(folder)


def _packed(entries: Sequence[_Entry]) -> Iterator[bytes]:
    """The bytes of records, read one by one."""
    for entry in entries:
        with suppress(FileNotFoundError), entry.path.open("rb") as file:
            file.seek(entry.place.offset)
            yield file.read(entry.place.end - entry.place.offset)


def survey(folder: Path) -> Survey:
    """Read all of a journal, and count.

    Raises
    ------
    ValueError
        If there is no such folder.
    """
    contents = _contents(folder)
    seen = Survey(
        n_files=len(contents.sizes),
        n_busy_files=len(contents.busy),
        n_bytes=sum(contents.sizes.values()),
        n_damaged=contents.n_damaged.total(),
        n_damaged_bytes=contents.n_damaged_bytes.total(),
    )
    times = []
    for entry in contents.entries:
        if not contents.counts(entry):
            seen.n_superseded += 1
        elif entry.place.kind == SNAPSHOT:
            seen.n_snapshots += 1
        else:
            seen.n_models += 1
            about = entry.description
            times.append(float(about.get("written", 0.0)))
            names = ("network", "dtype", "optimizer", "versions")
            network, dtype, optimizer, versions = (str(about.get(name, "")) for name in names)
            seen.groups[network, dtype, optimizer, versions] += 1
    seen.written = (min(times), max(times)) if times else None
    return seen


def prune(
    folder: Path, older_than: float | None = None, keep_versions: str | None = None
) -> Pruned:
    """Remove what is damaged or superseded, and on request what is old or of other versions.

    Files that a process may still write to are left alone.

    Parameters
    ----------
    folder : Path
    older_than : float, default=None
        Days: what was written before goes too.
    keep_versions : str, default=None
        Descriptions' ``versions``: what was written by others goes too.

    Raises
    ------
    ValueError
        If there is no such folder.
    OSError
        If it cannot be written to; nothing is lost then.
    """
    contents = _contents(folder)
    removed: Counter[str] = Counter()
    kept: list[_Entry] = []
    idle = contents.sizes.keys() - contents.busy
    limit = -1.0 if older_than is None else time.time() - older_than * _DAY
    for entry in contents.entries:
        if entry.path not in idle:
            continue
        if not contents.counts(entry):
            removed["superseded"] += 1
        elif float(entry.description.get("written", 0.0)) < limit:
            removed["old"] += 1
        elif keep_versions is not None and entry.description.get("versions") != keep_versions:
            removed["versions"] += 1
        else:
            kept.append(entry)
    n_damaged = sum(contents.n_damaged[path] for path in idle)
    before = sum(contents.sizes[path] for path in idle)
    after, n_files = before, 0
    if removed or n_damaged or len(idle) > _FEW:
        after = 0
        for kind, suffix in ((OUTCOME, writers.RECORDS), (SNAPSHOT, writers.SNAPSHOTS)):
            chosen = [entry for entry in kept if entry.place.kind == kind]
            if chosen:
                path = writers.put_in_place(folder, suffix, _packed(chosen))
                after, n_files = after + path.stat().st_size, n_files - 1
        for path in idle:
            with suppress(FileNotFoundError):
                # One that has grown belongs to somebody after all.
                if path.stat().st_size == contents.sizes[path]:
                    path.unlink()
                    n_files += 1
    for path in folder.glob(f"*{writers.UNFINISHED}"):
        if not writers.may_be_written(path):
            path.unlink(missing_ok=True)
    superseded, old, others = (removed[name] for name in ("superseded", "old", "versions"))
    return Pruned(n_damaged, superseded, old, others, n_files, before - after)
