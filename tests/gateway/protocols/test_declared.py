"""Declared APIs: every text found, every verdict as declared, at every cut."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.declared_files import read_declarations
from gateway.protocols.testing import REFUSAL
from gateway.protocols.types import WHOLE, Coverage, Edit, FrameKind
from gateway.sse import NDJSONDecoder, SSEDecoder

ROOT = Path(__file__).parents[3]
CORPUS = ROOT / "tests" / "corpus" / "declared"
FILES = [*CORPUS.glob("*.yaml"), ROOT / "docs" / "examples" / "parley.yaml"]
APIS = {api.name: api for api in read_declarations({one.name: one.read_text(encoding="utf-8") for one in FILES}).apis}
PARLEY, BROOK, PLAIN = APIS["parley.talk"], APIS["brook"], APIS["plain"]
ATLAS = APIS["atlas"].addressed("/atlas/m/generate", lambda name: b"live" if name == b"x-atlas-mode" else b"")
ASK = {"live": True, "drafts": 1, "engine": "parley-2"}
TWO = {**ASK, "drafts": 2}
NDJSON = "application/x-ndjson"
JSON = "application/json"


def declared(**changes):
    """One API of a minimal declaration with these keys."""
    base = {"name": "x", "paths": ["/x"], "answer": {"texts": [{"path": "a"}]}}
    text = json.dumps({"version": 1, "apis": [{**base, **changes}]}, ensure_ascii=False)
    return read_declarations({"x.yaml": text}).apis[0]


def sse(event, **fields):
    """One event of Parley."""
    return f"event: {event}\ndata: {json.dumps({'ticket': 't-1', **fields}, ensure_ascii=False)}\n\n".encode()


def piece(text, nr=0, event="piece"):
    """A piece of a draft."""
    return sse(event, nr=nr, says=text)


def over(nr=0):
    """The end of a draft."""
    return sse("draft-end", nr=nr, finish="stop")


DONE = b"data: [DONE]\n\n"


def events(data):
    """(name, body) of each event; the body of one that is no JSON is its text."""
    decoder = SSEDecoder()
    found = [one for one in decoder.feed(data) + decoder.finish() if one.data]
    return [(one.event, json.loads(one.data) if one.data[:1] == b"{" else one.data.decode()) for one in found]


def said(data, nr=0, event="piece"):
    """What a client of Parley reads of one draft."""
    return "".join(body["says"] for name, body in events(data) if name == event and body["nr"] == nr)


def line(**fields):
    """One line of Brook."""
    return json.dumps({"state": "running", **fields}, ensure_ascii=False).encode() + b"\n"


def lines(data):
    """The lines of a stream."""
    decoder = NDJSONDecoder()
    return [json.loads(one.data) for one in decoder.feed(data) + decoder.finish()]


def channels(view):
    """(channel, text) of each part."""
    return [(part.channel, part.text) for part in view.parts]


def cut(data, size):
    """The bytes in pieces."""
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]


# --- whole bodies -----------------------------------------------------------------------------------------------------


def test_request_of_the_example():
    """Roles by the API's own words, parts of one text joined, everything undeclared as other, keys too."""
    body = json.loads((ROOT / "docs/examples/parley/request.json").read_text(encoding="utf-8"))
    view = PARLEY.read_request(body)
    assert channels(view) == [
        ("system", "用中文回答。"),
        ("content", "讲一个关于海的"),
        ("content", "小故事。"),
        ("tool", "查询天气"),
        ("other", "mood"),
        ("other", "轻松"),
    ]
    assert [part.text for part in view.parts if part.user] == ["讲一个关于海的", "小故事。"]
    assert [part.text for part in view.parts if part.continues] == ["小故事。"]
    assert (view.stream, view.model, view.subject, view.choices) == (True, "parley-2", "u-17", 2)
    assert view.coverage is Coverage.FULL


def test_what_stands_in_an_id_is_judged_unless_it_is_one():
    """Only what looks like an id is left out where ids are declared; the same for media, roles and models."""
    view = PARLEY.read_request(
        {
            "engine": "坏 模型",
            "conversation": [
                {"id": "写在编号里", "who": "坏人", "says": [{"picture": "不是图", "kind": "text"}]},
                {"id": "m-2", "who": "bot", "says": [{"picture": "data:image/png;base64,aGk="}]},
            ],
        }
    )
    assert sorted(channels(view)) == sorted(("other", text) for text in ("坏 模型", "写在编号里", "坏人", "不是图"))
    assert (view.media, view.coverage) == (True, Coverage.PARTIAL)


