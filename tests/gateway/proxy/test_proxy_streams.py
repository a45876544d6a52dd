# ruff: noqa: D102 - the rig's methods are named for what they do
"""Streamed answers over real sockets: what leaves, when, and what happens when either side goes away."""

import asyncio
import gzip
import json

import brotli
import pytest

from filters.lexicon import Lexicon
from filters.policy import Policy
from filters.ruleset import Ruleset
from gateway.inference import InferenceTimeout

pytestmark = pytest.mark.anyio
LABEL = "A1.h.gambling"


def streaming(plane, *pieces, **more):
    """Let the upstream stream these pieces, one network chunk each."""

    async def handler(peer, _request):
        await peer.start_stream(**more)
        for piece in pieces:
            await peer.chunk(piece)
        await peer.end_stream()

    plane.upstream.handler = handler


def split(data, size):
    """Bytes in pieces of a size."""
    return [data[start : start + size] for start in range(0, len(data), size)]


async def test_clean_stream_is_byte_identical(plane, kit):
    """PEERS 20: framing, comments, ids and line ends survive, in pieces of one byte as in one piece."""
    data = b"".join(
        [b": hi\n\n", kit.frame("你"), b"id: 1\r\nevent: m\r\n" + kit.frame("好。"), kit.frame(finish="stop"), kit.done]
    )
    for size in (1, 7, len(data)):
        streaming(plane, *split(data, size))
        answer = await plane.chat(stream=True)
        assert answer.content == data
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-sluice-decision"] == "allow"
    assert not plane.records.items


async def test_block_in_mid_stream(plane, kit):
    """PEERS 1, 2, 3: stopped in the middle, nothing of the match leaked, properly ended, upstream closed, on record."""
    closed = asyncio.Event()

    async def handler(peer, _request):
        await peer.start_stream()
        for text in ("他买", "了炸", "药和别的"):
            await peer.chunk(kit.frame(text))
        await peer.gone()
        closed.set()

    plane.upstream.handler = handler
    answer = await plane.chat("讲个故事", stream=True)
    assert answer.status_code == 200
    assert kit.said(answer.content) == "他买了" + plane.moderator.current.policy.refusal.zh
    assert answer.content.endswith(kit.done)
    assert "药" not in answer.text
    await asyncio.wait_for(closed.wait(), 1)
    (record,) = plane.records.items
    assert (record.stream, record.delivered_chars, record.upstream_cancelled) == (True, 3, True)
    assert record.decision_id == answer.headers["x-sluice-decision-id"]
    counted = [told for told in plane.metrics.told if told[0] == "request"]
    assert [told[2] for told in counted] == ["block"], "what became of the stream, not only of its request"


async def test_block_is_on_record_before_the_client_sees_it(plane, kit):
    """Durable before told: while the record is written, the refusal is not on the wire."""
    plane.records.pause = 0.2
    streaming(plane, kit.frame("好。"), kit.frame("炸药"))
    order = []
    record = plane.records.record

    async def recorded(violation):
        await record(violation)
        order.append("recorded")

    plane.records.record = recorded
    async with plane.client.stream("POST", "/v1/chat/completions", json=kit.chat(stream=True)) as answer:
        order.extend(["told" async for piece in answer.aiter_bytes() if b"content_filter" in piece])
    assert order == ["recorded", "told"]


async def test_first_token_is_not_delayed(plane, kit):
    """PEERS 4: every clean token is with the client before the upstream sends the next one."""
    step = asyncio.Event()

    async def handler(peer, _request):
        await peer.start_stream()
        for text in ("一", "二", "三"):
            await peer.chunk(kit.frame(text))
            await asyncio.wait_for(step.wait(), 30)
            step.clear()
        await peer.chunk(kit.done)
        await peer.end_stream()

    plane.upstream.handler = handler
    seen = []
    async with plane.client.stream("POST", "/v1/chat/completions", json=kit.chat(stream=True)) as answer:
        async for piece in answer.aiter_bytes():
            if piece != kit.done:
                seen.append(piece)
                step.set()
    assert seen == [kit.frame(text) for text in ("一", "二", "三")]


async def test_mask_in_a_stream(plane, kit):
    """PEERS 22: each match is masked across frame borders, and one record tells of all."""
    streaming(plane, kit.frame("你这傻"), kit.frame("瓜，大傻"), kit.frame("瓜！"), kit.done)
    answer = await plane.chat(stream=True)
    assert kit.said(answer.content) == "你这**，大**！"
    (record,) = plane.records.latest
    assert (record.action, len(record.matches), record.delivered_chars) == ("mask", 2, 9)


async def test_two_choices_one_blocked(plane, kit):
    """PEERS 15: interleaved choices are moderated apart; the clean one arrives whole."""
    frames = [
        kit.frame("甲炸", 0),
        kit.frame("乙", 1),
        kit.frame("药", 0),
        kit.frame("丙", 1),
        kit.frame(None, 1, "stop"),
        kit.done,
    ]
    streaming(plane, *frames)
    answer = await plane.chat(stream=True, n=2)
    assert kit.said(answer.content, 0) == "甲" + plane.moderator.current.policy.refusal.zh
    assert kit.said(answer.content, 1) == "乙丙"
    assert answer.content.count(kit.done) == 1
    assert plane.records.items[0].upstream_cancelled is False


