"""The folder: one file for each process that writes, read by all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from skopt_dl._warnings import warn_user
from skopt_dl.jobs.journal import writers
from skopt_dl.jobs.journal.records import Place, Record, pack, scan


class JournalWarning(RuntimeWarning):
    """A journal cannot do what it is for; the training itself is not affected."""


class Journal:
    """Keeps records in a folder, for any number of processes and threads at once.

    A process appends to a file of its own, made with its first record, so there are no locks. Of a
    record that was cut short, or changed since, nothing is ever returned.

    Parameters
    ----------
    folder : str or path-like
        Created if it is missing.
    tell : callable, default=None
        Gets the text of each warning, in whatever thread it arises; None issues them as
        `JournalWarning`. No text comes twice.

    Raises
    ------
    ValueError
        If `folder` is a file, or nothing can be written there.
    """

    def __init__(self, folder: str | os.PathLike[str], tell: Callable[[str], None] | None = None):
        self.folder = Path(folder).absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Asking for permission is not enough: a file system may be mounted read-only.
            with TemporaryFile(dir=self.folder):
                pass
        except (FileExistsError, NotADirectoryError):
            raise ValueError(
                f"journal={os.fspath(folder)!r} is, or lies in, a file: a journal is a folder. "
                "Pass the path of one; it is created if it is missing."
            ) from None
        except OSError as error:
            raise ValueError(
                f"journal={os.fspath(folder)!r} cannot be written to ({error.strerror}): pass a "
                "folder in a place where you may write and where there is room."
            ) from error
        self._files: dict[str, tuple[int, int, list[Place]]] = {}
        self._index: dict[tuple[bytes, bytes], list[tuple[str, Place]]] = {}
        self._said: set[Any] = set()
        self._tell = tell
        self._begin()

    def _begin(self) -> None:
        """Make what belongs to this process."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._file: int | None = None
        self._is_synced = True

    def __reduce__(self) -> Any:
        return Journal, (str(self.folder),)

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None and self._pid == os.getpid():
            with suppress(OSError):
                os.close(self._file)  # type: ignore[arg-type]

    @property
    def _here(self) -> threading.RLock:
        """The lock of this process: a fork shares neither it nor the file with its parent."""
        if self._pid != os.getpid():
            inherited = self._file
            self._begin()
            if inherited is not None:
                os.close(inherited)
        return self._lock

    # Reading

    def refresh(self) -> None:
        """Take in what has been written since, by whomever."""
        with self._here:
            try:
                names = {
                    entry.name: entry.stat().st_size
                    for entry in os.scandir(self.folder)
                    if entry.name.endswith((writers.RECORDS, writers.SNAPSHOTS))
                }
            except OSError as error:
                self.say("unreadable", f"cannot be read ({error}): nothing is taken from it.")
                return
            if not self._files.keys() <= names.keys():
                self._files = {n: f for n, f in self._files.items() if n in names}
                self._index.clear()
                for name, (_, _, places) in self._files.items():
                    self._add(name, places)
            torn = []
            for name, size in sorted(names.items()):
                known, end, places = self._files.get(name, (0, 0, []))
                if size == known:
                    continue
                try:
                    found = self._scan(name, end, size)
                except OSError:
                    continue
                self._files[name] = size, found.end, places + found.places
                self._add(name, found.places)
                self._say_damaged(name, found.damaged)
                if found.end < size and not writers.may_be_written(self.folder / name):
                    torn.append(f"{name} ({size - found.end} bytes)")
            if torn:
                self.say(
                    ("torn", *torn),
                    f"has files that end in the middle of a record, which is dropped: "
                    f"{', '.join(torn)}. The model is trained again. "
                    f"`skopt-dl journal prune {self.folder}` removes what is dropped.",
                )

    def _scan(self, name: str, start: int, size: int) -> Any:
        with (self.folder / name).open("rb") as file:

            def read(offset: int, n: int) -> bytes:
                file.seek(offset)
                return file.read(n)

            return scan(read, start, size)

    def _add(self, name: str, places: Sequence[Place]) -> None:
        for place in places:
            self._index.setdefault((place.kind, place.key), []).append((name, place))

    def find(self, kind: bytes, key: bytes) -> Record | None:
        """Return the record with a key, among those that `refresh` has seen.

        Of several, the one with the largest number that is whole.
        """
        with self._here:
            known = list(self._index.get((kind, key), []))
        for name, place in sorted(known, key=lambda each: each[1].number, reverse=True):
            try:
                with (self.folder / name).open("rb") as file:

                    def read(offset: int, n: int, file: Any = file) -> bytes:
                        file.seek(offset)
                        return file.read(n)

                    record = place.load(read)
            except OSError:
                continue
            if record is not None:
                return record
            self._say_damaged(name, [(place.offset, place.end - place.offset)])
        return None

    def _say_damaged(self, name: str, damaged: Sequence[tuple[int, int]]) -> None:
        if damaged:
            n_bytes = sum(n for _, n in damaged)
            self.say(
                ("damaged", name),
                f"has a file that was changed, {name}: {n_bytes} bytes at {damaged[0][0]} are not "
                "what was written. What they held is trained again.",
            )

    def say(self, what: Any, message: str) -> None:
        """Warn, once for each `what`; the message goes on after the name of the folder."""
        with self._here:
            if what in self._said:
                return
            self._said.add(what)
        text = f"The journal {str(self.folder)!r} {message}"
        if self._tell is None:
            warn_user(text, JournalWarning)
        else:
            self._tell(text)

    # Writing

    def write(self, records: Sequence[Record]) -> None:
        """Append records, which then survive the end of this process; see `sync`.

        Where this fails, for want of room say, a warning says so, once.
        """
        if not records:
            return
        content = b"".join(map(pack, records))
        with self._here:
            try:
                self._append(content)
            except OSError as error:
                self._say_failed(error)

    def _append(self, content: bytes) -> None:
        if self._file is not None and not os.fstat(self._file).st_nlink:
            # Somebody has removed it.
            self._close()
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
            path = self.folder / writers.new_name(writers.RECORDS)
            self._file = os.open(path, flags, 0o666)
            writers.sync_folder(self.folder)
        end = os.fstat(self._file).st_size
        self._is_synced = False
        try:
            writers.write_all(self._file, content)
        except BaseException:
            # What is torn is cut off; where it cannot be, the next record begins a new file.
            try:
                os.ftruncate(self._file, end)
            except OSError:
                self._close()
            raise

    def _close(self) -> None:
        assert self._file is not None
        file, self._file = self._file, None
        os.close(file)

    def sync(self) -> None:
        """Have what was written survive a power cut."""
        with self._here:
            if self._is_synced or self._file is None:
                return
            try:
                os.fsync(self._file)
                self._is_synced = True
            except OSError as error:
                self._say_failed(error)
                self._close()

    def replace_snapshots(self, before: Path | None, records: Sequence[Record]) -> Path | None:
        """Put snapshots in the place of older ones.

        Parameters
        ----------
        before : Path or None
            What an earlier call returned.
        records : sequence of Record
            None of them removes the older ones.

        Returns
        -------
        path : Path or None
            The file that holds them.
        """
        with self._here:
            try:
                path = None
                if records:
                    content = map(pack, records)
                    path = writers.put_in_place(self.folder, writers.SNAPSHOTS, content)
                if before is not None:
                    before.unlink(missing_ok=True)
            except OSError as error:
                self._say_failed(error)
                return before
            return path

    def _say_failed(self, error: OSError) -> None:
        self.say(
            "failed",
            f"cannot be written to ({error}). The search goes on, but what is trained from now on "
            "is not kept, unless this passes.",
        )
