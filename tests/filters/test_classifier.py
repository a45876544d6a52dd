import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.classifier import (
    CLAUSE_ENDS,
    CONTEXT_CHARS,
    CUTTING,
    PROMPT_CUTTING,
    SEGMENT_CHARS,
    ClassifierFilter,
    InvalidScoresError,
    Segmenter,
)
from filters.types import Match, ScoreNeeded, Source, Span

GAMBLING, SPAM = "A1.h.gambling", "X.spam"


def cut(*chunks, cutting=CUTTING):
    """Cut chunks into segments."""
    segmenter = Segmenter(cutting)
    found = []
    for chunk in chunks:
        segmenter.feed(chunk)
        while segment := segmenter.cut():
            found.append(segment)
    segmenter.finish()
    while segment := segmenter.cut():
        found.append(segment)
    return found


def scanner(**thresholds):
    """A scanner with thresholds by label."""
    labels = [GAMBLING, SPAM]
    return ClassifierFilter("m1", labels, {label: thresholds.get(label[-4:], 0.8) for label in labels}).open()


def test_cuts_at_clauses():
    """A segment ends with its clause's punctuation."""
    assert [segment.text for segment in cut("你好，世界。\nOK?行")] == ["你好，", "世界。", "", "OK?", "行"]


def test_cuts_after_24_characters():
    """Where no clause ends, a bounded number of characters does, so that clean text is not held for long."""
    assert [len(segment.text) for segment in cut("字" * 50)] == [24, 24, 2]
    assert [segment.text for segment in cut("字" * 23 + "。字")] == ["字" * 23 + "。", "字"]
    assert [segment.text for segment in cut("字" * 24 + "。字")] == ["字" * 24, "。", "字"]


def test_spans_leave_out_blanks():
    """The span that a mask would cover is the segment without the blanks round it."""
    (first, second) = cut("你好， 　世界 ")
    assert (second.start, second.end, second.span, second.text) == (3, 8, Span(5, 7), "世界")
    assert second.context == "你好， 　"
    assert first.span == Span(0, 3)


def test_context_is_the_text_directly_before():
    """The model reads up to 64 characters before the segment, across earlier segments."""
    *_, last = cut("一二三四五六七八九十，" * 10 + "末")
    assert last.text == "末"
    assert last.context == ("一二三四五六七八九十，" * 10)[-CONTEXT_CHARS:]


def test_three_latin_characters_count_as_one_of_a_context():
    """A word of English takes more characters to say as much, so more of them are read."""
    assert cut("one two three, " * 20 + "end")[-1].context == ("one two three, " * 20)[-3 * CONTEXT_CHARS :]
    assert cut("一二三四，" * 40 + "one, two, 末")[-1].context == ("一二三四，" * 40)[-60:] + "one, two, "


def test_prompts_are_cut_into_sentences():
    """Of 48 to 96 characters; three Latin ones count as one."""
    chinese = [segment.text for segment in cut("一二三四五六七八九。" * 20, cutting=PROMPT_CUTTING)]
    assert [len(text) for text in chinese] == [50, 50, 50, 50]
    english = [segment.text for segment in cut("one two three four. " * 30, cutting=PROMPT_CUTTING)]
    assert [len(text) for text in english] == [159, 159, 159, 119]
    assert [len(text) for text in (one.text for one in cut("a" * 400, cutting=PROMPT_CUTTING))] == [288, 112]
    assert [len(text) for text in (one.text for one in cut("ế" * 300, cutting=PROMPT_CUTTING))] == [288, 12]
    assert [len(text) for text in (one.text for one in cut("\u0250" * 100, cutting=PROMPT_CUTTING))] == [96, 4]


def test_the_last_character_may_take_in_what_follows():
    """It is not cut before that is known, and no later."""
    assert [one.text for one in cut("一" * 95 + "a", "b", "c", "d", cutting=PROMPT_CUTTING)] == ["一" * 95 + "abc", "d"]
    for cutting, full in ((CUTTING, "a" * 24), (CUTTING, "一" * 24), (PROMPT_CUTTING, "a" * 288)):
        segmenter = Segmenter(cutting)
        segmenter.feed(full[:-1])
        assert segmenter.cut() is None
        segmenter.feed(full[-1])
        assert segmenter.cut().text == full


