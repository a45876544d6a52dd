"""Server-sent events and newline-delimited JSON, from bytes in any cut to events with the exact bytes of each.

Follows the WHATWG algorithm (HTML Living Standard, 9.2.6): lines end with LF, CR or CRLF and with nothing else (U+2028
stands inside JSON strings unharmed), a blank line ends an event. What the events are and which bytes belong to each
depends on the bytes alone, never on how they were cut, and the ``raw`` of all events joined is the input.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_EVENT = 16 * 1024 * 1024
"""Bytes of one event that are kept while its end has not come. Large enough for an image in base64."""

_BOM = b"\xef\xbb\xbf"
# The end of an event: a line end followed by a blank line. A CR at the very end of the buffer may still become CRLF, so
# it must be followed by something, except in CR CR: there the stream has shown that it ends lines with CR alone.
_END = re.compile(rb"\n\n|\n\r\n|\n\r(?=[^\n])|\r\r")
_BLANK = re.compile(rb"\n|\r\n|\r(?=[^\n])")
_SILENT = (b"", b"id", b"retry")  # comments, and what steers the client
# How far back a cut end may have begun: LF CR, waiting for LF.
_LOOKBACK = 2


class FrameTooLarge(ValueError):  # noqa: N818 - named for what happened, as in h11
    """An event or line exceeds the bound; the decoder is terminal."""


class SSEEvent(NamedTuple):
    """One event. ``data`` is ``None`` where it has no ``data`` line: comments, blank lines, a lone ``retry``.

    ``complete`` is false for what an upstream left without its final blank line, ``stray`` true where it has lines of
    no known field: readers skip them, but those that only take ``data:`` off the lines that have it would not.
    """

    raw: bytes
    data: bytes | None
    event: str = ""
    id: str | None = None
    complete: bool = True
    stray: bool = False


class SSEDecoder:
    """Bytes in, events out."""

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max = max_event
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer in which no end begins
        self._started = False  # past the place where a byte order mark may stand
        self._after_cr = False  # the last event ended with CR CR: an LF that follows belongs to that blank line
        self._failed = False
        self.idle = False
        """Past the first event, not failed, nothing buffered: the next bytes begin an event."""

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Take the next bytes and return the events that they complete.

        Raises:
            FrameTooLarge: more than ``max_event`` bytes without the end of an event. Events that were complete before
                come from the call that received them; the error then comes from the next call.
        """
        # Nearly every chunk is one whole event of one line: answer that without touching the buffer.
        if self.idle and data[:6] == b"data: " and data.find(b"\n") == len(data) - 2 and data[-1:] == b"\n":
            event = _one_line(data)
            if event is not None:
                return [event]
        if self.idle and data[:6] == b"data: " and _is_one_crlf_line(data):
            return [SSEEvent(data, data[6:-4])]
        return self._feed(data)

    def finish(self) -> list[SSEEvent]:
        """Say that no more bytes follow and return what was left, as an incomplete event."""
        self._check()
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._failed = True
        self.idle = False
        if not rest:
            return []
        event = self._parse(rest)
        # A CR that could have become CRLF has ended its line after all.
        return [event._replace(complete=rest.endswith(b"\n\r") or not rest.strip(b"\r\n"))]

    def _feed(self, data: bytes) -> list[SSEEvent]:
        self._check()
        if self.idle and b"\r" not in data:
            return self._feed_lf(data)
        self._buffer += data
        events: list[SSEEvent] = []
        start = 0
        while (end := self._end_of_event(start)) is not None:
            events.append(self._parse(bytes(self._buffer[start:end])))
            self._after_cr = self._buffer[end - 2 : end] == b"\r\r"
            start = self._searched = end
        del self._buffer[:start]
        self._searched = max(0, len(self._buffer) - _LOOKBACK)
        self.idle = self._started and not self._buffer and not self._after_cr
        return self._bounded(events)

    def _feed_lf(self, data: bytes) -> list[SSEEvent]:
        """The same for the usual case: an event begins with ``data``, and all lines end with LF."""
        events: list[SSEEvent] = []
        start = 0
        while start < len(data):
            if data[start] == 0x0A:
                end = start + 1
            elif (end := data.find(b"\n\n", start) + 2) < 2:
                break
            events.append(self._parse(data[start:end]))
            start = end
        if start < len(data):
            self._buffer += data[start:]
            self._searched = max(0, len(self._buffer) - _LOOKBACK)
            self.idle = False
        return self._bounded(events)

    def _bounded(self, events: list[SSEEvent]) -> list[SSEEvent]:
        if len(self._buffer) > self._max:
            self._failed = True
            self.idle = False
            if not events:
                self._check()
        return events

    def _end_of_event(self, start: int) -> int | None:
        """The offset behind the event that begins at ``start``, once that is certain."""
        text = start
        if self._after_cr and self._buffer.startswith(b"\n", start):
            text += 1
        elif not self._started and self._buffer.startswith(_BOM):
            text += len(_BOM)
        match = _BLANK.match(self._buffer, text) or _END.search(self._buffer, max(self._searched, text))
        return match.end() if match else None

    def _parse(self, raw: bytes) -> SSEEvent:
        text = raw
        if not self._started:
            self._started = True
            text = raw.removeprefix(_BOM)
        elif self._after_cr:
            text = raw.removeprefix(b"\n")
        elif raw[:6] == b"data: " and raw.find(b"\n") == len(raw) - 2 and (event := _one_line(raw)) is not None:
            return event
        data: list[bytes] = []
        name, event_id, stray = "", None, False
        for line in text.splitlines():  # of bytes: splits at LF, CR and CRLF only
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value.decode("utf-8", "replace")
            elif field == b"id" and b"\0" not in value:
                event_id = value.decode("utf-8", "replace")
            elif field not in _SILENT:
                stray = True
        return SSEEvent(raw, b"\n".join(data) if data else None, name, event_id, True, stray)

    def _check(self) -> None:
        if self._failed:
            msg = f"an event of more than {self._max} bytes, or bytes after the end"
            raise FrameTooLarge(msg)


