"""One deadline for all that a body asks the classifier, however many questions it takes; it grows with the text."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from filters.types import Scores
from gateway.inference import InferenceTimeout
from models.types import Segment

if TYPE_CHECKING:
    from gateway.proxy.ports import Scorer  # its package imports what imports this module

CHARS = 32_768
"""Characters asked about that take one deadline.

The shipped model reads as many in under a second on one core: a classifier of the usual speed is late over no text for
its length alone, and nobody pushes the end of a text out of time by what stands before it. One that hangs is found out
by the first question.
"""


@runtime_checkable
class Limited(Protocol):
    """A scorer that says how long it may take."""

    @property
    def deadline_s(self) -> float | None:
        """Seconds for a question; ``None`` where it knows none."""

    def late(self) -> InferenceTimeout:
        """Count and log that the time was over, and say so in an error."""


class OneDeadline:
    """A scorer for one body, whose time runs from the first question.

    A question has the scorer's deadline, the body as much for every ``CHARS`` characters asked about that it has begun.
    After a timeout every question fails at once. It is not ``Limited`` itself: one inside another adds no deadline.
    """

    __slots__ = ("_asked", "_began", "_late", "_limit", "_scorer")

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._limit = scorer if isinstance(scorer, Limited) else None
        self._began: float | None = None
        self._asked = 0
        self._late: str | None = None  # an error kept would keep all that it was raised through

    async def score(self, segments: Sequence[Segment], deadline_s: float | None = None) -> list[Scores]:
        """Scores in the order of the segments.

        Raises:
            InferenceTimeout: the time is over.
            InferenceError: there are none.
        """
        if self._late is not None:
            raise InferenceTimeout(self._late)
        try:
            left = self._left(segments)
            if left is not None and deadline_s is not None:
                left = min(left, deadline_s)
            return await self._scorer.score(segments, deadline_s if left is None else left)
        except InferenceTimeout as error:
            self._late = str(error)
            raise

    def _left(self, segments: Sequence[Segment]) -> float | None:
        """Seconds for a question; ``None`` where nobody says."""
        deadline_s = None if self._limit is None else self._limit.deadline_s
        if self._limit is None or deadline_s is None:
            return None
        now = monotonic()
        if self._began is None:
            self._began = now
        self._asked += sum(len(segment.text) for segment in segments)
        ends = self._began + deadline_s * (1 + self._asked // CHARS)
        if now >= ends:
            raise self._limit.late()
        return min(ends - now, deadline_s)
