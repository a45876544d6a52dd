"""DashScope's bodies and streams: pieces and running totals, every verdict in the API's own shape."""

import json

import pytest

from gateway.protocols.dashscope import DashScope
from gateway.protocols.routing import adapter_for
from gateway.protocols.types import WHOLE, Coverage, Edit, Refusal
from gateway.sse import SSEDecoder

API = DashScope(multimodal=False, stream=True)
PARTS = DashScope(multimodal=True, stream=True)
REFUSAL = Refusal("不便回答。", "d1", ("A1.h.gambling",), created=1763769600)


def ask(**parameters):
    """A request with these parameters."""
    return {"model": "qwen-plus", "input": {"messages": [{"role": "user", "content": "问"}]}, "parameters": parameters}


TOTALS = ask(result_format="message", incremental_output=False)
PIECES = ask(result_format="message", incremental_output=True)


def event(number, output):
    """One event as the server writes it."""
    body = {"output": output, "usage": {"total_tokens": number}, "request_id": "r-1"}
    return f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps(body, ensure_ascii=False)}\n\n".encode()


def message(content="", finish="null", index=None, **fields):
    """The output of one choice."""
    more = {} if index is None else {"index": index}
    return {
        "choices": [{**more, "message": {"role": "assistant", "content": content, **fields}, "finish_reason": finish}]
    }


def calls(arguments, name="f"):
    """The output of one choice that calls a function."""
    function = {"name": name, "arguments": arguments}
    return message(tool_calls=[{"index": 0, "id": "c", "type": "function", "function": function}])


def stream(*outputs):
    """The pieces of a stream."""
    return [event(number, output) for number, output in enumerate(outputs, 1)]


def read(data):
    """(event name, body) of each event."""
    decoder = SSEDecoder()
    return [(one.event, json.loads(one.data)) for one in decoder.feed(data) + decoder.finish() if one.data]


def shown(data, index=0, field="content"):
    """The text of one choice in each event."""
    return [
        choice["message"][field]
        for _, body in read(data)
        for choice in body.get("output", {}).get("choices") or []
        if choice.get("index", 0) == index and field in choice["message"]
    ]


def finish(data, index=0):
    """How one choice ended."""
    found = [
        one for _, body in read(data) for one in body["output"].get("choices") or [] if one.get("index", 0) == index
    ]
    return found[-1]["finish_reason"]


def totals(*pieces):
    """Running totals of these pieces."""
    return ["".join(pieces[: number + 1]) for number in range(len(pieces))]


def channels(view):
    """(channel, text) of each part."""
    return [(part.channel, part.text) for part in view.parts]


def test_every_text_of_a_request():
    """Messages, prompt, history, tools, parameters: every place that reaches the model; media are not read."""
    picture = "data:image/png;base64,aGk="
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"\\u952e": "值"}'}}
    schema = {"type": "object", "properties": {"参": {"type": "string"}}}
    body = {
        "model": "qwen-plus",
        "input": {
            "prompt": "旧问",
            "history": [{"user": "前问", "bot": "前答"}],
            "messages": [
                {"role": "system", "content": "守则"},
                {"role": "assistant", "content": "答", "reasoning_content": "想", "tool_calls": [call]},
                {"role": "tool", "content": "果", "tool_call_id": "c1"},
                {"role": "user", "content": [{"image": picture}, {"text": "看"}, {"text": "图"}, {"image": "坏"}]},
            ],
        },
        "parameters": {
            "stop": ["停"],
            "tools": [{"type": "function", "function": {"name": "look", "description": "察", "parameters": schema}}],
            "n": 2,
            "search_options": {"assigned_site_list": ["例"]},
        },
    }
    view = API.read_request(body)
    assert sorted(channels(view)) == sorted(
        [
            *(("content", text) for text in ("旧问", "前问", "前答", "答", "看", "图", "坏")),
            ("system", "守则"),
            ("reasoning", "想"),
            *(("tool", text) for text in ("look", '{"键": "值"}', "果", "look", "察", "参")),
            *(("other", text) for text in ("停", "例")),
        ]
    )
    assert [part.text for part in view.parts if part.continues] == ["图"]
    assert "看" in [part.text for part in view.parts if part.user]
    assert (view.choices, view.media, view.coverage, view.model) == (2, True, Coverage.PARTIAL, "qwen-plus")
    assert channels(API.read_request(["怪"])) == [("other", "怪")]


def test_addressed():
    """Whether an answer streams is in the headers."""
    path = "/api/v1/services/aigc/text-generation/generation"
    adapter = adapter_for("POST", path)
    assert adapter.name == "dashscope.text"
    heads = {b"x-dashscope-sse": b"enable"}
    assert adapter.addressed(path, lambda name: heads.get(name, b"")).read_request(TOTALS).stream
    assert not adapter.addressed(path, lambda _: b"").read_request(TOTALS).stream
    other = adapter_for("POST", "/API/v1/services//aigc/%6dultimodal-generation/generation/")
    assert other.name == "dashscope.multimodal"