def _is_one_crlf_line(raw: bytes) -> bool:
    """Whether bytes are one line and an empty one, with CRLF, as Google sends events."""
    return raw[-4:] == b"\r\n\r\n" and raw.find(b"\r") == len(raw) - 4 and raw.find(b"\n") == len(raw) - 3


def _one_line(raw: bytes) -> SSEEvent | None:
    """The event of ``data: …`` LF LF, unless a CR cuts that line in two."""
    if b"\r" in raw:
        return None
    return tuple.__new__(SSEEvent, (raw, raw[6:-2], "", None, True, False))  # a third of the time of SSEEvent(…)


def replace_data(event_raw: bytes, data: bytes) -> bytes:
    """The event with its data replaced and everything else (name, id, comments, line ends) as it was.

    Args:
        event_raw: the bytes of one event.
        data: the new data; an LF in it begins another data line.
    """
    lines = event_raw.splitlines(keepends=True)
    out: list[bytes] = []
    placed = False
    for line in lines:
        body = line.rstrip(b"\r\n")
        bare = body.removeprefix(_BOM) if line is lines[0] else body
        if bare.partition(b":")[0] != b"data":
            out.append(line)
        elif not placed:
            placed = True
            end = line[len(body) :] or b"\n"
            out.append(body[: len(body) - len(bare)])
            out.extend(b"data: " + part + end for part in data.split(b"\n"))
    return b"".join(out)


class NDJSONDecoder:
    """Newline-delimited JSON: every line is one event. Lines end with LF (a CR before it belongs to the end)."""

    idle = False  # lines are never compared with earlier ones

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max = max_event
        self._buffer = bytearray()
        self._searched = 0
        self._failed = False

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Take the next bytes and return the lines that they complete.

        Raises:
            FrameTooLarge: a line of more than ``max_event`` bytes; raised as by ``SSEDecoder.feed``.
        """
        self._check()
        self._buffer += data
        events: list[SSEEvent] = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
            events.append(_line(bytes(self._buffer[start : end + 1])))
            start = end + 1
        del self._buffer[:start]
        self._searched = len(self._buffer)
        if len(self._buffer) > self._max:
            self._failed = True
            if not events:
                self._check()
        return events

    def finish(self) -> list[SSEEvent]:
        """Say that no more bytes follow and return the last line if it had no end."""
        self._check()
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._failed = True
        return [_line(rest)._replace(complete=False)] if rest else []

    def _check(self) -> None:
        if self._failed:
            msg = f"a line of more than {self._max} bytes, or bytes after the end"
            raise FrameTooLarge(msg)


def replace_line(line_raw: bytes, data: bytes) -> bytes:
    """The line with its content replaced and its end as it was."""
    return data + line_raw[len(line_raw.rstrip(b"\r\n")) :]


def _line(raw: bytes) -> SSEEvent:
    return SSEEvent(raw, raw.rstrip(b"\r\n").strip(b" \t") or None)


__all__ = ["MAX_EVENT", "FrameTooLarge", "NDJSONDecoder", "SSEDecoder", "SSEEvent", "replace_data", "replace_line"]
