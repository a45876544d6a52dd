"""Records on disk while the store is away: append-only segments that survive the process that wrote them.

A segment is a run of frames: length (4 bytes), CRC-32 of the payload (4 bytes), payload. Its writer holds a lock on
it for as long as it lives, so another process can tell a segment that was left behind from one in use.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.store.records import new_id

SUFFIX = ".spool"
DAMAGED = ".damaged"
MAX_FRAME = 16 * 1024 * 1024

_HEAD = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Segment:
    """What was read back: the whole payloads, and whether bytes before the end could not be read.

    A frame that the end of the file cuts off is no damage: its writer died before it told anybody.
    """

    payloads: Sequence[bytes]
    damaged: bool


class SpoolWriter:
    """The segment that this process appends to. Used by one thread.

    Args:
        folder: where segments are kept; made if it is not there.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{new_id()}{SUFFIX}"
        unborn = self.path.with_suffix(".new")  # takes its name once it is locked: nobody can drain it in between
        self.size = 0
        self._file = os.open(unborn, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unborn.rename(self.path)
            _sync_folder(folder)
        except OSError:
            self.close()
            raise

    def append(self, payloads: Sequence[bytes]) -> None:
        """Write the payloads; on return they are on the disk.

        Raises:
            OSError: they are not; nothing of them will be read back. The writer is closed.
        """
        data = b"".join(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload for payload in payloads)
        try:
            _write_all(self._file, data)
            os.fsync(self._file)
        except OSError:
            self._take_back()
            raise
        self.size += len(data)

    def close(self) -> None:
        """Give the segment up; it can then be drained by anybody."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _take_back(self) -> None:
        # After a failed fsync the kernel may have dropped the pages: this file is not written to again.
        try:
            os.ftruncate(self._file, self.size)
        finally:
            self.close()


class LeftBehind:
    """A segment whose writer is gone, locked while it is drained. A context manager."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def read(self) -> Segment:
        """Everything that is whole in it."""
        with open(self._file, "rb", closefd=False) as file:  # the descriptor holds the lock
            return read_segment(file.read())

    def remove(self, *, damaged: bool = False) -> None:
        """Forget the segment, or set it aside for a person to look at where it was damaged."""
        if damaged:
            self.path.rename(self.path.with_suffix(DAMAGED))
        else:
            self.path.unlink()
        _sync_folder(self.path.parent)


def left_behind(folder: Path) -> Iterator[LeftBehind]:
    """The segments that nobody writes to, oldest first, each one locked for the caller."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another process has drained it
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        if not path.exists():
            os.close(file)
            continue
        with LeftBehind(path, file) as segment:
            yield segment


def read_segment(data: bytes) -> Segment:
    """Split a segment's bytes. Stops at the first frame that cannot be trusted to say how long it is."""
    payloads: list[bytes] = []
    damaged = False
    at = 0
    while at + _HEAD.size <= len(data):
        length, crc = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        if end > len(data):
            damaged = damaged or length > MAX_FRAME
            break
        payload = data[at + _HEAD.size : end]
        if zlib.crc32(payload) == crc:
            payloads.extend([payload] if payload else [])  # zeros that a file system left at the end are no frames
        elif end < len(data):
            damaged = True
        at = end
    return Segment(payloads, damaged)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    """A new or removed name is durable only once its folder is."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
