"""The cuts that serving makes: pieces of a text, each with the text before it.

The engine cuts streams in the same way (it lives in another package, which this one must not import); a test holds the
two together. Training, calibration and evaluation use it, so that what is measured is what serves.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from models.types import Segment

_LATIN = "\0-\u024f\u1e00-\u1eff\u2010-\u2027"


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a text is cut.

    Attributes:
        chars: of a segment at most.
        context: characters before a segment that go with it.
        ends: after which a segment ends before it is full.
        least: characters of a segment that ends so.
        latin: how many Latin characters in a row (letters, digits, signs, blanks) count as one of a segment.
        latin_context: the same for its context.
    """

    chars: int
    context: int
    ends: re.Pattern[str]
    least: int
    latin: int = 1
    latin_context: int = 1


ANSWERS = Cutting(24, 64, re.compile("[，。！？；：、,.!?;:\n…]"), 1, latin_context=3)
"""Text that is held back until it is scored: clauses."""
PROMPTS = Cutting(96, 24, re.compile("[。！？.!?\n…]"), 48, latin=3, latin_context=3)
"""Text that is there whole: sentences."""


def bounds(text: str, cutting: Cutting = ANSWERS) -> list[tuple[int, int]]:
    """Start and end of each segment."""
    cuts: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        full = reach(text, start, cutting.chars, cutting.latin)
        end = cutting.ends.search(text, reach(text, start, cutting.least - 1, cutting.latin), full)
        cuts.append((start, full if end is None else end.end()))
        start = cuts[-1][1]
    return cuts


def reach(text: str, start: int, count: int, latin: int) -> int:
    """Where so many characters from ``start`` end, of which ``latin`` Latin ones in a row count as one."""
    if latin == 1:
        return min(len(text), start + count)
    found = _run(count, latin).match(text, start)
    return start if found is None else found.end()


@cache
def _run(count: int, latin: int) -> re.Pattern[str]:
    return re.compile(f"(?:[{_LATIN}]{{1,{latin}}}+|[^{_LATIN}]){{0,{count}}}+")


def context_before(text: str, at: int, cutting: Cutting = ANSWERS) -> str:
    """What goes with a segment whose text begins at ``at``."""
    before = text[max(0, at - cutting.context * cutting.latin_context) : at]
    return before[len(before) - reach(before[::-1], 0, cutting.context, cutting.latin_context) :]


def cut(text: str, cutting: Cutting = ANSWERS) -> list[Segment]:
    """The segments that would be scored, without the blanks round them; those with nothing to judge are left out."""
    found = bounds(text, cutting)
    return [_segment(text, start, end, cutting) for start, end in found if _scorable(text[start:end])]


def _segment(text: str, start: int, end: int, cutting: Cutting) -> Segment:
    raw = text[start:end]
    at = start + len(raw) - len(raw.lstrip())
    return Segment(raw.strip(), context_before(text, at, cutting))


def _scorable(text: str) -> bool:
    return any(char.isalnum() or unicodedata.category(char) == "So" for char in text)
