"""Anthropic messages: requests, whole answers, refusals, errors."""

import json

import orjson
import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.anthropic_messages import AnthropicCountTokens, AnthropicMessages
from gateway.protocols.routing import adapter_for
from gateway.protocols.testing import REFUSAL, read, texts
from gateway.protocols.types import WHOLE, Coverage, Edit

ADAPTER = AnthropicMessages()


def found(view):
    """(channel, text) of every part."""
    return sorted((part.channel, part.text) for part in view.parts)


def asks(*content, **more):
    """A request with one user message of these blocks."""
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": list(content)}], **more}


# --- requests --------------------------------------------------------------------------------------------------------


def test_request_channels():
    """Every place that the model reads has its channel; ids, names of fields and the API's own words are left out."""
    body = {
        "model": "claude-x",
        "max_tokens": 1024,
        "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
        "messages": [
            {"role": "user", "content": "U1"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "T1", "signature": "QUJD+/="},
                    {"type": "redacted_thinking", "data": "EmwKAhgBEgy3"},
                    {"type": "text", "text": "A1", "citations": [{"type": "char_location", "cited_text": "C1"}]},
                    {"type": "tool_use", "id": "toolu_1", "name": "look up", "input": {"城市": ["I1"], "id": "toolu"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "R1", "is_error": False},
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "aGFsbG8="},
                        "title": "D1",
                        "context": "D2",
                        "citations": {"enabled": True},
                    },
                    {
                        "type": "search_result",
                        "source": "X1",
                        "title": "X2",
                        "content": [{"type": "text", "text": "X3"}],
                    },
                    {"type": "text", "text": "U2"},
                ],
            },
        ],
        "tools": [
            {
                "name": "f",
                "description": "D",
                "input_schema": {"type": "object", "properties": {"参数": {"type": "string", "description": "P"}}},
            },
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "allowed_domains": ["e.org"]},
        ],
        "tool_choice": {"type": "tool", "name": "f"},
        "metadata": {"user_id": "person-7"},
        "stop_sequences": ["停"],
        "service_tier": "auto",
        "stream": True,
        "extra field": 1,
    }
    view = ADAPTER.read_request(body)
    expected = [
        *(("system", "S"), ("content", "U1"), ("reasoning", "T1"), ("content", "A1"), ("other", "C1")),
        *(("tool", "look up"), ("tool", "城市"), ("tool", "I1"), ("tool", "toolu"), ("tool", "R1")),
        *(("content", "aGFsbG8="), ("content", "D1"), ("content", "D2"), ("content", "X1"), ("content", "X2")),
        *(("content", "X3"), ("content", "U2"), ("tool", "f"), ("tool", "D"), ("tool", "参数"), ("tool", "P")),
        *(("tool", "web_search"), ("tool", "e.org"), ("tool", "f"), ("other", "停"), ("other", "extra field")),
    ]
    assert found(view) == sorted(expected)
    assert (view.stream, view.model, view.subject, view.choices) == (True, "claude-x", "person-7", 1)
    assert view.coverage is Coverage.FULL
    assert [part.text for part in view.parts if part.user] == ["U2"]


def test_text_blocks_are_one_text():
    """Blocks of text are read as one, whatever stands between them; in tool results and the system prompt too."""
    said = [{"type": "text", "text": "一"}, {"type": "image", "source": {"type": "url", "url": "u"}}]
    body = asks(
        *said, {"type": "text", "text": "二"}, {"type": "tool_result", "content": [{"type": "text", "text": "三"}]}
    )
    body["system"] = [{"type": "text", "text": "四"}, {"type": "text", "text": "五"}]
    view = ADAPTER.read_request(body)
    parts = [(part.text, part.continues) for part in view.parts if part.text in "一二三四五"]
    assert parts == [("一", False), ("二", True), ("三", False), ("四", False), ("五", True)]


