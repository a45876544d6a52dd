"""Context terms: hits that count only where the classifier finds their category too, in the sentence round them.

毒品 stands in a news report as in an offer; the classifier can tell the sentences apart, and the term says where to
look. A hit waits until its sentence is known, then for the score of that sentence; what follows it waits as well, what
stands before it does not. Sentences are cut by the text alone, so verdicts do not depend on chunks; those that say next
to nothing go with what follows them.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from filters.classifier import CONTEXT_CHARS, MAX_OUTSTANDING, ClassifierFilter, ClassifierScanner
from filters.turns import Judged
from filters.types import Match, Scanner, ScoreNeeded, Scores, Span

BLOCK = 32
"""A long sentence is taken in blocks of this many characters: those of the hit, one before and one after."""

SENTENCE_END = re.compile("[!?؟‼⁇⁈⁉⸮。︒︕︖﹖﹗！？｡]|\n[^\\S\n]{0,16}\n")
"""The same marks as end a sentence for matching (``filters.normalise``), or an empty line."""

LEAST_WORDS = 4
"""A sentence of fewer words goes with what follows it, else marks between words would leave a term alone: 卖！毒品！"""

_WORD = re.compile(r"[a-zA-Z0-9]+|[^\W_]")
_LONGEST_END = 18
_KEPT = 2 * BLOCK + CONTEXT_CHARS
_TIDY = 2048
_EVERYTHING = 1 << 62


def scored_by(code: str, labels: Iterable[str]) -> tuple[str, ...]:
    """The labels of a model that speak of a category.

    They are the category itself, everything below it and everything above it: that a sale is of drugs is said by the
    term, and a model is surer that there is a sale. Never a sister.
    """
    return tuple(label for label in labels if f"{label}.".startswith(f"{code}.") or code.startswith(f"{label}."))


class ContextTerms:
    """What the classifier has to say about hits of context terms, under one policy in one direction. Immutable."""

    __slots__ = ("_check", "_labels", "_thresholds", "before")

    def __init__(
        self, version: str, labels: Sequence[str], thresholds: Mapping[str, float], before: int = CONTEXT_CHARS
    ) -> None:
        """Build from a model's version and labels, and the ``context_threshold`` of each category of such terms.

        ``before`` is how many characters before a sentence are read with it: some models judge them as well.
        """
        self.before = min(before, CONTEXT_CHARS)
        self._check = ClassifierFilter(version, labels, {})
        self._labels = {code: scored_by(code, labels) for code in thresholds}
        self._thresholds = dict(thresholds)

    def open(self, classifier: ClassifierFilter | None, scanners: Sequence[Scanner]) -> ContextScanner:
        """Start on a new text.

        Args:
            classifier: asked about everything beside; ``None`` where the policy acts on none of its labels.
            scanners: those whose hits may need a score; their watermarks say what is still to come.
        """
        return ContextScanner(self, classifier, scanners)

    def knows(self, code: str) -> bool:
        """Whether the model can say anything about a category."""
        return bool(self._labels.get(code))

    def check(self, scores: Scores) -> None:
        """Refuse what is no set of probabilities.

        Raises:
            InvalidScoresError: as ``ClassifierFilter.check``.
        """
        self._check.check(scores)

    def said(self, match: Match, scores: Scores) -> tuple[float, float]:
        """What a sentence was given for the category of a hit in it, and from where on that agrees."""
        return float(max(scores[label] for label in self._labels[match.category])), self._thresholds[match.category]

    def agreed(self, match: Match, scores: Scores) -> float | None:
        """The first of these; ``None`` below the second."""
        score, threshold = self.said(match, scores)
        return score if score >= threshold else None


class Sentences:
    """The sentences of a text that arrives in chunks, as far as somebody may still ask for them."""

    __slots__ = ("_base", "_before", "_ended", "_ends", "_marked", "_text", "_words")

    def __init__(self, before: int = CONTEXT_CHARS) -> None:
        self._before = before  # characters that go with a part
        self._text = ""
        self._base = 0
        self._ends = [0]  # ascending; the first is where the sentence begins that the kept text begins in
        self._marked = 0  # where the last mark ends that could end a sentence
        self._words = 0  # from the last end of a sentence up to there
        self._ended = False

    def __len__(self) -> int:
        return len(self._text)

    @property
    def total(self) -> int:
        """How much of the text was seen."""
        return self._base + len(self._text)

    def feed(self, chunk: str) -> bool:
        """Take the next characters; whether a sentence ends among them."""
        since = max(self._marked, self.total - _LONGEST_END) - self._base
        known = len(self._ends)
        self._text += chunk
        for mark in SENTENCE_END.finditer(self._text, max(0, since)):
            self._mark(self._base + mark.end())
        return len(self._ends) > known

    def _mark(self, at: int) -> None:
        """Take a mark that ends there: a sentence ends with it too if it says enough, or is long."""
        if at - self._ends[-1] <= BLOCK:
            self._words += len(_WORD.findall(self._text, self._marked - self._base, at - self._base))
        self._marked = at
        if self._words >= LEAST_WORDS or at - self._ends[-1] > BLOCK:
            self._ends.append(at)
            self._words = 0

    def finish(self) -> None:
        """Say that no more text follows."""
        self._ended = True

    def forget(self, before: int) -> None:
        """Drop what no hit from an offset on asks for."""
        cut = before - _KEPT - self._base
        if cut > _KEPT:
            self._text = self._text[cut:]
            self._base += cut
        passed = bisect_right(self._ends, before) - 1
        if passed > 0:
            del self._ends[:passed]

    def latest(self, span: Span) -> int:
        """Where the part that is read round a span ends at the latest."""
        begin = self._ends[bisect_right(self._ends, span.start) - 1]
        return begin + ((span.end - 1 - begin) // BLOCK + 2) * BLOCK

    def around(self, span: Span) -> Span | None:
        """The sentence round a span, of a long one the part that is read; ``None`` while its end is not known."""
        begin = self._ends[bisect_right(self._ends, span.start) - 1]
        end = self.latest(span)
        following = bisect_left(self._ends, span.end)
        if following < len(self._ends) and self._ends[following] <= end:
            end = self._ends[following]
        elif self.total < end:
            if not self._ended:
                return None
            end = self.total
        return Span(begin + max(0, (span.start - begin) // BLOCK - 1) * BLOCK, end)

    def question(self, ticket: int, part: Span, hits: Iterable[Match] = ()) -> ScoreNeeded:
        """Ask about a part of the text, for these hits in it."""
        start, end = part.start - self._base, part.end - self._base
        text = self._text[start:end]
        start += len(text) - len(text.lstrip())
        return ScoreNeeded(ticket, text.strip(), self._text[max(0, start - self._before) : start], tuple(hits))


class _Hit(NamedTuple):
    """A hit that is not decided yet; numbered, for one place may be hit twice."""

    span: Span
    number: int
    match: Match


class Asked(NamedTuple):
    """The hits that wait for one answer. Should none come, that takes effect where the first of them stands."""

    hits: Sequence[_Hit]
    chars: int

    @property
    def span(self) -> Span:
        """The first hit's."""
        return min(hit.span for hit in self.hits)


