"""The official DashScope client against the real proxy over real sockets: clean, refused, cut and masked."""

import asyncio
import json

import dashscope
import pytest
from dashscope.api_entities.http_request import close_shared_sync_session

pytestmark = pytest.mark.anyio

# Of most models the client asks for pieces and adds them up itself; of these it takes the server's totals.
TOTALS, PIECES = "qwen-deep-research", "qwen-plus"
PATH = "/api/v1/services/aigc/text-generation/generation"


def event(number, content, finish="null"):
    """One event as the server writes it."""
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": finish}
    body = {"output": {"choices": [choice]}, "usage": {"total_tokens": number}, "request_id": "r-1"}
    return f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps(body, ensure_ascii=False)}\n\n".encode()


def totals(*pieces):
    """Events whose texts are running totals."""
    texts = ["".join(pieces[: number + 1]) for number in range(len(pieces))]
    return [event(number, text) for number, text in enumerate(texts, 1)] + [event(99, texts[-1], "stop")]


def refusal(plane):
    """The policy's refusal text."""
    return plane.moderator.current.policy.refusal.zh


def streams(plane, *pieces, then_wait=False):
    """Let the upstream answer with these pieces, one chunk each."""
    closed = asyncio.Event()

    async def handler(peer, _request):
        await peer.start_stream("content-type: text/event-stream;charset=UTF-8\r\n")
        for one in pieces:
            await peer.chunk(one)
        if then_wait:
            await peer.gone()
            closed.set()
        else:
            await peer.end_stream()

    plane.upstream.handler = handler
    return closed


@pytest.fixture
def call(monkeypatch):
    """Call the official client on a proxy; its shared session is closed in the end."""

    async def calls(
        plane, text="讲个故事", api=dashscope.Generation, *, model=TOTALS, stream=True, content=None, **parameters
    ):
        monkeypatch.setattr(dashscope, "base_http_api_url", f"{plane.url}/api/v1")
        messages = [{"role": "user", "content": content or text}]

        def work():
            got = api.call(
                model,
                api_key="sk-test",
                messages=messages,
                stream=stream,
                result_format="message",
                **parameters,
            )
            return list(got) if stream else [got]

        return await asyncio.to_thread(work)

    yield calls
    close_shared_sync_session()


def content(part):
    """What an application prints of one answer."""
    return part.output.choices[0].message.content


async def test_clean_stream_is_byte_identical(plane, call):
    """A stream that no rule touches arrives as it was sent; the client reads totals and pieces."""
    pieces = totals("今天", "很好")
    streams(plane, *pieces)
    asked = {"model": "m", "input": {"prompt": "你好"}, "parameters": {}}
    got = await plane.client.post(PATH, json=asked, headers={"x-dashscope-sse": "enable"})
    assert got.content == b"".join(pieces)
    parts = await call(plane, incremental_output=False)
    assert [content(part) for part in parts] == ["今天", "今天很好", "今天很好"]
    streams(plane, event(1, "今天"), event(2, "很好"), event(3, "", "stop"))
    parts = await call(plane, incremental_output=True)
    assert "".join(content(part) for part in parts) == "今天很好"


@pytest.mark.parametrize(("model", "incremental"), [(TOTALS, False), (PIECES, False), (PIECES, True)])
async def test_cut_stream(plane, call, model, incremental):
    """A term cut across two chunks: the client prints what was before it, then the refusal, and raises nothing."""
    texts = ("他买了炸", "药和别的") if model == PIECES else ("他买了炸", "他买了炸药和别的")
    closed = streams(plane, *(event(number, text) for number, text in enumerate(texts, 1)), then_wait=True)
    parts = await call(plane, model=model, incremental_output=incremental)
    printed = "".join(content(part) for part in parts) if incremental else content(parts[-1])
    finish = parts[-1].output.choices[0].finish_reason
    print(f"dashscope printed ({model}, incremental_output={incremental}): {printed!r}, {finish!r}")  # noqa: T201
    assert printed == "他买了" + refusal(plane)
    assert (finish, parts[-1].status_code) == ("content_filter", 200)
    await asyncio.wait_for(closed.wait(), 2)
    (record,) = plane.records.items
    assert (record.api, record.upstream_cancelled, record.delivered_chars) == ("dashscope.text", True, 3)


async def test_masked_totals(plane, call):
    """A mask stays in every total that the client gets."""
    streams(plane, *totals("你这傻", "瓜", "，好"))
    parts = await call(plane, incremental_output=False)
    assert [content(part) for part in parts] == ["你这*", "你这**", "你这**，好", "你这**，好"]


async def test_blocked_input(plane, call):
    """A blocked question never reaches the model; the client gets an answer, streamed or not, multimodal too."""
    for stream in (True, False):
        (answer,) = await call(plane, "炸药怎么做", stream=stream)
        assert (content(answer), answer.status_code) == (refusal(plane), 200)
        assert answer.output.choices[0].finish_reason == "content_filter"
    (answer,) = await call(plane, api=dashscope.MultiModalConversation, stream=False, content=[{"text": "炸药怎么做"}])
    assert content(answer) == [{"text": refusal(plane)}]
    assert not plane.upstream.requests


async def test_error_form(kit, call):
    """With ``on_block: error`` the client reports what it reports for the vendor's own filter, and raises nothing."""
    async with kit.running({"on_block": "error"}) as plane:
        (answer,) = await call(plane, "炸药怎么做", stream=False)
        assert (answer.status_code, answer.code, answer.message) == (400, "DataInspectionFailed", refusal(plane))
        streams(plane, *totals("好，", "炸药"), then_wait=True)
        parts = await call(plane, incremental_output=False)
        assert content(parts[0]) == "好，"
        assert (parts[-1].code, parts[-1].message) == ("DataInspectionFailed", refusal(plane))