@pytest.mark.parametrize(
    ("block", "texts_found"),
    [
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=\n"}}, []),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "坏 话"}}, ["坏 话"]),
        ({"type": "image", "source": {"type": "url", "url": "https://e.org/坏"}}, ["https://e.org/坏"]),
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, []),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}, []),
        ({"type": "container_upload", "file_id": "file_1"}, []),
        ({"type": "tool_result", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]}, ["u"]),
    ],
)
def test_media(block, texts_found):
    """Images and files are not read: coverage is partial; their links are text, their bytes not."""
    view = ADAPTER.read_request(asks(block))
    assert (view.media, view.coverage) == (True, Coverage.PARTIAL)
    assert [part.text for part in view.parts] == texts_found


def test_text_documents_are_no_media():
    """A document of text, however much it looks like base64, is read."""
    view = ADAPTER.read_request(asks({"type": "document", "source": {"type": "text", "data": "forbidden"}}))
    assert (view.media, found(view)) == (False, [("content", "forbidden")])


def test_values_of_a_tools_input_are_never_plumbing():
    """What looks like an id, a type or a signature in a tool's input is what the tool will get: text."""
    given_input = {"id": "forbidden", "type": "text", "signature": "QUJD", "role": "user", "data": "x"}
    view = ADAPTER.read_request(asks({"type": "tool_use", "id": "t", "name": "f", "input": given_input}))
    assert found(view) == sorted([("tool", "f"), *(("tool", value) for value in given_input.values())])


def test_ids_in_a_tools_definition_are_read():
    """The model reads a schema as it is, so no field of it is left out for its name."""
    schema = {"type": "object", "id": "forbidden", "properties": {"data": {"type": "string", "signature": "QUJD"}}}
    view = ADAPTER.read_request(asks(tools=[{"type": "custom", "name": "f", "input_schema": schema}]))
    assert found(view) == [("tool", "QUJD"), ("tool", "f"), ("tool", "forbidden")]


def test_edit_request():
    """Masks land in strings, keys and inputs; the rest stays as it was."""
    body = asks({"type": "tool_use", "id": "t", "name": "f", "input": {"坏": {"q": "坏话"}}}, system="坏人")
    view = ADAPTER.read_request(body)
    edits = [Edit(part.path, part.text.replace("坏", "*")) for part in view.parts if "坏" in part.text]
    edited = orjson.loads(ADAPTER.edit(body, edits))
    assert edited == asks({"type": "tool_use", "id": "t", "name": "f", "input": {"*": {"q": "*话"}}}, system="*人")


# --- whole answers ---------------------------------------------------------------------------------------------------


def answer(*content, **more):
    """A whole answer."""
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn"}
    usage = {"input_tokens": 5, "output_tokens": 7, "service_tier": "standard"}
    return {**head, "stop_sequence": None, "content": list(content), "usage": usage, **more}


def test_response_channels():
    """Every kind of block has its channel; results of server tools are read."""
    result = {"type": "web_search_result", "title": "题", "url": "u", "encrypted_content": "QUJD", "page_age": "a day"}
    view = ADAPTER.read_response(
        answer(
            {"type": "thinking", "thinking": "想", "signature": "QUJD"},
            {"type": "text", "text": "一", "citations": [{"type": "page_location", "cited_text": "引"}]},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "问"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [result]},
            {"type": "text", "text": "二"},
            {"type": "hologram", "name": "新"},
            stop_sequence="停 下",
        )
    )
    expected = [
        *(("reasoning", "想"), ("content", "一"), ("content", "二"), ("other", "引"), ("tool", "web_search")),
        *(("tool", "问"), ("tool", "query"), ("tool", "题"), ("tool", "u"), ("tool", "a day")),
        *(("other", "hologram"), ("other", "新"), ("other", "停 下")),
    ]
    assert found(view) == sorted(expected)
    assert {part.choice for part in view.parts} == {0}