def test_whole_answer():
    """Both forms of an answer, masked and refused choice by choice."""
    call = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": "\\u50bb瓜"}'}}]
    one = message("你这傻瓜", "stop", 0, reasoning_content="想")["choices"]
    two = message([{"text": "甲"}], "stop", 1, tool_calls=call)["choices"]
    body = {"output": {"choices": one + two}, "usage": {"total_tokens": 3}, "request_id": "r-1"}
    view = API.read_response(body)
    assert [(part.channel, part.text, part.choice) for part in view.parts] == [
        ("content", "你这傻瓜", 0),
        ("reasoning", "想", 0),
        ("content", "甲", 1),
        ("tool", "f", 1),
        ("tool", '{"a": "傻瓜"}', 1),
    ]
    masked = json.loads(API.edit(body, [Edit(view.parts[4].path, '{"a": "**"}')]))
    assert masked["output"]["choices"][1]["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": "**"}'
    half = json.loads(API.refuse_response(body, {1: REFUSAL}, [Edit(view.parts[0].path, "你这**")]))["output"][
        "choices"
    ]
    assert half[0]["message"]["content"] == "你这**"
    assert half[1] == {
        "finish_reason": "content_filter",
        "index": 1,
        "message": {"role": "assistant", "content": [{"text": "不便回答。"}]},
    }
    whole = json.loads(API.refuse_response(body, {WHOLE: REFUSAL}))
    assert (whole["usage"], whole["request_id"]) == ({"total_tokens": 3}, "r-1")
    text = {"output": {"text": "坏", "finish_reason": "stop"}}
    assert json.loads(API.refuse_response(text, {0: REFUSAL}))["output"]["text"] == "不便回答。"
    assert API.refuse_response({"code": "x"}, {0: REFUSAL}) is None


def test_refused_input_where_the_client_looks():
    """The refusal stands where the request's result format says, and in both places if it says nothing."""
    answers = {}
    for wanted in ("text", "message", None):
        request = ask(result_format=wanted) if wanted else ask()
        adapter = DashScope(multimodal=False)
        answers[wanted] = json.loads(adapter.refusal(adapter.read_request(request), request, REFUSAL)[2])["output"]
    assert answers["text"] == {"text": "不便回答。", "finish_reason": "content_filter"}
    assert answers["message"]["choices"][0]["message"]["content"] == "不便回答。"
    assert answers[None]["text"] == answers[None]["choices"][0]["message"]["content"] == "不便回答。"


@pytest.mark.parametrize("size", [1, 9, None])
def test_block_in_totals(played, size):
    """Nothing of the match leaves; the last total is what was cleared with the refusal behind it."""
    pieces = stream(*(message(text) for text in totals("他买", "了炸", "药和别的")))
    data = b"".join(pieces)
    result = played(API, TOTALS, [data[at : at + size] for at in range(0, len(data), size)] if size else pieces)
    assert shown(result.sent) == ["他买", "他买了", "他买了不便回答。"]
    assert finish(result.sent) == "content_filter"
    assert result.verdicts[0].delivered_chars == 3
    assert result.cancelled


def test_block_in_pieces(played):
    """With incremental output the refusal is one more piece."""
    result = played(API, PIECES, stream(*(message(text) for text in ("他买", "了炸", "药和别的"))))
    assert shown(result.sent) == ["他买", "了", "不便回答。"]
    assert read(result.sent)[-1][0] == "result"
    assert b"\nevent:result\n" in result.sent  # without a space: the official client compares the rest of the line


def test_block_in_text_and_parts(played):
    """``output.text`` and lists of parts end in their own form."""
    request = ask(incremental_output=False)
    result = played(API, request, stream(*({"text": text, "finish_reason": "null"} for text in totals("好，炸", "药"))))
    assert [body["output"]["text"] for _, body in read(result.sent)] == ["好，", "好，不便回答。"]
    result = played(PARTS, request, stream(*(message([{"text": text}]) for text in totals("好，炸", "药"))))
    assert shown(result.sent) == [[{"text": "好，"}], [{"text": "好，不便回答。"}]]


def test_masks_stay_in_every_total(played):
    """What was masked in one total is masked in all that follow, and in what a refusal repeats."""
    pieces = totals("你这傻", "瓜，", "大", "傻瓜", "。", "炸药")
    result = played(API, TOTALS, stream(*(message(text) for text in pieces)))
    assert shown(result.sent) == [
        "你这*",
        "你这**，",
        "你这**，大",
        "你这**，大**",
        "你这**，大**。",
        "你这**，大**。",  # what was cleared of the event that is blocked
        "你这**，大**。不便回答。",
    ]


