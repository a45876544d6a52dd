"""APIs that nobody knows: JSON, text, forms, streams."""

import json
from urllib.parse import parse_qsl

import pytest

from gateway.protocols.bodies import PlainText, Unreadable
from gateway.protocols.generic_json import GenericJSON
from gateway.protocols.jsontext import AmbiguousJSON, InvalidJSON
from gateway.protocols.testing import read, texts
from gateway.protocols.types import WHOLE, Coverage, Edit, FrameKind, Refusal

ADAPTER = GenericJSON()
REFUSAL = Refusal("不能显示", "dec-3", ("A1.f.sexual",))


def body_of(raw, kind, *, strict=True):
    """A parsed request body."""
    return ADAPTER.read_body(raw, kind, strict=strict)


def test_every_string_and_every_key():
    """Values and names at every depth, each addressed so that it can be masked."""
    body = {"a": ["x", {"y": "z"}], "b": 1}
    view = ADAPTER.read_request(body)
    assert sorted(part.text for part in view.parts) == ["a", "b", "x", "y", "z"]
    edits = [Edit(part.path, "*") for part in view.parts if part.text in "ayz"]
    assert json.loads(ADAPTER.edit(body, edits)) == {"*": ["x", {"*": "*"}], "b": 1}


def test_json_declared_as_text_is_read_as_json():
    """A content type does not hide escapes: what parses as JSON is read as JSON, and must be unambiguous."""
    assert body_of(b'{"a":"\\u574f"}', "text/plain") == {"a": "坏"}
    assert body_of(b'{"a":"\\u574f"}', "") == {"a": "坏"}
    with pytest.raises(AmbiguousJSON):
        body_of(b'{"a":1,"a":2}', "text/plain")
    assert body_of(b"{not json", "text/plain") == PlainText("{not json")
    with pytest.raises(InvalidJSON):
        body_of(b"{not json", "application/vnd.x+json; charset=utf-8")


def test_text_bodies():
    """Text in its own charset, edited in it; bytes that are no text are not read."""
    body = body_of("坏话".encode("gbk"), "text/plain; charset=GBK")
    assert [part.text for part in ADAPTER.read_request(body).parts] == ["坏话"]
    assert ADAPTER.edit(body, [Edit((), "**")]) == b"**"
    for raw, kind in (
        (b"\xff", "text/plain"),
        (b"a\0b", "text/plain"),
        (b"x", "image/png"),
        (b"x", "text/plain; charset=utf-7"),
    ):
        with pytest.raises(Unreadable):
            body_of(raw, kind)
    assert body_of(b"", "image/png") is None


def test_forms():
    """Names and values of a form; an edit rewrites its field alone."""
    body = body_of(b"q=%E5%9D%8F+%E8%AF%9D&empty=&k=v", "application/x-www-form-urlencoded")
    view = ADAPTER.read_request(body)
    assert [part.text for part in view.parts] == ["q", "坏 话", "empty", "k", "v"]
    edited = ADAPTER.edit(body, [Edit((0, "value"), "* *")])
    assert parse_qsl(edited.decode(), keep_blank_values=True) == [("q", "* *"), ("empty", ""), ("k", "v")]
    with pytest.raises(Unreadable):
        body_of(b"q=%ff", "application/x-www-form-urlencoded")


MULTIPART = (
    '--B\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n坏话\r\n'
    '--B\r\nContent-Disposition: form-data; name="image"; filename="坏.png"\r\nContent-Type: image/png\r\n\r\n'
    "\x01\x02\r\n"
    "--B--\r\n"
).encode()


def test_multipart():
    """Text fields and file names are read, files are not; an edit leaves every other byte."""
    body = body_of(MULTIPART, "multipart/form-data; boundary=B")
    view = ADAPTER.read_request(body)
    assert [part.text for part in view.parts] == ["prompt", "坏话", "image", "坏.png"]
    assert view.media
    assert view.coverage is Coverage.PARTIAL
    edited = ADAPTER.edit(body, [Edit((0, "value"), "**"), Edit((1, "filename"), "*.png")])
    assert edited == MULTIPART.replace("坏话".encode(), b"**").replace("坏.png".encode(), b"*.png")


