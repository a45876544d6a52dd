"""What the relay tells its caller to do, and what it must be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from filters.types import Decision, Event, OnError, Scores
from gateway.protocols.types import ChannelKey


class TextStream(Protocol):
    """One text under moderation, as ``filters.stream.ModerationStream`` is."""

    def feed(self, text: str) -> Sequence[Event]:
        """Take the next characters."""

    def resolve(self, ticket: int, scores: Scores) -> Sequence[Event]:
        """Take the scores that a ``ScoreNeeded`` asked for."""

    def fail(self, ticket: int | None = None) -> Sequence[Event]:
        """Say that a ``ScoreNeeded`` will not be answered or, without one, that the engine raised."""

    def finish(self) -> Sequence[Event]:
        """Say that no more text follows."""

    def decision(self) -> Decision:
        """What was decided so far."""


@dataclass(frozen=True, slots=True)
class RelayPolicy:
    """The parts of a policy that a relay acts on; everything about texts is the engine's."""

    monitor: bool = False
    error_on_block: bool = False
    on_error: OnError = OnError.BLOCK
    unknown: OnError = OnError.BLOCK
    media: OnError = OnError.PASS


class Send(NamedTuple):
    """Bytes for the client."""

    data: bytes


class Score(NamedTuple):
    """Answer with ``resolve(ticket, scores)`` or ``fail(ticket)``, in any order."""

    ticket: int
    text: str
    context: str


class Verdict(NamedTuple):
    """Record this durably before anything that follows it is sent.

    The same ``key`` again replaces what was recorded under it. ``window`` is a bounded piece of the channel's text
    round its gravest match, which stands at ``[start, end)`` of the window. ``cancelled`` says that the upstream was
    told to stop.
    """

    key: ChannelKey
    decision: Decision
    delivered_chars: int
    window: str
    start: int
    end: int
    cancelled: bool


class Unknown(NamedTuple):
    """Something could not be scanned and the policy decided. ``what`` is ``frame`` or ``media``."""

    what: str
    action: OnError


class Degraded(NamedTuple):
    """``on_error`` decided in place of a filter."""


class CancelUpstream(NamedTuple):
    """Nothing more of the upstream is wanted: close its connection at once."""


class Done(NamedTuple):
    """The client has everything. In monitor mode scores and verdicts may still follow."""


RelayEvent = Send | Score | Verdict | Unknown | Degraded | CancelUpstream | Done
