"""Files of JSON lines: each line is one JSON document, and each is read, judged and written by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.protocols import jsontext
from gateway.protocols.types import Body

MAX_LINES = 100_000
"""More than any batch API takes."""


@dataclass(frozen=True, slots=True)
class JSONLines:
    """The lines of a file as they came, and what each says (``None``: it is blank)."""

    raw: tuple[bytes, ...]
    bodies: tuple[Body, ...]

    def edited(self, lines: Mapping[int, bytes]) -> bytes:
        """The file with these lines replaced, their line ends kept."""
        return b"".join(
            lines[number] + raw[len(raw.rstrip(b"\r\n")) :] if number in lines else raw
            for number, raw in enumerate(self.raw)
        )


def read_lines(raw: bytes) -> JSONLines:
    """Read a file of JSON lines. Lines end with LF; a CR before it belongs to the end.

    Raises:
        gateway.protocols.jsontext.InvalidJSON: a line is no JSON, or there are too many; the message names the line.
        gateway.protocols.jsontext.AmbiguousJSON: two readers could understand a line differently.
    """
    lines = raw.split(b"\n")
    if len(lines) > MAX_LINES:
        msg = f"more than {MAX_LINES} lines"
        raise jsontext.InvalidJSON(msg)
    ended = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    return JSONLines(tuple(ended), tuple(_read(line, number) for number, line in enumerate(ended, 1)))


def _read(line: bytes, number: int) -> Body:
    text = line.strip(b" \t\r\n")
    if not text:
        return None
    try:
        return jsontext.read_json(text)
    except jsontext.InvalidJSON as error:
        msg = f"line {number} of the file: {error}"
        raise type(error)(msg) from None


__all__ = ["MAX_LINES", "JSONLines", "read_lines"]
