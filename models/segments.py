"""The cut that serving makes: short segments, each with the text before it.

The engine cuts streams in the same way (it lives in another package, which this one must not import); a test holds the
two together. Training, calibration and evaluation use it, so that what is measured is what serves.
"""

from __future__ import annotations

import unicodedata

from models.types import Segment

MAX_SEGMENT_CHARS = 24
MAX_CONTEXT_CHARS = 64
CLAUSE_ENDS = frozenset("，。！？；：、,.!?;:\n…")


def bounds(text: str, limit: int = MAX_SEGMENT_CHARS) -> list[tuple[int, int]]:
    """Start and end of each segment: it ends after clause punctuation, or after ``limit`` characters."""
    cuts: list[tuple[int, int]] = []
    start = 0
    for index, char in enumerate(text, start=1):
        if char in CLAUSE_ENDS or index - start == limit:
            cuts.append((start, index))
            start = index
    if start < len(text):
        cuts.append((start, len(text)))
    return cuts


def cut(text: str) -> list[Segment]:
    """The segments that would be scored, without the blanks round them; those with nothing to judge are left out."""
    return [_segment(text, start, end) for start, end in bounds(text) if _scorable(text[start:end])]


def _segment(text: str, start: int, end: int) -> Segment:
    raw = text[start:end]
    at = start + len(raw) - len(raw.lstrip())
    return Segment(raw.strip(), text[max(0, at - MAX_CONTEXT_CHARS) : at])


def _scorable(text: str) -> bool:
    return any(char.isalnum() or unicodedata.category(char) == "So" for char in text)
