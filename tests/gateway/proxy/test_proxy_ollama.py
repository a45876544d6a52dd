"""The official Ollama client against the real proxy over real sockets: clean, refused, cut and masked."""

import asyncio
import json

import ollama
import pytest

pytestmark = pytest.mark.anyio


def line(*, done=False, **fields):
    """One line as the server sends it."""
    body = {"model": "qwen3:8b", "created_at": "2026-11-22T03:04:05.123456Z", **fields, "done": done}
    if done:
        body |= {"done_reason": "stop", "total_duration": 5, "prompt_eval_count": 3, "eval_count": 2}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def says(text="", **more):
    """A line of a chat."""
    return line(message={"role": "assistant", "content": text, **more})


END = line(message={"role": "assistant", "content": ""}, done=True)


def refusal(plane):
    """The policy's refusal text."""
    return plane.moderator.current.policy.refusal.zh


def streams(plane, *lines, then_wait=False):
    """Let the upstream answer with these lines, one chunk each."""
    closed = asyncio.Event()

    async def handler(peer, _request):
        await peer.start_stream("content-type: application/x-ndjson\r\n")
        for one in lines:
            await peer.chunk(one)
        if then_wait:
            await peer.gone()
            closed.set()
        else:
            await peer.end_stream()

    plane.upstream.handler = handler
    return closed


@pytest.fixture
async def client():
    """The official client on a proxy, closed in the end."""
    opened = []

    def opens(plane):
        opened.append(ollama.AsyncClient(host=plane.url))
        return opened[-1]

    yield opens
    for one in opened:
        await one._client.aclose()


def ask(text="你好"):
    """Messages."""
    return [{"role": "user", "content": text}]


async def test_clean_stream_is_byte_identical(plane, client):
    """A stream that no rule touches arrives as it was sent; the client reads it."""
    lines = (says("今天"), says("很好", thinking="嗯"), END)
    streams(plane, *lines)
    answer = await plane.client.post("/api/chat", json={"model": "m", "messages": ask()})
    assert answer.content == b"".join(lines)
    parts = [part async for part in await client(plane).chat("m", ask(), stream=True)]
    assert "".join(part.message.content for part in parts) == "今天很好"
    assert parts[-1].done_reason == "stop"


async def test_cut_stream(plane, client):
    """A term cut across two chunks: the client prints what was before it, then the refusal, and raises nothing."""
    closed = streams(plane, says("他买了炸"), says("药和别的"), then_wait=True)
    parts = [part async for part in await client(plane).chat("m", ask("讲个故事"), stream=True)]
    printed = "".join(part.message.content for part in parts)
    print(f"ollama printed: {printed!r}, done_reason={parts[-1].done_reason!r}")  # noqa: T201 - shown with -s
    assert printed == "他买了" + refusal(plane)
    assert (parts[-1].done, parts[-1].done_reason) == (True, "content_filter")
    await asyncio.wait_for(closed.wait(), 2)
    (record,) = plane.records.items
    assert (record.api, record.upstream_cancelled, record.delivered_chars) == ("ollama.chat", True, 3)


async def test_mask_in_a_generate_stream(plane, client):
    """A mask reaches the client as text."""
    streams(plane, line(response="你这傻"), line(response="瓜"), line(response="", done=True, context=[1, 2]))
    parts = [part async for part in await client(plane).generate("m", "你好", stream=True)]
    assert "".join(part.response for part in parts) == "你这**"
    assert parts[-1].done_reason == "stop"


async def test_blocked_input(plane, client):
    """A blocked question never reaches the model; the client gets a message, streamed or not, and no exception."""
    whole = await client(plane).chat("m", ask("炸药怎么做"))
    assert (whole.message.content, whole.done_reason) == (refusal(plane), "content_filter")
    parts = [part async for part in await client(plane).generate("m", "炸药怎么做", stream=True)]
    assert "".join(part.response for part in parts) == refusal(plane)
    assert parts[-1].done_reason == "content_filter"
    assert not plane.upstream.requests


async def test_blocked_whole_answer(plane, client):
    """A whole answer that is blocked becomes the refusal."""

    async def handler(peer, _request):
        body = {"model": "m", "created_at": "2026-11-22T03:04:05Z", "done": True, "done_reason": "stop"}
        await peer.json({**body, "message": {"role": "assistant", "content": "好", "thinking": "炸药"}})

    plane.upstream.handler = handler
    answer = await client(plane).chat("m", ask())
    assert (answer.message.content, answer.message.thinking) == (refusal(plane), None)
    assert answer.done_reason == "content_filter"


async def test_error_form(kit, client):
    """With ``on_block: error`` the client raises its own error, with the message in it."""
    async with kit.running({"on_block": "error"}) as plane:
        with pytest.raises(ollama.ResponseError, match=refusal(plane)) as caught:
            await client(plane).chat("m", ask("炸药怎么做"))
        assert caught.value.status_code == 400
        streams(plane, says("好，"), says("炸药"), then_wait=True)
        with pytest.raises(ollama.ResponseError, match=refusal(plane)):
            _ = [part async for part in await client(plane).chat("m", ask(), stream=True)]
