"""A relay over any adapter and the real engine."""

from dataclasses import dataclass, field

import pytest

from filters.lexicon import Lexicon, Term
from filters.policy import Policy
from filters.ruleset import Ruleset
from filters.types import Action, Direction, OnError
from gateway.protocols.types import Refusal
from gateway.relay import CancelUpstream, Relay, RelayPolicy, Send, Unknown, Verdict

TERMS = (Term("炸药", "A1.h.weapons_cbrne"), Term("傻瓜", "A4.a.bullying", Action.MASK))


@dataclass
class Played:
    """What a relay said and did."""

    sent: bytes = b""
    verdicts: list = field(default_factory=list)
    unknown: list = field(default_factory=list)
    cancelled: bool = False


def play(adapter, request, pieces, content_type="text/event-stream", **policy):
    """Relay these bytes: 炸药 blocks, 傻瓜 is masked."""
    parsed = Policy.parse({"version": 1, **policy})
    rules = Ruleset(parsed, Lexicon(TERMS))
    view = adapter.read_request(request)
    relay = Relay(
        adapter.open_stream(view, request, content_type),
        lambda: rules.open(Direction.OUTPUT),
        lambda decision: Refusal("不便回答。", "d1", list(decision.categories), created=1763769600),
        policy=RelayPolicy(
            monitor=not parsed.enforce,
            error_on_block=parsed.on_block == "error",
            on_error=parsed.on_error[Direction.OUTPUT],
            unknown=OnError(parsed.unknown),
            media=OnError(parsed.media),
        ),
        blank=rules.open(Direction.OUTPUT).decision(),
        choices=view.choices,
    )
    played = Played()
    events = [event for piece in pieces for event in relay.feed(piece)] + relay.finish()
    for event in events:
        if isinstance(event, Send):
            played.sent += event.data
        elif isinstance(event, Verdict):
            played.verdicts.append(event)
        elif isinstance(event, Unknown):
            played.unknown.append((event.what, event.action.value))
        elif isinstance(event, CancelUpstream):
            played.cancelled = True
    return played


@pytest.fixture(scope="session")
def played():
    """``played(adapter, request, pieces, content_type, **policy)``."""
    return play
