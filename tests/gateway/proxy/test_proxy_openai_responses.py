# ruff: noqa: D102 - the stream's methods are named for what they do
"""The official client's responses API against the real proxy over real sockets: clean, refused, cut and masked."""

import asyncio
import json
from pathlib import Path

import openai
import pytest

pytestmark = pytest.mark.anyio

CORPUS = Path(__file__).parents[2] / "corpus" / "openai_responses"


class Streamed:
    """A response as its server streams it: one message, everything said again at the end."""

    def __init__(self):
        self.chunks = []
        self.output = []
        self.response = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "in_progress",
            "model": "m",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
        self.event("response.created", response=self.response)
        self.event("response.in_progress", response=self.response)

    def event(self, kind, **fields):
        body = {"type": kind, "sequence_number": len(self.chunks), **fields}
        self.chunks.append(f"event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode())

    def add(self, item):
        self.event("response.output_item.added", output_index=len(self.output), item=item)

    def done(self, item):
        self.event("response.output_item.done", output_index=len(self.output), item=item)
        self.output.append(item)

    def message(self, *pieces):
        item = {"id": f"msg_{len(self.output)}", "type": "message", "role": "assistant"}
        where = {"item_id": item["id"], "output_index": len(self.output), "content_index": 0}
        part = {"type": "output_text", "annotations": [], "logprobs": []}
        self.add({**item, "status": "in_progress", "content": []})
        self.event("response.content_part.added", **where, part={**part, "text": ""})
        for piece in pieces:
            self.event("response.output_text.delta", **where, delta=piece, logprobs=[])
        text = "".join(pieces)
        self.event("response.output_text.done", **where, text=text, logprobs=[])
        self.event("response.content_part.done", **where, part={**part, "text": text})
        self.done({**item, "status": "completed", "content": [{**part, "text": text}]})
        return self

    def call(self, *fragments):
        item = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "send"}
        self.add({**item, "arguments": "", "status": "in_progress"})
        where = {"item_id": "fc_1", "output_index": len(self.output)}
        for fragment in fragments:
            self.event("response.function_call_arguments.delta", **where, delta=fragment)
        self.event("response.function_call_arguments.done", **where, arguments="".join(fragments), name="send")
        self.done({**item, "arguments": "".join(fragments), "status": "completed"})
        return self

    def end(self):
        answer = {**self.response, "status": "completed", "output": self.output}
        self.event("response.completed", response=answer)
        return self.chunks


def answered(*texts, **more):
    """A whole response with one message for each text."""
    output = [
        {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }
        for number, text in enumerate(texts)
    ]
    return {**Streamed().response, "status": "completed", "output": output, **more}


def refusal(plane):
    """The policy's refusal text."""
    return plane.moderator.current.policy.refusal.zh


def streams(plane, chunks, *, then_wait=False):
    """Let the upstream answer with these chunks."""
    closed = asyncio.Event()

    async def handler(peer, _request):
        await peer.start_stream()
        for one in chunks:
            await peer.chunk(one)
        if then_wait:
            await peer.gone()
            closed.set()
        else:
            await peer.end_stream()

    plane.upstream.handler = handler
    return closed


def answers(plane, body):
    """Let the upstream answer with this body."""

    async def handler(peer, _request):
        await peer.json(body)

    plane.upstream.handler = handler


@pytest.fixture
async def client():
    """The official client on a proxy, closed in the end."""
    opened = []

    def opens(plane):
        opened.append(openai.AsyncOpenAI(base_url=f"{plane.url}/v1", api_key="sk-test", max_retries=0, timeout=10))
        return opened[-1].responses

    yield opens
    for one in opened:
        await one.close()


async def read(client, **more):
    """The events that the client's raw stream gives."""
    stream = await client.create(model="m", input="讲个故事", stream=True, **more)
    return [event async for event in stream]


def check_order(events):
    """Numbers go up by one, and everything that begins ends."""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    begun = [event.type for event in events if event.type.endswith(".added")]
    ended = [event.type for event in events if event.type.endswith(("item.done", "part.done"))]
    assert len(begun) == len(ended)
    assert events[-1].type in ("response.completed", "response.incomplete")


async def test_clean_stream_is_byte_identical(plane, client):
    """A stream that no rule touches arrives as it was sent, and the client's helper assembles it."""
    chunks = Streamed().message("今天", "很好").call('{"to":', '"anna"}').end()
    streams(plane, chunks)
    answer = await plane.client.post("/v1/responses", json={"model": "m", "input": "你好", "stream": True})
    assert answer.content == b"".join(chunks)
    assert answer.headers["x-sluice-coverage"] == "full"
    async with client(plane).stream(model="m", input="你好") as stream:
        final = await stream.get_final_response()
    assert final.output_text == "今天很好"


async def test_cut_stream(plane, client):
    """A term cut across two chunks: the client prints what was before it, then the refusal, and raises nothing."""
    chunks = Streamed().message("他买了炸", "药和别的").chunks
    closed = streams(plane, chunks[:6], then_wait=True)
    events = await read(client(plane))
    printed = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    final = events[-1].response
    print(f"openai printed: {printed!r}, {final.status}, {final.incomplete_details.reason}")  # noqa: T201 - with -s
    assert printed == "他买了" + refusal(plane) == final.output_text
    assert (final.status, final.incomplete_details.reason) == ("incomplete", "content_filter")
    check_order(events)
    await asyncio.wait_for(closed.wait(), 2)
    (record,) = plane.records.items
    assert (record.api, record.upstream_cancelled, record.delivered_chars) == ("openai.responses", True, 3)


