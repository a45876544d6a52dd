"""Cuts text into segments, asks for their scores, and turns scores into matches.

Segments are a function of the text alone, never of chunk arrival or of a clock, so verdicts do not depend on chunking.
The scores themselves are asked for as data and come back from outside: nothing here knows of a model.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from math import isfinite

from filters.types import Match, ScoreNeeded, Scores, Source, Span

SEGMENT_CHARS = 24
"""A segment ends after this many characters where no clause ends before: it bounds how long clean text is held."""

CONTEXT_CHARS = 64
"""Characters directly before a segment that are given to the model to read, not to judge; of the shipped one's, three
Latin ones are one."""

CLAUSE_ENDS = "，。！？；：、,.!?;:\n…"
"""A segment ends after each of these."""

MAX_OUTSTANDING = 4096
"""Characters of segments that may be out for scoring at once; what follows is cut when answers come back."""

CLAUSES = re.compile(f"[{re.escape(CLAUSE_ENDS)}]")
SENTENCES = re.compile("[。！？.!?\n…]")
LENGTHS = re.compile("(?!)")
"""Where segments end before they are full: after a clause, after a sentence, nowhere."""
_LATIN = "\0-\u024f\u1e00-\u1eff\u2010-\u2027"
"""Latin letters with their blanks, digits and signs, typographic quotes and dashes among them."""
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


class InvalidScoresError(ValueError):
    """Scores with a label missing, or with something that is no probability."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a text is cut.

    Attributes:
        chars: of a segment at most.
        context: characters before a segment that go with it.
        ends: where a segment ends before it is full.
        least: characters of a segment that ends so.
        latin: how many Latin characters in a row (letters, digits, signs, blanks) count as one of a segment.
        latin_context: the same for its context.
    """

    chars: int = SEGMENT_CHARS
    context: int = CONTEXT_CHARS
    ends: re.Pattern[str] = CLAUSES
    least: int = 1
    latin: int = 1
    latin_context: int = 1

    @property
    def longest(self) -> int:
        """Characters of a segment and its context at most, each counted."""
        return self.chars * self.latin + self.context * self.latin_context

    def reach(self, text: str, start: int, count: int) -> int:
        """Where so many characters end of a segment that begins at ``start``, Latin ones counted together."""
        return _reach(text, start, count, self.latin)

    def before(self, text: str, at: int) -> str:
        """The context of a segment whose text begins at ``at``."""
        around = text[max(0, at - self.context * self.latin_context) : at]
        return around[len(around) - _reach(around[::-1], 0, self.context, self.latin_context) :]


def _reach(text: str, start: int, count: int, latin: int) -> int:
    if latin == 1:
        return min(len(text), start + count)
    found = _run(count, latin).match(text, start)
    return start if found is None else found.end()


@cache
def _run(count: int, latin: int) -> re.Pattern[str]:
    """So many characters, or as many as there are; of Latin ones in a row up to ``latin`` are one."""
    return re.compile(f"(?:[{_LATIN}]{{1,{latin}}}+|[^{_LATIN}]){{0,{count}}}+")


CUTTING = Cutting(latin_context=3)
"""Answers, for the shipped classifier: what is not scored yet is held back, so the pieces are short."""

PROMPT_CUTTING = Cutting(96, 24, SENTENCES, 48, latin=3, latin_context=3)
"""Prompts, for the same: nothing of them leaves before all is scored, so it reads them in pieces that say more. Harm
that is spread over clauses is found more surely so, and a text takes fewer questions. A word of English takes more
characters than one of Chinese to say as much."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch ``[start, end)`` of the text that is scored in one piece.

    ``span`` and ``text`` leave out the blanks round it; ``context`` is the text directly before ``span``.
    """

    start: int
    end: int
    span: Span
    text: str
    context: str

    @property
    def scorable(self) -> bool:
        """Whether there is anything to judge: blanks and punctuation alone are not."""
        if _LETTER_OR_DIGIT.search(self.text):
            return True
        return any(unicodedata.category(char) == "So" for char in self.text)  # emoji can be lewd on their own


class Segmenter:
    """Cuts text that arrives in chunks. Keeps the segment being gathered, its context and what is not cut yet."""

    __slots__ = ("_base", "_buffer", "_cutting", "_finished", "_longest", "_looked", "start")

    def __init__(self, cutting: Cutting = CUTTING) -> None:
        self._cutting = cutting
        self._longest = cutting.chars * cutting.latin
        self.start = 0
        self._base = 0  # offset in the text of the buffer's first character
        self._buffer = ""
        self._looked = 0  # characters of the current segment known to hold no end
        self._finished = False

    def feed(self, chunk: str) -> None:
        """Take the next characters; ``cut`` gives what they complete."""
        spare = self.start - self._base - self._cutting.context * self._cutting.latin_context
        if spare > 0:
            self._buffer = self._buffer[spare:]
            self._base += spare
        self._buffer += chunk

    def finish(self) -> None:
        """Say that no more text follows: what is gathered is a segment."""
        self._finished = True

    def cut(self) -> Segment | None:
        """Give the next complete segment, or ``None`` while more text is needed."""
        begin = self.start - self._base
        cutting = self._cutting
        limit = cutting.reach(self._buffer, begin, cutting.chars)
        skipped = cutting.reach(self._buffer, begin, cutting.least - 1)
        hit = cutting.ends.search(self._buffer, max(begin + self._looked, skipped), limit)
        # A last character at the end of what came may be Latin, and take in what follows.
        full = limit - begin == self._longest or limit < len(self._buffer) or (self._finished and limit > begin)
        if hit is None and not full:
            self._looked = limit - begin
            return None
        return self._take(begin, limit if hit is None else hit.end())

    def _take(self, begin: int, end: int) -> Segment:
        raw = self._buffer[begin:end]
        text = raw.strip()
        at = begin + len(raw) - len(raw.lstrip()) if text else begin
        span = Span(self._base + at, self._base + at + len(text))
        segment = Segment(self._base + begin, self._base + end, span, text, self._cutting.before(self._buffer, at))
        self.start = segment.end
        self._looked = 0
        return segment

    def gathered(self) -> Span:
        """Tell where the current segment's content begins and how far it reaches so far, blanks left out."""
        begin = self.start - self._base
        raw = self._buffer[begin : self._cutting.reach(self._buffer, begin, self._cutting.chars)]
        at = self.start + len(raw) - len(raw.lstrip())
        return Span(at, at + len(raw.strip()))