@pytest.mark.parametrize(
    ("text", "scored"),
    [
        ("  ", False),
        ("……", False),
        ("。", False),
        ("\u200b\u200d", False),
        ("—", False),
        ("1", True),
        ("🔞", True),
        ("a!", True),
    ],
)
def test_blank_and_punctuation_are_not_scored(text, scored):
    """Nothing is asked of the model where there is nothing to judge."""
    state = scanner()
    asked = [*state.feed(text), *state.finish()]
    assert bool(asked) == scored


@given(st.text("ab，. \n字", max_size=150), st.lists(st.integers(0, 150), max_size=10))
def test_segments_are_a_function_of_the_text(text, cuts):
    """Segments and contexts are the same for every chunking, join to the text, and follow the written rule."""
    ends = sorted({min(at, len(text)) for at in cuts} | {len(text)})
    chunks = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    segments = cut(*chunks)
    assert segments == cut(text)
    assert segments == cut(*text)
    ends = re.escape(CLAUSE_ENDS)
    rule = rf"[^{ends}]{{0,{SEGMENT_CHARS - 1}}}[{ends}]|[^{ends}]{{{SEGMENT_CHARS}}}|[^{ends}]+"
    assert [text[segment.start : segment.end] for segment in segments] == re.findall(rule, text)
    for segment in segments:
        assert segment.text == text[segment.span.start : segment.span.end] == text[segment.start : segment.end].strip()
        assert text[: segment.span.start].endswith(segment.context)
        assert len(segment.context) >= min(segment.span.start, CONTEXT_CHARS)


@pytest.mark.parametrize("text", ["今天天气", "abcd"])
@pytest.mark.parametrize("cutting", [CUTTING, PROMPT_CUTTING], ids=["answers", "prompts"])
def test_memory_is_bounded(cutting, text):
    """A long stream keeps the segment being gathered and its context, not the text."""
    segmenter = Segmenter(cutting)
    for _ in range(10_000):
        segmenter.feed(text)
        while segmenter.cut():
            pass
    assert len(segmenter._buffer) <= cutting.longest + 8


def test_watermark_follows_the_answers_in_order():
    """The watermark is the start of the first segment without an answer, whichever answers come first."""
    state = scanner()
    first, second = state.feed("你好，再见。嗯")
    scores = {GAMBLING: 0.1, SPAM: 0.1}
    assert (state.watermark, state.pending) == (0, 2)
    state.resolve(second.ticket, scores)
    assert (state.watermark, state.pending) == (0, 1)
    state.resolve(first.ticket, scores)
    assert (state.watermark, state.pending) == (6, 0)
    (third,) = state.finish()
    assert state.watermark == 6
    state.close(third.ticket)
    assert state.watermark == 7


def test_matches_are_the_categories_at_or_over_their_threshold():
    """One match a category, with the model's version as its rule and the score that it had."""
    state = scanner(spam=0.6)
    (question,) = state.feed(" 来赌一把。")
    assert question == ScoreNeeded(1, "来赌一把。", " ")
    assert state.resolve(1, {SPAM: 0.6, GAMBLING: 0.79, "X.hype": 1.0}) == [
        Match(Span(1, 6), SPAM, Source.CLASSIFIER, "m1", 0.6)
    ]


@pytest.mark.parametrize("scores", [{}, {SPAM: 0.1}, {SPAM: float("nan"), GAMBLING: 0}, {SPAM: None, GAMBLING: 0}])
def test_invalid_scores_leave_the_ticket_open(scores):
    """The caller fails the ticket: what is no probability never counts as clean."""
    state = scanner()
    (question,) = state.feed("你好，")
    with pytest.raises(InvalidScoresError):
        state.resolve(question.ticket, scores)
    assert state.pending == 1
    assert state.close(question.ticket).span == Span(0, 3)
    with pytest.raises(ValueError, match="not open"):
        state.close(question.ticket)
