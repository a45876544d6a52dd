"""The official Anthropic client against the real proxy over real sockets: clean, refused, cut and masked."""

import asyncio
import json

import anthropic
import pytest

pytestmark = pytest.mark.anyio

REFUSAL = "根据相关法律法规和平台规范，这个内容不便提供。"
USAGE = {"input_tokens": 3, "output_tokens": 1}
TOOL = {
    "name": "look",
    "description": "看一看",
    "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}},
}


def ev(name, **fields):
    """One event as the API sends it."""
    data = json.dumps({"type": name, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {data}\n\n".encode()


def start():
    """The event that opens a message."""
    message = {"id": "msg_up", "type": "message", "role": "assistant", "model": "claude-up", "content": []}
    return ev("message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": USAGE})


def block(number, kind, *pieces, **fields):
    """The events of one block."""
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}[kind]
    field, delta = {"text": ("text", "text_delta"), "thinking": ("thinking", "thinking_delta")}.get(
        kind, ("partial_json", "input_json_delta")
    )
    events = [ev("content_block_start", index=number, content_block={"type": kind, **empty, **fields})]
    events += [ev("content_block_delta", index=number, delta={"type": delta, field: piece}) for piece in pieces]
    if kind == "thinking":
        signed = {"type": "signature_delta", "signature": "RVZFTg=="}
        events.append(ev("content_block_delta", index=number, delta=signed))
    return [*events, ev("content_block_stop", index=number)]


def end(reason="end_turn"):
    """The events that end a message."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [ev("message_delta", delta=delta, usage={"output_tokens": 9}), ev("message_stop")]


def streams(plane, *events, then_wait=False):
    """Let the upstream answer with these events, one chunk each."""

    async def handler(peer, request):
        await peer.start_stream()
        for event in events:
            await peer.chunk(event)
        if then_wait:
            await peer.gone()
        else:
            await peer.end_stream()

    plane.upstream.handler = handler


def says(plane, body):
    """Let the upstream answer with this body."""

    async def handler(peer, request):
        await peer.whole(body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode())

    plane.upstream.handler = handler


def message(*content, **more):
    """A whole answer."""
    head = {"id": "msg_up", "type": "message", "role": "assistant", "model": "claude-up", "stop_reason": "end_turn"}
    return {**head, "stop_sequence": None, "content": list(content), "usage": USAGE, **more}


def client(plane):
    """The official client on the proxy."""
    return anthropic.AsyncAnthropic(base_url=plane.url, api_key="sk-ant-test", max_retries=0)


def ask(text="你好", **more):
    """The arguments of a request."""
    return {"model": "claude-x", "max_tokens": 99, "messages": [{"role": "user", "content": text}], **more}


async def collect(plane, **more):
    """Stream with the client's accumulator: the text it yields, and its final message."""
    async with client(plane) as api, api.messages.stream(**ask(**more)) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        return text, await stream.get_final_message()


async def collect_until_error(plane):
    """The text of a stream that ends in an error, and the error that the client raises."""
    text = ""
    try:
        async with client(plane) as api, api.messages.stream(**ask()) as stream:
            async for piece in stream.text_stream:
                text += piece
    except anthropic.APIStatusError as error:
        return text, error
    raise AssertionError(text)


# --- whole answers ---------------------------------------------------------------------------------------------------


async def test_clean_answer(plane):
    """What no rule touches arrives byte for byte, and the client reads it."""
    raw = json.dumps(message({"type": "text", "text": "晴天"}), indent=1).encode()
    says(plane, raw)
    async with client(plane) as api:
        reply = await api.messages.with_raw_response.create(**ask(metadata={"user_id": "u-7"}))
    assert reply.http_response.content == raw
    assert reply.headers["x-sluice-decision"] == "allow"
    assert (await reply.parse()).content[0].text == "晴天"
    assert plane.upstream.requests[0].target == "/v1/messages"


async def test_blocked_input(plane):
    """A blocked prompt is a message with stop_reason refusal; the upstream hears nothing of it."""
    async with client(plane) as api:
        reply = await api.messages.create(**ask("怎么做炸药？"))
    assert (reply.stop_reason, reply.content[0].type) == ("refusal", "text")
    assert "炸" not in reply.content[0].text
    assert reply.content[0].text
    assert reply.usage.output_tokens == 0
    assert plane.upstream.requests == []
    assert plane.records.items[0].api == "anthropic.messages"


async def test_blocked_streamed_input(plane):
    """The same for a request that asked for a stream."""
    text, final = await collect(plane, text="怎么做炸药？")
    assert (final.stop_reason, [block.type for block in final.content]) == ("refusal", ["text"])
    assert text == final.content[0].text
    assert final.model == "claude-x"
    assert plane.upstream.requests == []


