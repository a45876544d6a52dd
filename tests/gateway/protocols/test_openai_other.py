"""OpenAI's embeddings, images, sound and files: which strings are found, where masks land, what is refused how."""

import json

import pytest

from gateway.protocols import bodies, jsontext
from gateway.protocols.jsonlines import MAX_LINES, read_lines
from gateway.protocols.openai_files import OpenAIFileContent, OpenAIFiles, Upload
from gateway.protocols.openai_other import OpenAIEmbeddings, OpenAIImages, OpenAISpeech
from gateway.protocols.openai_transcription import OpenAITranscription
from gateway.protocols.routing import adapter_for
from gateway.protocols.types import WHOLE, Coverage, Edit, Refusal

REFUSAL = Refusal("这个内容不能显示。", "dec-9", ("A1.f.sexual",), created=1763769600)
FILES = OpenAIFiles(adapter_for)
CONTENT = OpenAIFileContent(adapter_for)
PLAIN = (OpenAIEmbeddings(), OpenAIImages(), OpenAISpeech(), OpenAITranscription(), FILES)
BASE64 = "iVBORw0KGgo" * 12


def form(*parts):
    """A form of (name, file name or None, content) as the adapters read it."""
    pieces = []
    for name, filename, content in parts:
        named = f'; filename="{filename}"' if filename else ""
        pieces.append(
            f'--B\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
        )
    return b"".join(pieces) + b"--B--\r\n", "multipart/form-data; boundary=B"


def masked(view, bad="坏"):
    """Edits that mask a character wherever it stands."""
    return [Edit(part.path, part.text.replace(bad, "*")) for part in view.parts if bad in part.text]


def lines(*values):
    """JSON lines."""
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


def chat(text):
    """A batch line with a chat request."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": "r", "method": "POST", "url": "/v1/chat/completions", "body": body}


@pytest.mark.parametrize("adapter", PLAIN, ids=lambda one: one.name)
@pytest.mark.parametrize(
    "body",
    [
        *(
            "坏",
            ["坏"],
            {"input": "坏"},
            {"input": ["坏"]},
            {"input": [["坏"]]},
            {"prompt": {"a": "坏"}},
            {"model": "坏 x"},
        ),
        *({"x": {"y": ["坏"]}}, {"b64_json": "坏"}, {"data": [{"b64_json": "坏"}]}, {"text": "坏"}, {"type": "坏"}),
        *(
            {"segments": [{"text": "坏"}]},
            {"words": [{"word": "坏"}]},
            {"logprobs": [{"token": "坏"}]},
            {"language": "坏"},
        ),
        *({"data": [{"embedding": "坏"}]}, {"object": "坏"}, {"segments": "坏"}, {"id": "坏 y"}),
    ],
)
def test_no_shape_hides_a_text(adapter, body):
    """Whatever stands where in a request or an answer, it is found, and masks land in it."""
    for view in (adapter.read_request(body), adapter.read_response(body)):
        edits = masked(view)
        assert edits
        assert "坏" not in adapter.edit(body, edits).decode()


@pytest.mark.parametrize("adapter", PLAIN, ids=lambda one: one.name)
def test_forms(adapter):
    """Field names, values and file names of a form are text; its files are not read; a mask lands in place."""
    raw, kind = form(("prompt", None, "说坏话".encode()), ("坏名", None, b"x"), ("file", "坏.wav", b"RIFF\xff"))
    body = adapter.read_body(raw, kind, strict=True)
    view = adapter.read_request(body)
    assert (view.media, view.coverage) == (True, Coverage.PARTIAL)
    edited = adapter.edit(body, masked(view))
    assert edited == raw.replace("坏".encode(), b"*")


def test_fields_have_channels():
    """What the user wrote is content, what steers the voice is system, people are subjects and no text."""
    view = OpenAISpeech().read_request({"input": "I", "instructions": "S", "voice": "V", "user": "anna"})
    assert [(part.channel, part.text, part.user) for part in view.parts] == [
        ("content", "I", True),
        ("system", "S", False),
        ("other", "V", False),
    ]
    assert view.subject == "anna"
    view = OpenAIImages().read_request({"prompt": "P", "stream": True, "model": "m"})
    assert (view.stream, view.model) == (True, "m")


def test_embeddings_of_numbers_cannot_be_read():
    """Token numbers are no text: the policy's `unknown` decides."""
    for given in ([1, 2], [[1, 2]], ["a", [3]]):
        with pytest.raises(bodies.Unreadable):
            OpenAIEmbeddings().read_body(json.dumps({"input": given}).encode(), "application/json", strict=True)


def test_segments_are_one_text():
    """A term that two segments share is one text; words and tokens go when the transcript is edited."""
    body = {"text": "坏", "segments": [{"text": "一"}, {"text": "坏"}], "words": [{"word": "坏"}], "language": "zh"}
    adapter = OpenAITranscription()
    view = adapter.read_response(body)
    assert [(part.text, part.continues) for part in view.parts if part.path[0] == "segments"] == [
        ("一", False),
        ("坏", True),
    ]
    assert json.loads(adapter.edit(body, masked(view)))["words"] == []


# --- files -----------------------------------------------------------------------------------------------------------


def upload(content, purpose=b"batch"):
    """An upload as it is read."""
    raw, kind = form(("purpose", None, purpose), ("file", "b.jsonl", content))
    return raw, FILES.read_body(raw, kind, strict=True)


