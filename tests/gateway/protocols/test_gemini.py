"""Gemini's bodies and streams: every text found, every verdict in the API's own shape."""

import json

import pytest

from gateway.protocols.gemini import Gemini
from gateway.protocols.routing import adapter_for
from gateway.protocols.types import WHOLE, Coverage, Edit, Refusal
from gateway.sse import SSEDecoder

PATH = "/v1beta/models/gemini-3-pro:"
WHOLE_API = Gemini("generatecontent")
STREAM = Gemini("streamgeneratecontent")
ASK = {"contents": [{"role": "user", "parts": [{"text": "问"}]}]}
REFUSAL = Refusal("不便回答。", "d1", ("A1.h.gambling",), created=1763769600)
TYPES = {"sse": "text/event-stream", "array": "application/json"}


def candidate(*parts, index=0, finish=None, **more):
    """One candidate."""
    end = {"finishReason": finish} if finish else {}
    return {"content": {"parts": list(parts), "role": "model"}, **end, "index": index, **more}


def text(words, **more):
    """An answer with one part."""
    return {"candidates": [candidate({"text": words, **more})]}


END = {"candidates": [candidate({"text": ""}, finish="STOP")]}


def wire(form, *answers):
    """The pieces of a stream."""
    dumped = [json.dumps(one, ensure_ascii=False).encode() for one in answers]
    if form == "sse":
        return [b"data: " + one + b"\r\n\r\n" for one in dumped]
    return [(b"," if number else b"[") + one + b"\n" for number, one in enumerate(dumped)] + [b"]\n"]


def read(form, data):
    """The answers of a stream."""
    if form == "array":
        return json.loads(data)
    decoder = SSEDecoder()
    return [json.loads(event.data) for event in decoder.feed(data) + decoder.finish() if event.data]


def said(answers, index=0, *, thought=False):
    """What a client reads of one candidate."""
    return "".join(
        part.get("text", "")
        for one in answers
        for candidate in one.get("candidates", [])
        for part in candidate.get("content", {}).get("parts", [])
        if candidate.get("index", 0) == index and bool(part.get("thought")) == thought
    )


def finish(answers, index=0):
    """The finish reasons of one candidate."""
    found = [one for answer in answers for one in answer.get("candidates", []) if one.get("index", 0) == index]
    return [one["finishReason"] for one in found if "finishReason" in one]


def channels(view):
    """(channel, text) of each part."""
    return [(part.channel, part.text) for part in view.parts]


PICTURE = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
FILM = {"fileData": {"mimeType": "video/mp4", "fileUri": "https://x/y"}}
SCHEMA = {"type": "OBJECT", "properties": {"参": {"type": "STRING"}}}
CAMEL = {
    "systemInstruction": {"parts": [{"text": "守则"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "问"}, {"text": "题"}, PICTURE]},
        {
            "role": "model",
            "parts": [
                {"text": "想", "thought": True, "thoughtSignature": "aGk="},
                {"functionCall": {"id": "f1", "name": "look", "args": {"键": ["值"]}}},
                {"executableCode": {"language": "PYTHON", "code": "码"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "出"}},
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"id": "f1", "name": "look", "response": {"果": "实"}}}]},
        {"role": "user", "parts": [FILM, {"text": "再问"}]},
    ],
    "tools": [
        {"functionDeclarations": [{"name": "look", "description": "看", "parameters": SCHEMA}]},
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["look"]}},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "generationConfig": {"stopSequences": ["停"], "candidateCount": 2, "responseMimeType": "application/json"},
    "labels": {"签": "条"},
    "cachedContent": "cachedContents/x",
}  # fmt: skip
FOUND = [
    ("system", "守则"),
    ("content", "问"),
    ("content", "题"),
    ("reasoning", "想"),
    ("tool", "look"),
    ("tool", "键"),
    ("tool", "值"),
    ("tool", "码"),
    ("tool", "出"),
    ("tool", "look"),
    ("tool", "果"),
    ("tool", "实"),
    ("other", "https://x/y"),
    ("content", "再问"),
    ("tool", "look"),
    ("tool", "看"),
    ("tool", "参"),
    ("other", "look"),
    ("other", "停"),
    ("other", "签"),
    ("other", "条"),
]


def snake(node):
    """The same body with its own names in snake_case."""
    if isinstance(node, list):
        return [snake(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): snake(value) for key, value in node.items()}


@pytest.mark.parametrize("body", [CAMEL, snake(CAMEL)], ids=["camelCase", "snake_case"])
def test_every_text_of_a_request(body):
    """Every place that reaches the model is read, in both spellings of its names."""
    view = STREAM.read_request(body)
    assert channels(view) == FOUND
    assert [part.text for part in view.parts if part.user] == ["再问"]
    assert [part.text for part in view.parts if part.continues] == ["题"]
    assert (view.choices, view.media, view.coverage, view.stream) == (2, True, Coverage.PARTIAL, True)


