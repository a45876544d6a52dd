"""What the makers of OpenAI-compatible APIs add: nothing of it is unknown, nothing of it is a way round."""

import json
from pathlib import Path

import pytest

from gateway.protocols.openai_chat import OpenAIChat
from gateway.protocols.testing import read
from gateway.protocols.types import FrameKind

CHAT = OpenAIChat()
ASK = {"model": "m", "messages": [{"role": "user", "content": "问"}], "stream": True}
STREAMS = sorted((Path(__file__).parents[2] / "corpus" / "openai_chat_quirks").glob("*.sse"))
ERRORS = {"zhipu_error", "volcengine_error", "baidu_error_code", "plain_failure"}


def chunk(**body):
    """One frame."""
    return b"data: " + json.dumps({"id": "c1", "model": "m", **body}, ensure_ascii=False).encode() + b"\n\n"


def text(**delta):
    """A frame with a delta."""
    return chunk(choices=[{"index": 0, "delta": delta, "finish_reason": None}])


def said(data, field="content"):
    """What a client reads."""
    bodies = [json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: {")]
    choices = [choice for body in bodies for choice in body.get("choices") or []]
    return "".join(choice.get("delta", {}).get(field) or "" for choice in choices)


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_nothing_is_unknown(path, played):
    """Every recorded quirk is understood: it passes under a policy that blocks what is not, byte for byte."""
    data = path.read_bytes()
    frames = read(CHAT.open_stream(CHAT.read_request(ASK), ASK), [data])
    kinds = [frame.kind for frame in frames]
    assert FrameKind.UNKNOWN not in kinds
    assert (FrameKind.ERROR in kinds) is (path.stem in ERRORS)
    result = played(CHAT, ASK, [data])
    assert (result.sent, result.verdicts, result.unknown) == (data, [], [])


def test_keep_alives_stay_between_held_frames(played):
    """A comment keeps its place behind text that waits, and does not part a term."""
    pieces = [b": keep-alive\n\n", text(reasoning_content="炸"), b": keep-alive\n\n", text(reasoning_content="药")]
    result = played(CHAT, ASK, pieces)
    assert result.sent.startswith(b": keep-alive\n\n")
    assert "炸" not in result.sent.decode()
    assert said(result.sent) == "不便回答。"
    masked = played(CHAT, ASK, [text(content="傻"), b": keep-alive\n\n", text(content="瓜")])
    assert said(masked.sent) == "**"
    assert masked.sent.count(b": keep-alive\n\n") == 1


@pytest.mark.parametrize(
    "extra",
    [
        {"web_search": [{"title": "炸药", "link": "https://x"}]},
        {"search_results": [{"index": 1, "title": "买炸药"}]},
        {"references": [{"summary": "炸药"}]},
        {"message": "炸药", "code": 0},
        {"base_resp": {"status_msg": "炸药"}},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_what_stands_beside_the_choices(played, extra):
    """Search results, references and messages beside the choices are judged."""
    result = played(
        CHAT, ASK, [text(content="好"), chunk(choices=[], usage={"total_tokens": 1}, **extra), text(content="的")]
    )
    assert "药" not in result.sent.decode()
    assert said(result.sent) == "好不便回答。"


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": "1301", "message": "炸药"}},
        {"error_code": 336104, "error_msg": "炸药"},
        {"code": 10013, "message": "炸药"},
        {"error": "炸药"},
    ],
)
def test_error_objects_are_judged(played, error):
    """An error inside a 200 stream is text for somebody: it is judged, and what is clean reaches the client."""
    frame = b"data: " + json.dumps(error, ensure_ascii=False).encode() + b"\n\n"
    assert "药" not in played(CHAT, ASK, [text(content="好"), frame]).sent.decode()
    clean = frame.replace("炸药".encode(), "模型忙".encode())
    assert played(CHAT, ASK, [text(content="好"), clean]).sent.endswith(clean)


def test_a_last_message_that_repeats_the_answer(played):
    """What was masked in the pieces is masked where the last frame says it all again."""
    last = chunk(
        choices=[{"index": 0, "finish_reason": "stop", "message": {"content": "你这傻瓜", "role": "assistant"}}]
    )
    result = played(CHAT, ASK, [text(content="你这傻"), text(content="瓜"), last])
    assert said(result.sent) == "你这**"
    assert "傻" not in result.sent.decode()


def test_the_end_of_a_choice(played):
    """``"null"`` ends nothing; words in the place of a reason are text."""
    going = [chunk(choices=[{"index": 0, "delta": {"content": one}, "finish_reason": "null"}]) for one in "炸药"]
    assert said(played(CHAT, ASK, going).sent) == "不便回答。"
    odd = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "炸药"}])
    result = played(CHAT, ASK, [text(content="好"), odd])
    assert "药" not in result.sent.decode()


def test_bodies_behind_keep_alive_lines():
    """DeepSeek sends empty lines before a whole answer while it waits."""
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "好", "reasoning_content": "想"}}]}
    body = CHAT.read_body(b"\n\n\n" + json.dumps(answer).encode(), "application/json", strict=False)
    assert [part.channel for part in CHAT.read_response(body).parts] == ["content", "reasoning"]


def test_beginnings_of_answers_in_requests():
    """``partial`` and ``prefix`` messages, thinking switches and search options: their texts are read."""
    body = {
        "model": "kimi-k2",
        "messages": [
            {"role": "user", "content": "问"},
            {"role": "assistant", "content": "答的开头", "partial": True, "prefix": True, "name": "某人"},
        ],
        "thinking": {"type": "disabled"},
        "enable_search": True,
        "tools": [{"type": "web_search", "web_search": {"search_query": "查", "enable": True}}],
    }
    found = [(part.channel, part.text) for part in CHAT.read_request(body).parts]
    assert ("content", "答的开头") in found
    assert ("tool", "查") in found
    assert "某人" in [text for _, text in found]