def test_edited_thinking_loses_its_signature():
    """A thinking block whose text was changed is not what was signed; the others keep their signatures."""
    block = {"type": "thinking", "thinking": "坏", "signature": "QUJD"}
    body = answer(block, {**block, "thinking": "好"}, {"type": "text", "text": "坏"})
    edits = [Edit(("content", 0, "thinking"), "*"), Edit(("content", 2, "text"), "*")]
    edited = orjson.loads(ADAPTER.edit(body, edits))
    assert [part.get("signature") for part in edited["content"]] == ["", "QUJD", None]
    assert edited["content"][0]["thinking"] == "*"


def test_refuse_response():
    """The official client parses a refused answer; nothing of the answer stays but its header and counts."""
    body = answer({"type": "thinking", "thinking": "坏", "signature": "QUJD"}, {"type": "text", "text": "坏"})
    raw = ADAPTER.refuse_response(body, {0: REFUSAL})
    parsed = Message.model_validate_json(raw)
    assert (parsed.id, parsed.model, parsed.stop_reason) == ("msg_1", "claude-x", "refusal")
    assert [block.text for block in parsed.content] == [REFUSAL.message]
    assert parsed.stop_details.type == "refusal"
    assert (parsed.usage.input_tokens, parsed.usage.output_tokens) == (5, 7)
    assert "坏" not in raw.decode()


def test_what_is_no_message_has_no_place_for_a_refusal():
    """An answer of another shape is read at every string, and refused with the error form."""
    body = {"note": "坏", "坏": 1}
    view = ADAPTER.read_response(body)
    assert {(part.text, part.choice) for part in view.parts} == {("note", WHOLE), ("坏", WHOLE)}
    assert ADAPTER.refuse_response(body, {WHOLE: REFUSAL}) is None


# --- refusals and errors ---------------------------------------------------------------------------------------------


def test_refused_input():
    """A refusal is a message of the API."""
    body = asks()
    status, kind, raw = ADAPTER.refusal(ADAPTER.read_request(body), body, REFUSAL)
    parsed = Message.model_validate_json(raw)
    assert (status, kind, parsed.id, parsed.model) == (200, "application/json", "msg_dec-1", "m")
    assert (parsed.content[0].text, parsed.stop_reason) == (REFUSAL.message, "refusal")


def test_refused_streamed_input():
    """The same as a stream, whose events are named as the client needs them."""
    body = asks(stream=True)
    view = ADAPTER.read_request(body)
    _, kind, raw = ADAPTER.refusal(view, body, REFUSAL)
    names = [line[7:] for line in raw.decode().split("\n") if line.startswith("event: ")]
    blocks = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert (kind, names) == ("text/event-stream", ["message_start", *blocks, "message_delta", "message_stop"])
    assert list(texts(read(ADAPTER.open_stream(view, body), [raw])).values()) == [REFUSAL.message]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error")),
        *((404, "not_found_error"), (413, "request_too_large"), (415, "invalid_request_error")),
        *((429, "rate_limit_error"), (500, "api_error"), (502, "api_error"), (504, "timeout_error")),
    ],
)
def test_error_shape(status, kind):
    """Every status has the API's own type, whole and as an event."""
    body = json.loads(ADAPTER.error(status, "why", "code_1"))
    assert body == {"type": "error", "error": {"type": kind, "message": "why", "code": "code_1"}}
    event = ADAPTER.open_stream(ADAPTER.read_request({}), {}).error(status, "why", "code_1")
    assert event.startswith(b"event: error\ndata: ")
    assert json.loads(event[19:]) == body


def test_refusal_as_an_error():
    """The decision stands beside the message, never what was found."""
    body = json.loads(ADAPTER.error(400, REFUSAL.message, "content_filter", REFUSAL))
    assert body["error"]["sluice"] == {"decision_id": "dec-1", "categories": ["A1.f.sexual"], "action": "block"}