async def test_reasoning_and_tool_calls_do_not_escape(plane, kit):
    """PEERS 14: reasoning deltas and tool-call arguments are held, matched and ended like content."""
    streaming(
        plane, kit.frame(reasoning_content="想到炸"), kit.frame(reasoning_content="药"), kit.frame("答"), kit.done
    )
    answer = await plane.chat(stream=True)
    assert "药" not in answer.text
    assert plane.records.items[0].channel == "reasoning"
    call = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"q":"炸'}}]
    more = [{"index": 0, "function": {"arguments": '药"}'}}]
    streaming(plane, kit.frame(tool_calls=call), kit.frame(tool_calls=more), kit.done)
    answer = await plane.chat(stream=True)
    assert "炸" not in answer.text
    assert plane.records.items[1].channel == "tool"


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("br", brotli.compress)])
async def test_packed_streams(plane, kit, name, pack):
    """A packed stream is unpacked as it comes; what leaves is the same as if it had come plain."""
    data = b"".join([kit.frame("好。"), kit.frame("炸药"), kit.done])
    head = f"content-type: text/event-stream\r\ncontent-encoding: {name}\r\n"
    streaming(plane, *split(pack(data), 5), headers=head)
    answer = await plane.chat(stream=True)
    assert kit.said(answer.content).startswith("好。")
    assert "炸药" not in answer.text
    assert "content-encoding" not in answer.headers
    clean = kit.frame("好。") + kit.done
    streaming(plane, *split(pack(clean), 3), headers=head)
    assert (await plane.chat(stream=True)).content == clean


async def test_stream_that_is_not_declared_as_one(plane, kit):
    """PEERS 1: an upstream that streams under another content type is moderated all the same."""
    for kind in ("text/plain", "application/octet-stream2", ""):
        head = f"content-type: {kind}\r\n" if kind else ""
        streaming(plane, kit.frame("炸"), kit.frame("药"), kit.done, headers=head)
        answer = await plane.chat(stream=True)
        assert "药" not in answer.text


async def test_upstream_dies_stalls_or_talks_nonsense(kit):
    """PEERS 20: what may leave leaves, then the API's error frame; the stream never just breaks off."""
    async with kit.running(idle=0.3) as plane:

        async def dies(peer, _request):
            await peer.start_stream()
            await peer.chunk(kit.frame("好。"))
            peer.writer.close()

        async def stalls(peer, _request):
            await peer.start_stream()
            await peer.chunk(kit.frame("好。"))
            await peer.gone()

        async def babbles(peer, _request):
            await peer.start_stream()
            await peer.chunk(kit.frame("好。"))
            await peer.chunk(b"data: {nonsense\n\n")
            await peer.gone()

        for handler, code in ((dies, "upstream_error"), (stalls, "upstream_timeout"), (babbles, "content_filter")):
            plane.upstream.handler = handler
            answer = await plane.chat(stream=True)
            assert kit.said(answer.content) == "好。"
            assert f'"code":"{code}"' in answer.text
        assert "unknown: pass" in answer.text
        assert ("unknown", "frame", "block") in plane.metrics.told


async def test_client_that_leaves_closes_the_upstream_at_once(plane, kit):
    """The upstream sees the close within a second, and what was delivered is on record."""
    closed = asyncio.Event()

    async def handler(peer, _request):
        await peer.start_stream()
        await peer.chunk(kit.frame("这是广告词。"))
        await peer.gone()
        closed.set()

    plane.upstream.handler = handler
    async with plane.client.stream("POST", "/v1/chat/completions", json=kit.chat(stream=True)) as answer:
        async for _ in answer.aiter_bytes():
            break
    await asyncio.wait_for(closed.wait(), 1)
    for _ in range(100):
        if plane.records.items:
            break
        await asyncio.sleep(0.01)
    assert plane.records.items[0].action == "flag"
    assert plane.records.items[0].delivered_chars == 6
    assert ("stream_closed",) in plane.metrics.told


