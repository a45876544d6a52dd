"""The cuts that serving makes: pieces of a text, each with the text before it.

The engine cuts streams in the same way (it lives in another package, which this one must not import); a test holds the
two together. Training, calibration and evaluation use it, so that what is measured is what serves.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from models.types import Segment


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a text is cut.

    Attributes:
        chars: of a segment at most.
        context: characters before a segment that go with it.
        ends: after which a segment ends before it is full.
        least: characters of a segment that ends so.
    """

    chars: int
    context: int
    ends: frozenset[str]
    least: int


ANSWERS = Cutting(24, 64, frozenset("，。！？；：、,.!?;:\n…"), 1)
"""Text that is held back until it is scored: clauses."""
PROMPTS = Cutting(96, 24, frozenset("。！？.!?\n…"), 48)
"""Text that is there whole: sentences."""


def bounds(text: str, cutting: Cutting = ANSWERS) -> list[tuple[int, int]]:
    """Start and end of each segment."""
    cuts: list[tuple[int, int]] = []
    start = 0
    for index, char in enumerate(text, start=1):
        length = index - start
        if length == cutting.chars or (length >= cutting.least and char in cutting.ends):
            cuts.append((start, index))
            start = index
    if start < len(text):
        cuts.append((start, len(text)))
    return cuts


def cut(text: str, cutting: Cutting = ANSWERS) -> list[Segment]:
    """The segments that would be scored, without the blanks round them; those with nothing to judge are left out."""
    found = bounds(text, cutting)
    return [_segment(text, start, end, cutting.context) for start, end in found if _scorable(text[start:end])]


def _segment(text: str, start: int, end: int, context: int) -> Segment:
    raw = text[start:end]
    at = start + len(raw) - len(raw.lstrip())
    return Segment(raw.strip(), text[max(0, at - context) : at])


def _scorable(text: str) -> bool:
    return any(char.isalnum() or unicodedata.category(char) == "So" for char in text)
