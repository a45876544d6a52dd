"""Which classifier scores for which ruleset: a stream keeps the one that it began with, whatever a policy says then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from filters.ruleset import Ruleset
from filters.types import Direction, Scores
from gateway.deadline import Limited
from gateway.inference import CACHE_SIZE, DEADLINE_SETTING, Inference, InferenceFailed, InferenceTimeout
from gateway.judge import Scorer
from models.types import Calling, Classifier, PartialScores, Segment, Served

CACHE_CHARS = 2_000_000
"""Characters of segments and contexts whose scores are remembered."""

PROBE_S = 1.0
"""Seconds between looks whether a problem is due to be tried again; how often it is, the classifier decides."""

PROMPT_CHARS = 1000
"""Characters of a prompt, its last, that a classifier is told beside an answer."""


class Scoring:
    """An ``Inference`` for each classifier that some ruleset still uses. Belongs to one event loop.

    Args:
        deadline_s: for a text's scores, where the classifier has no time of its own.
        observe: told of each batch: seconds, segments, CPU seconds.
        on_failure: told why a question got no scores.
    """

    def __init__(
        self,
        *,
        deadline_s: float,
        observe: Callable[[float, int, float], None] | None = None,
        on_failure: Callable[[str], None] | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._observe = observe
        self._on_failure = on_failure
        self._lanes: WeakKeyDictionary[Ruleset, Inference] = WeakKeyDictionary()
        self._open: list[Inference] = []
        self._current: Inference | None = None
        self._probing: asyncio.Future[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def use(self, ruleset: Ruleset, classifier: Classifier | None) -> None:
        """Score what this ruleset asks with this classifier, and let go of those that no ruleset uses any more."""
        lane = next((one for one in self._open if one.classifier is classifier), None)
        if lane is None:
            lane = self._opened(ruleset, classifier)
            self._open.append(lane)
        self._lanes[ruleset] = self._current = lane
        self._let_go()

    def of(self, ruleset: Ruleset) -> Scorer:
        """What answers the questions of a ruleset."""
        return self._lanes.get(ruleset) or _NOBODY

    @property
    def problems(self) -> Sequence[str]:
        """Why the classifier in force does not score at present; empty where it does."""
        classifier = self._current.classifier if self._current is not None else None
        return classifier.problems if isinstance(classifier, Served) else ()

    def probe(self) -> None:
        """See in the background whether a problem has gone: without traffic nobody else would."""
        self._let_go()
        classifier = self._current.classifier if self._current is not None else None
        busy = self._probing is not None and not self._probing.done()
        if isinstance(classifier, Served) and classifier.problems and not busy:
            self._probing = asyncio.ensure_future(asyncio.to_thread(classifier.probe))

    def watch(self) -> None:
        """Probe now and then from now on: the control plane's process and idle workers are asked by nobody."""
        self._watching = asyncio.create_task(self._watch(), name="sluice-classifier-probe")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PROBE_S)
            self.probe()

    async def close(self) -> None:
        """Fail what waits, and close every classifier."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        for lane in self._open:
            await lane.close()
            _close(lane.classifier)

    def _opened(self, ruleset: Ruleset, classifier: Classifier | None) -> Inference:
        calling = classifier.calling if isinstance(classifier, Served) else Calling()
        rule = ruleset.policy.classifier
        longest = max(cutting.longest for cutting in map(ruleset.cutting, Direction))
        chars = 1 if rule is None else longest + calling.prompts * PROMPT_CHARS
        return Inference(
            classifier,
            deadline_s=self._deadline_s if calling.deadline_s is None else calling.deadline_s,
            deadline_name=DEADLINE_SETTING if calling.deadline_s is None else "classifier.timeout in the policy",
            threads=calling.threads,
            max_batch=calling.batch,
            prompts=calling.prompts,
            cache_size=min(CACHE_SIZE, CACHE_CHARS // chars),
            observe=self._observe,
            on_failure=self._on_failure,
        )

    def _let_go(self) -> None:
        used = {id(lane) for lane in self._lanes.values()} | {id(self._current)}
        for lane in [lane for lane in self._open if id(lane) not in used]:
            self._open.remove(lane)
            lane.retire()
            _close(lane.classifier)


def _close(classifier: Classifier | None) -> None:
    if isinstance(classifier, Served):
        classifier.close()


class _Nobody:
    """Scores nothing: the ruleset was never announced."""

    async def score(self, _segments: Sequence[Segment], _deadline_s: float | None = None) -> list[Scores]:
        raise InferenceFailed("no classifier is loaded for this ruleset")


_NOBODY = _Nobody()


class Watched:
    """The scorer of one exchange.

    Attributes:
        partial: of some text only a part was read.
    """

    __slots__ = ("_prompt", "_scorer", "partial")

    def __init__(self, scorer: Scorer | Scoring, ruleset: Ruleset) -> None:
        self._scorer: Scorer = scorer.of(ruleset) if isinstance(scorer, Scoring) else scorer
        self._prompt: str | None = None
        self.partial = False

    @property
    def deadline_s(self) -> float | None:
        """Seconds for a question; ``None`` where nobody says."""
        return self._scorer.deadline_s if isinstance(self._scorer, Limited) else None

    def late(self) -> InferenceTimeout:
        """Count and log that the time of a body was over, and say so in an error."""
        return self._scorer.late() if isinstance(self._scorer, Limited) else InferenceTimeout("no scores in time")

    def answering(self, prompt: str) -> None:
        """From now on texts are a model's answer to this prompt: classifiers that want to know are told."""
        if isinstance(self._scorer, Inference) and self._scorer.prompts:
            self._prompt = prompt[-PROMPT_CHARS:]

    async def score(self, segments: Sequence[Segment], deadline_s: float | None = None) -> list[Scores]:
        """Scores in the order of the segments.

        Raises:
            InferenceError: there are none.
        """
        if self._prompt is not None:
            segments = [replace(segment, prompt=self._prompt) for segment in segments]
        asked = self._scorer.score(segments) if deadline_s is None else self._scorer.score(segments, deadline_s)
        scores = await asked
        for one in scores:
            if type(one) is PartialScores:
                self.partial = True
        return scores