async def test_slow_reader_holds_the_upstream_back(plane, kit):
    """PEERS 18: a client that does not read stops the upstream; nothing piles up here."""
    written = 0
    block = kit.frame("好" * 1000)

    async def handler(peer, _request):
        nonlocal written
        await peer.start_stream()
        for _ in range(30_000):
            await peer.chunk(block)
            written += len(block)

    plane.upstream.handler = handler
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port, limit=1024)
    body = json.dumps(kit.chat(stream=True)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    before = 0
    for _ in range(60):
        await asyncio.sleep(0.1)
        if written and written == before:
            break
        before = written
    assert written == before  # nothing moves any more
    assert written < 30_000 * len(block) / 2
    writer.transport.abort()
    assert reader is not None


async def test_a_hundred_streams_at_once(plane, kit):
    """A hundred clients stream side by side, each gets its own text, a tenth of them is stopped."""

    async def handler(peer, request):
        number = json.loads(request.body)["messages"][0]["content"].split()[-1]
        await peer.start_stream()
        for text in ("第", number, "个。", *(("炸", "药") if int(number) % 10 == 0 else ("好", "的"))):
            await peer.chunk(kit.frame(text))
            await asyncio.sleep(0.01)
        await peer.chunk(kit.done)
        await peer.end_stream()

    plane.upstream.handler = handler
    answers = await asyncio.gather(*(plane.chat(f"number {number}", stream=True) for number in range(100)))
    for number, answer in enumerate(answers):
        said = kit.said(answer.content)
        assert said.startswith(f"第{number}个。")
        assert ("炸药" in said) is False
        assert said.endswith("好的") is (number % 10 != 0)
    assert len(plane.records.items) == 10


async def test_monitor_mode_streams_everything(kit):
    """PEERS 16: a stream that would have been stopped arrives byte for byte, unbuffered, and is on record."""
    async with kit.running({"mode": "monitor"}) as plane:
        data = b"".join([kit.frame("炸"), kit.frame("药"), b"data: {nonsense\n\n", kit.done])
        streaming(plane, *split(data, 11))
        answer = await plane.chat(stream=True)
        assert answer.content == data
        assert answer.headers["x-sluice-would"] == "allow"  # of the input
        for _ in range(100):
            if plane.records.items:
                break
            await asyncio.sleep(0.01)
        assert plane.records.items[0].would_action == "block"
        assert plane.records.items[0].action == "flag"


class Scores:
    """Scores every segment after a pause; a segment that holds 赌 is bad."""

    def __init__(self, pause=0.0, error=None):
        self.pause = pause
        self.error = error
        self.asked = []

    async def score(self, segments, deadline_s=None):
        self.asked.append([segment.text for segment in segments])
        await asyncio.sleep(self.pause)
        if self.error:
            raise self.error
        return [{LABEL: 0.99 if "赌" in segment.text else 0.01} for segment in segments]


def scored(policy=None):
    """A ruleset whose classifier is asked about one category."""
    return Ruleset(Policy.parse({"version": 1, **(policy or {})}), Lexicon(()), "m1", (LABEL,))


async def test_reading_goes_on_while_scores_are_awaited(kit):
    """A slow classifier delays no stream by the sum of its times: clauses that came meanwhile are asked at once."""
    scorer = Scores(0.05)
    async with kit.running(rules=scored(), scorer=scorer) as plane:
        texts = [f"第{number}句话，" for number in range(20)]
        streaming(plane, *map(kit.frame, texts), kit.done)
        answer = await plane.chat("问", stream=True)
        assert answer.content == b"".join([*map(kit.frame, texts), kit.done])
        assert 1 < len(scorer.asked) < 10


async def test_classifier_stops_a_stream(kit):
    """The clause that scores over the threshold, and what follows, never leaves."""
    async with kit.running(rules=scored(), scorer=Scores(0.01)) as plane:
        streaming(plane, kit.frame("好话，"), kit.frame("赌一把，"), kit.frame("再说，"), kit.done)
        answer = await plane.chat("问", stream=True)
        assert kit.said(answer.content).startswith("好话，")
        assert "赌" not in answer.text
        assert plane.records.items[0].matches[0]["source"] == "classifier"
        assert plane.records.items[0].model_version == "m1"


@pytest.mark.parametrize("how", ["block", "pass"])
async def test_classifier_that_fails(kit, how):
    """PEERS 6: no scores means on_error, on requests and on streams; marked, counted, recorded."""
    policy = {"on_error": {"input": "pass", "output": how}}
    scorer = Scores(error=InferenceTimeout("late"))
    async with kit.running(rules=scored(policy), scorer=scorer) as plane:
        streaming(plane, kit.frame("好话，"), kit.done)
        answer = await plane.chat("问", stream=True)
        assert (kit.said(answer.content) == "好话，") is (how == "pass")
        assert {(record.direction, record.degraded) for record in plane.records.items} == {
            ("input", True),
            ("output", True),
        }
        assert ("degraded", "input") in plane.metrics.told
        assert ("degraded", "output") in plane.metrics.told


async def test_ruleset_swap_leaves_open_streams_alone(plane, kit):
    """A stream keeps the ruleset that it began with; the next one uses the new."""
    began, step = asyncio.Event(), asyncio.Event()

    async def handler(peer, _request):
        began.set()
        await peer.start_stream()
        await peer.chunk(kit.frame("好。"))
        await step.wait()
        await peer.chunk(kit.frame("炸药"))
        await peer.chunk(kit.done)
        await peer.end_stream()

    plane.upstream.handler = handler
    old = plane.moderator.current
    task = asyncio.create_task(plane.chat("问", stream=True))
    await began.wait()
    plane.moderator.current = Ruleset(Policy(), Lexicon(()))
    step.set()
    answer = await task
    assert "炸药" not in answer.text
    assert answer.headers["x-sluice-ruleset"] == old.version
    after = await plane.chat("问", stream=True)
    assert "炸药" in after.text
    assert after.headers["x-sluice-ruleset"] != old.version