class ClassifierScanner:
    """The classifier's state over one text. Answers may come in any order; ``watermark`` moves as they allow."""

    __slots__ = ("_dry", "_filter", "_numbers", "_open", "_order", "_out", "_segmenter")

    def __init__(self, classifier: ClassifierFilter, numbers: Iterator[int] | None = None) -> None:
        self._filter = classifier
        self._segmenter = Segmenter(classifier.cutting)
        self._open: dict[int, Segment] = {}
        self._order: deque[tuple[int, Segment]] = deque()  # in the text's order; its head is not answered yet
        self._numbers = count(1) if numbers is None else numbers  # of tickets; who asks beside this one shares them
        self._out = 0  # characters out for scoring
        self._dry = True  # nothing more can be cut of what was fed

    @property
    def pending(self) -> int:
        """How many tickets wait for an answer."""
        return len(self._open)

    @property
    def watermark(self) -> int:
        """No classifier match that is still to come will begin before this offset."""
        return self._order[0][1].start if self._order else self._segmenter.start

    def reach(self, exposure: int) -> int:
        """How far a text may leave if so many characters may do so before they are scored."""
        return self.watermark + exposure

    def feed(self, chunk: str) -> list[ScoreNeeded]:
        """Take the next characters and ask for the segments that they complete."""
        self._segmenter.feed(chunk)
        self._dry = False
        return self.ask()

    def finish(self) -> list[ScoreNeeded]:
        """Say that no more text follows and ask for what is left."""
        self._segmenter.finish()
        self._dry = False
        return self.ask()

    def ask(self) -> list[ScoreNeeded]:
        """Cut and ask for as many segments as may be out at once."""
        asked: list[ScoreNeeded] = []
        while not self._dry and self._out < MAX_OUTSTANDING:
            segment = self._segmenter.cut()
            if segment is None:
                self._dry = True
                break
            if segment.scorable:
                asked.append(self._ticket(segment))
        return asked

    def _ticket(self, segment: Segment) -> ScoreNeeded:
        ticket = next(self._numbers)
        self._open[ticket] = segment
        self._order.append((ticket, segment))
        self._out += len(segment.text)
        return ScoreNeeded(ticket, segment.text, segment.context)

    def resolve(self, ticket: int, scores: Scores) -> list[Match]:
        """Turn the scores of one segment into matches, one a category at or over its threshold.

        Raises:
            ValueError: no such ticket is open.
            InvalidScoresError: these are no scores; the ticket stays open, to be failed.
        """
        if ticket not in self._open:
            msg = f"ticket {ticket} is not open"
            raise ValueError(msg)
        self._filter.check(scores)
        return self._filter.matches(self.close(ticket).span, scores)

    def close(self, ticket: int) -> Segment:
        """Take a ticket off, answered or not.

        Raises:
            ValueError: no such ticket is open.
        """
        segment = self._open.pop(ticket, None)
        if segment is None:
            msg = f"ticket {ticket} is not open"
            raise ValueError(msg)
        self._out -= len(segment.text)
        while self._order and self._order[0][0] not in self._open:
            self._order.popleft()
        return segment

    def comes_after(self, start: int, end: int) -> bool:
        """Tell whether everything still to come is certain to follow a match of ``[start, end)`` in canonical order."""
        nearest = self._order[0][1].span if self._order else self._segmenter.gathered()
        return (start, end) < (nearest.start, nearest.end)


