"""Deciding on the texts of a whole body: each text by itself, texts that their reader sees as one together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from filters.ruleset import Ruleset
from filters.types import Action, Decision, Direction, Filter, Match, OnError, Scores, Span
from gateway.deadline import OneDeadline
from gateway.inference import InferenceError
from gateway.judge import CHUNK, judge
from gateway.logs import get_logger
from gateway.protocols.types import WHOLE, Edit, Path, TextPart
from gateway.proxy.ports import Scorer
from models.types import Segment

_log = get_logger("gateway.proxy")
T = TypeVar("T")

LARGE = 128 * 1024
"""Bytes of a body that is read beside the event loop."""
MAX_TEXTS = 100_000
"""Texts in one body; what holds more cannot be judged in a useful time, so the policy's ``unknown`` decides."""
AT_ONCE = 32
"""Texts whose questions to the classifier are asked together."""


@dataclass(slots=True)
class Finding:
    """A text about which something was decided: its parts, joined, and the decision with offsets into them."""

    parts: Sequence[TextPart]
    text: str
    decision: Decision

    @property
    def choice(self) -> int:
        """The choice that the text belongs to."""
        return self.parts[0].choice

    @property
    def channel(self) -> str:
        """What kind of text it is."""
        return self.parts[0].channel

    @property
    def gravest(self) -> Match | None:
        """The match to show: the first of those with the strongest action."""
        return max(self.decision.matches, key=lambda match: match.action or Action.ALLOW, default=None)

    def edits(self) -> list[Edit]:
        """The parts with every masked character replaced by ``*``, those that change."""
        spans = sorted(match.span for match in self.decision.matches if match.action is Action.MASK)
        edits = []
        start = first = 0
        for part in self.parts:
            end = start + len(part.text)
            while first < len(spans) and spans[first].end <= start:
                first += 1
            last = first
            while last < len(spans) and spans[last].start < end:
                last += 1
            masked = mask(part.text, start, spans[first:last])
            if masked != part.text:
                edits.append(Edit(part.path, masked))
            start = end
        return edits


@dataclass(slots=True)
class Findings:
    """Everything that was found in one body."""

    items: list[Finding] = field(default_factory=list)

    @property
    def action(self) -> Action:
        """What is done."""
        return max((item.decision.action for item in self.items), default=Action.ALLOW)

    @property
    def would(self) -> Action:
        """What enforcing would have done."""
        return max((item.decision.would_action for item in self.items), default=Action.ALLOW)

    @property
    def degraded(self) -> bool:
        """Whether ``on_error`` decided somewhere."""
        return any(item.decision.degraded for item in self.items)

    @property
    def categories(self) -> list[str]:
        """Of the texts that are blocked, else of all; highest score first."""
        blocked = [item for item in self.items if item.decision.would_action is Action.BLOCK] or self.items
        best: dict[str, float] = {}
        for item in blocked:
            for code, score in item.decision.categories.items():
                best[code] = max(score, best.get(code, 0.0))
        return sorted(best, key=lambda code: (-best[code], code))

    @property
    def blocked_paths(self) -> list[Path]:
        """Where the texts that are blocked stand."""
        blocked = [item for item in self.items if item.decision.would_action is Action.BLOCK]
        return [part.path for item in blocked for part in item.parts]

    def edits(self) -> list[Edit]:
        """Replacements for everything that is masked."""
        return [edit for item in self.items for edit in item.edits()]


def mask(text: str, start: int, spans: Iterable[Span]) -> str:
    """``text``, which stands at offset ``start``, with the characters of these spans replaced by ``*``.

    Args:
        text: any part of a longer text.
        start: where in that text it begins.
        spans: in the order of their starts.
    """
    pieces: list[str] = []
    at = 0
    for span in spans:
        left, right = max(span.start - start, at), min(span.end - start, len(text))
        if left < right:
            pieces += text[at:left], "*" * (right - left)
            at = right
    return "".join((*pieces, text[at:]))


async def aside(size: int, step: Callable[[], T]) -> T:
    """Take one step over a body of ``size`` bytes; over a large one in a thread, so that streams beside it go on."""
    return step() if size < LARGE else await asyncio.to_thread(step)


def joined(parts: Sequence[TextPart]) -> list[list[TextPart]]:
    """Parts grouped into texts: one that continues its predecessor belongs to the same text."""
    groups: list[list[TextPart]] = []
    for part in parts:
        if part.continues and groups:
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _text_of(parts: Sequence[TextPart]) -> str:
    return parts[0].text if len(parts) == 1 else "".join(part.text for part in parts)


