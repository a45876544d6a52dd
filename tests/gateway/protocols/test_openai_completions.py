"""OpenAI's legacy completions."""

import json

import pytest
from openai.types import Completion

from gateway.protocols.bodies import Unreadable
from gateway.protocols.openai_completions import OpenAICompletions
from gateway.protocols.testing import read, texts
from gateway.protocols.types import KEY, WHOLE, ChannelKey, Coverage, Edit, Refusal

ADAPTER = OpenAICompletions()
REFUSAL = Refusal("不能显示", "dec-3", ("A1.f.sexual",), created=9)


def test_request():
    """Prompts and suffix are content, what else is text is other; n choices for every prompt."""
    body = {
        "model": "m",
        "prompt": ["一", "二"],
        "suffix": "三",
        "stop": "停",
        "user": "person",
        "n": 2,
        "stream": True,
    }
    view = ADAPTER.read_request(body)
    assert [(part.channel, part.text, part.user) for part in view.parts] == [
        ("content", "一", True),
        ("content", "二", True),
        ("content", "三", False),
        ("other", "停", False),
    ]
    assert (view.choices, view.subject, view.stream, view.coverage) == (4, "person", True, Coverage.FULL)


@pytest.mark.parametrize(
    ("prompt", "coverage"),
    [([1, 2], Coverage.NONE), ([[1], [2]], Coverage.NONE), (["字", [1]], Coverage.PARTIAL), (None, Coverage.FULL)],
)
def test_token_prompts_are_not_read(prompt, coverage):
    """Numbers instead of words cannot be scanned: the policy decides, and the coverage says so."""
    assert ADAPTER.read_request({"prompt": prompt}).coverage is coverage
    raw = json.dumps({"prompt": prompt}).encode()
    assert ADAPTER.read_body(raw, "", strict=False) == {"prompt": prompt}
    if coverage is Coverage.FULL:
        assert ADAPTER.read_body(raw, "", strict=True) == {"prompt": prompt}
    else:
        with pytest.raises(Unreadable):
            ADAPTER.read_body(raw, "", strict=True)


def test_response_and_edit():
    """Texts by choice, alternatives by themselves; a masked choice loses its log probabilities."""
    logprobs = {"tokens": ["甲", "乙"], "token_logprobs": [-1, -1], "top_logprobs": [{"甲": -1, "坏": -2}, None]}
    body = {
        "choices": [
            {"index": 0, "text": "甲乙", "logprobs": logprobs, "finish_reason": "stop"},
            {"index": 1, "text": "丙"},
        ],
        "note": "顶",
    }
    parts = ADAPTER.read_response(body).parts
    assert {(part.choice, part.channel, part.text) for part in parts} == {
        (0, "content", "甲乙"),
        (1, "content", "丙"),
        (WHOLE, "other", "顶"),
        (0, "other", "坏"),
    }
    assert [part.path[-2:] for part in parts if part.text == "坏"] == [(KEY, "坏")]
    for part in parts:
        if part.choice == 0:
            edited = json.loads(ADAPTER.edit(body, [Edit(part.path, "*")]))
            assert edited["choices"][0]["logprobs"] is None
            assert edited["choices"][1] == body["choices"][1]


def test_tokens_that_are_not_the_text_are_read():
    """Log probabilities that say something else than the text are a text."""
    body = {"choices": [{"index": 0, "text": "好", "logprobs": {"tokens": ["坏", "的"]}}]}
    assert [part.text for part in ADAPTER.read_response(body).parts] == ["好", "坏的"]


def test_refusals_parse():
    """The official client reads refusals of requests and of one choice."""
    body = {"model": "m", "prompt": "字", "n": 2}
    _, _, raw = ADAPTER.refusal(ADAPTER.read_request(body), body, REFUSAL)
    parsed = Completion.model_validate_json(raw)
    assert [(choice.text, choice.finish_reason) for choice in parsed.choices] == [("不能显示", "content_filter")] * 2
    answer = {"id": "1", "object": "text_completion", "created": 1, "model": "m"}
    answer["choices"] = [
        {"index": 0, "text": "坏", "finish_reason": "stop"},
        {"index": 1, "text": "好", "finish_reason": "stop"},
    ]
    parsed = Completion.model_validate_json(ADAPTER.refuse_response(answer, {0: REFUSAL}))
    assert [choice.text for choice in parsed.choices] == ["不能显示", "好"]
    assert "坏" not in ADAPTER.refuse_response(answer, {WHOLE: REFUSAL}).decode()
    assert ADAPTER.refuse_response({"x": 1}, {0: REFUSAL}) is None


def test_stream_of_two_choices():
    """Each choice is a channel; a cut takes its end sign with it."""
    decoder = ADAPTER.open_stream(ADAPTER.read_request({}), {})
    chunk = {"choices": [{"index": 0, "text": "甲", "finish_reason": "stop"}, {"index": 1, "text": "乙"}]}
    raw = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    (frame,) = decoder.feed(raw)
    assert texts([frame]) == {ChannelKey(0, "content"): "甲", ChannelKey(1, "content"): "乙"}
    sent = json.loads(decoder.edit(frame, [], {0})[6:])
    assert [choice["index"] for choice in sent["choices"]] == [1]
    refused = read(ADAPTER.open_stream(ADAPTER.read_request({}), {}), [decoder.refuse_choice(0, REFUSAL)])
    assert texts(refused) == {ChannelKey(0, "content"): "不能显示"}


@pytest.mark.parametrize(
    "body", [None, [], "坏", {"choices": "坏"}, {"choices": ["坏"]}, {"choices": [{"text": ["坏"]}]}]
)
def test_strange_answers_are_read_all_the_same(body):
    """No shape hides a text."""
    found = [part.text for part in ADAPTER.read_response(body).parts]
    assert ("坏" in json.dumps(body, ensure_ascii=False)) == ("坏" in found)
