"""OpenAI's responses: requests, whole answers and streams, through the adapter and the real relay and engine."""

import json
from itertools import pairwise
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._streaming import SSEDecoder
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.protocols.openai_responses import OpenAIResponses
from gateway.protocols.testing import read, texts
from gateway.protocols.types import WHOLE, Coverage, Edit, FrameKind, Refusal

ADAPTER = OpenAIResponses()
REQUEST = {"model": "m", "input": "hi", "stream": True}
REFUSAL = Refusal("这个内容不能显示。", "dec-9", ("A1.f.sexual",), created=1763769600)
CORPUS = Path(__file__).parents[2] / "corpus" / "openai_responses"
EVENTS = TypeAdapter(ResponseStreamEvent)


def found(view):
    """(channel, text) of every part."""
    return [(part.channel, part.text) for part in view.parts]


def events(stream):
    """The events that the official client reads, each checked against its own types."""
    return [EVENTS.validate_python(event.json()) for event in SSEDecoder().iter_bytes(iter([stream]))]


def bodies(stream):
    """The events of a stream as they are written."""
    return [event.json() for event in SSEDecoder().iter_bytes(iter([stream]))]


def frame(kind, number, **fields):
    """One event on the wire."""
    body = {"type": kind, "sequence_number": number, **fields}
    return f"event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def message(pieces, **more):
    """A stream of one message; ``more`` goes into each delta."""
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "".join(pieces), "annotations": [], "logprobs": []}
    done = {**item, "status": "completed", "content": [part]}
    base = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": []}
    base |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    wire = [
        ("response.created", {"response": {**base, "status": "in_progress"}}),
        ("response.output_item.added", {"output_index": 0, "item": item}),
        ("response.content_part.added", {**where, "part": {**part, "text": ""}}),
        *(("response.output_text.delta", {**where, "delta": piece, "logprobs": [], **more}) for piece in pieces),
        ("response.output_text.done", {**where, "text": part["text"], "logprobs": []}),
        ("response.content_part.done", {**where, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": done}),
        ("response.completed", {"response": {**base, "status": "completed", "output": [done]}}),
    ]
    return [frame(kind, number, **fields) for number, (kind, fields) in enumerate(wire)]


# --- requests --------------------------------------------------------------------------------------------------------


def test_request_channels():
    """Every place that the model reads has its channel; ids, media and the API's own words are left out."""
    body = {
        "model": "gpt-x",
        "instructions": "I",
        "input": [
            {"role": "user", "content": "U1"},
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "D"}]},
            {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "N"}]},
            {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "R"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"q":"\\u70b8"}'},
            {"type": "function_call_output", "call_id": "c", "output": "T"},
            {"type": "mcp_call", "id": "m", "server_label": "L", "name": "g", "arguments": "{}", "output": "O"},
            {"type": "computer_call", "call_id": "c", "action": {"type": "type", "text": "W"}},
            {"type": "file_search_call", "id": "s", "queries": ["Q"], "results": [{"filename": "F", "text": "X"}]},
            {"type": "brand_new", "deep": {"thing": "Z"}},
            {"role": "user", "content": [{"type": "input_text", "text": "U2"}, {"type": "input_text", "text": "U3"}]},
        ],
        "tools": [{"type": "function", "name": "f", "description": "S", "parameters": {"properties": {"城市": {}}}}],
        "prompt": {"id": "pmpt_1", "variables": {"topic": "V"}},
        "metadata": {"key one": "M"},
        "previous_response_id": "resp_0",
        "safety_identifier": "person-7",
        "text": {"format": {"type": "json_schema", "name": "N1", "schema": {"description": "J"}}},
        "stream": True,
        "background": True,
        "unknown": "K",
    }
    view = ADAPTER.read_request(body)
    expected = {
        "system": {"I", "D"},
        "content": {"U1", "U2", "U3", "A", "V"},
        "reasoning": {"R"},
        "refusal": {"N"},
        "tool": {"f", '{"q":"炸"}', "T", "L", "g", "{}", "O", "W", "Q", "F", "X", "S", "城市", "brand_new", "Z"},
        "other": {"M", "key one", "N1", "J", "K", "topic"},
    }
    got = {}
    for channel, text in found(view):
        got.setdefault(channel, set()).add(text)
    assert got == expected
    assert (view.stream, view.model, view.subject, view.coverage) == (True, "gpt-x", "person-7", Coverage.FULL)
    assert [part.text for part in view.parts if part.user] == ["U2", "U3"]
    assert [part.text for part in view.parts if part.continues] == ["U3"]


