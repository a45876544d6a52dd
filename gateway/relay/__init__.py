"""Moderation of one streamed answer: an adapter's decoder, one engine a text, and a queue of frames. Pure."""

from gateway.relay.events import (
    CancelUpstream,
    Degraded,
    Done,
    RelayEvent,
    RelayPolicy,
    Score,
    Send,
    TextStream,
    Unknown,
    Verdict,
)
from gateway.relay.relay import MAX_BACKLOG, Relay

__all__ = [
    "MAX_BACKLOG",
    "CancelUpstream",
    "Degraded",
    "Done",
    "Relay",
    "RelayEvent",
    "RelayPolicy",
    "Score",
    "Send",
    "TextStream",
    "Unknown",
    "Verdict",
]