def test_lines_are_read_as_their_requests():
    """Each line has the channels of its API, also where the API is unknown or the line no request."""
    answer = {"url": "/v1/responses", "method": "POST", "body": {"instructions": "S", "input": "I"}}
    embed = {"url": "/v1/embeddings", "body": {"input": ["E"]}, "custom_id": "C 1"}
    odd = {"url": "/odd", "body": {"x": "X"}}
    raw, body = upload(lines(chat("U"), answer, embed, odd, ["L"], {"messages": [{"role": "system", "content": "T"}]}))
    view = FILES.read_request(body)
    found = {(part.path[2], part.channel, part.text) for part in view.parts if part.path[1] == "line"}
    assert {
        *((0, "content", "U"), (1, "system", "S"), (1, "content", "I"), (2, "content", "E"), (2, "other", "C 1")),
        *((3, "other", "X"), (4, "other", "L"), (5, "system", "T")),
    } <= found
    assert (view.coverage, view.media) == (Coverage.FULL, False)
    assert FILES.edit(body, []) == raw


def test_a_mask_in_one_line_leaves_the_others_alone():
    """Only the line with the mask is written anew; line ends stay; tool arguments stay JSON."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"q":"\\u574f"}'}}
    odd = {"url": "/v1/chat/completions", "body": {"messages": [{"role": "assistant", "tool_calls": [call]}]}}
    content = lines(chat("好"), chat("坏")).replace(b"\n", b"\r\n") + b"\n" + lines(odd)[:-1]
    _, body = upload(content)
    edited = FILES.edit(body, masked(FILES.read_request(body)))
    got = FILES.read_body(edited, "multipart/form-data; boundary=B", strict=True)
    assert got.lines.raw[0] == body.lines.raw[0]
    assert got.lines.bodies[1] == chat("*")
    assert got.lines.raw[1].endswith(b"\r\n")
    assert got.lines.bodies[2] is None
    assert got.lines.bodies[3]["body"]["messages"][0]["tool_calls"][0]["function"]["arguments"] == '{"q":"*"}'


def test_other_purposes():
    """Files of other purposes are not read, and neither are two files at once."""
    assert not isinstance(upload(b"%PDF", b"user_data")[1], Upload)
    raw, kind = form(("purpose", None, b"batch"), ("file", "a", b"x"), ("file2", "b", b"y"))
    assert FILES.read_request(FILES.read_body(raw, kind, strict=True)).media


def test_error_names_the_line():
    """The error of a blocked upload says which line; other errors do not."""
    refusal = Refusal("不行", "d", ("x",), paths=((1, "line", 4, "body"), (1, "line", 2, "body"), (0, "filename")))
    error = json.loads(FILES.error(400, "不行", "content_filter", refusal))["error"]
    assert (error["line"], error["param"], error["sluice"]["decision_id"]) == (3, "file", "d")
    assert "line" not in json.loads(FILES.error(502, "no", "upstream_unreachable"))["error"]


def test_bad_lines():
    """A line that is no JSON, that two readers could read differently, or one too many is an error that says which."""
    with pytest.raises(jsontext.InvalidJSON, match="line 2"):
        read_lines(b'{"a":1}\nnope\n')
    with pytest.raises(jsontext.AmbiguousJSON, match="line 1"):
        read_lines(b'{"a":1,"a":2}')
    with pytest.raises(jsontext.InvalidJSON, match="more than"):
        read_lines(b"\n" * (MAX_LINES + 1))


def result(body, **more):
    """A line of a batch's results."""
    return {"id": "b", "custom_id": "r", "response": {"status_code": 200, "body": body}, "error": None, **more}


def completion(*texts):
    """A chat answer."""
    choices = [{"index": n, "message": {"role": "assistant", "content": text}} for n, text in enumerate(texts)]
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}


def test_results_are_read_as_their_answers():
    """Each line has its own numbers of choices, so that one is refused and the others go on."""
    said = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "R"}]}
    answer = {"id": "resp_1", "object": "response", "output": [said]}
    raw = lines(result(completion("A", "B")), result(answer), {"error": {"message": "E"}}, result(completion("坏")))
    body = CONTENT.read_body(raw, "application/octet-stream", strict=False)
    view = CONTENT.read_response(body)
    choices = {part.text: part.choice for part in view.parts}
    assert len({choices["A"], choices["B"], choices["R"], choices["E"]}) == 4
    refused = CONTENT.refuse_response(
        body, {choices["B"]: REFUSAL, choices["R"]: REFUSAL, choices["E"]: REFUSAL}, masked(view)
    )
    one, two, three, four = (json.loads(line) for line in refused.splitlines())
    assert [choice["message"]["content"] for choice in one["response"]["body"]["choices"]] == ["A", REFUSAL.message]
    assert two["response"]["body"]["incomplete_details"] == {"reason": "content_filter"}
    assert three["response"]["status_code"] == 400
    assert four["response"]["body"]["choices"][0]["message"]["content"] == "*"
    assert CONTENT.refuse_response(body, {WHOLE: REFUSAL}) is None
    assert CONTENT.edit(body, []) == raw


def test_contents_that_are_no_lines():
    """Bytes are a file that is not read, texts are read."""
    view = CONTENT.read_response(CONTENT.read_body(b"%PDF\xff", "application/octet-stream", strict=False))
    assert (view.media, view.coverage) == (True, Coverage.NONE)
    text = CONTENT.read_body("坏话".encode(), "text/plain", strict=False)
    assert CONTENT.edit(text, masked(CONTENT.read_response(text))) == "*话".encode()


def test_base64_is_no_text():
    """Pictures and vectors in base64 are left out, short words are not."""
    body = {"data": [{"b64_json": BASE64, "revised_prompt": "R"}, {"embedding": BASE64}, {"b64_json": "word"}]}
    view = OpenAIImages().read_response(body)
    assert [part.text for part in view.parts] == ["R", "word"]