def test_unknown_fields_and_shapes():
    """What no adapter knows is text."""
    assert channels(WHOLE_API.read_request({"怪": "事", "contents": "话"})) == [("other", "事"), ("other", "话")]
    assert channels(WHOLE_API.read_request(["怪"])) == [("other", "怪")]
    bad = {"contents": [{"role": "坏人", "parts": [{"inlineData": {"data": "不是图", "mimeType": "a b"}}]}]}
    assert channels(WHOLE_API.read_request(bad)) == [("other", "坏人"), ("other", "不是图"), ("other", "a b")]


def test_other_methods():
    """Counting and embedding are scanned, and refused in the error form."""
    for method in ("counttokens", "embedcontent", "batchembedcontents"):
        adapter = Gemini(method, "m")
        assert adapter.refusal(adapter.read_request({}), {}, REFUSAL) is None
    view = Gemini("embedcontent").read_request({"content": {"parts": [{"text": "嵌"}]}, "taskType": "CLUSTERING"})
    assert channels(view) == [("content", "嵌")]
    batch = {"requests": [{"model": "models/e", "content": {"parts": [{"text": "嵌"}]}}]}
    assert channels(Gemini("batchembedcontents").read_request(batch)) == [("content", "嵌")]
    nested = {"generateContentRequest": {"model": "models/m", **ASK}}
    assert channels(Gemini("counttokens").read_request(nested)) == [("content", "问")]


def test_addressed():
    """Model and framing come from the request line, however it is spelt."""
    adapter = adapter_for("POST", "/V1beta//models/gemini-3-pro%3AstreamGenerateContent")
    assert adapter.name == "gemini.streamgeneratecontent"
    one = adapter.addressed(f"{PATH}streamGenerateContent?key=x&alt=sse", lambda _: b"")
    view = one.read_request(ASK)
    assert view.model == "gemini-3-pro"
    assert one.refusal(view, ASK, REFUSAL)[1] == "text/event-stream"
    array = adapter.addressed(f"{PATH}streamGenerateContent", lambda _: b"")
    status, kind, body = array.refusal(view, ASK, REFUSAL)
    assert (status, kind, said(json.loads(body))) == (200, "application/json", "不便回答。")
    assert "application/json" in array.stream_types
    assert not adapter_for("POST", f"{PATH}generateContent").stream_types
    assert adapter_for("POST", "/v1/projects/p/locations/l/publishers/google/models/m:countTokens").name.startswith(
        "gem"
    )
    assert adapter_for("POST", f"{PATH}unheardOf").name == "generic"


def test_whole_answer():
    """Every candidate's texts, masked and refused one by one."""
    body = {
        "candidates": [
            candidate({"text": "想", "thought": True}, {"text": "你这傻瓜"}, logprobsResult={"chosenCandidates": []}),
            candidate({"functionCall": {"name": "f", "args": {"a": "b"}}}, index=1, finish="STOP"),
        ],
        "modelVersion": "gemini-3-pro",
    }
    view = WHOLE_API.read_response(body)
    assert [(part.channel, part.text, part.choice) for part in view.parts] == [
        ("reasoning", "想", 0),
        ("content", "你这傻瓜", 0),
        ("tool", "f", 1),
        ("tool", "a", 1),
        ("tool", "b", 1),
    ]
    path = view.parts[1].path
    masked = json.loads(WHOLE_API.edit(body, [Edit(path, "你这**")]))
    assert said([masked]) == "你这**"
    assert "logprobsResult" not in masked["candidates"][0]
    one = json.loads(WHOLE_API.refuse_response(body, {1: REFUSAL}, [Edit(path, "你这**")]))
    assert (said([one]), said([one], 1), finish([one], 1)) == ("你这**", "不便回答。", ["SAFETY"])
    whole = json.loads(WHOLE_API.refuse_response(body, {WHOLE: REFUSAL}))
    assert [said([whole], number) for number in (0, 1)] == ["不便回答。"] * 2
    assert whole["modelVersion"] == "gemini-3-pro"
    assert WHOLE_API.refuse_response({"totalTokens": 3}, {WHOLE: REFUSAL}) is None


@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize("size", [1, 6, None])
def test_block_in_content(played, form, size):
    """Nothing of the match leaves, the stream is whole JSON in its form and ends in SAFETY."""
    pieces = wire(form, text("他买"), text("了炸"), text("药和别的"), END)
    data = b"".join(pieces)
    result = played(
        STREAM, ASK, [data[at : at + size] for at in range(0, len(data), size)] if size else pieces, TYPES[form]
    )
    answers = read(form, result.sent)
    assert said(answers) == "他买了不便回答。"
    assert finish(answers) == ["SAFETY"]
    assert result.verdicts[0].delivered_chars == 3
    assert result.cancelled