@pytest.mark.parametrize(
    "raw",
    [
        MULTIPART.replace(b"--B--", b""),
        b"preamble" + MULTIPART,
        MULTIPART.replace(b'name="prompt"', b""),
        MULTIPART.replace(b'name="prompt"', b'name="prompt"; name="x"'),
        MULTIPART.replace(b"\r\n\r\n\xe5", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n\xe5"),
        MULTIPART.replace("坏话".encode(), b"\xff"),
        MULTIPART.replace(b"\r\n", b"\n"),
    ],
)
def test_unusual_multipart_is_unreadable(raw):
    """What a lenient reader could split otherwise is left to the policy."""
    with pytest.raises(Unreadable):
        body_of(raw, "multipart/form-data; boundary=B")
    with pytest.raises(Unreadable):
        body_of(MULTIPART, "multipart/form-data")


def test_refusals_are_errors():
    """There is no place for a refusal text, so the caller uses the error form."""
    view = ADAPTER.read_request({})
    assert ADAPTER.refusal(view, {}, REFUSAL) is None
    assert ADAPTER.refuse_response({}, {WHOLE: REFUSAL}) is None
    assert json.loads(ADAPTER.error(400, "m", "c", REFUSAL))["error"]["type"] == "content_filter"


def opened(kind):
    """A decoder of this content type."""
    return ADAPTER.open_stream(ADAPTER.read_request({}), {}, kind)


def test_text_at_one_path_is_one_channel():
    """What is spread over frames is put together by path; numbered parts are kept apart."""
    frames = [{"o": [{"index": number, "t": text}]} for number, text in ((0, "甲"), (1, "一"), (0, "乙"), (1, "二"))]
    stream = b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames)
    said = {text for key, text in texts(read(opened("text/event-stream"), [stream])).items() if "t" in str(key.index)}
    assert {"甲乙", "一二"} <= said


def test_labels_are_read_once():
    """Keys and labels that repeat hold no frame back and are not read twice."""
    stream = b'{"type":"delta","t":"a"}\n' * 2 + b'{"type":"end","t":"b"}\n'
    frames = read(opened("application/x-ndjson"), [stream])
    assert [[delta.text for delta in frame.deltas if delta.last] for frame in frames] == [
        ["type", "delta", "t"],
        [],
        ["end"],
    ]


def test_silent_paths_are_closed():
    """A text that stood in the first frame alone does not hold the others for ever."""
    stream = b'{"intro":"x","t":"a"}\n' + b'{"t":"a"}\n' * 20
    closed = [key.index for frame in read(opened("application/x-ndjson"), [stream]) for key in frame.closes]
    assert closed == ["intro"]


def test_data_that_is_no_json_is_text():
    """Lines of text are one text, and an end sign is one."""
    frames = read(opened("text/event-stream"), [b"data: one \n\ndata: two\n\ndata: [DONE]\n\n"])
    assert "".join(delta.text for frame in frames for delta in frame.deltas) == "one two"
    assert frames[-1].kind is FrameKind.END
    frames = read(opened("text/event-stream"), [b"data: \xff\n\n"])
    assert frames[0].kind is FrameKind.UNKNOWN


def test_too_many_places_are_not_understood():
    """A stream that never uses a path twice is bounded, not followed for ever."""
    stream = b"".join(b'{"p%d":"x"}\n' % number for number in range(2000))
    kinds = [frame.kind for frame in read(opened("application/x-ndjson"), [stream])]
    assert FrameKind.UNKNOWN in kinds


def test_plain_text_streams():
    """Text flows as it comes; a character is never cut, and half of one at the end is not understood."""
    decoder = opened("text/plain; charset=utf-8")
    raw = "坏话".encode()
    frames = decoder.feed(raw[:4]) + decoder.feed(raw[4:5]) + decoder.feed(raw[5:])
    assert [frame.raw.decode() for frame in frames] == ["坏", "话"]
    assert decoder.edit(frames[0], [Edit((), "*")]) == b"*"
    assert decoder.feed(b"\xe5") == []
    assert [frame.kind for frame in decoder.finish()] == [FrameKind.UNKNOWN]


def test_a_blocked_stream_ends_with_an_error():
    """Nothing of the frame but what was cleared, then the error event."""
    decoder = opened("text/event-stream")
    (frame,) = decoder.feed(b'data: {"t":"ok bad","u":"more"}\n\n')
    path = next(delta.path for delta in frame.deltas if delta.text == "ok bad")
    sent = decoder.edit(frame, [Edit(path, "ok ")], {WHOLE})
    assert b'"ok "' in sent
    assert b"bad" not in sent
    assert b"more" not in sent
    error = decoder.refuse_choice(WHOLE, REFUSAL) + decoder.close(REFUSAL)
    assert json.loads(error[6:])["error"]["sluice"]["decision_id"] == "dec-3"
