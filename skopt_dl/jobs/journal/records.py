"""Records in a file: each says what it is and how long, and shows whether it is whole.

A header of fixed size (`MAGIC`, kind, key, number, two lengths, a checksum of what follows, a
checksum of the header itself), then a description for people, in JSON, and the payload. The
checksum of the header ends it, too: what has lost a part does not end where it says, even if the
next record does.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

OUTCOME, SNAPSHOT = b"o", b"s"

# The number of the format is its last byte. The line end shows what was copied as text.
MAGIC = b"\x8bskopt\n\x02"
_FIELDS = struct.Struct("<8sc32sQIQ16s")
_CHECKSUM = 8
HEADER = _FIELDS.size + _CHECKSUM
# Bytes that are read at a time in search of the next header.
_CHUNK = 1 << 20

Read = Callable[[int, int], bytes]


class Record(NamedTuple):
    """Something to keep.

    Attributes
    ----------
    kind : bytes
        `OUTCOME` or `SNAPSHOT`.
    key : bytes
        32 of them.
    number : int
        Of several snapshots with one key, the one with the largest number is the newest.
    description : dict
        For people; whatever JSON takes.
    payload : bytes
    """

    kind: bytes
    key: bytes
    number: int
    description: dict[str, Any]
    payload: bytes


class Place(NamedTuple):
    """Where in a file a record lies, by its header."""

    kind: bytes
    key: bytes
    number: int
    offset: int
    n_description: int
    n_payload: int
    checksum: bytes
    mark: bytes

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.offset + HEADER + self.n_description + self.n_payload + _CHECKSUM

    def load(self, read: Read) -> Record | None:
        """Read the record; None if it is not what was written."""
        body = read(self.offset + HEADER, self.n_description + self.n_payload)
        if _digest(body, 16) != self.checksum:
            return None
        description = json.loads(body[: self.n_description])
        return Record(self.kind, self.key, self.number, description, body[self.n_description :])


@dataclass
class Found:
    """What a file holds.

    Attributes
    ----------
    places : list of Place
    damaged : list of (offset, number of bytes)
        Where there is no record, but one follows.
    end : int
        Where the last whole record ends.
    """

    places: list[Place] = field(default_factory=list)
    damaged: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0


def pack(record: Record) -> bytes:
    """Return the bytes of a record."""
    description = json.dumps(record.description).encode()
    body = description + record.payload
    lengths = len(description), len(record.payload)
    fields = MAGIC, record.kind, record.key, record.number, *lengths, _digest(body, 16)
    header = _FIELDS.pack(*fields)
    mark = _digest(header, _CHECKSUM)
    return header + mark + body + mark


def scan(read: Read, start: int, size: int) -> Found:
    """Find the records of a file by their headers; payloads are checked when they are loaded.

    Parameters
    ----------
    read : callable
        ``read(offset, n)`` returns so many bytes, or what there is of them.
    start, size : int
        Where to begin, and where the file ends; what is written meanwhile is as if it were not.
    """
    found, read = Found(end=start), partial(_within, read, size)
    position = start
    while position < size:
        place = _header(read, position)
        if place is not None and place.end <= size and _ends(read, place):
            found.places.append(place)
            position = found.end = place.end
            continue
        # A record that was cut has the next one within the length that it claims.
        last = found.places[-1] if found.places else None
        after = position + 1 if last is None or place is not None else last.offset + HEADER
        following = _next_header(read, after, size)
        if following is None:
            break
        if following < position:
            found.places.pop()
            assert last is not None
            position = last.offset
        found.damaged.append((position, following - position))
        position = following
    return found


def _within(read: Read, size: int, offset: int, n: int) -> bytes:
    return read(offset, max(0, min(n, size - offset)))


def _ends(read: Read, place: Place) -> bool:
    """Whether a record ends where it says."""
    return read(place.end - _CHECKSUM, _CHECKSUM) == place.mark


def _header(read: Read, offset: int) -> Place | None:
    header = read(offset, HEADER)
    if len(header) < HEADER or not header.startswith(MAGIC):
        return None
    mark = header[-_CHECKSUM:]
    if _digest(header[:-_CHECKSUM], _CHECKSUM) != mark:
        return None
    _, kind, key, number, n_description, n_payload, checksum = _FIELDS.unpack(header[:-_CHECKSUM])
    return Place(kind, key, number, offset, n_description, n_payload, checksum, mark)


def _next_header(read: Read, start: int, size: int) -> int | None:
    """Where the next header begins, from `start` on."""
    while start < size:
        chunk = read(start, _CHUNK + HEADER)
        place = chunk.find(MAGIC)
        while place >= 0:
            if _header(read, start + place) is not None:
                return start + place
            place = chunk.find(MAGIC, place + 1)
        start += _CHUNK
    return None


def _digest(content: bytes, n: int) -> bytes:
    return hashlib.sha256(content).digest()[:n]
