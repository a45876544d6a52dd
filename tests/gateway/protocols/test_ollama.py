"""Ollama's bodies and streams: every text found, every verdict in the API's own shape."""

import json

import pytest

from gateway.protocols.ollama import Ollama
from gateway.protocols.ollama_shapes import rfc3339
from gateway.protocols.routing import adapter_for
from gateway.protocols.types import WHOLE, Coverage, Edit, Refusal

CHAT, GENERATE = Ollama(chat=True), Ollama(chat=False)
ASK = {"model": "m", "messages": [{"role": "user", "content": "问"}]}
REFUSAL = Refusal("不便回答。", "d1", ("A1.h.gambling",), created=1763769600)
NDJSON = "application/x-ndjson"


def line(*, done=False, **fields):
    """One line of a stream."""
    body = {"model": "m", "created_at": "2026-11-22T03:04:05.123Z", **fields, "done": done}
    return json.dumps({**body, **({"done_reason": "stop"} if done else {})}, ensure_ascii=False).encode() + b"\n"


def says(text="", **more):
    """A line of a chat."""
    return line(message={"role": "assistant", "content": text, **more})


END = line(message={"role": "assistant", "content": ""}, done=True)


def read(data):
    """The lines of a stream."""
    return [json.loads(one) for one in data.splitlines()]


def said(data, field="content"):
    """What a client reads."""
    return "".join(one["message"].get(field) or "" for one in read(data))


def channels(view):
    """(channel, text) of each part."""
    return [(part.channel, part.text) for part in view.parts]


def test_every_text_of_a_chat_request():
    """System, messages, thinking, tools, their results, schemas and options are all read; pictures are not."""
    body = {
        "model": "qwen3:8b",
        "messages": [
            {"role": "system", "content": "守则"},
            {"role": "user", "content": "问", "images": ["iVBORw0KGgo="]},
            {
                "role": "assistant",
                "content": "答",
                "thinking": "想",
                "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": {"键": "值"}}}],
            },
            {"role": "tool", "tool_name": "look", "content": "结果"},
            {"role": "user", "content": "再问"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "看",
                    "parameters": {"type": "object", "properties": {"城市": {"type": "string", "enum": ["京"]}}},
                },
            }
        ],
        "format": {"type": "object", "properties": {"词": {"type": "string"}}},
        "options": {"stop": ["停"], "temperature": 0},
        "keep_alive": "5m",
        "think": "high",
        "strange": {"say": "怪"},
    }
    view = CHAT.read_request(body)
    assert channels(view) == [
        ("system", "守则"),
        ("content", "问"),
        ("content", "答"),
        ("reasoning", "想"),
        ("tool", "look"),
        ("tool", "键"),
        ("tool", "值"),
        ("tool", "look"),
        ("tool", "结果"),
        ("content", "再问"),
        ("tool", "look"),
        ("tool", "看"),
        ("tool", "城市"),
        ("tool", "京"),
        ("other", "词"),
        ("other", "停"),
        ("other", "怪"),
    ]
    assert [part.text for part in view.parts if part.user] == ["再问"]
    assert (view.stream, view.model, view.media, view.coverage) == (True, "qwen3:8b", True, Coverage.PARTIAL)


def test_every_text_of_a_generate_request():
    """Prompt, suffix, system and template are read; words in the place of a picture are text."""
    body = {"model": "m", "prompt": "问", "suffix": "尾", "system": "守则", "template": "{{ .Prompt }} 模板"}
    view = GENERATE.read_request({**body, "images": ["这不是图"], "format": "json", "stream": False})
    assert channels(view) == [
        ("content", "问"),
        ("content", "尾"),
        ("system", "守则"),
        ("system", "{{ .Prompt }} 模板"),
        ("other", "这不是图"),
    ]
    assert not view.stream
    assert [part.text for part in view.parts if part.user] == ["问"]


def test_bodies_that_are_no_object():
    """Whatever is sent instead is text."""
    assert channels(CHAT.read_request(["怪"])) == [("other", "怪")]
    assert channels(CHAT.read_response(["怪"])) == [("other", "怪")]
    assert CHAT.read_body(b"", "", strict=True) is None


def test_whole_answer_masked_and_refused():
    """Masks land in their places, tokens that repeat the text go, a refusal leaves header and counts."""
    calls = [{"function": {"name": "f"}}]
    message = {"role": "assistant", "content": "你这傻瓜", "thinking": "嗯", "tool_calls": calls}
    body = {"model": "m", "created_at": "2026-11-22T03:04:05Z", "message": message, "done": True, "eval_count": 7}
    body |= {"done_reason": "stop", "logprobs": [{"token": "你这傻瓜"}]}
    assert [one for one in channels(CHAT.read_response(body)) if one[0] != "other"] == [
        ("content", "你这傻瓜"),
        ("reasoning", "嗯"),
        ("tool", "f"),
    ]
    masked = json.loads(CHAT.edit(body, [Edit(("message", "content"), "你这**")]))
    assert masked["message"]["content"] == "你这**"
    assert "logprobs" not in masked
    refused = json.loads(CHAT.refuse_response(body, {WHOLE: REFUSAL}))
    assert refused["message"] == {"role": "assistant", "content": "不便回答。"}
    assert (refused["done_reason"], refused["eval_count"], refused["done"]) == ("content_filter", 7, True)
    generated = json.loads(GENERATE.refuse_response({"response": "坏", "done": True}, {0: REFUSAL}))
    assert generated["response"] == "不便回答。"
    assert CHAT.refuse_response({"error": "x"}, {0: REFUSAL}) is None


