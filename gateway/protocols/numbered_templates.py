"""Delta events that differ from an earlier one in their text, their number and their padding.

As in ``templates``: where everything else is the bytes of an event that was read in full, and the text between needs no
unescaping, the event means what that one meant and need not be parsed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import orjson

from gateway.protocols.types import ChannelKey, Frame, FrameKind

_MAX_TEMPLATES = 4
_MAX_TRIED = 64  # in a stream whose events all differ, learning does not pay
_PLAIN = re.compile(rb"(?:event: [\w.]+\n)?data: (\{[^\r\n]*\})\n\n")
_NUMBER = re.compile(rb'"sequence_number": ?(\d+)')
_PADDING = re.compile(rb'"obfuscation": ?"([A-Za-z0-9]*)"')
_DELTA = re.compile(rb'"delta": ?"([^"\\]*)"')
# What may stand in the place of each: nothing that could end the string or the number, or be no JSON.
_ANY_NUMBER, _ANY_PADDING, _ANY_TEXT = rb"(0|[1-9][0-9]{0,15})", rb"[A-Za-z0-9]*", rb'([^"\\\x00-\x1f]+)'


class NumberedTemplate(NamedTuple):
    """The bytes round the text, and what the text is."""

    pattern: re.Pattern[bytes]
    number_first: bool
    key: ChannelKey
    kind: str
    place: tuple[int, tuple[str, int]]


class NumberedTemplates:
    """The templates of one stream."""

    def __init__(self) -> None:
        self._templates: list[NumberedTemplate] = []
        self._tried = 0

    def match(self, data: bytes) -> tuple[NumberedTemplate, int, str] | None:
        """The template that this whole event fills in, with which number and which text."""
        for template in self._templates:
            found = template.pattern.fullmatch(data)
            if found is not None:
                number, text = found.groups() if template.number_first else found.group(2, 1)
                try:
                    return template, int(number), text.decode()
                except UnicodeDecodeError:
                    return None
        return None

    def learn(self, frame: Frame, kind: str, place: tuple[int, tuple[str, int]]) -> None:
        """Remember a delta that was read in full and holds no other text."""
        if self._tried >= _MAX_TRIED or frame.kind is not FrameKind.DATA or frame.closes or frame.body.get("logprobs"):
            return
        self._tried += 1
        plain = _PLAIN.fullmatch(frame.raw)
        if plain is None or len(frame.deltas) != 1 or frame.repeats:
            return
        spans = [_only(pattern, frame.raw) for pattern in (_NUMBER, _DELTA, _PADDING)]
        number, delta, padding = spans
        if number is None or delta is None or (padding is None and b"obfuscation" in frame.raw):
            return
        holes = [(number, _ANY_NUMBER), (delta, _ANY_TEXT)] + ([(padding, _ANY_PADDING)] if padding else [])
        if not _proved(frame.raw, plain, number, delta):
            return
        pattern, at = b"", 0
        for (start, end), hole in sorted(holes):
            pattern += re.escape(frame.raw[at:start]) + hole
            at = end
        made = re.compile(pattern + re.escape(frame.raw[at:]))
        template = NumberedTemplate(made, number < delta, frame.deltas[0].key, kind, place)
        self._templates = [template, *self._templates[: _MAX_TEMPLATES - 1]]

    def forget(self) -> None:
        """Keys have changed: begin anew."""
        self._templates = []


def _only(pattern: re.Pattern[bytes], raw: bytes) -> tuple[int, int] | None:
    """Where the only match of a pattern has its value."""
    found = list(pattern.finditer(raw))
    return found[0].span(1) if len(found) == 1 else None


def _proved(raw: bytes, plain: re.Match[bytes], number: tuple[int, int], delta: tuple[int, int]) -> bool:
    """Whether what is put into the places is read at the top of the event, and nothing else changes."""
    (first, new), (second, other) = sorted(((number, b"7654321"), (delta, b"~")))
    changed = raw[: first[0]] + new + raw[first[1] : second[0]] + other + raw[second[1] :]
    body = orjson.loads(raw[plain.start(1) : plain.end(1)])
    read = orjson.loads(changed[plain.start(1) : -2])
    return bool(read == {**body, "sequence_number": 7654321, "delta": "~"})


__all__ = ["NumberedTemplate", "NumberedTemplates"]
