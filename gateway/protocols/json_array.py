"""A JSON array that arrives in pieces, split into its elements as they close. Pure.

Streams that are one JSON document (Gemini's without ``alt=sse``) are arrays of answers. Which bytes belong to which
element depends on the bytes alone: what stands before an element (the bracket or comma, spaces, line ends) belongs to
it, the closing bracket is an event of its own, and the ``raw`` of all events joined is the input.
"""

from __future__ import annotations

import re

import orjson

from gateway.sse import MAX_EVENT, FrameTooLarge, SSEEvent

END = "end"
"""The name of the event that is the closing bracket."""

_SPACE = b" \t\r\n"
_LEAD = re.compile(rb"[ \t\r\n]*[\[,]?[ \t\r\n]*")
_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_SCALAR_END = re.compile(rb"[ \t\r\n,\]]")


class JSONArrayDecoder:
    """Bytes in, elements out; what follows an error of the array's syntax is one last event."""

    idle = False  # elements are never compared with earlier ones

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max = max_event
        self._buffer = bytearray()
        self._at = 0  # bytes of the buffer that were looked at
        self._start = -1  # where the element begins that is being read; -1: none is
        self._depth = 0
        self._in_string = False
        self._mark = b"["  # what must stand before the next element
        self._over = False  # closed, or no array: nothing more is split
        self._failed = False

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Take the next bytes and return the elements that they complete.

        Raises:
            FrameTooLarge: an element of more than ``max_event`` bytes.
        """
        self._check()
        self._buffer += data
        events: list[SSEEvent] = []
        while not self._over:
            event = self._element() if self._start >= 0 or self._begin() else None
            if event is None:
                break
            events.append(event)
        if len(self._buffer) > self._max:
            self._failed = True
            if not events:
                self._check()
        return events

    def finish(self) -> list[SSEEvent]:
        """Say that no more bytes follow and return what was left."""
        self._check()
        self._failed = True
        rest = bytes(self._buffer)
        self._buffer.clear()
        if not rest:
            return []
        data = rest[_LEAD.match(rest).end() :] if self._start >= 0 else rest.strip(_SPACE)  # type: ignore[union-attr]
        return [SSEEvent(rest, data or None, complete=not data)]

    def _begin(self) -> bool:
        """Find where the next element begins; false where that is not known yet, or where the array ends."""
        buffer = self._buffer
        while self._at < len(buffer):
            char = bytes(buffer[self._at : self._at + 1])
            if char in (b" ", b"\t", b"\r", b"\n"):
                self._at += 1
            elif char == self._mark:
                self._mark = b""
                self._at += 1
            elif char == b"]" and self._mark != b"[":
                return True
            elif self._mark:
                self._over = True  # no array, or no comma between elements
                return False
            else:
                self._start = self._at
                return True
        return False

    def _element(self) -> SSEEvent | None:
        """The element that has begun, once it is whole; or the end of the array."""
        buffer = self._buffer
        if self._start < 0:
            self._over = True
            return self._take(self._at + 1, None, END)
        first = bytes(buffer[self._start : self._start + 1])
        end = self._container_end() if first in (b"{", b"[", b'"') else self._scalar_end()
        if end is None:
            return None
        return self._take(end, bytes(buffer[self._start : end]), "")

    def _take(self, end: int, data: bytes | None, name: str) -> SSEEvent:
        raw = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._at, self._start, self._mark = 0, -1, b","
        return SSEEvent(raw, data, name)

    def _container_end(self) -> int | None:
        """The offset behind the object, array or string that has begun."""
        buffer = self._buffer
        if self._at == self._start and (end := self._whole_rest()) is not None:
            return end
        while True:
            match = (_INSIDE if self._in_string else _OUTSIDE).search(buffer, self._at)
            if match is None:
                self._at = len(buffer)
                return None
            char = match.group()
            if char == b"\\":
                if match.end() == len(buffer):
                    self._at = match.start()
                    return None
                self._at = match.end() + 1
                continue
            self._at = match.end()
            if char == b'"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if char in b"{[" else -1
            if self._depth == 0 and not self._in_string:
                return self._at

    def _whole_rest(self) -> int | None:
        """The same where the element ends with what has come, as it mostly does; tried once for each element."""
        rest = bytes(self._buffer[self._start :]).rstrip(_SPACE)
        if rest[-1:] != b"}":
            return None
        try:
            orjson.loads(rest)  # an object that is not whole is not valid, and neither is one with more behind it
        except orjson.JSONDecodeError:
            return None
        return self._start + len(rest)

    def _scalar_end(self) -> int | None:
        match = _SCALAR_END.search(self._buffer, self._at)
        if match is None:
            self._at = len(self._buffer)
            return None
        return match.start()

    def _check(self) -> None:
        if self._failed:
            msg = f"an element of more than {self._max} bytes, or bytes after the end"
            raise FrameTooLarge(msg)


def replace_element(raw: bytes, data: bytes) -> bytes:
    """The event with its element replaced and what stands before it as it was."""
    return lead(raw) + data


def lead(raw: bytes) -> bytes:
    """What stands before the element of an event."""
    match = _LEAD.match(raw)
    return match.group() if match else b""


__all__ = ["END", "JSONArrayDecoder", "lead", "replace_element"]