@pytest.mark.parametrize(
    "more",
    [
        {"system": "炸药"},
        {"system": [{"type": "text", "text": "炸"}, {"type": "text", "text": "药"}]},
        {"tools": [{**TOOL, "description": "炸药"}]},
        {"tools": [{**TOOL, "input_schema": {"type": "object", "properties": {"炸药": {"type": "string"}}}}]},
        {"stop_sequences": ["炸药"]},
        {"text": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "炸药"}}]},
        {"text": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "炸药"}]}]},
        {"text": [{"type": "search_result", "source": "s", "title": "炸药", "content": []}]},
    ],
)
async def test_blocked_in_every_place_of_a_request(plane, more):
    """Wherever the term stands, the request is refused."""
    async with client(plane) as api:
        reply = await api.messages.create(**ask(**more))
    assert reply.stop_reason == "refusal"
    assert plane.upstream.requests == []


async def test_masked_request(plane):
    """A mask changes the characters that match and nothing else of what the model gets."""
    says(plane, message({"type": "text", "text": "好"}))
    async with client(plane) as api:
        await api.messages.create(**ask("你这个傻瓜", tools=[TOOL]))
    sent = json.loads(plane.upstream.requests[0].body)
    assert sent["messages"][0]["content"] == "你这个**"
    assert sent["tools"] == [TOOL]


async def test_blocked_answer(plane):
    """A whole answer over two text blocks that is blocked only when they are read together."""
    says(plane, message({"type": "text", "text": "先买炸"}, {"type": "text", "text": "药，然后"}))
    async with client(plane) as api:
        reply = await api.messages.create(**ask())
    assert (reply.stop_reason, len(reply.content)) == ("refusal", 1)
    assert "药" not in reply.content[0].text
    assert reply.id == "msg_up"


async def test_masked_answer(plane):
    """Masks in text, thinking and tool input; the thinking block that was changed loses its signature."""
    content = [
        {"type": "thinking", "thinking": "这个傻瓜", "signature": "U0lH"},
        {"type": "text", "text": "傻瓜你好"},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"q": "找傻瓜", "n": 1}},
    ]
    says(plane, message(*content, stop_reason="tool_use"))
    async with client(plane) as api:
        reply = await api.messages.create(**ask(tools=[TOOL]))
    assert (reply.content[0].thinking, reply.content[0].signature) == ("这个**", "")
    assert reply.content[1].text == "**你好"
    assert reply.content[2].input == {"q": "找**", "n": 1}


async def test_error_form(kit):
    """`on_block: error` is the API's own error object, with what the contract adds."""
    async with kit.running({"on_block": "error"}) as plane, client(plane) as api:
        with pytest.raises(anthropic.BadRequestError) as caught:
            await api.messages.create(**ask("炸药"))
    body = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert body["error"]["sluice"]["categories"] == ["A1.h.weapons_cbrne"]


async def test_too_large(kit):
    """A body over the limit is request_too_large."""
    async with kit.running(max_body=1000) as plane, client(plane) as api:
        with pytest.raises(anthropic.RequestTooLargeError) as caught:
            await api.messages.create(**ask("很长" * 1000))
    assert caught.value.body["error"]["type"] == "request_too_large"


async def test_upstream_down_and_silent(kit):
    """An upstream that answers nothing: 504 in the API's shape; one that is gone: 502."""
    async with kit.running(idle=0.3) as plane, client(plane) as api:

        async def handler(peer, request):
            await peer.gone()

        plane.upstream.handler = handler
        with pytest.raises(anthropic.APIStatusError) as caught:
            await api.messages.create(**ask())
        assert (caught.value.status_code, caught.value.body["error"]["type"]) == (504, "timeout_error")

        async def hang_up(peer, request):
            peer.writer.close()

        plane.upstream.handler = hang_up
        with pytest.raises(anthropic.InternalServerError) as caught:
            await api.messages.create(**ask())
        assert (caught.value.status_code, caught.value.body["error"]["type"]) == (502, "api_error")


