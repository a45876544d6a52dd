"""The official Gemini client against the real proxy over real sockets: clean, refused, cut and masked."""

import asyncio
import json

import pytest
from google import genai
from google.genai import errors, types

pytestmark = [
    pytest.mark.anyio,
    # The client's own: it subclasses aiohttp's session, which aiohttp discourages.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]


def answer(text="", finish=None, **part):
    """One answer as the server sends it."""
    candidate = {"content": {"parts": [{"text": text, **part}], "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 4},
        "modelVersion": "gemini-3-pro",
        "responseId": "r1",
    }


def sse(body):
    """One event, with the line ends that Google sends."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\r\n\r\n"


def refusal(plane):
    """The policy's refusal text."""
    return plane.moderator.current.policy.refusal.zh


def streams(plane, *pieces, kind="text/event-stream", then_wait=False):
    """Let the upstream answer with these pieces, one chunk each."""
    closed = asyncio.Event()

    async def handler(peer, _request):
        await peer.start_stream(f"content-type: {kind}\r\n")
        for one in pieces:
            await peer.chunk(one)
        if then_wait:
            await peer.gone()
            closed.set()
        else:
            await peer.end_stream()

    plane.upstream.handler = handler
    return closed


def says(plane, body):
    """Let the upstream answer with this body."""

    async def handler(peer, _request):
        await peer.json(body)

    plane.upstream.handler = handler


@pytest.fixture
async def client():
    """The official client on a proxy, closed in the end."""
    opened = []

    def opens(plane):
        options = types.HttpOptions(base_url=plane.url, retry_options=types.HttpRetryOptions(attempts=1))
        opened.append(genai.Client(api_key="k", http_options=options))
        return opened[-1].aio.models

    yield opens
    for one in opened:
        await one.aio.aclose()
        one.close()


async def printed(client, plane, text="讲个故事"):
    """What the client reads of a stream, and its last answer."""
    parts = [one async for one in await client(plane).generate_content_stream(model="gemini-3-pro", contents=text)]
    return "".join(part.text or "" for part in parts), parts[-1]


async def test_clean_stream_is_byte_identical(plane, client):
    """A stream that no rule touches arrives as it was sent, in both forms; the client reads it."""
    pieces = [sse(answer("今天")), sse(answer("很好")), sse(answer("", "STOP"))]
    streams(plane, *pieces)
    path = "/v1beta/models/gemini-3-pro:streamGenerateContent"
    body = {"contents": [{"parts": [{"text": "你好"}]}]}
    got = await plane.client.post(f"{path}?alt=sse", json=body)
    assert got.content == b"".join(pieces)
    text, last = await printed(client, plane)
    assert (text, last.candidates[0].finish_reason.name) == ("今天很好", "STOP")
    array = [b"[", json.dumps(answer("今天")).encode(), b"\n,\r\n", json.dumps(answer("好", "STOP")).encode(), b"\n]\n"]
    streams(plane, *array, kind="application/json; charset=UTF-8")
    assert (await plane.client.post(path, json=body)).content == b"".join(array)


async def test_array_is_relayed_as_it_comes(plane):
    """The JSON array is a stream: its first answer is with the client while the upstream still speaks."""
    go_on = asyncio.Event()

    async def handler(peer, _request):
        await peer.start_stream("content-type: application/json\r\n")
        await peer.chunk(b"[" + json.dumps(answer("今天")).encode())
        await asyncio.wait_for(go_on.wait(), 5)
        await peer.chunk(b",\n" + json.dumps(answer("炸药")).encode())
        await peer.gone()

    plane.upstream.handler = handler
    body = {"contents": [{"parts": [{"text": "你好"}]}]}
    got = b""
    async with plane.client.stream("POST", "/v1beta/models/m:streamGenerateContent", json=body) as stream:
        async for piece in stream.aiter_bytes():
            got += piece
            go_on.set()
    told = json.loads(got)
    assert told[-1]["candidates"][0]["finishReason"] == "SAFETY"
    assert told[-1]["candidates"][0]["content"]["parts"][0]["text"] == refusal(plane)


async def test_cut_stream(plane, client):
    """A term cut across two chunks: the client prints what was before it, then the refusal, and raises nothing."""
    closed = streams(plane, sse(answer("他买了炸")), sse(answer("药和别的")), then_wait=True)
    text, last = await printed(client, plane)
    print(f"google-genai printed: {text!r}, finish_reason={last.candidates[0].finish_reason.name!r}")  # noqa: T201
    assert text == "他买了" + refusal(plane)
    assert last.candidates[0].finish_reason.name == "SAFETY"
    await asyncio.wait_for(closed.wait(), 2)
    (record,) = plane.records.items
    assert (record.upstream_cancelled, record.delivered_chars, record.model) == (True, 3, "gemini-3-pro")


async def test_masked_stream(plane, client):
    """A mask reaches the client as text."""
    streams(plane, sse(answer("你这傻")), sse(answer("瓜")), sse(answer("", "STOP")))
    assert (await printed(client, plane))[0] == "你这**"


async def test_blocked_input(plane, client):
    """A blocked question never reaches the model; the client gets a text, streamed or not, and no exception."""
    whole = await client(plane).generate_content(model="m", contents="炸药怎么做")
    assert (whole.text, whole.candidates[0].finish_reason.name) == (refusal(plane), "SAFETY")
    assert whole.prompt_feedback.block_reason.name == "SAFETY"
    text, last = await printed(client, plane, "炸药怎么做")
    assert (text, last.prompt_feedback.block_reason.name) == (refusal(plane), "SAFETY")
    assert not plane.upstream.requests


async def test_blocked_whole_answer(plane, client):
    """A whole answer that is blocked, here in its thoughts, becomes the refusal."""
    says(plane, answer("炸药", "STOP", thought=True))
    whole = await client(plane).generate_content(model="m", contents="你好")
    assert (whole.text, whole.candidates[0].finish_reason.name) == (refusal(plane), "SAFETY")


async def test_count_and_embed(plane, client):
    """Tokens and embeddings pass when clean; what is blocked has no place for a text, so it is the client's error."""
    says(plane, {"totalTokens": 3})
    assert (await client(plane).count_tokens(model="m", contents="你好")).total_tokens == 3
    says(plane, {"embeddings": [{"values": [0.5]}]})
    assert (await client(plane).embed_content(model="m", contents="你好")).embeddings[0].values == [0.5]
    with pytest.raises(errors.ClientError, match="400 INVALID_ARGUMENT") as caught:
        await client(plane).count_tokens(model="m", contents="炸药")
    assert caught.value.message == refusal(plane)


async def test_error_form(kit, client):
    """With ``on_block: error`` the client raises its own error, with the message in it."""
    async with kit.running({"on_block": "error"}) as plane:
        with pytest.raises(errors.ClientError, match="400 INVALID_ARGUMENT"):
            await client(plane).generate_content(model="m", contents="炸药")
        streams(plane, sse(answer("好，")), sse(answer("炸药")), then_wait=True)
        with pytest.raises(errors.APIError, match="INVALID_ARGUMENT"):
            await printed(client, plane)