def test_request_media():
    """Pictures, files and sound are not read: coverage is partial; names and links are text, their bytes are not."""
    data = "iVBORw0KGgo" * 12
    content = [
        {"type": "input_image", "image_url": f"data:image/png;base64,{data}", "detail": "low"},
        {"type": "input_image", "image_url": "https://example.org/坏.png"},
        {"type": "input_file", "filename": "名单.pdf", "file_data": f"data:application/pdf;base64,{data}"},
    ]
    view = ADAPTER.read_request({"input": [{"role": "user", "content": content}]})
    assert (view.media, view.coverage) == (True, Coverage.PARTIAL)
    assert [text for _, text in found(view)] == ["https://example.org/坏.png", "名单.pdf"]
    shot = {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", "file_id": "f"}}
    assert ADAPTER.read_request({"input": [shot]}).media


PLACES = [
    *(
        [],
        "坏",
        ["坏"],
        {},
        {"input": ["坏"]},
        {"input": {"text": "坏"}},
        {"input": [["坏"]]},
        {"instructions": ["坏"]},
    ),
    *(
        {"input": [{"type": "坏"}]},
        {"input": [{"role": "坏"}]},
        {"input": [{"id": "坏"}]},
        {"input": [{"type": {"a": "坏"}}]},
    ),
    *(
        {"input": [{"content": {"a": "坏"}}]},
        {"model": "坏 模型"},
        {"input": [{"arguments": {"a": "坏"}}]},
        {"include": "坏"},
    ),
    *({"input": [{"result": "坏"}]}, {"input": [{"encrypted_content": "坏"}]}, {"input": [{"logprobs": "坏"}]}),
    *({"tool_choice": "坏"}, {"input": [{"image_url": "坏"}]}, {"text": "坏"}, {"text": {"坏": 1}}, {"status": "坏"}),
]


@pytest.mark.parametrize("body", PLACES)
def test_no_shape_hides_a_text(body):
    """Whatever stands where, in a request, a whole answer or any event, its strings are found."""
    there = "坏" in json.dumps(body, ensure_ascii=False)
    assert any("坏" in part.text for part in ADAPTER.read_request(body).parts) == there
    named = (
        {"output" if name == "input" else name: value for name, value in body.items()} if type(body) is dict else body
    )
    if named != {"text": {"坏": 1}}:  # keys of answers are the server's
        assert any("坏" in part.text for part in ADAPTER.read_response(named).parts) == there
        for kind in ("response.created", "response.output_item.added", "response.output_text.delta", "new", "error"):
            raw = frame(kind, 0, response=named, item=named, delta=named, output_index=0, content_index=0, item_id="坏")
            frames = read(ADAPTER.open_stream(ADAPTER.read_request(REQUEST), REQUEST), [raw])
            assert any("坏" in delta.text for one in frames for delta in one.deltas), kind
            if there:
                raw = frame(kind, 0, response=named, item=named, delta=named, output_index=0)
                frames = read(ADAPTER.open_stream(ADAPTER.read_request(REQUEST), REQUEST), [raw])
                assert any("坏" in delta.text for one in frames for delta in one.deltas), kind


# --- whole answers ---------------------------------------------------------------------------------------------------


def whole(*output, **more):
    """A whole response."""
    base = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
    return {**base, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "output": list(output), **more}


def says(*parts):
    """A message item."""
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": list(parts)}


def test_answer_channels():
    """Items have their channels; what stands beside the output belongs to no choice; repeating tokens are left out."""
    entry = {"token": "好", "logprob": -1, "bytes": [], "top_logprobs": [{"token": "坏", "logprob": -2, "bytes": []}]}
    cite = {"type": "url_citation", "url": "https://e.org/1", "title": "T", "start_index": 0, "end_index": 1}
    body = whole(
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "R"}]},
        says({"type": "output_text", "text": "好", "annotations": [cite], "logprobs": [entry]}),
        says({"type": "refusal", "refusal": "N"}),
        {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":"\\u4f60"}'},
        instructions="I",
        metadata={"a": "M"},
        error={"code": "server_error", "message": "E"},
        output_text="好",
    )
    view = ADAPTER.read_response(body)
    assert sorted((part.channel, part.text, part.choice) for part in view.parts) == sorted(
        [
            *(("reasoning", "R", 0), ("content", "好", 0), ("content", "好", 0), ("refusal", "N", 0), ("tool", "f", 0)),
            *(("tool", '{"a":"你"}', 0), ("other", "T", 0), ("other", "https://e.org/1", 0), ("other", "坏", 0)),
            *(("system", "I", WHOLE), ("other", "M", WHOLE), ("other", "E", WHOLE)),
        ]
    )


