"""One deadline for all that a body asks the classifier, however many questions it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from filters.types import Scores
from gateway.inference import InferenceTimeout
from models.types import Segment

if TYPE_CHECKING:
    from gateway.proxy.ports import Scorer  # its package imports what imports this module


@runtime_checkable
class Limited(Protocol):
    """A scorer that says how long it may take."""

    @property
    def deadline_s(self) -> float | None:
        """Seconds for a question; ``None`` where it knows none."""


class OneDeadline:
    """A scorer for one body: its time runs from the first question, and after it every question fails at once."""

    __slots__ = ("_ends", "_late", "_scorer", "deadline_s")

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._ends: float | None = None
        self._late: InferenceTimeout | None = None
        self.deadline_s = scorer.deadline_s if isinstance(scorer, Limited) else None

    async def score(self, segments: Sequence[Segment], deadline_s: float | None = None) -> list[Scores]:
        """Scores in the order of the segments.

        Raises:
            InferenceTimeout: the time is over.
            InferenceError: there are none.
        """
        left = self._left()
        if left is not None and deadline_s is not None:
            left = min(left, deadline_s)
        try:
            return await self._scorer.score(segments, deadline_s if left is None else left)
        except InferenceTimeout as error:
            self._late = error
            raise

    def _left(self) -> float | None:
        if self._late is not None:
            raise self._late
        if self.deadline_s is None:
            return None
        now = asyncio.get_running_loop().time()
        if self._ends is None:
            self._ends = now + self.deadline_s
        if now >= self._ends:
            self._late = InferenceTimeout(f"no scores within {self.deadline_s:g} s")
            raise self._late
        return self._ends - now