def test_interrupted_parts_are_still_one_text():
    """A field that was not declared between two parts of a text does not part them."""
    parts = [{"text": "炸", "说明": "甲"}, {"text": "药", "说明": "乙"}]
    view = PARLEY.read_request({"conversation": [{"who": "human", "says": parts}]})
    assert [(part.text, part.continues) for part in view.parts[:2]] == [("炸", False), ("药", True)]
    assert [part.text for part in view.parts[2:]] == ["说明", "甲", "说明", "乙"]


@pytest.mark.parametrize("body", [["怪"], "怪", {"怪": 1}, [[["怪"]]]])
def test_bodies_of_another_shape(body):
    """Whatever is sent instead is text."""
    assert channels(PARLEY.read_request(body)) == [("other", "怪")]
    assert channels(PARLEY.read_response(body)) == [("other", "怪")]
    assert PARLEY.refuse_response(body, {WHOLE: REFUSAL}) is None


def test_texts_and_forms_are_read_as_elsewhere():
    """A body that is no JSON is read as that of an unknown API."""
    body = PARLEY.read_body("你好=炸药".encode(), "text/plain", strict=True)
    assert channels(PARLEY.read_request(body)) == [("other", "你好=炸药")]
    assert PARLEY.edit(body, [Edit((), "***")]) == b"***"
    assert PARLEY.read_body(b"", "application/json", strict=True) is None


def test_answer_of_the_example():
    """Each draft is a choice; a document inside a string is read decoded and masked so that it stays one."""
    body = json.loads((ROOT / "docs/examples/parley/answer.json").read_text(encoding="utf-8"))
    view = PARLEY.read_response(body)
    assert [(part.channel, part.text, part.choice) for part in view.parts[:5]] == [
        ("reasoning", "先想一个主角。", 0),
        ("content", "从前有一座灯塔。", 0),
        ("content", "海风很咸。", 1),
        ("tool", "weather", 1),
        ("tool", '{"place": "海边"}', 1),
    ]
    masked = json.loads(PARLEY.edit(body, [Edit(("drafts", 1, "call", "with"), '{"place": "**"}')]))
    assert masked["drafts"][1]["call"]["with"] == '{"place": "**"}'
    assert "tokens" in masked["drafts"][0]
    masked = json.loads(PARLEY.edit(body, [Edit(("drafts", 0, "says"), "从前有一座**。")]))
    assert "tokens" not in masked["drafts"][0]
    one = json.loads(PARLEY.refuse_response(body, {1: REFUSAL}))["drafts"]
    assert one[0] == body["drafts"][0]
    assert one[1] == {"nr": 1, "says": REFUSAL.message, "finish": "filtered"}
    whole = json.loads(PARLEY.refuse_response(body, {WHOLE: REFUSAL}))
    assert [draft["says"] for draft in whole["drafts"]] == [REFUSAL.message] * 2
    assert whole["ticket"] == "t-91"


def test_refused_input():
    """The declared answer for every draft that was asked for, whole or streamed, with the numbers as numbers."""
    body = json.loads(PARLEY.refusal(PARLEY.read_request({**TWO, "live": False}), {}, REFUSAL)[2])
    assert [draft["nr"] for draft in body["drafts"]] == [0, 1]
    assert (body["engine"], body["ticket"]) == ("parley-2", "dec-1")
    status, kind, data = PARLEY.refusal(PARLEY.read_request(TWO), TWO, REFUSAL)
    assert (status, kind) == (200, "text/event-stream")
    assert [said(data, nr) for nr in (0, 1)] == [REFUSAL.message] * 2
    assert data.endswith(DONE)


def test_a_model_that_holds_words_is_not_repeated():
    """Names from the request come back in a refusal only where they are names."""
    request = PARLEY.read_request({"engine": "炸药 模型", "live": False})
    assert json.loads(PARLEY.refusal(request, {}, REFUSAL)[2])["engine"] == ""


def test_error_form():
    """The declared error, with the decision in it; OpenAI's where none was declared."""
    told = json.loads(PARLEY.error(400, "不便。", "content_filter", REFUSAL))
    assert (told["trouble"], told["code"], told["sluice"]["decision_id"]) == ("不便。", "content_filter", "dec-1")
    assert json.loads(BROOK.error(502, "down", "upstream"))["failure"] == {"say": "down", "code": "upstream"}
    assert json.loads(PLAIN.error(502, "down", "upstream"))["error"]["code"] == "upstream"