def test_edit_and_refuse():
    """Masks land in texts and arguments, their tokens go; a refused response is what the client's types expect."""
    entry = {"token": "坏", "logprob": -1, "bytes": [], "top_logprobs": []}
    body = whole(
        says({"type": "output_text", "text": "坏", "annotations": [], "logprobs": [entry]}),
        {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":"\\u574f","n":1}'},
        instructions="secret",
        output_text="坏",
    )
    edits = [
        Edit(one.path, one.text.replace("坏", "*")) for one in ADAPTER.read_response(body).parts if "坏" in one.text
    ]
    edited = json.loads(ADAPTER.edit(body, edits))
    assert edited["output"][0]["content"][0] == {"type": "output_text", "text": "*", "annotations": [], "logprobs": []}
    assert (edited["output"][1]["arguments"], edited["output_text"]) == ('{"a":"*","n":1}', "*")
    refused = json.loads(ADAPTER.refuse_response(body, {0: REFUSAL}))
    assert (refused["instructions"], "output_text" in refused) == ("secret", False)
    assert Response.model_validate(refused).output_text == REFUSAL.message
    bare = ADAPTER.refuse_response(body, {WHOLE: REFUSAL})
    assert b"secret" not in bare
    assert Response.model_validate_json(bare).incomplete_details.reason == "content_filter"
    assert ADAPTER.refuse_response({"object": "list", "data": []}, {WHOLE: REFUSAL}) is None


def test_items_of_a_list():
    """The input items of a stored response are read like those of a request."""
    body = {
        "object": "list",
        "data": [says({"type": "output_text", "text": "好"})],
        "first_id": "msg_1",
        "has_more": False,
    }
    assert ("content", "好") in found(ADAPTER.read_response(body))


# --- streams ---------------------------------------------------------------------------------------------------------


def test_closing_events_are_repeats():
    """What closing events say again is no new text, whatever the order of the bytes."""
    frames = read(ADAPTER.open_stream(ADAPTER.read_request(REQUEST), REQUEST), message(["今天", "很好"]))
    assert list(texts(frames).values()) == ["今天很好"]
    assert [len(one.repeats) for one in frames] == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert frames[-1].kind is FrameKind.END


def test_an_ending_that_differs_is_judged(played):
    """A closing event that says something else than the deltas is judged by itself."""
    stream = message(["没", "问题"])
    stream[-1] = stream[-1].replace("没问题".encode(), "其实是炸药".encode())
    play = played(ADAPTER, REQUEST, stream)
    assert "炸药".encode() not in play.sent
    assert events(play.sent)[-1].type == "response.incomplete"


def test_a_repeat_of_an_open_text_ends_it(played):
    """A text that is a term only as a whole is judged as one where a closing event says that it is whole."""
    stream = message(["你这", "傻瓜"])
    without_done = [one for one in stream if b"output_text.done" not in one]
    play = played(ADAPTER, REQUEST, without_done)
    assert play.sent.count("你这**".encode()) == 3
    assert "傻".encode() not in play.sent


@given(
    st.lists(st.text("炸药傻瓜好，人。 a😀", min_size=1, max_size=5), min_size=1, max_size=9),
    st.lists(st.integers(0, 9000), max_size=9),
)
@settings(max_examples=80, deadline=None)
def test_deltas_and_repeats_agree(played, pieces, places):
    """Whatever is masked or cut, for every cut of the bytes: the deltas say what the closing events say, in order."""
    data = b"".join(message(pieces))
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    play = played(ADAPTER, REQUEST, [data[left:right] for left, right in pairwise(edges)])
    assert play.sent == played(ADAPTER, REQUEST, [data]).sent
    got = events(play.sent)
    assert [event.sequence_number for event in got] == list(range(len(got)))
    said = "".join(event.delta for event in got if event.type == "response.output_text.delta")
    done = "".join(event.text for event in got if event.type == "response.output_text.done")
    items = [event.item for event in got if event.type == "response.output_item.done"]
    final = got[-1].response
    assert said == done == final.output_text
    assert [item.model_dump() for item in items] == [item.model_dump() for item in final.output]
    whole_text = "".join(pieces)
    if "炸药" in whole_text:
        assert final.incomplete_details.reason == "content_filter"
        assert play.cancelled
    assert "傻瓜" not in said
    assert "炸药" not in said


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.glob("*.sse")))
def test_every_recording_can_be_blocked_and_masked_anywhere(played, name):
    """In every text of every recording: a mask leaves nothing of the term in any repeat, a block ends in order."""
    stream = (CORPUS / name).read_bytes()
    frames = read(ADAPTER.open_stream(ADAPTER.read_request(REQUEST), REQUEST), [stream])
    tried = 0
    for text in {delta.text for one in frames for delta in one.deltas if len(delta.text) > 1 and one.body is not None}:
        if text.encode() not in stream or text.isascii() or '"' in text:
            continue
        tried += 1
        masked = played(ADAPTER, REQUEST, [stream.replace(text.encode(), "傻瓜".encode())], unknown="pass")
        assert "傻瓜".encode() not in masked.sent, text
        blocked = played(ADAPTER, REQUEST, [stream.replace(text.encode(), "炸药".encode())], unknown="pass")
        assert "炸药".encode() not in blocked.sent, text
        if name not in ("resumed.sse", "no_numbers_done.sse", "cut_off.sse"):
            sent = bodies(blocked.sent)
            assert [event["sequence_number"] for event in sent] == list(range(len(sent))), text
            assert sent[-1]["type"] == "response.incomplete", text
    assert tried or name in ("cut_arguments.sse", "ascii_escapes.sse")


