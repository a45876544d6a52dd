"""Texts of a stream that repeat themselves in every frame, with more at the end: running totals.

What was said before is a ``Repeat`` and only what is new is judged, so a stream costs no more than its bytes. A total
that changes what it said before is judged anew, whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.protocols.types import ChannelKey, Path, Repeat

SAID = "said before"
"""Marks the path of a repeat, for the new text stands at the same path."""


@dataclass(slots=True)
class _Span:
    """A piece of a total: characters ``[start, start + length)`` of a channel."""

    key: ChannelKey
    start: int
    length: int


@dataclass(slots=True)
class RunningTotal:
    """One text that grows."""

    raw: str = ""  # as it stood in the last frame
    view: str = ""  # as it is moderated: of a JSON document, decoded
    rewrites: int = 0
    _spans: list[_Span] = field(default_factory=list)

    def tail(self, raw: str) -> str | None:
        """What is new in the text of a frame; ``None`` where it does not begin with what it was."""
        return raw[len(self.raw) :] if raw.startswith(self.raw) else None

    def restart(self) -> None:
        """What follows does not go on where the text was."""
        self.raw = self.view = ""
        self.rewrites += 1
        self._spans.clear()

    def repeats(self, path: Path) -> list[Repeat]:
        """What a frame says again at this path."""
        found = []
        at = 0
        for number, span in enumerate(self._spans):
            text = self.view[at : at + span.length]
            found.append(Repeat(span.key, (*path, SAID, number), text, span.start))
            at += span.length
        return found

    def add(self, key: ChannelKey, start: int, raw: str, text: str) -> None:
        """A frame's text became ``raw``, and ``text`` was said at ``start`` of a channel."""
        self.raw = raw
        self.view += text
        last = self._spans[-1] if self._spans else None
        if last is not None and last.key == key and last.start + last.length == start:
            last.length += len(text)
        elif text:
            self._spans.append(_Span(key, start, len(text)))


def real(path: Path) -> Path:
    """Where in the frame a text stands, whether it is new or said again."""
    return path[:-2] if len(path) > 1 and path[-2] == SAID else path


__all__ = ["SAID", "RunningTotal", "real"]
