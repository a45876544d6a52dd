"""Frames that are read without being parsed mean what parsing would have found."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.openai_chat import OpenAIChat
from gateway.protocols.openai_stream import OpenAIStreamDecoder
from gateway.protocols.templates import LAZY
from gateway.protocols.testing import check_same
from gateway.protocols.types import Edit

ADAPTER = OpenAIChat()
TEXT = st.text(alphabet=st.sampled_from('a炸"\\\n\t\u2028\x7f\u3000😀{}:,'), max_size=6) | st.just(
    '","finish_reason":"stop'
)


def opened():
    """A decoder."""
    return ADAPTER.open_stream(ADAPTER.read_request({}), {})


def chunk(text, *, index=0, field="content", spaced=False):
    """The bytes of a chunk."""
    body = {"id": "x", "model": "m", "choices": [{"index": index, "delta": {field: text}, "finish_reason": None}]}
    separators = None if spaced else (",", ":")
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=separators).encode() + b"\n\n"


def test_a_second_frame_of_the_same_shape_is_not_parsed():
    """The second frame is answered by the first one's template, and can still be edited."""
    decoder = opened()
    decoder.feed(chunk("甲"))
    (frame,) = decoder.feed(chunk("乙丙"))
    assert frame.note is LAZY
    assert [(delta.text, delta.key.channel) for delta in frame.deltas] == [("乙丙", "content")]
    assert json.loads(decoder.edit(frame, [Edit(frame.deltas[0].path, "*丙")])[6:])["choices"][0]["delta"] == {
        "content": "*丙"
    }


@given(
    frames=st.lists(
        st.tuples(TEXT, st.integers(0, 2), st.sampled_from(["content", "reasoning_content", "other"]), st.booleans()),
        max_size=12,
    )
)
def test_templates_change_nothing(frames):
    """With and without templates: the same frames, texts and closings."""
    chunks = [chunk(text, index=index, field=field, spaced=spaced) for text, index, field, spaced in frames]
    fast, slow = opened(), opened()
    slow._templates.learn = lambda frame: None
    found = [frame for data in chunks for frame in fast.feed(data)]
    expected = [frame for data in chunks for frame in slow.feed(data)]
    check_same("templates", expected, found)


def test_log_probabilities_are_no_template():
    """A frame whose tokens repeat its text is always parsed: another text would make them say something else."""
    decoder = opened()
    body = {"choices": [{"index": 0, "delta": {"content": "甲"}, "logprobs": {"content": [{"token": "甲"}]}}]}
    raw = b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"
    decoder.feed(raw)
    (frame,) = decoder.feed(raw.replace('"content": "甲"'.encode(), '"content": "乙"'.encode()))
    assert [delta.text for delta in frame.deltas] == ["乙", "甲"]


def test_streams_that_never_repeat_stop_learning():
    """Where every frame has an id of its own, learning ends after a few."""
    decoder = opened()
    assert isinstance(decoder, OpenAIStreamDecoder)
    for number in range(100):
        decoder.feed(chunk("甲").replace(b'"id":"x"', b'"id":"%d"' % number))
    assert decoder._templates._learnt == 16