class ContextScanner:
    """Asks the classifier about the sentences round context terms, and about everything else that it is asked about.

    ``take`` is told of the hits of a chunk, and ``feed`` then of the chunk itself.
    """

    __slots__ = (
        "_asked",
        "_classifier",
        "_due",
        "_hits",
        "_numbers",
        "_open",
        "_order",
        "_out",
        "_rules",
        "_scanners",
        "_sentences",
        "_taken",
        "_unsent",
    )

    def __init__(self, rules: ContextTerms, classifier: ClassifierFilter | None, scanners: Sequence[Scanner]) -> None:
        self._rules = rules
        self._numbers: Iterator[int] = count(1)
        self._classifier: ClassifierScanner | None = classifier.open(self._numbers) if classifier else None
        self._scanners = scanners
        self._sentences = Sentences(rules.before)
        self._taken = 0
        self._hits: list[_Hit] = []  # the ends of their sentences are not known yet
        self._due = 0  # none of these ends before so much text is there, unless a mark ends it
        self._asked: dict[int, Asked] = {}
        self._unsent: deque[ScoreNeeded] = deque()  # asked once there are answers: nobody's hits may fill the queue
        self._out = 0  # characters of sentences out for scoring
        self._open: set[int] = set()  # the numbers of what is not decided
        self._order: list[_Hit] = []  # the same as a heap, in which the decided ones stay until they come first

    @property
    def pending(self) -> int:
        """How many tickets wait for an answer."""
        return len(self._asked) + (self._classifier.pending if self._classifier is not None else 0)

    def reach(self, exposure: int) -> int:
        """How far the text may leave: never past a hit, whatever else may leave before it is scored."""
        reach = self._classifier.reach(exposure) if self._classifier is not None else _EVERYTHING
        first = self._first()
        return reach if first is None else min(reach, first.start)

    def take(self, match: Match) -> bool:
        """Take a hit whose sentence is to be scored; ``False`` where the model knows nothing of its category."""
        if not self._rules.knows(match.category):
            return False
        self._taken += 1
        hit = _Hit(match.span, self._taken, match)
        self._hits.append(hit)
        self._due = 0
        self._open.add(hit.number)
        heapq.heappush(self._order, hit)
        return True

    def feed(self, chunk: str) -> list[ScoreNeeded]:
        """Take the next characters, and ask about the segments and sentences that they complete."""
        asked = self._classifier.feed(chunk) if self._classifier is not None else []
        ended = self._sentences.feed(chunk)
        if self._hits and (ended or self._sentences.total >= self._due):
            asked += self._ask_sentences()
        if len(self._sentences) > _TIDY:
            waiting = (hit.span.start for hit in self._hits)
            self._sentences.forget(
                min(*(scanner.watermark for scanner in self._scanners), *waiting, self._sentences.total)
            )
        return asked

    def finish(self) -> list[ScoreNeeded]:
        """Say that no more text follows and ask about what is left."""
        asked = self._classifier.finish() if self._classifier is not None else []
        self._sentences.finish()
        return asked + self._ask_sentences()

    def ask(self) -> list[ScoreNeeded]:
        """Ask about the segments and sentences that had to wait for answers."""
        return [*(self._classifier.ask() if self._classifier is not None else ()), *self._send()]

    def _ask_sentences(self) -> list[ScoreNeeded]:
        """Ask about each sentence once, whatever stands in it."""
        ready: dict[Span, list[_Hit]] = {}
        waiting: list[_Hit] = []
        for hit in self._hits:
            part = self._sentences.around(hit.span)
            if part is None:
                waiting.append(hit)
            else:
                ready.setdefault(part, []).append(hit)
        self._hits = waiting
        self._due = min((self._sentences.latest(hit.span) for hit in waiting), default=0)
        for part, hits in ready.items():
            question = self._sentences.question(next(self._numbers), part, (hit.match for hit in hits))
            self._asked[question.ticket] = Asked(hits, len(question.text))
            self._unsent.append(question)
        return self._send()

    def _send(self) -> list[ScoreNeeded]:
        """Ask as many of the questions as may be out at once."""
        asked: list[ScoreNeeded] = []
        while self._unsent and self._out < MAX_OUTSTANDING:
            asked.append(question := self._unsent.popleft())
            self._out += len(question.text)
        return asked

    def resolve(self, ticket: int, scores: Scores) -> list[Match]:
        """Turn the scores of a segment or sentence into matches.

        Raises:
            ValueError: no such ticket is open.
            InvalidScoresError: these are no scores; the ticket stays open, to be failed.
        """
        if ticket not in self._asked:
            return self._of_segments(ticket).resolve(ticket, scores)
        self._rules.check(scores)
        told = [(hit.match, self._rules.agreed(hit.match, scores)) for hit in self._close(ticket).hits]
        return [match._replace(agreed=score) for match, score in told if score is not None]

    def close(self, ticket: int) -> Judged:
        """Take a ticket off, answered or not.

        Raises:
            ValueError: no such ticket is open.
        """
        return self._close(ticket) if ticket in self._asked else self._of_segments(ticket).close(ticket)

    def _close(self, ticket: int) -> Asked:
        asked = self._asked.pop(ticket)
        self._out -= asked.chars
        self._open.difference_update(hit.number for hit in asked.hits)
        return asked

    def _of_segments(self, ticket: int) -> ClassifierScanner:
        if self._classifier is None:
            msg = f"ticket {ticket} is not open"
            raise ValueError(msg)
        return self._classifier

    def comes_after(self, start: int, end: int) -> bool:
        """Tell whether everything still to come is certain to follow a match of ``[start, end)`` in canonical order."""
        first = self._first()
        if first is not None and first <= (start, end):
            return False
        return self._classifier is None or self._classifier.comes_after(start, end)

    def _first(self) -> Span | None:
        """Where the first hit stands that is not decided."""
        while self._order and self._order[0].number not in self._open:
            heapq.heappop(self._order)
        return self._order[0].span if self._order else None