def test_a_total_that_changes_is_judged_anew(played):
    """What a total says instead of what it said is looked at whole; masks and blocks land in the new text."""
    result = played(API, TOTALS, stream(message("你这傻"), message("你这傻瓜"), message("那傻瓜好"), message("那炸药")))
    assert shown(result.sent)[:3] == ["你这*", "你这**", "那**好"]
    assert "药" not in result.sent.decode()
    assert finish(result.sent) == "content_filter"


def test_a_total_that_never_stays_the_same_is_not_understood(played):
    """Text that changes in every event would cost without bound: the policy decides."""
    outputs = [message(chr(0x4E00 + number) * 9) for number in range(30)]
    result = played(API, TOTALS, stream(*outputs))
    assert result.unknown[0] == ("frame", "block")


def test_reasoning_tools_and_others_in_totals(played):
    """Reasoning, names, arguments (escapes too) and unknown fields are judged in totals as well."""
    for outputs in (
        [message(reasoning_content=text) for text in totals("想炸", "药")],
        [calls(text) for text in totals('{"a": "\\u70', 'b8药"}')],
        [calls("", text) for text in totals("炸", "药")],
        [message(mood=text) for text in totals("炸", "药")],
        [{**message("好"), "search_info": {"search_results": [{"title": "炸药"}]}}],
        [message("好", "炸药")],
    ):
        for request in (TOTALS, ask(result_format="message")):
            result = played(API, request, stream(*outputs, message("好", "stop")))
            assert "药" not in result.sent.decode()
            assert finish(result.sent) == "content_filter"
            assert shown(result.sent)[-1].endswith("不便回答。")


def test_masked_arguments_in_totals(played):
    """A masked document stays one, in every total."""
    pieces = totals('{"a": "\\u50', 'bb瓜", ', '"b": 1}')
    result = played(API, TOTALS, stream(*(calls(text) for text in pieces), message("", "stop")))
    found = [one[0]["function"]["arguments"] for one in shown(result.sent, field="tool_calls")]
    assert json.loads(found[-1]) == {"a": "**", "b": 1}
    assert "傻" not in "".join(found)
    assert "50bb" not in found[-1]


def test_one_of_two_choices(played):
    """A blocked choice ends alone, in totals too."""

    def both(first, second, finish="null"):
        return {"choices": message(first, "null", 0)["choices"] + message(second, finish, 1)["choices"]}

    request = ask(result_format="message", incremental_output=False, n=2)
    result = played(
        API, request, stream(both("一炸", "甲"), both("一炸药", "甲乙"), both("一炸药的", "甲乙丙", "stop"))
    )
    assert shown(result.sent)[-1] == "一不便回答。"
    assert (shown(result.sent, 1)[-1], finish(result.sent, 1)) == ("甲乙丙", "stop")
    assert not result.cancelled


def test_the_model_decides_what_texts_are(played):
    """Where the request does not say, a stream of pieces is one, and a term cut across them is found."""
    request = ask(result_format="message")
    result = played(API, request, stream(message("他买"), message("了炸"), message("药")))
    assert "".join(shown(result.sent)) == "他买了不便回答。"
    result = played(API, request, stream(*(message(text) for text in totals("他买", "了炸", "药"))))
    assert shown(result.sent)[-1] == "他买了不便回答。"


def test_clean_totals_cost_linear_work(played):
    """What was judged is not judged again: the engine sees every character once."""
    pieces = totals(*(["好天气，"] * 200))
    data = stream(*(message(text) for text in pieces), message(pieces[-1], "stop"))
    decoder = API.open_stream(API.read_request(TOTALS), TOTALS)
    frames = [frame for piece in data for frame in decoder.feed(piece)]
    assert sum(len(delta.text) for frame in frames for delta in frame.deltas) == len(pieces[-1])
    assert played(API, TOTALS, data).sent == b"".join(data)


def test_errors():
    """The vendor's code for what its own filter stops; in a stream as the event that its client knows."""
    told = json.loads(API.error(400, "不便。", "content_filter", REFUSAL))
    assert (told["code"], told["message"], told["request_id"]) == ("DataInspectionFailed", "不便。", "d1")
    assert json.loads(API.error(504, "late", "upstream_timeout"))["code"] == "RequestTimeOut"
    decoder = API.open_stream(API.read_request(TOTALS), TOTALS)
    assert decoder.error(502, "down", "x").startswith(b"id:1\nevent:error\n:HTTP_STATUS/502\ndata:{")


def test_unknown_events_follow_the_policy(played):
    """Data of another shape is the policy's; an error event is judged."""
    odd = b'event:result\ndata:["x"]\n\n'
    assert played(API, TOTALS, [odd]).unknown == [("frame", "block")]
    assert played(API, TOTALS, [odd], unknown="pass").sent == odd
    bad = 'event:error\ndata:{"code":"X","message":"炸药"}\n\n'.encode()
    assert "药" not in played(API, TOTALS, [bad]).sent.decode()
