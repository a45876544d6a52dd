"""The official OpenAI client in front of APIs that are only compatible, against the real proxy over real sockets."""

import json

import openai
import pytest

pytestmark = pytest.mark.anyio


def chunk(delta, finish=None, **more):
    """One frame as such APIs send it."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "q1", "object": "chat.completion.chunk", "created": 1, "model": "deepseek-reasoner", **more}
    return b"data: " + json.dumps({"choices": [choice], **body}, ensure_ascii=False).encode() + b"\n\n"


@pytest.fixture
async def read():
    """Stream a chat with the official client: what it printed of content and of reasoning, and how it ended."""
    opened = []

    async def reads(plane, *pieces):
        async def handler(peer, _request):
            await peer.start_stream()
            for piece in pieces:
                await peer.chunk(piece)
            await peer.end_stream()

        plane.upstream.handler = handler
        opened.append(openai.AsyncOpenAI(base_url=f"{plane.url}/v1", api_key="k", max_retries=0))
        messages = [{"role": "user", "content": "讲个故事"}]
        stream = await opened[-1].chat.completions.create(model="m", messages=messages, stream=True)
        content, reasoning, finish = "", "", None
        async for part in stream:
            for choice in part.choices:
                content += choice.delta.content or ""
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                finish = choice.finish_reason or finish
        return content, reasoning, finish

    yield reads
    for one in opened:
        await one.close()


async def test_deepseek(plane, read):
    """Keep-alive comments, reasoning cut at a term across two chunks: the client prints the rest and the refusal."""
    alive = b": keep-alive\n\n"
    pieces = (alive, chunk({"role": "assistant", "content": None, "reasoning_content": "想买炸"}), alive)
    got = await read(plane, *pieces, chunk({"content": None, "reasoning_content": "药"}), chunk({"content": "好"}))
    print(f"openai printed (deepseek): {got}")  # noqa: T201 - shown with -s
    assert got == (plane.moderator.current.policy.refusal.zh, "想买", "content_filter")


async def test_usage_only_frame_and_null_choices(plane, read):
    """The last frames of Qwen and Zhipu pass."""
    done = b"data: [DONE]\n\n"
    usage = b'data: {"id":"q","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
    end = chunk({"content": ""}, "sensitive", web_search=[{"title": "天气"}])
    assert await read(plane, chunk({"content": "好"}), end, usage, done) == ("好", "", "sensitive")


async def test_error_object_in_a_200_stream(plane, read):
    """The client raises the vendor's error, as it does without a proxy."""
    error = 'data: {"error":{"code":"1301","message":"系统繁忙"}}\n\n'.encode()
    with pytest.raises(openai.APIError, match="系统繁忙"):
        await read(plane, chunk({"content": "好"}), error)
