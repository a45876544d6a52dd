"""Short ways to put hostile bodies and streams through adapters, engine and relay."""

import json

import anyio
import pytest

from filters.lexicon import Lexicon, read_csv
from filters.policy import Policy
from filters.ruleset import Ruleset
from filters.types import Action, Decision, Direction, OnError
from gateway.protocols.bodies import Unreadable
from gateway.protocols.jsontext import InvalidJSON
from gateway.protocols.routing import adapter_for
from gateway.protocols.types import Refusal
from gateway.proxy.texts import decide
from gateway.relay import Relay, RelayPolicy, Send

LEXICON = "term,category\n炸药,A1.d\nheroin,A1.d\n"
RULESET = Ruleset(
    Policy.parse({"categories": {"*": {"action": "block"}}}), Lexicon(read_csv(LEXICON, "t.csv")), None, ()
)


@pytest.fixture
def judged():
    """What becomes of a request body: ``blocked``, ``refused`` (unreadable or ambiguous) or ``passed``."""

    def judge(path, body, kind="application/json"):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        adapter = adapter_for("POST", path)
        try:
            parts = adapter.read_request(adapter.read_body(raw, kind, strict=True)).parts
        except (InvalidJSON, Unreadable):
            return "refused"
        findings = anyio.run(decide, RULESET, Direction.INPUT, None, parts, None)
        return "blocked" if findings.items else "passed"

    return judge


@pytest.fixture
def relayed():
    """The bytes that a client gets of a stream, as text."""

    def relay(path, *pieces, request=None, kind="text/event-stream", unknown=OnError.BLOCK):
        adapter = adapter_for("POST", path)
        body = {"model": "m", "stream": True, **(request or {})}
        view = adapter.read_request(body)
        policy = RelayPolicy(
            monitor=False, error_on_block=False, on_error=OnError.BLOCK, unknown=unknown, media=OnError.PASS
        )
        stream = Relay(
            adapter.open_stream(view, body, kind),
            lambda: RULESET.open(Direction.OUTPUT, None),
            lambda decision: Refusal("no", "id", list(decision.categories)),
            policy=policy,
            blank=Decision(Action.ALLOW, Action.ALLOW, (), RULESET.version, None),
            choices=view.choices,
        )
        steps = [*(stream.feed(piece) for piece in pieces), stream.finish()]
        return b"".join(event.data for events in steps for event in events if isinstance(event, Send)).decode()

    return relay