def test_a_header_asks_for_a_stream():
    """Where a header says whether an answer streams, the adapter of each request knows."""
    body = {"turns": [{"role": "user", "parts": ["问"]}], "count": 2}
    assert ATLAS.read_request(body).stream
    assert not APIS["atlas"].addressed("/", lambda _: b"").read_request(body).stream
    assert ATLAS.stream_types == frozenset({"application/json"})


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 7])
def test_block_in_one_of_two_drafts(played, size):
    """The draft that is blocked ends as declared; the other goes on; the closing event says what is left."""
    closing = sse("closing", drafts=[{"nr": 0, "says": "他买了炸药。"}, {"nr": 1, "says": "天气很好。"}])
    data = [piece("他买了炸"), piece("天气", 1), piece("药。"), piece("很好。", 1), over(), over(1), closing, DONE]
    result = played(PARLEY, TWO, cut(b"".join(data), size))
    assert (said(result.sent), said(result.sent, 1)) == ("他买了不便回答。", "天气很好。")
    ended = [body for name, body in events(result.sent) if name == "draft-end"]
    assert ended == [{"ticket": "t-1", "nr": 0, "finish": "filtered"}, {"ticket": "t-1", "nr": 1, "finish": "stop"}]
    assert [body for name, body in events(result.sent) if name == "closing"] == [
        {"ticket": "t-1", "drafts": [{"nr": 1, "says": "天气很好。"}]}
    ]
    assert result.sent.endswith(DONE)
    assert not result.cancelled


@pytest.mark.parametrize("size", [0, 1])
def test_block_of_the_only_draft(played, size):
    """The stream ends with the declared events, and the upstream is closed."""
    data = [piece("他买了炸"), piece("药和别的"), over(), DONE]
    result = played(PARLEY, ASK, cut(b"".join(data), size) if size else data)
    assert [name for name, _ in events(result.sent)][-2:] == ["draft-end", ""]
    assert said(result.sent) == "他买了不便回答。"
    assert result.sent.endswith(DONE)
    assert size or result.cancelled


def call(text, **more):
    """A fragment of a call."""
    return sse("call", nr=0, **{"with": text}, **more)


@pytest.mark.parametrize(
    "data",
    [
        [piece("想炸", event="thought"), piece("药", event="thought")],
        [call('{"a": "\\u70'), call('b8药"}')],
        [sse("call", nr=0, name="炸药")],
        [piece("好"), sse("piece", nr=0, says="", mood="炸药")],
        [sse("piece", nr=0, says="", mood="炸"), sse("piece", nr=0, says="", mood="药")],
        [sse("piece", nr=0, says="", 炸药=1)],
        [sse("ping", note="炸药")],
        [sse("draft-end", nr=0, finish="炸药")],
        [sse("piece", nr=0, says="好", more={"deep": [{"x": "炸药"}]})],
        [sse("closing", drafts=[{"nr": 0, "says": "没说过的炸药"}])],
        [sse("trouble", trouble="炸药")],
    ],
)
def test_block_in_every_channel(played, data):
    """Reasoning, calls in fragments, undeclared fields, keys, vocabulary and errors are judged like content."""
    result = played(PARLEY, ASK, [*data, over(), DONE])
    assert "药" not in result.sent.decode()
    assert "不便回答。" in result.sent.decode()
    assert result.verdicts


def test_masks_in_every_channel(played):
    """A match across events is masked where it stands, in documents too, and again in the event that repeats it."""
    closing = sse("closing", drafts=[{"nr": 0, "says": "傻瓜！"}])
    data = [piece("你这傻", event="thought"), piece("瓜", event="thought"), piece("傻"), piece("瓜！")]
    data += [call('{"k": "\\u50bb'), call('瓜"}'), sse("piece", nr=0, says="", aside="大傻瓜"), over(), closing, DONE]
    result = played(PARLEY, ASK, data)
    assert said(result.sent, event="thought") == "你这**"
    assert said(result.sent) == "**！"
    assert "".join(body["with"] for name, body in events(result.sent) if name == "call") == '{"k": "**"}'
    assert [body["aside"] for _, body in events(result.sent) if "aside" in body] == ["大**"]
    assert events(result.sent)[-2][1]["drafts"] == [{"nr": 0, "says": "**！"}]