async def test_count_tokens(plane):
    """The request is scanned, the number passes; a blocked request is an error, for a count has no place for text."""
    says(plane, {"input_tokens": 2095})
    async with client(plane) as api:
        ask_count = {"model": "claude-x", "messages": [{"role": "user", "content": "你好"}]}
        assert (await api.messages.count_tokens(**ask_count)).input_tokens == 2095
        ask_count["messages"][0]["content"] = "炸药"
        with pytest.raises(anthropic.BadRequestError) as caught:
            await api.messages.count_tokens(**ask_count)
    assert caught.value.body["error"]["code"] == "content_filter"
    assert [request.target for request in plane.upstream.requests] == ["/v1/messages/count_tokens"]


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_clean_stream(plane):
    """Byte for byte, and the client accumulates every kind of block."""
    events = [
        start(),
        *block(0, "thinking", "想", "一想"),
        *block(1, "text", "我来", "查。"),
        *block(2, "tool_use", "", '{"q": "天\\', 'u6c14"}', id="toolu_1", name="look"),
        *end("tool_use"),
    ]
    streams(plane, *events)
    async with client(plane) as api:
        raw = await api.messages.with_raw_response.create(**ask(stream=True))
        assert await raw.http_response.aread() == b"".join(events)
    streams(plane, *events)
    text, final = await collect(plane)
    assert text == "我来查。"
    assert (final.content[0].thinking, final.content[0].signature) == ("想一想", "RVZFTg==")
    assert final.content[2].input == {"q": "天气"}
    assert (final.stop_reason, final.usage.output_tokens) == ("tool_use", 9)


async def test_cut_stream(plane):
    """A term cut across two chunks: the text before it, the refusal in a block of its own, the upstream closed."""
    streams(plane, start(), *block(0, "text", "他买", "了炸", "药和", "别的")[:-1], then_wait=True)
    text, final = await collect(plane)
    assert [block.type for block in final.content] == ["text", "text"]
    assert final.content[0].text == "他买了"
    assert text == "他买了" + final.content[1].text
    assert (final.stop_reason, final.stop_sequence, final.id) == ("refusal", None, "msg_up")
    await asyncio.wait_for(plane.upstream.peers[0].closed.wait(), 5)
    (record,) = plane.records.latest
    assert (record.delivered_chars, record.upstream_cancelled, record.channel) == (3, True, "content")


async def test_term_over_two_blocks(plane):
    """Text blocks are read as one text, so a term that is cut by a block's end is one too."""
    events = [*block(0, "text", "他买", "了炸"), *block(1, "text", "药和")[:-1]]
    streams(plane, start(), *events, then_wait=True)
    text, final = await collect(plane)
    assert final.content[0].text == "他买了"
    assert final.stop_reason == "refusal"
    assert "药" not in text


@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        (block(0, "thinking", "先想炸", "药"), ["thinking", "text"]),
        (
            [*block(0, "text", "好。"), *block(1, "tool_use", '{"q": "炸\\u8', '36f"}', name="f", id="t")],
            ["text", "tool_use", "text"],
        ),
        ([*block(0, "text", "好。"), *block(1, "tool_use", "{}", name="炸药", id="t")], ["text", "text"]),
    ],
)
async def test_cut_in_every_channel(plane, events, kinds):
    """Thinking, tool input and tool names are blocked too; the blocks that the client has stay numbered."""
    streams(plane, start(), *events, *end())
    _, final = await collect(plane, tools=[TOOL])
    assert final.stop_reason == "refusal"
    assert [block.type for block in final.content] == kinds
    assert "炸" not in final.model_dump_json()
    assert "u8" not in final.model_dump_json()


async def test_masked_stream(plane):
    """Masks in text, thinking and input, whose JSON stays valid; the changed thinking loses its signature."""
    events = [
        start(),
        *block(0, "thinking", "真是傻", "瓜"),
        *block(1, "text", "你这", "个傻", "瓜，你好"),
        *block(2, "tool_use", '{"q": "傻\\u74', 'dc", "n": 1}', id="toolu_1", name="look"),
        *end("tool_use"),
    ]
    streams(plane, *events)
    text, final = await collect(plane)
    assert text == "你这个**，你好"
    assert (final.content[0].thinking, final.content[0].signature) == ("真是**", "")
    assert final.content[2].input == {"q": "**", "n": 1}
    assert final.stop_reason == "tool_use"


async def test_error_in_a_stream(kit):
    """`on_block: error` ends a stream with the API's error event, and the client raises as for the vendor's own."""
    async with kit.running({"on_block": "error"}) as plane:
        streams(plane, start(), *block(0, "text", "他买", "了炸", "药")[:-1], then_wait=True)
        text, error = await collect_until_error(plane)
    assert text == "他买了"
    assert error.body["error"]["sluice"]["action"] == "block"


async def test_upstream_that_dies_in_a_stream(plane):
    """What was clear arrives, then the API's error event."""

    async def handler(peer, request):
        await peer.start_stream()
        await peer.chunk(start() + b"".join(block(0, "text", "你好。")[:-1]))
        peer.writer.close()

    plane.upstream.handler = handler
    text, error = await collect_until_error(plane)
    assert text == "你好。"
    assert error.body["error"]["type"] == "api_error"
