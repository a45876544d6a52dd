"""No body and no frame, however strange, hides a text or raises."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.generic_json import GenericJSON
from gateway.protocols.openai_chat import OpenAIChat
from gateway.protocols.openai_completions import OpenAICompletions
from gateway.protocols.testing import REFUSAL
from gateway.protocols.types import WHOLE, Edit, FrameKind

ADAPTERS = [OpenAIChat(), OpenAICompletions(), GenericJSON()]
SECRET = "坏 话"  # no identifier, no base64: nothing may take it for one
WORDS = st.sampled_from(
    [
        *("choices", "delta", "message", "messages", "content", "role", "index", "text", "logprobs", "tokens", "token"),
        *(
            "top_logprobs",
            "tool_calls",
            "function",
            "arguments",
            "name",
            "type",
            "audio",
            "data",
            "error",
            "usage",
            "id",
        ),
        *(
            "function_call",
            "finish_reason",
            "reasoning_content",
            "prompt",
            "url",
            "image_url",
            "reasoning_details",
            "n",
        ),
        *("transcript", "model", "custom", "input", "tools", "metadata", "stream_options", "include_usage", "stream"),
    ]
)
LEAVES = st.none() | st.booleans() | st.integers(-2, 3) | st.just(SECRET) | st.just("{") | WORDS
SHAPES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=14,
)
DELTAS = st.dictionaries(WORDS, SHAPES, max_size=4)
CHOICES = st.fixed_dictionaries({}, optional={"index": st.integers(-1, 3), "delta": DELTAS, "message": DELTAS})
CHUNKS = SHAPES | st.builds(lambda choices, more: {**more, "choices": choices}, st.lists(CHOICES, max_size=3), DELTAS)


def secrets(body):
    """How often the secret stands in a body as a value."""
    return json.dumps(body, ensure_ascii=False).count(json.dumps(SECRET, ensure_ascii=False))


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
@given(body=CHUNKS)
def test_requests(adapter, body):
    """Every text of any request is found, can be masked, and the refusal is an answer."""
    view = adapter.read_request(body)
    shown = [part for part in view.parts if SECRET in part.text]
    hidden = isinstance(body, dict) and secrets({name: body.get(name) for name in ("user", "safety_identifier")})
    assert len(shown) >= secrets(body) - hidden
    edited = adapter.edit(body, [Edit(part.path, part.text.replace(SECRET, "* *")) for part in shown])
    assert secrets(orjson.loads(edited)) <= hidden
    adapter.refusal(view, body, REFUSAL)
    adapter.open_stream(view, body).close(REFUSAL)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
@given(body=CHUNKS)
def test_answers(adapter, body):
    """Every text of any answer is found, masks take all of it, refusals leave none of it."""
    view = adapter.read_response(body)
    shown = [part for part in view.parts if SECRET in part.text]
    assert bool(shown) == bool(secrets(body))
    edited = adapter.edit(body, [Edit(part.path, part.text.replace(SECRET, "* *")) for part in shown])
    assert secrets(orjson.loads(edited)) == 0
    blocked = {part.choice: REFUSAL for part in shown}
    refused = adapter.refuse_response(body, blocked) if shown else None
    if refused is not None:
        assert secrets(orjson.loads(refused)) == 0


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
@given(bodies=st.lists(CHUNKS, max_size=4))
def test_streams(adapter, bodies):
    """Every text of any frame is found or the frame is unknown; masks and blocks take all of it."""
    decoder = adapter.open_stream(adapter.read_request({}), {})
    for body in bodies:
        raw = b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"
        (frame,) = decoder.feed(raw)
        assert frame.raw == raw
        shown = [delta for delta in frame.deltas if SECRET in delta.text]
        if frame.kind is not FrameKind.UNKNOWN and not (frame.kind is FrameKind.DATA and len(bodies) > 1):
            assert bool(shown) == bool(secrets(body)) or secrets(body) == _repeats(body)
        edits = [Edit(delta.path, delta.text.replace(SECRET, "* *")) for delta in shown if delta.path]
        if secrets(body) == len(edits) and edits:
            assert SECRET.encode() not in decoder.edit(frame, edits)
        blanked = {delta.key.choice for delta in shown}
        if blanked and secrets(body) == len(shown):
            assert SECRET.encode() not in decoder.edit(frame, [], blanked)
    decoder.refuse_choice(WHOLE, REFUSAL)
    decoder.finish()


def _repeats(body):
    """Secrets that stand as a token beside the text that they repeat."""
    return (
        sum(secrets(choice.get("logprobs")) for choice in body.get("choices") or () if isinstance(choice, dict))
        if isinstance(body, dict) and isinstance(body.get("choices"), list)
        else 0
    )