def test_clean_streams_leave_as_they_came(played):
    """Frames that no rule touches are the upstream's own bytes."""
    for api, request, folder, kind in (
        (PARLEY, TWO, "parley", "text/event-stream"),
        (BROOK, {"question": "问"}, "brook", NDJSON),
        (ATLAS, {"count": 2}, "atlas", JSON),
        (PLAIN, {"q": "问", "s": True}, "plain", "text/event-stream"),
    ):
        for path in (CORPUS / folder).iterdir():
            if "unknown" not in path.name and "cut_off" not in path.name:
                data = path.read_bytes()
                assert played(api, request, cut(data, 11), kind).sent == data, path.name


def test_totals_masked_and_blocked(played):
    """What was masked in one total is masked in all that follow; a refusal stands behind what was said."""
    texts = ["你这傻", "你这傻瓜，", "你这傻瓜，他买炸", "你这傻瓜，他买炸药"]
    data = [line(text=text) for text in texts] + [line(text=texts[-1], state="done")]
    result = played(BROOK, {"question": "问"}, data, NDJSON)
    found = lines(result.sent)
    assert [one["text"] for one in found] == [
        "你这*",
        "你这**，",
        "你这**，他买",
        "你这**，他买不便回答。",
    ]
    assert (found[-1]["state"], found[-1]["why"]) == ("done", "filtered")
    assert [one["state"] for one in found[:-1]] == ["running"] * 3
    assert result.cancelled


def test_a_cut_inside_the_last_event_reopens_it(played):
    """Text before a cut leaves in the event that was to end the answer, which then does not end it."""
    result = played(
        BROOK, {"question": "问"}, [line(text="好"), line(text="好，炸药", state="done", tokens=["炸"])], NDJSON
    )
    assert lines(result.sent) == [
        {"state": "running", "text": "好"},
        {"state": "running", "text": "好，"},
        {"state": "done", "text": "好，不便回答。", "why": "filtered"},
    ]


def test_array_elements(played):
    """In a JSON array the refusal is one more element, the array is closed, the first element keeps its bracket."""
    first = b'[{"options": [{"nr": 0, "parts": [{"text": "\xe7\x82\xb8"}]}]}'
    data = [first, ',{"options": [{"nr": 0, "parts": [{"text": "药"}]}]}'.encode(), b"]"]
    result = played(ATLAS, {"count": 1}, data, JSON)
    body = json.loads(result.sent)
    assert body[0] == {}
    assert body[-1] == {"options": [{"nr": 0, "parts": [{"text": "不便回答。"}], "end": "filtered"}]}
    assert "炸" not in result.sent.decode()


def test_one_of_two_options_in_one_element(played):
    """An element keeps the option that was not blocked."""
    element = '[{"options": [{"nr": 0, "parts": [{"text": "炸药"}]}, {"nr": 1, "parts": [{"text": "好"}]}]}'
    result = played(ATLAS, {"count": 2}, [element.encode(), b',{"options": [{"nr": 1, "end": "stop"}]}', b"]"], JSON)
    body = json.loads(result.sent)
    assert body[0] == {"options": [{"nr": 1, "parts": [{"text": "好"}]}]}
    assert [option for one in body for option in one["options"] if option["nr"] == 0] == [
        {"nr": 0, "parts": [{"text": "不便回答。"}], "end": "filtered"}
    ]


def test_without_a_refusal_a_block_ends_the_stream(played):
    """An API with no declared refusal gets the error form, and nothing more."""
    data = [b'data: {"t": "d", "a": "\xe5\xa5\xbd\xe7\x82\xb8"}\n\n', b'data: {"t": "d", "a": "\xe8\x8d\xaf"}\n\n']
    result = played(PLAIN, {"q": "问", "s": True}, [*data, b'data: {"t": "e"}\n\n'])
    (_, first), (_, last) = events(result.sent)
    assert first["a"] == "好"
    assert last["error"]["message"] == "不便回答。"
    assert result.cancelled