class ClassifierFilter:
    """Thresholds of one policy and direction over the labels of one model. Immutable."""

    __slots__ = ("_label_set", "_labels", "_lowest", "_thresholds", "cutting", "version")

    def __init__(
        self, version: str, labels: Sequence[str], thresholds: Mapping[str, float], cutting: Cutting = CUTTING
    ) -> None:
        """Build from a model's version and labels, and the thresholds of those labels that anything is done about."""
        self.version = version
        self.cutting = cutting
        self._labels = tuple(labels)
        self._label_set = frozenset(labels)
        self._thresholds = tuple(sorted((label, thresholds[label]) for label in labels if label in thresholds))
        self._lowest = min((threshold for _, threshold in self._thresholds), default=2.0)

    def segments(self, text: str) -> list[Segment]:
        """Everything of a whole text that would be asked for."""
        segmenter = Segmenter(self.cutting)
        segmenter.feed(text)
        segmenter.finish()
        found = []
        while (segment := segmenter.cut()) is not None:
            if segment.scorable:
                found.append(segment)
        return found

    def is_quiet(self, scores: Scores) -> bool:
        """Whether these are scores of every label, and none reaches its threshold."""
        try:
            self.check(scores)
        except InvalidScoresError:
            return False
        return max(scores.values()) < self._lowest or not any(scores[label] >= at for label, at in self._thresholds)

    def open(self, numbers: Iterator[int] | None = None) -> ClassifierScanner:
        """Start on a new text; ``numbers`` are for its tickets."""
        return ClassifierScanner(self, numbers)

    def check(self, scores: Scores) -> None:
        """Refuse what is no set of probabilities: a wrong number must fail, not pass, and NaN compares as neither.

        Raises:
            InvalidScoresError: a label is missing, or its score is no finite number in [0, 1].
        """
        if len(scores) == len(self._labels):
            try:
                values = scores.values()
                bounded = min(values) >= 0.0 and max(values) <= 1.0 and isfinite(sum(values))  # only the sum knows NaN
                if bounded and scores.keys() == self._label_set:
                    return
            except (TypeError, ValueError):
                pass  # not numbers, or none at all: said below
        for label in self._labels:
            try:
                valid = 0.0 <= scores[label] <= 1.0
            except (KeyError, TypeError):
                valid = False
            if not valid:
                msg = f"no probability for {label}"
                raise InvalidScoresError(msg)

    def matches(self, span: Span, scores: Scores) -> list[Match]:
        """List the categories at or over their thresholds as matches of ``span``, in canonical order."""
        return [
            Match(span, label, Source.CLASSIFIER, self.version, float(scores[label]))
            for label, threshold in self._thresholds
            if scores[label] >= threshold
        ]
