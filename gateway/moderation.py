"""``POST /v1/moderations``: OpenAI's endpoint, answered by the operator's own filters and categories."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from filters import taxonomy
from filters.explain import explain
from filters.policy import PolicyError
from filters.ruleset import Ruleset
from filters.types import Action, Decision
from gateway.asgi import Receive, Request, Scope, Send
from gateway.crypto import excerpt
from gateway.deadline import OneDeadline
from gateway.endpoint import Endpoint, Outcome
from gateway.judge import Judgement, Scorer, judge
from gateway.metrics import Metrics
from gateway.moderation_request import ModerationRequest, Question, RequestError, read_request
from gateway.proxy.ports import Recorder
from gateway.proxy.services import CurrentRuleset
from gateway.scoring import Scoring, Watched
from gateway.store.records import Violation, match_records, new_id, now_utc
from gateway.verdicts import masked

API = "openai.moderations"
PATH = "/v1/moderations"

AT_ONCE = 16
"""Texts of one request that are judged at the same time, so that the classifier sees them in batches."""


@dataclass(frozen=True, slots=True)
class _Result:
    """One question with its answer."""

    question: Question
    judgement: Judgement
    decision: Decision
    decision_id: str
    coverage: str


class Moderation:
    """The endpoint as an ASGI application.

    Args:
        moderator: ``current`` is the active ruleset.
        inference: scores segments, or finds what does for a ruleset.
        recorder: commits violations before the answer leaves.
        pseudonym: turns a raw user id into what may be stored.
        keys: bearer keys that are accepted; ``None`` leaves the endpoint open.
        max_body: largest body in bytes, after decoding.
        metrics: counters.
    """

    def __init__(
        self,
        *,
        moderator: CurrentRuleset,
        inference: Scorer | Scoring,
        recorder: Recorder,
        pseudonym: Callable[[str], str],
        keys: Sequence[str] | None,
        max_body: int,
        metrics: Metrics,
    ) -> None:
        self._endpoint = Endpoint("moderation", moderator=moderator, keys=keys, metrics=metrics)
        self._inference = inference
        self._recorder = recorder
        self._pseudonym = pseudonym
        self._max_body = max_body
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._endpoint.serve(scope, receive, send, self._outcome, api=API, path=PATH)

    async def _outcome(self, request: Request, ruleset: Ruleset) -> Outcome:
        body = await read_request(request, self._max_body)
        results = await self._judge_all(body, ruleset, request)
        answer = {
            "id": f"modr-{new_id().replace('-', '')}",
            "model": "sluice-" + (ruleset.model_version or "lexicon").removeprefix("sluice-"),
            "results": [_as_json(result) for result in results],
        }
        strongest = _strongest(results)
        decision = strongest.decision
        return Outcome(
            status=200,
            body=orjson.dumps(answer),
            action=decision.action.label,
            would=decision.would_action.label,
            decision_id=strongest.decision_id,
            coverage=strongest.coverage,
            categories=list(decision.categories),
            monitor=not ruleset.policy.enforce,
        )

    async def _judge_all(self, body: ModerationRequest, ruleset: Ruleset, request: Request) -> list[_Result]:
        header = request.header(b"x-sluice-profile").decode("latin-1") or None
        try:
            profile = body.profile or ruleset.policy.choose_profile(path=PATH, header=header)
            policy = ruleset.policy.profile(profile)
        except PolicyError as error:
            raise RequestError(error.reason, param="sluice.profile", code="unknown_profile") from None
        classify = ruleset.model_version is not None
        turns = asyncio.Semaphore(AT_ONCE)
        within = OneDeadline(Watched(self._inference, ruleset))

        async def answered(question: Question) -> _Result:
            async with turns:
                stream = ruleset.open(body.direction, profile, classify=classify, stop_at_block=False)
                scorer = Watched(within, ruleset)
                judgement = await judge(stream, question.text, scorer, keep_scores=True)
            result = _result(question, judgement, media=policy.media, enforce=policy.enforce)
            return replace(result, coverage="partial") if scorer.partial else result

        results = await asyncio.gather(*(answered(question) for question in body.questions))
        if policy.record_moderations:
            for result in results:
                await self._record(result, body, request)
        return results

    async def _record(self, result: _Result, body: ModerationRequest, request: Request) -> None:
        decision = result.decision
        if decision.degraded:
            self._metrics.degraded(body.direction.value)
        if decision.would_action is Action.ALLOW:
            return
        user = request.header(b"x-sluice-user").decode("latin-1")
        gravest = max(decision.matches, key=lambda match: match.action or Action.ALLOW, default=None)
        text = excerpt(result.question.text, gravest.span.start, gravest.span.end) if gravest else None
        await self._recorder.record(
            Violation(
                id=new_id(),
                decision_id=result.decision_id,
                created_at=now_utc(),
                direction=body.direction.value,
                action=decision.action.label,
                would_action=decision.would_action.label,
                categories=decision.categories,
                matches=match_records(decision.matches, result.question.text),
                excerpt=text,
                api=API,
                path=PATH,
                model=body.model,
                subject=self._pseudonym(user) if user else None,
                ruleset=decision.ruleset_version,
                model_version=decision.model_version,
                coverage=result.coverage,
                degraded=decision.degraded,
            )
        )
        self._metrics.violation(body.direction.value, decision.action.label, next(iter(decision.categories), "none"))


def _result(question: Question, judgement: Judgement, *, media: str, enforce: bool) -> _Result:
    decision = judgement.decision
    coverage = "full"
    if question.media:
        coverage = "partial" if question.text else "none"
        if media == "block":
            would = max(decision.would_action, Action.BLOCK)
            decision = replace(decision, would_action=would, action=would if enforce else decision.action)
    return _Result(question, judgement, decision, new_id(), coverage)


def _strongest(results: Sequence[_Result]) -> _Result:
    """The result that the headers speak of; with the worst coverage of all."""
    strongest = max(results, key=lambda result: (result.decision.action, result.decision.would_action))
    coverages = {result.coverage for result in results}
    return replace(strongest, coverage=coverages.pop() if len(coverages) == 1 else "partial")


def _as_json(result: _Result) -> dict[str, Any]:
    decision, question = result.decision, result.question
    found = decision.categories
    scores = {code: score for code, score in result.judgement.scores.items() if code in taxonomy.CATEGORIES}
    lit = taxonomy.to_openai(found)
    likely = taxonomy.to_openai(
        {**scores, **{code: max(score, scores.get(code, 0.0)) for code, score in found.items()}}
    )
    types = [kind for kind, there in (("text", bool(question.text) or not question.media),) if there]
    return {
        "flagged": decision.would_action is not Action.ALLOW,
        "categories": {name: score > 0 for name, score in lit.items()},
        "category_scores": {name: max(score, lit[name]) for name, score in likely.items()},
        "category_applied_input_types": dict.fromkeys(lit, types),
        "sluice": {
            "action": decision.action.label,
            "would_action": decision.would_action.label,
            "decision_id": result.decision_id,
            "ruleset": decision.ruleset_version,
            "coverage": result.coverage,
            "degraded": decision.degraded,
            "categories": [{"code": code, "score": score} for code, score in found.items()],
            "matches": [
                {
                    "start": match.span.start,
                    "end": match.span.end,
                    "category": match.category,
                    "source": match.source.value,
                    "rule": match.rule,
                    "score": match.score,
                    "how": [step.record() for step in explain(question.text, match)],
                }
                for match in decision.matches
            ],
            "masked": masked(question.text, decision),
        },
    }
