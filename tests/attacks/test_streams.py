"""A model, or a server in front of it, that tries to get a term to the client."""

import json

import pytest

CHAT = "/v1/chat/completions"
OTHER = "/v1/other"
END = b"data: [DONE]\n\n"


def event(body):
    """One server-sent event."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta, index=0, **more):
    """One chunk of a chat stream."""
    return event({"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": None, **more}]})


STOP = event({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


def call(**more):
    """A chunk with a tool call."""
    return chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f"}, **more}]})


@pytest.mark.parametrize(
    "frame",
    [
        call(id="炸药"),
        call(type="炸药"),
        call(index="炸药"),
        chunk({"content": "x"}, finish_reason="炸药"),
        chunk({"content": "x"}, index="炸药"),
        chunk({"content": "x"}, logprobs={"content": [{"token": "x", "note": "炸药"}]}),
        "event: 炸药\ndata: {}\n\n".encode(),
        "<html>炸药</html>\n\n".encode(),
        "data: {}\n炸药\n\n".encode(),
        '{"choices":[{"delta":{"content":"炸药"}}]}\n\n'.encode(),
    ],
)
def test_no_field_of_a_frame_hides_a_term(relayed, frame):
    """Labels, ids and lines that are no event are read like texts, or not delivered."""
    assert "炸" not in relayed(CHAT, chunk({"content": "好"}), frame, STOP, END)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (chunk({"content": "炸"}), chunk({"content": [{"type": "text", "text": "药"}]})),
        (chunk({"content": "炸"}), chunk({"content": ["药"]})),
        (chunk({"content": [{"type": "text", "text": "炸"}, {"type": "text", "text": "药"}]}), b""),
        (chunk({"content": ["炸", "药"]}), b""),
        *(
            (
                event({"error": error, "choices": [{"index": 0, "delta": {"content": "炸"}}]}),
                event({"error": error, "choices": [{"index": 0, "delta": {"content": "药"}}]}),
            )
            for error in ("", {}, None, False)
        ),
        (chunk({"content": "炸"}, finish_reason="null"), chunk({"content": "药"}, finish_reason="null")),
    ],
)
def test_no_shape_parts_one_text(relayed, first, second):
    """However a server spreads the content over fields, its reader's term is found."""
    assert "炸" not in relayed(CHAT, first, second, STOP, END)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (chunk({"content": "炸"}, index=1), chunk({"content": "药"}, index=1.0)),
        (chunk({"content": "炸"}) + STOP, chunk({"content": "药"})),
    ],
)
def test_what_readers_could_join_is_not_delivered(relayed, first, second):
    """A choice under another number, and text after its end, do not reach a reader who would join them."""
    assert "药" not in relayed(CHAT, first, second, STOP, END)


def test_a_choice_that_was_refused_leaves_the_others_alone(relayed):
    """What the upstream still says of a blocked choice does not end the other."""
    pieces = [
        chunk({"content": "炸药"}),
        chunk({"content": "好"}, 1),
        chunk({"content": "后"}),
        chunk({"content": "的"}, 1),
    ]
    sent = relayed(CHAT, *pieces, STOP, END, request={"n": 2})
    assert "好" in sent
    assert "的" in sent
    assert "后" not in sent


def test_nearly_json_with_escapes_is_not_understood(relayed):
    """A frame that only lenient readers take for JSON does not get its escapes through."""
    assert "u70b8" not in relayed(OTHER, b'data: {"x":"\\u70b8\\u836f",}\n\n')
