"""Judging a whole text: the engine's questions to the classifier answered, to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from filters.stream import ModerationStream
from filters.types import Decision, Event, ScoreNeeded, Scores
from gateway.deadline import OneDeadline
from gateway.inference import InferenceError
from gateway.logs import get_logger
from models.types import Segment

_log = get_logger("gateway.judge")

CHUNK = 4096
"""Characters between two turns of the event loop: a long text must not stop the streams beside it."""


class Scorer(Protocol):
    """What gives scores: ``gateway.inference.Inference``."""

    async def score(self, segments: Sequence[Segment], deadline_s: float | None = None) -> list[Scores]:
        """Scores in the order of the segments, or ``InferenceError``."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision on a text, and (``keep_scores``) the highest score that each category was given anywhere in it.

    What a sentence was given only because a context term stands in it does not count: where the policy has no use for
    the classifier otherwise, a few sentences would speak for the whole text.
    """

    decision: Decision
    scores: dict[str, float]


async def judge(
    stream: ModerationStream, text: str, scorer: Scorer, *, whole: bool = True, keep_scores: bool = False
) -> Judgement:
    """Feed a whole text through a stream that was opened with ``stop_at_block=False``.

    With ``whole=False`` more text may follow: the decision is what is certain so far, and ``stream.cleared`` says how
    much may leave.

    Where the classifier or a filter fails, the stream's policy decides (``on_error``) and the decision says
    ``degraded``. The text has one deadline, however long it is. Scores are kept only where somebody wants them: it
    costs more than to read them.
    """
    best: dict[str, float] | None = {} if keep_scores else None
    scorer = OneDeadline(scorer)
    for start in range(0, len(text), CHUNK):
        if stream.done:
            break
        await _answer(stream, _guarded(stream, text[start : start + CHUNK]), scorer, best)
        if start:
            await asyncio.sleep(0)
    if whole and not stream.done:
        await _answer(stream, _guarded(stream, None), scorer, best)
    return Judgement(stream.decision(), best or {})


def _guarded(stream: ModerationStream, chunk: str | None) -> Sequence[Event]:
    try:
        return stream.finish() if chunk is None else stream.feed(chunk)
    except Exception as error:  # noqa: BLE001 - whatever a filter raises, the policy decides; it is never a pass
        _log.error("filter_failed", error=type(error).__name__)  # its message may hold the text
        return stream.fail()


async def _answer(
    stream: ModerationStream, events: Sequence[Event], scorer: Scorer, best: dict[str, float] | None
) -> None:
    while asked := [event for event in events if isinstance(event, ScoreNeeded)]:
        events = []
        try:
            scores = await scorer.score([Segment(event.text, event.context) for event in asked])
        except InferenceError:
            for event in asked:
                events.extend(stream.fail(event.ticket))
            continue
        for event, found in zip(asked, scores, strict=True):
            if best is not None and not event.terms:
                for code, score in found.items():
                    best[code] = max(score, best.get(code, 0.0))
            events.extend(stream.resolve(event.ticket, found))