@pytest.mark.parametrize("size", [1, 5, 10**6])
def test_block_in_content(played, size):
    """Nothing of the match leaves, the stream ends as the API ends one, the upstream is closed."""
    data = says("他买") + says("了炸") + says("药和别的") + END
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    result = played(CHAT, ASK, pieces, NDJSON)
    assert said(result.sent) == "他买了不便回答。"
    last = read(result.sent)[-1]
    assert (last["done"], last["done_reason"], last["model"]) == (True, "content_filter", "m")
    assert last["created_at"] == "2026-11-22T03:04:05.123Z"
    assert result.cancelled is (size != 10**6) or result.sent
    assert result.verdicts[0].delivered_chars == 3


def test_block_in_thinking_and_tools(played):
    """Reasoning, argument values, argument keys and tool names are judged like content."""
    for lines in (
        [says(thinking="想炸"), says(thinking="药")],
        [says(tool_calls=[{"function": {"name": "f", "arguments": {"a": {"b": ["好", "炸药"]}}}}])],
        [says(tool_calls=[{"function": {"name": "f", "arguments": {"炸药": 1}}}])],
        [says(tool_calls=[{"function": {"name": "炸药", "arguments": {}}}])],
        [says(mood="炸药")],
        [says("好", images=["炸药"])],
    ):
        result = played(CHAT, ASK, [*lines, END], NDJSON)
        assert "药" not in result.sent.decode()
        assert said(result.sent).endswith("不便回答。")
        assert read(result.sent)[-1]["done_reason"] == "content_filter"


def test_masks_in_every_channel(played):
    """A match across lines is masked where it stands; in arguments too, keys included."""
    call = {"function": {"name": "f", "arguments": {"傻瓜": "大傻瓜"}}}
    lines = [says(thinking="你这傻"), says(thinking="瓜"), says("傻"), says("瓜！"), says(tool_calls=[call]), END]
    result = played(CHAT, ASK, lines, NDJSON)
    assert said(result.sent, "thinking") == "你这**"
    assert said(result.sent) == "**！"
    calls = [one["message"]["tool_calls"] for one in read(result.sent) if "tool_calls" in one["message"]]
    assert calls == [[{"function": {"name": "f", "arguments": {"**": "大**"}}}]]
    assert read(result.sent)[-1]["done_reason"] == "stop"


def test_generate_stream(played):
    """``/api/generate`` says its text in ``response``."""
    lines = [line(response="好，", thinking=""), line(response="炸"), line(response="药"), line(response="", done=True)]
    result = played(GENERATE, {"model": "m", "prompt": "问"}, lines, NDJSON)
    assert "".join(one["response"] for one in read(result.sent)) == "好，不便回答。"
    assert read(result.sent)[-1]["done_reason"] == "content_filter"


def test_unknown_line_follows_the_policy(played):
    """A line that is none of this API's is the policy's to decide, and counted; its text is judged all the same."""
    odd = b'{"status": "\xe5\xa5\xbd"}\n'
    blocked = played(CHAT, ASK, [says("一"), odd, END], NDJSON)
    assert blocked.unknown == [("frame", "block")]
    assert "error" in read(blocked.sent)[-1]
    passed = played(CHAT, ASK, [says("一"), odd, END], NDJSON, unknown="pass")
    assert passed.sent == says("一") + odd + END
    assert played(CHAT, ASK, [b'{"error": "\xe7\x82\xb8\xe8\x8d\xaf"}\n'], NDJSON).verdicts


def test_error_form():
    """Ollama's error is a string; a refusal says beside it what the contract promises."""
    assert json.loads(CHAT.error(502, "down", "upstream_unreachable")) == {"error": "down"}
    told = json.loads(CHAT.error(400, "不便。", "content_filter", REFUSAL))
    assert told["error"] == "不便。"
    assert told["sluice"] == {"decision_id": "d1", "categories": ["A1.h.gambling"], "action": "block"}


def test_times():
    """Times are written as the API writes them."""
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert rfc3339(1709164799) == "2024-02-28T23:59:59Z"
    assert rfc3339(1709164800) == "2024-02-29T00:00:00Z"
    assert rfc3339(1763769600) == "2025-11-22T00:00:00Z"


def test_routes():
    """Both paths, however they are spelt."""
    assert adapter_for("POST", "/api/chat").name == "ollama.chat"
    assert adapter_for("POST", "//API/%67enerate/").name == "ollama.generate"