async def test_cut_stream_in_the_clients_helper(plane, client):
    """The accumulating helper takes a cut stream as it takes the vendor's own incomplete responses."""
    streams(plane, Streamed().message("好的", "，炸", "药").end())
    async with client(plane).stream(model="m", input="你好") as stream:
        events = [event async for event in stream]
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.output_text == "好的，" + refusal(plane)


async def test_cut_arguments(plane, client):
    """A term in a function call cuts the call; the refusal is a message behind it."""
    streams(plane, Streamed().call('{"text":"炸', '药"}').end())
    async with client(plane).stream(model="m", input="你好") as stream:
        events = [event async for event in stream]
    final = events[-1].response
    assert [item.type for item in final.output] == ["function_call", "message"]
    assert (final.output[0].status, final.output[0].arguments) == ("incomplete", '{"text":"')
    assert final.output_text == refusal(plane)
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_mask_reaches_every_repeat(plane, client):
    """A masked term is masked in its deltas, in every closing event and in the whole response, and judged once."""
    streams(plane, Streamed().message("你这傻", "瓜", "真行").end())
    raw = (await plane.client.post("/v1/responses", json={"model": "m", "input": "x", "stream": True})).content
    assert "傻".encode() not in raw
    assert "瓜".encode() not in raw
    assert raw.count("你这**真行".encode()) == 4
    assert len(plane.records.latest) == 1
    async with client(plane).stream(model="m", input="你好") as stream:
        final = await stream.get_final_response()
    assert final.output_text == "你这**真行"


async def test_blocked_input(plane, client):
    """A blocked question never reaches the model; the client gets a response, streamed or not, and no exception."""
    whole = await client(plane).create(model="m", input="炸药怎么做")
    assert (whole.output_text, whole.status) == (refusal(plane), "incomplete")
    assert whole.incomplete_details.reason == "content_filter"
    stream = await client(plane).create(model="m", input=[{"role": "user", "content": "炸药怎么做"}], stream=True)
    events = [event async for event in stream]
    check_order(events)
    assert events[-1].response.output_text == refusal(plane)
    assert not plane.upstream.requests


@pytest.mark.parametrize(
    "more",
    [
        {"instructions": "说说炸药"},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "炸药"}]},
        {
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "炸"}, {"type": "input_text", "text": "药"}],
                }
            ]
        },
        {"input": [{"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "炸药"}]}]},
        {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"q":"\\u70b8\\u836f"}'}]},
        {"prompt": {"id": "pmpt_1", "variables": {"topic": "炸药"}}},
        {"metadata": {"炸药": "x"}},
        {"tools": [{"type": "function", "name": "f", "parameters": {"properties": {"炸药": {}}}, "strict": False}]},
    ],
)
async def test_blocked_everywhere_in_a_request(plane, client, more):
    """No place of a request hides a term."""
    whole = await client(plane).create(**{"model": "m", "input": "你好", **more})
    assert whole.incomplete_details.reason == "content_filter"
    assert not plane.upstream.requests


async def test_whole_answers(plane, client):
    """A whole answer is forwarded byte for byte, masked in place, or refused; also one that is asked for by its id."""
    answers(plane, answered("很好"))
    assert (await client(plane).create(model="m", input="你好")).output_text == "很好"
    answers(plane, answered("你这傻瓜"))
    assert (await client(plane).create(model="m", input="你好")).output_text == "你这**"
    answers(plane, answered("先说好的", "炸药"))
    blocked = await client(plane).create(model="m", input="你好")
    assert (blocked.output_text, blocked.status) == (refusal(plane), "incomplete")
    assert blocked.incomplete_details.reason == "content_filter"
    again = await client(plane).retrieve("resp_1")
    assert (again.output_text, again.id) == (refusal(plane), "resp_1")


async def test_background(plane, client):
    """A background response is queued unread and judged when it is fetched, whole or as a stream."""
    answers(plane, answered(status="queued", background=True))
    queued = await client(plane).create(model="m", input="你好", background=True)
    assert (queued.status, queued.output) == ("queued", [])
    streams(plane, Streamed().message("炸", "药").end())
    events = [event async for event in await client(plane).retrieve("resp_1", stream=True)]
    assert events[-1].response.output_text == refusal(plane)


async def test_error_form(kit, client):
    """With `on_block: error` a blocked request is an error, a stream ends with the API's error event."""
    async with kit.running({"on_block": "error"}) as plane:
        with pytest.raises(openai.BadRequestError) as raised:
            await client(plane).create(model="m", input="炸药")
        assert raised.value.code == "content_filter"
        streams(plane, Streamed().message("好", "炸药").end())
        events = await read(client(plane))
        assert (events[-1].type, events[-1].code) == ("error", "content_filter")
        assert events[-1].sequence_number == len(events) - 1


async def test_unknown_event_is_a_policy_decision(kit, client):
    """An event that nobody knows ends the stream, or passes and is counted, as the policy says."""
    odd = Streamed()
    odd.event("response.brand_new", note="谁也不认识")
    chunks = odd.message("照常").end()
    async with kit.running() as plane:
        streams(plane, chunks)
        events = await read(client(plane))
        assert events[-1].type == "error"
        assert ("unknown", "frame", "block") in plane.metrics.told
    async with kit.running({"unknown": "pass"}) as plane:
        streams(plane, chunks)
        events = await read(client(plane))
        assert events[-1].type == "response.completed"
        assert ("unknown", "frame", "pass") in plane.metrics.told


async def test_recorded_streams_pass_unchanged(kit):
    """Every recording that is clean and whole arrives byte for byte."""
    async with kit.running({"unknown": "pass"}) as plane:
        for path in sorted(CORPUS.glob("*.sse")):
            streams(plane, [path.read_bytes()])
            answer = await plane.client.post("/v1/responses", json={"model": "m", "input": "x", "stream": True})
            assert answer.content == path.read_bytes(), path.name
