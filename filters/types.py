"""The vocabulary that every filter, the policy and the engine share.

Everything here is immutable and free of I/O, so a value may cross threads, processes and tests unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple, Protocol

Scores = Mapping[str, float]
"""Category code -> calibrated probability in [0, 1]. The only thing filters know of a model."""


class Action(IntEnum):
    """What is done with a text, weakest first, so that ``max()`` of several actions is the one that counts."""

    ALLOW = 0
    FLAG = 1
    MASK = 2
    BLOCK = 3

    @property
    def label(self) -> str:
        """The lower-case name used in headers, JSON, YAML and the store."""
        return self.name.lower()

    @classmethod
    def parse(cls, label: str) -> Action:
        """Read a label.

        Raises:
            ValueError: the label names no action.
        """
        try:
            return cls[label.upper()]
        except KeyError:
            names = ", ".join(action.label for action in cls)
            msg = f"unknown action {label!r}: use one of {names}"
            raise ValueError(msg) from None


class Direction(StrEnum):
    """Which way the text travels: from the client to the model, or back."""

    INPUT = "input"
    OUTPUT = "output"


class Source(StrEnum):
    """Which kind of filter found a match."""

    KEYWORD = "keyword"
    TOKENISED = "tokenised"
    PATTERN = "pattern"
    CLASSIFIER = "classifier"


class OnError(StrEnum):
    """What a policy wants done where a filter failed or ran out of time."""

    BLOCK = "block"
    PASS = "pass"  # noqa: S105 - no password: the policy's word for letting through


class Span(NamedTuple):
    """A half-open range ``[start, end)`` of character offsets into the original text."""

    start: int
    end: int


class Match(NamedTuple):
    """One finding, with its *why*. A tuple, because a text may hold thousands, and these are the cheapest to make.

    ``rule`` says which rule fired: a lexicon term as its owner wrote it, or a classifier's ``model version``.
    ``action`` is the term's own action where it has one; ``None`` leaves it to the policy.
    ``score`` is the calibrated probability for a classifier; for a lexicon match 1.0, less the more it is disguised.
    ``how`` names the readings that the term was found through (``sound``, ``pinyin``); empty where it stands as it is.
    ``needs`` marks a context term, which counts only where the classifier finds its category in the sentence too;
    ``agreed`` is what it gave that sentence, ``None`` where there was nobody to ask.
    """

    span: Span
    category: str
    source: Source
    rule: str
    score: float = 1.0
    action: Action | None = None
    how: tuple[str, ...] = ()
    needs: bool = False
    agreed: float | None = None

    @property
    def order(self) -> tuple[int, int, str, str]:
        """The canonical order of matches: by start, then end, then category and rule."""
        return (self.span.start, self.span.end, self.category, self.rule)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on one text, and by which version of what.

    ``action`` is what is done; ``would_action`` what enforcing would have done (they differ in monitor mode only).
    ``matches`` are in canonical order and carry the action that was resolved for each.
    ``degraded`` is true where a filter failed and the policy's ``on_error`` decided in its place.
    """

    action: Action
    would_action: Action
    matches: tuple[Match, ...]
    ruleset_version: str
    model_version: str | None
    degraded: bool = False

    @property
    def categories(self) -> dict[str, float]:
        """Category code -> highest score among the matches, in order of falling score."""
        best: dict[str, float] = {}
        for match in self.matches:
            best[match.category] = max(match.score, best.get(match.category, 0.0))
        return dict(sorted(best.items(), key=lambda item: (-item[1], item[0])))


class Scanner(Protocol):
    """One filter's state over one text that arrives in chunks. Offsets are absolute in the original text."""

    watermark: int
    """No match that is still to be returned will begin before this offset."""

    def feed(self, chunk: str) -> Sequence[Match]:
        """Take the next characters and return the matches that became certain, in canonical order."""

    def finish(self) -> Sequence[Match]:
        """Say that no more text follows; afterwards ``watermark`` is the length of the text."""


class Filter(Protocol):
    """An immutable rule set that can be opened any number of times, concurrently."""

    def open(self) -> Scanner:
        """Start scanning a new text."""


# --- events of the engine (filters.stream) -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cleared:
    """The characters before ``upto`` may leave (masked spans replaced). Never decreases."""

    upto: int


@dataclass(frozen=True, slots=True)
class ScoreNeeded:
    """The engine asks for classifier scores of ``text``; answer with ``resolve(ticket, scores)`` or ``fail(ticket)``.

    ``context`` is the text directly before it, for the model to read but not to judge. ``terms`` are the hits of
    context terms for which alone a sentence is asked about: its scores decide about them and about nothing else.
    """

    ticket: int
    text: str
    context: str
    terms: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class Masked:
    """The characters of ``match.span`` must be replaced by ``*``; comes before the ``Cleared`` that passes them."""

    match: Match


@dataclass(frozen=True, slots=True)
class Flagged:
    """Deliver, but record. In monitor mode every match comes as this, with the action it would have had."""

    match: Match


@dataclass(frozen=True, slots=True)
class Blocked:
    """Terminal: nothing from offset ``at`` on may leave. What is before it was cleared."""

    at: int
    decision: Decision


Event = Cleared | ScoreNeeded | Masked | Flagged | Blocked


class StreamEndedError(RuntimeError):
    """Text for a stream that has ended: it was blocked, finished, or one of its filters raised."""
