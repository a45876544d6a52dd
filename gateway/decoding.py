"""Undoing the content encoding of an answer, piece by piece and within a bound."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import brotli

PIECE = 64 * 1024
"""Bytes that one step of decompression may give, so that a bomb never stands in memory whole."""


class CannotDecode(Exception):  # noqa: N818 - what happened, not whose fault it is
    """An encoding that is unknown here, or bytes that are not in it."""


class _Step(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def finish(self) -> None: ...


class _Zlib:
    """gzip or deflate; several gzip members are one body, as RFC 1952 has it."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._decoder: Any = zlib.decompressobj(31) if gzip else None
        self._first = b""
        self._begun = False  # inside a member
        self._between = False  # behind a member

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            self._first += data
            if len(self._first) < 2:
                return
            data, self._first = self._first, b""
            # deflate means zlib's format, but some senders leave its two header bytes out
            bare = bool((data[0] * 256 + data[1]) % 31) or data[0] & 15 != 8
            self._decoder = zlib.decompressobj(-15 if bare else 15)
        more = bool(data)
        while more:
            if self._between:  # zeros may pad a gzip body
                data = data.lstrip(b"\0")
                if not data:
                    return
            self._begun, self._between = True, False
            try:
                piece = self._decoder.decompress(data, PIECE)
            except zlib.error as error:
                raise CannotDecode(str(error)) from None
            yield piece
            if not self._decoder.eof:
                data = self._decoder.unconsumed_tail
                more = bool(data) or len(piece) == PIECE  # a full piece: there may be more of it inside
                continue
            data = self._decoder.unused_data
            if data and not self._gzip:
                raise CannotDecode("bytes after the end of the deflated body")
            if self._gzip:
                self._decoder = zlib.decompressobj(31)
                self._begun, self._between = False, True
            more = bool(data)

    def finish(self) -> None:
        if self._first or (self._begun and not self._decoder.eof):
            raise CannotDecode("the compressed body ends too early")


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._begun = True
        while True:
            try:
                piece = self._decoder.process(data, output_buffer_limit=PIECE)
            except brotli.error as error:
                raise CannotDecode(str(error)) from None
            yield piece
            full = len(piece) >= PIECE or not self._decoder.can_accept_more_data()
            if self._decoder.is_finished() or not full:
                return
            data = b""

    def finish(self) -> None:
        if self._begun and not self._decoder.is_finished():
            raise CannotDecode("the compressed body ends too early")


class Decoding:
    """The ``Content-Encoding`` of one answer.

    Raises:
        CannotDecode: one of its names is unknown.
    """

    def __init__(self, encoding: bytes) -> None:
        names = [name for part in encoding.split(b",") if (name := part.strip().lower()) not in {b"", b"identity"}]
        if len(names) > 3:
            raise CannotDecode("more than three content encodings")
        self._steps = [_step(name) for name in reversed(names)]

    @property
    def identity(self) -> bool:
        """Whether there is nothing to undo."""
        return not self._steps

    def feed(self, data: bytes) -> Iterable[bytes]:
        """Decode the next bytes into pieces of a bounded size, one at a time.

        Raises:
            CannotDecode: the bytes are not in the encoding that was declared.
        """
        pieces: Iterable[bytes] = (data,)
        for step in self._steps:
            pieces = _through(step, pieces)
        return pieces

    def finish(self) -> None:
        """Say that the body is complete.

        Raises:
            CannotDecode: it is not.
        """
        for step in self._steps:
            step.finish()


def _through(step: _Step, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for given in pieces:
        for piece in step.feed(given):
            if piece:
                yield piece


def _step(name: bytes) -> _Step:
    if name in {b"gzip", b"x-gzip"}:
        return _Zlib(gzip=True)
    if name == b"deflate":
        return _Zlib(gzip=False)
    if name == b"br":
        return _Brotli()
    msg = f"unknown content encoding {name.decode('latin-1')!r}"
    raise CannotDecode(msg)