def test_count_tokens():
    """Counting reads the same request and has no place for a refusal; its answer holds no text."""
    adapter = AnthropicCountTokens()
    body = asks({"type": "text", "text": "U"})
    view = adapter.read_request(body)
    assert found(view) == [("content", "U")]
    assert adapter.refusal(view, body, REFUSAL) is None
    counted = adapter.read_response({"input_tokens": 14})
    assert [part.text for part in counted.parts] == ["input_tokens"]  # a key, for the shape is not a message's
    assert adapter.refuse_response({"input_tokens": 14}, {WHOLE: REFUSAL}) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("/v1/messages", "messages"), ("/v1/messages?beta=true", "messages"), ("/v1/Messages/", "messages")),
        *(("/anthropic/v1/messages", "messages"), ("//v1//%6dessages", "messages")),
        *(("/v1/messages/count_tokens", "count_tokens"), ("/x/v1/messages/count_tokens?beta=true", "count_tokens")),
    ],
)
def test_paths(path, name):
    """Any prefix and any spelling leads to the same adapter."""
    assert adapter_for("POST", path).name == f"anthropic.{name}"


@pytest.mark.parametrize("path", ["/v1/threads/t_1/messages", "/v1/messages/batches", "/messages"])
def test_other_apis_with_messages(path):
    """Other paths that end alike are not this API; they are read as unknown, at every string."""
    assert adapter_for("POST", path).name == "generic"


# --- anything --------------------------------------------------------------------------------------------------------

SECRET = "坏 话"
WORDS = st.sampled_from(
    [
        *("messages", "content", "role", "type", "text", "thinking", "signature", "input", "name", "source", "data"),
        *("system", "tools", "metadata", "user_id", "tool_use", "tool_result", "document", "image", "base64"),
        *("redacted_thinking", "citations", "title", "id", "model", "stop_sequence"),
    ]
)
LEAVES = st.none() | st.booleans() | st.integers(-2, 3) | st.just(SECRET) | st.just("") | WORDS
SHAPES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.just(SECRET), inner, max_size=4),
    max_leaves=14,
)
BLOCKS = st.lists(st.dictionaries(WORDS, SHAPES, max_size=5) | SHAPES, max_size=3)
MESSAGES = st.lists(st.fixed_dictionaries({"role": SHAPES, "content": BLOCKS | SHAPES}), max_size=3)
BODIES = SHAPES | st.fixed_dictionaries({}, optional={"messages": MESSAGES, "content": BLOCKS, "system": BLOCKS})


def secrets(body):
    """How often the secret stands in a body, as a value or a key."""
    return json.dumps(body, ensure_ascii=False).count(SECRET)


@given(body=BODIES)
def test_any_request(body):
    """Every text and key of any request is found once, and masks take all of it."""
    view = ADAPTER.read_request(body)
    shown = [part for part in view.parts if SECRET in part.text]
    metadata = body.get("metadata") if isinstance(body, dict) else None
    hidden = isinstance(metadata, dict) and metadata.get("user_id") == SECRET
    assert len(shown) == secrets(body) - hidden
    assert len({part.path for part in view.parts}) == len(view.parts)
    edited = ADAPTER.edit(body, [Edit(part.path, "* *") for part in shown])
    assert secrets(orjson.loads(edited)) == hidden
    ADAPTER.refusal(view, body, REFUSAL)


@given(body=BODIES)
def test_any_answer(body):
    """The same of any answer; refusals leave none of it."""
    view = ADAPTER.read_response(body)
    shown = [part for part in view.parts if SECRET in part.text]
    assert len(shown) == secrets(body)
    edited = ADAPTER.edit(body, [Edit(part.path, "* *") for part in shown])
    assert secrets(orjson.loads(edited)) == 0
    refused = ADAPTER.refuse_response(body, dict.fromkeys({part.choice for part in shown}, REFUSAL)) if shown else None
    assert refused is None or secrets(orjson.loads(refused)) == 0