def test_a_template_is_never_taken_for_another(played):
    """Deltas that look alike but hold text in their padding, another number or a repeated key are read in full."""
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    stream = message(["好", "的"], obfuscation="aB3")
    odd = [
        frame("response.output_text.delta", 5, **where, delta="呀", logprobs=[], obfuscation="炸药"),
        frame("response.output_text.delta", "炸药", **where, delta="呀", logprobs=[], obfuscation="a"),
        frame("response.output_text.delta", 5, **where, delta="呀", logprobs=[], obfuscation='"炸药'),
    ]
    for one in odd:
        play = played(ADAPTER, REQUEST, [*stream[:5], one])
        assert "炸药".encode() not in play.sent


def test_linear_time(played):
    """Four times the text costs about four times the time, although it is said five times."""

    def cost(count):
        stream = message(["好的，没问题"] * count)
        best = []
        for _ in range(3):
            start = process_time()
            played(ADAPTER, REQUEST, stream)
            best.append(process_time() - start)
        return min(best)

    cost(50)
    assert cost(4000) < 12 * cost(1000)


def test_stream_refusal_in_the_clients_types():
    """A refused request's stream is the vendor's own sequence of events."""
    _, kind, body = ADAPTER.refusal(ADAPTER.read_request(REQUEST), REQUEST, REFUSAL)
    assert kind == "text/event-stream"
    assert [event.type for event in events(body)] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
