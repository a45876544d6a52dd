"""What is decided about the texts of one question to the guard."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from filters.language import choose
from filters.policy import Policy
from filters.ruleset import Ruleset
from filters.stream import ModerationStream
from filters.types import Action, Decision
from gateway.deadline import OneDeadline
from gateway.guard_request import Asked, Growing
from gateway.judge import Scorer, judge
from gateway.protocols.types import Edit, TextPart
from gateway.proxy.texts import AT_ONCE, Finding, decide_guarded, mask


@dataclass(frozen=True, slots=True)
class Streamed:
    """One text of a stream: what is certain now, and how it would end if nothing followed.

    ``cleared`` counts the characters that may leave now, ``end_cleared`` those that may if nothing follows.
    """

    part: TextPart
    decision: Decision
    cleared: int
    ended: Decision
    end_cleared: int


@dataclass(slots=True)
class Verdict:
    """Everything that was decided. ``findings`` are the texts with a decision other than a plain allow."""

    asked: Asked
    policy: Policy
    blank: Decision
    findings: list[Finding] = field(default_factory=list)
    streamed: Sequence[Streamed] = ()
    coverage: str = "full"
    media: Action = Action.ALLOW

    @property
    def would(self) -> Action:
        """What enforcing would have done."""
        return max((item.decision.would_action for item in self.findings), default=self.media)

    @property
    def action(self) -> Action:
        """What is to be done."""
        return self.would if self.policy.enforce else min(self.would, Action.FLAG)

    @property
    def degraded(self) -> bool:
        """Whether ``on_error`` decided somewhere."""
        return any(item.decision.degraded for item in self.findings)

    @property
    def categories(self) -> dict[str, float]:
        """Category code -> highest score, in order of falling score."""
        matches = [match for item in self.findings for match in item.decision.matches]
        return replace(self.blank, matches=tuple(matches)).categories

    @property
    def edits(self) -> list[Edit]:
        """The parts in which something is masked."""
        return [edit for item in self.findings for edit in item.edits()]

    @property
    def refusal(self) -> str:
        """What a blocked user reads, in the language of the conversation."""
        parts = self.asked.parts
        mine = [part.text for part in reversed(parts) if part.user]
        others = [part.text for part in reversed(parts) if not part.user and part.channel == "content"]
        return self.policy.refusal_text(choose((*mine, *others)))


async def decide(asked: Asked, ruleset: Ruleset, profile: str | None, scorer: Scorer) -> Verdict:
    """Judge every text."""
    policy = ruleset.policy.profile(profile)
    blank = Decision(Action.ALLOW, Action.ALLOW, (), ruleset.version, ruleset.model_version)
    verdict = Verdict(asked, policy, blank)
    if asked.growing is not None:
        verdict.streamed = await _judge_growing(asked.growing, asked, ruleset, profile, scorer)
        counted = [(one.part, one.decision if asked.growing.final is False else one.ended) for one in verdict.streamed]
        verdict.findings = [Finding([part], part.text, decision) for part, decision in counted if _counts(decision)]
    else:
        found = await decide_guarded(ruleset, asked.direction, profile, asked.parts, scorer)
        verdict.findings = found.items
    if asked.media:
        verdict.coverage = "partial"
        if policy.media == "block":
            verdict.media = Action.BLOCK
            verdict.findings.append(Finding([TextPart((), "other", "")], "", _of_media(blank, policy)))
    return verdict


def _counts(decision: Decision) -> bool:
    return decision.would_action is not Action.ALLOW or decision.degraded


def _of_media(blank: Decision, policy: Policy) -> Decision:
    action = Action.BLOCK if policy.enforce else Action.FLAG
    return replace(blank, action=action, would_action=Action.BLOCK)


async def _judge_growing(
    growing: Growing, asked: Asked, ruleset: Ruleset, profile: str | None, scorer: Scorer
) -> list[Streamed]:
    done: list[Streamed] = []
    scorer = OneDeadline(scorer)
    for start in range(0, len(asked.parts), AT_ONCE):
        batch = asked.parts[start : start + AT_ONCE]
        streams = [(part, ruleset.open(asked.direction, profile)) for part in batch]
        done += await asyncio.gather(*(_judge_so_far(part, growing, stream, scorer) for part, stream in streams))
    return done


async def _judge_so_far(part: TextPart, growing: Growing, stream: ModerationStream, scorer: Scorer) -> Streamed:
    """Judge one text as a stream that has come this far, and, unless more is sure to follow, as one that ends here."""
    length = len(part.text)

    def cleared(decision: Decision) -> int:
        over = stream.monitor or (stream.done and decision.action is not Action.BLOCK)
        return length if over else stream.cleared

    decision = (await judge(stream, part.text, scorer, whole=growing.final is True)).decision
    now = cleared(decision)
    if growing.final is not None:
        return Streamed(part, decision, now, decision, now)
    ended = (await judge(stream, "", scorer)).decision
    return Streamed(part, decision, now, ended, cleared(ended))


def masked_until(text: str, decision: Decision, end: int) -> str:
    """The first characters of a text, those that are masked as ``*``."""
    spans = sorted(match.span for match in decision.matches if match.action is Action.MASK)
    return mask(text[:end], 0, spans) if decision.action >= Action.MASK else text[:end]