async def decide(
    ruleset: Ruleset, direction: Direction, profile: str | None, parts: Sequence[TextPart], scorer: Scorer
) -> Findings:
    """Judge every text of a body; only those with a decision other than a plain allow are returned."""
    findings = Findings()
    groups = joined(parts)
    scorer = OneDeadline(scorer)
    for start in range(0, len(groups), AT_ONCE):
        if start:
            await asyncio.sleep(0)  # a body of very many texts must not stop the streams beside it
        suspects, known = await _suspects(ruleset, direction, profile, groups[start : start + AT_ONCE], scorer)
        if len(suspects) < 2:
            decided = [await _judge(ruleset, direction, profile, group, known) for group in suspects]
        else:
            decided = await asyncio.gather(*(_judge(ruleset, direction, profile, group, known) for group in suspects))
        findings.items += [finding for finding in decided if finding is not None]
    return findings


async def _suspects(
    ruleset: Ruleset, direction: Direction, profile: str | None, groups: list[list[TextPart]], scorer: Scorer
) -> tuple[list[list[TextPart]], Scorer]:
    """The texts in which something may be found, and what scores them.

    Nearly all texts are short and clean, and need no engine: no filter finds anything, no score reaches a threshold.
    Whatever is not as plain as that is left to the engine, which judges anew.
    """
    policy = ruleset.policy.profile(profile)
    filters = ruleset.filters_for(policy, direction)
    classifier = ruleset.classifier(policy, direction)
    suspects: list[int] = []
    asked: list[tuple[int, list[Segment]]] = []
    for number, group in enumerate(groups):
        text = _text_of(group)
        if not _is_quiet(filters, text):
            suspects.append(number)
        elif classifier is not None:
            segments = [Segment(segment.text, segment.context) for segment in classifier.segments(text)]
            if segments:
                asked.append((number, segments))
    known: dict[Segment, Scores] = {}
    if classifier is not None and asked:
        try:
            scores = iter(await scorer.score([segment for _, segments in asked for segment in segments]))
        except InferenceError as error:
            return groups, _Failing(error)
        for number, segments in asked:
            found = [next(scores) for _ in segments]
            if not all(map(classifier.is_quiet, found)):
                suspects.append(number)
                known.update(zip(segments, found, strict=True))
    in_order = [groups[number] for number in sorted(suspects)]  # as the body has them: so they are told and recorded
    return in_order, _Known(known, scorer) if known else scorer


def _is_quiet(filters: Sequence[Filter], text: str) -> bool:
    """Whether no filter but the classifier finds anything in a short text.

    ``False`` says only that somebody has to look: a filter that raises here raises there again, where policy decides.
    """
    if len(text) > CHUNK:
        return False
    try:
        for filter_ in filters:
            scanner = filter_.open()
            if scanner.feed(text) or scanner.finish():
                return False
    except Exception:  # noqa: BLE001 - judged again by the engine, which has a policy for it
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Known:
    """Answers with the scores that are known already."""

    scores: Mapping[Segment, Scores]
    scorer: Scorer

    async def score(self, segments: Sequence[Segment], deadline_s: float | None = None) -> list[Scores]:
        if all(segment in self.scores for segment in segments):
            return [self.scores[segment] for segment in segments]
        return await self.scorer.score(segments, deadline_s)


@dataclass(frozen=True, slots=True)
class _Failing:
    """Fails as the scorer has failed already: nobody waits for a second deadline."""

    error: InferenceError

    async def score(self, _segments: Sequence[Segment], _deadline_s: float | None = None) -> list[Scores]:
        raise type(self.error)(*self.error.args)  # raised again and again, one would grow with each text


async def _judge(
    ruleset: Ruleset, direction: Direction, profile: str | None, parts: list[TextPart], scorer: Scorer
) -> Finding | None:
    text = _text_of(parts)
    if not text:
        return None
    stream = ruleset.open(direction, profile, stop_at_block=False)
    decision = (await judge(stream, text, scorer)).decision
    if decision.would_action is Action.ALLOW and not decision.degraded:
        return None
    return Finding(parts, text, decision)


async def decide_guarded(
    ruleset: Ruleset, direction: Direction, profile: str | None, parts: Sequence[TextPart], scorer: Scorer
) -> Findings:
    """Like ``decide``; where anything raises, the policy's ``on_error`` decides on the whole body."""
    try:
        return await decide(ruleset, direction, profile, parts, scorer)
    except Exception as error:  # noqa: BLE001 - whatever a filter raises, the policy decides; it is never a silent pass
        _log.error("moderation_failed", error=type(error).__name__)  # its message may quote the text
        policy = ruleset.policy.profile(profile)
        would = Action.BLOCK if policy.on_error[direction] is OnError.BLOCK else Action.FLAG
        action = would if policy.enforce else min(would, Action.FLAG)
        decision = Decision(action, would, (), ruleset.version, ruleset.model_version, degraded=True)
        return Findings([Finding([TextPart((), "other", "", WHOLE)], "", decision)])
