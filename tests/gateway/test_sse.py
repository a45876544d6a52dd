"""Server-sent events and JSON lines from bytes in any cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sse import FrameTooLarge, NDJSONDecoder, SSEDecoder, replace_data


def events(decoder, *chunks):
    """All events of these chunks."""
    found = [event for chunk in chunks for event in decoder.feed(chunk)]
    return found + decoder.finish()


def transcript(*chunks):
    """(data, event name) of every event that has data."""
    return [(event.data, event.event) for event in events(SSEDecoder(), *chunks) if event.data is not None]


def test_one_event_a_chunk():
    """A chunk that is one event comes back at once with its exact bytes."""
    decoder = SSEDecoder()
    for chunk in (b"data: {}\n\n", b"data: [1]\n\n", b"data:[2]\n\n"):
        (event,) = decoder.feed(chunk)
        assert event.raw == chunk
        assert event.complete
    assert decoder.finish() == []


@pytest.mark.parametrize("eol", [b"\n", b"\r", b"\r\n"])
def test_line_ends(eol):
    """LF, CR and CRLF end lines alike, also where CRLF is cut between its two bytes."""
    stream = eol.join([b": hi", b"event: a", b"data: 1", b"data: 2", b"", b"data:3", b"id: 9", b"", b""])
    expected = [(b"1\n2", "a"), (b"3", "")]
    assert transcript(stream) == expected
    assert transcript(*(stream[i : i + 1] for i in range(len(stream)))) == expected


def test_crlf_event_is_returned_with_its_lf():
    """The LF of a CRLF belongs to the event that it ends, not to the next."""
    decoder = SSEDecoder()
    assert decoder.feed(b"data: 1\r\n\r") == []
    (event,) = decoder.feed(b"\n")
    assert event.raw == b"data: 1\r\n\r\n"


def test_cr_only_stream_is_not_delayed():
    """A stream that ends lines with CR alone gives each event when it is complete, not one event later."""
    decoder = SSEDecoder()
    assert [event.data for event in decoder.feed(b"data: 1\r\r")] == [b"1"]
    assert [event.data for event in decoder.feed(b"data: 2\r\r")] == [b"2"]


def test_separators_of_unicode_end_no_line():
    """U+2028, U+2029, U+0085, form feed and vertical tab stand inside data."""
    data = "a\u2028b\u2029c\u0085d\x0ce\x0bf".encode()
    assert transcript(b"data: " + data + b"\n\n") == [(data, "")]


def test_byte_order_mark_only_at_the_start():
    """A byte order mark at the start is skipped, in the middle it makes an unknown field; the bytes stay."""
    stream = b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n"
    for chunks in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        found = events(SSEDecoder(), *chunks)
        assert [event.data for event in found] == [b"1", None]
        assert b"".join(event.raw for event in found) == stream


def test_fields():
    """One space after the colon goes, a line without colon is a field, NUL ids and unknown fields are ignored."""
    (event,) = events(SSEDecoder(), b"data\ndata:  x\nid: a\0b\nid: 7\nretry: 10\nfoo: bar\ndata:\n\n")
    assert event.data == b"\n x\n"
    assert event.id == "7"


def test_comment_and_blank_lines_are_events_of_their_own():
    """Keep-alives pass at once, in their place."""
    decoder = SSEDecoder()
    assert [(event.raw, event.data) for event in decoder.feed(b": ping\n\n\ndata: 1\n\n")] == [
        (b": ping\n\n", None),
        (b"\n", None),
        (b"data: 1\n\n", b"1"),
    ]


def test_what_is_left_at_the_end():
    """An event without its blank line comes as incomplete, with its data."""
    (event,) = events(SSEDecoder(), b"data: [DONE]\n")
    assert (event.data, event.complete) == (b"[DONE]", False)
    (event,) = events(SSEDecoder(), b"data: 1\n\r")
    assert (event.data, event.complete) == (b"1", True)


def test_bound():
    """An event without end is an error, not memory; what was complete before it still comes."""
    decoder = SSEDecoder(max_event=100)
    assert [event.data for event in decoder.feed(b"data: 1\n\ndata: " + b"x" * 200)] == [b"1"]
    with pytest.raises(FrameTooLarge):
        decoder.feed(b"x")
    with pytest.raises(FrameTooLarge):
        SSEDecoder(max_event=100).feed(b"y" * 200)
    with pytest.raises(FrameTooLarge):
        NDJSONDecoder(max_event=100).feed(b"y" * 200)


def test_many_small_pieces_cost_linear_time():
    """A megabyte that comes byte by byte is searched once, not once per byte."""
    decoder = SSEDecoder()
    for _ in range(200_000):
        assert decoder.feed(b"xxxxx") == []
    assert len(decoder.finish()[0].raw) == 1_000_000


LINES = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data",
        b": c",
        b"event: e",
        b"",
        b"",
        b"id: 1",
        "数据: 你".encode(),
        b"data: \xef\xbb\xbf",
    ]
)


@given(
    lines=st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=12),
    tail=st.binary(max_size=4),
    cuts=st.lists(st.integers(0, 200), max_size=12),
    bom=st.booleans(),
)
def test_cuts_change_nothing(lines, tail, cuts, bom):
    """Whatever the line ends and the cuts: the same events, and their bytes joined are the input."""
    stream = (b"\xef\xbb\xbf" if bom else b"") + b"".join(line + eol for line, eol in lines) + tail
    at = sorted({min(cut, len(stream)) for cut in cuts})
    chunks = [stream[start:end] for start, end in zip([0, *at], [*at, len(stream)], strict=True)]
    whole = events(SSEDecoder(), stream)
    assert b"".join(event.raw for event in whole) == stream
    assert events(SSEDecoder(), *chunks) == whole
    assert events(SSEDecoder(), *(stream[i : i + 1] for i in range(len(stream)))) == whole


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_json_lines_cuts_change_nothing(stream, cuts):
    """The same for lines; a CR that ends no line stays in its line."""
    at = sorted({min(cut, len(stream)) for cut in cuts})
    chunks = [stream[start:end] for start, end in zip([0, *at], [*at, len(stream)], strict=True)]
    whole = events(NDJSONDecoder(), stream)
    assert b"".join(event.raw for event in whole) == stream
    assert events(NDJSONDecoder(), *chunks) == whole


def test_json_lines():
    """LF and CRLF end lines, blank lines have no data, the last line needs no end."""
    found = events(NDJSONDecoder(), b'{"a":1}\n\r\n{"b"', b':2}\r\n{"c":3}')
    assert [event.data for event in found] == [b'{"a":1}', None, b'{"b":2}', b'{"c":3}']
    assert [event.complete for event in found] == [True, True, True, False]


@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
def test_replace_data_keeps_the_rest(eol):
    """Name, id, comments and the kind of line ends stay; many data lines become one."""
    raw = eol.join(["event: x", ": c", "data: 1", "id: 3", "data: 2", "", ""]).encode()
    assert replace_data(raw, b"new") == eol.join(["event: x", ": c", "data: new", "id: 3", "", ""]).encode()
    assert transcript(replace_data(raw, b"two\nlines")) == [(b"two\nlines", "x")]


def test_events_of_one_crlf_line_by_themselves():
    """A chunk that is one event, as Google sends them, reads as it does among others."""
    events = [b"data: {}\r\n\r\n", b"data: a\rb\r\n\r\n", b"data: a\nb\r\n\r\n", b"data: \r\n\r\n", b"data: x\r\n\r\n"]
    whole = SSEDecoder()
    expected = whole.feed(b"".join(events)) + whole.finish()
    alone = SSEDecoder()
    assert [one for event in events for one in alone.feed(event)] + alone.finish() == expected
