"""A JSON array in pieces: its elements as they close, the same for every cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.json_array import JSONArrayDecoder, lead, replace_element
from gateway.sse import FrameTooLarge

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def split(*pieces, **more):
    """All events of these pieces."""
    decoder = JSONArrayDecoder(**more)
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.finish()


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]), st.booleans(), st.integers(1, 9))
def test_elements_of_any_array(values, indent, ascii_only, size):
    """Whatever the elements are, each comes whole, and the bytes of all events are the array's."""
    data = b" \r\n" + json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode() + b"\n"
    whole = split(data)
    assert [json.loads(event.data) for event in whole if event.data] == values
    assert b"".join(event.raw for event in whole) == data
    assert split(*(data[at : at + size] for at in range(0, len(data), size))) == whole


def test_an_element_comes_as_soon_as_it_closes():
    """Nothing waits for a comma."""
    decoder = JSONArrayDecoder()
    assert [event.raw for event in decoder.feed(b'[{"a": "]}"}')] == [b'[{"a": "]}"}']
    assert decoder.feed(b"\n,\r\n") == []
    assert [event.data for event in decoder.feed(b'{"b": [1, {}]}')] == [b'{"b": [1, {}]}']
    assert [(event.raw, event.event) for event in decoder.feed(b"\n]\n")] == [(b"\n]", "end")]
    assert [event.raw for event in decoder.finish()] == [b"\n"]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1 2]", b"[1,,2]", b'["a', b"x", b"[,1]", b"]", b"[1]]"])
def test_what_is_no_array(data):
    """Bytes that are no array are not lost: they come as they are, in every cut."""
    whole = split(data)
    assert b"".join(event.raw for event in whole) == data
    assert split(*(data[at : at + 1] for at in range(len(data)))) == whole


def test_bounded():
    """An element that never ends is an error, and so is what follows."""
    decoder = JSONArrayDecoder(max_event=10)
    with pytest.raises(FrameTooLarge):
        decoder.feed(b'["' + b"x" * 20)
    with pytest.raises(FrameTooLarge):
        decoder.feed(b"")


def test_replaced_in_its_place():
    """What stands before an element stays."""
    assert replace_element(b'\n, {"a": 1}', b"{}") == b"\n, {}"
    assert lead(b"[ [1]") == b"[ "