def piece(words):
    """A fragment of an argument."""
    call = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": words}]}}
    return {"candidates": [candidate(call)]}


@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize(
    "answers",
    [
        [text("炸药")],
        [text("想炸", thought=True), text("药", thought=True)],
        [{"candidates": [candidate({"functionCall": {"name": "f", "args": {"a": ["好", "炸药"]}}})]}],
        [{"candidates": [candidate({"functionCall": {"name": "f", "args": {"炸药": 1}}})]}],
        [piece("炸"), piece("药")],
        [{"candidates": [candidate({"executableCode": {"language": "PYTHON", "code": "炸药"}})]}],
        [{"candidates": [candidate({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "炸药"}})]}],
        [{"candidates": [candidate({"text": "好"}, groundingMetadata={"webSearchQueries": ["炸药"]})]}],
        [{"candidates": [candidate({"inlineData": {"mimeType": "image/png", "data": "炸药"}})]}],
        [{"candidates": [candidate({"text": "好"}, finish="炸药")]}],
        [{"candidates": [candidate({"text": "好"})], "modelVersion": "炸药 v1"}],
    ],
)  # fmt: skip
def test_block_in_every_place(played, form, answers):
    """Wherever a term stands in an answer, also in its first, it does not leave, and what leaves is well formed."""
    result = played(STREAM, ASK, wire(form, *answers, END), TYPES[form])
    assert "药" not in result.sent.decode()
    told = read(form, result.sent)
    assert said(told).endswith("不便回答。")
    assert finish(told) == ["SAFETY"]


@pytest.mark.parametrize("form", TYPES)
def test_one_of_two_candidates(played, form):
    """A blocked candidate ends alone; the other goes on to its own end."""
    ask = {**ASK, "generationConfig": {"candidateCount": 2}}
    both = {"candidates": [candidate({"text": "一炸"}), candidate({"text": "甲"}, index=1)]}
    more = {"candidates": [candidate({"text": "药"}), candidate({"text": "乙"}, index=1)]}
    last = {"candidates": [candidate({"text": "丙"}, index=1, finish="STOP")]}
    result = played(STREAM, ask, wire(form, both, more, last), TYPES[form])
    answers = read(form, result.sent)
    assert (said(answers), finish(answers)) == ("一不便回答。", ["SAFETY"])
    assert (said(answers, 1), finish(answers, 1)) == ("甲乙丙", ["STOP"])
    assert not result.cancelled


@pytest.mark.parametrize("form", TYPES)
def test_masks(played, form):
    """A match across answers is masked where it stands, in arguments too."""
    call = {"candidates": [candidate({"functionCall": {"name": "f", "args": {"傻瓜": "大傻瓜"}}})]}
    pieces = wire(form, text("你这傻", thought=True), text("瓜", thought=True), text("傻"), text("瓜！"), call, END)
    answers = read(form, played(STREAM, ASK, pieces, TYPES[form]).sent)
    assert (said(answers, thought=True), said(answers), finish(answers)) == ("你这**", "**！", ["STOP"])
    assert answers[-2]["candidates"][0]["content"]["parts"][0]["functionCall"]["args"] == {"**": "大**"}


@pytest.mark.parametrize("form", TYPES)
def test_what_is_not_known_follows_the_policy(played, form):
    """An answer of another shape is the policy's to decide, also as the first; the error stands in the form's place."""
    for answers in ([{"odd": "好"}, END], [text("一"), ["好"], END]):
        blocked = played(STREAM, ASK, wire(form, *answers), TYPES[form])
        assert blocked.unknown == [("frame", "block")]
        assert read(form, blocked.sent)[-1]["error"]["sluice"]["decision_id"] == "d1"
        pieces = wire(form, *answers)
        assert played(STREAM, ASK, pieces, TYPES[form], unknown="pass").sent == b"".join(pieces)


@pytest.mark.parametrize("form", TYPES)
def test_error_form_in_a_stream(played, form):
    """With ``on_block: error`` the stream ends with Google's error object."""
    answers = read(
        form, played(STREAM, ASK, wire(form, text("好，"), text("炸药")), TYPES[form], on_block="error").sent
    )
    assert said(answers) == "好，"
    assert answers[-1]["error"]["status"] == "INVALID_ARGUMENT"
    assert answers[-1]["error"]["sluice"]["decision_id"] == "d1"


def test_error_form():
    """Google's error shape, with a reason that programs can read."""
    error = json.loads(STREAM.error(504, "late", "upstream_timeout"))["error"]
    assert (error["code"], error["status"], error["details"][0]["reason"]) == (
        504,
        "DEADLINE_EXCEEDED",
        "UPSTREAM_TIMEOUT",
    )