def test_unknown_events_follow_the_policy(played):
    """An event that was not declared is the policy's to decide, and counted; its text is judged all the same."""
    odd = sse("surprise", text="好")
    blocked = played(PARLEY, ASK, [piece("一"), odd, over(), DONE])
    assert blocked.unknown == [("frame", "block")]
    assert events(blocked.sent)[-2][0] == "trouble"
    passed = played(PARLEY, ASK, [piece("一"), odd, over(), DONE], unknown="pass")
    assert passed.sent == piece("一") + odd + over() + DONE
    hidden = played(PARLEY, ASK, [sse("surprise", text="炸药"), DONE], unknown="pass")
    assert "药" not in hidden.sent.decode()


@pytest.mark.parametrize("number", [-1, 1.0, "0", [0], True])
def test_numbers_that_two_readers_could_read_differently(number):
    """An answer whose number is none is not understood."""
    decoder = PARLEY.open_stream(PARLEY.read_request(TWO), TWO)
    (frame,) = decoder.feed(sse("piece", nr=number, says="文"))
    assert frame.kind is FrameKind.UNKNOWN


def test_text_behind_an_end_is_not_understood(played):
    """What an API says in an answer that it ended is joined by its readers to what has left."""
    result = played(PARLEY, ASK, [piece("炸"), over(), piece("药"), DONE])
    assert ("frame", "block") in result.unknown
    assert "药" not in result.sent.decode()


def test_monitor_and_error_form(played):
    """Monitor mode changes no byte; ``on_block: error`` ends the stream with the declared error."""
    data = piece("他买了炸") + piece("药") + over() + DONE
    watched = played(PARLEY, ASK, [data], mode="monitor")
    assert watched.sent == data
    assert watched.verdicts
    failed = played(PARLEY, ASK, [data], on_block="error")
    name, body = events(failed.sent)[-2]
    assert (name, body["trouble"], body["sluice"]["action"]) == ("trouble", "不便回答。", "block")


PIECES = [piece("今天他"), piece("买了炸", 1), piece("心情", 1), piece("傻"), piece("瓜。"), over(), piece("炸", 1)]
STREAM = b"".join([*PIECES, piece("药。", 1), over(1), DONE])


@given(at=st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_every_cut_gives_the_same(played, at):
    """Verdicts and delivered bytes depend on the text alone."""
    whole = played(PARLEY, TWO, [STREAM])
    ends = sorted(at)
    pieces = [STREAM[start:end] for start, end in zip([0, *ends], [*ends, len(STREAM)], strict=True)]
    result = played(PARLEY, TWO, pieces)
    assert [said(result.sent, nr) for nr in (0, 1)] == [said(whole.sent, nr) for nr in (0, 1)]
    assert result.sent == whole.sent
    assert [one.decision.matches for one in result.verdicts] == [one.decision.matches for one in whole.verdicts]


# --- cost -------------------------------------------------------------------------------------------------------------


def test_totals_cost_linear_time():
    """Twice the stream of the same total lengths costs about twice the time, not four times."""

    def seconds(events_):
        decoder = BROOK.open_stream(BROOK.read_request({}), {}, NDJSON)
        data = [line(text="文" * 400 + "字" * (number % 50)) for number in range(events_)]
        began = time.process_time()
        for one in data:
            decoder.feed(one)
        return time.process_time() - began

    seconds(50)
    short = min(seconds(300) for _ in range(3))
    assert min(seconds(1200) for _ in range(3)) < 12 * short + 0.05


def test_many_wildcards_cost_no_more_than_the_body():
    """Expressions that branch at every step are found without trying every combination."""
    texts = [{"path": f"{'*.' * depth}t{number}"} for depth in range(12) for number in range(8)]
    api = declared(request={"texts": texts}, answer={"texts": [{"path": "a"}]})
    body = {"x": 1}
    for _ in range(12):
        body = {"k": body, "z": "文"}
    body = {"rows": [body] * 200}
    began = time.perf_counter()
    assert len(api.read_request(body).parts) > 1000
    assert time.perf_counter() - began < 5


def test_a_plain_event_is_read_by_its_template():
    """Events that differ in their text alone are not parsed again, and can still be masked."""
    decoder = PARLEY.open_stream(PARLEY.read_request(ASK), ASK)
    decoder.feed(sse("ping"))
    frames = [frame for text in ("一", "二傻", "瓜") for frame in decoder.feed(piece(text))]
    assert [frame.body is None for frame in frames] == [False, True, True]
    edited = decoder.edit(frames[1], [Edit(frames[1].deltas[0].path, "二*")])
    assert events(edited) == [("piece", {"ticket": "t-1", "nr": 0, "says": "二*"})]
